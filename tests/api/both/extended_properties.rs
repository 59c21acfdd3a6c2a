//! Extended properties of contacts and folders, for values that Graph has no name for.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use super::concurrency::at_once;
use crate::app::{Client, TestApp};

const GUID: &str = "{66f5a359-4659-4830-9070-00047ec6ac6e}";
const SINGLE: &str = "singleValueExtendedProperties";
const MULTI: &str = "multiValueExtendedProperties";

/// The id of a named property.
fn named(name: &str) -> String {
    format!("String {GUID} Name {name}")
}

fn list_named(name: &str) -> String {
    format!("StringArray {GUID} Name {name}")
}

fn single(id: &str, value: impl Into<Value>) -> Value {
    json!({"id": id, "value": value.into()})
}

fn shown(client: &Client, path: &str, collection: &str) -> Value {
    let sign = if path.contains('?') { '&' } else { '?' };
    client.get(&format!("{path}{sign}$expand={}", percent_encode(collection))).json(200)
        [collection.split('(').next().unwrap()]
    .clone()
}

#[test]
fn extended_properties_are_set_kept_and_deleted_on_contacts_and_folders() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for prefix in ["", "/v1.0"] {
        for (list, body) in
            [("contacts", json!({"surname": "x"})), ("contactFolders", json!({"displayName": format!("F{prefix}")}))]
        {
            let mut body = body;
            body[SINGLE] = json!([
                single(&named("Color"), "Green"),
                single("Integer 0x3001", "7"),
                single("String 0x3002", Value::Null)
            ]);
            body["multivalueextendedproperties"] =
                json!([single(&list_named("Tags"), json!(["a", "", "a"])), single("IntegerArray 0x3003", json!([]))]);
            let created = ann.post(&format!("{prefix}/me/{list}"), &body);
            let created_object = created.json(201);
            assert!(created_object.get(SINGLE).is_none() && created_object.get(MULTI).is_none(), "they are not echoed");
            let object_path = format!("{prefix}/me/{list}/{}", created.id());
            assert_eq!(ann.get(&object_path).json(200), created_object);
            let set = json!([single(&named("Color"), "Green"), single("Integer 0x3001", "7")]);
            assert_eq!(shown(&ann, &object_path, SINGLE), set);
            let lists =
                json!([single(&list_named("Tags"), json!(["a", "", "a"])), single("IntegerArray 0x3003", json!([]))]);
            assert_eq!(shown(&ann, &object_path, MULTI), lists);
            // Both, and their contexts.
            let expanded_both = ann.get(&format!("{object_path}?$expand={MULTI},{SINGLE}")).json(200);
            assert_eq!((&expanded_both[SINGLE], &expanded_both[MULTI]), (&set, &lists));
            let inside =
                format!("http://{}{prefix}/$metadata#users('ann')/{list}('{}')/{SINGLE}", app.address, created.id());
            assert_eq!(expanded_both[format!("{SINGLE}@odata.context")], inside);
            let names =
                if list == "contacts" { format!("{SINGLE}(),{MULTI}()") } else { format!("{MULTI}(),{SINGLE}()") };
            assert_eq!(
                expanded_both["@odata.context"],
                format!("http://{}{prefix}/$metadata#users('ann')/{list}({names})/$entity", app.address)
            );
            let bare = ann
                .with("Accept", "application/json;odata.metadata=none")
                .get(&format!("{object_path}?$expand={SINGLE}"));
            let bare: Value = serde_json::from_slice(&bare.body).unwrap();
            assert_eq!(bare[SINGLE], set);
            assert!(bare.as_object().unwrap().keys().all(|name| !name.contains('@')), "{bare}");
            // Only the sent properties change. Type and namespace match in any letter case.
            let upper = format!("STRING {} name Color", GUID.to_uppercase());
            let change = json!({SINGLE: [single(&upper, "Blue"), single(&named("color"), "another")], MULTI: [single("integerarray 0X00003003", Value::Null)]});
            let changed = ann.patch(&object_path, &change);
            assert!(changed.json(200).get(SINGLE).is_none());
            assert_ne!(changed.header("etag"), created.header("etag"), "it is a change of what they are of");
            let set =
                json!([single(&upper, "Blue"), single("Integer 0x3001", "7"), single(&named("color"), "another")]);
            assert_eq!(shown(&ann, &object_path, SINGLE), set);
            assert_eq!(shown(&ann, &object_path, MULTI), json!([lists[0]]));
            // A write with an old ETag changes nothing, nor does an empty one.
            let stale = ann
                .with("If-Match", &created.header("etag"))
                .patch(&object_path, json!({SINGLE: [single(&named("Color"), "Red")]}));
            assert_eq!(stale.error().0, 412);
            let same = ann.patch(&object_path, json!({SINGLE: [], MULTI: null}));
            assert_eq!(same.header("etag"), changed.header("etag"));
            ann.patch(
                &object_path,
                json!({SINGLE: [single("integer 0x3001", Value::Null), single("String 0x9", Value::Null)]}),
            )
            .json(200);
            assert_eq!(shown(&ann, &object_path, SINGLE), json!([set[0], set[2]]));
            for (filter, found) in [
                (format!("id eq '{}'", named("Color")), json!([set[0]])),
                (format!("id eq '{}' or id eq '{}'", named("Color"), named("color")), json!([set[0], set[2]])),
                (format!("id in ('{}')", named("COLOR")), json!([])),
            ] {
                assert_eq!(shown(&ann, &object_path, &format!("{SINGLE}($filter={filter})")), found, "{filter}");
            }
        }
    }
    // The default folder can have some too, although its name is fixed.
    let default = "/me/contactFolders/contacts";
    assert_eq!(ann.patch(default, json!({SINGLE: [single(&named("Color"), "Red")]})).status, 200);
    assert_eq!(shown(&ann, default, SINGLE), json!([single(&named("Color"), "Red")]));
    let refused = ann.patch(default, json!({"displayName": "x", SINGLE: [single(&named("Color"), "Blue")]}));
    assert_eq!(refused.error().1, "ErrorDeleteDistinguishedFolder");
    assert_eq!(shown(&ann, default, SINGLE), json!([single(&named("Color"), "Red")]), "nothing is half done");
}

#[test]
fn a_vcard_in_an_extended_property_is_kept_and_listed() {
    // As io-msgraph does.
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = "String {00020329-0000-0000-C000-000000000046} Name vdirsyncer-vcard";
    let rest = "X-ABC;TYPE={x}:\u{1f600} \"quoted\" 'it''s'\r\nPHOTO;ENCODING=b:".to_owned() + &"QUJD".repeat(50_000);
    let body = |i: usize| json!({"@odata.type": "#microsoft.graph.Contact", "givenName": format!("n{i}"), SINGLE: [{"id": id, "value": format!("{i}{rest}")}]});
    let ids: Vec<_> = (0..12).map(|i| ann.post("/v1.0/me/contacts", body(i)).id()).collect();
    let option = percent_encode(&format!("{SINGLE}($filter=id eq '{id}')")).replace("%20", "+");
    let mut next = Some(format!("/v1.0/me/contacts?%24top=5&%24expand={option}"));
    let mut found = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        for contact in page["value"].as_array().unwrap() {
            let i = found.len();
            assert_eq!(contact[SINGLE], json!([{"id": id, "value": format!("{i}{rest}")}]));
            found.push(contact["id"].as_str().unwrap().to_owned());
        }
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
        // One client reads links as templates.
        assert!(next.as_ref().is_none_or(|link| !link.contains(['{', '}'])), "{next:?}");
    }
    assert_eq!(found, ids);
    // Unencoded braces are accepted and encoded in the link, and the walk continues.
    let raw = format!("/v1.0/me/contacts?$top=5&$expand={SINGLE}($filter=id%20eq%20'{}')", id.replace(' ', "%20"));
    let batch = json!({"requests": [{"id": "1", "method": "GET", "url": raw}]});
    let page = ann.post("/v1.0/$batch", batch).json(200)["responses"][0]["body"].clone();
    let link = page["@odata.nextLink"].as_str().unwrap();
    assert!(!link.contains(['{', '}']) && link.contains("%7B00020329"), "{link}");
    assert_eq!(ann.get(link).json(200)["value"][0]["id"], ids[5]);
    let contact_path = format!("/v1.0/me/contacts/{}", ids[3]);
    ann.patch(&contact_path, json!({"givenName": "changed", SINGLE: [{"id": id, "value": "new"}]})).json(200);
    let read = ann.get(&format!("{contact_path}?%24expand={option}&%24select=givenName")).json(200);
    assert_eq!((&read["givenName"], &read[SINGLE]), (&json!("changed"), &json!([{"id": id, "value": "new"}])));
    // Delta shows the change.
    let delta = ann.get("/v1.0/me/contacts/delta?$deltatoken=latest").json(200)["@odata.deltaLink"].clone();
    ann.patch(&contact_path, json!({SINGLE: [{"id": id, "value": "newer"}]})).json(200);
    assert_eq!(ann.get(delta.as_str().unwrap()).json(200)["value"][0]["id"], ids[3]);
}

/// Asserts that a filter on properties finds only this folder.
fn assert_found_of_folder(client: &Client, folder: &str) {
    let (color, tags) = (named("Color"), list_named("T"));
    for filter in [
        format!("{SINGLE}/any(ep:ep/id eq '{color}' and ep/value eq 'GRÜN')"),
        format!("{MULTI}/any(ep:ep/id eq '{tags}' and ep/value/any(v:v eq 'ä'))"),
        format!("{MULTI}/any(ep:ep/value/$count eq 1)"),
    ] {
        let folders = client.get(&format!("/me/contactFolders?$filter={}", percent_encode(&filter))).json(200);
        assert_eq!((folders["value"].as_array().unwrap().len(), &folders["value"][0]["id"]), (1, &json!(folder)));
    }
}

#[test]
fn extended_properties_are_filtered_by_id_and_value() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work", SINGLE: [single(&named("Color"), "Grün")], MULTI: [single(&list_named("T"), json!(["Ä"]))]})).id();
    let make = |name: &str, color: &str, tags: Value| {
        let body = json!({"surname": name, SINGLE: [single(&named("Color"), color), single("String 0x1", name)], MULTI: [single(&list_named("T"), tags)]});
        ann.post("/me/contacts", body);
    };
    make("a", "Grün", json!(["x", "Ä"]));
    make("b", "BLAU", json!(["y"]));
    make("c", "it's {b}lau%", json!([]));
    ann.post("/me/contacts", json!({"surname": "d"}));
    let (color, tags) = (named("Color"), list_named("T"));
    for (filter, found) in [
        (format!("{SINGLE}/any(ep: ep/id eq '{color}' and ep/value eq 'GRÜN')"), vec!["a"]),
        (
            format!("{SINGLE}/any(ep:ep/id eq 'string {} NAME Color' and ep/value ne 'grün')", GUID.to_uppercase()),
            vec!["b", "c"],
        ),
        (format!("{SINGLE}/any(ep:ep/id eq '{}' and ep/value eq 'grün')", named("color")), vec![]),
        (format!("{SINGLE}/any(ep:ep/id eq '{color}' and startswith(ep/value,'bl'))"), vec!["b"]),
        (format!("{SINGLE}/any(ep:ep/id eq '{color}' and contains(ep/value,'LAU'))"), vec!["b", "c"]),
        (format!("{SINGLE}/any(ep:ep/id eq '{color}' and ep/value eq 'it''s {{B}}lau%')"), vec!["c"]),
        (format!("{MULTI}/any(ep:ep/id eq '{tags}' and ep/value/any(v:v eq 'ä'))"), vec!["a"]),
        (format!("{MULTI}/any(ep:ep/id eq '{tags}' and ep/value/any(v:v ne 'x'))"), vec!["a", "b"]),
        (
            format!("{MULTI}/any(ep:ep/id eq '{tags}' and ep/value/any(v:startswith(v,'X') or contains(v,'y')))"),
            vec!["a", "b"],
        ),
    ] {
        for prefix in ["", "/v1.0"] {
            // The whole filter is valid in Graph.
            for client in [&ann, &ann.with("Prefer", "handling=strict")] {
                let filter = percent_encode(&filter);
                let list = client.get(&format!("{prefix}/me/contacts?$filter={filter}&$orderby=surname")).json(200);
                let names: Vec<_> =
                    list["value"].as_array().unwrap().iter().map(|c| c["surname"].as_str().unwrap()).collect();
                assert_eq!(names, found, "{filter}");
                let count = client.get(&format!("{prefix}/me/contacts/$count?$filter={filter}"));
                assert_eq!(count.body, found.len().to_string().as_bytes());
            }
        }
    }
    assert_found_of_folder(&ann, &work);
    for (filter, said) in [
        (format!("{SINGLE}/any(ep:ep/id eq 'Color')"), "'Color' is not an id of"),
        (format!("{SINGLE}/any(ep:ep/id eq '{tags}')"), "is not an id of"),
        (format!("{MULTI}/any(ep:ep/id eq '{color}')"), "{type}Array {guid} Name {name}"),
        (format!("{MULTI}/any(ep:ep/value eq 'x')"), "is a collection"),
        (format!("{SINGLE}/any(ep:ep/value/any(v:v eq 'x'))"), "is not a collection"),
        (format!("{SINGLE}/any(ep:ep/name eq 'x')"), "named 'name'"),
        (format!("{SINGLE}/any(ep:ep/value gt 7)"), "cannot compare"),
        (format!("{SINGLE} eq 'x'"), "is a collection"),
        (
            format!(
                "extensions/any(f:{MULTI}/any(m:m/value/any(v:{SINGLE}/any(s:s/value eq v or emailAddresses/any(e:e/address eq v)))))"
            ),
            "4 deep",
        ),
    ] {
        let refused = ann.get(&format!("/me/contacts?$filter={}", percent_encode(&filter)));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$filter".into()), "{filter}");
        assert!(refused.message().contains(said), "{filter}: {}", refused.message());
    }
    for (expand, said) in [
        (format!("{SINGLE}($filter=id eq 'Color')"), "is not an id of"),
        (format!("{SINGLE}($filter=value eq 'x')"), "can only name ids"),
        (format!("{SINGLE}($filter=id eq '{color}' and id eq '{color}')"), "can only name ids"),
        (format!("{MULTI}($select=id)"), "use $filter."),
    ] {
        for path in ["/me/contacts", "/me/contactFolders", &format!("/me/contactFolders/{work}")] {
            let refused = ann.get(&format!("{path}?$expand={}", percent_encode(&expand)));
            assert_eq!(refused.error().1, "BadRequest", "{path} {expand}");
            assert!(refused.message().contains(said), "{expand}: {}", refused.message());
        }
    }
    // No folder has extensions, in Graph as well.
    assert_eq!(ann.get("/me/contactFolders?$expand=extensions").error().0, 400);
    // They have no path of their own.
    for path in [format!("/me/contactFolders/{work}/{SINGLE}"), format!("/me/contacts/x/{MULTI}")] {
        assert_eq!(ann.get(&path).error().1, "ResourceNotFound");
    }
}

#[test]
fn an_invalid_extended_property_is_refused_and_nothing_is_stored() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    let contact = format!("/me/contacts/{id}");
    let long = "x".repeat(300);
    let (read, limit) = ("RequestBodyRead", "ErrorPropertyValidationFailure");
    let before = app.sql("select seq from mailboxes");
    for (value, code, target) in [
        (json!({}), read, ""),
        (json!("x"), read, ""),
        (json!([7]), read, "/0"),
        (json!([{"id": named("a")}]), read, "/0/value"),
        (json!([{"value": "x"}]), read, "/0/id"),
        (json!([{"id": null, "value": "x"}]), read, "/0/id"),
        (json!([single("Color", "x")]), read, "/0/id"),
        (json!([single("Text 0x1", "x")]), read, "/0/id"),
        (json!([single("String 0x", "x")]), read, "/0/id"),
        (json!([single("String {1} Name x", "x")]), read, "/0/id"),
        (json!([single(&named(""), "x")]), read, "/0/id"),
        (json!([single(&list_named("a"), "x")]), read, "/0/id"),
        (json!([single(&named(&long), "x")]), read, "/0/id"),
        (json!([single(&named("a"), 7)]), read, "/0/value"),
        (json!([single(&named("a"), true)]), read, "/0/value"),
        (json!([single(&named("a"), json!(["x"]))]), read, "/0/value"),
        (json!([{"id": named("a"), "value": "x", "name": "y"}]), read, "/0/name"),
        (
            json!([single(&named("a"), "x"), single(&named("a").to_lowercase().replace("name a", "NAME a"), "y")]),
            read,
            "/1/id",
        ),
        (json!(vec![single(&named("a"), "x"); 101]), limit, ""),
        (json!([single(&named("a"), "x".repeat(1 << 20))]), limit, ""),
    ] {
        for (method, path) in [
            ("POST", "/me/contacts"),
            ("PATCH", contact.as_str()),
            ("POST", "/v1.0/me/contactFolders"),
            ("PATCH", "/me/contactFolders/contacts"),
        ] {
            let body = json!({"displayName": "Contacts", SINGLE: value}).to_string();
            let refused = ann.send(method, path, Some(body.into_bytes())).error();
            assert_eq!(
                refused,
                (400, code.into(), format!("{SINGLE}{target}")),
                "{method} {path} {}",
                value.to_string().get(..80).unwrap_or_default()
            );
        }
    }
    for (value, code, target) in [
        (json!([single(&named("a"), json!(["x"]))]), read, "/0/id"),
        (json!([single(&list_named("a"), "x")]), read, "/0/value"),
        (json!([single(&list_named("a"), json!(["x", null]))]), read, "/0/value/1"),
        (json!([single(&list_named("a"), json!(vec!["x"; 101]))]), limit, "/0/value"),
    ] {
        let refused = ann.post("/me/contacts", json!({MULTI: value})).error();
        assert_eq!(refused, (400, code.into(), format!("{MULTI}{target}")));
    }
    // A value that does not match its type is kept, except in strict handling.
    let strict = ann.with("Prefer", "handling=strict");
    let odd = json!({SINGLE: [single("Integer 0x1", "x"), single("Boolean 0x2", "true"), single("SystemTime 0x3", "now")],
                     MULTI: [single("BinaryArray 0x4", json!(["AAA=", "?"]))]});
    for (method, path) in
        [("POST", "/me/contacts"), ("PATCH", contact.as_str()), ("PATCH", "/me/contactFolders/contacts")]
    {
        let refused = strict.send(method, path, Some(odd.to_string().into_bytes())).json(400);
        let details = refused["error"]["details"].as_array().unwrap();
        let targets: Vec<_> = details.iter().map(|detail| detail["target"].as_str().unwrap()).collect();
        let mut expected = vec![format!("{SINGLE}/0/value"), format!("{SINGLE}/2/value"), format!("{MULTI}/0/value/1")];
        // Members are read in the order of the body.
        expected.sort();
        let mut targets: Vec<_> = targets.into_iter().map(str::to_owned).collect();
        targets.sort();
        assert_eq!(targets, expected);
    }
    assert_eq!(
        app.sql("select (select count(*) from contacts), (select count(*) from folders), (select seq from mailboxes)"),
        format!("1|1|{before}")
    );
    ann.patch(&contact, &odd).json(200);
    assert_eq!(shown(&ann, &contact, SINGLE), odd[SINGLE]);
    assert_eq!(shown(&ann, &contact, MULTI), odd[MULTI]);
}

#[test]
fn the_number_of_extended_properties_is_limited() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let values_of = |range: std::ops::Range<usize>| json!({SINGLE: range.map(|i| single(&named(&i.to_string()), "x")).collect::<Vec<_>>()});
    for (one, body) in [("/me/contacts", json!({})), ("/me/contactFolders", json!({"displayName": "F"}))] {
        let one = format!("{one}/{}", ann.post(one, body).id());
        ann.patch(&one, values_of(0..60)).json(200);
        ann.patch(&one, values_of(50..100)).json(200);
        let full = ann.patch(&one, values_of(99..101));
        assert_eq!(full.error(), (403, "quotaLimitReached".into(), String::new()));
        assert_eq!(shown(&ann, &one, SINGLE).as_array().unwrap().len(), 100);
        let mut exchange = values_of(100..101);
        exchange[SINGLE].as_array_mut().unwrap().insert(0, single(&named("7"), Value::Null));
        ann.patch(&one, exchange).json(200);
        let large = |name: &str| json!({SINGLE: [single(&named(name), "x".repeat(600_000))]});
        ann.patch(&one, large("8")).json(200);
        assert_eq!(ann.patch(&one, large("9")).error().1, "quotaLimitReached");
        assert_eq!(shown(&ann, &one, SINGLE)[8], single(&named("9"), "x"));
    }
}

#[test]
fn no_concurrent_extended_property_change_is_lost() {
    let app = TestApp::new();
    let contact_path = format!("/me/contacts/{}", app.user("ann").post("/me/contacts", "{}").id());
    let statuses = at_once(6, |i| {
        let ann = app.user("ann");
        let set =
            |j: usize| ann.patch(&contact_path, json!({SINGLE: [single(&named(&format!("{i}.{j}")), "x")]})).status;
        (0..4).map(set).collect::<Vec<_>>()
    });
    assert!(statuses.concat().iter().all(|status| *status == 200));
    assert_eq!(shown(&app.user("ann"), &contact_path, SINGLE).as_array().unwrap().len(), 24);
}

#[test]
fn extended_properties_are_deleted_and_restored_with_their_owner() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let properties = json!({SINGLE: [single(&named("a"), "x")], MULTI: [single(&list_named("b"), json!(["y"]))]});
    let rows = "select (select count(*) from single_values), (select count(*) from multi_value_properties), (select count(*) from multi_values), \
                (select count(*) from folder_single_values), (select count(*) from folder_multi_value_properties), (select count(*) from folder_multi_values)";
    let id = ann.post("/me/contacts", &properties).id();
    let contact_path = format!("/me/contacts/{id}");
    ann.delete(&contact_path).empty(204);
    assert_eq!(shown(&ann, &format!("/me/deletedContacts/{id}"), SINGLE), properties[SINGLE]);
    ann.post(&format!("/me/deletedContacts/{id}/restore"), "").json(200);
    assert_eq!(shown(&ann, &contact_path, MULTI), properties[MULTI]);
    ann.post(&format!("{contact_path}/permanentDelete"), "").empty(204);
    assert_eq!(app.sql(rows), "0|0|0|0|0|0");
    // A folder that was deleted and created again by another contact is another folder.
    ann.post("/me/contacts", json!({"parentFolderId": "Friends"}));
    ann.patch("/me/contactFolders/Friends", &properties).json(200);
    assert_eq!(app.sql(rows), "0|0|0|1|1|1");
    ann.delete("/me/contactFolders/Friends").empty(204);
    ann.post("/me/contacts", json!({"parentFolderId": "Friends"}));
    assert_eq!(shown(&ann, "/me/contactFolders/Friends", SINGLE), json!([]));
    ann.patch("/me/contactFolders/Friends", &properties).json(200);
    ann.post("/me/contactFolders/Friends/permanentDelete", "").empty(204);
    assert_eq!(app.sql(rows), "0|0|0|0|0|0");
}

#[test]
fn a_repeated_create_of_a_folder_sets_its_extended_properties_once() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Idempotency-Key", "1");
    let body = json!({"displayName": "F", SINGLE: [single(&named("a"), "x")]});
    let first = ann.post("/me/contactFolders", &body);
    assert_eq!((first.status, ann.post("/me/contactFolders", &body).body), (201, first.body.clone()));
    assert_eq!(shown(&ann, &format!("/me/contactFolders/{}", first.id()), SINGLE), body[SINGLE]);
    assert_eq!(app.count("select count(*) from folder_single_values"), 1);
}

#[test]
fn extended_properties_of_other_owners_are_not_visible() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let set = |value: &str| json!({"parentFolderId": "shared", SINGLE: [single(&named("a"), value)]});
    for (client, value) in [(&ann, "anns"), (&bob, "bobs")] {
        client.post("/me/contacts", set(value));
        client.patch("/me/contactFolders/shared", json!({SINGLE: [single(&named("a"), value)]})).json(200);
    }
    for (client, own, other) in [(&ann, "anns", "bobs"), (&bob, "bobs", "anns")] {
        for path in ["/me/contacts", "/me/contactFolders"] {
            let found = client.get(&format!("{path}?$expand={SINGLE}")).json(200).to_string();
            assert!(found.contains(own) && !found.contains(other), "{path}: {found}");
            let filter = percent_encode(&format!("{SINGLE}/any(p:p/value eq '{other}')"));
            assert_eq!(client.get(&format!("{path}?$filter={filter}")).json(200)["value"], json!([]));
        }
    }
}

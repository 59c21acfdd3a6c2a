//! Open extensions: what is put into a contact comes back as it was put.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use super::concurrency::at_once;
use super::pictures::assert_error;
use crate::app::{Answer, Client, TestApp, V1_JSON};

const NOT_FOUND: (u16, &str) = (404, "ErrorItemNotFound");

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// An answer as text without what is made up: the context's address, and the version.
fn bare(client: &Client, path: &str) -> String {
    text(&client.with("Accept", "application/json;odata.metadata=none").get(path))
}

fn contact(client: &Client) -> String {
    format!("/me/contacts/{}", client.post("/me/contacts", "{}").id())
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|extension| extension["extensionName"].as_str().unwrap()).collect()
}

#[test]
fn an_extension_is_made_read_changed_and_taken_away_under_every_address() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let id = ann.post(&format!("/me/contactFolders/{work}/contacts"), "{}").id();
    let before = ann.get(&format!("/me/contacts/{id}")).json(200);
    for (prefix, media) in [("", "application/json"), ("/beta", "application/json"), ("/v1.0", V1_JSON)] {
        for owner in ["/me".to_owned(), format!("/users/ann/contactFolders/{work}")] {
            let path = format!("{prefix}{owner}/contacts/{id}/extensions");
            let body = json!({"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": "Com.Example.a",
                "theme": "dark", "sizes": [1, null, "x", true], "gone": null, "theme@odata.type": "#String", "id": "mine"});
            let created = ann.post(&path, body);
            let root = format!("http://{}{prefix}", app.address);
            let full = "microsoft.graph.openTypeExtension.Com.Example.a";
            let expected = json!({
                "@odata.context": format!("{root}/$metadata#users('ann')/contacts('{id}')/extensions/$entity"),
                "@odata.etag": created.header("etag"), "@odata.type": "#microsoft.graph.openTypeExtension",
                "id": full, "extensionName": "Com.Example.a", "theme": "dark", "sizes": [1, null, "x", true],
            });
            assert_eq!(created.json(201), expected);
            assert!(created.body.starts_with(b"{\"@odata.context\""));
            assert_eq!(created.header("content-type"), media);
            let location = format!("{root}/users('ann')/contacts('{id}')/extensions('{full}')");
            assert_eq!(created.header("location"), location);
            for name in [
                "/Com.Example.a",
                "('Com.Example.a')",
                "/microsoft.graph.openTypeExtension.Com.Example.a",
                "('MICROSOFT.OutlookServices.OpenTypeExtension.Com.Example.a')",
            ] {
                let read = ann.get(&format!("{path}{name}"));
                assert_eq!((read.json(200), read.header("etag")), (expected.clone(), created.header("etag")), "{name}");
            }
            assert_eq!(ann.get(&location).json(200)["id"], full);
            let same = ann.with("If-None-Match", &created.header("etag")).get(&format!("{path}/Com.Example.a"));
            same.empty(304);
            let mut list = ann.get(&format!("{path}?$count=true")).json(200);
            let context = list["@odata.context"].take();
            assert_eq!(context, format!("{root}/$metadata#users('ann')/contacts('{id}')/extensions"));
            let mut one = expected.clone();
            one.as_object_mut().unwrap().remove("@odata.context");
            assert_eq!((&list["value"], &list["@odata.count"]), (&json!([one]), &json!(1)));
            let change = json!({"theme": null, "SIZES": 7, "new": false, "extensionName": full});
            let changed = ann.patch(&format!("{path}/{full}"), change);
            let mut after = expected.clone();
            after["@odata.etag"] = json!(changed.header("etag"));
            for name in ["theme", "sizes"] {
                after.as_object_mut().unwrap().remove(name);
            }
            after["SIZES"] = json!(7);
            after["new"] = json!(false);
            assert_eq!(changed.json(200), after);
            assert_ne!(changed.header("etag"), created.header("etag"));
            assert_eq!(
                bare(&ann, &format!("{path}/Com.Example.a")),
                format!(r#"{{"id":"{full}","extensionName":"Com.Example.a","SIZES":7,"new":false}}"#)
            );
            // What says nothing changes nothing.
            let tag = changed.header("etag");
            assert_eq!(ann.patch(&format!("{path}/Com.Example.a"), "{}").header("etag"), tag);
            let minimal = ann.with("Prefer", "return=minimal").patch(&format!("{path}/Com.Example.a"), r#"{"a":1}"#);
            minimal.empty(204);
            assert_eq!(minimal.header("preference-applied"), "return=minimal");
            ann.delete(&format!("{path}('{full}')")).empty(204);
            assert_error(&ann.get(&format!("{path}/Com.Example.a")), NOT_FOUND);
            assert_error(&ann.delete(&format!("{path}/Com.Example.a")), NOT_FOUND);
            assert_error(&ann.patch(&format!("{path}/Com.Example.a"), "{}"), NOT_FOUND);
            assert_eq!(ann.get(&path).json(200)["value"], json!([]));
        }
    }
    // Nothing of this is a change of the contact.
    assert_eq!(ann.get(&format!("/me/contacts/{id}")).json(200), before);
    assert_eq!(app.count("select count(*) from extension_members"), 0);
    assert_eq!(app.count("select count(*) from changes where contact_id is not null"), 1);
}

#[test]
fn what_is_put_in_comes_back_to_the_byte() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let path = format!("{}/extensions", contact(&ann));
    let members = r#""big":12345678901234567890.10,"huge":1e400,"zero":-0.0,"one":1.00,"list":[1E+2,"1e400",-0,null,true],"t":"é\u001f\\\"😀 ","__proto__":{"constructor":[{}]},"a b":"","é":0.1000000000000000055511151231257827"#;
    let answer = ann.post(&path, format!("{{\"extensionName\":\"x\",{members}}}"));
    assert_eq!(answer.status, 201);
    let whole = format!(r#"{{"id":"microsoft.graph.openTypeExtension.x","extensionName":"x",{members}}}"#);
    assert!(text(&answer).ends_with(&format!(",{members}}}")), "{}", text(&answer));
    assert_eq!(bare(&ann, &format!("{path}/x")), whole);
    ann.patch(&format!("{path}/x"), r#"{"later":1.0e-999}"#);
    let more = whole.strip_suffix('}').unwrap().to_owned() + r#","later":1.0e-999}"#;
    assert_eq!(bare(&ann, &format!("{path}/x")), more);
    let contact = path.trim_end_matches("/extensions");
    assert!(bare(&ann, &format!("{contact}?$expand=extensions")).ends_with(&format!(r#""extensions":[{more}]}}"#)));
    assert!(bare(&ann, "/me/contacts?$expand=extensions").contains(&more));
    // Inline, and in a batch.
    let inline = format!(r#"{{"extensions":[{{"extensionName":"y",{members}}}]}}"#);
    assert!(text(&ann.post("/me/contacts", &inline)).contains(members));
    let step = |id: &str, method: &str, url: &str, body: &str| {
        format!(
            r#"{{"id":"{id}","method":"{method}","url":"{url}","headers":{{"Content-Type":"application/json"}},"body":{body}}}"#
        )
    };
    let steps = [
        step("1", "POST", "/me/contacts", &inline),
        step("2", "POST", &path, &format!("{{\"extensionName\":\"z\",{members}}}")),
        step("3", "PATCH", &format!("{path}/z"), r#"{"n":9e99999}"#),
    ];
    let answers = text(&ann.post("/$batch", format!("{{\"requests\":[{}]}}", steps.join(","))));
    assert_eq!(answers.matches(members).count(), 3, "{answers}");
    assert!(answers.contains(r#""n":9e99999"#), "{answers}");
    // The same after a restart.
    let app = app.restarted();
    assert_eq!(bare(&app.user("ann"), &format!("{path}/x")), more);
}

#[test]
fn a_new_contact_may_come_with_extensions() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let extension =
        |name: &str| json!({"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": name, "n": 1});
    let below = format!("/me/contactFolders/{work}/contacts");
    for (prefix, path) in
        [("", "/me/contacts"), ("/v1.0", "/me/contacts"), ("", "/me/contacts/$ref"), ("/v1.0", &below), ("", &below)]
    {
        let body = json!({"surname": "Lee", "Extensions": [extension("b"), extension("microsoft.graph.openTypeExtension.a")],
            "extensions@odata.context": "x"});
        let created = ann.post(&format!("{prefix}{path}"), &body);
        let (shown, id) = (created.json(201), created.id());
        assert_eq!(names(&shown["extensions"]), ["b", "a"]);
        let metadata = format!("http://{}{prefix}/$metadata#users('ann')/contacts", app.address);
        assert_eq!(shown["@odata.context"], format!("{metadata}(extensions())/$entity"));
        assert_eq!(shown["extensions@odata.context"], format!("{metadata}('{id}')/extensions"));
        let etag = &shown["extensions"][0]["@odata.etag"];
        assert_eq!(*etag, created.header("etag"), "they are of the contact's own write");
        assert_eq!(ann.get(&format!("{prefix}/me/contacts/{id}?$expand=extensions")).json(200), shown);
        // Without being asked for they are not shown.
        assert!(ann.get(&format!("{prefix}/me/contacts/{id}")).json(200).get("extensions").is_none());
        // With a key, and again.
        let once = ann.with("Idempotency-Key", &format!("{prefix}{path}"));
        let first = once.post(&format!("{prefix}{path}"), &body);
        assert_eq!(names(&first.json(201)["extensions"]), ["b", "a"]);
        let again = once.post(&format!("{prefix}{path}"), &body);
        assert_eq!((again.status, &again.body), (201, &first.body));
        let minimal = ann.with("Prefer", "return=minimal").post(&format!("{prefix}{path}"), &body);
        minimal.empty(204);
    }
    assert_eq!(app.count("select count(*) from contacts"), 15);
    assert_eq!(app.count("select count(*) from extensions"), 30);
    // One change each, as without.
    assert_eq!(app.count("select count(*) from changes where contact_id is not null"), 15);
    // Together with others that wait for the same commit, and of those one that is refused.
    let step = |id: usize, body: Value| {
        json!({"id": id.to_string(), "method": "POST", "url": "/me/contacts",
            "headers": {"Content-Type": "application/json"}, "body": body})
    };
    let steps: Vec<_> = (0..20)
        .map(|i| match i {
            3 => step(i, json!({"extensions": [{"n": 1}]})),
            i if i % 2 == 0 => step(i, json!({"surname": format!("s{i}")})),
            i => step(i, json!({"surname": format!("s{i}"), "extensions": [extension("org.x")]})),
        })
        .collect();
    let answers = ann.post("/$batch", json!({"requests": steps})).json(200);
    for (i, answer) in answers["responses"].as_array().unwrap().iter().enumerate() {
        assert_eq!(answer["status"], if i == 3 { 400 } else { 201 }, "{answer}");
        assert_eq!(answer["body"].get("extensions").is_some(), i % 2 == 1 && i != 3, "{answer}");
    }
    assert_eq!(app.count("select count(*) from extensions"), 39);
}

#[test]
fn what_is_no_extension_is_refused_and_nothing_is_stored() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let one = contact(&ann);
    let path = format!("{one}/extensions");
    let long = "x".repeat(129);
    let many = (0..101).map(|i| format!("\"m{i}\":1")).collect::<Vec<_>>().join(",");
    let large = "x".repeat(64 << 10);
    let (read, limit) = ("RequestBodyRead", "ErrorPropertyValidationFailure");
    for (body, code, target) in [
        ("{}".to_owned(), read, "extensionName"),
        (r#"{"extensionName":null}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":7}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":""}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"a b"}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"a/b"}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"é"}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"$count"}"#.to_owned(), read, "extensionName"),
        (format!(r#"{{"extensionName":"{long}"}}"#), read, "extensionName"),
        (format!(r#"{{"extensionName":"a","{long}":1}}"#), limit, "LONG"),
        (r#"{"extensionName":"a","":1}"#.to_owned(), limit, ""),
        (format!(r#"{{"extensionName":"a",{many}}}"#), limit, ""),
        (format!(r#"{{"extensionName":"a","m":"{large}"}}"#), limit, ""),
        (r#"{"extensionName":"a","n":1,"N":2}"#.to_owned(), "UnableToDeserializePostBody", ""),
        (r#"{"extensionName":"a","n":01}"#.to_owned(), "UnableToDeserializePostBody", ""),
        (r#"{"extensionName":"a","n":"\u0000"}"#.to_owned(), "UnableToDeserializePostBody", ""),
        (r#"{"extensionName":"a","n":NaN}"#.to_owned(), "UnableToDeserializePostBody", ""),
        ("[]".to_owned(), read, ""),
        ("7".to_owned(), read, ""),
    ] {
        let shown = body.get(..60).unwrap_or(&body);
        let (status, found, at) = ann.post(&path, &body).error();
        assert_eq!((status, found.as_str()), (400, code), "{shown}");
        let is_long = target == "LONG" && at.starts_with("xxx") && at.len() < 80;
        assert!(at == target || is_long, "{shown}: {at}");
        if code != "UnableToDeserializePostBody" && body != "7" && body != "[]" {
            // The same inline, at its place.
            let (status, found, at) = ann.post("/me/contacts", format!("{{\"extensions\":[{body}]}}")).error();
            assert_eq!((status, found.as_str()), (400, code), "{shown}");
            assert!(at.starts_with("extensions/0") && (at.ends_with(target) || is_long), "{shown}: {at}");
        }
    }
    for (body, target) in [
        (json!({"extensions": {}}), "extensions"),
        (json!({"extensions": [7]}), "extensions/0"),
        (
            json!({"extensions": [{"extensionName": "a"}, {"extensionName": "microsoft.graph.openTypeExtension.a"}]}),
            "extensions/1/extensionName",
        ),
        (json!({"extensions": vec![json!({"extensionName": "a"}); 101]}), "extensions"),
        (
            json!({"extensions": (0..17).map(|i| json!({"extensionName": format!("a{i}"), "m": "x".repeat(65_000)})).collect::<Vec<_>>()}),
            "extensions",
        ),
    ] {
        let (status, _, at) = ann.post("/me/contacts", &body).error();
        assert_eq!((status, at.as_str()), (400, target));
    }
    // Those of a contact that is there have addresses of their own.
    let (status, code, at) = ann.patch(&one, json!({"extensions": [{"extensionName": "a"}]})).error();
    assert_eq!((status, code.as_str(), at.as_str()), (400, read, "extensions"));
    assert_eq!(ann.patch(&one, json!({"extensions": [], "title": "x"})).status, 200);
    assert_eq!(app.sql("select (select count(*) from contacts), (select count(*) from extensions)"), "1|0");

    assert_eq!(ann.post(&path, r#"{"extensionName":"a"}"#).status, 201);
    for again in ["a", "Microsoft.OutlookServices.OpenTypeExtension.a"] {
        assert_error(&ann.post(&path, json!({"extensionName": again})), (409, "nameAlreadyExists"));
    }
    assert_eq!(ann.post(&path, r#"{"extensionName":"A"}"#).status, 201, "names are of exact case, as ids are");
    let renamed = ann.patch(&format!("{path}/a"), json!({"extensionName": "b", "n": 1})).error();
    assert_eq!(renamed, (400, "ErrorInvalidPropertySet".into(), "extensionName".into()));
    assert_error(&ann.patch(&format!("{path}/a"), format!("{{{many}}}")), (400, limit));
    for (method, at, allow) in [
        ("PUT", path.clone(), "GET, POST"),
        ("DELETE", path.clone(), "GET, POST"),
        ("PUT", format!("{path}/a"), "GET, PATCH, DELETE"),
    ] {
        let answer = ann.send(method, &at, Some(b"{}".to_vec()));
        assert_error(&answer, (405, "methodNotAllowed"));
        assert_eq!(answer.header("allow"), allow);
    }
    assert_error(&ann.with("Content-Type", "text/plain").post(&path, "{}"), (415, "notSupported"));
    for option in ["$top=1", "$skip=1", "$orderby=id", "$select=id", "$expand=x", "$search=x", "$skiptoken=x"] {
        let refused = ann.get(&format!("{path}?{option}")).error();
        assert_eq!((refused.0, refused.1.as_str()), (400, "BadRequest"), "{option}");
    }
    assert_eq!(
        ann.get(&format!("{path}?$filter=id+eq+'a'+or+id+in+('x','A')")).json(200)["value"].as_array().unwrap().len(),
        2
    );
    assert_eq!(ann.get(&format!("{path}?$filter=extensionName+ne+'a'")).error().0, 400);
    assert_eq!(ann.get(&format!("{path}/a?$select=id")).error().0, 400);
    assert_eq!(bare(&ann, &format!("{path}/a")), r#"{"id":"microsoft.graph.openTypeExtension.a","extensionName":"a"}"#);
}

#[test]
fn strict_handling_takes_what_graph_takes() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Prefer", "handling=strict");
    let path = format!("{}/extensions", contact(&ann));
    let body = json!({"extensionName": "a", "ok_1": [1, "x", null], "deep": {"x": 1}, "deeper": [[1]], "a b": 1});
    let refused = ann.post(&path, &body).json(400);
    let targets = |refused: &Value| {
        let details = refused["error"]["details"].as_array().unwrap().iter();
        details.map(|detail| detail["target"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(targets(&refused), ["a b", "deep", "deeper"]);
    let inline = ann.post("/me/contacts", json!({"extensions": [body]})).json(400);
    assert_eq!(targets(&inline), ["extensions/0/a b", "extensions/0/deep", "extensions/0/deeper"]);
    assert_eq!(ann.post(&path, json!({"extensionName": "a", "ok_1": [1, "x", null]})).status, 201);
    assert_eq!(
        ann.patch(&format!("{path}/a"), json!({"deep": {}})).error(),
        (400, "RequestBodyRead".into(), "deep".into())
    );
    // One relationship in a request, and a filter on ids.
    let contact = path.trim_end_matches("/extensions");
    for at in ["/me/contacts", contact] {
        let both = ann.get(&format!("{at}?$expand=extensions,singleValueExtendedProperties"));
        assert_eq!(both.error(), (400, "BadRequest".into(), "$expand".into()));
        assert_eq!(ann.get(&format!("{at}?$expand=extensions($filter=id+eq+'a')")).status, 200);
    }
    let found = ann.get("/me/contacts?$filter=extensions/any(f:f/id+eq+'a')").json(200);
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
    assert_eq!(app.count("select count(*) from extensions"), 1);
}

#[test]
fn extensions_are_shown_with_contacts_and_found_by_their_ids() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let make = |i: usize, names: &[&str]| {
        let extensions: Vec<_> = names.iter().map(|name| json!({"extensionName": name, "i": i})).collect();
        let body = json!({"surname": format!("s{i}"), "extensions": extensions});
        ann.post(&format!("/me/contactFolders/{work}/contacts"), body).id()
    };
    let ids = [make(0, &["a", "b"]), make(1, &[]), make(2, &["b"]), make(3, &["A"])];
    let expanded = |path: &str, expand: &str| {
        let sign = if path.contains('?') { '&' } else { '?' };
        ann.get(&format!("{path}{sign}$expand={}", percent_encode(expand))).json(200)
    };
    let all = expanded(&format!("/v1.0/me/contactFolders/{work}/contacts?$select=surname"), "extensions");
    let shown: Vec<_> = all["value"].as_array().unwrap().iter().map(|c| names(&c["extensions"])).collect();
    assert_eq!(shown, [vec!["a", "b"], vec![], vec!["b"], vec!["A"]]);
    let metadata = format!("http://{}/v1.0/$metadata#users('ann')", app.address);
    assert_eq!(all["@odata.context"], format!("{metadata}/contactFolders('{work}')/contacts(surname,extensions())"));
    let first = &all["value"][0];
    assert_eq!(first["extensions@odata.context"], format!("{metadata}/contacts('{}')/extensions", ids[0]));
    assert_eq!(first["extensions"][1]["@odata.type"], "#microsoft.graph.openTypeExtension");
    assert_eq!(first.as_object().unwrap().len(), 5, "{first}");
    for filter in ["id eq 'b'", "'B' eq id or id eq 'microsoft.graph.openTypeExtension.b'", "id in ('x','b',null)"] {
        let some = expanded("/me/contacts", &format!("Extensions( $filter = {filter} )"));
        let shown: Vec<_> = some["value"].as_array().unwrap().iter().map(|c| names(&c["extensions"])).collect();
        assert_eq!(shown, [vec!["b"], vec![], vec!["b"], vec![]], "{filter}");
    }
    let aliased = ann.get("/me/contacts?$expand=extensions($filter=id+eq+@p)&@p='A'").json(200);
    assert_eq!(names(&aliased["value"][3]["extensions"]), ["A"]);
    // Page by page, the option stays.
    let mut next = Some("/me/contacts?$top=1&$expand=extensions".to_owned());
    let mut walked = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        walked.push(names(&page["value"][0]["extensions"]).len());
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
    }
    assert_eq!(walked, [2, 0, 1, 1]);
    let one = format!("/me/contacts/{}", ids[0]);
    let tag = ann.get(&one).header("etag");
    let same = ann.with("If-None-Match", &tag);
    // The contact's version says nothing of its extensions.
    assert_eq!((same.get(&one).status, same.get(&format!("{one}?$expand=extensions")).status), (304, 200));
    for (filter, found) in [
        ("extensions/any(f:f/id eq 'b')", vec!["s0", "s2"]),
        ("extensions/any(f:f/id eq 'Microsoft.OutlookServices.OpenTypeExtension.a')", vec!["s0"]),
        ("Extensions/any(f:f/extensionName eq 'A') or not extensions/any()", vec!["s1", "s3"]),
        ("extensions/any(f:f/id ne 'b')", vec!["s0", "s3"]),
        ("extensions/$count eq 1 and surname ne 's3'", vec!["s2"]),
    ] {
        for prefix in ["", "/v1.0"] {
            let path = format!("{prefix}/me/contactFolders/{work}/contacts");
            let filter = percent_encode(filter);
            let list = ann.get(&format!("{path}?$filter={filter}&$orderby=surname&$expand=extensions")).json(200);
            let names: Vec<_> =
                list["value"].as_array().unwrap().iter().map(|c| c["surname"].as_str().unwrap()).collect();
            assert_eq!(names, found, "{filter}");
            assert_eq!(ann.get(&format!("{path}/$count?$filter={filter}")).body, found.len().to_string().as_bytes());
        }
    }
    for (filter, said) in [
        ("extensions/any(f:f/theme eq 'x')", "named 'theme'"),
        ("extensions/any(f:startswith(f/id,'x'))", "takes a String"),
        ("extensions/any(f:f eq 'x')", "use one of f/{id, extensionName}"),
        ("extensions eq 'x'", "is a collection"),
        ("extensions/any(f:f/id gt 'x')", "cannot compare"),
    ] {
        let refused = ann.get(&format!("/me/contacts?$filter={}", percent_encode(filter)));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$filter".into()), "{filter}");
        assert!(refused.message().contains(said), "{}", refused.message());
    }
    for (expand, target) in [
        ("extensions($filter=id ne 'a')", "$expand/extensions/$filter"),
        ("extensions($filter=id eq 7)", "$expand/extensions/$filter"),
        ("extensions($filter=startswith(id,'a'))", "$expand/extensions/$filter"),
        ("extensions($select=id)", "$expand/extensions/$select"),
        ("extensions($top=1)", "$expand/extensions/$top"),
        ("extensions,Extensions", "$expand"),
    ] {
        let refused = ann.get(&format!("/me/contacts?$expand={}", percent_encode(expand)));
        assert_eq!(refused.error(), (400, "BadRequest".into(), target.into()), "{expand}");
    }
    for path in ["/me/contacts/delta", &format!("/me/contactFolders/{work}/contacts/delta"), "/me/contacts/$ref"] {
        assert_eq!(
            ann.get(&format!("{path}?$expand=extensions")).error(),
            (400, "BadRequest".into(), "$expand".into())
        );
    }
}

#[test]
fn a_page_with_much_in_extensions_ends_early_and_the_walk_goes_on() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let mut all = Vec::new();
    for i in 0..11 {
        let extension = |j: usize| json!({"extensionName": format!("a{j}"), "m": "x".repeat(65_000)});
        let count = if i % 2 == 0 { 16 } else { 0 };
        let body = json!({"surname": format!("s{i:02}"), "extensions": (0..count).map(extension).collect::<Vec<_>>()});
        all.push(ann.post("/me/contacts", body).id());
    }
    for order in ["", "&$orderby=surname", "&$orderby=length(surname)"] {
        let mut next = Some(format!("/me/contacts?$top=1000&$select=id&$expand=extensions{order}"));
        let (mut found, mut pages) = (Vec::new(), 0);
        while let Some(path) = next {
            let page = ann.get(&path);
            assert!(page.body.len() < 6 << 20, "{}", page.body.len());
            let page = page.json(200);
            found.extend(page["value"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()));
            next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            pages += 1;
        }
        assert_eq!((&found, pages), (&all, 2));
    }
}

#[test]
fn a_contact_has_so_many_extensions_and_so_much_in_them() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let many = (0..100).map(|i| json!({"extensionName": format!("a{i}")})).collect::<Vec<_>>();
    let id = ann.post("/me/contacts", json!({"extensions": many})).id();
    let path = format!("/me/contacts/{id}/extensions");
    assert_error(&ann.post(&path, json!({"extensionName": "one.more"})), (403, "quotaLimitReached"));
    ann.delete(&format!("{path}/a7")).empty(204);
    assert_eq!(ann.post(&path, json!({"extensionName": "one.more"})).status, 201);
    let list = ann.get(&path).json(200);
    assert_eq!(names(&list["value"])[99], "one.more", "the latest is the last");
    let large = json!({"m": "x".repeat(65_000)});
    for i in 20..36 {
        assert_eq!(ann.patch(&format!("{path}/a{i}"), &large).status, 200);
    }
    assert_error(&ann.patch(&format!("{path}/a40"), &large), (403, "quotaLimitReached"));
    let before = bare(&ann, &path);
    let mut new = large.clone();
    new["extensionName"] = json!("a7");
    ann.delete(&format!("{path}/a8")).empty(204);
    assert_error(&ann.post(&path, new), (403, "quotaLimitReached"));
    let gone = r#"{"id":"microsoft.graph.openTypeExtension.a8","extensionName":"a8"},"#;
    assert_eq!(bare(&ann, &path), before.replace(gone, ""), "what is refused leaves nothing behind");
    assert_eq!(ann.patch(&format!("{path}/a20"), json!({"m": null})).status, 200);
    assert_eq!(ann.patch(&format!("{path}/a40"), &large).status, 200);
}

#[test]
fn a_write_goes_ahead_on_the_version_it_expects() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let path = format!("{}/extensions", contact(&ann));
    let made = ann.post(&path, r#"{"extensionName":"a","n":1}"#);
    let one = format!("{path}/a");
    let position: i64 = made.header("contactd-position").parse().unwrap();
    let changed = ann.with("If-Match", &made.header("etag")).patch(&one, r#"{"n":2}"#);
    assert_eq!((changed.status, changed.header("contactd-position")), (200, (position + 1).to_string()));
    let stale = ann.with("If-Match", &made.header("etag"));
    assert_error(&stale.patch(&one, r#"{"n":3}"#), (412, "ErrorIrresolvableConflict"));
    assert_error(&stale.delete(&one), (412, "ErrorIrresolvableConflict"));
    assert_error(&ann.with("If-None-Match", "*").patch(&one, r#"{"n":3}"#), (412, "ErrorIrresolvableConflict"));
    assert_eq!(ann.get(&one).json(200)["n"], 2);
    let gone = ann.with("If-Match", &changed.header("etag")).delete(&one);
    gone.empty(204);
    assert_eq!(gone.header("contactd-position"), (position + 2).to_string());
    // One that is made again is another.
    let again = ann.post(&path, r#"{"extensionName":"a","n":1}"#);
    assert_ne!(again.header("etag"), made.header("etag"));
}

#[test]
fn of_concurrent_writes_none_is_lost() {
    let app = TestApp::new();
    let path = format!("{}/extensions", contact(&app.user("ann")));
    assert_eq!(app.user("ann").post(&path, r#"{"extensionName":"a"}"#).status, 201);
    let statuses = at_once(8, |i| {
        let ann = app.user("ann");
        (0..5)
            .map(|j| ann.patch(&format!("{path}/a"), json!({format!("m{i}_{j}"): i * 10 + j})).status)
            .collect::<Vec<_>>()
    });
    assert!(statuses.concat().iter().all(|status| *status == 200));
    let shown = app.user("ann").get(&format!("{path}/a")).json(200);
    for (i, j) in (0..8).flat_map(|i| (0..5).map(move |j| (i, j))) {
        assert_eq!(shown[format!("m{i}_{j}")], i * 10 + j);
    }
    // Of those that make one name, one does.
    let mut statuses = at_once(8, |i| app.user("ann").post(&path, json!({"extensionName": "b", "i": i})).status);
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    // Of those that expect one state, one wins.
    let tag = app.user("ann").get(&format!("{path}/b")).header("etag");
    let expecting = || app.user("ann").with("If-Match", &tag);
    let mut statuses = at_once(6, |i| expecting().patch(&format!("{path}/b"), json!({"won": i})).status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412]);
}

#[test]
fn extensions_go_and_come_back_with_their_contact() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", json!({"extensions": [{"extensionName": "a", "n": 1}]})).id();
    let (one, path) = (format!("/me/contacts/{id}"), format!("/me/contacts/{id}/extensions"));
    let before = bare(&ann, &path);
    ann.delete(&one).empty(204);
    for answer in [
        ann.get(&path),
        ann.get(&format!("{path}/a")),
        ann.post(&path, r#"{"extensionName":"b"}"#),
        ann.patch(&format!("{path}/a"), r#"{"n":2}"#),
        ann.delete(&format!("{path}/a")),
    ] {
        assert_error(&answer, NOT_FOUND);
    }
    let trash = ann.get("/me/deletedContacts?$expand=extensions").json(200);
    assert_eq!(names(&trash["value"][0]["extensions"]), ["a"]);
    let one_deleted = ann.get(&format!("/me/deletedContacts/{id}?$expand=extensions")).json(200);
    assert_eq!(names(&one_deleted["extensions"]), ["a"]);
    ann.post(&format!("/me/deletedContacts/{id}/restore"), "").json(200);
    assert_eq!(bare(&ann, &path), before);
    ann.post(&format!("{one}/permanentDelete"), "").empty(204);
    assert_eq!(app.sql("select (select count(*) from extensions), (select count(*) from extension_members)"), "0|0");
}

#[test]
fn a_follower_is_not_told_of_extensions() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let one = contact(&ann);
    let start = ann.get("/me/contacts/delta").json(200);
    let link = start["@odata.deltaLink"].as_str().unwrap();
    ann.post(&format!("{one}/extensions"), r#"{"extensionName":"a"}"#);
    ann.patch(&format!("{one}/extensions/a"), r#"{"n":1}"#);
    assert_eq!(ann.get(link).json(200)["value"], json!([]));
    ann.patch(&one, json!({"title": "x"}));
    assert_eq!(ann.get(link).json(200)["value"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_another_owners_or_elsewhere_is_not_found() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let id = ann.post("/me/contacts", json!({"extensions": [{"extensionName": "a"}]})).id();
    let body = Some(br#"{"extensionName":"b"}"#.to_vec());
    for (method, end) in [("GET", ""), ("POST", ""), ("GET", "/a"), ("PATCH", "/a"), ("DELETE", "/a")] {
        let at = |start: &str, id: &str| format!("{start}/contacts/{id}/extensions{end}");
        let send = |client: &Client, path: String| {
            client.send(method, &path, (method != "GET" && method != "DELETE").then(|| body.clone().unwrap()))
        };
        assert_error(&send(&bob, at("/me", &id)), NOT_FOUND);
        assert_error(&send(&bob, at("/users/ann", &id)), (404, "Request_ResourceNotFound"));
        assert_error(&send(&ann, at(&format!("/me/contactFolders/{work}"), &id)), NOT_FOUND);
        assert_error(&send(&ann, at("/me", "0190f0a0-0000-7000-8000-000000000000")), NOT_FOUND);
        assert_error(&send(&ann, at("/me", "x")), (400, "ErrorInvalidIdMalformed"));
        assert_eq!(send(&app.user(""), at("/me", &id)).status, 401);
    }
    assert_eq!(app.user("app:sync").get(&format!("/users/ann/contacts/{id}/extensions/a")).status, 200);
    assert_eq!(
        bare(&ann, &format!("/me/contacts/{id}/extensions/a")),
        r#"{"id":"microsoft.graph.openTypeExtension.a","extensionName":"a"}"#
    );
    let found = bob.get("/me/contacts?$filter=extensions/any(f:f/id+eq+'a')").json(200);
    assert_eq!(found["value"], json!([]));
}

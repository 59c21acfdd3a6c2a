//! The categories of a mailbox: names with colours.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

const PATH: &str = "/me/outlook/masterCategories";
const LIVE: &str = "select count(*) from master_categories where deleted_date_time is null";

fn create(client: &Client, name: &str, color: &str) -> String {
    client.post(PATH, json!({"displayName": name, "color": color})).id()
}

/// The names and colours in a list.
fn names_and_colors(client: &Client, path: &str) -> Vec<(String, String)> {
    let list = client.get(path).json(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list["value"].as_array().unwrap().iter().map(|c| (text(&c["displayName"]), text(&c["color"]))).collect()
}

fn names(client: &Client, path: &str) -> Vec<String> {
    names_and_colors(client, path).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_category_is_made_read_recoloured_and_deleted() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for prefix in ["", "/beta", "/v1.0"] {
        let root = format!("http://{}{prefix}", app.address);
        let created = ann.post(&format!("{prefix}{PATH}"), json!({"displayName": "Work", "color": "preset9"}));
        let (id, etag) = (created.id(), created.header("etag"));
        let context = format!("{root}/$metadata#users('ann')/outlook/masterCategories/$entity");
        let expected = json!({"@odata.context": context, "@odata.etag": etag, "id": id, "displayName": "Work", "color": "preset9"});
        assert_eq!(created.json(201), expected);
        assert_eq!(created.header("location"), format!("{root}/users('ann')/outlook/masterCategories('{id}')"));
        let path = format!("{prefix}/ME/Outlook/masterCATEGORIES('{id}')");
        let read = ann.get(&path);
        assert_eq!((read.status, &read.body, read.header("etag")), (200, &created.body, etag.clone()));
        assert_eq!(ann.get(&format!("{prefix}/users/ANN/outlook/masterCategories/{id}")).status, 200);
        let list = ann.get(&format!("{prefix}/users/Ann{}", PATH.trim_start_matches("/me"))).json(200);
        let mut entry = expected.clone();
        entry.as_object_mut().unwrap().remove("@odata.context");
        let context = format!("{root}/$metadata#users('Ann')/outlook/masterCategories");
        assert_eq!(list, json!({"@odata.context": context, "value": [entry]}));

        let recoloured = ann.patch(&path, json!({"color": "PRESET10"}));
        let position: i64 = created.header("contactd-position").parse().unwrap();
        assert_eq!(recoloured.header("contactd-position"), (position + 1).to_string());
        assert_ne!(recoloured.header("etag"), etag);
        assert_eq!(recoloured.json(200)["color"], "preset10");
        assert_eq!(ann.get(&path).body, recoloured.body);
        // Equal values and an equal name change nothing.
        for same in [json!({}), json!({"color": "preset10"}), json!({"displayName": "Work"})] {
            let answer = ann.patch(&path, same);
            assert_eq!((answer.header("etag"), &answer.body), (recoloured.header("etag"), &recoloured.body));
        }
        assert_eq!(ann.patch(&path, json!({"color": null, "displayName": "Work"})).json(200)["color"], "none");
        let deleted = ann.delete(&path);
        deleted.empty(204);
        assert_eq!(deleted.header("contactd-position"), (position + 3).to_string());
        let not_found = (404, "ErrorItemNotFound".into(), String::new());
        for answer in [ann.get(&path), ann.patch(&path, json!({"color": "none"})), ann.delete(&path)] {
            assert_eq!(answer.error(), not_found);
        }
        assert_eq!(ann.get(&format!("{prefix}{PATH}")).json(200)["value"], json!([]));
    }
}

#[test]
fn colours_are_accepted_in_any_case_and_answered_in_canonical_spelling() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let colors: Vec<_> = std::iter::once("none".to_owned()).chain((0..25).map(|i| format!("preset{i}"))).collect();
    for color in &colors {
        create(&ann, &format!("in {color}"), &color.to_uppercase());
    }
    let mut expected: Vec<_> = colors.iter().map(|color| (format!("in {color}"), color.clone())).collect();
    // Without one, and with none.
    for (name, body) in [("a", json!({"displayName": "a"})), ("b", json!({"displayName": "b", "color": null}))] {
        assert_eq!(ann.post(PATH, body).json(201)["color"], "none");
        expected.push((name.to_owned(), "none".to_owned()));
    }
    assert_eq!(names_and_colors(&ann, &format!("{PATH}?$top=100")), expected);
}

#[test]
fn a_category_name_is_unique_in_its_mailbox_and_immutable() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = create(&ann, "Straße", "preset1");
    let name_conflict = (409, "nameAlreadyExists".into(), String::new());
    for name in ["Straße", "STRAßE", "straẞe"] {
        assert_eq!(ann.post(PATH, json!({"displayName": name})).error(), name_conflict, "{name}");
    }
    // Case folding is simple, and names are unique per mailbox only.
    assert_eq!(ann.post(PATH, json!({"displayName": "Strasse"})).status, 201);
    assert_eq!(app.user("bob").post(PATH, json!({"displayName": "Straße"})).status, 201);
    let path = format!("{PATH}/{id}");
    for name in ["Weg", "straße"] {
        let answer = ann.patch(&path, json!({"displayName": name, "color": "preset2"}));
        assert_eq!(answer.error(), (400, "ErrorInvalidPropertySet".into(), "displayName".into()), "{name}");
    }
    assert_eq!(names_and_colors(&ann, PATH)[0], ("Straße".to_owned(), "preset1".to_owned()));
    // The name of a deleted category is free, and its id is not reused.
    ann.delete(&path).empty(204);
    assert_ne!(create(&ann, "STRAßE", "none"), id);
    assert_eq!(names(&ann, PATH), ["Strasse", "STRAßE"]);
    assert_eq!(app.count(LIVE), 3);
}

#[test]
fn an_invalid_category_is_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = create(&ann, "kept", "preset3");
    let path = format!("{PATH}('{id}')");
    let strict = ann.with("Prefer", "handling=strict");
    for (body, code, target) in [
        (json!([]), "RequestBodyRead", ""),
        (json!("x"), "RequestBodyRead", ""),
        (json!({"displayName": null}), "RequestBodyRead", "displayName"),
        (json!({"displayName": " "}), "RequestBodyRead", "displayName"),
        (json!({"displayName": ["x"]}), "RequestBodyRead", "displayName"),
        (json!({"displayName": "é".repeat(256)}), "ErrorPropertyValidationFailure", "displayName"),
        (json!({"displayName": "x", "color": "preset25"}), "RequestBodyRead", "color"),
        (json!({"displayName": "x", "color": ""}), "RequestBodyRead", "color"),
        (json!({"displayName": "x", "color": 3}), "RequestBodyRead", "color"),
        (json!({"displayName": "x", "colour": "none"}), "RequestBodyRead", "colour"),
        (json!({"displayName": "x", "changeKey": "x"}), "RequestBodyRead", "changeKey"),
    ] {
        for client in [&ann, &strict] {
            for answer in [client.post(PATH, &body), client.patch(&path, &body)] {
                assert_eq!(answer.error(), (400, code.into(), target.into()), "{body}");
            }
        }
    }
    assert_eq!(ann.post(PATH, "{}").error(), (400, "RequestBodyRead".into(), "displayName".into()));
    assert_eq!(ann.post(PATH, "{").error(), (400, "UnableToDeserializePostBody".into(), String::new()));
    assert_eq!(
        ann.post(PATH, json!({"displayName": "x", "color": "red"})).message(),
        format!(
            "'color' is 'red', which is not one of none, {}.",
            (0..25).map(|i| format!("preset{i}")).collect::<Vec<_>>().join(", ")
        )
    );
    for (path, refused) in [
        (format!("{PATH}/{}", id.to_uppercase()), (400, "ErrorInvalidIdMalformed".into(), String::new())),
        (format!("{PATH}/x"), (400, "ErrorInvalidIdMalformed".into(), String::new())),
        (format!("{PATH}/01890000-0000-7000-8000-000000000000"), (404, "ErrorItemNotFound".into(), String::new())),
        ("/me/outlook".into(), (404, "ResourceNotFound".into(), String::new())),
    ] {
        assert_eq!(ann.get(&path).error(), refused, "{path}");
        assert_eq!(ann.patch(&path, json!({"color": "none"})).error(), refused, "{path}");
        assert_eq!(ann.delete(&path).error(), refused, "{path}");
    }
    for (option, target) in [
        ("$select=nope", "$select"),
        ("$filter=surname%20eq%20'x'", "$filter"),
        ("$skiptoken=x", "$skiptoken"),
        ("$top=0", "$top"),
        ("$orderby=surname", "$orderby"),
        ("$orderby=displayName%20up", "$orderby"),
    ] {
        assert_eq!(ann.get(&format!("{PATH}?{option}")).error(), (400, "BadRequest".into(), target.into()), "{option}");
    }
    for list in [PATH, &format!("{PATH}/$count")] {
        let refused = ann.get(&format!("{list}?$search=kept")).error();
        assert_eq!(refused, (501, "NotImplemented".into(), String::new()), "{list}");
    }
    for root_path in [PATH, &path] {
        assert_eq!(
            ann.get(&format!("{root_path}?$expand=contacts")).error(),
            (400, "BadRequest".into(), "$expand".into())
        );
    }
    assert_eq!(ann.get(&format!("{path}?$search=kept")).error(), (400, "BadRequest".into(), "$search".into()));
    assert_eq!(ann.send("PUT", PATH, None).header("allow"), "GET, POST");
    assert_eq!(ann.send("POST", &path, None).header("allow"), "GET, PATCH, DELETE");
    assert_eq!(ann.send("POST", &format!("{PATH}/$count"), None).header("allow"), "GET");
    // As sent by clients that send back all members, in any letter case.
    let known = json!({"@odata.type": "#microsoft.graph.outlookCategory", "ID": "mine", "DisplayName": "é".repeat(255), "color@odata.type": "x"});
    assert_eq!(ann.post(PATH, known).json(201)["displayName"], "é".repeat(255));
    assert_eq!(names_and_colors(&ann, PATH)[0], ("kept".to_owned(), "preset3".to_owned()));
    assert_eq!(app.count(LIVE), 2);
}

#[test]
fn categories_are_seen_and_changed_by_their_owner_only() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = create(&ann, "ann's", "preset1");
    let path = format!("{PATH}/{id}");
    for answer in [bob.get(&path), bob.patch(&path, json!({"color": "none"})), bob.delete(&path)] {
        assert_eq!(answer.error(), (404, "ErrorItemNotFound".into(), String::new()));
    }
    let of_ann = "/users/ann/outlook/masterCategories";
    for answer in [bob.get(of_ann), bob.post(of_ann, json!({"displayName": "x"})), bob.get(&format!("{of_ann}/{id}"))] {
        assert_eq!(answer.error(), (404, "Request_ResourceNotFound".into(), String::new()));
    }
    assert_eq!(app.user("").get(PATH).error().0, 401);
    assert_eq!(app.user("app:sync").get(PATH).error().0, 400);
    assert_eq!(names(&app.user("app:sync"), of_ann), ["ann's"]);
    assert_eq!(names_and_colors(&ann, PATH), [("ann's".to_owned(), "preset1".to_owned())]);
    assert_eq!(app.count(LIVE), 1);
}

#[test]
fn categories_honour_preconditions_and_preferences() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post(PATH, json!({"displayName": "x"}));
    let path = format!("{PATH}/{}", created.id());
    let first = created.header("etag");
    assert_eq!(ann.with("If-None-Match", &first).get(&path).status, 304);
    let current = ann.with("If-Match", &first).patch(&path, json!({"color": "preset1"})).header("etag");
    let stale = ann.with("If-Match", &first);
    for answer in [stale.patch(&path, json!({"color": "preset2"})), stale.delete(&path)] {
        assert_eq!(answer.error(), (412, "ErrorIrresolvableConflict".into(), String::new()));
    }
    assert_eq!(ann.get(&path).json(200)["color"], "preset1");
    let minimal = ann.with("Prefer", "return=minimal");
    let answer = minimal.patch(&path, json!({"color": "preset2"}));
    answer.empty(204);
    assert_ne!(answer.header("etag"), current);
    assert_eq!(answer.header("preference-applied"), "return=minimal");
    let minimal_answer = minimal.post(PATH, json!({"displayName": "y"}));
    minimal_answer.empty(204);
    assert_eq!(minimal_answer.header("odata-entityid"), minimal_answer.header("location"));
    assert_eq!(ann.get(&minimal_answer.header("location")).json(200)["displayName"], "y");
    let bare = ann.with("Accept", "application/json;odata.metadata=none").get(&path).json(200);
    assert_eq!(bare, json!({"id": created.id(), "displayName": "x", "color": "preset2"}));
}

#[test]
fn a_list_has_pages_a_count_a_filter_and_a_selection() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let category_names: Vec<_> = (0..23).map(|i| format!("C{i}")).collect();
    for (i, name) in category_names.iter().enumerate() {
        create(&ann, name, &format!("preset{}", i % 3));
    }
    for (path, size, first) in [
        (PATH.to_owned(), 10, 0),
        (format!("{PATH}?$top=7&$skip=3&$count=true"), 7, 3),
        (format!("{PATH}?$top=1000"), 23, 0),
    ] {
        let mut next = Some(path.clone());
        let mut found = Vec::new();
        while let Some(link) = next {
            let page = ann.get(&link).json(200);
            let shown = names(&ann, &link);
            next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            assert!(shown.len() == size || next.is_none(), "{path}");
            assert_eq!(page.get("@odata.count"), path.contains("$count").then_some(&json!(23)), "{path}");
            found.extend(shown);
            // A category that is created and deleted, or shown and then deleted, does not shift later pages.
            if next.is_some() {
                let id = create(&ann, "between", "none");
                ann.delete(&format!("{PATH}/{id}")).empty(204);
            }
        }
        assert_eq!(found, category_names[first..], "{path}");
    }
    let preferring = ann.with("Prefer", "odata.maxpagesize=4").get(PATH);
    assert_eq!(preferring.header("preference-applied"), "odata.maxpagesize=4");
    assert_eq!(preferring.json(200)["value"].as_array().unwrap().len(), 4);
    for _ in 0..2 {
        ann.post("/me/contacts", "{}");
    }
    let token =
        ann.get("/me/contacts?$top=1&$orderby=surname").json(200)["@odata.nextLink"].as_str().unwrap().to_owned();
    let token = token.rsplit_once("skiptoken=").unwrap().1;
    assert_eq!(ann.get(&format!("{PATH}?$skiptoken={token}")).error(), (400, "BadRequest".into(), "$skiptoken".into()));

    create(&ann, "Ünïcode", "preset24");
    for (filter, expected) in [
        ("displayName eq 'c7'", vec!["C7"]),
        ("startswith(displayName,'c2')", vec!["C2", "C20", "C21", "C22"]),
        ("color eq 'PRESET24' and contains(displayName,'ÜNÏ')", vec!["Ünïcode"]),
        ("color eq microsoft.graph.categoryColor'preset24'", vec!["Ünïcode"]),
        ("color in ('preset24','none') or length(displayName) gt 6", vec!["Ünïcode"]),
        ("not startswith(color,'preset')", vec![]),
        ("id eq 'x'", vec![]),
    ] {
        let encoded = percent_encode(filter);
        assert_eq!(names(&ann, &format!("{PATH}?$filter={encoded}")), expected, "{filter}");
        let count = ann.get(&format!("/v1.0{PATH}/$count?$filter={encoded}"));
        assert_eq!(
            (count.header("content-type").as_str(), count.body),
            ("text/plain", expected.len().to_string().into_bytes())
        );
    }
    let id = create(&ann, "by id", "none");
    assert_eq!(names(&ann, &format!("{PATH}?$filter=id%20eq%20'{id}'")), ["by id"]);
    assert_eq!(names(&ann, &format!("{PATH}?$filter=id%20ne%20'{id}'&$top=100")).len(), 24);
    assert_eq!(ann.get(&format!("{PATH}/$count")).body, b"25");
    let strict = ann.with("Prefer", "handling=strict");
    let unknown = strict.get(&format!("{PATH}?$filter=color%20eq%20'red'"));
    assert_eq!(unknown.error(), (400, "ErrorInvalidUrlQueryFilter".into(), "$filter".into()));
    assert_eq!(strict.get(&format!("{PATH}?$filter=color%20eq%20'none'")).status, 200);

    let selected = ann.get(&format!("{PATH}/{id}?$select=color,COLOR")).json(200);
    assert_eq!(
        selected.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["@odata.context", "@odata.etag", "color", "id"]
    );
    assert!(selected["@odata.context"].as_str().unwrap().ends_with("/masterCategories(color)/$entity"));
    let list = ann.get(&format!("{PATH}?$select=displayName&$top=1")).json(200);
    assert!(list["@odata.context"].as_str().unwrap().ends_with("/masterCategories(displayName)"));
    assert_eq!(list["value"][0].as_object().unwrap().len(), 3);
}

#[test]
fn a_mailbox_has_at_most_a_thousand_categories_and_deletes_free_space() {
    let app = TestApp::new();
    let ann = app.user("ann");
    std::thread::scope(|scope| {
        for lane in 0..8 {
            let ann = ann.clone();
            scope.spawn(move || (0..125).for_each(|i| drop(create(&ann, &format!("{lane} {i}"), "none"))));
        }
    });
    let full = (403, "quotaLimitReached".into(), String::new());
    assert_eq!(ann.post(PATH, json!({"displayName": "x"})).error(), full);
    // A name conflict is reported even then.
    assert_eq!(ann.post(PATH, json!({"displayName": "7 7"})).error().0, 409);
    assert_eq!(app.count("select count(*) from master_categories"), 1_000);
    let page = ann.get(&format!("{PATH}?$top=1000")).json(200);
    assert!(page["value"].as_array().unwrap().len() == 1_000 && page.get("@odata.nextLink").is_none());
    let id = page["value"][0]["id"].as_str().unwrap();
    ann.delete(&format!("{PATH}/{id}")).empty(204);
    assert_eq!(ann.post(PATH, json!({"displayName": "x"})).status, 201);
    assert_eq!(ann.post(PATH, json!({"displayName": "y"})).error(), full);
    assert_eq!(app.user("bob").post(PATH, json!({"displayName": "y"})).status, 201);
    // The row of a deleted category is kept for a while and then removed.
    assert_eq!(app.count("select count(*) from master_categories"), 1_002);
    app.sql("update mailboxes set seq = seq + 1000");
    let id = ann.get(PATH).json(200)["value"][0]["id"].as_str().unwrap().to_owned();
    ann.delete(&format!("{PATH}/{id}")).empty(204);
    assert_eq!(app.count("select count(*) from master_categories"), 1_001);
    assert_eq!(app.count(LIVE), 1_000);
}

#[test]
fn category_changes_do_not_change_contacts() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let contact = ann.post("/me/contacts", json!({"categories": ["Work", "none such"]}));
    let logged = "select count(*) from changes where contact_id is not null";
    let id = create(&ann, "Work", "preset1");
    ann.patch(&format!("{PATH}/{id}"), json!({"color": "preset2"}));
    ann.delete(&format!("{PATH}/{id}")).empty(204);
    assert_eq!(ann.get(&format!("/me/contacts/{}", contact.id())).body, contact.body);
    assert_eq!((app.count(logged), app.count("select count(*) from changes")), (1, 2));
    // Change numbers continue after those of categories.
    let position: i64 = contact.header("contactd-position").parse().unwrap();
    assert_eq!(ann.post("/me/contacts", "{}").header("contactd-position"), (position + 4).to_string());
}

#[test]
fn categories_are_sorted_by_any_expression_and_then_by_creation() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (name, color) in
        [("beta", "preset1"), ("Ätna", "none"), ("alpha", "preset1"), ("Zeta", "preset10"), ("äb", "none")]
    {
        create(&ann, name, color);
    }
    let deleted = create(&ann, "gone", "none");
    ann.delete(&format!("{PATH}/{deleted}")).empty(204);
    let walk = |order: &str, size: usize| {
        let (mut next, mut found) =
            (Some(format!("{PATH}?$top={size}&$orderby={}", percent_encode(order))), Vec::new());
        while let Some(link) = next {
            next = ann.get(&link).json(200).get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            found.extend(names(&ann, &link));
        }
        found
    };
    for (order, expected) in [
        ("displayName", ["alpha", "beta", "Zeta", "äb", "Ätna"]),
        ("displayName desc", ["Ätna", "äb", "Zeta", "beta", "alpha"]),
        ("color", ["Ätna", "äb", "beta", "alpha", "Zeta"]),
        ("color desc,displayName", ["Zeta", "alpha", "beta", "äb", "Ätna"]),
        ("length(displayName),id desc", ["äb", "Zeta", "Ätna", "beta", "alpha"]),
        ("id desc", ["äb", "Zeta", "alpha", "Ätna", "beta"]),
        ("contains(displayName,'T')", ["alpha", "äb", "beta", "Ätna", "Zeta"]),
    ] {
        for size in [1, 2, 100] {
            assert_eq!(walk(order, size), expected, "{order}");
        }
    }
    let walked = ann
        .get(&format!("{PATH}?$orderby=displayName&$filter=color%20ne%20'none'&$top=1&$skip=1&$count=true"))
        .json(200);
    assert_eq!((&walked["@odata.count"], &walked["value"][0]["displayName"]), (&json!(3), &json!("beta")));
    // The last shown category is deleted, and a new one takes its place in the order.
    let first = ann.get(&format!("{PATH}?$orderby=displayName&$top=2")).json(200);
    ann.delete(&format!("{PATH}/{}", first["value"][1]["id"].as_str().unwrap())).empty(204);
    for name in ["a", "c"] {
        create(&ann, name, "none");
    }
    assert_eq!(names(&ann, first["@odata.nextLink"].as_str().unwrap()), ["c", "Zeta"]);
    // A count ignores the order, but an invalid order is refused there too.
    assert_eq!(ann.get(&format!("{PATH}/$count?$orderby=color")).body, b"6");
    assert_eq!(ann.get(&format!("{PATH}/$count?$orderby=nope")).error().0, 400);
    let strict = ann.with("Prefer", "handling=strict");
    assert_eq!(strict.get(&format!("{PATH}?$orderby=color")).status, 200);
    assert_eq!(strict.get(&format!("{PATH}?$orderby=length(color)")).error().1, "ErrorInvalidUrlQueryFilter");
    let token = first["@odata.nextLink"].as_str().unwrap().rsplit_once("skiptoken=").unwrap().1;
    for other in ["", "&$orderby=length(color)", "&$orderby=color,id"] {
        let refused = ann.get(&format!("{PATH}?$skiptoken={token}{other}"));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$skiptoken".into()), "{other}");
    }
}

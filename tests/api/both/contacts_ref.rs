//! `POST …/contacts/$ref` as on Graph's page, and the example of that page on every route that creates.

use serde_json::{Value, json};

use crate::app::{Answer, Client, SEED_REQUEST, SEED_RESPONSE, TestApp};

/// Every spelling of the owner and of the collection, under both prefixes that speak the older beta shape.
fn routes() -> Vec<String> {
    let owners = [
        "/me",
        "/users/ann",
        "/users/ann@localhost",
        "/users/ann%40localhost",
        "/users('ann')",
        "/users/me-token-to-replace",
        "/users/TokenToReplace",
        "/ME",
        "/Users/ANN",
    ];
    let collections = ["/contacts", "/contacts/$ref", "/contacts/%24ref", "/Contacts/$REF/", "/contacts/"];
    let mut routes = Vec::new();
    for prefix in ["", "/beta", "/BETA"] {
        for owner in owners {
            routes.extend(collections.iter().map(|collection| format!("{prefix}{owner}{collection}")));
        }
    }
    routes
}

/// The answer equals the page's example, except ids and times; only `@odata.context` and `@odata.etag` are added.
#[track_caller]
pub fn assert_is_the_page(answer: &Answer, status: u16) -> String {
    let mut body = answer.json(status);
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(text.starts_with(r#"{"@odata.context":"#), "{text}");
    assert!(text.contains(r#""birthday":"2017-01-01T00:03:13.7306563+03:00""#), "{text}");
    let mut expected: Value = serde_json::from_str(SEED_RESPONSE).unwrap();
    let id = body["id"].as_str().unwrap().to_owned();
    for name in ["@odata.context", "@odata.etag"] {
        assert!(body.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    for name in ["id", "createdDateTime", "lastModifiedDateTime"] {
        assert!(body[name].is_string());
        body[name] = Value::Null;
        expected[name] = Value::Null;
    }
    assert_eq!(body, expected);
    id
}

#[test]
fn the_pages_example_is_answered_as_the_page_shows_on_every_route() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let mut ids = Vec::new();
    for route in routes() {
        for body in [SEED_REQUEST.to_owned(), SEED_REQUEST.replace('\n', "\r\n")] {
            ids.push(assert_is_the_page(&ann.post(&route, body), 201));
        }
    }
    let read = |ann: &Client| {
        for id in &ids {
            for prefix in ["", "/beta"] {
                assert_is_the_page(&ann.get(&format!("{prefix}/me/contacts/{id}")), 200);
            }
        }
    };
    read(&ann);
    let app = app.restarted();
    read(&app.user("ann"));
    let total = i64::try_from(ids.len()).unwrap();
    for table in ["contacts", "emails", "phones", "addresses", "websites", "flags"] {
        assert_eq!(app.count(&format!("select count(*) from {table}")), total, "{table}");
    }
}

#[test]
fn the_pages_example_is_answered_the_same_to_an_application() {
    let app = TestApp::new();
    let sync = app.user("app:sync");
    assert_is_the_page(&sync.post("/users/ann/contacts/$ref", SEED_REQUEST), 201);
    assert_is_the_page(&sync.post("/beta/users/ann/contacts", SEED_REQUEST), 201);
}

#[test]
fn strict_handling_refuses_the_parts_of_the_pages_example_that_graph_refuses() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let expected = [
        "emailAddresses/0/type",
        "websites/0/type",
        "phones/0/type",
        "postalAddresses/0/type",
        "weddingAnniversary",
        "flag/flagStatus",
    ];
    for route in routes() {
        let answer = ann.with("Prefer", "handling=strict").post(&route, SEED_REQUEST);
        assert_eq!(answer.error(), (400, "RequestBodyRead".into(), "emailAddresses/0/type".into()), "{route}");
        let body = answer.json(400);
        let details = body["error"]["details"].as_array().unwrap();
        let targets: Vec<_> = details.iter().map(|detail| detail["target"].as_str().unwrap()).collect();
        assert_eq!(targets, expected, "{route}");
        assert!(details.iter().all(|detail| detail["code"] == "RequestBodyRead" && detail["message"].is_string()));
    }
    assert_eq!(app.count("select count(*) from contacts"), 0);
    let lenient = ann.with("Prefer", "handling=lenient").post("/me/contacts/$ref", SEED_REQUEST);
    assert_eq!(lenient.header("preference-applied"), "handling=lenient");
    assert_is_the_page(&lenient, 201);
}

#[test]
fn a_bare_reference_needs_an_existing_contact_of_the_same_owner() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let own = ann.post("/me/contacts", "{}").id();
    let others = bob.post("/me/contacts", "{}").id();
    let host = format!("http://{}", app.address);
    for reference in [
        format!("{host}/me/contacts/{own}"),
        format!("{host}/beta/users/ann/contacts('{own}')"),
        format!("/me/contacts/{own}"),
        format!("me/contacts/{own}"),
        format!("users('ann@localhost')/contacts('{own}')"),
        format!("https://graph.microsoft.com/v1.0/me/contacts/{own}"),
        format!("{host}/me/contacts/{own}?x=y"),
    ] {
        let full = json!({"@odata.context": "x", "@odata.type": "#x", "@odata.id": reference});
        for body in [json!({"@odata.id": reference}), full] {
            ann.post("/me/contacts/$ref", body).empty(204);
        }
    }
    let unknown = "01890000-0000-7000-8000-000000000000";
    for id in [unknown, &others] {
        let answer = ann.post("/me/contacts/$ref", json!({"@odata.id": format!("{host}/me/contacts/{id}")}));
        assert_eq!(answer.error(), (404, "ErrorItemNotFound".into(), String::new()));
    }
    for reference in [
        format!("https://elsewhere.example/me/contacts/{own}"),
        format!("{host}.evil.example/me/contacts/{own}"),
        format!("{host}/users/bob/contacts/{others}"),
        format!("{host}/users/nobody/contacts/{own}"),
        format!("{host}/me/contacts"),
        format!("{host}/me/contacts/AAMk"),
        String::new(),
        "::".into(),
        "\\\\".into(),
    ] {
        let answer = ann.post("/me/contacts/$ref", json!({"@odata.id": reference}));
        assert_eq!(answer.error(), (400, "ErrorInvalidRequest".into(), "@odata.id".into()), "{reference}");
    }
    assert_eq!(app.count("select count(*) from contacts"), 2);
}

#[test]
fn a_reference_with_other_properties_creates_a_contact() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let answer = ann.post("/me/contacts/$ref", json!({"@odata.id": "http://x/y", "givenName": "Ann"}));
    assert_eq!(answer.json(201)["displayName"], "Ann");
    // On other paths it is an annotation like any other.
    assert_eq!(ann.post("/me/contacts", json!({"@odata.id": "http://x/y"})).status, 201);
    // Annotations alone are not a contact, and a reference must be a text.
    for body in [json!({"@odata.id": 1}), json!({"@odata.id": null}), json!({"@odata.id": "x", "@odata.etag": "y"})] {
        assert_eq!(ann.post("/me/contacts/$ref", body).error().1, "ErrorInvalidRequest");
    }
}

#[test]
fn references_are_listed_as_urls_that_can_be_read() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let ids: Vec<_> = (0..5)
        .map(|i| {
            let folder = if i == 3 { "Friends" } else { "contacts" };
            ann.post("/me/contacts", json!({"title": i.to_string(), "parentFolderId": folder})).id()
        })
        .collect();
    let root = format!("http://{}", app.address);
    let references = |prefix: &str, ids: &[&String]| -> Value {
        ids.iter().map(|id| json!({"@odata.id": format!("{root}{prefix}/users('ann')/contacts('{id}')")})).collect()
    };
    let context = |prefix: &str| format!("{root}{prefix}/$metadata#Collection($ref)");
    for (path, prefix, expected) in [
        ("/me/contacts/$ref", "", vec![0, 1, 2, 3, 4]),
        ("/beta/users('ann')/Contacts/%24ref?$orderby=title%20desc", "/beta", vec![4, 3, 2, 1, 0]),
        ("/v1.0/me/contacts/$ref?$skip=1", "/v1.0", vec![1, 2, 4]),
        ("/me/contacts/$ref?$filter=title%20gt%20'2'", "", vec![3, 4]),
        ("/v1.0/me/contactFolders/Friends/contacts/$ref", "/v1.0", vec![3]),
        ("/me/contacts/$ref?$filter=false", "", vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|i: usize| &ids[i]).collect();
        let list = json!({"@odata.context": context(prefix), "value": references(prefix, &expected)});
        assert_eq!(ann.get(path).json(200), list, "{path}");
        for reference in list["value"].as_array().unwrap() {
            let link = reference["@odata.id"].as_str().unwrap();
            assert!(link.ends_with(&format!("('{}')", ann.get(link).id())), "{link}");
            // Listed references can be posted.
            ann.post("/me/contacts/$ref", reference).empty(204);
        }
    }
    let mut next = Some("/me/contacts/$ref?$top=2&$count=true&$orderby=title".to_owned());
    let mut found = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        assert_eq!(page["@odata.count"], 5);
        found.extend(page["value"].as_array().unwrap().clone());
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
        assert!(next.as_ref().is_none_or(|link| link.starts_with(&format!("{root}/me/contacts/$ref?$top=2&"))));
    }
    assert_eq!(Value::from(found), references("", &ids.iter().collect::<Vec<_>>()));
    // `@odata.id` is not an annotation of an object here: it is the only member.
    let bare = ann.with("Accept", "application/json;odata.metadata=none").get("/me/contacts/$ref?$top=5");
    assert_eq!(bare.json(200), json!({"value": references("", &ids.iter().collect::<Vec<_>>())}));
    let preferring = ann.with("Prefer", "odata.maxpagesize=2").get("/me/contacts/$ref");
    assert_eq!(preferring.header("preference-applied"), "odata.maxpagesize=2");
    assert_eq!(preferring.json(200)["value"].as_array().unwrap().len(), 2);
}

#[test]
fn query_options_are_refused_for_references() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (option, target) in [
        ("$select=id", "$select"),
        ("$expand=extensions", "$expand"),
        ("$filter=x", "$filter"),
        ("$orderby=", "$orderby"),
        ("$top=0", "$top"),
        ("$skiptoken=x", "$skiptoken"),
    ] {
        let refused = ann.get(&format!("/me/contacts/$ref?{option}"));
        assert_eq!(refused.error(), (400, "BadRequest".into(), target.into()), "{option}");
        assert_eq!(ann.post(&format!("/me/contacts/$ref?{option}"), "{}").error().0, 400, "{option}");
    }
    assert_eq!(ann.get("/me/contactFolders/nowhere/contacts/$ref").error().1, "ErrorItemNotFound");
    assert_eq!(app.user("bob").get("/users/ann/contacts/$ref").error().1, "Request_ResourceNotFound");
    assert_eq!(app.count("select count(*) from contacts"), 0);
}

#[test]
fn only_get_and_post_are_offered_on_ref() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = ann.send(method, "/me/contacts/$ref", Some(b"{}".to_vec()));
        assert_eq!((answer.error().0, answer.header("allow")), (405, "GET, POST".into()), "{method}");
        let answer = ann.send(method, &format!("/me/contacts/{id}/$ref"), Some(b"{}".to_vec()));
        assert_eq!((answer.error().0, answer.header("allow")), (405, String::new()), "{method}");
    }
    assert_eq!(ann.get(&format!("/me/contacts/{id}")).status, 200);
}

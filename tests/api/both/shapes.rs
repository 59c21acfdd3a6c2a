//! The two shapes of a contact: what each shows, and what a write in one shape keeps of the other. Also `$select`.

use serde_json::{Value, json};

use crate::app::{Client, SEED_REQUEST, TestApp, V1_JSON};

/// An empty contact in v1.0, without generated values.
fn empty() -> Value {
    json!({
        "categories": [], "parentFolderId": "contacts", "birthday": null, "fileAs": "", "displayName": null,
        "givenName": null, "initials": null, "middleName": null, "nickName": null, "surname": null, "title": null,
        "yomiGivenName": null, "yomiSurname": null, "yomiCompanyName": null, "generation": null, "imAddresses": [],
        "jobTitle": null, "companyName": null, "department": null, "officeLocation": null, "profession": null,
        "businessHomePage": null, "assistantName": null, "manager": null, "homePhones": [], "mobilePhone": null,
        "businessPhones": [], "spouseName": null, "personalNotes": "", "children": [], "emailAddresses": [],
        "primaryEmailAddress": null, "secondaryEmailAddress": null, "tertiaryEmailAddress": null,
        "homeAddress": {}, "businessAddress": {}, "otherAddress": {},
    })
}

/// A contact without generated values.
fn settled(mut contact: Value) -> Value {
    let members = contact.as_object_mut().unwrap();
    for name in ["@odata.context", "@odata.etag", "id", "createdDateTime", "lastModifiedDateTime", "changeKey"] {
        members.remove(name);
    }
    contact
}

/// One contact in both shapes.
struct Both {
    ann: Client,
    id: String,
}

impl Both {
    fn created(app: &TestApp, prefix: &str, body: &Value) -> Self {
        let ann = app.user("ann");
        let id = ann.post(&format!("{prefix}/me/contacts"), body).id();
        Self { ann, id }
    }

    fn v1(&self) -> Value {
        settled(self.ann.get(&format!("/v1.0/me/contacts/{}", self.id)).json(200))
    }

    fn beta(&self, property: &str) -> Value {
        let mut value = self.ann.get(&format!("/beta/me/contacts/{}", self.id)).json(200)[property].take();
        for entry in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            entry.remove("@odata.type");
        }
        value
    }

    fn patch(&self, prefix: &str, body: &Value) -> Value {
        settled(self.ann.patch(&format!("{prefix}/me/contacts/{}", self.id), body).json(200))
    }
}

#[test]
fn an_empty_contact_is_shown_as_graph_shows_it() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post("/v1.0/me/contacts", "{}");
    assert_eq!(settled(created.json(201)), empty());
    assert_eq!(created.header("content-type"), V1_JSON);
    let id = created.id();
    assert_eq!(created.header("location"), format!("http://{}/v1.0/users('ann')/contacts('{id}')", app.address));
    let text = String::from_utf8(created.body).unwrap();
    let root = format!(
        "{{\"@odata.context\":\"http://{}/v1.0/$metadata#users('ann')/contacts/$entity\",\"@odata.etag\":\"W/",
        app.address
    );
    assert!(text.starts_with(&root), "{text}");
    assert!(!text.contains("@odata.type"));
    let order = [
        "id",
        "createdDateTime",
        "changeKey",
        "parentFolderId",
        "fileAs",
        "generation",
        "imAddresses",
        "profession",
        "businessHomePage",
        "homePhones",
        "mobilePhone",
        "businessPhones",
        "children",
        "emailAddresses",
        "homeAddress",
        "otherAddress",
    ];
    let places: Vec<_> = order.iter().map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    let none = ann.with("Accept", "application/json;odata.metadata=none").get(&format!("/v1.0/me/contacts/{id}"));
    assert_eq!(none.header("content-type"), V1_JSON.replace("minimal", "none"));
    assert!(!String::from_utf8(none.body).unwrap().contains("@odata"));
    assert_eq!(ann.get("/beta/me/contacts").header("content-type"), "application/json");
}

#[test]
fn contacts_written_in_v1_are_readable_in_v1_and_beta() {
    let app = TestApp::new();
    let body = json!({
        "givenName": "Ann", "surname": "Lee", "birthday": "1974-07-22", "categories": ["VIP"], "imAddresses": ["a@im"],
        "children": ["Bo"], "businessHomePage": "https://example.org", "homePhones": ["1", "2"], "mobilePhone": "3",
        "businessPhones": ["4"],
        "emailAddresses": [{"address": "a@example.org"}, {"name": "Work", "address": "b@example.org"}],
        "homeAddress": {"street": "1 Elm", "city": "Oslo", "state": "", "countryOrRegion": "Norway", "postalCode": "0150"},
        "otherAddress": {"city": "Bergen"},
    });
    let both = Both::created(&app, "/v1.0", &body);
    let mut expected = empty();
    for (name, value) in body.as_object().unwrap() {
        expected[name] = value.clone();
    }
    expected["displayName"] = json!("Ann Lee");
    expected["birthday"] = json!("1974-07-22T11:59:00Z");
    expected["emailAddresses"][0]["name"] = json!("a@example.org");
    expected["primaryEmailAddress"] = expected["emailAddresses"][0].clone();
    expected["secondaryEmailAddress"] = expected["emailAddresses"][1].clone();
    assert_eq!(both.v1(), expected);
    assert_eq!(
        both.beta("phones"),
        json!([{"type": "business", "number": "4"}, {"type": "home", "number": "1"}, {"type": "home", "number": "2"}, {"type": "mobile", "number": "3"}])
    );
    assert_eq!(both.beta("websites"), json!([{"type": "work", "address": "https://example.org"}]));
    assert_eq!(both.beta("postalAddresses")[1], json!({"type": "other", "city": "Bergen"}));
}

/// A contact with every property that v1.0 shows, and with those that it does not.
fn rich() -> Value {
    json!({
        "displayName": "Rich", "gender": "f", "isFavorite": true, "weddingAnniversary": "2001-06-30",
        "flag": {"flagStatus": "flagged"},
        "phones": [
            {"type": "pager", "number": "p"}, {"type": "home", "number": "h1"}, {"type": "mobile", "number": "m1"},
            {"type": "business", "number": "b1"}, {"type": "home", "number": "h2"}, {"type": "mobile", "number": "m2"},
            {"type": "String", "number": "s"}, {"number": "untyped"},
        ],
        "postalAddresses": [
            {"type": "unknown", "city": "U"}, {"type": "home", "postOfficeBox": "12", "city": "H1", "street": "S1"},
            {"type": "home", "city": "H2"}, {"type": "business", "postOfficeBox": "9"},
        ],
        "websites": [
            {"type": "blog", "address": "blog"}, {"type": "work", "address": "w1", "displayName": "W"},
            {"type": "work", "address": "w2"},
        ],
        "emailAddresses": [
            {"name": "A", "address": "A@example.org", "type": "work"},
            {"name": "B", "address": "b@example.org", "type": "other", "otherLabel": "Club"},
            {"name": "C", "address": "c@example.org", "type": "personal"},
            {"name": "D", "address": "d@example.org", "type": "main"},
        ],
    })
}

#[test]
fn v1_shows_the_first_of_each_type() {
    let app = TestApp::new();
    let both = Both::created(&app, "/beta", &rich());
    let v1 = both.v1();
    let email = |name: &str, address: &str| json!({"name": name, "address": address});
    let all = json!([
        email("A", "A@example.org"),
        email("B", "b@example.org"),
        email("C", "c@example.org"),
        email("D", "d@example.org")
    ]);
    assert_eq!(v1["emailAddresses"], all);
    assert_eq!(v1["tertiaryEmailAddress"], all[2]);
    assert_eq!(
        (&v1["homePhones"], &v1["mobilePhone"], &v1["businessPhones"]),
        (&json!(["h1", "h2"]), &json!("m1"), &json!(["b1"]))
    );
    assert_eq!(v1["homeAddress"], json!({"city": "H1", "street": "S1"}));
    assert_eq!((&v1["businessAddress"], &v1["otherAddress"]), (&json!({}), &json!({})));
    assert_eq!(v1["businessHomePage"], "w1");
    assert_eq!(v1.as_object().unwrap().len(), empty().as_object().unwrap().len());
}

#[test]
fn a_v1_patch_destroys_nothing_that_v1_does_not_show() {
    let app = TestApp::new();
    let patched = |body: Value| {
        let both = Both::created(&app, "/beta", &rich());
        both.patch("/v1.0", &body);
        both
    };
    // Each line: the sent value, the property of the other shape, and its new value.
    let phones = rich()["phones"].clone();
    let with = |changes: &[(usize, Option<Value>)]| {
        let mut entries = phones.as_array().unwrap().clone();
        for (at, entry) in changes.iter().rev() {
            match entry {
                Some(entry) => entries[*at] = entry.clone(),
                None => drop(entries.remove(*at)),
            }
        }
        Value::from(entries)
    };
    let phone = |kind: &str, number: &str| Some(json!({"type": kind, "number": number}));
    for (body, expected) in [
        (json!({"title": "x"}), with(&[])),
        (json!({"homePhones": ["h1", "h2"]}), with(&[])),
        (json!({"homePhones": ["x"]}), with(&[(1, phone("home", "x")), (4, None)])),
        (json!({"homePhones": []}), with(&[(1, None), (4, None)])),
        (json!({"businessPhones": null}), with(&[(3, None)])),
        (json!({"mobilePhone": "x"}), with(&[(2, phone("mobile", "x"))])),
        (json!({"mobilePhone": null}), with(&[(2, None), (5, phone("other", "m2"))])),
    ] {
        let both = patched(body.clone());
        assert_eq!(both.beta("phones"), expected, "{body}");
        let name = body.as_object().unwrap().keys().next().unwrap();
        let sent = if body[name].is_null() && name.ends_with('s') { json!([]) } else { body[name].clone() };
        assert_eq!(both.v1()[name], sent, "{body}");
    }
    let phones = patched(json!({"homePhones": ["1", "2", "3"]})).beta("phones");
    let home = |number: &str| json!({"type": "home", "number": number});
    assert_eq!(
        (&phones[1], &phones[4], &phones[5], &phones[6]["number"]),
        (&home("1"), &home("2"), &home("3"), &json!("m2"))
    );
    assert_eq!(phones.as_array().unwrap().len(), 9);

    let address = |at: usize, body: Value| patched(body).beta("postalAddresses")[at].clone();
    let home = address(1, json!({"homeAddress": {"city": "X"}}));
    assert_eq!(home, json!({"type": "home", "postOfficeBox": "12", "city": "X"}), "members left out are cleared");
    assert_eq!(address(2, json!({"homeAddress": {"city": "X"}})), json!({"type": "home", "city": "H2"}));
    for cleared in [json!(null), json!({})] {
        let both = patched(json!({"homeAddress": cleared}));
        assert_eq!(both.v1()["homeAddress"], json!({}), "it reads back as it was sent");
        let remaining = both.beta("postalAddresses");
        assert_eq!(
            remaining,
            json!([{"type": "unknown", "city": "U"}, {"type": "unknown", "city": "H2"}, {"type": "business", "postOfficeBox": "9"}])
        );
        // v1.0 does not show it, so it is not removed.
        assert_eq!(address(3, json!({"businessAddress": cleared})), json!({"type": "business", "postOfficeBox": "9"}));
        assert_eq!(patched(json!({"otherAddress": cleared})).beta("postalAddresses").as_array().unwrap().len(), 4);
    }
    assert_eq!(
        address(3, json!({"businessAddress": {"city": "B"}})),
        json!({"type": "business", "postOfficeBox": "9", "city": "B"})
    );
    assert_eq!(address(4, json!({"otherAddress": {"city": "O"}})), json!({"type": "other", "city": "O"}));

    let sites = |body: Value| patched(body).beta("websites");
    assert_eq!(sites(json!({"businessHomePage": "x"}))[1], json!({"type": "work", "address": "x", "displayName": "W"}));
    let cleared = patched(json!({"businessHomePage": null}));
    assert_eq!(
        cleared.beta("websites"),
        json!([{"type": "blog", "address": "blog"}, {"type": "other", "address": "w2"}])
    );
    assert_eq!(cleared.v1()["businessHomePage"], Value::Null);

    let patched_contact = patched(json!({"homePhones": ["x"], "title": "y"}));
    let rich = rich();
    for kept in ["gender", "isFavorite", "weddingAnniversary", "emailAddresses", "websites", "postalAddresses"] {
        assert_eq!(patched_contact.beta(kept), rich[kept], "{kept}");
    }
    assert_eq!(patched_contact.beta("flag")["flagStatus"], "flagged");
}

#[test]
fn emails_keep_their_types_and_labels_if_the_address_is_unchanged() {
    let app = TestApp::new();
    let patched = |body: Value| {
        let both = Both::created(&app, "/beta", &rich());
        both.patch("/v1.0", &body);
        both.beta("emailAddresses")
    };
    let stored = rich()["emailAddresses"].clone();
    assert_eq!(
        patched(json!({"emailAddresses": [{"name": "New", "address": "B@Example.org"}, {"address": "e@example.org"}]})),
        json!([{"name": "New", "address": "B@Example.org", "type": "other", "otherLabel": "Club"}, {"name": "e@example.org", "address": "e@example.org"}])
    );
    assert_eq!(patched(json!({"emailAddresses": []})), json!([]));
    let primary = patched(json!({"primaryEmailAddress": {"address": "x@example.org"}}));
    assert_eq!(primary[0], json!({"name": "x@example.org", "address": "x@example.org"}));
    assert_eq!(primary.as_array().unwrap()[1..], stored.as_array().unwrap()[1..]);
    let removed = patched(json!({"secondaryEmailAddress": null}));
    assert_eq!(removed, json!([stored[0], stored[2], stored[3]]));
    let both =
        json!({"emailAddresses": [{"address": "z@example.org"}], "primaryEmailAddress": {"address": "y@example.org"}});
    assert_eq!(patched(both)[0]["address"], "z@example.org");
    // An entry moves up if the slots before it are empty.
    let new = Both::created(&app, "/v1.0", &json!({"tertiaryEmailAddress": {"name": "T", "address": "t@example.org"}}));
    assert_eq!(new.beta("emailAddresses"), json!([{"name": "T", "address": "t@example.org"}]));
    assert_eq!(new.v1()["primaryEmailAddress"], json!({"name": "T", "address": "t@example.org"}));
}

#[test]
fn sending_back_the_answer_of_one_shape_changes_nothing_in_the_other() {
    let app = TestApp::new();
    for body in [rich(), json!({}), serde_json::from_str(SEED_REQUEST).unwrap()] {
        let both = Both::created(&app, "", &body);
        let (v1, beta) = (both.v1(), both.ann.get(&format!("/me/contacts/{}", both.id)).json(200));
        assert_eq!(both.patch("/v1.0", &v1), v1);
        let mut after = both.ann.get(&format!("/me/contacts/{}", both.id)).json(200);
        for name in ["@odata.etag", "changeKey", "lastModifiedDateTime"] {
            after[name] = beta[name].clone();
        }
        // A display name that was sent is no longer derived.
        assert_eq!(after, beta);
    }
}

#[test]
fn a_contact_created_from_an_answer_copies_no_server_state() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let first = ann.post("/v1.0/me/contacts", json!({"givenName": "Ann"}));
    let path = format!("/v1.0/me/contacts/{}", first.id());
    let read = ann.get(&path).json(200);
    ann.delete(&path).empty(204);
    let trash = ann.get(&format!("/v1.0/me/deletedContacts/{}", first.id())).json(200);
    for body in [read, trash] {
        let copy = ann.post("/v1.0/me/contacts", &body);
        let made = copy.json(201);
        for name in ["id", "changeKey", "@odata.etag"] {
            assert_ne!(made[name], body[name], "{name}");
        }
        assert_eq!((&made["givenName"], &made["parentFolderId"]), (&json!("Ann"), &json!("contacts")));
        assert_eq!(made.get("deletedDateTime"), None);
        let key = made["changeKey"].as_str().unwrap();
        assert_eq!(made["@odata.etag"], format!("W/\"{key}\""));
        let path = format!("/v1.0/me/contacts/{}", copy.id());
        let changed = ann.with("If-Match", &format!("W/\"{key}\"")).patch(&path, json!({"title": "Dr."}));
        assert_eq!(changed.json(200)["title"], "Dr.");
        // The older beta shape keeps a sent change key, as Graph's page shows.
        assert_eq!(ann.post("/me/contacts", json!({"changeKey": key})).json(201)["changeKey"], key);
    }
}

#[test]
fn the_error_for_a_property_of_the_other_shape_names_that_shape() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (name, value, hint) in [
        ("phones", json!([]), "homePhones"),
        ("postalAddresses", json!([]), "homeAddress"),
        ("websites", json!([]), "businessHomePage"),
        ("gender", json!("f"), "/beta"),
        ("flag", json!({}), "/beta"),
        ("nonsense", json!(1), "does not exist"),
    ] {
        let answer = ann.post("/v1.0/me/contacts", json!({name: value}));
        assert_eq!(answer.error(), (400, "RequestBodyRead".into(), name.into()));
        assert!(answer.message().contains(hint), "{}", answer.message());
        assert_eq!(answer.header("content-type"), V1_JSON);
    }
    for (body, target) in [
        (json!({"emailAddresses": [{"type": "work"}]}), "emailAddresses/0/type"),
        (json!({"homeAddress": {"postOfficeBox": "1"}}), "homeAddress/postOfficeBox"),
        (json!({"homePhones": "1"}), "homePhones"),
        (json!({"homePhones": [null]}), "homePhones/0"),
        (json!({"mobilePhone": 1}), "mobilePhone"),
        (json!({"primaryEmailAddress": "x"}), "primaryEmailAddress"),
    ] {
        assert_eq!(
            ann.post("/v1.0/me/contacts", &body).error(),
            (400, "RequestBodyRead".into(), target.into()),
            "{body}"
        );
    }
    let strict = ann.with("Prefer", "handling=strict");
    let three = strict.post("/v1.0/me/contacts", json!({"businessPhones": ["1", "2", "3"]}));
    assert_eq!(three.error(), (400, "ErrorPropertyValidationFailure".into(), "businessPhones".into()));
    assert_eq!(
        three.message(),
        "The multi value property BusinessPhones has 3 entries, that exceeds the max allowed value of 2"
    );
    assert_eq!(app.count("select count(*) from contacts"), 0);
}

#[test]
fn lists_of_v1_have_only_the_default_folder() {
    let app = TestApp::new();
    let ann = app.user("ann");
    ann.post("/me/contacts/$ref", SEED_REQUEST);
    let own = ann.post("/v1.0/me/contacts", json!({"parentFolderId": "ignored", "title": "own"}));
    assert_eq!(own.json(201)["parentFolderId"], "contacts");
    let count = |path: &str| ann.get(path).json(200)["value"].as_array().unwrap().len();
    assert_eq!((count("/me/contacts"), count("/beta/me/contacts"), count("/v1.0/me/contacts")), (2, 2, 1));
    assert_eq!(ann.get("/v1.0/me/contacts").json(200)["value"][0]["title"], "own");
    let id = ann.get("/me/contacts?$top=1").json(200)["value"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ann.get(&format!("/v1.0/me/contacts/{id}")).json(200)["givenName"], "Given Name value");
}

#[test]
fn select_returns_only_the_selected_properties() {
    let app = TestApp::new();
    let both = Both::created(&app, "/beta", &rich());
    let (ann, id) = (&both.ann, &both.id);
    let names = |path: &str| {
        let body = ann.get(path).json(200);
        let contact = body.get("value").map_or(&body, |list| &list[0]);
        contact.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    for (path, expected) in [
        (
            format!("/v1.0/me/contacts/{id}?$select=displayName"),
            vec!["@odata.context", "@odata.etag", "id", "displayName"],
        ),
        (format!("/v1.0/me/contacts/{id}?$select=id"), vec!["@odata.context", "@odata.etag", "id"]),
        (
            format!("/me/contacts/{id}?select=TITLE, gender"),
            vec!["@odata.context", "@odata.etag", "@odata.type", "id", "gender", "title"],
        ),
        (
            "/beta/me/contacts?%24select=flag%2Cphones".to_owned(),
            vec!["@odata.etag", "@odata.type", "id", "flag", "phones"],
        ),
        ("/v1.0/me/contacts?$select=mobilePhone".to_owned(), vec!["@odata.etag", "id", "mobilePhone"]),
    ] {
        let mut expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        expected.sort();
        assert_eq!(names(&path.replace(' ', "%20")), expected, "{path}");
    }
    assert_eq!(names(&format!("/v1.0/me/contacts/{id}?$select=*")).len(), empty().as_object().unwrap().len() + 6);
    let body = ann.get(&format!("/v1.0/me/contacts/{id}?$select=homeAddress/city,emailAddresses/address")).json(200);
    assert_eq!(
        (&body["homeAddress"], &body["emailAddresses"][0]),
        (&json!({"city": "H1"}), &json!({"address": "A@example.org"}))
    );
    assert_eq!(
        body["@odata.context"],
        format!(
            "http://{}/v1.0/$metadata#users('ann')/contacts(homeAddress/city,emailAddresses/address)/$entity",
            app.address
        )
    );
    let list = ann.get("/v1.0/me/contacts?$select=displayName&$top=1").json(200);
    assert_eq!(
        list["@odata.context"],
        format!("http://{}/v1.0/$metadata#users('ann')/contacts(displayName)", app.address)
    );
    for (path, target) in [
        ("$select=nope", "$select"),
        ("$select=phones", "$select"),
        ("$select=", "$select"),
        ("$select=id&select=id", "$select"),
    ] {
        assert_eq!(
            ann.get(&format!("/v1.0/me/contacts?{path}")).error(),
            (400, "BadRequest".into(), target.into()),
            "{path}"
        );
    }
    assert_eq!(ann.post("/v1.0/me/contacts?$select=id", "{}").error().0, 400);
}

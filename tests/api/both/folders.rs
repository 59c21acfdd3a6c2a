//! Folders that a contact creates implicitly, and the folder routes.

use contactd::store::Options;
use serde_json::{Value, json};

use crate::app::{Answer, Client, SEED_REQUEST, Setup, TestApp};

const SEED_FOLDER: &str = "Parent Folder Id value";

#[test]
fn a_contact_without_a_folder_is_in_the_default_folder() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for body in [
        json!({}),
        json!({"parentFolderId": null}),
        json!({"parentFolderId": ""}),
        json!({"parentFolderId": "contacts"}),
    ] {
        assert_eq!(ann.post("/me/contacts", body).json(201)["parentFolderId"], "contacts");
    }
    assert_eq!(app.count("select count(*) from folders"), 1);
}

#[test]
fn an_unknown_folder_id_creates_a_folder_with_that_id_and_name() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for folder in ["Work", "work", "a/b?c#d%20'e'", " ", "日本", "msgfolderroot"] {
        for _ in 0..2 {
            assert_eq!(ann.post("/me/contacts", json!({"parentFolderId": folder})).json(201)["parentFolderId"], folder);
        }
        let quoted = folder.replace('\'', "''");
        let made = format!("select display_name, parent_folder_id from folders where id = '{quoted}'");
        assert_eq!(app.sql(&made), format!("{folder}|contacts"));
    }
    assert_eq!(app.count("select count(*) from folders"), 7);
}

#[test]
fn the_pages_folder_collides_with_nothing() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let posted = || assert_eq!(ann.post("/me/contacts/$ref", SEED_REQUEST).json(201)["parentFolderId"], SEED_FOLDER);
    ann.get("/me");
    // Another folder has this name, and one folder's id equals the name of another.
    app.sql(&format!(
            "insert into folders (mailbox, id, parent_folder_id, display_name, display_name_key, version, created_date_time, last_modified_date_time)
             select id, 'x', 'contacts', '{SEED_FOLDER}', 'parent folder id value', 0, 0, 0 from mailboxes
             union all select id, 'parent folder id value', 'contacts', '{SEED_FOLDER}', '', 0, 0, 0 from mailboxes"
        ));
    posted();
    // A folder has this id and another name. It is used unchanged.
    app.sql(&format!("update folders set display_name = 'Renamed' where id = '{SEED_FOLDER}'"));
    posted();
    assert_eq!(
        app.count(&format!("select count(*) from folders where id = '{SEED_FOLDER}' and display_name = 'Renamed'")),
        1
    );
    // A deleted folder is created again. Its former contacts stay deleted.
    app.sql(&format!("update folders set deleted_date_time = 1, parent_folder_id = 'x' where id = '{SEED_FOLDER}'"));
    posted();
    let anew = format!(
        "select count(*) from folders where id = '{SEED_FOLDER}' and display_name = id and parent_folder_id = 'contacts' and deleted_date_time is null"
    );
    assert_eq!(app.count(&anew), 1);
}

#[test]
fn the_number_of_folders_is_limited_and_existing_ones_still_work() {
    let app = TestApp::with(Setup { options: Options { max_folders: 3, ..Options::default() }, ..Setup::default() });
    let ann = app.user("ann");
    let post = |folder: &str| ann.post("/me/contacts", json!({"parentFolderId": folder}));
    assert_eq!((post("a").status, post("b").status), (201, 201));
    assert_eq!(post("c").error(), (403, "quotaLimitReached".into(), String::new()));
    assert_eq!(post("c").message(), "A mailbox has at most 3 folders.");
    assert_eq!((post("a").status, post("contacts").status), (201, 201));
    app.sql("update folders set deleted_date_time = 1 where id = 'b'");
    assert_eq!((post("c").status, post("b").status), (403, 201));
    assert_eq!(app.user("bob").post("/me/contacts", json!({"parentFolderId": "c"})).status, 201);
    assert_eq!(app.count("select count(*) from contacts"), 6);
}

#[test]
fn a_patch_moves_to_a_folder_that_exists() {
    let app = TestApp::new();
    let ann = app.user("ann");
    ann.post("/me/contacts", json!({"parentFolderId": "work"}));
    let created = ann.post("/me/contacts", "{}");
    let path = format!("/me/contacts/{}", created.id());
    let moved = ann.patch(&path, json!({"parentFolderId": "work"}));
    assert_eq!(moved.json(200)["parentFolderId"], "work");
    assert_ne!(moved.header("etag"), created.header("etag"));
    for unknown in ["nowhere", "Work"] {
        let answer = ann.patch(&path, json!({"parentFolderId": unknown, "title": "x"}));
        assert_eq!(answer.error(), (404, "ErrorItemNotFound".into(), String::new()));
    }
    // Without a folder, or with the current one, the contact is not moved.
    for same in [json!(null), json!("")] {
        assert_eq!(ann.patch(&path, json!({"parentFolderId": same})).body, moved.body);
    }
    let again = ann.patch(&path, json!({"parentFolderId": "work", "title": "y"})).json(200);
    assert_eq!((&again["parentFolderId"], &again["title"]), (&json!("work"), &json!("y")));
    assert_eq!(app.count("select count(*) from changes where removed"), 1);
}

/// The answer of a folder route without generated values.
fn shown(answer: &Answer, status: u16) -> Value {
    let mut folder = answer.json(status);
    for name in ["@odata.context", "@odata.etag", "id"] {
        assert!(folder.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    folder
}

fn names(client: &Client, path: &str) -> Vec<String> {
    let list = client.get(path).json(200);
    list["value"].as_array().unwrap().iter().map(|folder| folder["displayName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_folder_is_created_read_renamed_and_deleted() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let made = ann.post("/v1.0/me/contactFolders", json!({"displayName": "Work", "parentFolderId": "ignored"}));
    assert_eq!(shown(&made, 201), json!({"parentFolderId": "contacts", "displayName": "Work"}));
    let id = made.id();
    let path = format!("/v1.0/me/contactFolders/{id}");
    let root = format!("http://{}/v1.0", app.address);
    assert_eq!(made.header("location"), format!("{root}/users('ann')/contactFolders('{id}')"));
    assert_eq!(made.json(201)["@odata.context"], format!("{root}/$metadata#users('ann')/contactFolders/$entity"));
    assert_eq!(ann.get(&path).body, made.body);
    assert_eq!(ann.get(&path).header("etag"), made.header("etag"));
    assert_eq!(ann.with("If-None-Match", &made.header("etag")).get(&path).status, 304);
    let beta = ann.get(&format!("/beta/me/contactFolders('{id}')"));
    assert_eq!(shown(&beta, 200), json!({"parentFolderId": "contacts", "displayName": "Work", "wellKnownName": null}));
    assert_eq!(ann.get(&format!("{path}?$select=displayName")).json(200).as_object().unwrap().len(), 4);

    let renamed = ann.patch(&path, json!({"displayName": "Arbeit"}));
    assert_eq!(shown(&renamed, 200), json!({"parentFolderId": "contacts", "displayName": "Arbeit"}));
    assert_ne!(renamed.header("etag"), made.header("etag"));
    assert_eq!(ann.patch(&path, json!({"displayName": "Arbeit"})).body, renamed.body, "nothing was to be changed");
    let stale = ann.with("If-Match", &made.header("etag"));
    assert_eq!((stale.patch(&path, json!({"displayName": "x"})).error().0, stale.delete(&path).error().0), (412, 412));
    assert_eq!(ann.with("If-Match", &renamed.header("etag")).delete(&path).status, 204);
    let not_found = (404, "ErrorItemNotFound".into(), String::new());
    assert_eq!(ann.get(&path).error(), not_found);
    assert_eq!(ann.patch(&path, json!({"displayName": "x"})).error(), not_found);
    assert_eq!(ann.delete(&path).error(), not_found);
    assert_eq!(ann.post(&format!("{path}/contacts"), "{}").error(), not_found);
    assert_eq!(app.count("select count(*) - max(seq) from changes"), 0);
}

#[test]
fn folder_names_are_unique_among_siblings_when_set_by_a_folder_route() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let name_conflict = (409, "ErrorFolderExists".into(), String::new());
    let post = |path: &str, name: &str| ann.post(path, json!({"displayName": name}));
    let work = post("/me/contactFolders", "Straße").id();
    assert_eq!(post("/me/contactFolders", "STRAßE").error(), name_conflict);
    let inner = format!("/me/contactFolders/{work}/childFolders");
    let child = post(&inner, "Straße");
    assert_eq!(child.json(201)["parentFolderId"], work);
    let other = post("/me/contactFolders", "Other").id();
    assert_eq!(
        ann.patch(&format!("/me/contactFolders/{other}"), json!({"displayName": "straße"})).error(),
        name_conflict
    );
    let moved = ann.patch(&format!("/me/contactFolders/{}", child.id()), json!({"parentFolderId": "contacts"}));
    assert_eq!(moved.error(), name_conflict);
    // A folder can change the letter case of its own name.
    assert_eq!(ann.patch(&format!("/me/contactFolders/{work}"), json!({"displayName": "STRAßE"})).status, 200);
    // An implicit folder never causes a name conflict.
    assert_eq!(ann.post("/me/contacts", json!({"parentFolderId": "Other"})).status, 201);
    assert_eq!(names(&ann, "/v1.0/me/contactFolders"), ["STRAßE", "Other", "Other"]);
    // The name of a deleted folder is free.
    ann.delete(&format!("/me/contactFolders/{work}")).empty(204);
    assert_eq!(post("/me/contactFolders", "Straße").status, 201);
}

#[test]
fn folders_nest_and_move_with_their_content() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let make = |path: &str, name: &str| ann.post(path, json!({"displayName": name})).id();
    let a = make("/me/contactFolders", "a");
    let b = make(&format!("/me/contactFolders/{a}/childFolders"), "b");
    let c = make(&format!("/me/contactFolders/{a}/childFolders/{b}/childFolders"), "c");
    let deep = format!("/me/contactFolders/{a}/childFolders/{b}/childFolders/{c}");
    let in_c = ann.post(&format!("{deep}/contacts"), json!({"title": "in c", "parentFolderId": "elsewhere"}));
    assert_eq!(in_c.json(201)["parentFolderId"], c);
    let in_a = ann.post(&format!("/me/contactFolders('{a}')/contacts/$ref"), json!({"title": "in a"})).id();
    let own = ann.post("/me/contacts", json!({"title": "own"})).id();
    let titles = |path: &str| {
        let list = ann.get(path).json(200);
        list["value"].as_array().unwrap().iter().map(|c| c["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles(&format!("{deep}/contacts")), ["in c"]);
    assert_eq!(titles(&format!("/v1.0/me/contactFolders/{a}/contacts")), ["in a"]);
    assert_eq!(titles("/me/contactFolders/contacts/contacts"), ["own"]);
    let list = ann.get(&format!("/v1.0/me/contactFolders/{a}/contacts")).json(200);
    assert_eq!(
        list["@odata.context"],
        format!("http://{}/v1.0/$metadata#users('ann')/contactFolders('{a}')/contacts", app.address)
    );

    // A contact is found in its own folder, and by paths without a folder.
    let not_found = (404, "ErrorItemNotFound".into(), String::new());
    let elsewhere = format!("/me/contactFolders/{a}/contacts/{}", in_c.id());
    assert_eq!(ann.get(&format!("{deep}/contacts/{}", in_c.id())).status, 200);
    assert_eq!(ann.get(&format!("/me/contacts/{}", in_c.id())).status, 200);
    assert_eq!(ann.get(&elsewhere).error(), not_found);
    assert_eq!(ann.patch(&elsewhere, json!({"title": "x"})).error(), not_found);
    assert_eq!(ann.delete(&elsewhere).error(), not_found);
    // Each folder in a path must be inside the one before.
    assert_eq!(ann.get(&format!("/me/contactFolders/{a}/childFolders/{c}")).error(), not_found);
    assert_eq!(ann.post(&format!("/me/contactFolders/{a}/childFolders/{c}/contacts"), "{}").error(), not_found);
    assert_eq!(ann.post("/me/contactFolders/nowhere/contacts", "{}").error(), not_found);
    assert_eq!(ann.get("/me/contactFolders/nowhere/contacts").error(), not_found);
    assert_eq!(ann.get("/me/contactFolders/nowhere/childFolders").error(), not_found);
    assert_eq!(app.user("bob").get(&format!("/me/contactFolders/{a}")).error(), not_found);

    // Not into itself, not below itself, not into an unknown folder.
    let moves = |id: &str, to: &str| ann.patch(&format!("/me/contactFolders/{id}"), json!({"parentFolderId": to}));
    assert_eq!(moves(&a, &a).error().0, 400);
    assert_eq!(moves(&a, &c).error(), (400, "ErrorInvalidRequest".into(), String::new()));
    assert_eq!(moves(&a, "nowhere").error(), not_found);
    assert_eq!(moves(&b, "contacts").json(200)["parentFolderId"], "contacts");
    assert_eq!(names(&ann, "/v1.0/me/contactFolders"), ["a", "b"]);
    assert_eq!(moves(&b, &a).status, 200);

    // The content is deleted too: each contact and each folder has an entry in the log.
    let before = app.count("select max(seq) from changes where mailbox = (select min(id) from mailboxes)");
    let deleted = ann.delete(&format!("/me/contactFolders/{a}"));
    deleted.empty(204);
    assert_eq!(deleted.header("contactd-position"), (before + 5).to_string());
    assert_eq!(app.count("select count(*) from changes where removed"), 5);
    assert_eq!(app.count("select count(*) - max(seq) from changes where mailbox = (select min(id) from mailboxes)"), 0);
    assert_eq!(app.count("select count(*) from contacts c join changes l on l.mailbox = c.mailbox and l.seq = c.version and l.contact_id = c.id and l.removed"), 2);
    for id in [&in_c.id(), &in_a] {
        assert_eq!(ann.get(&format!("/me/contacts/{id}")).error(), not_found);
    }
    assert_eq!(titles("/me/contacts"), ["own"]);
    assert_eq!(ann.get(&format!("/me/contactFolders/{c}")).error(), not_found);
    assert_eq!(ann.patch(&format!("/me/contacts/{own}"), json!({"parentFolderId": c})).error(), not_found);
    // Later changes continue the numbering.
    assert_eq!(ann.post("/me/contacts", "{}").header("contactd-position"), (before + 6).to_string());
}

#[test]
fn the_default_folder_is_listed_in_the_seeds_shape_and_is_immutable() {
    let app = TestApp::new();
    let ann = app.user("ann");
    ann.post("/me/contactFolders", json!({"displayName": "x"}));
    assert_eq!(names(&ann, "/me/contactFolders"), ["Contacts", "x"]);
    assert_eq!(names(&ann, "/v1.0/me/contactFolders"), ["x"]);
    assert_eq!(names(&ann, "/v1.0/me/contactFolders/contacts/childFolders"), ["x"]);
    let default = ann.get("/beta/me/contactFolders/contacts");
    assert_eq!(
        shown(&default, 200),
        json!({"parentFolderId": "msgfolderroot", "displayName": "Contacts", "wellKnownName": "contacts"})
    );
    let refused = (403, "ErrorDeleteDistinguishedFolder".into(), String::new());
    assert_eq!(ann.delete("/me/contactFolders/contacts").error(), refused);
    assert_eq!(ann.patch("/me/contactFolders/contacts", json!({"displayName": "Mine"})).error(), refused);
    assert_eq!(ann.patch("/me/contactFolders/contacts", json!({"displayName": "Contacts"})).status, 200);
}

#[test]
fn a_paged_list_of_folders_shows_each_once() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let ids: Vec<_> =
        (0..23).map(|i| ann.post("/me/contactFolders", json!({"displayName": format!("f{i}")})).id()).collect();
    for (path, size, first) in [
        ("/v1.0/me/contactFolders", 10, 0),
        ("/v1.0/me/contactFolders?$top=7", 7, 0),
        ("/v1.0/me/contactFolders?$top=7&$skip=3", 7, 3),
        ("/v1.0/me/contactFolders?$top=1000", 1000, 0),
    ] {
        let mut next = Some(path.to_owned());
        let mut found = Vec::new();
        while let Some(path) = next {
            let page = ann.get(&path).json(200);
            let value = page["value"].as_array().unwrap();
            next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            assert!(value.len() == size || next.is_none());
            found.extend(value.iter().map(|folder| folder["id"].as_str().unwrap().to_owned()));
            if let Some(link) = &next {
                assert!(
                    link.len() < 2_000 && link.starts_with(&format!("http://{}/v1.0/me/contactFolders?", app.address))
                );
                // Deleting a shown folder and creating a new one do not shift later pages.
                if found.len() == 7 {
                    let made = ann.post("/me/contactFolders", json!({"displayName": "between"})).id();
                    ann.delete(&format!("/me/contactFolders/{made}")).empty(204);
                }
            }
        }
        assert_eq!(found, ids[first..], "{path}");
    }
    assert_eq!(ann.get("/me/contactFolders?$skiptoken=x").error(), (400, "BadRequest".into(), "$skiptoken".into()));
}

#[test]
fn an_invalid_folder_is_refused() {
    let app = TestApp::with(Setup { options: Options { max_folders: 3, ..Options::default() }, ..Setup::default() });
    let ann = app.user("ann");
    for (body, code, target) in [
        (json!({}), "RequestBodyRead", "displayName"),
        (json!({"displayName": null}), "RequestBodyRead", "displayName"),
        (json!({"displayName": " "}), "RequestBodyRead", "displayName"),
        (json!({"displayName": 1}), "RequestBodyRead", "displayName"),
        (json!({"name": "x"}), "RequestBodyRead", "name"),
        (json!([]), "RequestBodyRead", ""),
        (json!({"displayName": "x".repeat(256)}), "ErrorPropertyValidationFailure", "displayName"),
        (
            json!({"displayName": "x", "parentFolderId": "x".repeat(256)}),
            "ErrorPropertyValidationFailure",
            "parentFolderId",
        ),
    ] {
        assert_eq!(ann.post("/me/contactFolders", &body).error(), (400, code.into(), target.into()), "{body}");
    }
    let ok =
        json!({"@odata.type": "#microsoft.graph.contactFolder", "DisplayName": "x", "id": "y", "wellKnownName": null});
    assert_eq!(ann.post("/me/contactFolders", ok).status, 201);
    assert_eq!(ann.post("/me/contactFolders", json!({"displayName": "y"})).status, 201);
    let full = ann.post("/me/contactFolders", json!({"displayName": "z"})).error();
    assert_eq!(full, (403, "quotaLimitReached".into(), String::new()));
    assert_eq!(ann.get("/me/contactFolders?$select=nope").error(), (400, "BadRequest".into(), "$select".into()));
    assert_eq!(ann.send("PUT", "/me/contactFolders", None).header("allow"), "GET, POST");
    assert_eq!(ann.send("POST", "/me/contactFolders/contacts", None).header("allow"), "GET, PATCH, DELETE");
    assert_eq!(app.count("select count(*) from folders"), 3);
}

#[test]
fn folders_are_filtered_and_counted() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for name in ["Straße", "Work", "work 2", "Ünïcode"] {
        ann.post("/me/contactFolders", json!({"displayName": name}));
    }
    let found = |root: &str, filter: &str| {
        let path = format!("{root}/me/contactFolders?$filter={}", contactd::percent::percent_encode(filter));
        (names(&ann, &path), ann.get(&path.replace("contactFolders?", "contactFolders/$count?")).body)
    };
    for (filter, expected) in [
        ("displayName eq 'WORK'", vec!["Work"]),
        ("displayName eq 'STRASSE'", vec![]),
        ("displayName eq 'STRAẞE'", vec!["Straße"]),
        ("startswith(displayName,'work')", vec!["Work", "work 2"]),
        ("contains(displayName,'ÜNÏ') or displayName gt 'x'", vec!["Ünïcode"]),
        ("not (displayName eq 'work')", vec!["Straße", "work 2", "Ünïcode"]),
        ("parentFolderId eq 'contacts' and length(displayName) gt 6", vec!["Ünïcode"]),
        ("id eq 'nowhere'", vec![]),
    ] {
        assert_eq!(
            found("/v1.0", filter),
            (expected.iter().map(|n| (*n).to_owned()).collect(), expected.len().to_string().into_bytes()),
            "{filter}"
        );
    }
    assert_eq!(found("/beta", "displayName eq 'contacts'").0, ["Contacts"]);
    let page = ann.get("/v1.0/me/contactFolders?$count=true&$top=1").json(200);
    assert_eq!((&page["@odata.count"], page["value"].as_array().unwrap().len()), (&json!(4), 1));
    let number = ann.get("/me/contactFolders/$count");
    assert_eq!((number.header("content-type").as_str(), number.body.as_slice()), ("text/plain", &b"5"[..]));
    assert_eq!(
        ann.get("/me/contactFolders?$filter=surname%20eq%20'x'").error(),
        (400, "BadRequest".into(), "$filter".into())
    );
}

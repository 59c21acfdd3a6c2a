//! `$expand`: folders with their content.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

fn expanded(client: &Client, path: &str, expand: &str) -> Value {
    let sign = if path.contains('?') { '&' } else { '?' };
    client.get(&format!("{path}{sign}$expand={}", percent_encode(expand))).json(200)
}

fn of_all<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|entry| entry[member].as_str().unwrap()).collect()
}

/// All pages of an expanded collection. The first one is part of the folder.
fn walk(client: &Client, folder: &Value, name: &str) -> Vec<Value> {
    let mut found = folder[name].as_array().unwrap().clone();
    let mut next = folder.get(format!("{name}@odata.nextLink")).cloned();
    while let Some(link) = next {
        let link = link.as_str().unwrap();
        assert!(link.starts_with("http://") && link.len() < 2_000, "{link}");
        let page = client.get(link).json(200);
        assert!(!page["value"].as_array().unwrap().is_empty());
        found.extend(page["value"].as_array().unwrap().clone());
        next = page.get("@odata.nextLink").cloned();
    }
    found
}

/// A folder `a` with 12 contacts and the folders `x`, `y` and `z`, the folder `b` with one contact, and `c` with nothing.
/// Answers the ids of `a`, `b` and `c`.
fn mailbox(client: &Client) -> [String; 3] {
    let make = |path: &str, name: &str| client.post(path, json!({"displayName": name})).id();
    let ids = ["a", "b", "c"].map(|name| make("/me/contactFolders", name));
    for i in 0..12 {
        let body = json!({"surname": format!("s{i:02}"), "title": "o'a;b)"});
        client.post(&format!("/me/contactFolders/{}/contacts", ids[0]), body);
    }
    client.post(&format!("/me/contactFolders/{}/contacts", ids[1]), json!({"surname": "only"}));
    for name in ["x", "y", "z"] {
        make(&format!("/me/contactFolders/{}/childFolders", ids[0]), name);
    }
    ids
}

#[test]
fn expand_shows_the_content_of_a_folder() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let [a, ..] = mailbox(&ann);
    for prefix in ["", "/v1.0"] {
        let path = format!("{prefix}/me/contactFolders/{a}");
        let root = format!("http://{}{prefix}", app.address);
        let shown = expanded(&ann, &path, "contacts,ChildFolders");
        let mut rest = shown.clone();
        let contacts = ann.get(&format!("{path}/contacts")).json(200);
        let folders = ann.get(&format!("{path}/childFolders")).json(200);
        let inside = format!("{root}/$metadata#users('ann')/contactFolders('{a}')");
        for (member, value) in [
            ("contacts@odata.context", json!(format!("{inside}/contacts"))),
            ("contacts", contacts["value"].clone()),
            ("childFolders@odata.context", json!(format!("{inside}/childFolders"))),
            ("childFolders", folders["value"].clone()),
        ] {
            assert_eq!(rest.as_object_mut().unwrap().remove(member), Some(value), "{member}");
        }
        let link = rest.as_object_mut().unwrap().remove("contacts@odata.nextLink").unwrap();
        let start = format!("{root}/users('ann')/contactFolders('{a}')/contacts?$skiptoken=");
        assert!(link.as_str().unwrap().starts_with(&start), "{link}");
        assert_eq!(walk(&ann, &shown, "contacts").len(), 12);
        // The rest equals the folder, except the context, which names the expansion.
        let context = rest.as_object_mut().unwrap().remove("@odata.context").unwrap();
        let named = "contactFolders(contacts(),childFolders())/$entity";
        assert_eq!(context, format!("{root}/$metadata#users('ann')/{named}"));
        let mut plain = ann.get(&path).json(200);
        plain.as_object_mut().unwrap().remove("@odata.context");
        assert_eq!(rest, plain);
    }
    let path = format!("/me/contactFolders/{a}?$select=displayName");
    let bare = ann.with("Accept", "application/json;odata.metadata=none");
    let shown = expanded(&bare, &path, "childFolders($select=displayName;$top=2;$count=true)");
    let ids: Vec<_> = shown["childFolders"].as_array().unwrap().iter().map(|folder| folder["id"].clone()).collect();
    assert_eq!(
        shown,
        json!({
            "id": a, "displayName": "a", "childFolders@odata.count": 3,
            "childFolders@odata.nextLink": shown["childFolders@odata.nextLink"],
            "childFolders": [{"id": ids[0], "displayName": "x"}, {"id": ids[1], "displayName": "y"}],
        })
    );
    assert_eq!(of_all(&Value::from(walk(&bare, &shown, "childFolders")), "displayName"), ["x", "y", "z"]);
    let context = expanded(&ann, &path, "contacts($select=title)")["@odata.context"].clone();
    let named = "contactFolders(displayName,contacts(title))/$entity";
    assert_eq!(context, format!("http://{}/$metadata#users('ann')/{named}", app.address));
    // Its ETag does not depend on its content.
    let tag = ann.get(&path).header("etag");
    let same = ann.with("If-None-Match", &tag);
    assert_eq!((same.get(&path).status, same.get(&format!("{path}&$expand=contacts")).status), (304, 200));
}

#[test]
fn expand_has_its_own_options() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let [a, ..] = mailbox(&ann);
    let path = format!("/v1.0/me/contactFolders/{a}");
    let shown = expanded(
        &ann,
        &path,
        "contacts( $filter = title eq 'O''A;B)' and surname ge 's05' ; $orderby=surname desc;top=3;$skip=1;$count=true;$select=surname)",
    );
    assert_eq!(shown["contacts@odata.count"], 7);
    assert_eq!(of_all(&shown["contacts"], "surname"), ["s10", "s09", "s08"]);
    assert_eq!(shown["contacts"][0].as_object().unwrap().len(), 3);
    let all_contacts = walk(&ann, &shown, "contacts");
    assert_eq!(of_all(&Value::from(all_contacts), "surname"), ["s10", "s09", "s08", "s07", "s06", "s05"]);
    // Aliases belong to the request, and the link repeats them.
    let shown = expanded(&ann, &format!("{path}?@p='s09'"), "contacts($filter=surname gt @p;$top=1)");
    assert_eq!(of_all(&Value::from(walk(&ann, &shown, "contacts")), "surname"), ["s10", "s11"]);
    let shown = expanded(&ann, &path, "childFolders($filter=displayName ne 'y';$orderby=displayName desc;$top=1)");
    assert_eq!(of_all(&Value::from(walk(&ann, &shown, "childFolders")), "displayName"), ["z", "x"]);
    let preferring = ann.with("Prefer", "odata.maxpagesize=2");
    let shown = expanded(&preferring, &path, "contacts($top=5),childFolders");
    let length = |name: &str| shown[name].as_array().unwrap().len();
    assert_eq!((length("contacts"), length("childFolders")), (2, 2));
    assert_eq!((walk(&ann, &shown, "contacts").len(), walk(&ann, &shown, "childFolders").len()), (12, 3));
}

#[test]
fn expand_works_in_lists_of_folders() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let [a, b, c] = mailbox(&ann);
    let own = ann.post("/me/contacts", json!({"surname": "own"})).id();
    let list =
        expanded(&ann, "/me/contactFolders?$orderby=displayName&$count=true", "contacts,childFolders($count=true)");
    assert_eq!((&list["@odata.count"], list.get("@odata.nextLink")), (&json!(4), None));
    let context = format!("http://{}/$metadata#users('ann')/contactFolders(contacts(),childFolders())", app.address);
    assert_eq!(list["@odata.context"], context);
    assert_eq!(of_all(&list["value"], "id"), [&*a, &*b, &*c, "contacts"]);
    for (folder, contacts, folders) in [(0, 12, 3), (1, 1, 0), (2, 0, 0), (3, 1, 3)] {
        let folder = &list["value"][folder];
        assert_eq!(walk(&ann, folder, "contacts").len(), contacts, "{folder}");
        assert_eq!(folder["contacts"].as_array().unwrap().len(), contacts.min(10), "{folder}");
        assert_eq!(
            (folder["childFolders"].as_array().unwrap().len(), &folder["childFolders@odata.count"]),
            (folders, &json!(folders))
        );
    }
    assert_eq!(of_all(&list["value"][3]["contacts"], "id"), [&*own]);
    // Page by page with the same options.
    let mut next = Some("/v1.0/me/contactFolders?$top=2&$expand=contacts($top=1)&$select=id".to_owned());
    let mut found = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        for folder in page["value"].as_array().unwrap() {
            found.push((folder["id"].as_str().unwrap().to_owned(), walk(&ann, folder, "contacts").len()));
        }
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
    }
    assert_eq!(found, [(a.clone(), 12), (b, 1), (c, 0)]);
    let below = expanded(&ann, &format!("/me/contactFolders/{a}/childFolders"), "contacts");
    assert_eq!(below["value"].as_array().unwrap().len(), 3);
    let named = format!("contactFolders('{a}')/childFolders(contacts())");
    assert_eq!(below["@odata.context"], format!("http://{}/$metadata#users('ann')/{named}", app.address));
}

#[test]
fn a_page_with_large_expansions_ends_early_and_its_next_link_continues() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let notes = "x".repeat(1_000_000);
    let mut all = Vec::new();
    for i in 0..7 {
        all.push(ann.post("/me/contactFolders", json!({"displayName": format!("f{i}")})).id());
        for _ in 0..2 {
            ann.post(&format!("/me/contactFolders/{}/contacts", all[i]), json!({"personalNotes": notes}));
        }
    }
    for order in ["", "&$orderby=displayName", "&$orderby=length(displayName)"] {
        let mut next = Some(format!("/v1.0/me/contactFolders?$top=1000&$expand=contacts{order}"));
        let (mut found, mut pages) = (Vec::new(), 0);
        while let Some(path) = next {
            let page = ann.get(&path);
            assert!(page.body.len() < 9 << 20, "{}", page.body.len());
            let page = page.json(200);
            found.extend(of_all(&page["value"], "id").into_iter().map(str::to_owned));
            next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            pages += 1;
        }
        assert_eq!(found, all);
        assert!((2..7).contains(&pages), "{pages}");
    }
    // Empty folders have pages of twenty.
    for i in 0..30 {
        ann.post("/me/contactFolders", json!({"displayName": format!("e{i}")}));
    }
    let page = expanded(&ann, "/v1.0/me/contactFolders?$top=1000&$filter=startswith(displayName,'e')", "childFolders");
    assert_eq!(page["value"].as_array().unwrap().len(), 20);
    let rest = ann.get(page["@odata.nextLink"].as_str().unwrap()).json(200);
    assert_eq!(rest["value"].as_array().unwrap().len(), 10);
    assert!(rest.get("@odata.nextLink").is_none());
}

#[test]
fn unsupported_expansions_are_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    let contact = format!("/v1.0/me/contacts/{id}");
    let (contacts, folder, folders) = ("/me/contacts", "/me/contactFolders/contacts", "/v1.0/me/contactFolders");
    let (invalid, unsupported) = ((400, "BadRequest"), (400, "ExpandNotSupported"));
    for (paths, expand, (status, code), target, said) in [
        (
            &[contacts, &contact][..],
            "photo",
            unsupported,
            "$expand",
            "'photo' of 'microsoft.graph.contact' cannot be expanded",
        ),
        (
            &[contacts, &contact, folder, folders],
            "singleValueExtendedProperties($filter=id eq 'String {0} Name a;b)')",
            invalid,
            "$expand/singleValueExtendedProperties/$filter",
            "'String {0} Name a;b)' is not an id",
        ),
        (&[folder, folders], "extensions", invalid, "$expand", "these can be expanded: childFolders, contacts, single"),
        (
            &[contacts, &contact],
            "contacts",
            invalid,
            "$expand",
            "these can be expanded: extensions, singleValueExtendedProperties",
        ),
        (&[contacts, &contact, folder, folders], "", invalid, "$expand", "named '' on type"),
        (&[folder, folders], "photo", invalid, "$expand", "these can be expanded: childFolders, contacts, single"),
        (&[folder, folders], "*", invalid, "$expand", "named '*'"),
        (&[folder, folders], "contacts,contacts", invalid, "$expand", "twice"),
        (&[folder, folders], "contacts($filter=surname eq 'x)", invalid, "$expand", "position 28"),
        (&[folder, folders], "contacts($expand=photo)", invalid, "$expand/contacts/$expand", "is not supported inside"),
        (&[folder, folders], "contacts($levels=2)", invalid, "$expand/contacts/$levels", "$count, separated by ';'"),
        (&[folder, folders], "contacts($filter=nope eq 1)", invalid, "$expand/contacts/$filter", "at position 0"),
        (&[folder, folders], "contacts($orderby=nope)", invalid, "$expand/contacts/$orderby", "at position 0"),
        (&[folder, folders], "contacts($select=nope)", invalid, "$expand/contacts/$select", "'nope'"),
        (&[folder, folders], "childFolders($select=nope)", invalid, "$expand/childFolders/$select", "'nope'"),
        (
            &[folder, folders],
            "childFolders($filter=surname eq 'x')",
            invalid,
            "$expand/childFolders/$filter",
            "position 0",
        ),
        (&[folder, folders], "contacts($top=0)", invalid, "$expand/contacts/$top", "1 or more"),
        (&["/me", "/v1.0/users/ann"], "contacts", unsupported, "$expand", "cannot be expanded"),
        (&["/me"], "contactFolders($top=1)", unsupported, "$expand", "cannot be expanded"),
        (&["/me"], "manager", invalid, "$expand", "these can be expanded: nothing"),
    ] {
        for path in paths {
            let refused = ann.get(&format!("{path}?$expand={}", percent_encode(expand)));
            assert_eq!(refused.error(), (status, code.into(), target.into()), "{path} {expand}");
            assert!(refused.message().contains(said), "{path} {expand}: {}", refused.message());
        }
    }
    // A count and a write cannot expand.
    assert_eq!(ann.get("/me/contacts/$count?$expand=photo").body, b"1");
    for path in ["/me/contacts", "/me/contactFolders"] {
        let refused = ann.post(&format!("{path}?$expand=contacts"), json!({"displayName": "x"}));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$expand".into()));
    }
    let strict = ann.with("Prefer", "handling=strict");
    let beyond = strict.get("/me/contactFolders?$expand=contacts($filter=contains(surname,'x'))");
    assert_eq!(beyond.error(), (400, "ErrorInvalidUrlQueryFilter".into(), "$expand/contacts/$filter".into()));
    assert_eq!(app.sql("select (select count(*) from contacts), (select count(*) from folders)"), "1|1");
}

#[test]
fn expand_shows_nothing_of_other_owners() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    for client in [&ann, &bob] {
        client.post("/me/contacts", json!({"surname": "x", "parentFolderId": "shared name"}));
    }
    let list = expanded(&ann, "/me/contactFolders", "contacts,childFolders");
    assert_eq!(list["value"][1]["contacts"].as_array().unwrap().len(), 1);
    assert_eq!(list["value"][0]["childFolders"].as_array().unwrap().len(), 1);
    let sync = app.user("app:sync");
    let same = expanded(&sync, "/users('ann')/contactFolders", "contacts,childFolders");
    assert_eq!(same, list);
}

//! Deleted contacts: permanently deleted, or in the trash until they are restored.

use serde_json::{Value, json};

use super::pictures::{PNG, gif, put};
use crate::app::{Client, SEED_REQUEST, Setup, TestApp};
use crate::expected::{empty_contact, settled};

const NOT_FOUND: (u16, &str) = (404, "ErrorItemNotFound");

#[track_caller]
fn assert_refused(answer: &crate::app::Answer, (status, code): (u16, &str)) {
    let (found, found_code, _) = answer.error();
    assert_eq!((found, found_code.as_str()), (status, code));
}

/// The number of rows in every table with rows of contacts, except the log.
fn rows(app: &TestApp) -> Vec<(String, i64)> {
    let sqlite = app.is_sqlite();
    let tables = app.sql(if sqlite {
        "select m.name from sqlite_schema m join pragma_table_info(m.name) c on c.name = 'contact_id'
         where m.type = 'table' and m.name not in ('changes', 'cards') and m.name not like 'import%' order by m.name"
    } else {
        "select table_name from information_schema.columns
         where column_name = 'contact_id' and table_schema = current_schema()
             and table_name not in ('changes', 'cards') and table_name not like 'import%'
         order by table_name"
    });
    let mut names: Vec<_> = tables.lines().map(str::to_owned).collect();
    names.push("contacts".to_owned());
    if sqlite {
        names.push("words".to_owned());
    }
    names.into_iter().map(|name| (name.clone(), app.count(&format!("select count(*) from {name}")))).collect()
}

/// A contact with rows in every table.
fn create_full_contact(client: &Client, folder: &str) -> String {
    let mut body: Value = serde_json::from_str(SEED_REQUEST).unwrap();
    body["nickName"] = json!("Éva");
    // A text that is not in a search column of its own.
    body["profession"] = json!("Épéiste");
    body["parentFolderId"] = json!(folder);
    body["singleValueExtendedProperties"] = json!([{"id": "String 0x1", "value": "x"}]);
    body["multiValueExtendedProperties"] = json!([{"id": "StringArray 0x2", "value": ["x"]}]);
    let id = client.post("/me/contacts", body).id();
    assert_eq!(
        client.post(&format!("/me/contacts/{id}/extensions"), json!({"extensionName": "a", "n": 1})).status,
        201
    );
    assert_eq!(put(client, &format!("/me/contacts/{id}/photo"), &gif(1, 1, 600_000, 0)).status, 200);
    let card = format!("/dav/addressbooks/ann/{folder}/{id}.vcf");
    let text = client.get(&card).text().replace("END:", "X-LINE:1\r\nEND:");
    assert_eq!(client.with("Content-Type", "text/vcard").send("PUT", &card, Some(text.into_bytes())).status, 204);
    id
}

#[test]
fn a_permanently_deleted_contact_leaves_only_its_tombstone() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for prefix in ["", "/beta", "/v1.0"] {
        for action in ["permanentDelete", "permanentdelete()", "microsoft.graph.permanentDelete"] {
            let kept = rows(&app);
            let id = create_full_contact(&ann, "contacts");
            for (table, count) in rows(&app) {
                let before = kept.iter().find(|(name, _)| *name == table).unwrap().1;
                assert!(count > before, "{table} has no row of the contact, so this proves nothing of it");
            }
            let answer = ann.send("POST", &format!("{prefix}/me/contacts/{id}/{action}"), None);
            answer.empty(204);
            assert_eq!(rows(&app), kept);
            assert_refused(&ann.get(&format!("/me/contacts/{id}")), NOT_FOUND);
            assert_refused(&ann.get(&format!("/me/deletedContacts/{id}")), NOT_FOUND);
            assert_refused(&ann.send("POST", &format!("/me/contacts/{id}/permanentDelete"), None), NOT_FOUND);
            let last = app.sql("select contact_id = (select contact_id from changes order by seq limit 1), removed, seq from changes order by seq desc limit 1");
            assert!(last.ends_with(&format!("|{}", answer.header("contactd-position"))), "{last}");
            let removed = "select count(*) from changes l where removed and seq = (select seq from mailboxes)";
            assert_eq!(app.count(removed), 1);
        }
    }
    // Other contacts are unchanged.
    let other = create_full_contact(&ann, "contacts");
    let id = create_full_contact(&ann, "contacts");
    let found = |text: &str| ann.get(&format!("/me/contacts/$count?$search={text}")).body;
    assert_eq!(found("eva"), b"2");
    ann.post(&format!("/me/contacts/{id}/permanentDelete"), "").empty(204);
    assert_eq!(found("eva"), b"1");
    assert_eq!(ann.get(&format!("/me/contacts/{other}/photo")).status, 200);
}

#[test]
fn a_permanent_delete_checks_the_etag_and_the_owner() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let created = ann.post("/me/contacts", "{}");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let path = format!("/me/contacts/{}/permanentDelete", created.id());
    let before = app.sql("select seq from mailboxes order by id");
    assert_refused(&ann.with("If-Match", "\"x\"").post(&path, ""), (412, "ErrorIrresolvableConflict"));
    assert_refused(&ann.with("If-None-Match", "*").post(&path, ""), (412, "ErrorIrresolvableConflict"));
    assert_refused(&bob.post(&path, ""), NOT_FOUND);
    assert_refused(&bob.post(&path.replace("/me", "/users/ann"), ""), (404, "Request_ResourceNotFound"));
    assert_refused(&ann.post(&path.replace("/me/", &format!("/me/contactFolders/{work}/")), ""), NOT_FOUND);
    assert_refused(&ann.post("/me/contacts/x/permanentDelete", ""), (400, "ErrorInvalidIdMalformed"));
    assert_refused(&ann.post(&format!("{path}?$top=1"), ""), (400, "BadRequest"));
    assert_eq!(ann.get(&format!("/me/contacts/{}", created.id())).status, 200);
    assert_eq!(app.sql("select seq from mailboxes order by id").lines().next(), before.lines().next());
    let below = path.replace("/me/", "/me/contactFolders/contacts/");
    ann.with("If-Match", &created.header("etag")).post(&below, "").empty(204);
    assert_eq!(app.count("select count(*) from contacts"), 0);
}

#[test]
fn deleted_contacts_can_be_listed_read_and_restored() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let (first, second) = (create_full_contact(&ann, "Friends"), create_full_contact(&ann, "contacts"));
    ann.post("/me/contacts", "{}");
    assert_eq!(ann.get("/me/deletedContacts").json(200)["value"], json!([]));
    let before = ann.get(&format!("/me/contacts/{first}")).json(200);
    for id in [&second, &first] {
        ann.delete(&format!("/me/contacts/{id}")).empty(204);
    }
    let deleted_list = ann.get("/me/deletedContacts?$count=true").json(200);
    assert_eq!(
        deleted_list["@odata.context"],
        format!("http://{}/$metadata#users('ann')/deletedContacts", app.address)
    );
    assert_eq!(deleted_list["@odata.count"], 2);
    let ids = |list: &Value| list["value"].as_array().unwrap().iter().map(|c| c["id"].clone()).collect::<Vec<_>>();
    let mut sorted = ids(&deleted_list);
    sorted.sort_by_key(Value::to_string);
    assert_eq!(sorted, [json!(first), json!(second)]);
    assert_eq!(ann.get("/me/deletedContacts/$count").body, b"2");
    assert_eq!(ann.get("/v1.0/me/deletedContacts/$count?$search=eva").body, b"2");
    assert_eq!(ann.get("/me/deletedContacts/$count?$filter=parentFolderId%20eq%20'Friends'").body, b"1");
    // One after the other, in any order.
    for order in ["", "&$orderby=lastModifiedDateTime", "&$orderby=createdDateTime desc"] {
        let page = ann.get(&format!("/me/deletedContacts?$top=1{}", order.replace(' ', "+"))).json(200);
        let next = ann.get(page["@odata.nextLink"].as_str().unwrap()).json(200);
        assert_eq!(next.get("@odata.nextLink"), None);
        let mut shown = [ids(&page), ids(&next)].concat();
        shown.sort_by_key(Value::to_string);
        assert_eq!(shown, sorted);
    }
    let deleted = ann.get(&format!("/me/deletedContacts/{first}"));
    let mut read = deleted.json(200);
    assert!(read["@odata.context"].as_str().unwrap().ends_with("users('ann')/deletedContacts/$entity"));
    assert_eq!(read["@odata.etag"], deleted.header("etag"));
    assert_eq!(read.as_object_mut().unwrap().remove("deletedDateTime"), Some(read["lastModifiedDateTime"].clone()));
    assert_eq!(settled_of(&read), settled_of(&before));
    let selected = ann.get(&format!("/v1.0/me/deletedContacts/{first}?$select=displayName")).json(200);
    assert_eq!(selected.as_object().unwrap().len(), 5, "{selected}");
    ann.with("If-None-Match", &deleted.header("etag")).get(&format!("/me/deletedContacts/{first}")).empty(304);
    // No other call finds a deleted contact.
    assert_refused(&ann.get(&format!("/me/contacts/{first}")), NOT_FOUND);
    assert_refused(&ann.get(&format!("/me/contacts/{first}/photo")), NOT_FOUND);

    let restored = ann.send("POST", &format!("/me/deletedContacts/{first}/restore"), None);
    assert_eq!(settled(restored.json(200)), settled_of(&before));
    assert_eq!(ann.get(&format!("/me/contactFolders/Friends/contacts/{first}")).json(200), restored.json(200));
    assert_eq!(ann.get(&format!("/me/contacts/{first}/photo")).status, 200);
    assert_eq!(ann.get("/me/contacts/$count?$search=eva").body, b"1");
    assert_refused(&ann.get(&format!("/me/deletedContacts/{first}")), NOT_FOUND);
    assert_refused(&ann.post(&format!("/me/deletedContacts/{first}/restore"), ""), NOT_FOUND);
    let logged = format!(
        "select count(*) from changes where seq = {} and folder_id = 'Friends' and not removed",
        restored.header("contactd-position")
    );
    assert_eq!(app.count(&logged), 1);
    let patched = ann.patch(&format!("/me/contacts/{first}"), json!({"title": "x"}));
    assert_eq!(patched.json(200)["title"], "x");
}

/// As [`settled`], for a contact whose change key was sent with its create.
fn settled_of(contact: &Value) -> Value {
    let mut contact = contact.clone();
    contact["changeKey"] = json!(contact["@odata.etag"].as_str().unwrap().trim_start_matches("W/").trim_matches('"'));
    settled(contact)
}

#[test]
fn a_restored_contact_whose_folder_is_deleted_is_in_the_default_folder() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let id = ann.post(&format!("/me/contactFolders/{work}/contacts"), "{}").id();
    ann.delete(&format!("/me/contactFolders/{work}")).empty(204);
    let deleted = ann.get(&format!("/me/deletedContacts/{id}"));
    assert_eq!(deleted.json(200)["parentFolderId"], work);
    let path = format!("/me/deletedContacts/{id}/restore");
    assert_refused(&ann.with("If-Match", "\"x\"").post(&path, ""), (412, "ErrorIrresolvableConflict"));
    assert_refused(&app.user("bob").post(&path, ""), NOT_FOUND);
    let client = ann.with("If-Match", &deleted.header("etag")).with("Prefer", "return=minimal");
    let restored = client.post(&path, "");
    restored.empty(204);
    assert_eq!(restored.header("preference-applied"), "return=minimal");
    let read = ann.get(&format!("/me/contactFolders/contacts/contacts/{id}"));
    assert_eq!(read.header("etag"), restored.header("etag"));
    assert_eq!(settled(read.json(200)), {
        let mut expected = empty_contact();
        expected["@odata.type"] = json!("#microsoft.graph.contact");
        expected
    });
}

#[test]
fn contacts_in_the_trash_can_be_permanently_deleted() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let kept = rows(&app);
    let id = create_full_contact(&ann, "contacts");
    let path = format!("/me/deletedContacts/{id}");
    assert_refused(&ann.delete(&path), NOT_FOUND);
    ann.delete(&format!("/me/contacts/{id}")).empty(204);
    assert_refused(&ann.post(&format!("/me/contacts/{id}/permanentDelete"), ""), NOT_FOUND);
    assert_refused(&ann.with("If-Match", "\"x\"").delete(&path), (412, "ErrorIrresolvableConflict"));
    assert_refused(&app.user("bob").delete(&path), NOT_FOUND);
    let etag = ann.get(&path).header("etag");
    ann.with("If-Match", &etag).delete(&path).empty(204);
    assert_eq!(rows(&app), kept);
    assert_refused(&ann.delete(&path), NOT_FOUND);
    assert_eq!(app.count("select count(*) from changes where contact_id is not null and removed"), 2);
}

#[test]
fn a_permanent_delete_of_a_folder_deletes_its_content() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let kept = rows(&app);
    let folder = |at: &str, name: &str| ann.post(at, json!({"displayName": name})).id();
    let work = folder("/me/contactFolders", "Work");
    let path = format!("/me/contactFolders/{work}");
    let (old, older) =
        (folder(&format!("{path}/childFolders"), "Old"), folder(&format!("{path}/childFolders"), "Older"));
    let trashed = [create_full_contact(&ann, &work), create_full_contact(&ann, &older)];
    ann.delete(&format!("/me/contacts/{}", trashed[0])).empty(204);
    ann.delete(&format!("/me/contactFolders/{older}")).empty(204);
    for _ in 0..3 {
        create_full_contact(&ann, &work);
        create_full_contact(&ann, &old);
    }
    let before =
        app.sql("select (select count(*) from contacts), (select count(*) from folders), sum(seq) from mailboxes");
    assert_refused(
        &ann.with("If-Match", "\"x\"").post(&format!("{path}/permanentDelete"), ""),
        (412, "ErrorIrresolvableConflict"),
    );
    assert_refused(
        &ann.post("/me/contactFolders/contacts/permanentDelete", ""),
        (403, "ErrorDeleteDistinguishedFolder"),
    );
    assert_refused(&ann.post("/me/contactFolders/nowhere/permanentDelete", ""), NOT_FOUND);
    assert_refused(&app.user("bob").post(&format!("{path}/permanentDelete"), ""), NOT_FOUND);
    let after =
        "select (select count(*) from contacts), (select count(*) from folders) - 1, sum(seq) - 1 from mailboxes";
    assert_eq!(app.sql(after), before, "bob's mailbox was made, and nothing else happened");

    let etag = ann.get(&path).header("etag");
    let answer = ann.with("If-Match", &etag).send("POST", &format!("{path}/microsoft.graph.permanentDelete()"), None);
    answer.empty(204);
    let last = format!("select count(*) from mailboxes where seq = {}", answer.header("contactd-position"));
    assert_eq!(app.count(&last), 1);
    // Contacts that were deleted before are in the trash unchanged.
    let ids = ann.get("/me/deletedContacts?$orderby=createdDateTime,id&$select=parentFolderId").json(200);
    let shown: Vec<_> =
        ids["value"].as_array().unwrap().iter().map(|c| (c["id"].clone(), c["parentFolderId"].clone())).collect();
    assert_eq!(shown, trashed.clone().map(|id| (json!(id), json!("contacts"))));
    assert_eq!(app.sql("select id from folders where mailbox = (select mailbox from users where user_principal_name = 'ann@localhost')"), "contacts");
    assert_eq!(app.count("select count(*) from contacts"), 2);
    // Eight objects were removed: six contacts and two folders, after two and one before.
    assert_eq!(app.count("select count(*) from changes where removed and contact_id is null"), 3);
    assert_eq!(app.count("select count(*) from changes where removed and contact_id is not null"), 8);
    assert_eq!(
        ann.post(&format!("/me/deletedContacts/{}/restore", trashed[1]), "").json(200)["parentFolderId"],
        "contacts"
    );
    for id in trashed {
        let live = ann.post(&format!("/me/contacts/{id}/permanentDelete"), "").status;
        assert!(live == 204 || ann.delete(&format!("/me/deletedContacts/{id}")).status == 204);
    }
    assert_eq!(rows(&app), kept);
}

#[test]
fn a_nested_folder_is_found_only_by_its_complete_path() {
    let app = TestApp::with(Setup::default());
    let ann = app.user("ann");
    let folder = |at: &str, name: &str| ann.post(at, json!({"displayName": name})).id();
    let (a, b) = (folder("/me/contactFolders", "A"), folder("/me/contactFolders", "B"));
    let inside = folder(&format!("/me/contactFolders/{a}/childFolders"), "Inside");
    assert_refused(&ann.post(&format!("/me/contactFolders/{b}/childFolders/{inside}/permanentDelete"), ""), NOT_FOUND);
    let id = ann.post(&format!("/me/contactFolders/{inside}/contacts"), "{}").id();
    assert_eq!(put(&ann, &format!("/me/contacts/{id}/photo"), PNG).status, 200);
    let contact = format!("/me/contactFolders/{a}/childFolders/{inside}/contacts/{id}/permanentDelete");
    assert_refused(&ann.post(&contact.replace(&a, &b), ""), NOT_FOUND);
    ann.post(&contact, "").empty(204);
    ann.post(&format!("/me/contactFolders/{a}/childFolders/{inside}/permanentDelete"), "").empty(204);
    assert_eq!(app.count("select count(*) from folders"), 3);
    // A create may create the folder again.
    assert_eq!(ann.post("/me/contacts", json!({"parentFolderId": inside})).json(201)["parentFolderId"], inside);
}

//! Delta: rounds, links and refusals. Tests in `following` show that no change is missed.

use std::time::Duration;

use contactd::http::Settings;
use contactd::odata::delta::DeltaToken;
use serde_json::{Value, json};

use crate::app::{Client, Setup, TestApp};

/// The only link of a page: to the next page if `more`, otherwise to the next round.
#[track_caller]
fn link(page: &Value, more: bool) -> String {
    let (expected_link, other_link) = if more { ("nextLink", "deltaLink") } else { ("deltaLink", "nextLink") };
    assert!(page.get(format!("@odata.{other_link}")).is_none(), "{page}");
    page[format!("@odata.{expected_link}")].as_str().unwrap_or_else(|| panic!("no {expected_link}: {page}")).to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    page["value"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

fn create(client: &Client, body: Value) -> String {
    client.post("/me/contacts", body).id()
}

/// A first round in one page.
#[track_caller]
fn start(client: &Client, path: &str) -> (Value, String) {
    let page = client.with("Prefer", "odata.maxpagesize=100").get(path).json(200);
    let link = link(&page, false);
    (page, link)
}

#[test]
fn a_first_delta_round_has_everything_and_later_rounds_the_changes() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let made: Vec<_> = ["a", "b", "c"].map(|name| create(&ann, json!({"displayName": name}))).into();
    let small = ann.with("Prefer", "odata.maxpagesize=2");
    let answer = small.get("/me/contacts/delta()");
    assert_eq!(answer.header("preference-applied"), "odata.maxpagesize=2");
    let first = answer.json(200);
    assert_eq!(first["@odata.context"], format!("http://{}/$metadata#Collection(contact)", app.address));
    assert_eq!(ids(&first), made[..2]);
    assert_eq!(first["value"][0], without_context(ann.get(&format!("/me/contacts/{}", made[0])).json(200)));
    let next = link(&first, true);
    assert!(next.starts_with(&format!("http://{}/me/contacts/delta()?$skiptoken=", app.address)), "{next}");
    // The token keeps the options of the first request.
    let second = ann.get(&next).json(200);
    assert_eq!(ids(&second), made[2..]);
    let round = link(&second, false);
    assert!(round.starts_with(&format!("http://{}/me/contacts/delta()?$deltatoken=", app.address)), "{round}");

    // Nothing has changed.
    let (page, again) = start(&ann, &round);
    assert_eq!(page["value"], json!([]));
    // All kinds of changes. A contact that changed twice is reported once, in its current state.
    let d = create(&ann, json!({"displayName": "d"}));
    ann.patch(&format!("/me/contacts/{}", made[0]), json!({"displayName": "a1"})).json(200);
    ann.delete(&format!("/me/contacts/{}", made[1])).empty(204);
    ann.patch(&format!("/me/contacts/{}", made[0]), json!({"displayName": "a2"})).json(200);
    for token in [&again, &round] {
        let (page, _) = start(&ann, token);
        assert_eq!(ids(&page), [d.clone(), made[1].clone(), made[0].clone()]);
        assert_eq!(page["value"][2], without_context(ann.get(&format!("/me/contacts/{}", made[0])).json(200)));
        let removal =
            json!({"@odata.type": "#microsoft.graph.contact", "id": made[1], "@removed": {"reason": "deleted"}});
        assert_eq!(page["value"][1], removal);
    }
    // The last contacts are deleted too, over several pages.
    let (_, round) = start(&ann, &round);
    for id in [&made[0], &made[2], &d] {
        ann.delete(&format!("/me/contacts/{id}")).empty(204);
    }
    let first = small.get(&round).json(200);
    let rest = ann.get(&link(&first, true)).json(200);
    let entries: Vec<_> =
        [&first, &rest].into_iter().flat_map(|page| page["value"].as_array().unwrap().clone()).collect();
    assert!(entries.len() == 3 && entries.iter().all(|entry| entry["@removed"]["reason"] == "deleted"), "{entries:?}");
    // Tokens survive a restart.
    let round = link(&rest, false).replace(&app.address, "");
    let app = app.restarted();
    let ann = app.user("ann");
    let path = round.trim_start_matches("http://");
    assert_eq!(start(&ann, path).0["value"], json!([]));
    let id = create(&ann, json!({}));
    assert_eq!(ids(&start(&ann, path).0), [id]);
}

fn without_context(mut contact: Value) -> Value {
    contact.as_object_mut().unwrap().remove("@odata.context");
    contact
}

#[test]
fn delta_of_a_folder_reports_contacts_that_leave_it() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let [x, y] = ["X", "Y"].map(|name| ann.post("/me/contactFolders", json!({"displayName": name})).id());
    let id = ann.post(&format!("/me/contactFolders/{x}/contacts"), json!({"displayName": "a"})).id();
    let path = |folder: &str| format!("/v1.0/me/contactFolders/{folder}/contacts/delta");
    let ((in_x, from_x), (in_y, from_y)) = (start(&ann, &path(&x)), start(&ann, &path(&y)));
    assert_eq!((ids(&in_x), ids(&in_y)), (vec![id.clone()], vec![]));
    // v1.0 shows the type in delta only.
    assert_eq!(in_x["value"][0]["@odata.type"], "#microsoft.graph.contact");
    assert!(in_x["value"][0]["@odata.etag"].is_string());
    let (entries, from_all) = start(&ann, "/me/contacts/delta");
    assert_eq!(ids(&entries), [id.as_str()]);
    let (default, from_default) = start(&ann, "/v1.0/me/contacts/delta");
    assert_eq!(ids(&default), [""; 0]);

    ann.patch(&format!("/me/contacts/{id}"), json!({"parentFolderId": y})).json(200);
    let removed =
        |reason: &str| json!([{"@odata.type": "#microsoft.graph.contact", "id": id, "@removed": {"reason": reason}}]);
    let (in_x, from_x) = start(&ann, &from_x);
    assert_eq!(in_x["value"], removed("changed"));
    let (in_y, from_y) = start(&ann, &from_y);
    assert_eq!((ids(&in_y), &in_y["value"][0]["parentFolderId"]), (vec![id.clone()], &json!(y)));
    let (entries, from_all) = start(&ann, &from_all);
    assert_eq!((ids(&entries), &entries["value"][0]["parentFolderId"]), (vec![id.clone()], &json!(y)));
    assert_eq!(start(&ann, &from_default).0["value"], json!([]));

    // A folder is deleted with its content.
    ann.delete(&format!("/me/contactFolders/{y}")).empty(204);
    assert_eq!(start(&ann, &from_all).0["value"], removed("deleted"));
    assert_eq!(ann.get(&from_y).error(), (404, "ErrorItemNotFound".into(), String::new()));
    assert_eq!(start(&ann, &from_x).0["value"], json!([]));
}

#[test]
fn delta_of_folders_works_at_any_depth() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let x = ann.post("/me/contactFolders", json!({"displayName": "X"})).id();
    let (entries, round) = start(&ann, "/me/contactFolders/delta");
    let expected = json!([
        {"@odata.type": "#microsoft.graph.contactFolder", "@odata.etag": entries["value"][0]["@odata.etag"], "id": x,
         "parentFolderId": "contacts", "displayName": "X", "wellKnownName": null},
        {"@odata.type": "#microsoft.graph.contactFolder", "@odata.etag": entries["value"][1]["@odata.etag"], "id": "contacts",
         "parentFolderId": "msgfolderroot", "displayName": "Contacts", "wellKnownName": "contacts"},
    ]);
    assert_eq!(entries["value"], expected);
    let (v1, _) = start(&ann, "/v1.0/me/contactFolders/delta?$select=displayName");
    assert_eq!(
        v1["value"],
        json!([{"@odata.type": "#microsoft.graph.contactFolder",
        "@odata.etag": entries["value"][0]["@odata.etag"], "id": x, "displayName": "X"}])
    );
    let y = ann.post(&format!("/me/contactFolders/{x}/childFolders"), json!({"displayName": "Y"})).id();
    create(&ann, json!({"parentFolderId": "Z"}));
    ann.patch(&format!("/me/contactFolders/{x}"), json!({"displayName": "X1"})).json(200);
    let small = ann.with("Prefer", "maxpagesize=1");
    let mut page = small.get(&round).json(200);
    let mut seen = ids(&page);
    while page.get("@odata.nextLink").is_some() {
        page = small.get(&link(&page, true)).json(200);
        seen.extend(ids(&page));
    }
    assert_eq!(seen, [y.clone(), "Z".to_owned(), x.clone()]);
    let round = link(&page, false);
    ann.delete(&format!("/me/contactFolders/{x}")).empty(204);
    let (page, _) = start(&ann, &round);
    let removal_of = |id: &str| json!({"@odata.type": "#microsoft.graph.contactFolder", "id": id, "@removed": {"reason": "deleted"}});
    let mut expected = [removal_of(&x), removal_of(&y)];
    expected.sort_by_key(|entry| entry["id"].to_string());
    assert_eq!(page["value"], json!(expected));
}

#[test]
fn delta_keeps_its_select_and_can_omit_annotations() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = create(&ann, json!({"givenName": "A", "surname": "B"}));
    let (page, round) = start(&ann, "/me/contacts/delta?$select=surname,%20givenName");
    let etag = page["value"][0]["@odata.etag"].clone();
    let expected = json!([{"@odata.type": "#microsoft.graph.contact", "@odata.etag": etag, "id": id, "givenName": "A", "surname": "B"}]);
    assert_eq!(page["value"], expected);
    ann.patch(&format!("/me/contacts/{id}"), json!({"surname": "C", "jobTitle": "D"})).json(200);
    let bare = ann.with("Accept", "application/json;odata.metadata=none");
    let (page, _) = start(&bare, &round);
    assert_eq!(page["value"], json!([{"id": id, "givenName": "A", "surname": "C"}]));
    assert!(page.get("@odata.context").is_none());
    // The same option twice is not a contradiction.
    assert_eq!(ann.get(&format!("{round}&$select=surname,%20givenName")).status, 200);
    let other = ann.get(&format!("{round}&$select=surname"));
    assert_eq!(other.error(), (400, "BadRequest".into(), "$select".into()));
}

#[test]
fn delta_can_start_at_the_latest_state() {
    let app = TestApp::new();
    let ann = app.user("ann");
    create(&ann, json!({}));
    let (page, round) = start(&ann, "/me/contacts/delta?$deltatoken=latest");
    assert_eq!(page["value"], json!([]));
    let id = create(&ann, json!({}));
    assert_eq!(ids(&start(&ann, &round).0), [id]);
}

#[test]
fn what_delta_does_not_take_is_refused() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    create(&ann, json!({}));
    ann.post("/me/contactFolders", json!({"displayName": "X"}));
    let (_, round) = start(&ann, "/me/contacts/delta");
    let token = round.split_once('?').unwrap().1.to_owned();
    let refusal = |target: &str| (400, "BadRequest".to_owned(), target.to_owned());
    for option in ["$filter=true", "$orderby=surname", "$search=x", "$skip=1", "$count=true", "$expand=extensions"] {
        let target = option.split('=').next().unwrap();
        assert_eq!(ann.get(&format!("/me/contacts/delta?{option}")).error(), refusal(target), "{option}");
        assert_eq!(ann.get(&format!("/me/contacts/delta?{token}&{option}")).error(), refusal(target), "{option}");
    }
    assert_eq!(ann.get("/me/contacts/delta?$top=5").status, 200);
    assert_eq!(ann.with("Prefer", "handling=strict").get("/me/contacts/delta?$top=5").error(), refusal("$top"));
    for (option, text) in [("$deltatoken", "x"), ("$skiptoken", "AAAA"), ("$deltatoken", "latest1")] {
        let refused = ann.get(&format!("/me/contacts/delta?{option}={text}"));
        assert_eq!(refused.error(), refusal(option), "{text}");
        assert!(refused.message().starts_with("Badly formed token."), "{}", refused.message());
    }
    assert_eq!(ann.get(&format!("/me/contacts/delta?{token}&$skiptoken=x")).error(), refusal("$deltatoken"));
    // A token of another owner, another list, another shape.
    assert_eq!(bob.get(&format!("/me/contacts/delta?{token}")).error(), refusal("$deltatoken"));
    for path in ["/v1.0/me/contacts/delta", "/me/contactFolders/contacts/contacts/delta", "/me/contactFolders/delta"] {
        assert_eq!(ann.get(&format!("{path}?{token}")).error(), refusal("$deltatoken"), "{path}");
    }
    assert_eq!(ann.get(&format!("/beta/me/contacts/delta?{token}")).status, 200);
    // A list's token is not valid for delta, and the reverse.
    create(&ann, json!({}));
    let list = ann.get("/me/contacts?$top=1").json(200);
    let skip = list["@odata.nextLink"].as_str().unwrap().split_once('?').unwrap().1.to_owned();
    assert_eq!(ann.get(&format!("/me/contacts/delta?{skip}")).error(), refusal("$skiptoken"));
    assert_eq!(ann.get(&format!("/me/contacts?{token}")).error(), refusal("$deltatoken"));
    assert_eq!(ann.get("/me/contactFolders/nowhere/contacts/delta").error().0, 404);
    assert_eq!(ann.get("/me/contactFolders/contacts/childFolders/delta").error().0, 404);
    assert_eq!(ann.post("/me/contacts/delta", "{}").error().0, 405);
}

#[track_caller]
fn assert_out_of_sync(client: &Client, link: &str) {
    let refused = client.get(link);
    assert_eq!(refused.error(), (410, "SyncStateNotFound".into(), String::new()));
    let location = refused.header("location");
    let (page, _) = start(client, &location);
    assert!(location.ends_with("/me/contacts/delta?$deltatoken=") && !ids(&page).is_empty(), "{location}");
}

#[test]
fn delta_is_refused_if_the_log_does_not_continue_from_the_token() {
    let app = TestApp::new();
    let ann = app.user("ann");
    create(&ann, json!({}));
    let (_, early) = start(&ann, "/me/contacts/delta");
    let kept = "select seq from mailboxes order by id limit 1";
    let before = app.count(kept);
    create(&ann, json!({}));
    create(&ann, json!({}));
    let (_, late) = start(&ann, "/me/contacts/delta");
    // As after a restore of a backup: the later changes are lost.
    app.sql(&format!("delete from changes where seq > {before}"));
    app.sql(&format!("update mailboxes set seq = {before}"));
    assert_out_of_sync(&ann, &late);
    assert_eq!(ann.get(&early).status, 200);
    // New changes reuse the numbers of the lost ones.
    for _ in 0..4 {
        create(&ann, json!({}));
    }
    assert_out_of_sync(&ann, &late);
    assert_eq!(ids(&start(&ann, &early).0).len(), 4);
    // A completely different history.
    let app = {
        let epoch = if std::env::var("TEST_ENGINE").is_ok() {
            "'00000000-0000-7000-8000-000000000000'"
        } else {
            "zeroblob(16)"
        };
        app.sql(&format!("update store set epoch = {epoch}"));
        app.restarted()
    };
    let ann = app.user("ann");
    let early = early.split_once("/me/").unwrap().1;
    assert_out_of_sync(&ann, &format!("/me/{early}"));
}

/// A link whose token is this many days old.
fn aged_link(app: &TestApp, link: &str, days: i64) -> String {
    let (start, token) = link.rsplit_once('=').unwrap();
    let key = app.sql("select token_key from store");
    let token = DeltaToken::parse("$deltatoken", token, key.trim().as_bytes()).unwrap();
    let issued = token.issued - days * 24 * 60 * 60 * 1_000_000;
    format!("{start}={}", DeltaToken { issued, ..token }.print(key.trim().as_bytes()))
}

#[test]
fn a_delta_token_that_is_too_old_starts_over() {
    let app = TestApp::new();
    let ann = app.user("ann");
    create(&ann, json!({}));
    let (_, round) = start(&ann, "/me/contacts/delta");
    assert_eq!(ann.get(&round).status, 200);
    assert_eq!(ann.get(&aged_link(&app, &round, 89)).status, 200);
    assert_out_of_sync(&ann, &aged_link(&app, &round, 91));
    let short = Settings { keep_changes: Duration::from_hours(48), ..Settings::default() };
    let app = app.restarted_with(Setup { settings: short, ..Setup::default() });
    let ann = app.user("ann");
    let (_, round) = start(&ann, "/me/contacts/delta");
    assert_eq!(ann.get(&aged_link(&app, &round, 1)).status, 200);
    assert_out_of_sync(&ann, &aged_link(&app, &round, 3));
    // A fresh token of an old mailbox is valid, although the last entry of the log is purged.
    app.sql("update changes set changed_date_time = 1");
    let (_, round) = start(&ann, "/me/contacts/delta");
    app.sql("delete from changes");
    assert_eq!(ann.get(&round).status, 200);
    let id = create(&ann, json!({}));
    assert_eq!(ids(&start(&ann, &round).0), [id]);
}

/// Log entries since the start of a round are needed until its end, and by the next round.
#[test]
fn a_delta_round_that_takes_too_long_starts_over() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for _ in 0..3 {
        create(&ann, json!({}));
    }
    let a_page = |url: &str, more| {
        let page = ann.with("Prefer", "odata.maxpagesize=1").get(url).json(200);
        link(&page, more)
    };
    let (_, known) = start(&ann, "/me/contacts/delta");
    for _ in 0..3 {
        create(&ann, json!({}));
    }
    // The first round, and its end.
    let first = a_page("/me/contacts/delta", true);
    let next = a_page(&aged_link(&app, &first, 89), true);
    assert_out_of_sync(&ann, &aged_link(&app, &next, 2));
    let (_, end) = start(&ann, &next);
    assert_out_of_sync(&ann, &aged_link(&app, &end, 2));
    assert_eq!(ann.get(&end).status, 200);
    // A round of changes. At its end the client has the current state.
    let next = a_page(&aged_link(&app, &known, 89), true);
    assert_out_of_sync(&ann, &aged_link(&app, &next, 2));
    let (_, end) = start(&ann, &next);
    assert_eq!(ann.get(&aged_link(&app, &end, 2)).status, 200);
}

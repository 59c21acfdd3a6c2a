//! Every link in an answer works, also if everything that it repeats has the maximum length.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::pictures::{gif, put};
use super::queries::encoded;
use super::subscriptions::{start, terms};
use crate::app::{Answer, Client, TestApp};
use crate::receiver::Receiver;

/// Maximum length of a URL as repeated in links.
const MAX_URL_LENGTH: usize = 65_534 - 4_096 - 64;

/// Follows all links of a list to its end, and returns the number of entries.
#[track_caller]
fn follow(client: &Client, first: &str, link: &str) -> usize {
    let (mut path, mut count) = (first.to_owned(), 0);
    for _ in 0..20 {
        let page = client.get(&path).json(200);
        count += page["value"].as_array().unwrap().len();
        match page.get(link) {
            Some(next) => next.as_str().unwrap().clone_into(&mut path),
            None => return count,
        }
    }
    panic!("{first:.80} has no end");
}

fn contacts(client: &Client, list: &str, count: usize) {
    (0..count).for_each(|i| drop(client.post(list, json!({"surname": format!("Lee {i}")})).json(201)));
}

#[test]
fn a_next_link_works_at_the_length_limit_of_urls() {
    let app = TestApp::new();
    let ann = app.user("ann");
    contacts(&ann, "/me/contacts", 3);
    let list_path = |list: &str, size: usize, filler: &str, each: usize| {
        let begin = format!("{list}?$top=1&mine=");
        let rest = size - begin.len();
        format!("{begin}{}{}", filler.repeat(rest / each), "a".repeat(rest % each))
    };
    let all =
        ["/me/contacts", "/v1.0/me/contacts", "/me/contacts/$ref", "/v1.0/users/ann/contactFolders/contacts/contacts"];
    for list in all {
        for (filler, each) in [("a", 1), ("{", 3), ("%C3%A9", 6)] {
            assert_eq!(
                follow(&ann, &list_path(list, MAX_URL_LENGTH, filler, each), "@odata.nextLink"),
                3,
                "{list} {filler}"
            );
            let refused = ann.get(&list_path(list, MAX_URL_LENGTH + 1, filler, each));
            assert_eq!(refused.error(), (400, "BadRequest".into(), String::new()), "{list} {filler}");
            assert!(refused.message().starts_with("An address has at most 61374 bytes"), "{}", refused.message());
        }
    }
}

#[test]
fn a_next_link_works_with_all_options_at_their_limits() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for i in 0..3 {
        let long = format!("{}{i}", "é".repeat(2_000));
        ann.post("/me/contacts", json!({"surname": long, "givenName": long, "jobTitle": "x"})).json(201);
    }
    let filter = format!("surname ne @p and jobTitle ne '{}'", "%20".repeat(8_000));
    let search = format!("NOT%20{}", "y".repeat(2_000));
    let order = "surname,givenName,displayName,title,nickName,initials,fileAs,jobTitle desc".replace(' ', "%20");
    let select = vec!["surname"; 200].join(",");
    let alias = format!("'{}'", "%C3%A9".repeat(4_000));
    let query =
        format!("$filter={}&$search={search}&$orderby={order}&$select={select}&@p={alias}", filter.replace(' ', "%20"));
    let long = format!("/v1.0/me/contacts?$top=1&{query}");
    assert!(long.len() < MAX_URL_LENGTH, "{}", long.len());
    assert_eq!(follow(&ann, &long, "@odata.nextLink"), 3);
}

#[test]
fn a_next_link_of_an_expansion_works_at_the_limits() {
    let app = TestApp::new();
    let ann = app.user("ann");
    contacts(&ann, "/me/contactFolders/contacts/contacts", 3);
    let text = "''".repeat(3_900);
    let alias = "'".to_owned() + &"''".repeat(4_000) + "'";
    let expand = format!("contacts($top=1;$filter=surname ne @p and surname ne '{text}')").replace(' ', "%20");
    let folder = ann.get(&format!("/me/contactFolders/contacts?$expand={expand}&@p={alias}")).json(200);
    assert_eq!(folder["contacts"].as_array().unwrap().len(), 1, "{folder}");
    let next = folder["contacts@odata.nextLink"].as_str().unwrap();
    assert!(next.len() > 40_000, "{}", next.len());
    assert_eq!(follow(&ann, next, "@odata.nextLink"), 2);
}

#[test]
fn every_delta_link_works_with_any_select() {
    let app = TestApp::new();
    let ann = app.user("ann");
    contacts(&ann, "/me/contacts", 3);
    let format = format!("application/json;{}", "charset=utf-8;".repeat(15)) + "odata.streaming=true";
    let blanks = format!("displayName,%20{}surname", "%20".repeat(3_400));
    let names = ["homeAddress/street"; 200].join(",");
    for (list, select) in [
        ("/v1.0/me/contacts", blanks.as_str()),
        ("/v1.0/me/contacts", &names),
        ("/beta/me/contacts", &blanks),
        ("/v1.0/me/contacts", "*"),
        ("/v1.0/me/contactFolders", &format!("displayName,{}id", "%20".repeat(3_400))),
    ] {
        let first = format!("{list}/delta?$select={select}&$format={format}");
        let paged = ann.with("Prefer", "odata.maxpagesize=1");
        let mut page = paged.get(&first).json(200);
        for _ in 0..10 {
            let Some(next) = page["@odata.nextLink"].as_str().map(str::to_owned) else { break };
            page = paged.get(&next).json(200);
        }
        let link = page["@odata.deltaLink"].as_str().unwrap().to_owned();
        let round = ann.get(&link).json(200);
        assert_eq!(round["value"], json!([]), "{list}");
        // Only the original `$select` may be repeated.
        ann.get(&format!("{link}&$select={select}")).json(200);
        assert_eq!(ann.get(&format!("{link}&$select=id")).error(), (400, "BadRequest".into(), "$select".into()));
    }
}

#[test]
fn the_link_that_restarts_delta_keeps_its_select() {
    let app = TestApp::new();
    let ann = app.user("ann");
    contacts(&ann, "/me/contacts", 2);
    let select = format!("displayName,%20{}surname", "%20".repeat(3_400));
    let page = ann.get(&format!("/v1.0/me/contacts/delta?$select={select}")).json(200);
    let link = page["@odata.deltaLink"].as_str().unwrap().to_owned();
    let epoch = if app.is_sqlite() { "zeroblob(16)" } else { "'00000000-0000-7000-8000-000000000000'" };
    app.sql(&format!("update store set epoch = {epoch}"));
    let app = app.restarted();
    let ann = app.user("ann");
    let (_, path) = link.split_once("/v1.0").unwrap();
    let expired = ann.get(&format!("/v1.0{path}&$select={select}"));
    assert_eq!(expired.error().0, 410);
    let start = expired.header("location");
    let first_page = ann.get(&start).json(200);
    assert_eq!(first_page["value"].as_array().unwrap().len(), 2, "{first_page}");
    assert_eq!(first_page["value"][0].get("givenName"), None, "{first_page}");
}

#[test]
fn a_location_header_leads_to_the_created_object() {
    let app = TestApp::new();
    let ann = app.user("ann");
    app.user("bob").get("/me").json(200);
    let minimal = ann.with("Prefer", "return=minimal");
    let folder = ann.post("/me/contactFolders", json!({"displayName": "é".repeat(255)}));
    let id = folder.id();
    let contact = ann.post("/me/contacts", "{}").id();
    let extension = format!("/me/contacts/{contact}/extensions");
    for (path, body) in [
        ("/me/contacts".to_owned(), json!({"surname": "Lee"})),
        ("/me/contacts/$ref".to_owned(), json!({"surname": "Lee"})),
        (format!("/me/contactFolders/{id}/contacts"), json!({})),
        (format!("/me/contactFolders('{id}')/childFolders"), json!({"displayName": "x"})),
        ("/me/outlook/masterCategories".to_owned(), json!({"displayName": "Work", "color": "preset1"})),
        (
            extension,
            json!({"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": "a".repeat(128), "x": 1}),
        ),
    ] {
        for prefix in ["", "/v1.0"] {
            let Value::Object(mut body) = body.clone() else { unreachable!() };
            for name in ["displayName", "extensionName"] {
                if let Some(Value::String(text)) = body.get_mut(name) {
                    *text = format!("{}{}", &text[..text.len() - usize::from(text.len() == 128)], prefix.len() % 10);
                }
            }
            let made = ann.post(&format!("{prefix}{path}"), Value::Object(body));
            assert_eq!(made.status / 100, 2, "{path}: {}", String::from_utf8_lossy(&made.body));
            let location = made.header("location");
            assert_eq!(ann.get(&location).json(200)["id"], made.json(made.status)["id"], "{location}");
        }
    }
    let admin = app.user("app:admin");
    let share =
        admin.post("/users/ann/contactPermissions", json!({"emailAddress": {"address": "bob"}, "role": "read"}));
    assert_eq!(admin.get(&share.header("location")).json(200)["id"], share.json(201)["id"]);
    let made = minimal.post("/me/contacts", "{}");
    assert_eq!(made.empty(204).header("location"), made.header("odata-entityid"));
    ann.get(&made.header("odata-entityid")).json(200);
}

/// Follows every URL in answers: of pages, references, contexts, and `Location`.
fn follow_all(client: &Client, first: Vec<String>) -> usize {
    let (mut waiting, mut seen) = (first, BTreeSet::new());
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        assert!(seen.len() < 500, "there is no end");
        let answer = client.get(&path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        if answer.header("content-type").starts_with("application/json") {
            let mut found = Vec::new();
            addresses(&answer.json(200), &mut found);
            // Delta has no end, so later changes are requested once.
            let follows = |path: &str| path.contains("$deltatoken=");
            waiting.extend(found.into_iter().filter(|next| !follows(&path) || !follows(next)));
        }
    }
    seen.len()
}

fn addresses(answer: &Value, found: &mut Vec<String>) {
    match answer {
        Value::Object(members) => {
            for (name, value) in members {
                let annotation = name.rsplit_once('@').map_or("", |(_, annotation)| annotation);
                match annotation {
                    "odata.nextLink" | "odata.deltaLink" | "odata.id" => found.push(text(value)),
                    "odata.context" => found.push(text(value).split('#').next().unwrap().to_owned()),
                    _ => addresses(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| addresses(value, found)),
        _ => {}
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// With another custom option of maximum length.
fn longest(path: &str) -> String {
    let begin = format!("{path}{}mine=", if path.contains('?') { '&' } else { '?' });
    format!("{begin}{}", "a".repeat(MAX_URL_LENGTH - begin.len()))
}

#[test]
fn every_url_in_every_answer_works_also_below_the_longest_names() {
    let app = TestApp::new();
    let name = format!("{}@{}", "n".repeat(31), "d".repeat(32));
    let ann = app.user(&name);
    let admin = app.user("app:admin");
    app.user("bob").get("/me").json(200);
    app.user("carl").get("/me").json(200);
    let folder = "'é/ %?#\u{1f600}".repeat(28);
    let key = encoded(&folder.replace('\'', "''")).replace('/', "%2F");
    let mut first = Vec::new();
    let made = |answer: &Answer| {
        let location = answer.header("location");
        assert!(!location.is_empty(), "{}", String::from_utf8_lossy(&answer.body));
        location
    };
    for i in 0..2 {
        let contact = json!({"surname": "é".repeat(4_096), "parentFolderId": folder, "title": i.to_string()});
        first.push(made(&ann.post("/me/contacts", contact)));
        let inside = json!({"displayName": format!("{}{i}", "'".repeat(254))});
        let below = made(&ann.post(&format!("/me/contactFolders('{key}')/childFolders"), inside));
        first.push(made(&ann.post(&format!("{below}/contacts/$ref"), json!({"surname": "Lee"}))));
        first.push(below);
        let category = json!({"displayName": format!("{}{i}", "é".repeat(254)), "color": "preset1"});
        first.push(made(&ann.post("/me/outlook/masterCategories", category)));
        let with = ["bob", "carl"][i];
        let share = json!({"emailAddress": {"address": with}, "role": "read"});
        first.push(made(&admin.post(&format!("/users/{name}/contactPermissions"), share)));
    }
    let contact = ann.post("/me/contacts", json!({"surname": "Lee"}));
    for i in 0..2 {
        let extension = json!({"extensionName": format!("{}{i}", "e.".repeat(63)), "x": 1});
        first.push(made(&ann.post(&format!("/me/contacts/{}/extensions", contact.id()), extension)));
    }
    let photo = format!("{}/photo", made(&contact));
    assert_eq!(put(&ann, &photo, &gif(10, 10, 1_000, 0)).status, 200);
    first.extend([format!("{photo}/$value"), photo]);
    let deleted = ann.post("/me/contacts", json!({"surname": "Gone"}));
    ann.delete(&made(&deleted)).empty(204);
    ann.delete(&made(&ann.post("/me/contacts", json!({"surname": "Gone too"})))).empty(204);
    for version in ["", "/v1.0"] {
        let folders = format!("{version}/me/contactFolders");
        let inside = format!("{folders}('{key}')");
        let sorted = "$orderby=surname&$top=1";
        first.extend([format!("{version}/"), format!("{version}/me")]);
        first.extend(
            [
                format!("{version}/me/contacts?{sorted}"),
                format!("{inside}/contacts?{sorted}"),
                format!("{inside}/contacts/$ref?{sorted}"),
                format!("{folders}?$top=1&$expand=contacts($top=1;$orderby=surname),childFolders($top=1)"),
                format!("{inside}/childFolders?$top=1&$orderby=displayName%20desc"),
                format!("{version}/me/outlook/masterCategories?$top=1&$orderby=displayName"),
                format!("{version}/me/deletedContacts?$top=1"),
                format!("{version}/me/contacts/{}?$expand=extensions", contact.id()),
            ]
            .map(|path| longest(&path)),
        );
        let delta = |list: &str| format!("{list}/delta?$top=1");
        first.extend([delta(&format!("{version}/me/contacts")), delta(&format!("{inside}/contacts")), delta(&folders)]);
    }
    let followed = follow_all(&ann, first);
    assert!(followed > 70, "{followed}");
    let app_paths =
        ["/users?$top=1".to_owned(), format!("/users/{name}/contactPermissions"), "/v1.0/users?$top=1".into()];
    assert!(follow_all(&admin, app_paths.map(|path| longest(&path)).into()) > 6);
}

#[test]
fn subscriptions_are_found_by_their_location_and_by_next_links() {
    let (app, receiver) = (start(), Receiver::new());
    let admin = app.user("app:admin");
    let mut locations = Vec::new();
    for (user, count) in [("ann", 100), ("bob", 2)] {
        app.user(user).get("/me").json(200);
        for _ in 0..count {
            let made =
                admin.post("/v1.0/subscriptions", terms(&format!("/users/{user}/contacts"), &receiver.url("/n")));
            made.json(201);
            locations.push(made.header("location"));
        }
    }
    let minimal = admin.with("Prefer", "return=minimal");
    let about = terms("/users/bob/contactFolders", &receiver.url("/told"));
    locations.push(minimal.post("/subscriptions", about).empty(204).header("location"));
    let expected_links =
        ["/subscriptions".to_owned(), longest("/v1.0/subscriptions"), longest("/beta/subscriptions?$format=json")];
    for list in &expected_links {
        assert_eq!(follow(&admin, list, "@odata.nextLink"), 103, "{list:.60}");
    }
    follow_all(&admin, [locations, expected_links.to_vec()].concat());
    let folder = app.user("bob").post("/me/contactFolders", json!({"displayName": "x"})).id();
    let notified_path = text(&receiver.wait("/told", 1)[0]["resourceData"]["@odata.id"]);
    assert_eq!(admin.get(&format!("/v1.0/{notified_path}")).json(200)["id"], folder.as_str());
}

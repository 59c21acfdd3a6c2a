//! Every link that an answer gives is followed, also where all that it repeats is as long as it may be.

use serde_json::{Value, json};

use crate::app::{Client, TestApp};

/// Longest address, as links repeat it.
const LONGEST: usize = 65_534 - 4_096 - 64;

/// Follows a list to its end, by whatever links its pages give, and answers how many entries there were.
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
fn a_next_link_is_followed_where_the_address_is_as_long_as_it_may_be() {
    let app = TestApp::new();
    let ann = app.user("ann");
    contacts(&ann, "/me/contacts", 3);
    let of = |list: &str, size: usize, filler: &str, each: usize| {
        let begin = format!("{list}?$top=1&mine=");
        let rest = size - begin.len();
        format!("{begin}{}{}", filler.repeat(rest / each), "a".repeat(rest % each))
    };
    let all =
        ["/me/contacts", "/v1.0/me/contacts", "/me/contacts/$ref", "/v1.0/users/ann/contactFolders/contacts/contacts"];
    for list in all {
        for (filler, each) in [("a", 1), ("{", 3), ("%C3%A9", 6)] {
            assert_eq!(follow(&ann, &of(list, LONGEST, filler, each), "@odata.nextLink"), 3, "{list} {filler}");
            let refused = ann.get(&of(list, LONGEST + 1, filler, each));
            assert_eq!(refused.error(), (400, "BadRequest".into(), String::new()), "{list} {filler}");
            assert!(refused.message().starts_with("An address has at most 61374 bytes"), "{}", refused.message());
        }
    }
}

#[test]
fn a_next_link_is_followed_with_all_options_at_their_limits() {
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
    assert!(long.len() < LONGEST, "{}", long.len());
    assert_eq!(follow(&ann, &long, "@odata.nextLink"), 3);
}

#[test]
fn a_link_to_the_rest_of_what_is_expanded_is_followed_at_the_limits() {
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
fn every_link_of_delta_is_followed_whatever_was_selected() {
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
        // The `$select` it began with may be repeated, and no other.
        ann.get(&format!("{link}&$select={select}")).json(200);
        assert_eq!(ann.get(&format!("{link}&$select=id")).error(), (400, "BadRequest".into(), "$select".into()));
    }
}

#[test]
fn the_link_by_which_delta_starts_over_selects_the_same() {
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
    let gone = ann.get(&format!("/v1.0{path}&$select={select}"));
    assert_eq!(gone.error().0, 410);
    let start = gone.header("location");
    let begun = ann.get(&start).json(200);
    assert_eq!(begun["value"].as_array().unwrap().len(), 2, "{begun}");
    assert_eq!(begun["value"][0].get("givenName"), None, "{begun}");
}

#[test]
fn what_a_location_says_is_there() {
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

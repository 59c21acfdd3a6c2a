//! Lists of folders: their order and their next links.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

const FOLDERS: &str = "/v1.0/me/contactFolders";

fn make(client: &Client, name: &str) -> String {
    client.post(FOLDERS, json!({"displayName": name})).id()
}

fn of_all(page: &Value, member: &str) -> Vec<String> {
    page["value"].as_array().unwrap().iter().map(|folder| folder[member].as_str().unwrap().to_owned()).collect()
}

fn next_of(page: &Value) -> Option<String> {
    let next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
    assert!(next.as_ref().is_none_or(|link| link.len() < 2_000), "{next:?}");
    next
}

/// The names in this order, read in pages of this size.
fn sorted(client: &Client, root: &str, order: &str, size: usize) -> Vec<String> {
    let mut next = Some(format!("{root}?$top={size}&$orderby={}", percent_encode(order)));
    let mut found = Vec::new();
    while let Some(path) = next {
        let page = client.get(&path).json(200);
        next = next_of(&page);
        let names = of_all(&page, "displayName");
        assert!(names.len() == size || next.is_none(), "{path}");
        found.extend(names);
    }
    found
}

#[test]
fn folders_are_sorted_by_any_expression_and_then_by_creation() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for name in ["beta", "Ätna", "alpha", "Zeta", "äb", "a 10", "ZETA 2"] {
        make(&ann, name);
    }
    // Ids that the client chooses, one of them equal to another folder's name.
    ann.post("/me/contacts", json!({"parentFolderId": "Alpha"}));
    for (order, expected) in [
        ("displayName", ["a 10", "alpha", "Alpha", "beta", "Zeta", "ZETA 2", "äb", "Ätna"]),
        ("displayName desc", ["Ätna", "äb", "ZETA 2", "Zeta", "beta", "alpha", "Alpha", "a 10"]),
        ("length(displayName),displayName desc", ["äb", "Ätna", "Zeta", "beta", "a 10", "alpha", "Alpha", "ZETA 2"]),
        ("startswith(displayName,'z') desc", ["Zeta", "ZETA 2", "beta", "Ätna", "alpha", "äb", "a 10", "Alpha"]),
        (
            "indexof(displayName,'t') DESC , tolower(displayName)",
            ["beta", "Zeta", "ZETA 2", "Ätna", "a 10", "alpha", "Alpha", "äb"],
        ),
        ("parentFolderId", ["beta", "Ätna", "alpha", "Zeta", "äb", "a 10", "ZETA 2", "Alpha"]),
        (
            "substring(displayName,0,1),id eq 'Alpha'",
            ["alpha", "a 10", "Alpha", "beta", "Zeta", "ZETA 2", "Ätna", "äb"],
        ),
    ] {
        for size in [1, 3, 8, 100] {
            assert_eq!(sorted(&ann, FOLDERS, order, size), expected, "{order}");
        }
    }
    // Generated ids sort in creation order, and before letters.
    assert_eq!(sorted(&ann, FOLDERS, "id", 3), sorted(&ann, FOLDERS, "true", 4));
    // The default folder has no parent, and null sorts first.
    assert_eq!(sorted(&ann, "/me/contactFolders", "parentFolderId,displayName", 2)[..3], ["Contacts", "a 10", "alpha"]);
    assert_eq!(sorted(&ann, "/me/contactFolders", "parentFolderId desc", 2).last().unwrap(), "Contacts");
    let inside = format!("/me/contactFolders/{}/childFolders", make(&ann, "outer"));
    for name in ["b", "a", "c"] {
        ann.post(&inside, json!({"displayName": name}));
    }
    assert_eq!(sorted(&ann, &inside, "displayName desc", 2), ["c", "b", "a"]);
    let walked = ann.get(&format!(
        "{inside}?$filter=displayName%20ne%20@p&$orderby=displayName%20desc&$count=true&$top=1&$skip=1&@p='b'"
    ));
    assert_eq!(
        (&walked.json(200)["@odata.count"], of_all(&walked.json(200), "displayName")),
        (&json!(2), vec!["a".into()])
    );
}

#[test]
fn what_is_no_order_of_folders_is_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    make(&ann, "a");
    make(&ann, "b");
    for (order, place) in [
        ("surname", "at position 0"),
        ("displayName up", "at position 12"),
        ("displayName,", "at position 12"),
        ("", "at position 0"),
        ("null", "at position 0"),
        (&["id"; 9].join(","), "8"),
    ] {
        let refused = ann.get(&format!("{FOLDERS}?$orderby={}", percent_encode(order)));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$orderby".into()), "{order}");
        assert!(refused.message().contains(place), "{order}: {}", refused.message());
    }
    let strict = ann.with("Prefer", "handling=strict");
    assert_eq!(strict.get(&format!("{FOLDERS}?$orderby=length(displayName)")).error().1, "ErrorInvalidUrlQueryFilter");
    assert_eq!(strict.get(&format!("{FOLDERS}?$orderby=displayName")).status, 200);
    // A page token is valid for one order.
    let token = |query: &str| {
        let link = next_of(&ann.get(&format!("{FOLDERS}?$top=1{query}")).json(200)).unwrap();
        link.split("$skiptoken=").nth(1).unwrap().to_owned()
    };
    let by_name = token("&$orderby=displayName");
    for (query, token) in [
        ("", by_name.clone()),
        ("&$orderby=length(displayName)", by_name.clone()),
        ("&$orderby=displayName,id", by_name),
        ("&$orderby=displayName", token("")),
        ("", "x".to_owned()),
        ("", "AAAA".to_owned()),
        ("", String::new()),
    ] {
        let refused = ann.get(&format!("{FOLDERS}?$skiptoken={token}{query}"));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$skiptoken".into()), "{query} {token}");
    }
    let contacts = ann.get(&format!("/me/contacts?$skiptoken={}", token("")));
    assert_eq!(contacts.error(), (400, "BadRequest".into(), "$skiptoken".into()));
}

/// Names of about 255 characters, most of four bytes, in seven groups that differ only near the end.
fn long_name(i: usize, end: &str) -> String {
    format!("{}{}{end}{i:03}", "𐐀".repeat(249), i % 7)
}

/// Sort keys are longer than a link may be, while folders are created, renamed, moved and deleted.
#[test]
fn a_walk_sees_each_folder_once_while_others_are_written() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let stay: Vec<_> = (0..40).map(|i| make(&ann, &long_name(i, "m"))).collect();
    let elsewhere = make(&ann, "elsewhere");
    for (round, order) in ["displayName", "displayName desc", "id", "displayName,concat(displayName,'x') desc", ""]
        .into_iter()
        .enumerate()
    {
        let tag = ["a", "b", "c", "d", "e"][round];
        let leave: Vec<_> = (0..12).map(|i| make(&ann, &long_name(i, &tag.to_uppercase()))).collect();
        let stop = AtomicBool::new(false);
        let made = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (i, id) in leave.iter().enumerate() {
                    made.lock().unwrap().push(make(&ann, &long_name(i, &format!("z{tag}"))));
                    let path = format!("/me/contactFolders/{id}");
                    match i % 3 {
                        0 => ann.patch(&path, json!({"displayName": format!("renamed {tag}{i}")})),
                        1 => ann.patch(&path, json!({"parentFolderId": elsewhere})),
                        _ => ann.delete(&path),
                    };
                }
                stop.store(true, Ordering::Relaxed);
            });
            let mut walks = 0;
            while !stop.load(Ordering::Relaxed) || walks == 0 {
                let order = match order {
                    // Folders may be deleted before their content is read.
                    "" => "&$expand=childFolders,contacts".to_owned(),
                    order => format!("&$orderby={}", percent_encode(order)),
                };
                let mut next = Some(format!("{FOLDERS}?$top=3{order}"));
                let mut found = Vec::new();
                while let Some(path) = next {
                    let page = ann.get(&path).json(200);
                    next = next_of(&page);
                    assert!(next.is_none() || !of_all(&page, "id").is_empty());
                    found.extend(of_all(&page, "id"));
                }
                let kept: Vec<_> = found.iter().filter(|id| stay.contains(id)).collect();
                assert_eq!(kept.len(), stay.len(), "{order}");
                assert_eq!(kept.iter().collect::<BTreeSet<_>>().len(), stay.len(), "{order}");
                let unchanged = made.lock().unwrap().clone();
                let new: Vec<_> = found.iter().filter(|id| unchanged.contains(id)).collect();
                assert_eq!(new.iter().collect::<BTreeSet<_>>().len(), new.len(), "{order}");
                walks += 1;
            }
        });
    }
}

/// The last shown folder is renamed, moved or deleted before the next page is requested. The walk continues after it.
#[test]
fn a_walk_continues_correctly_when_folders_change_between_pages() {
    for order in
        ["displayName", "displayName desc", "concat(displayName,displayName)", "concat(displayName,displayName) desc"]
    {
        for size in [1, 2, 5] {
            let app = TestApp::new();
            let ann = app.user("ann");
            let all_ids: Vec<_> = (0..15).map(|i| make(&ann, &long_name(i, ""))).collect();
            let elsewhere = make(&ann, "elsewhere");
            ann.patch(&format!("/me/contactFolders/{elsewhere}"), json!({"parentFolderId": all_ids[0]}));
            let mut next = Some(format!("{FOLDERS}?$top={size}&$orderby={}", percent_encode(order)));
            let (mut found, mut i) = (Vec::new(), 0);
            while let Some(path) = next {
                let page = ann.get(&path).json(200);
                next = next_of(&page);
                let ids = of_all(&page, "id");
                let last = ids.last().unwrap().clone();
                found.extend(ids);
                // One of three folders is unchanged: with long keys, the token has the ids of the last few folders.
                let path = format!("/me/contactFolders/{last}");
                match i % 3 {
                    0 if last != all_ids[0] => ann.delete(&path).empty(204).status,
                    1 if last != all_ids[0] => ann.patch(&path, json!({"parentFolderId": elsewhere})).status,
                    _ => 0,
                };
                i += 1;
            }
            let descending = order.ends_with("desc");
            let mut expected: Vec<_> =
                all_ids.iter().enumerate().map(|(i, id)| (long_name(i, ""), id.clone())).collect();
            expected.sort();
            if descending {
                expected.reverse();
            }
            assert_eq!(found, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), "{order} {size}");
        }
    }
}

#[test]
fn sort_keys_too_long_for_a_page_token_skip_nothing() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let name = |i: usize| format!("{}{i:05}", "𐐀".repeat(250));
    let all_ids: Vec<_> = (0..12).map(|i| make(&ann, &name(i))).collect();
    let rename = |id: &str, name: &str| ann.patch(&format!("/me/contactFolders/{id}"), json!({"displayName": name}));
    let first = format!("{FOLDERS}?$top=2&$orderby=concat(displayName,displayName)");
    // Some of the last shown folders are unchanged. The walk continues after the last of these.
    let mut next = Some(first.clone());
    let mut found = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        next = next_of(&page);
        found.extend(of_all(&page, "id"));
        assert_eq!(rename(found.last().unwrap(), &format!("!{}", found.len())).status, 200);
    }
    assert_eq!(found, all_ids);
    for (i, id) in all_ids.iter().enumerate() {
        rename(id, &name(i));
    }
    // If none of them exists, folders with the same key prefix may be shown again.
    let page = ann.get(&first).json(200);
    for id in &all_ids[..2] {
        rename(id, &format!("!{id}"));
    }
    let rest = ann.get(&next_of(&page).unwrap()).json(200);
    assert_eq!(of_all(&rest, "id"), all_ids[2..4]);
}

#[test]
fn a_walk_sorted_by_a_long_computed_key_has_short_tokens() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let all_ids: Vec<_> = (0..30).map(|i| make(&ann, &format!("{i:02}{}", "x".repeat(253)))).collect();
    // A key of 256 names.
    let order = (0..8).fold("displayName".to_owned(), |key, _| format!("concat({key},{key})"));
    let mut next = Some(format!("{FOLDERS}?$top=7&$orderby={order}%20desc"));
    let mut found = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        let token = page["@odata.nextLink"].as_str().map_or("", |link| link.split("$skiptoken=").nth(1).unwrap());
        assert!(token.len() < 1_600, "{token}");
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
        found.extend(of_all(&page, "id"));
    }
    assert!(found.iter().eq(all_ids.iter().rev()));
}

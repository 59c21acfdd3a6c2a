//! `$filter`, `$orderby` and `$count` as clients send them. Their semantics are tested in the store (`store::tests`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::app::{Client, TestApp};

/// Percent-encodes all characters that a query must not contain.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'\'' | b'(' | b')' | b'/' | b':' | b',' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn names(page: &Value) -> Vec<String> {
    let name = |contact: &Value| contact["displayName"].as_str().unwrap_or("-").to_owned();
    page["value"].as_array().unwrap().iter().map(name).collect()
}

fn filtered(client: &Client, root: &str, filter: &str) -> Vec<String> {
    names(&client.get(&format!("{root}?$top=1000&$filter={}", encoded(filter))).json(200))
}

fn people(client: &Client) {
    for (name, more) in [
        (
            "Ann Lee",
            json!({"emailAddresses": [{"address": "Ann@Example.ORG"}], "categories": ["VIP"], "birthday": "1974-07-22"}),
        ),
        (
            "Bob O'Neil",
            json!({"surname": "O'Neil", "phones": [{"type": "mobile", "number": "+1 555"}], "isFavorite": true}),
        ),
        ("Åsa 100%", json!({"surname": "Öst", "postalAddresses": [{"type": "home", "city": "Malmö"}]})),
        (
            "Zoe",
            json!({"parentFolderId": "Friends", "emailAddresses": [{"address": "zoe@x.example"}, {"address": "z@x.example"}]}),
        ),
    ] {
        let mut body = json!({"displayName": name});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(client.post("/me/contacts", body).status, 201);
    }
}

#[test]
fn filters_work_in_v1_and_beta() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    for (filter, found) in [
        ("emailAddresses/any(a:a/address eq 'ann@example.org')", vec!["Ann Lee"]),
        ("emailAddresses/any(a:startswith(a/address,'Z')) and emailAddresses/$count eq 2", vec!["Zoe"]),
        ("surname eq 'o''neil' or categories/any(c:c eq 'vip')", vec!["Ann Lee", "Bob O'Neil"]),
        ("contains(displayName,'%')", vec!["Åsa 100%"]),
        ("STARTSWITH(DisplayName,'å')", vec!["Åsa 100%"]),
        ("isFavorite", vec!["Bob O'Neil"]),
        ("surname ne 'Öst'", vec!["Ann Lee", "Bob O'Neil", "Zoe"]),
        ("birthday lt 1980-01-01T00:00:00+02:00", vec!["Ann Lee"]),
        ("parentFolderId eq 'Friends'", vec!["Zoe"]),
    ] {
        assert_eq!(filtered(&ann, "/me/contacts", filter), found, "{filter}");
        assert_eq!(filtered(&ann, "/beta/me/contacts", filter), found, "{filter}");
    }
    // v1.0 lists the default folder, by its own names.
    assert_eq!(filtered(&ann, "/v1.0/me/contacts", "mobilePhone eq '+1 555'"), ["Bob O'Neil"]);
    assert_eq!(filtered(&ann, "/v1.0/me/contacts", "homeAddress/city eq 'MALMÖ'"), ["Åsa 100%"]);
    assert_eq!(filtered(&ann, "/v1.0/me/contacts", "displayName eq 'Zoe'"), Vec::<String>::new());
    assert_eq!(filtered(&ann, "/v1.0/me/contactFolders/Friends/contacts", "displayName eq 'zoe'"), ["Zoe"]);
    assert_eq!(filtered(&app.user("bob"), "/me/contacts", "true"), Vec::<String>::new());
    // Form encoding, aliases, and blanks as clients send them.
    let page = ann.get("/me/contacts?%24filter=surname+eq+%40p&@p='O''Neil'").json(200);
    assert_eq!(names(&page), ["Bob O'Neil"]);
}

#[test]
fn what_is_no_filter_is_refused_where_it_is_wrong() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    for (option, value, place) in [
        ("$filter", "surname eq", "at position 10 in"),
        ("$filter", "surname eq '", "at position 11 in"),
        ("$filter", "surnam eq 'x'", "at position 0 in"),
        ("$filter", "birthday eq 'x'", "at position 0 in"),
        ("$filter", "", "at position 0 in"),
        ("$filter", "x'; drop table contacts; --", "at position 1 in"),
        ("$orderby", "surname up", "at position 8 in"),
        ("$orderby", "emailAddresses", "at position 0 in"),
        ("$orderby", "changeKey", "at position 0 in"),
    ] {
        let refused = ann.get(&format!("/me/contacts?{option}={}", encoded(value)));
        assert_eq!(refused.error(), (400, "BadRequest".into(), option.into()), "{value}");
        assert!(refused.message().contains(place), "{value}: {}", refused.message());
    }
    for option in
        ["$count=yes", "$filter=true&filter=true", "$orderby=surname&%24ORDERBY=title", "@p=1&@p=2&$filter=true"]
    {
        assert_eq!(ann.get(&format!("/me/contacts?{option}")).error().0, 400, "{option}");
    }
    let id = ann.get("/me/contacts").json(200)["value"][0]["id"].as_str().unwrap().to_owned();
    for option in ["$filter=true", "$orderby=surname", "$count=true"] {
        assert_eq!(ann.get(&format!("/me/contacts/{id}?{option}")).error().0, 400, "{option}");
        assert_eq!(ann.post(&format!("/me/contacts?{option}"), "{}").error().0, 400, "{option}");
    }
    assert_eq!(app.count("select count(*) from contacts"), 4);
}

#[test]
fn client_text_in_filters_is_only_a_value() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    for text in [
        "' or '1'='1",
        "'; delete from contacts; --",
        "x') or 1=1 --",
        "\" or \"\"=\"",
        "$1",
        "?1",
        ":a",
        "\\' or 1=1",
        "%' or '%'='",
        "\u{2019} or 1=1",
        "/* */",
    ] {
        let quoted = text.replace('\'', "''");
        for filter in [
            format!("surname eq '{quoted}'"),
            format!("surname in ('{quoted}')"),
            format!("contains(displayName,'{quoted}')"),
            format!("startswith(concat(surname,'{quoted}'),'{quoted}') and surname ne null"),
            format!("emailAddresses/any(e:e/address eq '{quoted}')"),
            format!("id eq '{quoted}' or changeKey eq '{quoted}' or parentFolderId eq '{quoted}'"),
        ] {
            assert_eq!(filtered(&ann, "/me/contacts", &filter), Vec::<String>::new(), "{filter}");
        }
        let sorted = format!("/me/contacts?$orderby={}", encoded(&format!("concat(surname,'{quoted}')")));
        assert_eq!(ann.get(&sorted).json(200)["value"].as_array().unwrap().len(), 4);
    }
    assert_eq!(app.count("select count(*) from contacts"), 4);
}

#[test]
fn strict_handling_answers_with_graphs_codes() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Prefer", "handling=strict");
    for (filter, code) in [
        ("contains(displayName,'x')", "ErrorInvalidUrlQueryFilter"),
        ("emailAddresses/any(a:startswith(a/address,'x'))", "ErrorInvalidUrlQueryFilter"),
        ("changeKey eq 'x'", "ErrorInvalidProperty"),
        ("nothing eq 'x'", "BadRequest"),
    ] {
        let refused = ann.get(&format!("/me/contacts?$filter={}", encoded(filter)));
        assert_eq!(refused.error(), (400, code.into(), "$filter".into()), "{filter}");
    }
    let accepted = ann.get("/me/contacts?$filter=emailAddresses/any(a:a/address%20eq%20'x@y')&$orderby=displayName");
    assert_eq!(accepted.json(200)["value"], json!([]));
}

#[test]
fn a_count_covers_all_pages_and_equals_the_count_segment() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    let mut next =
        Some("/me/contacts?$top=2&$count=true&$filter=surname%20ne%20'x'&$orderby=displayName%20desc".to_owned());
    let mut found = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        assert_eq!(page["@odata.count"], 4);
        found.extend(names(&page));
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
        if let Some(link) = &next {
            assert!(
                link.contains("$count=true&$filter=surname%20ne%20'x'&$orderby=displayName%20desc&$skiptoken="),
                "{link}"
            );
        }
    }
    assert_eq!(found, ["Åsa 100%", "Zoe", "Bob O'Neil", "Ann Lee"]);
    assert!(ann.get("/me/contacts?$count=false").json(200).get("@odata.count").is_none());
    for (path, count) in [
        ("/me/contacts/$count", "4"),
        ("/beta/me/contacts/%24count?$filter=surname%20eq%20null&$top=1&$skip=1", "2"),
        ("/v1.0/me/contacts/$count", "3"),
        ("/me/contactFolders/Friends/contacts/$count", "1"),
    ] {
        let answer = ann.get(path);
        assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "text/plain"), "{path}");
        assert_eq!(String::from_utf8(answer.body).unwrap(), count, "{path}");
    }
    assert_eq!(ann.get("/me/contacts/$count?$filter=x").error().0, 400);
    assert_eq!(ann.get("/me/contactFolders/none/contacts/$count").error().0, 404);
    assert_eq!(ann.post("/me/contacts/$count", "{}").status, 405);
}

/// Sort keys are longer than a link may be, while contacts are written.
#[test]
fn a_sorted_walk_sees_each_contact_once_while_others_are_written() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let long = |i: usize, end: &str| format!("{}{end}{}", "é".repeat(2_000), i % 7);
    let create = |i: usize, end: &str| {
        ann.post("/me/contacts", json!({"title": long(i, end), "surname": (i % 3).to_string()})).id()
    };
    let stay: Vec<_> = (0..40).map(|i| create(i, "m")).collect();
    let leave: Vec<_> = (0..12).map(|i| create(i, "n")).collect();
    for order in ["title", "title desc", "surname desc,title", "length(title),title desc"] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (i, id) in leave.iter().enumerate() {
                    create(i, "l");
                    // The changes do not affect the sort keys of the other contacts.
                    ann.patch(&format!("/me/contacts/{}", stay[i * 3]), json!({"jobTitle": order}));
                    ann.patch(
                        &format!("/me/contacts/{id}"),
                        json!({"title": long(i, if i % 2 == 0 { "a" } else { "z" })}),
                    );
                }
                stop.store(true, Ordering::Relaxed);
            });
            let mut walks = 0;
            while !stop.load(Ordering::Relaxed) || walks == 0 {
                let mut found = Vec::new();
                let mut next = Some(format!("/me/contacts?$top=3&$select=id&$orderby={}", encoded(order)));
                while let Some(path) = next {
                    let page = ann.get(&path).json(200);
                    next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
                    assert!(next.as_ref().is_none_or(|link| link.len() < 2_000), "{next:?}");
                    let id = |contact: &Value| contact["id"].as_str().unwrap().to_owned();
                    found.extend(page["value"].as_array().unwrap().iter().map(id));
                }
                let kept: Vec<_> = found.iter().filter(|id| stay.contains(id)).collect();
                assert_eq!(kept.len(), stay.len(), "{order}");
                assert_eq!(kept.iter().collect::<BTreeSet<_>>().len(), stay.len(), "{order}");
                walks += 1;
            }
        });
    }
}

#[test]
fn hostile_queries_end_soon() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    for filter in [
        "(".repeat(3_000),
        "not ".repeat(2_000),
        "'".repeat(2_001),
        "emailAddresses/any(a:".repeat(300),
        "a eq ".repeat(1_000),
    ] {
        let refused = ann.get(&format!("/me/contacts?$filter={}", encoded(&filter)));
        assert_eq!(refused.error().0, 400, "{}", &filter[..20]);
    }
    for raw in ["%", "%2", "%zz", "%ff", "%00", "%C0%80", "surname%20eq%20'%E2%28'"] {
        assert_eq!(ann.get(&format!("/me/contacts?$filter={raw}")).error().0, 400, "{raw}");
    }
    // At the limit: both engines accept it.
    let repeated = |word: &str, part: &str, count: usize| vec![part; count].join(word);
    for filter in [
        repeated(" or ", "id eq '1'", 300),
        repeated(" and ", "a ne 'x'", 2).replace("a ne", "title ne"),
        format!("{}true{}", "(".repeat(45), ")".repeat(45)),
        format!("{}isFavorite{}", "not (".repeat(24), ")".repeat(24)),
        format!("{}title{} eq 'x'", "trim(concat('a',".repeat(20), "))".repeat(20)),
        format!("{}title{} eq 'x'", "substring(".repeat(45), ",1)".repeat(45)),
        format!("{}1{} eq 1", "length(substring(title,".repeat(22), "))".repeat(22)),
        format!("{}true{}", "(contains(title,'x') eq ".repeat(24), ")".repeat(24)),
        format!("title in ({})", repeated(",", "'a'", 900)),
        format!("length(title){} ge 0", " add 1".repeat(45)),
    ] {
        assert_eq!(ann.get(&format!("/me/contacts?$filter={}", encoded(&filter))).status, 200, "{}", &filter[..20]);
    }
}

//! `$search` as clients send it. Its results are tested in the store (`store::tests::search`).

use serde_json::{Value, json};

use crate::app::{Answer, Client, TestApp};

fn people(client: &Client) {
    for body in [
        json!({"givenName": "Ann", "surname": "Lée", "emailAddresses": [{"address": "Ann.Lee@example.org"}]}),
        json!({"displayName": "Bob O'Neil", "phones": [{"type": "mobile", "number": "+1 (732) 555-0102"}], "jobTitle": "Plumber"}),
        json!({"displayName": "Zoe", "companyName": "Lee & Sons", "parentFolderId": "Friends", "personalNotes": "met in Oslo"}),
        json!({"displayName": "山田太郎", "postalAddresses": [{"type": "home", "street": "Elm Street 5", "city": "Łódź"}]}),
    ] {
        assert_eq!(client.post("/me/contacts", body).status, 201);
    }
}

fn text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.clone()).unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    page["value"].as_array().unwrap().iter().map(|contact| contact["displayName"].as_str().unwrap()).collect()
}

#[test]
fn a_search_matches_prefixes_and_ignores_case_and_accents() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    for (search, found) in [
        ("lee", vec!["Ann Lée", "Zoe"]),
        ("\"L%C3%89E\"", vec!["Ann Lée", "Zoe"]),
        ("\"lee ann\"", vec!["Ann Lée"]),
        ("%22%5C%22lee%20ann%5C%22%22", vec![]),
        ("ann.lee@exa", vec!["Ann Lée"]),
        ("7325550102", vec!["Bob O'Neil"]),
        ("\"555-0102\"", vec!["Bob O'Neil"]),
        ("o'neil", vec!["Bob O'Neil"]),
        ("plumb", vec!["Bob O'Neil"]),
        ("oslo", vec!["Zoe"]),
        ("elm+5", vec!["山田太郎"]),
        ("%E5%A4%AA%E9%83%8E", vec!["山田太郎"]),
        ("%C5%81odz", vec!["山田太郎"]),
        ("lee+NOT+sons", vec!["Ann Lée"]),
        ("ann+OR+(zoe+AND+oslo)", vec!["Ann Lée", "Zoe"]),
        ("\"displayName:ann\"%20OR%20\"givenName:zoe\"%20OR%20\"emailAddresses:bob\"", vec!["Ann Lée"]),
        ("lodz'; drop table words; --", vec![]),
    ] {
        let search = search.replace(' ', "%20").replace('"', "%22");
        let page = ann.get(&format!("/me/contacts?$search={search}&$count=true&$top=1000")).json(200);
        assert_eq!(names(&page), found, "{search}");
        assert_eq!(page["@odata.count"], found.len(), "{search}");
        assert_eq!(
            text(&ann.get(&format!("/me/contacts/$count?search={search}"))),
            found.len().to_string(),
            "{search}"
        );
    }
    // Scope: v1.0 lists the default folder, a folder its own contacts, another user's list nothing.
    assert_eq!(names(&ann.get("/v1.0/me/contacts?$search=%22lee%22").json(200)), ["Ann Lée"]);
    assert_eq!(names(&ann.get("/me/contactFolders/Friends/contacts?$search=lee").json(200)), ["Zoe"]);
    assert!(names(&app.user("bob").get("/me/contacts?$search=lee").json(200)).is_empty());
}

#[test]
fn a_search_combines_with_all_other_options_and_with_paging() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    let options = "$search=%22lee%22&$filter=surname%20eq%20null&$orderby=displayName&$select=displayName&$count=true";
    let page = ann.get(&format!("/me/contacts?{options}")).json(200);
    assert_eq!((names(&page), &page["@odata.count"]), (vec!["Zoe"], &json!(1)));
    let first = ann.get("/me/contacts?$search=%22lee%22&$orderby=displayName%20desc&$top=1").json(200);
    assert_eq!(names(&first), ["Zoe"]);
    let second = ann.get(first["@odata.nextLink"].as_str().unwrap()).json(200);
    assert_eq!(names(&second), ["Ann Lée"]);
    assert!(second.get("@odata.nextLink").is_none());
}

#[test]
fn folders_are_searched_by_their_names() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for name in ["Old Friends", "Family", "Françoise"] {
        assert_eq!(ann.post("/me/contactFolders", json!({"displayName": name})).status, 201);
    }
    let found = |search: &str| {
        let page = ann.get(&format!("/v1.0/me/contactFolders?$search={search}&$count=true")).json(200);
        assert_eq!(page["@odata.count"], names(&page).len());
        names(&page).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("fri"), ["Old Friends"]);
    assert_eq!(found("f"), ["Old Friends", "Family", "Françoise"]);
    assert_eq!(found("%22francoise%22"), ["Françoise"]);
    assert_eq!(found("NOT%20f"), [""; 0]);
    assert_eq!(text(&ann.get("/me/contactFolders/$count?$search=contacts")), "1");
}

#[test]
fn invalid_searches_are_refused_and_strict_handling_refuses_as_graph() {
    let app = TestApp::new();
    let ann = app.user("ann");
    people(&ann);
    for (search, why) in [
        ("", "position 0"),
        ("\"\"", "position 0"),
        ("-", "no letter or digit"),
        ("(a", "position 0 in '(a'"),
        ("a%20OR", "but the search ends"),
        ("\"a", "no closing quote"),
        ("department:x", "'department' cannot be searched"),
        ("Gender:x", "'Gender' cannot be searched"),
    ] {
        for path in ["/me/contacts", "/me/contacts/$count", "/me/contactFolders"] {
            let refused = ann.get(&format!("{path}?$search={}", search.replace('"', "%22")));
            assert_eq!(refused.error(), (400, "BadRequest".into(), "$search".into()), "{search}");
            assert!(refused.message().contains(why), "{search}: {}", refused.message());
        }
    }
    assert_eq!(ann.get("/me/contacts?$search=a&search=b").error().0, 400);
    assert_eq!(ann.get("/me?$search=a").error().0, 400);
    let strict = ann.with("Prefer", "handling=strict");
    assert_eq!(strict.get("/me/contacts?$search=%22lee%22").status, 200);
    for path in [
        "/me/contacts?$search=lee&$filter=surname%20eq%20'x'",
        "/me/contacts?$search=lee&$orderby=surname",
        "/me/contactFolders?$search=lee",
        "/me/contactFolders/contacts/contacts?$search=lee",
    ] {
        assert_eq!(strict.get(path).error(), (400, "ErrorInvalidUrlQuery".into(), "$search".into()), "{path}");
    }
}

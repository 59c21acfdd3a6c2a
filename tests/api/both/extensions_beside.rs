//! Open extensions together with lists and filters, limits, versions, the trash, delta and other mailboxes.

use contactd::percent::percent_encode;
use serde_json::json;

use super::concurrency::at_once;
use super::extensions::{NOT_FOUND, bare, contact, names};
use super::pictures::assert_error;
use crate::app::{Client, TestApp};

#[test]
fn extensions_are_expanded_with_contacts_and_filtered_by_id() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let make = |i: usize, names: &[&str]| {
        let extensions: Vec<_> = names.iter().map(|name| json!({"extensionName": name, "i": i})).collect();
        let body = json!({"surname": format!("s{i}"), "extensions": extensions});
        ann.post(&format!("/me/contactFolders/{work}/contacts"), body).id()
    };
    let ids = [make(0, &["a", "b"]), make(1, &[]), make(2, &["b"]), make(3, &["A"])];
    let expanded = |path: &str, expand: &str| {
        let sign = if path.contains('?') { '&' } else { '?' };
        ann.get(&format!("{path}{sign}$expand={}", percent_encode(expand))).json(200)
    };
    let all = expanded(&format!("/v1.0/me/contactFolders/{work}/contacts?$select=surname"), "extensions");
    let shown: Vec<_> = all["value"].as_array().unwrap().iter().map(|c| names(&c["extensions"])).collect();
    assert_eq!(shown, [vec!["a", "b"], vec![], vec!["b"], vec!["A"]]);
    let metadata = format!("http://{}/v1.0/$metadata#users('ann')", app.address);
    assert_eq!(all["@odata.context"], format!("{metadata}/contactFolders('{work}')/contacts(surname,extensions())"));
    let first = &all["value"][0];
    assert_eq!(first["extensions@odata.context"], format!("{metadata}/contacts('{}')/extensions", ids[0]));
    assert_eq!(first["extensions"][1]["@odata.type"], "#microsoft.graph.openTypeExtension");
    assert_eq!(first.as_object().unwrap().len(), 5, "{first}");
    for filter in ["id eq 'b'", "'B' eq id or id eq 'microsoft.graph.openTypeExtension.b'", "id in ('x','b',null)"] {
        let filtered = expanded("/me/contacts", &format!("Extensions( $filter = {filter} )"));
        let shown: Vec<_> = filtered["value"].as_array().unwrap().iter().map(|c| names(&c["extensions"])).collect();
        assert_eq!(shown, [vec!["b"], vec![], vec!["b"], vec![]], "{filter}");
    }
    let aliased = ann.get("/me/contacts?$expand=extensions($filter=id+eq+@p)&@p='A'").json(200);
    assert_eq!(names(&aliased["value"][3]["extensions"]), ["A"]);
    // Page by page with the same option.
    let mut next = Some("/me/contacts?$top=1&$expand=extensions".to_owned());
    let mut walked = Vec::new();
    while let Some(path) = next {
        let page = ann.get(&path).json(200);
        walked.push(names(&page["value"][0]["extensions"]).len());
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
    }
    assert_eq!(walked, [2, 0, 1, 1]);
    let contact_path = format!("/me/contacts/{}", ids[0]);
    let tag = ann.get(&contact_path).header("etag");
    let same = ann.with("If-None-Match", &tag);
    // The contact's ETag does not depend on its extensions.
    assert_eq!(
        (same.get(&contact_path).status, same.get(&format!("{contact_path}?$expand=extensions")).status),
        (304, 200)
    );
    for (filter, found) in [
        ("extensions/any(f:f/id eq 'b')", vec!["s0", "s2"]),
        ("extensions/any(f:f/id eq 'Microsoft.OutlookServices.OpenTypeExtension.a')", vec!["s0"]),
        ("Extensions/any(f:f/extensionName eq 'A') or not extensions/any()", vec!["s1", "s3"]),
        ("extensions/any(f:f/id ne 'b')", vec!["s0", "s3"]),
        ("extensions/$count eq 1 and surname ne 's3'", vec!["s2"]),
    ] {
        for prefix in ["", "/v1.0"] {
            let path = format!("{prefix}/me/contactFolders/{work}/contacts");
            let filter = percent_encode(filter);
            let list = ann.get(&format!("{path}?$filter={filter}&$orderby=surname&$expand=extensions")).json(200);
            let names: Vec<_> =
                list["value"].as_array().unwrap().iter().map(|c| c["surname"].as_str().unwrap()).collect();
            assert_eq!(names, found, "{filter}");
            assert_eq!(ann.get(&format!("{path}/$count?$filter={filter}")).body, found.len().to_string().as_bytes());
        }
    }
    for (filter, said) in [
        ("extensions/any(f:f/theme eq 'x')", "named 'theme'"),
        ("extensions/any(f:startswith(f/id,'x'))", "takes a String"),
        ("extensions/any(f:f eq 'x')", "use one of f/{id, extensionName}"),
        ("extensions eq 'x'", "is a collection"),
        ("extensions/any(f:f/id gt 'x')", "cannot compare"),
    ] {
        let refused = ann.get(&format!("/me/contacts?$filter={}", percent_encode(filter)));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$filter".into()), "{filter}");
        assert!(refused.message().contains(said), "{}", refused.message());
    }
    for (expand, target) in [
        ("extensions($filter=id ne 'a')", "$expand/extensions/$filter"),
        ("extensions($filter=id eq 7)", "$expand/extensions/$filter"),
        ("extensions($filter=startswith(id,'a'))", "$expand/extensions/$filter"),
        ("extensions($select=id)", "$expand/extensions/$select"),
        ("extensions($top=1)", "$expand/extensions/$top"),
        ("extensions,Extensions", "$expand"),
    ] {
        let refused = ann.get(&format!("/me/contacts?$expand={}", percent_encode(expand)));
        assert_eq!(refused.error(), (400, "BadRequest".into(), target.into()), "{expand}");
    }
    for path in ["/me/contacts/delta", &format!("/me/contactFolders/{work}/contacts/delta"), "/me/contacts/$ref"] {
        assert_eq!(
            ann.get(&format!("{path}?$expand=extensions")).error(),
            (400, "BadRequest".into(), "$expand".into())
        );
    }
}

#[test]
fn a_page_with_large_extensions_ends_early_and_its_next_link_continues() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let mut all = Vec::new();
    for i in 0..11 {
        let extension = |j: usize| json!({"extensionName": format!("a{j}"), "m": "x".repeat(65_000)});
        let count = if i % 2 == 0 { 16 } else { 0 };
        let body = json!({"surname": format!("s{i:02}"), "extensions": (0..count).map(extension).collect::<Vec<_>>()});
        all.push(ann.post("/me/contacts", body).id());
    }
    for order in ["", "&$orderby=surname", "&$orderby=length(surname)"] {
        let mut next = Some(format!("/me/contacts?$top=1000&$select=id&$expand=extensions{order}"));
        let (mut found, mut pages) = (Vec::new(), 0);
        while let Some(path) = next {
            let page = ann.get(&path);
            assert!(page.body.len() < 6 << 20, "{}", page.body.len());
            let page = page.json(200);
            found.extend(page["value"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()));
            next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            pages += 1;
        }
        assert_eq!((&found, pages), (&all, 2));
    }
}

#[test]
fn the_number_and_size_of_extensions_per_contact_are_limited() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let hundred_extensions = (0..100).map(|i| json!({"extensionName": format!("a{i}")})).collect::<Vec<_>>();
    let id = ann.post("/me/contacts", json!({"extensions": hundred_extensions})).id();
    let path = format!("/me/contacts/{id}/extensions");
    assert_error(&ann.post(&path, json!({"extensionName": "one.more"})), (403, "quotaLimitReached"));
    ann.delete(&format!("{path}/a7")).empty(204);
    assert_eq!(ann.post(&path, json!({"extensionName": "one.more"})).status, 201);
    let list = ann.get(&path).json(200);
    assert_eq!(names(&list["value"])[99], "one.more", "the latest is the last");
    let large = json!({"m": "x".repeat(65_000)});
    for i in 20..36 {
        assert_eq!(ann.patch(&format!("{path}/a{i}"), &large).status, 200);
    }
    assert_error(&ann.patch(&format!("{path}/a40"), &large), (403, "quotaLimitReached"));
    let before = bare(&ann, &path);
    let mut new = large.clone();
    new["extensionName"] = json!("a7");
    ann.delete(&format!("{path}/a8")).empty(204);
    assert_error(&ann.post(&path, new), (403, "quotaLimitReached"));
    let deleted_extension = r#"{"id":"microsoft.graph.openTypeExtension.a8","extensionName":"a8"},"#;
    assert_eq!(bare(&ann, &path), before.replace(deleted_extension, ""), "what is refused leaves nothing behind");
    assert_eq!(ann.patch(&format!("{path}/a20"), json!({"m": null})).status, 200);
    assert_eq!(ann.patch(&format!("{path}/a40"), &large).status, 200);
}

#[test]
fn an_extension_write_with_if_match_needs_the_current_etag() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let path = format!("{}/extensions", contact(&ann));
    let made = ann.post(&path, r#"{"extensionName":"a","n":1}"#);
    let extension_path = format!("{path}/a");
    let position: i64 = made.header("contactd-position").parse().unwrap();
    let changed = ann.with("If-Match", &made.header("etag")).patch(&extension_path, r#"{"n":2}"#);
    assert_eq!((changed.status, changed.header("contactd-position")), (200, (position + 1).to_string()));
    let stale = ann.with("If-Match", &made.header("etag"));
    assert_error(&stale.patch(&extension_path, r#"{"n":3}"#), (412, "ErrorIrresolvableConflict"));
    assert_error(&stale.delete(&extension_path), (412, "ErrorIrresolvableConflict"));
    assert_error(
        &ann.with("If-None-Match", "*").patch(&extension_path, r#"{"n":3}"#),
        (412, "ErrorIrresolvableConflict"),
    );
    assert_eq!(ann.get(&extension_path).json(200)["n"], 2);
    let deleted_response = ann.with("If-Match", &changed.header("etag")).delete(&extension_path);
    deleted_response.empty(204);
    assert_eq!(deleted_response.header("contactd-position"), (position + 2).to_string());
    // An extension that is created again is a new one.
    let again = ann.post(&path, r#"{"extensionName":"a","n":1}"#);
    assert_ne!(again.header("etag"), made.header("etag"));
}

#[test]
fn no_concurrent_extension_write_is_lost() {
    let app = TestApp::new();
    let path = format!("{}/extensions", contact(&app.user("ann")));
    assert_eq!(app.user("ann").post(&path, r#"{"extensionName":"a"}"#).status, 201);
    let statuses = at_once(8, |i| {
        let ann = app.user("ann");
        (0..5)
            .map(|j| ann.patch(&format!("{path}/a"), json!({format!("m{i}_{j}"): i * 10 + j})).status)
            .collect::<Vec<_>>()
    });
    assert!(statuses.concat().iter().all(|status| *status == 200));
    let shown = app.user("ann").get(&format!("{path}/a")).json(200);
    for (i, j) in (0..8).flat_map(|i| (0..5).map(move |j| (i, j))) {
        assert_eq!(shown[format!("m{i}_{j}")], i * 10 + j);
    }
    // Of several creates of one name, one succeeds.
    let mut statuses = at_once(8, |i| app.user("ann").post(&path, json!({"extensionName": "b", "i": i})).status);
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    // Of several writes with the same `If-Match`, one succeeds.
    let tag = app.user("ann").get(&format!("{path}/b")).header("etag");
    let expecting = || app.user("ann").with("If-Match", &tag);
    let mut statuses = at_once(6, |i| expecting().patch(&format!("{path}/b"), json!({"won": i})).status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412]);
}

#[test]
fn extensions_are_deleted_and_restored_with_their_contact() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", json!({"extensions": [{"extensionName": "a", "n": 1}]})).id();
    let (one, path) = (format!("/me/contacts/{id}"), format!("/me/contacts/{id}/extensions"));
    let before = bare(&ann, &path);
    ann.delete(&one).empty(204);
    for answer in [
        ann.get(&path),
        ann.get(&format!("{path}/a")),
        ann.post(&path, r#"{"extensionName":"b"}"#),
        ann.patch(&format!("{path}/a"), r#"{"n":2}"#),
        ann.delete(&format!("{path}/a")),
    ] {
        assert_error(&answer, NOT_FOUND);
    }
    let trash = ann.get("/me/deletedContacts?$expand=extensions").json(200);
    assert_eq!(names(&trash["value"][0]["extensions"]), ["a"]);
    let one_deleted = ann.get(&format!("/me/deletedContacts/{id}?$expand=extensions")).json(200);
    assert_eq!(names(&one_deleted["extensions"]), ["a"]);
    ann.post(&format!("/me/deletedContacts/{id}/restore"), "").json(200);
    assert_eq!(bare(&ann, &path), before);
    ann.post(&format!("{one}/permanentDelete"), "").empty(204);
    assert_eq!(app.sql("select (select count(*) from extensions), (select count(*) from extension_members)"), "0|0");
}

#[test]
fn delta_does_not_report_extension_changes() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let contact_path = contact(&ann);
    let start = ann.get("/me/contacts/delta").json(200);
    let link = start["@odata.deltaLink"].as_str().unwrap();
    ann.post(&format!("{contact_path}/extensions"), r#"{"extensionName":"a"}"#);
    ann.patch(&format!("{contact_path}/extensions/a"), r#"{"n":1}"#);
    assert_eq!(ann.get(link).json(200)["value"], json!([]));
    ann.patch(&contact_path, json!({"title": "x"}));
    assert_eq!(ann.get(link).json(200)["value"].as_array().unwrap().len(), 1);
}

#[test]
fn extensions_of_other_owners_and_contacts_are_not_found() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let id = ann.post("/me/contacts", json!({"extensions": [{"extensionName": "a"}]})).id();
    let body = Some(br#"{"extensionName":"b"}"#.to_vec());
    for (method, end) in [("GET", ""), ("POST", ""), ("GET", "/a"), ("PATCH", "/a"), ("DELETE", "/a")] {
        let at = |start: &str, id: &str| format!("{start}/contacts/{id}/extensions{end}");
        let send = |client: &Client, path: String| {
            client.send(method, &path, (method != "GET" && method != "DELETE").then(|| body.clone().unwrap()))
        };
        assert_error(&send(&bob, at("/me", &id)), NOT_FOUND);
        assert_error(&send(&bob, at("/users/ann", &id)), (404, "Request_ResourceNotFound"));
        assert_error(&send(&ann, at(&format!("/me/contactFolders/{work}"), &id)), NOT_FOUND);
        assert_error(&send(&ann, at("/me", "0190f0a0-0000-7000-8000-000000000000")), NOT_FOUND);
        assert_error(&send(&ann, at("/me", "x")), (400, "ErrorInvalidIdMalformed"));
        assert_eq!(send(&app.user(""), at("/me", &id)).status, 401);
    }
    assert_eq!(app.user("app:sync").get(&format!("/users/ann/contacts/{id}/extensions/a")).status, 200);
    assert_eq!(
        bare(&ann, &format!("/me/contacts/{id}/extensions/a")),
        r#"{"id":"microsoft.graph.openTypeExtension.a","extensionName":"a"}"#
    );
    let found = bob.get("/me/contacts?$filter=extensions/any(f:f/id+eq+'a')").json(200);
    assert_eq!(found["value"], json!([]));
}

//! Every route times every kind of caller.

use std::collections::BTreeSet;

use contactd::odata::address::Address;

use super::checklist;
use super::rights::{ADMIN, SHARED, app, mark, name, secret_of, token, user};

/// Every kind of caller of ann's mailbox.
const CALLERS: [&str; 15] = [
    "nobody",
    "ann, expired",
    "ann, revoked",
    "erik, disabled, shared to write",
    "ann, Contacts.Read",
    "ann, Contacts.ReadWrite",
    "bob, another",
    "carl, shared to read",
    "dora, shared to write",
    "dora, but Contacts.ReadWrite",
    "dora, but Contacts.Read.Shared",
    "app, Contacts.Read",
    "app, Contacts.ReadWrite",
    "app, User.Read.All",
    "admin",
];

/// The answer to each caller in the order of `CALLERS`: `+` served, `1` 401, `3` 403, `4` 404 as if there were no such user.
const TOKEN: &str = "1111++4++4+++++++";
const READ: &str = "1111++4++4+++3+";
const WRITE: &str = "11113+43+433+3+";
const USERS: &str = "1111333333333++";
const SEE_SHARES: &str = "1111++43343++3+";
const SHARE: &str = "11113343343333+";
const UNSHARE: &str = "11113+43343333+";
/// Calls without a mailbox: subscriptions belong to their creator, and each step of a batch has its own right.
const READERS: &str = "1111+++++++++3+";
const ANYBODY: &str = "1111+++++++++++";

/// Every call of docs/graph.md that needs a token.
const ROUTES: [(&str, &str); 71] = [
    ("GET …/contacts", READ),
    ("POST …/contacts", WRITE),
    ("POST …/contacts/$ref", WRITE),
    ("GET …/contacts/$ref", READ),
    ("GET …/contacts/$count", READ),
    ("GET …/contacts/delta", READ),
    ("POST …/contacts/$import", WRITE),
    ("GET …/contacts/$export", READ),
    ("GET …/contacts/{id}", READ),
    ("PATCH …/contacts/{id}", WRITE),
    ("DELETE …/contacts/{id}", WRITE),
    ("POST …/contacts/{id}/permanentDelete", WRITE),
    ("GET …/F/contacts", READ),
    ("POST …/F/contacts", WRITE),
    ("GET …/F/contacts/$ref", READ),
    ("POST …/F/contacts/$ref", WRITE),
    ("GET …/F/contacts/$count", READ),
    ("GET …/F/contacts/delta", READ),
    ("POST …/F/contacts/$import", WRITE),
    ("GET …/F/contacts/$export", READ),
    ("GET …/F/contacts/{id}", READ),
    ("PATCH …/F/contacts/{id}", WRITE),
    ("DELETE …/F/contacts/{id}", WRITE),
    ("GET …/contactFolders", READ),
    ("POST …/contactFolders", WRITE),
    ("GET …/contactFolders/$count", READ),
    ("GET …/contactFolders/delta", READ),
    ("GET …/F", READ),
    ("PATCH …/F", WRITE),
    ("DELETE …/F", WRITE),
    ("GET …/F/childFolders", READ),
    ("POST …/F/childFolders", WRITE),
    ("GET …/F/childFolders/$count", READ),
    ("POST …/F/permanentDelete", WRITE),
    ("POST …/F/contacts/{id}/permanentDelete", WRITE),
    ("GET …/contacts/{id}/photo", READ),
    ("DELETE …/contacts/{id}/photo", WRITE),
    ("GET …/contacts/{id}/photo/$value", READ),
    ("PUT …/contacts/{id}/photo/$value", WRITE),
    ("PATCH …/contacts/{id}/photo/$value", WRITE),
    ("DELETE …/contacts/{id}/photo/$value", WRITE),
    ("GET …/F/contacts/{id}/photo", READ),
    ("GET …/F/contacts/{id}/photo/$value", READ),
    ("PUT …/F/contacts/{id}/photo/$value", WRITE),
    ("PATCH …/F/contacts/{id}/photo/$value", WRITE),
    ("DELETE …/F/contacts/{id}/photo", WRITE),
    ("DELETE …/F/contacts/{id}/photo/$value", WRITE),
    ("GET …/contacts/{id}/extensions", READ),
    ("POST …/contacts/{id}/extensions", WRITE),
    ("GET …/contacts/{id}/extensions/{name}", READ),
    ("PATCH …/contacts/{id}/extensions/{name}", WRITE),
    ("DELETE …/contacts/{id}/extensions/{name}", WRITE),
    ("GET …/F/contacts/{id}/extensions", READ),
    ("POST …/F/contacts/{id}/extensions", WRITE),
    ("GET …/F/contacts/{id}/extensions/{name}", READ),
    ("PATCH …/F/contacts/{id}/extensions/{name}", WRITE),
    ("DELETE …/F/contacts/{id}/extensions/{name}", WRITE),
    ("GET …/deletedContacts", READ),
    ("GET …/deletedContacts/$count", READ),
    ("GET …/deletedContacts/{id}", READ),
    ("DELETE …/deletedContacts/{id}", WRITE),
    ("POST …/deletedContacts/{id}/restore", WRITE),
    ("GET …", TOKEN),
    ("GET /users", USERS),
    ("GET /users/$count", USERS),
    ("GET …/outlook/masterCategories", READ),
    ("POST …/outlook/masterCategories", WRITE),
    ("GET …/outlook/masterCategories/$count", READ),
    ("GET …/outlook/masterCategories/{category}", READ),
    ("PATCH …/outlook/masterCategories/{category}", WRITE),
    ("DELETE …/outlook/masterCategories/{category}", WRITE),
];
const MORE_ROUTES: [(&str, &str); 15] = [
    ("POST …/translateExchangeIds", TOKEN),
    ("GET …/contactPermissions", SEE_SHARES),
    ("POST …/contactPermissions", SHARE),
    ("GET …/contactPermissions/{grantee}", SEE_SHARES),
    ("PATCH …/contactPermissions/{grantee}", SHARE),
    ("DELETE …/contactPermissions/{grantee}", UNSHARE),
    ("POST /$batch", ANYBODY),
    ("GET /subscriptions", READERS),
    ("POST /subscriptions", READERS),
    ("GET /subscriptions/{subscription}", READERS),
    ("PATCH /subscriptions/{subscription}", READERS),
    ("DELETE /subscriptions/{subscription}", READERS),
    ("POST /subscriptions/{subscription}/reauthorize", READERS),
    ("GET /subscriptions/{subscription}/deliveries", READERS),
    ("GET /healthz", OPEN),
];
/// Calls that need no token.
const OPEN: &str = "+++++++++++++++";

#[test]
fn every_route_is_open_to_those_it_should_be_and_to_nobody_else() {
    let app = app();
    let mut secrets = app.beside(async |store| {
        let ann = user(store, "ann").await;
        for (id, can_write) in [("bob", None), ("carl", Some(false)), ("dora", Some(true)), ("erik", Some(true))] {
            let with = user(store, id).await;
            if let Some(can_write) = can_write {
                store.share(ann.mailbox, with, can_write).await.unwrap();
            }
        }
        let mut secrets = vec![String::new()];
        secrets.push(token(store, "ann", SHARED, Some(1)).await.1);
        let (revoked, secret) = token(store, "ann", SHARED, None).await;
        secrets.push(secret);
        store.revoke_token(revoked.id).await.unwrap();
        secrets.push(secret_of(store, "erik", SHARED).await);
        store.disable_user(&name("erik"), true).await.unwrap();
        for (bearer, scopes) in [
            ("ann", "Contacts.Read"),
            ("ann", "Contacts.ReadWrite"),
            ("bob", SHARED),
            ("carl", SHARED),
            ("dora", SHARED),
            ("dora", "Contacts.ReadWrite"),
            ("dora", "Contacts.Read.Shared"),
            ("app:reader", "Contacts.Read"),
            ("app:sync", "Contacts.ReadWrite"),
            ("app:directory", "User.Read.All"),
            ("app:admin", ADMIN),
        ] {
            secrets.push(secret_of(store, bearer, scopes).await);
        }
        secrets
    });
    let callers: Vec<_> = secrets.drain(..).map(|secret| app.user(&secret)).collect();
    assert_eq!(callers.len(), CALLERS.len());
    let objects = checklist::TestObjects::make(&callers[5]);
    let written = || app.sql("select seq from mailboxes order by id") + &app.sql("select count(*) from shares");
    let before = written();
    let (mut failures, mut asserted) = (Vec::new(), 0);
    for (route, expected) in ROUTES.iter().chain(&MORE_ROUTES) {
        let (method, path) = route.split_once(' ').unwrap();
        for spelled in objects.spelled_for(path, "/users/ann") {
            for ((caller, client), expected) in CALLERS.iter().zip(&callers).zip(expected.chars()) {
                let answer = checklist::send(client, method, &spelled.replace("{grantee}", "zoe"));
                // An answer for an unknown object counts as served too: it is refused for another reason than the caller's rights.
                if mark(&answer) != expected {
                    failures.push(format!("{caller}: {method} {spelled}: {}, not {expected}", answer.status));
                }
                asserted += 1;
            }
        }
    }
    assert!(failures.is_empty(), "{} of {asserted} are wrong:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(written(), before, "nothing was changed");
}

#[test]
fn every_route_that_is_offered_has_its_row() {
    let rows: BTreeSet<_> = ROUTES.iter().chain(&MORE_ROUTES).map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(rows.len(), ROUTES.len() + MORE_ROUTES.len());
    let mut offered = BTreeSet::new();
    for (method, path) in checklist::served_calls() {
        // These calls show no user's data.
        if !["/", "/$metadata", "/openapi.json"].contains(&path.as_str()) {
            offered.insert(format!(
                "{method} {}",
                path.replace("contactPermissions/{id}", "contactPermissions/{grantee}")
            ));
        }
    }
    assert_eq!(rows, offered);
    // No path is undocumented: each path pattern is a string in the source.
    let source = include_str!("../../../src/odata/address/mod.rs");
    let patterns = source.split("pub fn pattern(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let patterns = patterns.split('"').skip(1).step_by(2).filter(|pattern| pattern.starts_with('/'));
    let known: BTreeSet<_> = rows
        .iter()
        .map(|row| {
            let path = row.split_once(' ').unwrap().1.replace('…', "/me").replace("/F", "/contactFolders/f");
            Address::parse(&path.replace(['{', '}'], "")).unwrap().pattern()
        })
        .collect();
    // The last path has no method; the others need no token.
    let others = ["/", "/$metadata", "/openapi.json", "/{user}/contacts/{id}/$ref"];
    let unknown: Vec<_> = patterns.filter(|pattern| !known.contains(pattern) && !others.contains(pattern)).collect();
    assert!(unknown.is_empty() && known.len() > 25, "{unknown:?}");
}

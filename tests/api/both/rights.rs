//! What each kind of caller may do with each route, and that it ends at once when it is taken away.

use std::collections::BTreeSet;

use contactd::http::access::Access;
use contactd::odata::address::Address;
use contactd::scopes::Scopes;
use contactd::secret;
use contactd::store::{NewToken, Store, Token};
use contactd::user::{Principal, User, UserName};
use serde_json::json;

use super::checklist;
use super::pictures::gif;
use super::subscriptions::subscribe;
use crate::app::{Answer, Client, Setup, TestApp};
use crate::receiver::{Receiver, until};

/// A server that knows nobody but whom its database does.
fn app() -> TestApp {
    TestApp::with(Setup { access: Some(Access::stored()), ..Setup::default() })
}

fn name(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

async fn user(store: &Store, id: &str) -> User {
    store.add_user(&name(id), None).await.unwrap().unwrap()
}

/// A token of NAME or app:NAME, and its secret.
async fn token(store: &Store, bearer: &str, scopes: &str, expires: Option<i64>) -> (Token, String) {
    let bearer = Principal::parse(bearer).unwrap();
    let secret = secret::token().unwrap();
    let scopes = Scopes::parse(scopes, matches!(bearer, Principal::App(_))).unwrap();
    let digest = secret::hex(&secret::digest(&secret));
    (store.make_token(NewToken { bearer, digest, name: None, scopes, expires }).await.unwrap(), secret)
}

async fn secret_of(store: &Store, bearer: &str, scopes: &str) -> String {
    token(store, bearer, scopes, None).await.1
}

const SHARED: &str = "Contacts.ReadWrite.Shared";
const ADMIN: &str = "Contacts.ReadWrite User.ReadWrite.All";

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

/// Who may what: `+` it is served, `1` 401, `3` 403, `4` 404 as if there were no such user, in the order of `CALLERS`.
const TOKEN: &str = "1111++4++4+++++++";
const READ: &str = "1111++4++4+++3+";
const WRITE: &str = "11113+43+433+3+";
const USERS: &str = "1111333333333++";
const SEE_SHARES: &str = "1111++43343++3+";
const SHARE: &str = "11113343343333+";
const UNSHARE: &str = "11113+43343333+";
/// What is of no mailbox: subscriptions are their makers', and each step of a batch has its own right.
const READERS: &str = "1111+++++++++3+";
const ANYBODY: &str = "1111+++++++++++";

/// Every call of docs/graph.md that needs a token.
const ROUTES: [(&str, &str); 67] = [
    ("GET …/contacts", READ),
    ("POST …/contacts", WRITE),
    ("POST …/contacts/$ref", WRITE),
    ("GET …/contacts/$ref", READ),
    ("GET …/contacts/$count", READ),
    ("GET …/contacts/delta", READ),
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
/// What needs no token.
const OPEN: &str = "+++++++++++++++";

/// One mark for how an answer tells of rights.
fn mark(answer: &Answer) -> char {
    match (answer.status, if answer.status < 400 { String::new() } else { answer.error().1 }.as_str()) {
        (401, _) => '1',
        (403, "ErrorAccessDenied") => '3',
        (404, "Request_ResourceNotFound") => '4',
        (405 | 500.., _) => '?',
        _ => '+',
    }
}

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
    let things = checklist::Things::make(&callers[5]);
    let written = || app.sql("select seq from mailboxes order by id") + &app.sql("select count(*) from shares");
    let before = written();
    let (mut wrong, mut asserted) = (Vec::new(), 0);
    for (route, expected) in ROUTES.iter().chain(&MORE_ROUTES) {
        let (method, path) = route.split_once(' ').unwrap();
        for spelled in things.spelled_for(path, "/users/ann") {
            for ((caller, client), expected) in CALLERS.iter().zip(&callers).zip(expected.chars()) {
                let answer = checklist::send(client, method, &spelled.replace("{grantee}", "zoe"));
                // A row that is not there is served as well: what it is about is unknown or refused for other reasons.
                if mark(&answer) != expected {
                    wrong.push(format!("{caller}: {method} {spelled}: {}, not {expected}", answer.status));
                }
                asserted += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asserted} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(written(), before, "nothing was changed");
}

#[test]
fn every_route_that_is_offered_has_its_row() {
    let rows: BTreeSet<_> = ROUTES.iter().chain(&MORE_ROUTES).map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(rows.len(), ROUTES.len() + MORE_ROUTES.len());
    let mut offered = BTreeSet::new();
    for (method, path) in checklist::served_calls() {
        // Both show nothing of anybody's.
        if path != "/" && path != "/$metadata" {
            offered.insert(format!(
                "{method} {}",
                path.replace("contactPermissions/{id}", "contactPermissions/{grantee}")
            ));
        }
    }
    assert_eq!(rows, offered);
    // Nor is there a path that the documentation does not know: each shape of one stands as a text in the source.
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
    // Both need no token; and nothing is offered at the third.
    let others = ["/", "/$metadata", "/{user}/contacts/{id}/$ref"];
    let unknown: Vec<_> = patterns.filter(|pattern| !known.contains(pattern) && !others.contains(pattern)).collect();
    assert!(unknown.is_empty() && known.len() > 25, "{unknown:?}");
}

#[test]
fn what_is_permitted_is_done_and_what_is_not_changes_nothing() {
    let app = app();
    let (ann, ann_reads, carl, dora, admin) = app.beside(async |store| {
        let owner = user(store, "ann").await;
        for (id, can_write) in [("carl", false), ("dora", true)] {
            let with = user(store, id).await;
            store.share(owner.mailbox, with, can_write).await.unwrap();
        }
        let secret = async |bearer, scopes| app.user(&secret_of(store, bearer, scopes).await);
        (
            secret("ann", "Contacts.ReadWrite").await,
            secret("ann", "Contacts.Read").await,
            secret("carl", SHARED).await,
            secret("dora", SHARED).await,
            secret("app:admin", ADMIN).await,
        )
    });
    // Whoever may write does, by every way to create.
    let made = dora.post("/users/ann/contacts", json!({"title": "by dora"}));
    let id = made.id();
    assert_eq!(made.json(201)["title"], "by dora");
    assert_eq!(made.header("location"), format!("http://{}/users('ann')/contacts('{id}')", app.address));
    let keyed = dora.with("Idempotency-Key", "k");
    assert_eq!(keyed.post("/users/ann/contacts/$ref", "{}").id(), keyed.post("/users/ann/contacts/$ref", "{}").id());
    let path = format!("/users/ann/contacts/{id}");
    assert_eq!(dora.patch(&path, json!({"title": "again"})).json(200)["title"], "again");
    assert_eq!(carl.get(&path).json(200)["title"], "again");
    assert_eq!(ann.get(&format!("/me/contacts/{id}")).json(200)["title"], "again");
    assert_eq!(carl.get("/users/ann@LOCALHOST/contacts/$count").body, b"2");
    // Their own mailbox is another.
    assert_eq!(dora.get("/me/contacts/$count").body, b"0");
    assert_eq!(dora.get(&format!("/me/contacts/{id}")).error().1, "ErrorItemNotFound");

    let before = app.sql("select mailbox, seq, folder_id from changes order by seq");
    let step = |id: &str, method: &str, url: &str| json!({"id": id, "method": method, "url": url, "headers": {"Content-Type": "application/json"}, "body": {}});
    for client in [&carl, &ann_reads] {
        for (method, path) in [
            ("POST", "/users/ann/contacts"),
            ("POST", "/users/ann/contacts/$ref"),
            ("POST", "/users/ann/contactFolders/contacts/contacts"),
            ("PATCH", path.as_str()),
            ("DELETE", path.as_str()),
            ("PUT", &format!("{path}/photo/$value")),
            ("POST", "/users/ann/contactFolders"),
            ("POST", &format!("{path}/permanentDelete")),
        ] {
            let body = (method != "DELETE").then(|| gif(1, 1, 10, 0));
            assert_eq!(client.send(method, path, body).error().1, "ErrorAccessDenied", "{method} {path}");
        }
        // Nor in a batch, whose steps have the rights of whoever sent it.
        let steps = [step("1", "POST", "/users/ann/contacts"), step("2", "GET", "/users/ann/contacts/$count")];
        let answers = client.post("/$batch", json!({"requests": steps})).json(200);
        let status: Vec<_> = answers["responses"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
        assert_eq!(status, [403, 200]);
    }
    assert_eq!(app.sql("select mailbox, seq, folder_id from changes order by seq"), before);

    // Who shares what, over the API.
    let shared = admin
        .post("/users/carl/contactPermissions", json!({"emailAddress": {"address": "ANN@localhost"}, "role": "write"}));
    let expected = json!({
        "@odata.context": format!("http://{}/$metadata#users('carl')/contactPermissions/$entity", app.address),
        "id": "ann", "role": "write", "emailAddress": {"name": "ann", "address": "ann@localhost"}});
    assert_eq!(shared.json(201), expected);
    assert_eq!(carl.get("/me/contactPermissions/ann").json(200), expected);
    assert_eq!(carl.get("/me/contactPermissions").json(200)["value"][0]["id"], "ann");
    let patched = admin.patch("/users/carl/contactPermissions/ann", json!({"role": "read"}));
    assert_eq!(patched.json(200)["role"], "read");
    carl.delete("/me/contactPermissions/ann").empty(204);
    assert_eq!(carl.delete("/me/contactPermissions/ann").error().1, "ErrorItemNotFound");
    for (body, code, target) in [
        (json!({"role": "write"}), "RequestBodyRead", "emailAddress/address"),
        (json!({"emailAddress": {"address": "ann"}}), "RequestBodyRead", "role"),
        (json!({"emailAddress": {"address": "ann"}, "role": "own"}), "RequestBodyRead", "role"),
        (json!({"emailAddress": {"address": "carl"}, "role": "read"}), "ErrorInvalidRequest", "emailAddress/address"),
        (json!({"grantee": "ann"}), "RequestBodyRead", "grantee"),
    ] {
        let answer = admin.post("/users/carl/contactPermissions", &body);
        assert_eq!(answer.error(), (400, code.into(), target.into()), "{body}");
    }
    let nobody = json!({"emailAddress": {"address": "nobody"}, "role": "read"});
    assert_eq!(admin.post("/users/carl/contactPermissions", nobody).error().1, "Request_ResourceNotFound");
}

/// One of ann's tokens, and something to take it back with.
struct Guest {
    app: TestApp,
    ann: Client,
    dora: Client,
    token: Token,
    contact: String,
}

fn guest() -> Guest {
    let app = app();
    let (ann, dora, token) = app.beside(async |store| {
        let (owner, with) = (user(store, "ann").await, user(store, "dora").await);
        store.share(owner.mailbox, with, true).await.unwrap();
        let (token, dora) = token(store, "dora", SHARED, None).await;
        (app.user(&secret_of(store, "ann", "Contacts.ReadWrite").await), app.user(&dora), token)
    });
    let contact = ann.post("/me/contacts", "{}").id();
    let photo = ann.send("PUT", &format!("/me/contacts/{contact}/photo/$value"), Some(gif(1, 1, 100, 0)));
    assert_eq!(photo.status, 200);
    Guest { app, ann, dora, token, contact }
}

impl Guest {
    /// How every way in answers.
    fn tries(&self, delta: &str) -> Vec<char> {
        let photo = format!("/users/ann/contacts/{}/photo/$value", self.contact);
        let answers = [
            self.dora.get("/users/ann/contacts"),
            self.dora.get(&photo),
            self.dora.get(delta),
            self.dora.get("/users/ann"),
            self.dora.post("/users/ann/contacts", "{}"),
            self.dora.with("Idempotency-Key", "k").post("/users/ann/contacts", "{}"),
            self.dora.patch(&format!("/users/ann/contacts/{}", self.contact), json!({"title": "x"})),
        ];
        answers.iter().map(mark).collect()
    }

    fn delta(&self) -> String {
        let round = self.dora.get("/users/ann/contacts/delta").json(200);
        round["@odata.deltaLink"].as_str().unwrap().to_owned()
    }
}

#[test]
fn what_is_taken_back_is_so_at_once() {
    for (taken, expected) in [("share", "4444444"), ("token", "1111111"), ("user", "1111111"), ("write", "++++333")] {
        let guest = guest();
        let delta = guest.delta();
        assert_eq!(guest.tries(&delta), vec!['+'; 7]);
        let before = guest.app.sql("select count(*) from changes");
        let id = guest.token.id;
        guest.app.beside(async |store| {
            let (ann, dora) = (store.find_user(&name("ann")).await.unwrap().unwrap(), name("dora"));
            let grantee = store.find_user(&dora).await.unwrap().unwrap();
            match taken {
                "share" => store.unshare(ann.mailbox, grantee).await.unwrap(),
                "write" => drop(store.share(ann.mailbox, grantee, false).await.unwrap()),
                "token" => drop(store.revoke_token(id).await.unwrap()),
                _ => drop(store.disable_user(&dora, true).await.unwrap()),
            }
        });
        assert_eq!(guest.tries(&delta), expected.chars().collect::<Vec<_>>(), "{taken}");
        assert_eq!(guest.app.sql("select count(*) from changes"), before, "{taken}");
        assert_eq!(guest.ann.get("/me/contacts").status, 200);
    }
}

#[test]
fn a_subscription_ends_with_the_right_to_see_what_it_tells_of() {
    for taken in ["share", "token", "user"] {
        let guest = guest();
        let app = guest.app.restarted_with(Setup {
            access: Some(Access::stored()),
            notify: contactd::notify::Settings {
                allowed: vec!["127.0.0.1".parse().unwrap()],
                ..contactd::notify::Settings::default()
            },
            ..Setup::default()
        });
        let (ann, dora) = (guest.ann.at(&app.address), guest.dora.at(&app.address));
        let receiver = Receiver::new();
        let id = subscribe(&dora, "users/ann/contacts", &receiver.url("/"));
        ann.post("/me/contacts", "{}");
        receiver.wait("/", 1);
        let token = guest.token.id;
        app.beside(async |store| {
            let ann = store.find_user(&name("ann")).await.unwrap().unwrap();
            let dora = store.find_user(&name("dora")).await.unwrap().unwrap();
            match taken {
                "share" => store.unshare(ann.mailbox, dora).await.unwrap(),
                "token" => drop(store.revoke_token(token).await.unwrap()),
                _ => drop(store.disable_user(&name("dora"), true).await.unwrap()),
            }
        });
        until(|| app.sql("select count(*) from subscriptions") == "0");
        ann.post("/me/contacts", "{}");
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(receiver.notifications("/").len(), 1, "{taken}: {id}");
    }
}

#[test]
fn a_removed_user_leaves_nothing_and_the_name_may_begin_anew() {
    let guest = guest();
    let app = guest.app;
    guest.ann.post("/me/contactFolders", json!({"displayName": "F"})).json(201);
    guest.ann.post("/me/outlook/masterCategories", json!({"displayName": "C"})).json(201);
    let extension = json!({"extensionName": "a", "n": 1});
    guest.ann.post(&format!("/me/contacts/{}/extensions", guest.contact), extension).json(201);
    let properties = json!({"singleValueExtendedProperties": [{"id": "String 0x1", "value": "x"}],
                            "multiValueExtendedProperties": [{"id": "StringArray 0x1", "value": ["x"]}]});
    for path in [format!("/me/contacts/{}", guest.contact), "/me/contactFolders/contacts".to_owned()] {
        guest.ann.patch(&path, &properties).json(200);
    }
    app.beside(async |store| store.remove_user(&name("ann")).await.unwrap());
    assert_eq!(guest.ann.get("/me/contacts").error().0, 401);
    assert_eq!(guest.ann.post("/me/contacts", "{}").error().0, 401);
    assert_eq!(guest.dora.get("/users/ann/contacts").error().1, "Request_ResourceNotFound");
    for table in [
        "contacts",
        "photos",
        "master_categories",
        "extension_members",
        "extension_writes",
        "single_values",
        "multi_values",
        "folder_single_values",
        "folder_multi_values",
        "shares",
        "emails",
        "changes where folder_id <> 'contacts' or contact_id is not null",
    ] {
        assert_eq!(app.count(&format!("select count(*) from {table}")), 0, "{table}");
    }
    assert_eq!(app.sql("select id from users"), "dora");
    let again = app.beside(async |store| {
        user(store, "ann").await;
        app.user(&secret_of(store, "ann", "Contacts.ReadWrite").await)
    });
    assert_eq!(again.get("/me/contacts/$count").body, b"0");
    assert_eq!(again.post("/me/contacts", "{}").status, 201);
    assert_eq!(
        guest.dora.get("/users/ann/contacts").error().1,
        "Request_ResourceNotFound",
        "the old share is not of the new user"
    );
}

#[test]
fn creates_that_share_a_statement_have_each_its_own_right() {
    let app = app();
    let (good, revoked) = app.beside(async |store| {
        user(store, "ann").await;
        let (token, secret) = token(store, "ann", "Contacts.ReadWrite", None).await;
        let revoked = app.user(&secret);
        assert_eq!(revoked.post("/me/contacts", "{}").status, 201);
        store.revoke_token(token.id).await.unwrap();
        (app.user(&secret_of(store, "ann", "Contacts.ReadWrite").await), revoked)
    });
    std::thread::scope(|scope| {
        for i in 0..8 {
            let (client, status) = if i % 2 == 0 { (&good, 201) } else { (&revoked, 401) };
            scope.spawn(move || {
                for _ in 0..25 {
                    assert_eq!(client.post("/me/contacts", json!({"parentFolderId": "f"})).status, status);
                }
            });
        }
    });
    assert_eq!(app.count("select count(*) from contacts"), 101);
    // Each that was done is in the audit log, once.
    let creates = "from audit where action = 'POST /{user}/contacts'";
    assert_eq!(app.count(&format!("select count(*) {creates}")), 101);
    assert_eq!(
        app.count(&format!("select count(distinct item) {creates} and actor = 'ann' and address = '127.0.0.1'")),
        101
    );
}

#[test]
fn the_audit_log_tells_who_did_what_to_which_and_from_where() {
    let guest = guest();
    let id = &guest.contact;
    let made = guest.dora.post("/users/ann/contacts/$ref", "{}");
    let changed = guest.dora.patch(&format!("/users/ann/contacts/{id}"), json!({"title": "x"}));
    assert_eq!(guest.dora.with("If-Match", "\"no\"").delete(&format!("/users/ann/contacts/{id}")).status, 412);
    let folder = guest.ann.post("/me/contactFolders", json!({"displayName": "F"})).id();
    guest.ann.delete(&format!("/me/contactFolders/{folder}")).empty(204);
    let token = guest.token.id.to_string();
    let deeds = guest.app.beside(async |store| store.deeds(&contactd::store::Deeds::default(), 100).await.unwrap());
    let told: Vec<_> = deeds
        .iter()
        .filter(|deed| deed.actor != "operator")
        .map(|deed| {
            assert_eq!(deed.address.as_deref(), Some("127.0.0.1"));
            assert_eq!(deed.mailbox.as_deref(), Some("ann"));
            (deed.actor.as_str(), deed.action.as_str(), deed.item.clone().unwrap(), deed.request.unwrap().to_string())
        })
        .collect();
    assert_eq!(told[0].0, "ann");
    assert_eq!((told[1].1, &told[1].2), ("PUT /{user}/contacts/{id}/photo/$value", id));
    assert_eq!(told[2], ("dora", "POST /{user}/contacts/$ref", made.id(), made.header("request-id")));
    assert_eq!(told[3], ("dora", "PATCH /{user}/contacts/{id}", id.clone(), changed.header("request-id")));
    let rest: Vec<_> = told[4..].iter().map(|(actor, action, item, _)| (*actor, *action, item.clone())).collect();
    assert_eq!(
        rest,
        [("ann", "POST /{user}/contactFolders", folder.clone()), ("ann", "DELETE /{user}/contactFolders/{id}", folder),]
    );
    let by_dora = deeds.iter().filter(|deed| deed.actor == "dora");
    assert!(by_dora.map(|deed| deed.token.unwrap().to_string()).all(|id| id == token));
    assert_eq!(deeds.iter().filter(|deed| deed.actor == "operator" && deed.action == "token create").count(), 2);
}

#[test]
fn a_token_is_stored_as_its_digest_alone_and_its_use_is_known() {
    let app = app();
    let (token, secret) = app.beside(async |store| {
        user(store, "ann").await;
        token(store, "ann", "Contacts.Read", None).await
    });
    assert_eq!(token.last_used, None);
    assert_eq!(app.user(&secret).get("/me").json(200)["id"], "ann");
    until(|| app.count("select count(*) from tokens where last_used_date_time > 0") == 1);
    let texts =
        app.sql("select digest, name, scopes, app from tokens") + &app.sql("select actor, action, item from audit");
    assert!(!texts.contains(&secret["contactd_".len()..]), "{texts}");
    assert!(texts.contains(&secret::hex(&secret::digest(&secret))));
    assert_eq!(app.user(&secret.to_uppercase()).get("/me").status, 401);
    assert_eq!(app.user(&secret[..secret.len() - 1]).get("/me").status, 401);
}

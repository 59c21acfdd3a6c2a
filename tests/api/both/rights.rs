//! The rights of each kind of caller on each route, and that a revoked right ends at once.

use contactd::domain::scopes::Scopes;
use contactd::domain::secret;
use contactd::domain::user::{Principal, User, UserName};
use contactd::http::authenticate::Access;
use contactd::store::{NewToken, Store, Token};
use serde_json::json;

use super::pictures::gif;
use super::subscriptions::subscribe;
use crate::app::{Answer, Client, Setup, TestApp};
use crate::receiver::{Receiver, until};

/// A server that knows only the users of its database.
pub(super) fn app() -> TestApp {
    TestApp::with(Setup { access: Some(Access::stored()), ..Setup::default() })
}

pub(super) fn name(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

pub(super) async fn user(store: &Store, id: &str) -> User {
    store.add_user(&name(id), None).await.unwrap().unwrap()
}

/// A token of NAME or app:NAME, and its secret.
pub(super) async fn token(store: &Store, bearer: &str, scopes: &str, expires: Option<i64>) -> (Token, String) {
    let bearer = Principal::parse(bearer).unwrap();
    let secret = secret::token().unwrap();
    let scopes = Scopes::parse(scopes, matches!(bearer, Principal::App(_))).unwrap();
    let digest = secret::hex(&secret::digest(&secret));
    (store.create_token(NewToken { bearer, digest, name: None, scopes, expires }).await.unwrap(), secret)
}

pub(super) async fn secret_of(store: &Store, bearer: &str, scopes: &str) -> String {
    token(store, bearer, scopes, None).await.1
}

pub(super) const SHARED: &str = "Contacts.ReadWrite.Shared";
pub(super) const ADMIN: &str = "Contacts.ReadWrite User.ReadWrite.All";

/// One mark for each kind of answer.
pub(super) fn mark(answer: &Answer) -> char {
    match (answer.status, if answer.status < 400 { String::new() } else { answer.error().1 }.as_str()) {
        (401, _) => '1',
        (403, "ErrorAccessDenied") => '3',
        (404, "Request_ResourceNotFound") => '4',
        (405 | 500.., _) => '?',
        _ => '+',
    }
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
    // A caller who may write can use every way to create.
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
    // The caller's own mailbox is not affected.
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
        // A batch has the rights of its sender.
        let steps = [step("1", "POST", "/users/ann/contacts"), step("2", "GET", "/users/ann/contacts/$count")];
        let answers = client.post("/$batch", json!({"requests": steps})).json(200);
        let status: Vec<_> = answers["responses"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
        assert_eq!(status, [403, 200]);
    }
    assert_eq!(app.sql("select mailbox, seq, folder_id from changes order by seq"), before);

    // Shares over the API.
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
    let unknown_grantee = json!({"emailAddress": {"address": "nobody"}, "role": "read"});
    assert_eq!(admin.post("/users/carl/contactPermissions", unknown_grantee).error().1, "Request_ResourceNotFound");
}

/// One of ann's tokens, and a way to revoke it.
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
    /// The results of every kind of call.
    fn try_all(&self, delta: &str) -> Vec<char> {
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
        assert_eq!(guest.try_all(&delta), vec!['+'; 7]);
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
        assert_eq!(guest.try_all(&delta), expected.chars().collect::<Vec<_>>(), "{taken}");
        assert_eq!(guest.app.sql("select count(*) from changes"), before, "{taken}");
        assert_eq!(guest.ann.get("/me/contacts").status, 200);
    }
}

#[test]
fn a_patch_does_not_restore_a_revoked_share() {
    let guest = guest();
    guest.app.beside(async |store| {
        let ann = store.find_user(&name("ann")).await.unwrap().unwrap();
        let dora = store.find_user(&name("dora")).await.unwrap().unwrap();
        let changed = store.change_share(ann.mailbox, dora.clone(), false).await.unwrap();
        assert!(!changed.can_write && changed == store.shares(ann.mailbox).await.unwrap()[0]);
        store.unshare(ann.mailbox, dora.clone()).await.unwrap();
        // As in a request that read the share before, and writes after the change.
        let late = store.change_share(ann.mailbox, dora, true).await;
        assert!(matches!(late, Err(contactd::domain::error::Error::NotFound)));
    });
    assert_eq!(guest.dora.get("/users/ann/contacts").error().1, "Request_ResourceNotFound");
}

#[test]
fn a_subscription_ends_with_the_right_to_see_what_it_tells_of() {
    for taken in ["share", "token", "user"] {
        let guest = guest();
        let app = guest.app.restarted_with(Setup {
            access: Some(Access::stored()),
            notify: contactd::notify::NotifierSettings {
                allowed: vec!["127.0.0.1".parse().unwrap()],
                ..contactd::notify::NotifierSettings::default()
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
fn a_removed_user_leaves_no_data_and_the_name_can_be_reused() {
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
    let (valid, revoked) = app.beside(async |store| {
        user(store, "ann").await;
        let (token, secret) = token(store, "ann", "Contacts.ReadWrite", None).await;
        let revoked = app.user(&secret);
        assert_eq!(revoked.post("/me/contacts", "{}").status, 201);
        store.revoke_token(token.id).await.unwrap();
        (app.user(&secret_of(store, "ann", "Contacts.ReadWrite").await), revoked)
    });
    std::thread::scope(|scope| {
        for i in 0..8 {
            let (client, status) = if i % 2 == 0 { (&valid, 201) } else { (&revoked, 401) };
            scope.spawn(move || {
                for _ in 0..25 {
                    assert_eq!(client.post("/me/contacts", json!({"parentFolderId": "f"})).status, status);
                }
            });
        }
    });
    assert_eq!(app.count("select count(*) from contacts"), 101);
    // Each write is in the audit log, once.
    let creates = "from audit where action = 'POST /{user}/contacts'";
    assert_eq!(app.count(&format!("select count(*) {creates}")), 101);
    assert_eq!(
        app.count(&format!("select count(distinct item) {creates} and actor = 'ann' and address = '127.0.0.1'")),
        101
    );
}

#[test]
fn the_audit_log_records_actor_action_object_and_address() {
    let guest = guest();
    let id = &guest.contact;
    let made = guest.dora.post("/users/ann/contacts/$ref", "{}");
    let changed = guest.dora.patch(&format!("/users/ann/contacts/{id}"), json!({"title": "x"}));
    assert_eq!(guest.dora.with("If-Match", "\"no\"").delete(&format!("/users/ann/contacts/{id}")).status, 412);
    let folder = guest.ann.post("/me/contactFolders", json!({"displayName": "F"})).id();
    guest.ann.delete(&format!("/me/contactFolders/{folder}")).empty(204);
    let token = guest.token.id.to_string();
    let entries = guest
        .app
        .beside(async |store| store.audit_entries(&contactd::store::AuditQuery::default(), 100).await.unwrap());
    let actions: Vec<_> = entries
        .iter()
        .filter(|entry| entry.actor != "operator")
        .map(|entry| {
            assert_eq!(entry.address.as_deref(), Some("127.0.0.1"));
            assert_eq!(entry.mailbox.as_deref(), Some("ann"));
            (
                entry.actor.as_str(),
                entry.action.as_str(),
                entry.item.clone().unwrap(),
                entry.request.unwrap().to_string(),
            )
        })
        .collect();
    assert_eq!(actions[0].0, "ann");
    assert_eq!((actions[1].1, &actions[1].2), ("PUT /{user}/contacts/{id}/photo/$value", id));
    assert_eq!(actions[2], ("dora", "POST /{user}/contacts/$ref", made.id(), made.header("request-id")));
    assert_eq!(actions[3], ("dora", "PATCH /{user}/contacts/{id}", id.clone(), changed.header("request-id")));
    let rest: Vec<_> = actions[4..].iter().map(|(actor, action, item, _)| (*actor, *action, item.clone())).collect();
    assert_eq!(
        rest,
        [("ann", "POST /{user}/contactFolders", folder.clone()), ("ann", "DELETE /{user}/contactFolders/{id}", folder),]
    );
    let by_dora = entries.iter().filter(|entry| entry.actor == "dora");
    assert!(by_dora.map(|entry| entry.token.unwrap().to_string()).all(|id| id == token));
    assert_eq!(entries.iter().filter(|entry| entry.actor == "operator" && entry.action == "token create").count(), 2);
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

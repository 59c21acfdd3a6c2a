//! Tokens of an identity provider, a real one.

use std::time::Duration;

use contactd::domain::user::UserName;
use contactd::http::authenticate::Access;
use contactd::oidc::{KeyTimes, OidcSettings, Provider};
use serde_json::{Value, json};

use crate::app::{Client, Setup, TestApp};
use crate::identity::{AUDIENCE, IdentityProvider};

/// Keys are fetched again at once for an unknown key, and otherwise only when a test sets it.
pub(super) const TIMES: KeyTimes =
    KeyTimes { fresh: Duration::from_mins(5), stale: Duration::from_hours(1), pause: Duration::ZERO };

fn access_of(provider: &IdentityProvider, tokens: &str, times: KeyTimes) -> Access {
    access_with_claim(provider, tokens, None, times)
}

/// The same with a trusted claim of the provider.
pub(super) fn access_with_claim(
    provider: &IdentityProvider,
    tokens: &str,
    claim: Option<&str>,
    times: KeyTimes,
) -> Access {
    let (audiences, name_claim) = (vec!["another".to_owned(), AUDIENCE.to_owned()], claim.map(str::to_owned));
    let settings = OidcSettings { issuer: provider.issuer.clone(), audiences, name_claim, ca_file: None, times };
    let access = if tokens.is_empty() { Access::stored() } else { Access::tokens(tokens).unwrap() };
    access.with_provider(Provider::new(settings).unwrap())
}

fn app(provider: &IdentityProvider, tokens: &str) -> TestApp {
    TestApp::with(Setup { access: Some(access_of(provider, tokens, TIMES)), ..Setup::default() })
}

pub(super) fn titles(client: &Client, path: &str) -> Vec<Value> {
    let list = client.get(path).json(200);
    list["value"].as_array().unwrap().iter().map(|contact| contact["title"].clone()).collect()
}

pub(super) fn denied() -> (u16, String, String) {
    (403, "ErrorAccessDenied".into(), String::new())
}

fn unauthorized() -> (u16, String, String) {
    (401, "InvalidAuthenticationToken".into(), String::new())
}

#[test]
fn real_tokens_open_exactly_what_their_scopes_say() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let writes = app.user(&provider.user("ann", "Contacts.ReadWrite"));
    let id = writes.post("/me/contacts", json!({"title": "ann's"})).id();
    let path = format!("/me/contacts/{id}");

    let reads = app.user(&provider.user("ann", "Contacts.Read"));
    assert_eq!(titles(&reads, "/me/contacts"), ["ann's"]);
    for (method, path) in [
        ("POST", "/me/contacts"),
        ("POST", "/me/contacts/$ref"),
        ("PATCH", path.as_str()),
        ("DELETE", path.as_str()),
        ("POST", "/me/contactFolders"),
    ] {
        assert_eq!(reads.send(method, path, Some(b"{\"displayName\":\"x\"}".to_vec())).error(), denied(), "{path}");
    }
    let steps = json!({"requests": [
        {"id": "1", "method": "GET", "url": path},
        {"id": "2", "method": "DELETE", "url": path},
    ]});
    let answers = reads.post("/$batch", steps).json(200);
    let mut statuses: Vec<_> = answers["responses"].as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
    statuses.sort_by_key(Value::as_u64);
    assert_eq!(statuses, [200, 403]);
    assert_eq!(writes.patch(&path, json!({"title": "still"})).json(200)["title"], "still");

    // Scopes of other services permit nothing, and create no user.
    let stranger = app.user(&provider.user("bob", "offline_access"));
    for path in ["/me", "/me/contacts", "/users"] {
        assert_eq!(stranger.get(path).error(), denied(), "{path}");
    }
    let elsewhere = app.user(&provider.user_for("bob", "Contacts.ReadWrite", "api://elsewhere", "RS256"));
    assert_eq!(elsewhere.get("/me").error(), unauthorized());
    assert_eq!(app.count("select count(*) from users"), 1);

    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let bob = app.user(&provider.user_for("bob", "Contacts.Read", AUDIENCE, algorithm));
        assert_eq!(bob.get("/me").json(200)["displayName"], "bob of the provider", "{algorithm}");
        assert_eq!(titles(&bob, "/me/contacts"), [] as [Value; 0]);
        assert_eq!(bob.get(&path).error(), (404, "ErrorItemNotFound".into(), String::new()));
        assert_eq!(bob.get("/users/ann@example.org/contacts").error().0, 404);
    }
    assert_eq!(app.count("select count(*) from users"), 2);
}

#[test]
fn an_application_opens_the_mailboxes_that_its_roles_say() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let ann = app.user(&provider.user("ann", "Contacts.ReadWrite"));
    ann.post("/me/contacts", json!({"title": "ann's"}));
    let me = ann.get("/me").json(200);
    let id = me["id"].as_str().unwrap();
    let name = format!("{id}@identity");
    assert_eq!(me["userPrincipalName"], name.as_str());

    let reads = app.user(&provider.app(&["Contacts.Read"]));
    for user in [id, &name] {
        assert_eq!(titles(&reads, &format!("/users/{user}/contacts")), ["ann's"], "{user}");
        assert_eq!(reads.post(&format!("/users/{user}/contacts"), "{}").error(), denied());
    }
    assert_eq!(reads.get("/me/contacts").error().0, 400);
    assert_eq!(reads.get("/users").error(), denied());
    let all = app.user(&provider.app(&["Contacts.ReadWrite", "User.Read.All", "Mail.Send"]));
    assert_eq!(all.post(&format!("/users/{id}/contacts"), json!({"title": "its"})).status, 201);
    assert_eq!(all.get("/users/$count").body, b"1");
    let nothing = app.user(&provider.app(&["Mail.Send"]));
    assert_eq!(nothing.get(&format!("/users/{id}/contacts")).error(), denied());
    // It has no mailbox, and creates none.
    assert_eq!(app.count("select count(*) from users"), 1);
    assert_eq!(app.count("select count(*) from identities"), 1);
}

#[test]
fn a_user_is_who_the_issuer_says_and_never_who_has_the_name() {
    let mut provider = IdentityProvider::start();
    let mut other = IdentityProvider::start();
    let tokens = "ann@example.org=secret-a, zoe@example.org=secret-z";
    let app = app(&provider, tokens);
    let local = app.user("secret-a");
    local.post("/me/contacts", json!({"title": "of the local ann"}));
    let ann = app.user(&provider.user("ann", "Contacts.ReadWrite"));
    assert_eq!(titles(&ann, "/me/contacts"), [] as [Value; 0]);
    ann.post("/me/contacts", json!({"title": "of the provider's ann"}));
    // The operator has added her, and she has not signed in yet.
    let zoe = app.user(&provider.user("zoe", "Contacts.ReadWrite"));
    zoe.post("/me/contacts", json!({"title": "of the provider's zoe"}));
    assert_eq!(titles(&app.user("secret-z"), "/me/contacts"), [] as [Value; 0]);

    // The same names at another provider, which replaces the first one.
    let setup = Setup { access: Some(access_of(&other, tokens, TIMES)), ..Setup::default() };
    let app = app.restarted_with(setup);
    let third = app.user(&other.user("ann", "Contacts.ReadWrite"));
    assert_eq!(titles(&third, "/me/contacts"), [] as [Value; 0]);
    assert_eq!(app.user(&provider.user("ann", "Contacts.ReadWrite")).get("/me").error(), unauthorized());

    let setup = Setup { access: Some(access_of(&provider, tokens, TIMES)), ..Setup::default() };
    let app = app.restarted_with(setup);
    let ann = app.user(&provider.user("ann", "Contacts.Read"));
    assert_eq!(titles(&ann, "/me/contacts"), ["of the provider's ann"]);
    assert_eq!(titles(&app.user("secret-a"), "/me/contacts"), ["of the local ann"]);
    assert_eq!(app.count("select count(*) from users"), 5);
    assert_eq!(app.count("select count(distinct user_principal_name_key) from users"), 5);
}

#[test]
fn a_local_name_that_comes_later_does_not_open_an_identitys_mailbox() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let ann = app.user(&provider.user("ann", "Contacts.ReadWrite"));
    ann.post("/me/contacts", json!({"title": "hers"}));
    let id = ann.get("/me").json(200)["id"].as_str().unwrap().to_owned();
    let tokens = format!("ann@example.org=by-name,{id}=by-id,{id}@identity=by-principal-name,app:sync=sync");
    let setup = Setup { access: Some(access_of(&provider, &tokens, TIMES)), ..Setup::default() };
    let app = app.restarted_with(setup);
    // Although her token has the name, it belongs to a separate user.
    assert_eq!(titles(&app.user("by-name"), "/me/contacts"), [] as [Value; 0]);
    for secret in ["by-id", "by-principal-name"] {
        for path in ["/me", "/me/contacts"] {
            assert_eq!(app.user(secret).get(path).error(), denied(), "{secret}");
        }
        assert_eq!(app.user(secret).post("/me/contacts", "{}").error(), denied());
    }
    // An application still finds her.
    assert_eq!(titles(&app.user("sync"), &format!("/users/{id}/contacts")), ["hers"]);
    assert_eq!(titles(&app.user("sync"), "/users/ann@example.org/contacts"), [] as [Value; 0]);
    assert_eq!(titles(&app.user(&provider.user("ann", "Contacts.Read")), "/me/contacts"), ["hers"]);
    assert_eq!(app.count("select count(*) from users"), 2);
}

#[test]
fn a_trusted_name_with_any_characters_is_shown_and_finds_its_user() {
    let mut provider = IdentityProvider::start();
    let access = access_with_claim(&provider, "app:sync=sync", Some("preferred_username"), TIMES);
    let app = TestApp::with(Setup { access: Some(access), ..Setup::default() });
    let sync = app.user("sync");
    let long = "x".repeat(100);
    for (login, address) in [
        ("ann+work", "ann%2Bwork@example.org"),
        ("ann_x.org#EXT#", "ann_x.org%23EXT%23@example.org"),
        ("o'brien", "o''brien@example.org"),
        ("Zoë", "zo%C3%AB@example.org"),
        (&long, &format!("{long}@example.org")),
    ] {
        let user = app.user(&provider.user(login, "Contacts.ReadWrite"));
        let name = format!("{login}@example.org");
        let me = user.get("/me").json(200);
        assert_eq!((&me["userPrincipalName"], &me["mail"]), (&json!(name), &json!(name)));
        user.post("/me/contacts", json!({"title": login}));
        for path in [format!("/users('{address}')/contacts"), format!("/users/{}/contacts", me["id"].as_str().unwrap())]
        {
            assert_eq!(titles(&sync, &path), [login], "{path}");
            assert_eq!(titles(&user, &path), [login], "{path}");
        }
    }
}

#[test]
fn concurrent_first_requests_create_one_user() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let tokens: Vec<_> = (0..8).map(|_| provider.user("ann", "Contacts.ReadWrite")).collect();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let calls: Vec<_> = tokens.iter().map(|token| app.user(token)).collect();
        let threads: Vec<_> = calls.into_iter().map(|ann| scope.spawn(move || ann.get("/me").id())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(app.count("select count(*) from users"), 1);
    assert_eq!(app.count("select count(*) from folders"), 1);
}

#[test]
fn new_provider_keys_are_accepted_and_old_ones_expire() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let old = app.user(&provider.user("ann", "Contacts.Read"));
    assert_eq!(old.get("/me").status, 200);
    provider.rotate(true);
    let new = app.user(&provider.user("ann", "Contacts.Read"));
    assert_eq!(new.get("/me").json(200), old.get("/me").json(200));
    provider.rotate(false);
    let newest = app.user(&provider.user("ann", "Contacts.Read"));
    assert_eq!(newest.get("/me").status, 200);
    for withdrawn in [&old, &new] {
        assert_eq!(withdrawn.get("/me").error(), unauthorized());
    }
}

#[test]
fn cached_keys_are_used_while_the_provider_is_down() {
    let mut provider = IdentityProvider::start();
    let times = KeyTimes { fresh: Duration::ZERO, ..TIMES };
    let app = TestApp::with(Setup { access: Some(access_of(&provider, "", times)), ..Setup::default() });
    let (one, two) = (provider.user("ann", "Contacts.Read"), provider.user("bob", "Contacts.Read"));
    assert_eq!(app.user(&one).get("/me").status, 200);
    provider.stop();
    for token in [&one, &two] {
        assert_eq!(app.user(token).get("/me/contacts").status, 200);
    }
    // A server that has no cached keys cannot check tokens.
    let setup = Setup { access: Some(access_of(&provider, "ann=secret", times)), ..Setup::default() };
    let app = app.restarted_with(setup);
    let answer = app.user(&one).get("/me/contacts");
    assert_eq!(answer.error(), (503, "serviceNotAvailable".into(), String::new()));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(app.user("secret").get("/me").status, 200);
    provider.resume();
    // An earlier fetch may still be in progress.
    app.user(&one).get("/me/contacts");
    assert_eq!(app.user(&one).get("/me/contacts").status, 200);
}

#[test]
fn what_is_no_token_of_the_issuers_is_refused() {
    let mut provider = IdentityProvider::start();
    let mut other = IdentityProvider::start();
    let app = app(&provider, "");
    let token = provider.user("ann", "Contacts.ReadWrite");
    assert_eq!(app.user(&token).get("/me").status, 200);
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    // {"alg":"none"}
    let none = "eyJhbGciOiJub25lIn0";
    for bad in [
        other.user("ann", "Contacts.ReadWrite"),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}A"),
        format!("{header}.{}.{signature}", other.user("ann", "Contacts.Read").split('.').nth(1).unwrap()),
        format!("{header}.{claims}.{}", "A".repeat(20_000)),
        format!("{}.{claims}.{signature}", "W1tb".repeat(1_000)),
        "..".to_owned(),
        "a.b.c".to_owned(),
    ] {
        let answer = app.user(&bad).get("/me");
        assert_eq!(answer.error(), unauthorized(), "{bad}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(app.count("select count(*) from users"), 1);
}

#[test]
fn an_operator_disables_and_removes_users_of_the_provider() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let ann = app.user(&provider.user("ann", "Contacts.ReadWrite"));
    ann.post("/me/contacts", json!({"title": "hers"}));
    let me = ann.get("/me").json(200);
    let id = me["id"].as_str().unwrap();
    for called in [id.to_owned(), format!("{id}@identity")].map(|called| UserName::parse(&called).unwrap()) {
        app.beside(async |store| store.disable_user(&called, true).await.unwrap());
        assert_eq!(ann.get("/me/contacts").error(), unauthorized());
        // Another token of the same user is refused too.
        assert_eq!(app.user(&provider.user("ann", "Contacts.Read")).get("/me").error(), unauthorized());
        app.beside(async |store| store.disable_user(&called, false).await.unwrap());
        assert_eq!(titles(&ann, "/me/contacts"), ["hers"]);
    }
    let removed = UserName::parse(id).unwrap();
    app.beside(async |store| store.remove_user(&removed).await.unwrap());
    assert_eq!(titles(&ann, "/me/contacts"), [] as [Value; 0]);
    assert_ne!(ann.get("/me").id(), id);
}

#[test]
fn a_share_with_a_user_of_the_provider_needs_the_matching_scope() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let ann = app.user(&provider.user("ann+x", "Contacts.ReadWrite"));
    ann.post("/me/contacts", json!({"title": "shared"}));
    let bob = app.user(&provider.user("bob", "Contacts.ReadWrite Contacts.Read.Shared"));
    let (owner, guest) = (ann.get("/me").id(), bob.get("/me").id());
    let paths = [format!("/users/{owner}/contacts"), format!("/users('{owner}%40identity')/contacts")];
    for path in &paths {
        assert_eq!(bob.get(path).error().0, 404, "{path}");
    }
    app.beside(async |store| {
        let owner = store.find_user_called(&owner).await.unwrap().unwrap();
        let guest = store.find_user_called(&guest).await.unwrap().unwrap();
        store.share(owner.mailbox, guest, true).await.unwrap();
    });
    let unshared = app.user(&provider.user("bob", "Contacts.ReadWrite"));
    for path in &paths {
        assert_eq!(titles(&bob, path), ["shared"], "{path}");
        assert_eq!(bob.post(path, "{}").error(), denied(), "{path}");
        assert_eq!(unshared.get(path).error().0, 404, "{path}");
    }
    let permissions = ann.get("/me/contactPermissions").json(200);
    assert_eq!(permissions["value"][0]["id"], guest.as_str(), "{permissions}");
    ann.delete(&format!("/me/contactPermissions/{guest}")).empty(204);
    assert_eq!(bob.get(&paths[0]).error().0, 404);
}

#[test]
fn a_provider_token_opens_address_books_within_its_scopes() {
    use super::dav::{ADA, between, card, propfind, put};
    let mut provider = IdentityProvider::start();
    let app = app(&provider, "");
    let writes = app.user(&provider.user("ann", "Contacts.ReadWrite"));
    let href = |text: &str, element: &str| between(text, &format!("<{element}><D:href>"), "</D:href>");
    let text = propfind(&writes, "/dav/", "0", "<D:current-user-principal/>").text();
    let principal = href(&text, "D:current-user-principal");
    let text = propfind(&writes, &principal, "0", "<C:addressbook-home-set/>").text();
    let book = format!("{}contacts/", href(&text, "C:addressbook-home-set"));
    let path = format!("{book}a.vcf");
    assert_eq!(put(&writes, &path, &[], &card("A", ADA)).status, 201);
    let listed = writes.get("/v1.0/me/contacts").json(200);
    assert_eq!(listed["value"][0]["displayName"], "Ada Lovelace");

    let reads = app.user(&provider.user("ann", "Contacts.Read"));
    assert_eq!(reads.get(&path).text(), card("A", ADA));
    let refused = put(&reads, &path, &[], &card("A", &format!("{ADA}NOTE:x\r\n")));
    assert!(refused.status == 403 && refused.text().contains("<D:need-privileges>"), "{}", refused.text());
    let privileges = propfind(&reads, &book, "0", "<D:current-user-privilege-set/>").text();
    assert!(privileges.contains("<D:read/>") && !privileges.contains("<D:write"), "{privileges}");
    // Another user and an invalid token do not see it.
    let bob = app.user(&provider.user("bob", "Contacts.ReadWrite"));
    bob.get("/v1.0/me/contacts").json(200);
    assert_eq!((bob.get(&path).status, app.user("nonsense").get(&path).status), (404, 401));
    assert_eq!(writes.get(&path).text(), card("A", ADA));
}

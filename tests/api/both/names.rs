//! The names by which users of an identity provider are found, of which none may be chosen by the user.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use super::oidc::{TIMES, access_with_claim, titles};
use crate::app::{Client, Setup, TestApp};
use crate::identity::IdentityProvider;

const BOSS: &str = "boss@corp.example";
const ALL: &str = "app:sync=sync,ann=ann";
const SHARED: &str = "Contacts.ReadWrite.Shared";

fn app(provider: &IdentityProvider, claim: Option<&str>) -> TestApp {
    TestApp::with(Setup { access: Some(access_with_claim(provider, ALL, claim, TIMES)), ..Setup::default() })
}

/// A user whose tokens have these claims.
fn signed_in(app: &TestApp, provider: &mut IdentityProvider, login: &str, claims: Value) -> Client {
    provider.say(login, claims);
    let client = app.user(&provider.user(login, SHARED));
    client.post("/me/contacts", json!({"title": login})).json(201);
    client
}

/// Asserts that no call finds a user by the boss's name.
#[track_caller]
fn assert_nobody(app: &TestApp) {
    let sync = app.user("sync");
    for path in
        ["/users/boss@corp.example", "/users('BOSS%40corp.example')/contacts", "/v1.0/users/boss@corp.example/contacts"]
    {
        assert_eq!(sync.get(path).error().1, "Request_ResourceNotFound", "{path}");
    }
    let lost = sync.post("/users/boss@corp.example/contacts", json!({"title": "for the boss"}));
    assert_eq!(lost.error(), (404, "Request_ResourceNotFound".into(), String::new()));
    let share = json!({"emailAddress": {"address": BOSS, "name": "The Boss"}, "role": "write"});
    assert_eq!(sync.post("/users/ann/contactPermissions", share).error().0, 404);
    for filter in
        [format!("userPrincipalName eq '{BOSS}'"), format!("mail eq '{BOSS}'"), "startswith(mail,'boss')".into()]
    {
        let found = sync.get(&format!("/users?$filter={}", percent_encode(&filter))).json(200);
        assert_eq!(found["value"], json!([]), "{filter}");
    }
    app.beside(async |store| assert_eq!(store.find_user_called(BOSS).await.unwrap(), None));
    assert_eq!(app.count("select count(*) from shares"), 0);
}

#[test]
fn nobody_is_found_by_a_name_that_they_claim_themselves() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, None);
    app.user("ann").post("/me/contacts", json!({"title": "ann's"})).json(201);
    let claims = [
        json!({"preferred_username": BOSS, "upn": BOSS, "email": BOSS}),
        json!({"preferred_username": BOSS, "email": BOSS, "email_verified": true, "unique_name": BOSS}),
        // The names by which other users are found.
        json!({"preferred_username": "ann", "email": "ann@localhost"}),
    ];
    let mut people = Vec::new();
    for (i, claims) in claims.into_iter().enumerate() {
        people.push(signed_in(&app, &mut provider, &format!("p{i}"), claims));
        assert_nobody(&app);
    }
    // Each is found by the id, and has the same name whoever signs in first.
    let mut names: Vec<String> = Vec::new();
    for (i, person) in people.iter().enumerate() {
        let me = person.get("/me").json(200);
        let id = me["id"].as_str().unwrap();
        let name = json!(format!("{id}@identity"));
        assert_eq!((&me["userPrincipalName"], &me["mail"]), (&name, &name));
        assert_eq!(me["displayName"], format!("p{i} of the provider"));
        for path in [format!("/users/{id}/contacts"), format!("/users/{id}@identity/contacts")] {
            assert_eq!(titles(&app.user("sync"), &path), [format!("p{i}")]);
        }
        names.push(id.to_owned());
    }
    assert_eq!(titles(&app.user("sync"), "/users/ann/contacts"), ["ann's"]);
    // A free name belongs to the user that is created with it.
    let setup =
        Setup { access: Some(access_with_claim(&provider, &format!("{BOSS}=boss"), None, TIMES)), ..Setup::default() };
    let app = app.restarted_with(setup);
    assert_eq!(titles(&app.user("boss"), "/me/contacts"), [] as [Value; 0]);
    assert_eq!(app.user("boss").get("/me").json(200)["userPrincipalName"], BOSS);
}

#[test]
fn a_name_is_found_where_the_operator_trusts_the_claim_and_one_alone_has_it() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, Some("email"));
    app.user("ann").get("/me").json(200);
    let sync = app.user("sync");
    // Other claims, and an address that nobody has verified.
    signed_in(&app, &mut provider, "p1", json!({"preferred_username": BOSS, "upn": BOSS, "email": BOSS}));
    signed_in(&app, &mut provider, "p2", json!({"email": BOSS, "email_verified": false}));
    signed_in(&app, &mut provider, "p3", json!({"email": BOSS, "email_verified": "true"}));
    assert_nobody(&app);
    let boss = signed_in(&app, &mut provider, "boss", json!({"email": BOSS, "email_verified": true}));
    let me = boss.get("/me").json(200);
    assert_eq!((&me["userPrincipalName"], &me["mail"]), (&json!(BOSS), &json!(BOSS)));
    assert_eq!(titles(&sync, "/users/BOSS@corp.example/contacts"), ["boss"]);
    assert_eq!(titles(&boss, "/users/boss@corp.example/contacts"), ["boss"]);
    let share = json!({"emailAddress": {"address": BOSS}, "role": "write"});
    let permission = sync.post("/users/ann/contactPermissions", share).json(201);
    assert_eq!((&permission["id"], &permission["emailAddress"]["address"]), (&me["id"], &json!(BOSS)));
    assert_eq!(boss.get("/users/ann/contacts").status, 200);
    // After a rename the user is found by the new name, and keeps the shares.
    signed_in(
        &app,
        &mut provider,
        "boss",
        json!({"email": "chief@corp.example", "email_verified": true, "name": "Chief"}),
    );
    assert_eq!(sync.get("/users/boss@corp.example").error().0, 404);
    let chief = sync.get("/users/chief@corp.example").json(200);
    assert_eq!((&chief["id"], &chief["displayName"]), (&me["id"], &json!("Chief")));
    // A later user with the old name gets none of the shares.
    let heir = signed_in(&app, &mut provider, "heir", json!({"email": BOSS, "email_verified": true}));
    assert_eq!(heir.get("/me").json(200)["mail"], BOSS);
    assert_eq!(heir.get("/users/ann/contacts").error().0, 404);
    assert_eq!(titles(&sync, "/users/boss@corp.example/contacts"), ["heir"]);
    // If two users have the same name, neither is found.
    signed_in(&app, &mut provider, "twin", json!({"email": "Boss@Corp.Example", "email_verified": true}));
    assert_eq!(sync.get("/users/boss@corp.example/contacts").error().0, 404);
    assert_eq!(heir.get("/me").json(200)["mail"], format!("{}@identity", heir.get("/me").id()));
    // Names of other users, and an id of a user.
    let id = chief["id"].as_str().unwrap();
    for (i, taken) in
        ["ann", "ANN@localhost", id, &format!("{id}@localhost"), &format!("{id}@identity")].into_iter().enumerate()
    {
        let login = format!("t{i}");
        let thief = signed_in(&app, &mut provider, &login, json!({"email": taken, "email_verified": true}));
        assert_eq!(thief.get("/me").json(200)["mail"], format!("{}@identity", thief.get("/me").id()), "{taken}");
        assert_eq!(titles(&thief, "/me/contacts"), [login], "{taken}");
        match i {
            // An id cannot be a name, and a user has at most one name.
            3 | 4 => assert_eq!(sync.get(&format!("/users/{taken}")).error().0, 404),
            _ => assert_eq!(sync.get(&format!("/users/{taken}")).json(200)["id"], if i < 2 { "ann" } else { id }),
        }
    }
}

#[test]
fn a_bound_name_finds_whom_the_operator_means() {
    let mut provider = IdentityProvider::start();
    let app = app(&provider, None);
    let squatter = signed_in(&app, &mut provider, "p1", json!({"preferred_username": BOSS}));
    let boss = signed_in(&app, &mut provider, "p2", json!({"preferred_username": BOSS}));
    app.beside(async |store| store.bind_name(BOSS, None, "p2").await.unwrap());
    for (client, name) in [(&boss, BOSS.to_owned()), (&squatter, format!("{}@identity", squatter.get("/me").id()))] {
        assert_eq!(client.get("/me").json(200)["userPrincipalName"], name);
    }
    assert_eq!(titles(&app.user("sync"), "/users/boss@corp.example/contacts"), ["p2"]);
    assert_eq!(titles(&boss, "/users/boss@corp.example/contacts"), ["p2"]);
    assert_eq!(squatter.get("/users/boss@corp.example/contacts").error().0, 404);
    // In every process and at once.
    app.beside(async |store| {
        store.unbind_name(BOSS).await.unwrap();
        store.bind_name(BOSS, None, "p1").await.unwrap();
    });
    assert_eq!(titles(&app.user("sync"), "/users/boss@corp.example/contacts"), ["p1"]);
    assert_eq!(boss.get("/users/boss@corp.example/contacts").error().0, 404);
}

//! The directory, which applications may list.

use contactd::domain::user::UserName;
use contactd::http::authenticate::Access;
use contactd::percent::percent_encode;
use contactd::store::Store;
use serde_json::{Value, json};

use crate::app::{Client, Setup, TestApp};

fn ids(client: &Client, path: &str) -> Vec<String> {
    let list = client.get(path).json(200);
    list["value"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

/// Creates users with these names, in this order.
fn users(app: &TestApp, names: &[&str]) {
    for name in names {
        assert_eq!(app.user(name).get("/me").status, 200);
    }
}

fn shown(id: &str, principal_name: &str) -> Value {
    json!({"id": id, "displayName": id, "userPrincipalName": principal_name, "mail": principal_name})
}

#[test]
fn an_application_lists_the_users_in_the_order_in_which_they_were_made() {
    let app = TestApp::new();
    let sync = app.user("app:sync");
    let root = format!("http://{}", app.address);
    assert_eq!(sync.get("/users").json(200), json!({"@odata.context": format!("{root}/$metadata#users"), "value": []}));
    users(&app, &["zoe", "Ann", "bob@example.org", "ann"]);
    let value = json!([
        shown("zoe", "zoe@localhost"),
        shown("Ann", "Ann@localhost"),
        shown("bob@example.org", "bob@example.org")
    ]);
    for (path, prefix) in [("/users", ""), ("/beta/Users/", "/beta"), ("/v1.0/users?mine=1", "/v1.0")] {
        let context = format!("{root}{prefix}/$metadata#users");
        assert_eq!(sync.get(path).json(200), json!({"@odata.context": context, "value": value}), "{path}");
    }
    let bare = sync.with("Accept", "application/json;odata.metadata=none").get("/users?$count=true");
    assert_eq!(bare.json(200), json!({"@odata.count": 3, "value": value}));
    for path in ["/users/$count", "/v1.0/USERS/%24Count"] {
        let count = sync.get(path);
        assert_eq!((count.header("content-type").as_str(), count.body.as_slice()), ("text/plain", &b"3"[..]));
    }
    // A list creates no user, and an application is no user.
    assert_eq!(app.count("select count(*) from users"), 3);
}

#[test]
fn a_user_lists_nobody() {
    let app = TestApp::new();
    users(&app, &["ann", "bob"]);
    let ann = app.user("ann");
    let denied = (403, "ErrorAccessDenied".into(), String::new());
    for path in ["/users", "/v1.0/users/", "/users/$count", "/users?$filter=id%20eq%20'ann'", "/beta/users?$top=0"] {
        assert_eq!(ann.get(path).error(), denied, "{path}");
    }
    assert_eq!(app.user("").get("/users").error().0, 401);
    assert_eq!(ann.get("/users/ann").status, 200);
    // Users cannot be created or changed in bulk.
    for client in [&ann, &app.user("app:sync")] {
        for (method, path) in [("POST", "/users"), ("DELETE", "/users"), ("PATCH", "/users/$count")] {
            let answer = client.send(method, path, Some(b"{}".to_vec()));
            assert_eq!((answer.error().0, answer.header("allow").as_str()), (405, "GET"), "{method} {path}");
        }
    }
    assert_eq!(app.count("select count(*) from users"), 2);
}

#[test]
fn users_with_configured_tokens_are_listed_once_they_have_a_mailbox() {
    let access = Access::tokens("ann=s3cret-a,bob=s3cret-b,app:sync=s3cret-s").unwrap();
    let app = TestApp::with(Setup { access: Some(access), ..Setup::default() });
    let sync = app.user("s3cret-s");
    assert_eq!(ids(&sync, "/users"), Vec::<String>::new());
    assert_eq!(sync.get("/users/BOB").status, 200);
    assert_eq!(ids(&sync, "/users"), ["bob"]);
    assert_eq!(app.user("s3cret-a").get("/users").error().0, 403);
}

#[test]
fn a_walk_shows_each_user_once_while_users_are_added() {
    let app = TestApp::new();
    let sync = app.user("app:sync");
    let user_names: Vec<_> = (0..23).map(|i| format!("u{}", (i * 7) % 23)).collect();
    users(&app, &user_names.iter().map(String::as_str).collect::<Vec<_>>());
    for (path, size, first) in [
        ("/users", 10, 0),
        ("/v1.0/users?$top=7&$skip=3&$count=true", 7, 3),
        ("/beta/Users/?%24top=4&mine=1&$filter=startswith(displayName,'U')", 4, 0),
        ("/users?$top=1001", 1000, 0),
    ] {
        let (mut next, mut found) = (Some(path.to_owned()), Vec::new());
        while let Some(link) = next {
            let page = sync.get(&link).json(200);
            let value = page["value"].as_array().unwrap();
            next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            assert!(value.len() == size || next.is_none(), "{path}");
            found.extend(value.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
            if let Some(link) = &next {
                let start = path.split('?').next().unwrap();
                assert!(link.starts_with(&format!("http://{}{start}?", app.address)), "{link}");
                assert!(!link.contains("$skip="), "{link}");
            }
        }
        assert_eq!(found, user_names[first..], "{path}");
    }
    // A user created during a walk is at its end, and shifts no other.
    let first = sync.get("/users?$top=20").json(200);
    users(&app, &["late"]);
    let rest = ids(&sync, first["@odata.nextLink"].as_str().unwrap());
    assert_eq!(rest, [&user_names[20..], &["late".to_owned()]].concat());
    let preferring = sync.with("Prefer", "odata.maxpagesize=3").get("/users");
    assert_eq!(preferring.header("preference-applied"), "odata.maxpagesize=3");
    assert_eq!(preferring.json(200)["value"].as_array().unwrap().len(), 3);
    // A token of another list is invalid.
    app.user("u0").post("/me/contacts", "{}");
    app.user("u0").post("/me/contacts", "{}");
    let other = app.user("u0").get("/me/contacts?$top=1").json(200)["@odata.nextLink"].as_str().unwrap().to_owned();
    for token in ["x", "", other.rsplit_once("skiptoken=").unwrap().1] {
        let refused = sync.get(&format!("/users?$skiptoken={token}")).error();
        assert_eq!(refused, (400, "BadRequest".into(), "$skiptoken".into()), "{token}");
    }
}

#[test]
fn users_are_filtered_selected_and_counted() {
    let app = TestApp::new();
    let sync = app.user("app:sync");
    users(&app, &["Ann", "ann@example.org", "bob", "Kim.I"]);
    for (filter, expected) in [
        ("userPrincipalName eq 'ANN@localhost'", vec!["Ann"]),
        ("mail eq 'Ann@Example.org'", vec!["ann@example.org"]),
        ("id eq 'Ann'", vec!["Ann"]),
        // Ids are compared with exact case, as everywhere.
        ("id eq 'ann'", vec![]),
        ("id in ('Ann','bob')", vec!["Ann", "bob"]),
        ("displayName eq 'ANN'", vec!["Ann"]),
        ("displayName eq 'kim.i'", vec!["Kim.I"]),
        ("startswith(displayName,'AN')", vec!["Ann", "ann@example.org"]),
        ("endswith(userPrincipalName,'@LOCALHOST') and not (displayName eq 'bob')", vec!["Ann", "Kim.I"]),
        ("displayName gt 'b' or mail eq null", vec!["bob", "Kim.I"]),
    ] {
        let encoded = percent_encode(filter);
        assert_eq!(ids(&sync, &format!("/users?$filter={encoded}")), expected, "{filter}");
        let count = sync.get(&format!("/v1.0/users/$count?$filter={encoded}"));
        assert_eq!(count.body, expected.len().to_string().into_bytes(), "{filter}");
        let page = sync.get(&format!("/users?$count=true&$top=1&$filter={encoded}")).json(200);
        assert_eq!(page["@odata.count"], expected.len(), "{filter}");
    }
    let strict = sync.with("Prefer", "handling=strict");
    assert_eq!(ids(&strict, "/users?$filter=startswith(mail,'ann@')%20or%20id%20eq%20'bob'").len(), 3);
    assert_eq!(strict.get("/users?$filter=endswith(mail,'x')").error().1, "ErrorInvalidUrlQueryFilter");
    for (option, target) in [
        ("$filter=surname%20eq%20'x'", "$filter"),
        ("$filter=displayName", "$filter"),
        ("$select=surname", "$select"),
        ("$orderby=surname", "$orderby"),
        ("$orderby=mail,", "$orderby"),
        ("$top=0", "$top"),
        ("$nope=1", "$nope"),
    ] {
        assert_eq!(
            sync.get(&format!("/users?{option}")).error(),
            (400, "BadRequest".into(), target.into()),
            "{option}"
        );
    }
    for path in ["/users", "/users/$count"] {
        let refused = sync.get(&format!("{path}?$search=Ann")).error();
        assert_eq!(refused, (501, "NotImplemented".into(), String::new()), "{path}");
    }
    assert_eq!(sync.get("/users?$expand=contacts").error(), (400, "ExpandNotSupported".into(), "$expand".into()));
    let root = format!("http://{}", app.address);
    let selected = sync.get("/users?$select=MAIL,id&$top=1").json(200);
    assert_eq!(selected["@odata.context"], format!("{root}/$metadata#users(mail,id)"));
    assert_eq!(selected["value"], json!([{"id": "Ann", "mail": "Ann@localhost"}]));
    assert!(selected["@odata.nextLink"].as_str().unwrap().contains("?$select=MAIL,id&$top=1&$skiptoken="));
    // `$select` also works for a single user.
    let context = format!("{root}/v1.0/$metadata#users(displayName)/$entity");
    let expected_user = json!({"@odata.context": context, "id": "Ann", "displayName": "Ann"});
    assert_eq!(app.user("ann").get("/v1.0/me?$select=displayName").json(200), expected_user);
    assert_eq!(sync.get("/v1.0/users/ann?$select=displayName").json(200), expected_user);
    assert_eq!(sync.get("/users/ann?$select=x").error(), (400, "BadRequest".into(), "$select".into()));
    assert_eq!(sync.get("/users/ann?$top=1").error(), (400, "BadRequest".into(), "$top".into()));
    assert_eq!(app.count("select count(*) from users"), 4);
}

#[test]
fn users_are_sorted_by_any_expression_and_then_by_creation() {
    let app = TestApp::new();
    let sync = app.user("app:sync");
    users(&app, &["zoe", "Ann", "bob@example.org", "Kim.I", "al@example.org"]);
    let walk = |order: &str, size: usize| {
        let (mut next, mut found) =
            (Some(format!("/users?$top={size}&$orderby={}", percent_encode(order))), Vec::new());
        while let Some(link) = next {
            next = sync.get(&link).json(200).get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            found.extend(ids(&sync, &link));
        }
        found
    };
    for (order, expected) in [
        ("displayName", ["al@example.org", "Ann", "bob@example.org", "Kim.I", "zoe"]),
        ("mail desc", ["zoe", "Kim.I", "bob@example.org", "Ann", "al@example.org"]),
        // Ids are compared exactly.
        ("id", ["Ann", "Kim.I", "al@example.org", "bob@example.org", "zoe"]),
        ("endswith(mail,'.org')", ["zoe", "Ann", "Kim.I", "bob@example.org", "al@example.org"]),
        ("length(displayName) desc,mail", ["bob@example.org", "al@example.org", "Kim.I", "Ann", "zoe"]),
        ("contains(mail,'@')", ["zoe", "Ann", "bob@example.org", "Kim.I", "al@example.org"]),
    ] {
        for size in [1, 2, 100] {
            assert_eq!(walk(order, size), expected, "{order}");
        }
    }
    let walked =
        sync.get("/v1.0/users?$orderby=mail&$filter=startswith(mail,'a')&$top=1&$count=true&$select=id").json(200);
    assert_eq!((&walked["@odata.count"], &walked["value"]), (&json!(2), &json!([{"id": "al@example.org"}])));
    // A user created meanwhile is shown at most once.
    users(&app, &["amy", "aa"]);
    assert_eq!(ids(&sync, walked["@odata.nextLink"].as_str().unwrap()), ["amy"]);
    assert_eq!(sync.get("/users/$count?$orderby=mail").body, b"7");
    assert_eq!(sync.get("/users/$count?$orderby=nope").error().0, 400);
    let token = walked["@odata.nextLink"].as_str().unwrap().rsplit_once("skiptoken=").unwrap().1;
    for other in ["", "&$orderby=length(mail)", "&$orderby=mail,id"] {
        let refused = sync.get(&format!("/users?$skiptoken={token}{other}"));
        assert_eq!(refused.error(), (400, "BadRequest".into(), "$skiptoken".into()), "{other}");
    }
    assert_eq!(app.user("ann").get("/users?$orderby=mail").error().0, 403);
}

#[test]
fn a_recreated_user_is_served_at_once_also_in_batches() {
    let app = TestApp::new();
    let (sync, bob, name) = (app.user("app:sync"), app.user("bob"), UserName::parse("bob").unwrap());
    let batch = || {
        let step = |id: &str, method: &str, body: Value| json!({"id": id, "method": method, "url": "/users/bob/contacts", "body": body});
        let steps =
            [step("1", "POST", json!({"surname": "x"})), step("2", "POST", json!({})), step("3", "GET", json!(null))];
        let answer = sync.post("/$batch", json!({"requests": steps})).json(200);
        let responses = answer["responses"].as_array().unwrap().clone();
        let statuses: Vec<_> = responses.iter().map(|response| response["status"].as_u64().unwrap()).collect();
        (statuses, responses[2]["body"]["value"].as_array().map(Vec::len))
    };
    let remove = async |store: &Store| drop(store.remove_user(&name).await.unwrap());
    bob.post("/me/contacts", json!({"surname": "old"})).json(201);
    assert_eq!(batch(), (vec![201, 201, 200], Some(3)));
    app.beside(async |store| {
        remove(store).await;
        store.user(&name).await.unwrap();
    });
    assert_eq!(batch(), (vec![201, 201, 200], Some(2)));
    assert_eq!(sync.get("/users/bob/contacts").json(200)["value"].as_array().unwrap().len(), 2);
    assert_eq!(bob.get("/me/contacts/$count").body, b"2");
    // The next call under that name creates the user again.
    app.beside(remove);
    let id = bob.post("/me/contacts", json!({"surname": "new"})).id();
    app.beside(remove);
    assert_eq!(bob.get(&format!("/me/contacts/{id}")).status, 404);
    assert_eq!(bob.get("/me/contacts").json(200)["value"], json!([]));
    app.beside(remove);
    assert_eq!(batch(), (vec![201, 201, 200], Some(2)));
}

#[test]
fn principal_names_of_guests_and_of_people_with_apostrophes_work_everywhere() {
    // The name is also the secret: development tokens allow fewer characters.
    let names =
        ["o'brien@example.org", "a+b@example.org", "ann_x.org#EXT#@example.org", "r&d!^~@example.org", "O'Neill"];
    let tokens = names.map(|name| format!("{name}={name}")).join("\n");
    let access = Some(Access::tokens(&format!("{tokens}\napp:sync=sync\nbob=bob")).unwrap());
    let app = TestApp::with(Setup { access, ..Setup::default() });
    let root = format!("http://{}", app.address);
    let (sync, bob) = (app.user("sync"), app.user("bob"));
    bob.get("/me").json(200);
    for (name, segment, key) in [
        ("o'brien@example.org", "o'brien@example.org", "o%27%27brien%40example.org"),
        ("a+b@example.org", "a+b@example.org", "a%2Bb%40example.org"),
        ("ann_x.org#EXT#@example.org", "ann_x.org%23EXT%23@example.org", "ann_x.org%23EXT%23%40example.org"),
        ("r&d!^~@example.org", "r&d!%5E~@example.org", "r%26d%21%5E~%40example.org"),
        ("O'Neill", "O'Neill", "O%27%27Neill"),
    ] {
        let user = app.user(name);
        let principal_name = if name.contains('@') { name.to_owned() } else { format!("{name}@localhost") };
        assert_eq!(user.get("/me").json(200)["userPrincipalName"], principal_name);
        // In all spellings, for both kinds of caller. Answered links work too.
        let doubled = segment.replace('\'', "''");
        for path in [
            format!("/users/{segment}"),
            format!("/users/{doubled}"),
            format!("/users('{doubled}')"),
            format!("/users('{key}')"),
            format!("/v1.0/users/{}", percent_encode(name)),
            format!("/beta/users/{}", segment.to_uppercase()),
        ] {
            for client in [&sync, &user] {
                assert_eq!(client.get(&path).json(200)["id"], name, "{path}");
            }
        }
        for owner in [format!("/users/{segment}"), format!("/users('{doubled}')"), "/me".to_owned()] {
            let created = user.post(&format!("{owner}/contacts"), json!({"title": name}));
            let context = format!("{root}/$metadata#users('{key}')/contacts/$entity");
            assert_eq!(created.json(201)["@odata.context"], context);
            let location = format!("{root}/users('{key}')/contacts('{}')", created.id());
            assert_eq!(created.header("location"), location);
            for client in [&sync, &user] {
                assert_eq!(client.get(location.strip_prefix(&root).unwrap()).json(200)["title"], name);
            }
        }
        let page = user.get(&format!("/users/{segment}/contacts?$top=2")).json(200);
        let next = page["@odata.nextLink"].as_str().unwrap().strip_prefix(&root).unwrap().to_owned();
        assert_eq!(user.get(&next).json(200)["value"].as_array().unwrap().len(), 1, "{next}");
        let quoted = percent_encode(&principal_name.replace('\'', "''"));
        assert_eq!(ids(&sync, &format!("/users?$filter=userPrincipalName%20eq%20'{quoted}'")), [name]);
        // Shared by that name, and once more.
        let share = json!({"emailAddress": {"address": principal_name}, "role": "read"});
        let permission = sync.post("/users/bob/contactPermissions", share);
        assert_eq!(permission.json(201)["emailAddress"]["address"], principal_name);
        let location = permission.header("location").strip_prefix(&root).unwrap().to_owned();
        assert_eq!(location, format!("/users('bob')/contactPermissions('{key}')"));
        assert_eq!(sync.get(&location).json(200)["id"], name);
        assert_eq!(user.get("/users/bob/contacts").status, 200);
        sync.delete(&location).empty(204);
        assert_eq!(user.get("/users/bob/contacts").error().0, 404);
    }
    // Development tokens that are not valid names are still refused.
    let app = TestApp::new();
    for token in ["#a", "o'brien", "a+b", "a=b", "a,b", "a%b"] {
        assert_eq!(app.user(token).get("/me").error().0, 401, "{token}");
    }
}

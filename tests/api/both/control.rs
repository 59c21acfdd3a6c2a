//! The control plane for tests: faults, and the journal of requests.

use serde_json::{Value, json};

use crate::app::{Answer, Client, Setup, TestApp};

fn controlled() -> TestApp {
    TestApp::with(Setup { controlled: true, ..Setup::default() })
}

/// Calls the control plane. It needs no token.
fn control(app: &TestApp, method: &str, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    Client::new(&app.address, "").send(method, &format!("/_contactd{path}"), body)
}

#[track_caller]
fn fault(app: &TestApp, fault: Value) -> Value {
    control(app, "POST", "/faults", fault).json(201)
}

/// Statuses of the requests in the journal.
fn statuses(app: &TestApp, filter: &str) -> Vec<u64> {
    let found = control(app, "GET", &format!("/requests?{filter}"), Value::Null).json(200);
    found["value"].as_array().unwrap().iter().map(|entry| entry["status"].as_u64().unwrap()).collect()
}

fn contacts(app: &TestApp) -> i64 {
    app.count("select count(*) from contacts")
}

#[test]
fn the_control_plane_is_an_unknown_path_by_default() {
    let app = TestApp::new();
    for (method, path) in [("GET", ""), ("POST", "/faults"), ("DELETE", "/requests"), ("GET", "/requests/count")] {
        let answer = control(&app, method, path, json!({"answer": {"status": 429}}));
        assert_eq!(answer.error(), (404, "ResourceNotFound".to_owned(), String::new()), "{method} {path}");
    }
    assert_eq!(app.user("ann").post("/me/contacts", "{}").status, 201);
}

#[test]
fn a_web_page_cannot_control_a_server() {
    let app = controlled();
    let page = |name: &str, value: &str| {
        Client::new(&app.address, "").with(name, value).send(
            "POST",
            "/_contactd/faults",
            Some(b"{\"answer\": {\"status\": 500}}".to_vec()),
        )
    };
    for (name, value) in [
        ("Origin", "http://localhost:3000"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        assert_eq!(page(name, value).error().0, 403, "{name}: {value}");
    }
    assert_eq!(control(&app, "GET", "", Value::Null).json(200)["faults"], 0);
    for value in ["none", "same-origin"] {
        assert_eq!(page("Sec-Fetch-Site", value).status, 201);
    }
}

#[test]
fn the_control_plane_describes_the_server_and_refuses_unknown_members() {
    let app = controlled();
    app.user("ann").post("/me/contacts", "{}").json(201);
    let description = control(&app, "GET", "", Value::Null).json(200);
    let engine = if app.is_sqlite() { "sqlite" } else { "postgres" };
    assert_eq!(description["engine"], engine);
    assert_eq!(
        (&description["users"], &description["contacts"], &description["requests"]),
        (&json!(1), &json!(1), &json!(1))
    );
    for (method, path, body, expected) in [
        ("GET", "/nothing", Value::Null, (404, "")),
        ("PUT", "/faults", json!({}), (405, "")),
        ("GET", "/faults?x=1", Value::Null, (400, "x")),
        ("GET", "/requests?status=x", Value::Null, (400, "status")),
        ("GET", "/requests?top=0", Value::Null, (400, "top")),
        ("POST", "/faults", json!({}), (400, "")),
        ("POST", "/faults", json!({"answer": {"status": 99}}), (400, "answer/status")),
        ("POST", "/faults", json!({"match": {"Path": "/me"}}), (400, "match/Path")),
        ("POST", "/faults", json!({"match": {"path": "me"}, "answer": {"status": 500}}), (400, "match/path")),
        ("POST", "/faults", json!({"delay": "2 s"}), (400, "delay")),
        ("POST", "/faults", json!({"answer": {"status": 500, "headers": {"a b": "c"}}}), (400, "answer/headers/a b")),
        ("POST", "/faults", json!({"throttle": {"requests": 1, "per": "PT1S"}, "answer": {"status": 500}}), (400, "")),
        ("POST", "/requests/wait", json!({"timeout": "PT1H"}), (400, "timeout")),
        ("GET", "/faults/7", Value::Null, (404, "")),
    ] {
        let (status, _, target) = control(&app, method, path, body).error();
        assert_eq!((status, target.as_str()), expected, "{method} {path}");
    }
    assert_eq!(control(&app, "GET", "/faults", Value::Null).json(200), json!({"value": []}));
}

#[test]
fn a_fault_applies_to_matching_requests_and_they_execute_nothing() {
    let app = controlled();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let made = fault(
        &app,
        json!({
            "match": {"user": "Ann", "method": "post", "path": "/v1.0/me/contacts", "header": {"client-request-id": "x"}},
            "after": 1, "times": 2,
            "answer": {"status": 429, "code": "ApplicationThrottled", "message": "Slow down.", "retryAfter": 3, "headers": {"x-ms-ags": "1"}}
        }),
    );
    assert_eq!((&made["hits"], &made["remaining"], &made["after"]), (&json!(0), &json!(2), &json!(1)));
    let marked = ann.with("client-request-id", "x");
    assert_eq!(bob.with("client-request-id", "x").post("/me/contacts", "{}").status, 201);
    assert_eq!(ann.post("/me/contacts", "{}").status, 201);
    assert_eq!(marked.get("/me/contacts").status, 200);
    let posted = |path: &str| marked.post(path, "{}");
    assert_eq!(posted("/me/contacts").status, 201, "the first is let pass");
    // In any spelling.
    let struck = posted("/v1.0/Me/contacts");
    assert_eq!(struck.error(), (429, "ApplicationThrottled".to_owned(), String::new()));
    assert_eq!(
        (struck.message().as_str(), struck.header("retry-after").as_str(), struck.header("x-ms-ags").as_str()),
        ("Slow down.", "3", "1")
    );
    assert_eq!(struck.header("client-request-id"), "x");
    assert_eq!(posted("/users/me-token-to-replace/contacts").status, 429);
    assert_eq!(posted("/me/contacts").status, 201, "it is used up");
    assert_eq!(contacts(&app), 4);
    let id = made["id"].as_str().unwrap();
    let shown = control(&app, "GET", &format!("/faults/{id}"), Value::Null).json(200);
    assert_eq!((&shown["hits"], &shown["remaining"]), (&json!(2), &json!(0)));
    control(&app, "DELETE", &format!("/faults/{id}"), Value::Null).empty(204);
    assert_eq!(control(&app, "DELETE", &format!("/faults/{id}"), Value::Null).status, 404);
    assert_eq!(statuses(&app, "user=ann&method=POST"), [201, 201, 429, 429, 201]);
}

#[test]
fn a_sequence_of_fault_answers_is_followed_by_real_answers() {
    let app = controlled();
    let ann = app.user("ann");
    fault(&app, json!({"answers": [{"status": 503}, {"status": 429, "retryAfter": "Wed, 21 Oct 2026 07:28:00 GMT"}]}));
    let answers: Vec<_> = (0..3).map(|_| ann.get("/me/contacts")).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [503, 429, 200]);
    assert_eq!(answers[0].error().1, "serviceNotAvailable");
    assert_eq!(answers[1].header("retry-after"), "Wed, 21 Oct 2026 07:28:00 GMT");
}

#[test]
fn the_first_matching_fault_applies_and_faults_are_deleted_by_user() {
    let app = controlled();
    for (user, status) in [("ann", 500), ("bob", 501), ("ann", 502)] {
        fault(&app, json!({"match": {"user": user}, "times": null, "answer": {"status": status}}));
    }
    let statuses_seen =
        || (app.user("ann").get("/me").status, app.user("bob").get("/me").status, app.user("cy").get("/me").status);
    assert_eq!(statuses_seen(), (500, 501, 200));
    assert_eq!(statuses_seen(), (500, 501, 200));
    control(&app, "DELETE", "/faults?user=ann", Value::Null).empty(204);
    assert_eq!(statuses_seen(), (200, 501, 200));
    control(&app, "DELETE", "/faults", Value::Null).empty(204);
    assert_eq!(statuses_seen(), (200, 200, 200));
    // Faults that a test leaves behind expire.
    fault(&app, json!({"times": null, "expires": "PT0.01S", "answer": {"status": 500}}));
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(statuses_seen(), (200, 200, 200));
}

#[test]
fn a_retry_after_a_lost_answer_duplicates_a_create_without_a_key() {
    let app = controlled();
    let ann = app.user("ann");
    let lost = || fault(&app, json!({"match": {"method": "POST"}, "when": "after", "answer": {"status": 504}}));
    let post = |client: &Client| client.post("/me/contacts", "{\"givenName\": \"Ann\"}");
    lost();
    assert_eq!((post(&ann).status, contacts(&app)), (504, 1), "it was done");
    assert_eq!((post(&ann).status, contacts(&app)), (201, 2));
    lost();
    let keyed = ann.with("Idempotency-Key", "one");
    assert_eq!((post(&keyed).status, contacts(&app)), (504, 3));
    assert_eq!((post(&keyed).status, contacts(&app)), (201, 3));
    assert_eq!(statuses(&app, "method=POST"), [504, 201, 504, 201]);
}

#[test]
fn faults_apply_to_single_batch_steps_and_the_journal_lists_each_step() {
    let app = controlled();
    let ann = app.user("ann");
    fault(
        &app,
        json!({"match": {"method": "POST", "path": "/me/contacts"}, "after": 1, "answer": {"status": 429, "retryAfter": 1}}),
    );
    let step = |id: &str, name: &str| json!({"id": id, "method": "POST", "url": "/me/contacts", "headers": {"Content-Type": "application/json"}, "body": {"givenName": name}});
    let batch = json!({"requests": [step("a", "A"), step("b", "B"), step("c", "C"), {"id": "d", "method": "GET", "url": "/me/contacts?%24select=id"}]});
    let answered = ann.post("/v1.0/$batch", &batch).json(200);
    let step_answer =
        |id: &str| answered["responses"].as_array().unwrap().iter().find(|step| step["id"] == id).unwrap().clone();
    assert_eq!(
        (&step_answer("a")["status"], &step_answer("b")["status"], &step_answer("c")["status"]),
        (&json!(201), &json!(429), &json!(201))
    );
    assert_eq!(
        (&step_answer("b")["headers"]["Retry-After"], &step_answer("b")["body"]["error"]["code"]),
        (&json!("1"), &json!("ApplicationThrottled"))
    );
    assert_eq!(step_answer("d")["body"]["value"].as_array().unwrap().len(), 2);
    let journal = control(&app, "GET", "/requests", Value::Null).json(200);
    let entries = journal["value"].as_array().unwrap();
    let shown = |entry: &Value| {
        format!("{} {} {} {} {}", entry["number"], entry["path"], entry["status"], entry["batch"], entry["fault"])
    };
    let expected = [
        r#"1 "/$batch" 200 null null"#,
        r#"2 "/me/contacts" 201 {"id":"a","number":1} null"#,
        r#"3 "/me/contacts" 429 {"id":"b","number":1} "1""#,
        r#"4 "/me/contacts" 201 {"id":"c","number":1} null"#,
        r#"5 "/me/contacts" 200 {"id":"d","number":1} null"#,
    ];
    assert_eq!(entries.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(entries[4]["url"], "/v1.0/me/contacts?%24select=id");
    // The batch itself is another request.
    fault(&app, json!({"match": {"path": "/$batch"}, "answer": {"status": 503}}));
    assert_eq!(ann.post("/v1.0/$batch", &batch).status, 503);
    assert_eq!(contacts(&app), 2);
}

#[test]
fn a_quota_fault_applies_to_one_user() {
    let app = controlled();
    let made = fault(&app, json!({"match": {"user": "ann"}, "throttle": {"requests": 2, "per": "PT1H"}}));
    assert_eq!(made["remaining"], Value::Null);
    let asked = |user: &str| app.user(user).get("/me/contacts");
    assert_eq!((asked("ann").status, asked("ann").status), (200, 200));
    let throttled = asked("ann");
    assert_eq!(throttled.error(), (429, "ApplicationThrottled".to_owned(), String::new()));
    assert!(
        (3_500..=3_600).contains(&throttled.header("retry-after").parse::<u64>().unwrap()),
        "{}",
        throttled.header("retry-after")
    );
    assert_eq!(asked("bob").status, 200);
}

#[test]
fn a_fault_can_expire_a_delta_link() {
    let app = controlled();
    let ann = app.user("ann");
    let first = ann.get("/v1.0/me/contacts/delta").json(200);
    let link = first["@odata.deltaLink"].as_str().unwrap();
    fault(&app, json!({"match": {"user": "ann"}, "deltaToken": "expired"}));
    assert_eq!(ann.get("/v1.0/me/contacts/delta").status, 200, "it has no token");
    let expired = ann.get(link);
    assert_eq!(expired.error(), (410, "SyncStateNotFound".to_owned(), String::new()));
    assert_eq!(expired.header("location"), format!("http://{}/v1.0/me/contacts/delta", app.address));
    assert_eq!(ann.get(&expired.header("location")).status, 200);
    assert_eq!(ann.get(link).status, 200, "once");
}

#[test]
fn the_journal_has_requests_and_answers_but_no_token() {
    let app = controlled();
    let ann = app.user("ann");
    let created = ann.post("/v1.0/me/contacts", r#"{"surname": "B", "givenName": "Ann"}"#);
    let id = created.id();
    let gif = [&b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"[..]].concat();
    let put = ann.with("Content-Type", "image/gif").send(
        "PUT",
        &format!("/me/contacts/{id}/photo/$value"),
        Some(gif.clone()),
    );
    assert_eq!(put.status, 200, "{}", String::from_utf8_lossy(&put.body));
    Client::new(&app.address, "").get("/me");
    let text = String::from_utf8(control(&app, "GET", "/requests", Value::Null).body).unwrap();
    assert!(!text.contains("Bearer ann"), "{text}");
    // Bodies are recorded as sent.
    assert!(text.contains(r#""body":{"surname": "B", "givenName": "Ann"}"#), "{text}");
    let journal: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(journal["next"], 4);
    let [create, photo, stranger] = &journal["value"].as_array().unwrap()[..] else { panic!("{text}") };
    assert_eq!(
        (&create["method"], &create["url"], &create["path"], &create["route"]),
        (&json!("POST"), &json!("/v1.0/me/contacts"), &json!("/me/contacts"), &json!("/{user}/contacts"))
    );
    assert_eq!(
        (&create["user"], &create["token"], &create["answer"]["id"]),
        (&json!("ann"), &json!("ann"), &json!(id))
    );
    assert_eq!(create["headers"]["content-type"], "application/json");
    assert!(create["durationMicros"].as_u64().unwrap() > 0);
    assert_eq!((&photo["body"]["bytes"], photo["body"]["sha256"].as_str().unwrap().len()), (&json!(gif.len()), 64));
    assert_eq!((&stranger["status"], &stranger["user"], &stranger["token"]), (&json!(401), &Value::Null, &Value::Null));
    // An application that opens a mailbox is distinguished from the user.
    app.user("app:sync").get("/users/ann/contacts");
    let last = control(&app, "GET", "/requests?since=4", Value::Null).json(200);
    assert_eq!((&last["value"][0]["user"], &last["value"][0]["token"]), (&json!("ann"), &json!("app:sync")));
}

#[test]
fn the_journal_is_filtered_counted_and_cleared_by_user() {
    let app = controlled();
    for user in ["ann", "bob", "ann"] {
        app.user(user).post("/me/contacts", "{}");
        app.user(user).get("/me/contacts/none");
    }
    assert_eq!(statuses(&app, "user=ann"), [201, 400, 201, 400]);
    assert_eq!(statuses(&app, "path=/me/contacts/*"), [400, 400, 400]);
    assert_eq!(statuses(&app, "status=201&since=3"), [201, 201]);
    assert_eq!(statuses(&app, "route=/{user}/contacts&user=bob"), [201]);
    let count = |filter: &str| {
        control(&app, "GET", &format!("/requests/count?{filter}"), Value::Null).json(200)["count"].clone()
    };
    assert_eq!((count("user=ann"), count("method=GET"), count("")), (json!(4), json!(3), json!(6)));
    let page = control(&app, "GET", "/requests?top=2&user=ann", Value::Null).json(200);
    assert_eq!((page["value"].as_array().unwrap().len(), &page["next"]), (2, &json!(5)));
    control(&app, "DELETE", "/requests?user=ann", Value::Null).empty(204);
    assert_eq!((count("user=ann"), count("")), (json!(0), json!(2)));
    app.user("ann").get("/me");
    assert_eq!(control(&app, "GET", "/requests?user=ann", Value::Null).json(200)["value"][0]["number"], 7);
}

#[test]
fn a_wait_includes_background_work_and_explains_near_misses() {
    let app = controlled();
    let wait = |body: Value| control(&app, "POST", "/requests/wait", body);
    let ann = app.user("ann");
    let later = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        ann.post("/me/contacts", "{}");
        ann.post("/me/contacts", "{}");
    });
    let waited = wait(json!({"match": {"user": "ann", "method": "POST"}, "count": 2, "timeout": "PT30S"})).json(200);
    assert_eq!(waited["value"].as_array().unwrap().len(), 2);
    later.join().unwrap();
    let answer =
        wait(json!({"match": {"user": "ann", "method": "PATCH", "path": "/me/contacts"}, "timeout": "PT0.05S"}));
    let late = answer.json(408);
    assert_eq!((&late["error"]["message"], &late["value"]), (&json!("0 of 1 requests arrived in time."), &json!([])));
    let misses = late["nearMisses"].as_array().unwrap();
    assert_eq!(misses.len(), 2);
    assert_eq!(
        (&misses[0]["differs"], &misses[0]["expected"], &misses[0]["found"], &misses[0]["request"]["number"]),
        (&json!("method"), &json!("PATCH"), &json!("POST"), &json!(2))
    );
}

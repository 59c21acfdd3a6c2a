//! `$batch`: the envelope, the order, and that a step is answered like a single request.

use contactd::GraphSettings;
use serde_json::{Value, json};

use crate::app::{Client, Setup, TestApp};

/// The answers, by id.
#[track_caller]
fn batch(client: &Client, path: &str, requests: Value) -> serde_json::Map<String, Value> {
    let body = client.post(path, json!({"requests": requests})).json(200);
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone()))
        .collect()
}

fn post(id: &str, name: &str) -> Value {
    json!({"id": id, "method": "POST", "url": "/me/contacts", "headers": {"Content-Type": "application/json"},
        "body": {"displayName": name}})
}

fn get(id: &str, url: &str) -> Value {
    json!({"id": id, "method": "GET", "url": url})
}

#[test]
fn every_batch_step_is_answered_like_a_single_request() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let answers =
        batch(&ann, "/v1.0/$batch", json!([post("1", "Ann"), get("2", "/me/contacts?$top=5&$select=displayName")]));
    let created = &answers["1"];
    assert_eq!(created["status"], 201);
    let id = created["body"]["id"].as_str().unwrap();
    let alone = ann.get(&format!("/v1.0/me/contacts/{id}"));
    assert_eq!(created["body"], alone.json(200));
    assert_eq!(created["headers"]["ETag"], alone.header("etag"));
    assert_eq!(created["headers"]["Content-Type"], "application/json");
    assert_eq!(created["headers"]["Location"], format!("http://{}/v1.0/users('ann')/contacts('{id}')", app.address));
    // Earlier steps of the list are already done.
    assert_eq!(answers["2"]["body"], ann.get("/v1.0/me/contacts?$top=5&$select=displayName").json(200));

    // A next link is the same as outside a batch, however the URL was spelled.
    let carl = app.user("carl");
    (0..2).for_each(|_| drop(carl.post("/me/contacts", "{}").id()));
    let alone = carl.get("/v1.0/me/contacts?$top=1").json(200)["@odata.nextLink"].clone();
    let ways = ["/me/contacts?$top=1", "me/contacts?$top=1", "/v1.0/me/contacts?$top=1"];
    let answers = batch(&carl, "/v1.0/$batch", ways.iter().map(|url| get(url, url)).collect());
    assert_eq!(ways.map(|url| &answers[url]["body"]["@odata.nextLink"]), [&alone; 3]);

    // All spellings of a URL, also with blanks; headers of a step; answers that are not JSON objects.
    let stale = json!({"id": "stale", "method": "PATCH", "url": format!("me/contacts/{id}"), "headers": {"if-match": "\"x\""}, "body": {}});
    let minimal = json!({"id": "minimal", "method": "patch", "url": format!("/me/contacts/{id}"),
        "headers": {"Prefer": "return=minimal", "content-type": "application/json", "Authorization": "Bearer nobody"}, "body": {"surname": "x"}});
    let answers = batch(
        &ann,
        "/v1.0/$batch",
        json!([
            get("relative", "me/contacts/$count"),
            get("versioned", "/beta/me/contacts?$filter=displayName eq 'Ann'"),
            get("absolute", &format!("http://{}/v1.0/me/contacts?$search=\"ann\"", app.address)),
            get("graph", "https://graph.microsoft.com/v1.0/me"),
            get("elsewhere", "https://example.org/v1.0/me"),
            get("unknown", "/me/contacts/00000000-0000-7000-8000-000000000000"),
            get("nowhere", "/me/contact"),
            get("other", "/users/bob/contacts"),
            stale,
            minimal,
            json!({"id": "method", "method": "PUT", "url": "/me/contacts", "body": {}}),
            json!({"id": "body", "method": "POST", "url": "/me/contacts", "headers": {"Content-Type": "application/json"}, "body": {"x": 1}}),
            json!({"id": "none", "method": "POST", "url": "/me/contacts"}),
            json!({"id": "type", "method": "POST", "url": "/me/contacts", "headers": {"Content-Type": "text/plain"}, "body": {}}),
            json!({"id": "nested", "method": "POST", "url": "/$batch", "body": {"requests": []}}),
            json!({"id": "header", "method": "GET", "url": "/me", "headers": {"a b": "x"}}),
            json!({"id": "gone", "method": "DELETE", "url": format!("/me/contacts/{id}"), "depends_on": [], "extra": null}),
        ]),
    );
    for (id, expected, code) in [
        ("relative", 200, ""),
        ("versioned", 200, ""),
        ("absolute", 200, ""),
        ("graph", 200, ""),
        ("elsewhere", 400, "BadRequest"),
        ("unknown", 404, "ErrorItemNotFound"),
        ("nowhere", 404, "ResourceNotFound"),
        ("other", 404, "Request_ResourceNotFound"),
        ("stale", 412, "ErrorIrresolvableConflict"),
        ("minimal", 204, ""),
        ("method", 405, "methodNotAllowed"),
        ("body", 400, "RequestBodyRead"),
        ("none", 400, "UnableToDeserializePostBody"),
        ("type", 415, "notSupported"),
        ("nested", 400, "BadRequest"),
        ("header", 400, "BadRequest"),
        ("gone", 204, ""),
    ] {
        let found = (answers[id]["status"].as_u64(), answers[id]["body"]["error"]["code"].as_str().unwrap_or_default());
        assert_eq!(found, (Some(expected), code), "{id}: {}", answers[id]);
    }
    assert_eq!(answers["relative"]["body"], 1);
    assert_eq!(answers["relative"]["headers"]["Content-Type"], "text/plain");
    assert_eq!(answers["versioned"]["body"]["value"][0]["@odata.type"], "#microsoft.graph.contact");
    assert_eq!(answers["absolute"]["body"]["value"][0]["id"], id);
    assert_eq!(answers["graph"]["body"]["id"], "ann");
    assert_eq!(answers["minimal"]["headers"]["Preference-Applied"], "return=minimal");
    assert!(answers["minimal"].get("body").is_none() && answers["gone"].get("body").is_none());
    assert_eq!(answers["method"]["headers"]["Allow"], "GET, POST");
    assert_eq!(app.count("select count(*) from contacts"), 3, "with the two of carl");
}

#[test]
fn batch_steps_wait_for_their_dependencies_and_fail_with_them() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let after = |mut step: Value, ids: &[&str]| {
        step["dependsOn"] = json!(ids);
        step
    };
    let invalid_step = json!({"id": "bad", "method": "GET", "url": "/me/contacts/x"});
    let answers = batch(
        &ann,
        "/$batch",
        json!([
            after(get("count", "/me/contacts/$count"), &["B", "a"]),
            post("a", "first"),
            post("b", "second"),
            invalid_step,
            after(post("c", "third"), &["bad", "a"]),
            after(get("d", "/me"), &["C"]),
            after(get("e", "/me"), &["a"]),
        ]),
    );
    assert_eq!(answers["count"]["body"], 2);
    assert_eq!(answers["bad"]["status"], 400);
    for id in ["c", "d"] {
        assert_eq!(
            (&answers[id]["status"], &answers[id]["body"]["error"]["code"]),
            (&json!(424), &json!("FailedDependency"))
        );
    }
    assert_eq!(answers["e"]["status"], 200);
    assert_eq!(app.count("select count(*) from contacts"), 2);
}

#[test]
fn an_invalid_batch_executes_nothing() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let many = |n: usize| json!({"requests": (0..n).map(|i| post(&i.to_string(), "x")).collect::<Vec<_>>()});
    let with = |member: &str, value: Value| {
        let mut steps = [post("1", "x"), post("2", "y")];
        steps[1][member] = value;
        json!({"requests": steps})
    };
    let without = |member: &str| {
        let mut steps = [post("1", "x"), post("2", "y")];
        steps[1].as_object_mut().unwrap().remove(member);
        json!({"requests": steps})
    };
    for (body, code, target) in [
        (json!([]), "BadRequest", "requests"),
        (json!({}), "BadRequest", "requests"),
        (json!({"requests": {}}), "BadRequest", "requests"),
        (json!({"requests": ["x"]}), "BadRequest", "requests"),
        (without("id"), "BadRequest", "requests"),
        (without("method"), "BadRequest", "requests"),
        (without("url"), "BadRequest", "requests"),
        (with("id", json!(2)), "BadRequest", "requests"),
        (with("id", json!("")), "BadRequest", "requests/1/id"),
        (with("id", json!("1")), "BadRequest", "requests/1/id"),
        (with("headers", json!({"a": 1})), "BadRequest", "requests"),
        (with("dependsOn", json!(["3"])), "BadRequest", "requests/1/dependsOn"),
        (with("dependsOn", json!(["2"])), "BadRequest", "requests/1/dependsOn"),
        (
            json!({"requests": [{"id": "a", "method": "GET", "url": "/me", "dependsOn": ["b"]},
                             {"id": "b", "method": "GET", "url": "/me", "dependsOn": ["A"]}, post("c", "x")]}),
            "BadRequest",
            "requests/0/dependsOn",
        ),
        (json!({"requests": [post("a", "x"), post("A", "y")]}), "BadRequest", "requests/1/id"),
        (many(21), "MaximumValueExceeded", "requests"),
    ] {
        assert_eq!(ann.post("/$batch", &body).error(), (400, code.into(), target.into()), "{body}");
    }
    assert_eq!(ann.post("/$batch", "{\"requests\": [").error().1, "UnableToDeserializePostBody");
    assert_eq!(ann.get("/$batch").error().0, 405);
    assert_eq!(app.user("").post("/$batch", json!({"requests": []})).error().0, 401);
    assert_eq!(app.count("select count(*) from contacts"), 0);
    assert_eq!(ann.post("/v1.0/$batch", json!({"requests": []})).json(200), json!({"responses": []}));
    assert_eq!(batch(&ann, "/beta/%24batch", many(20)["requests"].clone()).len(), 20);
    assert_eq!(app.count("select count(*) from contacts"), 20);
    let graph = GraphSettings { batch_limit: 21, ..GraphSettings::default() };
    let limited_app = TestApp::with(Setup { front_ends: graph.into(), ..Setup::default() });
    assert_eq!(batch(&limited_app.user("ann"), "/$batch", many(21)["requests"].clone()).len(), 21);
}

#[test]
fn consecutive_creates_share_a_commit_and_fail_separately() {
    let app = TestApp::new();
    let ann = app.user("ann");
    ann.get("/me").json(200);
    let mut steps: Vec<_> = (0..20).map(|i| post(&i.to_string(), &format!("n{i}"))).collect();
    steps[3]["body"] = json!({"no such": 1});
    steps[4]["url"] = json!("/me/contactFolders/nowhere/contacts");
    steps[5]["url"] = json!("/me/contacts/$ref");
    let answers = batch(&ann, "/$batch", json!(steps));
    for (id, answer) in &answers {
        let expected = match id.as_str() {
            "3" => 400,
            "4" => 404,
            _ => 201,
        };
        assert_eq!(answer["status"], expected, "{answer}");
    }
    // In their order.
    let names: Vec<_> = ann.get("/me/contacts?$top=100").json(200)["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["displayName"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (0..20).filter(|i| ![3, 4].contains(i)).map(|i| format!("n{i}")).collect();
    assert_eq!(names, expected);
    // One transaction has one time.
    let steps: Vec<_> = (0..20).map(|i| post(&i.to_string(), "same")).collect();
    batch(&ann, "/$batch", json!(steps));
    assert_eq!(
        app.count(
            "select count(distinct changed_date_time) from changes where seq > (select max(seq) - 20 from changes)"
        ),
        1
    );
}

#[test]
fn creates_are_stored_in_their_listed_order() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let outer = ann.post("/me/contactFolders", json!({"displayName": "outer"})).id();
    let inner = ann.post(&format!("/me/contactFolders/{outer}/childFolders"), json!({"displayName": "inner"})).id();
    let steps = (0..20).map(|i| {
        let mut step = post(&i.to_string(), &format!("n{i}"));
        match i % 5 {
            0 | 3 => step["headers"]["Idempotency-Key"] = json!(format!("key {i}").replace(' ', "-")),
            1 => step["url"] = json!(format!("/me/contactFolders/{outer}/childFolders/{inner}/contacts")),
            2 => step["url"] = json!("/me/contacts/$ref"),
            _ => {}
        }
        step
    });
    let answers = batch(&ann, "/$batch", steps.collect());
    assert!(answers.values().all(|answer| answer["status"] == 201), "{answers:?}");
    let list = ann.get("/me/contacts?$top=100").json(200);
    let names: Vec<_> = list["value"].as_array().unwrap().iter().map(|c| c["displayName"].as_str().unwrap()).collect();
    assert_eq!(names, (0..20).map(|i| format!("n{i}")).collect::<Vec<_>>());
}

#[test]
fn a_photo_is_base64_in_batch_requests_and_answers() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    // One transparent pixel.
    let gif = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let url = format!("/me/contacts/{id}/photo/$value");
    let put = |id: &str, body: &str| json!({"id": id, "method": "PUT", "url": url, "headers": {"Content-Type": "image/gif"}, "body": body});
    let answers = batch(
        &ann,
        "/$batch",
        json!([
            put("put", gif),
            get("get", &url),
            put("url", &gif.replace('/', "_").replace('+', "-")),
            put("bad", "!"),
            json!({"id": "object", "method": "PUT", "url": url, "body": {}}),
            json!({"id": "head", "method": "HEAD", "url": url}),
            json!({"id": "no", "method": "head", "url": "/me/contacts/x"}),
        ]),
    );
    let status = |id: &str| answers[id]["status"].as_u64().unwrap();
    assert_eq!((status("put"), status("url"), status("bad"), status("object")), (200, 200, 400, 400));
    assert_eq!(answers["get"]["body"], gif);
    assert_eq!(answers["get"]["headers"]["Content-Type"], "image/gif");
    assert_eq!(ann.get(&url).status, 200);
    // HEAD is answered without a body, as outside a batch.
    assert_eq!((status("head"), status("no")), (200, 400));
    assert_eq!(answers["head"]["headers"]["Content-Type"], "image/gif");
    assert!(answers["head"].get("body").is_none() && answers["no"].get("body").is_none());
}

#[test]
fn a_batch_of_an_application_reaches_every_mailbox_but_not_me() {
    let app = TestApp::new();
    let sync = app.user("app:sync");
    let to = |id: &str, url: &str| json!({"id": id, "method": "POST", "url": url, "body": {"displayName": id}});
    let answers = batch(
        &sync,
        "/$batch",
        json!([to("a", "/users/ann/contacts"), to("b", "/users/bob/contacts"), to("m", "/me/contacts")]),
    );
    assert_eq!(
        [&answers["a"]["status"], &answers["b"]["status"], &answers["m"]["status"]],
        [201, 201, 400].map(|n| json!(n)).each_ref()
    );
    assert_eq!(app.user("bob").get("/me/contacts").json(200)["value"][0]["displayName"], "b");
}

#[test]
fn batch_answers_over_the_total_limit_are_to_be_requested_again() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let notes = "x".repeat(1_000_000);
    for _ in 0..5 {
        assert_eq!(ann.post("/me/contacts", json!({"personalNotes": notes})).status, 201);
    }
    let steps: Vec<_> = (0..10).map(|i| get(&i.to_string(), "/me/contacts?$top=3&$select=personalNotes")).collect();
    let answers = batch(&ann, "/$batch", json!(steps));
    let status: Vec<_> = (0..10).map(|i| answers[&i.to_string()]["status"].as_u64().unwrap()).collect();
    assert_eq!(status, [200, 200, 200, 200, 200, 200, 429, 429, 429, 429]);
    assert_eq!(answers["9"]["headers"]["Retry-After"], "1");
}

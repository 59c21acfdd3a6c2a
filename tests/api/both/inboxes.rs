//! Inboxes of the control plane for tests, which are receivers of notifications inside the server.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use contactd::notify::{DeliveryTimes, NotifierSettings};
use serde_json::{Value, json};

use crate::app::{Answer, Client, Setup, TestApp};

fn controlled() -> TestApp {
    let (answer, lease) = (Duration::from_millis(1_500), Duration::from_secs(4));
    let times = DeliveryTimes { answer, lease, retry: Duration::from_millis(20) };
    let notify = NotifierSettings { times, ..NotifierSettings::default() };
    TestApp::with(Setup { controlled: true, notify, ..Setup::default() })
}

fn control(app: &TestApp, method: &str, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    Client::new(&app.address, "").send(method, &format!("/_contactd{path}"), body)
}

/// Creates an inbox. Returns its URL.
fn inbox(app: &TestApp, name: &str, spec: Value) -> String {
    let made = control(app, "POST", &format!("/inboxes/{name}"), spec).json(201);
    made["notificationUrl"].as_str().unwrap().to_owned()
}

fn subscribe(client: &Client, url: &str) -> Answer {
    let end = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let terms = json!({"changeType": "created,updated", "notificationUrl": url, "resource": "me/contacts", "expirationDateTime": end,
        "clientState": "secret"});
    client.post("/v1.0/subscriptions", terms)
}

/// The content of an inbox when nothing is pending: statuses and kinds of changes.
fn received_posts(app: &TestApp, name: &str) -> Vec<(u64, Vec<String>)> {
    control(app, "POST", "/settle", Value::Null).empty(204);
    let inbox = control(app, "GET", &format!("/inboxes/{name}"), Value::Null).json(200);
    statuses_and_changes(&inbox)
}

fn statuses_and_changes(inbox: &Value) -> Vec<(u64, Vec<String>)> {
    let kinds = |post: &Value| {
        let notices = post["body"]["value"].as_array().unwrap();
        notices.iter().map(|notice| notice["changeType"].as_str().unwrap().to_owned()).collect()
    };
    inbox["value"].as_array().unwrap().iter().map(|post| (post["status"].as_u64().unwrap(), kinds(post))).collect()
}

fn created() -> Vec<String> {
    vec!["created".to_owned()]
}

#[test]
fn an_inbox_confirms_subscriptions_and_has_all_notifications_after_settle() {
    let app = controlled();
    let ann = app.user("ann");
    let url = inbox(&app, "hooks", Value::Null);
    assert_eq!(url, format!("http://{}/_contactd/inboxes/hooks/notifications", app.address));
    let subscription = subscribe(&ann, &format!("{url}?for=ann")).json(201);
    assert_eq!(received_posts(&app, "hooks"), []);
    let made = ann.post("/v1.0/me/contacts", json!({"givenName": "Ann"})).id();
    assert_eq!(received_posts(&app, "hooks"), [(202, created())]);
    let inbox = control(&app, "GET", "/inboxes/hooks", Value::Null).json(200);
    assert_eq!((&inbox["name"], &inbox["confirmed"]), (&json!("hooks"), &json!(1)));
    let post = &inbox["value"][0];
    assert_eq!((&post["number"], &post["url"]), (&json!(1), &json!("/_contactd/inboxes/hooks/notifications?for=ann")));
    let notice = &post["body"]["value"][0];
    assert_eq!(
        (&notice["subscriptionId"], &notice["clientState"], &notice["resourceData"]["id"]),
        (&subscription["id"], &json!("secret"), &json!(made))
    );
    ann.patch(&format!("/v1.0/me/contacts/{made}"), json!({"givenName": "Anna"})).json(200);
    assert_eq!(received_posts(&app, "hooks"), [(202, created()), (202, vec!["updated".to_owned()])]);
    control(&app, "DELETE", "/inboxes/hooks", Value::Null).empty(204);
    ann.post("/v1.0/me/contacts", json!({})).json(201);
    assert_eq!(received_posts(&app, "hooks"), [(202, created())], "the subscription goes on");
    assert_eq!(
        control(&app, "GET", "/inboxes", Value::Null).json(200),
        json!({"value": [{"name": "hooks", "count": 1}]})
    );
    // None of it is in the journal.
    let journal = control(&app, "GET", "/requests?path=/_contactd/**", Value::Null).json(200);
    assert_eq!(journal["value"], json!([]));
}

#[test]
fn an_inbox_refuses_a_set_number_of_notifications_and_gets_retries() {
    let app = controlled();
    let ann = app.user("ann");
    let url = inbox(&app, "a", json!({"answers": [{"status": 503}, {"status": 500}]}));
    let id = subscribe(&ann, &url).id();
    ann.post("/v1.0/me/contacts", json!({})).json(201);
    let waited = control(&app, "POST", "/inboxes/a/wait", json!({"count": 3, "timeout": "PT30S"})).json(200);
    assert_eq!(statuses_and_changes(&waited), [(503, created()), (500, created()), (202, created())]);
    // The last notification is recorded after it arrives.
    control(&app, "POST", "/settle", Value::Null).empty(204);
    let deliveries = ann.get(&format!("/subscriptions/{id}/deliveries")).json(200);
    assert_eq!(deliveries["value"].as_array().unwrap().len(), 3);
    // An inbox that answers too late.
    let changed = control(&app, "POST", "/inboxes/a", json!({"delay": "PT3S"})).json(200);
    assert_eq!((&changed["answer"], &changed["delay"]), (&json!({"status": 202}), &json!("PT3S")));
    ann.post("/v1.0/me/contacts", json!({})).json(201);
    let waited = control(&app, "POST", "/inboxes/a/wait", json!({"count": 5, "timeout": "PT30S"})).json(200);
    assert!(statuses_and_changes(&waited).len() >= 5, "it was sent again");
}

#[test]
fn an_unconfirmed_inbox_gets_no_subscription_and_other_addresses_stay_refused() {
    let app = controlled();
    let ann = app.user("ann");
    let url = inbox(&app, "a", json!({"confirms": false}));
    let refused = subscribe(&ann, &url);
    assert_eq!(refused.error(), (400, "ValidationError".to_owned(), "notificationUrl".to_owned()));
    assert!(refused.message().contains("a host that responds with 400 and not 200"), "{}", refused.message());
    control(&app, "POST", "/inboxes/a", Value::Null).json(200);
    for other in [
        url.replace("/a/", "/b/"),
        url.replace("/_contactd/", "/"),
        url.replace("http:", "https:"),
        url.replace("/notifications", "/notifications/x"),
    ] {
        assert_eq!(subscribe(&ann, &other).error().0, 400, "{other}");
    }
    assert_eq!(subscribe(&ann, &url).status, 201);
    control(&app, "POST", "/reset", Value::Null).empty(204);
    assert_eq!(control(&app, "GET", "/inboxes/a", Value::Null).status, 404);
    assert_eq!(subscribe(&ann, &url).error().0, 400, "it is there no more");
}

#[test]
fn an_inbox_is_reachable_over_http_and_a_wait_reports_its_content() {
    let app = controlled();
    let url = inbox(&app, "a", json!({"answer": {"status": 418}}));
    let path = url.strip_prefix(&format!("http://{}", app.address)).unwrap();
    let client = Client::new(&app.address, "");
    let confirmed = client.post(&format!("{path}?validationToken=a%20b%2Bc"), "");
    assert_eq!((confirmed.status, confirmed.text().as_str()), (200, "a b+c"));
    assert_eq!(confirmed.header("content-type"), "text/plain");
    let late = control(&app, "POST", "/inboxes/a/wait", json!({"timeout": "PT0.02S"})).json(408);
    assert_eq!(
        (&late["error"]["message"], &late["value"]),
        (&json!("0 of 1 notifications arrived in time."), &json!([]))
    );
    client.post(path, r#"{"b": 1, "a": 2}"#).empty(418);
    let waited = control(&app, "POST", "/inboxes/a/wait", Value::Null);
    assert!(waited.text().contains(r#""body":{"b": 1, "a": 2}"#), "as it was sent: {}", waited.text());
}

#[test]
fn unknown_inbox_members_are_refused_by_name() {
    let app = controlled();
    for (method, path, body, expected) in [
        ("POST", "/inboxes/a%20b", json!({}), (400, "name")),
        ("POST", "/inboxes/a", json!({"answer": {"status": 99}}), (400, "answer/status")),
        ("POST", "/inboxes/a", json!({"answers": [{"status": 200}, {"status": 600}]}), (400, "answers/1/status")),
        ("POST", "/inboxes/a", json!({"answer": {}}), (400, "answer")),
        ("POST", "/inboxes/a", json!({"delay": "PT1H"}), (400, "delay")),
        ("POST", "/inboxes/a", json!({"confirm": true}), (400, "confirm")),
        ("POST", "/inboxes/a?x=1", json!({}), (400, "x")),
        ("GET", "/inboxes/a", Value::Null, (404, "")),
        ("DELETE", "/inboxes/a", Value::Null, (404, "")),
        ("POST", "/inboxes/a/wait", json!({}), (404, "")),
        ("POST", "/inboxes/a/notifications", json!({}), (404, "")),
        ("PUT", "/inboxes/a", json!({}), (405, "")),
    ] {
        let (status, _, target) = control(&app, method, path, body).error();
        assert_eq!((status, target.as_str()), expected, "{method} {path}");
    }
    assert_eq!(control(&app, "GET", "/inboxes", Value::Null).json(200), json!({"value": []}));
}

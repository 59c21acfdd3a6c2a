//! What depends on a stopped clock. The clock belongs to the process, so each test runs the program.

use serde_json::{Value, json};

use crate::app::{Answer, Client};
use crate::program::{Program, contactd};

struct Stopped(Program);

impl Stopped {
    fn new() -> Self {
        Self::with(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"])
    }

    fn with(arguments: &[&str]) -> Self {
        let stopped = Self(Program::start(contactd(arguments)));
        let now = json!({"mode": "frozen", "now": "2026-01-01T00:00:00Z"});
        stopped.control("PUT", "/clock", now).json(200);
        stopped
    }

    fn control(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = (!body.is_null()).then(|| body.to_string().into_bytes());
        Client::new(&self.0.address, "").send(method, &format!("/_contactd{path}"), body)
    }

    fn advance(&self, by: &str) -> Value {
        self.control("POST", "/clock/advance", json!({"by": by})).json(200)
    }

    /// The statuses that an inbox has answered so far.
    fn answered(&self) -> Vec<Value> {
        let inbox = self.control("GET", "/inboxes/a", Value::Null).json(200);
        inbox["value"].as_array().unwrap().iter().map(|post| post["status"].clone()).collect()
    }
}

#[test]
fn a_failed_notification_is_retried_when_the_stopped_clock_is_advanced() {
    let stopped = Stopped::new();
    let ann = stopped.0.user("ann");
    let inbox = stopped.control("POST", "/inboxes/a", json!({"answers": [{"status": 503}, {"status": 503}]})).json(201);
    let terms = json!({"changeType": "created", "notificationUrl": inbox["notificationUrl"], "resource": "me/contacts",
        "expirationDateTime": "2026-01-01T01:00:00Z", "lifecycleNotificationUrl": inbox["notificationUrl"]});
    ann.post("/v1.0/subscriptions", terms).json(201);
    ann.post("/v1.0/me/contacts", json!({"givenName": "Ann"})).json(201);
    stopped.control("POST", "/settle", Value::Null).empty(204);
    assert_eq!(stopped.answered(), [503]);
    stopped.control("POST", "/settle", Value::Null).empty(204);
    assert_eq!(stopped.answered(), [503], "the first retry is due after ten seconds");
    stopped.advance("PT10S");
    assert_eq!(stopped.answered(), [503, 503]);
    stopped.advance("PT29S");
    assert_eq!(stopped.answered(), [503, 503], "and the second after thirty");
    stopped.advance("PT1S");
    assert_eq!(stopped.answered(), [503, 503, 202]);
    // The expiry of the subscription is notified too.
    stopped.control("DELETE", "/inboxes/a", Value::Null).empty(204);
    let done = stopped.advance("PT2H")["done"].take();
    assert_eq!(done["subscriptionsEnded"], 1);
    let inbox = stopped.control("GET", "/inboxes/a", Value::Null).json(200);
    assert_eq!(inbox["value"][0]["body"]["value"][0]["lifecycleEvent"], "subscriptionRemoved");
}

#[test]
fn the_quota_and_retry_after_of_a_fault_follow_the_stopped_clock() {
    let stopped = Stopped::new();
    let fault = json!({"match": {"user": "ann"}, "throttle": {"requests": 1, "per": "PT10S"}});
    stopped.control("POST", "/faults", fault).json(201);
    let asked = || {
        let answer = stopped.0.user("ann").get("/me/contacts");
        (answer.status, answer.header("retry-after"))
    };
    assert_eq!(asked(), (200, String::new()));
    assert_eq!(asked(), (429, "10".to_owned()));
    stopped.advance("PT3.5S");
    assert_eq!(asked(), (429, "7".to_owned()));
    stopped.advance("PT6.5S");
    assert_eq!(asked(), (200, String::new()));
    assert_eq!(asked().0, 429);
}

#[test]
fn the_windows_of_graphs_limits_follow_the_stopped_clock() {
    let throttled = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:", "--throttle", "graph"];
    let stopped = Stopped::with(&throttled);
    let ann = stopped.0.user("ann");
    let padding = json!({"@odata.padding": ""}).to_string().len();
    let sends = |bytes: usize| {
        let answer = ann.post("/me/contacts", json!({"@odata.padding": "x".repeat(bytes - padding)}));
        (answer.status, answer.header("retry-after"))
    };
    // 15 MB in 30 seconds.
    let fill = || [4, 4, 4, 3].map(|megabytes: usize| sends(megabytes << 20).0);
    assert_eq!(fill(), [201; 4]);
    assert_eq!(sends(100), (429, "30".to_owned()));
    stopped.advance("PT12.5S");
    assert_eq!(sends(100), (429, "18".to_owned()));
    stopped.advance("PT17.5S");
    assert_eq!(fill(), [201; 4]);
    assert_eq!(sends(100).0, 429);
    // A reset, which sets the clock back, also starts a new window.
    stopped.control("POST", "/reset", json!({})).empty(204);
    assert_eq!(sends(100).0, 201);
}

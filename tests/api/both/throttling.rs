//! Limits for one caller: by token, by address, concurrent, and as Graph throttles. A refused request has had no
//! effect.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use contactd::http::authenticate::Access;
use contactd::http::{Limits, MAX_BODY, Settings};
use contactd::{GraphSettings, MailboxLimits};
use serde_json::{Value, json};

use crate::app::{Answer, Setup, TestApp};

const CONTACTS: &str = "select count(*) from contacts";

fn app(limits: Limits) -> TestApp {
    TestApp::with(Setup { settings: Settings { limits, ..Settings::default() }, ..Setup::default() })
}

/// Asserts a refusal with its Retry-After and message.
#[track_caller]
fn assert_throttled(answer: &Answer, code: &str, wait: std::ops::RangeInclusive<u64>, words: &str) {
    assert_eq!(answer.error(), (429, code.to_owned(), String::new()), "{}", answer.message());
    assert!(wait.contains(&answer.header("retry-after").parse().unwrap()), "{}", answer.header("retry-after"));
    assert!(answer.message().starts_with(words), "{}", answer.message());
}

/// Repeats a request until it is refused. Asserts the number of served ones: ten, and one more for each second.
fn until_throttled(ask: impl Fn() -> Answer) -> (i64, Answer) {
    for asked in 0..200 {
        let answer = ask();
        if answer.status == 429 {
            assert!(asked >= 10, "{asked}");
            return (asked, answer);
        }
    }
    panic!("nothing is refused");
}

/// Sends a batch of this many creates. Returns the statuses of its steps.
fn creates(answer: &Answer) -> Vec<u64> {
    let answers = answer.json(200)["responses"].as_array().unwrap().clone();
    for refused in answers.iter().filter(|answer| answer["status"] == 429) {
        assert!(refused["headers"]["Retry-After"].as_str().unwrap().parse::<u64>().unwrap() >= 1, "{refused}");
        assert!(
            ["TooManyRequests", "ApplicationThrottled"].contains(&refused["body"]["error"]["code"].as_str().unwrap())
        );
    }
    answers.iter().map(|answer| answer["status"].as_u64().unwrap()).collect()
}

fn batch(count: usize, step: &Value) -> Value {
    let steps = (0..count).map(|i| {
        let mut step = step.clone();
        step["id"] = json!(i.to_string());
        step
    });
    json!({"requests": steps.collect::<Vec<_>>()})
}

/// A create whose head is accepted and whose body is not sent.
fn create_without_body(app: &TestApp, token: &str) -> TcpStream {
    // A known token is admitted at once.
    app.user(token).get("/me").json(200);
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(
        stream,
        "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    .unwrap();
    let mut answer = [0; 25];
    // The interim answer shows that the request is being served.
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Sends the body. Returns the status.
fn send_body(mut stream: TcpStream) -> String {
    stream.write_all(b"{}").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

#[test]
fn a_token_over_its_rate_is_throttled_and_others_are_not() {
    // Ten requests at once, then one per second. No test machine is slow enough to stay below this rate.
    let app = app(Limits { rate: 1, ..Limits::default() });
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let (created, refused) = until_throttled(|| ann.post("/me/contacts", "{}"));
    assert_throttled(&refused, "TooManyRequests", 1..=1, "Too many requests of this token");
    assert_eq!(app.count(CONTACTS), created);
    bob.post("/me/contacts", "{}").json(201);
    // Every spelling of a token counts as one.
    let cid = app.user("cid");
    let spelled = app.user("").with("Authorization", "bearer   cid ");
    let turn = std::cell::Cell::new(false);
    let (_, refused) = until_throttled(|| if turn.replace(!turn.get()) { cid.get("/me") } else { spelled.get("/me") });
    assert_throttled(&refused, "TooManyRequests", 1..=1, "Too many requests of this token");
    // Calls without a token count for no caller.
    for _ in 0..20 {
        assert_eq!(ann.get("/healthz").status, 200);
    }
    std::thread::sleep(Duration::from_millis(1_100));
    ann.get("/me").json(200);
}

#[test]
fn each_step_of_a_batch_counts_and_the_batch_is_answered() {
    let app = app(Limits { rate: 1, ..Limits::default() });
    let create = json!({"method": "POST", "url": "/me/contacts", "body": {}});
    let statuses = creates(&app.user("ann").post("/$batch", batch(12, &create)));
    assert_eq!(statuses, [[201; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(app.count(CONTACTS), 10);
}

#[test]
fn an_address_that_asks_too_often_waits_and_the_proxy_tells_which_it_is() {
    let limits = Limits { rate_address: 1, forwarded: true, ..Limits::default() };
    let app = app(limits);
    let from = |address: &str, token: &str| app.user(token).with("X-Forwarded-For", address);
    // With any token or none, from any address of one network.
    let turn = std::cell::Cell::new(0);
    let (_, refused) = until_throttled(|| match turn.replace(turn.get() + 1) % 4 {
        0 => from("198.51.100.7, 2001:db8::1", "bob").get("/me"),
        1 => from("2001:db8::2", "").get("/me"),
        2 => from("2001:db8::3", "").get("/healthz"),
        turn => from("2001:db8::4", &format!("user{turn}")).get("/me"),
    });
    assert_throttled(&refused, "TooManyRequests", 1..=1, "Too many requests of this address");
    from("2001:db8:0:1::2", "ann").post("/me/contacts", "{}").json(201);
    from("198.51.100.7", "ann").post("/me/contacts", "{}").json(201);
    assert_eq!(app.count(CONTACTS), 2);
    // Without a trusted proxy the address is that of the connection.
    let app = self::app(Limits { forwarded: false, ..limits });
    let turn = std::cell::Cell::new(0);
    let other = || format!("198.51.100.{}", turn.replace(turn.get() + 1));
    until_throttled(|| app.user("ann").with("X-Forwarded-For", &other()).get("/me"));
}

#[test]
fn concurrent_requests_are_limited_per_token_and_in_total() {
    let limits = Limits { requests: 3, requests_each: 2, ..Limits::default() };
    let app = app(limits);
    let held = [create_without_body(&app, "ann"), create_without_body(&app, "ann")];
    let refused = app.user("ann").post("/me/contacts", "{}");
    assert_throttled(&refused, "TooManyRequests", 1..=1, "Too many concurrent requests of this token or address");
    // Other callers at the same address are not affected.
    app.user("cid").post("/me/contacts", "{}").json(201);
    assert_eq!(app.user("").get("/healthz").status, 200);
    assert_eq!(held.map(send_body), ["201", "201"]);
    app.user("ann").post("/me/contacts", "{}").json(201);
    assert_eq!(app.count(CONTACTS), 4);

    let app = self::app(Limits { requests_each: 100, ..limits });
    let held = ["ann", "bob", "cid"].map(|name| create_without_body(&app, name));
    let refused = app.user("dan").post("/me/contacts", "{}");
    assert_eq!(refused.error(), (503, "serviceNotAvailable".into(), String::new()));
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.message().contains("Nothing was done"), "{}", refused.message());
    assert_eq!(app.user("").get("/healthz").status, 200);
    // A request whose client disconnects is no longer counted.
    drop(held);
    while app.user("dan").get("/me").status == 503 {}
    app.user("dan").post("/me/contacts", "{}").json(201);
    assert_eq!(app.count(CONTACTS), 1);
}

/// A request that announces a body and does not send it.
fn send_head(app: &TestApp, request: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&app.address).unwrap();
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Length: 60000\r\n\r\n").unwrap();
    stream
}

#[test]
fn requests_whose_bodies_never_come_keep_nobody_out_while_they_are_waited_for() {
    let app = app(Limits { requests: 3, requests_each: 2, ..Limits::default() });
    app.user("bob").get("/me").json(200);
    let requests =
        [("POST /me/contacts", ""), ("POST /nothing", "bob"), ("POST /me/contacts", "bob"), ("GET /me", "bob")];
    let held: Vec<_> = (0..40).map(|i| send_head(&app, requests[i % 4].0, requests[i % 4].1)).collect();
    for _ in 0..10 {
        // The server has not seen this token yet.
        app.user("ann").post("/me/contacts", "{}").json(201);
    }
    assert_eq!(app.count(CONTACTS), 10);
    drop(held);
}

#[test]
fn a_place_is_given_back_before_the_rest_of_a_body_is_waited_for() {
    let app = app(Limits { requests_each: 1, ..Limits::default() });
    app.user("ann").get("/me").json(200);
    // The body has a timeout of one second. If the machine was suspended meanwhile, this is repeated.
    let is_free_before_the_answer = || {
        let waits = send_head(&app, "GET /me", "ann");
        waits.set_nonblocking(true).unwrap();
        while app.user("ann").get("/me").status == 429 {}
        waits.peek(&mut [0]).is_err()
    };
    assert!((0..20).any(|_| is_free_before_the_answer()));
}

#[test]
fn who_tries_tokens_is_found_out_and_a_token_that_proves_good_is_let_in() {
    let access = Access::tokens("ann=secret-a,bob=secret-b").unwrap();
    let app = TestApp::with(Setup { access: Some(access), ..Setup::default() });
    for i in 0..1_000 {
        let answer = app.user(&format!("guess-{i}")).get("/me");
        assert_eq!(answer.error(), (401, "InvalidAuthenticationToken".into(), String::new()), "{i}");
    }
    let mut refused = app.user("guess").get("/me");
    // The limit is refilled with ten per second.
    for i in 0..1_000 {
        if refused.status == 429 {
            break;
        }
        refused = app.user(&format!("guess-again-{i}")).get("/me");
    }
    assert_throttled(&refused, "TooManyRequests", 1..=1, "The token is unknown, and the address");
    // A request without a token does not count as a guess.
    assert_eq!(app.user("").get("/me").status, 401);
    // A valid token that was not used since the start, from the settings or created meanwhile.
    app.user("secret-a").post("/me/contacts", "{}").json(201);
    assert_eq!(app.count(CONTACTS), 1);
}

fn as_graph(limits: MailboxLimits) -> TestApp {
    let graph = GraphSettings { throttle: Some(limits), ..GraphSettings::default() };
    TestApp::with(Setup { front_ends: graph.into(), ..Setup::default() })
}

#[test]
fn as_in_graph_the_request_after_ten_thousand_is_the_one_that_is_refused() {
    // In batches, since the steps are counted; all within a second or two.
    let app = as_graph(MailboxLimits { app_requests: u64::MAX, ..MailboxLimits::of_graph() });
    let ann = app.user("ann");
    let read = batch(20, &json!({"method": "GET", "url": "/me?$select=id"}));
    for i in 0..499 {
        assert_eq!(creates(&ann.post("/$batch", &read)), [200; 20], "{i}");
    }
    let create = json!({"method": "POST", "url": "/users/ann/contacts", "body": {}});
    assert_eq!(creates(&ann.post("/$batch", batch(20, &create))), [201; 20]);
    for path in ["/me/contacts", "/users/ANN/contacts"] {
        let refused = ann.post(path, "{}");
        assert_throttled(&refused, "ApplicationThrottled", 1..=600, "Application is over its MailboxRequests limit.");
    }
    assert_eq!(creates(&ann.post("/$batch", batch(2, &create))), [429; 2]);
    assert_eq!(app.count(CONTACTS), 20);
    // Another app has its own limit in the same mailbox.
    app.user("app:sync").post("/users/ann/contacts", "{}").json(201);
}

#[test]
fn as_in_graph_the_fifth_request_at_once_is_the_one_that_is_refused() {
    let app = as_graph(MailboxLimits::of_graph());
    let mut held: Vec<_> = (0..4).map(|_| create_without_body(&app, "ann")).collect();
    for _ in 0..3 {
        let refused = app.user("ann").post("/me/contacts", "{}");
        assert_throttled(&refused, "ApplicationThrottled", 1..=1, "Application is over its MailboxConcurrency limit.");
    }
    app.user("bob").post("/me/contacts", "{}").json(201);
    assert_eq!(send_body(held.remove(0)), "201");
    app.user("ann").post("/me/contacts", "{}").json(201);
    // A batch counts as one request, however many steps it has.
    let create = json!({"method": "POST", "url": "/me/contacts", "body": {}});
    assert_eq!(creates(&app.user("ann").post("/$batch", batch(20, &create))), [201; 20]);
    held.push(create_without_body(&app, "ann"));
    assert_eq!(creates(&app.user("ann").post("/$batch", batch(20, &create))), [429; 20]);
    assert_eq!(app.count(CONTACTS), 23);
}

#[test]
fn as_in_graph_what_passes_fifteen_megabytes_in_thirty_seconds_is_refused() {
    let app = as_graph(MailboxLimits::of_graph());
    let ann = app.user("ann");
    let padding = json!({"@odata.padding": ""}).to_string().len();
    let body = |size: usize| json!({"@odata.padding": "x".repeat(size - padding)}).to_string();
    for size in [MAX_BODY, MAX_BODY, MAX_BODY, (3 << 20) - 2] {
        ann.post("/me/contacts", body(size)).json(201);
    }
    let refused = ann.post("/me/contacts", r#"{"a":1}"#);
    assert_throttled(&refused, "ApplicationThrottled", 1..=30, "Application is over its MailboxUpload limit.");
    ann.post("/me/contacts", "{}").json(201);
    ann.get("/me/contacts?$select=id").json(200);
    assert_eq!(app.count(CONTACTS), 5);
}

#[test]
fn as_in_graph_an_app_has_so_many_requests_a_second() {
    let app = as_graph(MailboxLimits { app_requests: 5, ..MailboxLimits::of_graph() });
    let create = json!({"method": "POST", "url": "/me/contacts", "body": {}});
    // Creates share a commit, so they fit within the second.
    let statuses = creates(&app.user("ann").post("/$batch", batch(20, &create)));
    assert_eq!(statuses, [[201; 5].as_slice(), &[429; 15]].concat());
    assert_eq!(app.count(CONTACTS), 5);
}

//! Subscriptions: permissions and validation.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use contactd::notify::{self, DeliveryTimes};
use serde_json::{Value, json};

use crate::app::{Client, Setup, TestApp};
use crate::receiver::{Behaviour, Receiver};

fn quick() -> DeliveryTimes {
    DeliveryTimes {
        answer: Duration::from_millis(800),
        lease: Duration::from_secs(10),
        retry: Duration::from_millis(2),
    }
}

/// A server that may notify loopback addresses.
pub fn set_up() -> Setup {
    let notify =
        notify::NotifierSettings { allowed: vec!["127.0.0.1".parse().unwrap()], times: quick(), ..Default::default() };
    Setup { notify, ..Setup::default() }
}

pub fn start() -> TestApp {
    TestApp::with(set_up())
}

/// With a long timeout for answers.
pub fn patient() -> TestApp {
    with_times(DeliveryTimes { answer: Duration::from_secs(50), lease: Duration::from_secs(100), ..persistent() })
}

/// Retries for longer than half a minute, so that a slow test on a busy machine does not fail.
pub fn start_persistent() -> TestApp {
    with_times(persistent())
}

fn persistent() -> DeliveryTimes {
    DeliveryTimes { retry: Duration::from_millis(20), ..quick() }
}

fn with_times(times: DeliveryTimes) -> TestApp {
    let set_up = set_up();
    TestApp::with(Setup { notify: notify::NotifierSettings { times, ..set_up.notify }, ..set_up })
}

pub fn after(seconds: i64) -> String {
    (Utc::now() + TimeDelta::seconds(seconds)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub fn terms(resource: &str, url: &str) -> Value {
    json!({
        "changeType": "created,updated,deleted", "notificationUrl": url, "resource": resource,
        "expirationDateTime": after(3600), "clientState": "secret",
    })
}

pub fn subscribe(client: &Client, resource: &str, url: &str) -> String {
    client.post("/subscriptions", terms(resource, url)).json(201)["id"].as_str().unwrap().to_owned()
}

pub fn with(mut terms: Value, name: &str, value: Value) -> Value {
    terms[name] = value;
    terms
}

#[test]
fn a_subscription_is_confirmed_shown_listed_renewed_and_deleted() {
    let (app, receiver) = (start(), Receiver::new());
    for (prefix, version) in [("", ""), ("/beta", "/beta"), ("/v1.0", "/v1.0")] {
        let ann = app.user("ann");
        let terms = json!({
            "@odata.type": "#microsoft.graph.subscription", "changeType": "Updated,created", "resource": "/me/contacts",
            "notificationUrl": receiver.url("/n?a=b"), "lifecycleNotificationUrl": receiver.url("/l"),
            "expirationDateTime": after(600).replace('Z', ".5+00:00"), "clientState": "é".repeat(128),
            "latestSupportedTlsVersion": "v1_3", "includeResourceData": false, "id": "mine", "encryptionCertificate": null,
        });
        let created = ann.post(&format!("{prefix}/subscriptions"), &terms);
        let mut expected = json!({
            "@odata.context": format!("http://{}{version}/$metadata#subscriptions/$entity", app.address),
            "id": created.id(), "resource": "/me/contacts", "applicationId": null, "changeType": "updated,created",
            "clientState": "é".repeat(128), "notificationUrl": receiver.url("/n?a=b"),
            "lifecycleNotificationUrl": receiver.url("/l"),
            "expirationDateTime": terms["expirationDateTime"].as_str().unwrap().replace(".5+00:00", "Z"),
            "creatorId": "ann", "latestSupportedTlsVersion": "v1_3", "includeResourceData": false,
            "encryptionCertificate": null, "encryptionCertificateId": null, "notificationQueryOptions": null,
            "notificationUrlAppId": null,
        });
        assert_eq!(created.json(201), expected);
        let path = format!("{prefix}/subscriptions/{}", created.id());
        assert_eq!(created.header("location"), format!("http://{}{path}", app.address));
        // It expires soon, and this may be notified meanwhile.
        let validations =
            receiver.requests().into_iter().filter(|got| got.path.contains("validationToken=")).collect::<Vec<_>>();
        let validations = &validations[validations.len() - 2..];
        assert!(
            validations[0].path.starts_with("/n?a=b&validationToken=")
                && validations[1].path.starts_with("/l?validationToken=")
        );
        assert!(validations.iter().all(|got| got.head.starts_with("POST ") && got.body.is_empty()));
        assert_eq!(ann.get(&path).json(200), expected);
        assert_eq!(ann.post(&format!("{path}/reauthorize"), "").status, 204);
        let renewed = after(1200);
        expected["expirationDateTime"] = json!(renewed);
        assert_eq!(ann.patch(&path, json!({"expirationDateTime": renewed})).json(200), expected);
        let bare = ann.with("Accept", "application/json;odata.metadata=none").get(&format!("{prefix}/subscriptions"));
        expected.as_object_mut().unwrap().remove("@odata.context");
        assert_eq!(serde_json::from_slice::<Value>(&bare.body).unwrap(), json!({"value": [expected]}));
        let list = ann.get(&format!("{prefix}/subscriptions")).json(200);
        assert_eq!(list["@odata.context"], format!("http://{}{version}/$metadata#subscriptions", app.address));
        assert_eq!(list["value"], json!([expected]));
        ann.delete(&path).empty(204);
        for gone in [ann.get(&path), ann.delete(&path), ann.patch(&path, json!({"expirationDateTime": renewed}))] {
            assert_eq!(gone.error(), (404, "ErrorItemNotFound".into(), String::new()));
        }
    }
    let minimal = app
        .user("ann")
        .with("Prefer", "return=minimal")
        .post("/subscriptions", terms("me/contacts", &receiver.url("/")));
    minimal.empty(204);
    assert_eq!(minimal.header("odata-entityid"), minimal.header("location"));
    assert_eq!(app.count("select count(*) from subscriptions"), 1);
}

#[test]
fn a_renewal_may_repeat_its_values_and_a_new_url_is_confirmed() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let lifecycle = json!(receiver.url("/l"));
    let made = ann
        .post("/subscriptions", with(terms("me/contacts", &receiver.url("/a")), "lifecycleNotificationUrl", lifecycle));
    let (path, mut shown) = (format!("/subscriptions/{}", made.id()), made.json(201));
    let request_count = |path: &str| receiver.requests().iter().filter(|got| got.path.starts_with(path)).count();
    // The whole subscription as it was read; and each member together with the expiry, also in other spellings.
    shown["expirationDateTime"] = json!(after(4000));
    assert_eq!(ann.patch(&path, &shown).json(200), shown);
    for (name, value) in [
        ("notificationUrl", receiver.url("/a")),
        ("resource", "/me/contacts/".to_owned()),
        ("changeType", "deleted, Created,updated".to_owned()),
        ("clientState", "secret".to_owned()),
        ("latestSupportedTlsVersion", "v1_2".to_owned()),
    ] {
        let body = json!({name: value, "expirationDateTime": shown["expirationDateTime"]});
        assert_eq!(ann.patch(&path, body).json(200), shown, "{name}");
    }
    assert_eq!((request_count("/a"), request_count("/l")), (1, 1), "nobody is asked again");
    // Another URL is validated first, and then notified.
    shown["notificationUrl"] = json!(receiver.url("/b"));
    assert_eq!(ann.patch(&path, json!({"notificationUrl": receiver.url("/b")})).json(200), shown);
    assert_eq!((request_count("/a"), request_count("/b")), (1, 1));
    ann.post("/me/contacts", "{}");
    receiver.wait("/b", 1);
    assert_eq!(request_count("/a"), 1);
    // A URL that does not confirm or is not allowed, or a change of another member, changes nothing.
    receiver.set(Behaviour::AnswersWith("HTTP/1.1 404 Not Found\r\n\r\n".to_owned()));
    for (body, code, target) in [
        (json!({"notificationUrl": receiver.url("/c")}), "ValidationError", "notificationUrl"),
        (json!({"notificationUrl": "ftp://x/", "expirationDateTime": after(60)}), "ValidationError", "notificationUrl"),
        (
            json!({"notificationUrl": receiver.url("/c"), "resource": "me/contactFolders"}),
            "RequestBodyRead",
            "resource",
        ),
        (json!({"expirationDateTime": after(60), "changeType": "created"}), "RequestBodyRead", "changeType"),
        (
            json!({"expirationDateTime": after(60), "lifecycleNotificationUrl": "x"}),
            "RequestBodyRead",
            "lifecycleNotificationUrl",
        ),
        (json!({"clientState": "secret"}), "RequestBodyRead", "expirationDateTime"),
    ] {
        assert_eq!(ann.patch(&path, &body).error(), (400, code.into(), target.into()), "{body}");
    }
    let fields = ["resource", "changeType", "notificationUrl", "expirationDateTime", "clientState"];
    let now = ann.get(&path).json(200);
    assert!(fields.iter().all(|name| now[name] == shown[name]), "{now}");
}

#[test]
fn an_unconfirmed_subscription_is_not_created() {
    let (app, receiver, elsewhere) = (start(), Receiver::new(), Receiver::new());
    let ann = app.user("ann");
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    for (says, why) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nDECODED".to_owned(), "responds with 404"),
        ("HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\n\r\nDECODED".to_owned(), "responds with 202"),
        ("HTTP/1.1 200 OK\r\n\r\nDECODED".to_owned(), "not text/plain"),
        ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\"DECODED\"".to_owned(), "not text/plain"),
        (format!("{ok}\r\nTOKEN"), "validationToken"),
        (format!("{ok}\r\nDECODED "), "validationToken"),
        (format!("{ok}\r\n"), "validationToken"),
        (format!("{ok}Content-Length: 9999\r\n\r\nDECODED"), "is incomplete"),
        (format!("{ok}\r\n{}", "x".repeat(65 << 10)), "65536 bytes"),
        (format!("{ok}X: {}\r\n\r\nDECODED", "x".repeat(40 << 10)), "HTTP"),
        (format!("{ok}{}\r\nDECODED", "X: y\r\n".repeat(200)), "HTTP"),
        ("nonsense".to_owned(), "HTTP"),
        (String::new(), "HTTP"),
        (format!("HTTP/1.1 307 Go\r\nLocation: {}\r\n\r\n", elsewhere.url("/")), "responds with 307"),
    ] {
        receiver.set(Behaviour::AnswersWith(says.clone()));
        let refused = ann.post("/subscriptions", terms("me/contacts", &receiver.url("/")));
        assert_eq!(refused.error(), (400, "ValidationError".into(), "notificationUrl".into()), "{says}");
        assert!(refused.message().contains(why), "{says}: {}", refused.message());
        // The same for the other path.
        let fine =
            with(terms("me/contacts", &elsewhere.url("/")), "lifecycleNotificationUrl", json!(receiver.url("/")));
        assert_eq!(ann.post("/subscriptions", fine).error().2, "lifecycleNotificationUrl");
    }
    assert!(elsewhere.requests().iter().all(|got| got.path.contains("validationToken")), "a redirect was followed");
    let port = receiver.port;
    drop(receiver);
    let unanswered = ann.post("/subscriptions", terms("me/contacts", &format!("http://127.0.0.1:{port}/")));
    assert_eq!(unanswered.error(), (400, "ValidationError".into(), "notificationUrl".into()));
    // A receiver that accepts the connection and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let late = ann.post("/subscriptions", terms("me/contacts", &url));
    assert!(late.message().contains("within 800 ms"), "{}", late.message());
    assert_eq!(app.count("select count(*) from subscriptions"), 0);
}

#[test]
fn what_is_not_public_is_not_called() {
    let (app, receiver) = (TestApp::new(), Receiver::new());
    let ann = app.user("ann");
    let port = receiver.port;
    // An unknown name gets the same answer as one in the operator's network. No resolver is asked for a label
    // of 64 letters.
    let unresolvable = format!("https://{}.example", "x".repeat(64));
    for (host, why) in [
        (unresolvable.as_str(), "names a host that has no public address."),
        ("https://localhost", "names a host that has no public address."),
        ("https://127.0.0.1", "names a host that has no public address."),
        ("https://127.1", "names a host that has no public address."),
        ("https://2130706433", "names a host that has no public address."),
        ("https://[::1]", "names a host that has no public address."),
        ("https://[::ffff:127.0.0.1]", "names a host that has no public address."),
        ("https://0.0.0.0", "names a host that has no public address."),
        ("https://169.254.169.254", "names a host that has no public address."),
        ("http://127.0.0.1", "https://"),
        ("http://localhost", "https://"),
        ("ftp://localhost", "https://"),
        ("https://user:password@localhost", "HOST:PORT"),
    ] {
        let url = format!("{host}:{port}/");
        let refused = ann.post("/subscriptions", terms("me/contacts", &url));
        assert_eq!(refused.error(), (400, "ValidationError".into(), "notificationUrl".into()), "{url}");
        assert!(refused.message().contains(why), "{url}: {}", refused.message());
    }
    assert_eq!(receiver.requests().len(), 0);
    assert_eq!(app.count("select count(*) from subscriptions"), 0);
}

#[test]
fn hosts_that_are_slow_to_confirm_hold_up_no_subscriptions_of_others() {
    let app = patient();
    let slow = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", slow.local_addr().unwrap());
    std::thread::scope(|scope| {
        let creates =
            (0..4).map(|_| scope.spawn(|| app.user("ann").post("/subscriptions", terms("me/contacts", &url))));
        let creates: Vec<_> = creates.collect();
        let held: Vec<_> = (0..4).map(|_| slow.accept().unwrap().0).collect();
        let refused = app.user("ann").post("/subscriptions", terms("me/contacts", &url));
        assert_eq!(refused.error(), (429, "TooManyRequests".into(), String::new()));
        assert_eq!(refused.header("retry-after"), "1");
        assert!(refused.message().starts_with("Too many subscriptions of this creator"), "{}", refused.message());
        subscribe(&app.user("bob"), "me/contacts", &Receiver::new().url("/"));
        drop(held);
        for create in creates {
            assert_eq!(create.join().unwrap().error().0, 400);
        }
    });
    // Each slot is released.
    let receiver = Receiver::new();
    for _ in 0..5 {
        subscribe(&app.user("ann"), "me/contacts", &receiver.url("/"));
    }
    assert_eq!(app.count("select count(*) from subscriptions"), 6);
}

#[test]
fn an_invalid_subscription_is_refused_before_validation() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let valid = terms("me/contacts", &receiver.url("/"));
    let id = "01890000-0000-7000-8000-000000000000";
    for (name, value, code) in [
        ("changeType", json!("moved"), "RequestBodyRead"),
        ("changeType", json!(""), "RequestBodyRead"),
        ("changeType", json!(["created"]), "RequestBodyRead"),
        ("changeType", Value::Null, "RequestBodyRead"),
        ("notificationUrl", Value::Null, "RequestBodyRead"),
        ("notificationUrl", json!("nowhere"), "ValidationError"),
        ("lifecycleNotificationUrl", json!("ftp://x/"), "ValidationError"),
        ("expirationDateTime", json!("tomorrow"), "RequestBodyRead"),
        ("expirationDateTime", json!(after(-1)), "ErrorPropertyValidationFailure"),
        ("expirationDateTime", json!(after(10_080 * 60 + 60)), "ErrorPropertyValidationFailure"),
        ("expirationDateTime", json!("9999-12-31T23:59:59Z"), "ErrorPropertyValidationFailure"),
        ("clientState", json!("x".repeat(129)), "ErrorPropertyValidationFailure"),
        ("clientState", json!(1), "RequestBodyRead"),
        ("latestSupportedTlsVersion", json!("v9"), "RequestBodyRead"),
        ("resource", Value::Null, "RequestBodyRead"),
        ("resource", json!("me/messages"), "ErrorInvalidRequest"),
        ("resource", json!("me/contacts/1"), "ErrorInvalidRequest"),
        ("resource", json!("me/contacts?$filter=surname eq 'x'"), "ErrorInvalidRequest"),
        ("resource", json!("x".repeat(4097)), "ErrorPropertyValidationFailure"),
        ("color", json!("red"), "RequestBodyRead"),
    ] {
        let refused = ann.post("/subscriptions", with(valid.clone(), name, value.clone()));
        assert_eq!(refused.error(), (400, code.into(), name.into()), "{name}: {value}");
    }
    for (body, expected) in [
        ("[]".to_owned(), (400, "RequestBodyRead")),
        ("{".to_owned(), (400, "UnableToDeserializePostBody")),
        (with(valid.clone(), "includeResourceData", json!(true)).to_string(), (501, "NotImplemented")),
        (with(valid.clone(), "notificationQueryOptions", json!("$filter=x")).to_string(), (501, "NotImplemented")),
        (
            with(valid.clone(), "resource", json!("users/nobody/contacts")).to_string(),
            (404, "Request_ResourceNotFound"),
        ),
        (
            with(valid.clone(), "resource", json!("me/contactFolders/none/contacts")).to_string(),
            (404, "ErrorItemNotFound"),
        ),
    ] {
        let (status, code, _) = ann.post("/subscriptions", &body).error();
        assert_eq!((status, code.as_str()), expected, "{body}");
    }
    let strict = ann
        .with("Prefer", "handling=strict")
        .post("/subscriptions", with(valid.clone(), "resource", json!("me/contactFolders")));
    assert_eq!(strict.error(), (400, "ErrorInvalidRequest".into(), "resource".into()));
    assert_eq!(receiver.requests().len(), 0);
    assert_eq!(app.count("select count(*) from subscriptions"), 0);

    let id_of = ann.post("/subscriptions", &valid).id();
    let path = format!("/subscriptions/{id_of}");
    let before = ann.get(&path).json(200);
    for (body, target) in [
        (json!({}), "expirationDateTime"),
        (json!({"expirationDateTime": after(-5)}), "expirationDateTime"),
        (json!({"expirationDateTime": after(60), "clientState": "new"}), "clientState"),
        (json!({"expirationDateTime": after(60), "color": "red"}), "color"),
    ] {
        assert_eq!(ann.patch(&path, &body).error().2, target, "{body}");
    }
    assert_eq!(ann.get(&path).json(200), before);
    for path in ["/subscriptions/x", &format!("/subscriptions/{id}"), &format!("/subscriptions/{id}/deliveries")] {
        assert_eq!(ann.get(path).error(), (404, "ErrorItemNotFound".into(), String::new()), "{path}");
    }
    for path in [
        "/subscriptions?$top=1",
        "/subscriptions?$filter=x",
        "/subscriptions?$skiptoken=x",
        &format!("{path}?$select=id"),
    ] {
        assert_eq!(ann.get(path).error().0, 400, "{path}");
    }
    assert_eq!(ann.send("PUT", &path, None).header("allow"), "GET, PATCH, DELETE");
    assert_eq!(ann.send("PUT", "/subscriptions", None).header("allow"), "GET, POST");
    assert_eq!(app.user("").get("/subscriptions").status, 401);
}

#[test]
fn a_subscription_is_its_makers_alone() {
    let (app, receiver) = (start(), Receiver::new());
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let (sync, other) = (app.user("app:sync"), app.user("app:other"));
    bob.get("/me");
    let url = receiver.url("/");
    let refused = bob.post("/subscriptions", terms("users/ann/contacts", &url));
    assert_eq!(refused.error(), (404, "Request_ResourceNotFound".into(), String::new()));
    assert_eq!(sync.post("/subscriptions", terms("me/contacts", &url)).error().1, "BadRequest");
    let own = subscribe(&ann, "users/ANN/contacts", &url);
    let made = sync.post("/subscriptions", terms("users/ann/contacts", &url)).json(201);
    assert_eq!((&made["applicationId"], &made["creatorId"]), (&json!("sync"), &json!("sync")));
    let its = made["id"].as_str().unwrap();
    for (id, maker, others) in [(own.as_str(), &ann, [&bob, &sync, &other]), (its, &sync, [&bob, &ann, &other])] {
        let path = format!("/subscriptions/{id}");
        for other in others {
            for answer in [
                other.get(&path),
                other.patch(&path, json!({"expirationDateTime": after(60)})),
                other.delete(&path),
                other.get(&format!("{path}/deliveries")),
                other.post(&format!("{path}/reauthorize"), ""),
            ] {
                assert_eq!(answer.error(), (404, "ErrorItemNotFound".into(), String::new()));
            }
            let list = other.get("/subscriptions").json(200);
            assert!(list["value"].as_array().unwrap().iter().all(|shown| shown["id"] != id));
        }
        assert_eq!(maker.get(&path).status, 200);
        assert_eq!(maker.get("/subscriptions").json(200)["value"][0]["id"], id);
    }
    // Both are notified, each only of its own events.
    ann.post("/me/contacts", "{}");
    let notifications = receiver.wait("/", 2);
    assert_ne!(notifications[0]["subscriptionId"], notifications[1]["subscriptionId"]);
}

#[test]
fn a_creator_has_at_most_a_hundred_subscriptions_per_mailbox_listed_in_pages() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let ids: Vec<_> = (0..100).map(|_| subscribe(&ann, "me/contacts", &receiver.url("/"))).collect();
    let requests_before = receiver.requests().len();
    let refused = ann.post("/subscriptions", terms("me/contacts", &receiver.url("/")));
    assert_eq!(refused.error(), (403, "quotaLimitReached".into(), String::new()));
    assert_eq!(receiver.requests().len(), requests_before, "nobody is asked for nothing");
    assert_eq!(app.count("select count(*) from subscriptions"), 100);
    app.user("bob").post("/subscriptions", terms("me/contacts", &receiver.url("/"))).json(201);
    let sync = app.user("app:sync");
    let first = subscribe(&sync, "users/ann/contacts", &receiver.url("/"));
    let list = |client: &Client, path: &str| {
        let page = client.get(path).json(200);
        let ids: Vec<_> =
            page["value"].as_array().unwrap().iter().map(|shown| shown["id"].as_str().unwrap().to_owned()).collect();
        (ids, page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned()))
    };
    assert_eq!(list(&ann, "/subscriptions"), (ids, None));
    for _ in 0..100 {
        subscribe(&sync, "users/bob/contacts", &receiver.url("/"));
    }
    let (page, next) = list(&sync, "/v1.0/subscriptions?mine=x");
    assert_eq!((page.len(), &page[0]), (100, &first));
    let next = next.unwrap();
    assert!(next.contains("/v1.0/subscriptions?mine=x&$skiptoken="), "{next}");
    let (rest, none) = list(&sync, &next);
    assert_eq!((rest.len(), none), (1, None));
}

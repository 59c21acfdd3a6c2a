//! Headers of every answer, over all calls of the checklist; and CORS.

use std::collections::{BTreeMap, BTreeSet};

use contactd::http::Settings;
use serde_json::json;

use super::checklist::{METHODS, TestObjects, rows, send};
use super::pictures::JPEG;
use crate::app::{Answer, Client, SEED_REQUEST, Setup, TestApp};

const ORIGIN: &str = "https://app.example.org";
const OTHER_ORIGIN: &str = "http://localhost:3000";

fn with_cors(origins: &[&str]) -> TestApp {
    let cors = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    TestApp::with(Setup { settings: Settings { cors, ..Settings::default() }, ..Setup::default() })
}

/// Asserts what holds for every answer.
#[track_caller]
fn assert_habits(answer: &Answer, description: &str) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{description}");
    for name in ["server", "x-powered-by", "via", "x-aspnet-version", "set-cookie"] {
        assert!(!answer.headers.contains_key(name), "{description}: {name}");
    }
    if answer.status >= 400 {
        let text = String::from_utf8_lossy(&answer.body).to_lowercase();
        for word in
            ["sqlite", "sqlx", "postgres", "actix", "contactd", "src/", ".rs:", "panicked", env!("CARGO_PKG_VERSION")]
        {
            assert!(!text.contains(word), "{description}: {word}: {text}");
        }
    }
}

/// `Cache-Control`: nothing is stored, except public answers, and photos, which must be revalidated.
fn caching(path: &str, status: u16) -> &'static str {
    match path.split('?').next().unwrap() {
        path if path.ends_with("/$metadata") && status == 200 => "public, max-age=3600",
        path if path.ends_with("/openapi.json") && status == 200 => "public, max-age=300",
        path if path.ends_with("/photo/$value") && status == 200 => "private, no-cache",
        _ => "no-store",
    }
}

#[test]
fn every_answer_of_every_call_has_the_headers_that_are_due_and_no_others() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let objects = TestObjects::make(&ann);
    let photo = format!("/me/contacts/{}/photo/$value", objects.contact);
    assert_eq!(ann.with("Content-Type", "image/jpeg").send("PUT", &photo, Some(JPEG.to_vec())).status, 200);
    let (mut answers, mut seen) = (0, BTreeSet::new());
    for row in rows() {
        for (_, path) in row.calls {
            for spelled in objects.spelled(&path) {
                // OPTIONS of `/` is a call of CardDAV.
                let others = if path == "/" { &["HEAD"][..] } else { &["OPTIONS", "HEAD"] };
                for method in METHODS.iter().chain(others) {
                    for client in [&ann, &app.user("app:sync"), &app.user("")] {
                        let answer = send(client, method, &spelled);
                        let description = format!("{method} {spelled}: {}", answer.status);
                        assert_habits(&answer, &description);
                        assert_eq!(answer.header("cache-control"), caching(&spelled, answer.status), "{description}");
                        let cors = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
                        assert_eq!(cors, None, "{description}");
                        answers += 1;
                        seen.insert(answer.header("cache-control"));
                    }
                }
            }
        }
    }
    assert!(answers > 5_000 && seen.len() == 4, "{answers} answers: {seen:?}");
    // Also calls that are not on the list: unknown paths, creates, and 304.
    let created = ann.post("/me/contacts/$ref", SEED_REQUEST);
    let etag = ann.get(&photo).header("etag");
    for (answer, cache) in [
        (ann.get("/nothing"), "no-store"),
        (ann.post("/me/contacts", "{"), "no-store"),
        (created, "no-store"),
        (ann.with("If-None-Match", &etag).get(&photo), "private, no-cache"),
    ] {
        assert_habits(&answer, "more");
        assert_eq!((answer.header("cache-control").as_str(), answer.status > 199), (cache, true));
    }
}

/// A preflight request of a browser.
fn preflight(client: &Client, origin: &str, path: &str, method: &str) -> Answer {
    client
        .with("Origin", origin)
        .with("Access-Control-Request-Method", method)
        .with("Access-Control-Request-Headers", "authorization,content-type,x-forwarded-host,prefer, sdkversion")
        .send("OPTIONS", path, None)
}

#[test]
fn an_allowed_origin_gets_the_methods_of_every_path_in_preflights() {
    let app = with_cors(&[ORIGIN, OTHER_ORIGIN]);
    // Browsers ask without a token.
    let stranger = app.user("");
    let objects = TestObjects::make(&app.user("ann"));
    let mut offered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows().iter().filter(|row| ["supported", "beyond Graph"].contains(&row.state.as_str())) {
        for (method, path) in &row.calls {
            let path = path.split('?').next().unwrap().to_owned();
            offered.entry(path).or_default().insert(method.clone());
        }
    }
    assert!(offered.len() > 30);
    for (path, methods) in offered {
        for spelled in objects.spelled(&path) {
            for origin in [ORIGIN, OTHER_ORIGIN] {
                let answer = preflight(&stranger, origin, &spelled, "GET");
                answer.empty(204);
                let allowed_methods = answer.header("access-control-allow-methods");
                assert_eq!(
                    allowed_methods.split(", ").map(str::to_owned).collect::<BTreeSet<_>>(),
                    methods,
                    "{spelled}"
                );
                for (name, value) in [
                    ("access-control-allow-origin", origin),
                    ("access-control-allow-headers", "authorization, content-type, prefer, sdkversion"),
                    ("access-control-allow-credentials", ""),
                    ("access-control-max-age", "600"),
                    ("vary", "Origin"),
                    ("x-content-type-options", "nosniff"),
                    ("cache-control", "no-store"),
                ] {
                    assert_eq!(answer.header(name), value, "{spelled}: {name}");
                }
            }
        }
    }
}

#[test]
fn an_allowed_origin_may_read_answers_errors_and_the_headers_that_sdks_use() {
    let app = with_cors(&[ORIGIN, OTHER_ORIGIN]);
    let ann = app.user("ann").with("Origin", ORIGIN);
    let created = ann.post("/me/contacts/$ref", SEED_REQUEST);
    assert_eq!(created.status, 201);
    let path = format!("/me/contacts/{}", created.id());
    for answer in [
        created,
        ann.get(&path),
        ann.get("/me/contacts"),
        ann.get("/$metadata"),
        ann.get("/healthz"),
        ann.get("/nothing"),
        ann.get("/me/contacts/x"),
        ann.with("If-Match", "\"x\"").patch(&path, "{}"),
        app.user("").with("Origin", ORIGIN).get("/me"),
        ann.delete(&path),
    ] {
        for (name, value) in [
            ("access-control-allow-origin", ORIGIN),
            (
                "access-control-expose-headers",
                "DAV, request-id, client-request-id, ETag, Location, Preference-Applied, Retry-After, \
                 OData-EntityId, Contactd-Position",
            ),
            ("access-control-allow-credentials", ""),
            ("vary", "Origin"),
        ] {
            assert_eq!(answer.header(name), value, "{}: {name}", answer.status);
        }
    }
}

#[test]
fn a_page_that_is_not_named_is_told_nothing() {
    let off = TestApp::new();
    let on = with_cors(&[ORIGIN]);
    let close = [
        "https://evil.example.org",
        "https://app.example.org.evil.example",
        "https://evilapp.example.org",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org/",
        "HTTPS://APP.EXAMPLE.ORG",
        "https://app.example.org, https://evil.example.org",
        "null",
        "*",
        "",
    ];
    for (app, origins, vary) in [(&off, [&[ORIGIN], &close[..]].concat(), ""), (&on, close.to_vec(), "Origin")] {
        for origin in origins {
            let mut answers = vec![app.user("ann").with("Origin", origin).get("/me/contacts")];
            assert_eq!(answers[0].status, 200, "who has a token is served; the browser keeps the answer to itself");
            for path in ["/me/contacts", "/$metadata", "/healthz", "/", "/me"] {
                let answer = preflight(&app.user(""), origin, path, "GET");
                assert_eq!(answer.error().0, 405, "{origin}");
                answers.push(answer);
            }
            for answer in answers {
                let cors_header = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
                assert_eq!((cors_header, answer.header("vary").as_str()), (None, vary), "{origin}");
            }
        }
    }
    // A plain OPTIONS is unchanged, also from an allowed origin.
    let options = on.user("").with("Origin", ORIGIN).send("OPTIONS", "/me/contacts", None);
    assert_eq!(options.error(), (405, "methodNotAllowed".into(), String::new()));
    assert_eq!(options.header("allow"), "GET, POST");
    // An unknown path offers no methods.
    assert_eq!(preflight(&on.user(""), ORIGIN, "/nothing", "GET").error().0, 404);
    // A preflight changes nothing.
    assert_eq!(on.user("ann").get("/me/contacts").json(200)["value"], json!([]));
}

//! `/docs`, the page that shows the API: off unless it is asked for, whole, and from this server alone.

use std::io::Read as _;
use std::path::Path;

use contactd::FrontEndSettings;
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

use crate::app::{Setup, TestApp};
use crate::program::{Program, contactd};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The values of an attribute.
fn values<'t>(text: &'t str, attribute: &str) -> Vec<&'t str> {
    let start = format!(" {attribute}=\"");
    text.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

fn with_docs(prefix: &'static str) -> TestApp {
    TestApp::with(Setup {
        front_ends: FrontEndSettings { docs: true, ..FrontEndSettings::default() },
        prefix,
        ..Setup::default()
    })
}

#[test]
fn the_page_is_not_there_unless_it_is_asked_for() {
    let app = TestApp::new();
    for path in ["/docs", "/docs/", "/docs/swagger-ui.css"] {
        assert_eq!(app.user("").get(path).error().0, 404, "{path}");
    }
    let server =
        Program::start(contactd(&["serve", "--dev", "--docs", "--listen", "127.0.0.1:0", "--database", ":memory:"]));
    assert_eq!(server.user("").get("/docs").status, 200);
}

#[test]
fn the_page_has_all_that_it_needs_on_this_server_and_may_use_nothing_else() {
    for prefix in ["", "/graph/api"] {
        let app = with_docs(prefix);
        let nobody = app.user("");
        let page = nobody.get(&format!("{prefix}/docs"));
        let told = ["content-security-policy", "content-type", "x-content-type-options", "referrer-policy"];
        let told = told.map(|name| page.header(name));
        assert_eq!(told, [POLICY, "text/html; charset=utf-8", "nosniff", "no-referrer"]);
        let text = page.text();
        // Nothing stands in the page that the policy would refuse.
        assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains(" onload="));
        assert_eq!(text.matches("<script").count(), values(&text, "src").len());
        let loaded = [values(&text, "src"), values(&text, "href")].concat();
        assert!(loaded.len() >= 6, "{loaded:?}");
        for link in loaded.into_iter().filter(|link| !link.starts_with("data:")) {
            assert!(!link.contains("//") && !link.starts_with('/'), "{link}");
            // Relative to the page.
            assert_eq!(nobody.get(&format!("{prefix}/{link}")).status, 200, "{link}");
        }
        let script = nobody.get(&format!("{prefix}/docs/start.js")).text();
        assert!(script.contains("validatorUrl: null") && !script.contains("http"), "{script}");
        let slash = nobody.get(&format!("{prefix}/docs/"));
        assert_eq!((slash.status, slash.header("location").as_str()), (308, "../docs"));
        assert_eq!(
            nobody.get(&format!("{prefix}/docs/other.js")).error(),
            (404, "ResourceNotFound".into(), String::new())
        );
        assert_eq!(nobody.post(&format!("{prefix}/docs"), "{}").error().0, 405);
        // The API is where it was.
        assert_eq!(app.user("ann").get(&format!("{prefix}/me")).status, 200);
    }
}

#[test]
fn the_files_of_swagger_ui_are_those_of_its_package_packed_or_not() {
    let app = with_docs("");
    let nobody = app.user("");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/graph/viewer/swagger-ui/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for (name, kind) in [("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")] {
        let row = readme.lines().find_map(|line| line.strip_prefix(&format!("| {name} | "))).unwrap();
        let plain = nobody.get(&format!("/docs/{name}"));
        assert_eq!(
            (plain.status, plain.header("content-type").as_str(), plain.header("vary").as_str()),
            (200, kind, "Accept-Encoding")
        );
        let hash = Sha256::digest(&plain.body).iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        assert_eq!(hash, row.trim_end_matches(" |"), "{name}");
        let packed = nobody.with("Accept-Encoding", "gzip").get(&format!("/docs/{name}"));
        assert_eq!(packed.header("content-encoding"), "gzip");
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body, "{name}");
    }
}

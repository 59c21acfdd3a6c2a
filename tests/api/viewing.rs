//! `/docs`, the page that shows the API: off by default, complete, and only from this server.

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
fn the_page_is_not_served_by_default() {
    let app = TestApp::new();
    for path in ["/docs", "/docs/", "/docs/swagger-ui.css"] {
        assert_eq!(app.user("").get(path).error().0, 404, "{path}");
    }
    let server =
        Program::start(contactd(&["serve", "--dev", "--docs", "--listen", "127.0.0.1:0", "--database", ":memory:"]));
    assert_eq!(server.user("").get("/docs").status, 200);
}

#[test]
fn the_page_loads_only_from_this_server() {
    for prefix in ["", "/graph/api"] {
        let app = with_docs(prefix);
        let stranger = app.user("");
        let page = stranger.get(&format!("{prefix}/docs"));
        let header_names = ["content-security-policy", "content-type", "x-content-type-options", "referrer-policy"];
        let headers = header_names.map(|name| page.header(name));
        assert_eq!(headers, [POLICY, "text/html; charset=utf-8", "nosniff", "no-referrer"]);
        let text = page.text();
        // The page has nothing that its security policy would block.
        assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains(" onload="));
        assert_eq!(text.matches("<script").count(), values(&text, "src").len());
        let loaded = [values(&text, "src"), values(&text, "href")].concat();
        assert!(loaded.len() >= 6, "{loaded:?}");
        for link in loaded.into_iter().filter(|link| !link.starts_with("data:")) {
            assert!(!link.contains("//") && !link.starts_with('/'), "{link}");
            // Relative to the page.
            assert_eq!(stranger.get(&format!("{prefix}/{link}")).status, 200, "{link}");
        }
        let script = stranger.get(&format!("{prefix}/docs/start.js")).text();
        assert!(script.contains("validatorUrl: null") && !script.contains("http"), "{script}");
        let slash = stranger.get(&format!("{prefix}/docs/"));
        assert_eq!((slash.status, slash.header("location").as_str()), (308, "../docs"));
        assert_eq!(
            stranger.get(&format!("{prefix}/docs/other.js")).error(),
            (404, "ResourceNotFound".into(), String::new())
        );
        assert_eq!(stranger.post(&format!("{prefix}/docs"), "{}").error().0, 405);
        // The API is still served at its paths.
        assert_eq!(app.user("ann").get(&format!("{prefix}/me")).status, 200);
    }
}

#[test]
fn the_files_of_swagger_ui_equal_those_of_its_package_compressed_or_not() {
    let app = with_docs("");
    let stranger = app.user("");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/graph/viewer/swagger-ui/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for (name, kind) in [("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")] {
        let row = readme.lines().find_map(|line| line.strip_prefix(&format!("| {name} | "))).unwrap();
        let plain = stranger.get(&format!("/docs/{name}"));
        assert_eq!(
            (plain.status, plain.header("content-type").as_str(), plain.header("vary").as_str()),
            (200, kind, "Accept-Encoding")
        );
        let hash = Sha256::digest(&plain.body).iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        assert_eq!(hash, row.trim_end_matches(" |"), "{name}");
        let packed = stranger.with("Accept-Encoding", "gzip").get(&format!("/docs/{name}"));
        assert_eq!(packed.header("content-encoding"), "gzip");
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body, "{name}");
    }
}

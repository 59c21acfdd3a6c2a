//! The served OpenAPI documents.

use contactd::http::{Origin, Settings};
use serde_json::{Value, json};

use crate::app::{Setup, TestApp};

const V1: &str = include_str!("../../../docs/openapi.json");
const BETA: &str = include_str!("../../../docs/openapi-beta.json");

#[test]
fn the_openapi_documents_are_public_and_cacheable() {
    let app = TestApp::new();
    let stranger = app.user("");
    for (path, text) in
        [("/openapi.json", V1), ("/v1.0/openapi.json", V1), ("/beta/openapi.json", BETA), ("/Beta/OpenAPI.json/", BETA)]
    {
        let answer = stranger.get(path);
        let headers = ["content-type", "cache-control", "vary"].map(|name| answer.header(name));
        assert_eq!(headers, ["application/json", "public, max-age=300", "Accept-Encoding"], "{path}");
        assert_eq!(
            serde_json::from_slice::<Value>(&answer.body).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
        let packed = stranger.with("Accept-Encoding", "gzip").get(path);
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert!(packed.body.len() * 5 < answer.body.len(), "{path}");
        let again = stranger.with("If-None-Match", &answer.header("etag")).get(path);
        assert_eq!(again.empty(304).header("etag"), answer.header("etag"), "{path}");
        assert_eq!(stranger.with("If-None-Match", "\"another\"").get(path).status, 200, "{path}");
    }
    let etags = ["/openapi.json", "/beta/openapi.json"].map(|path| stranger.get(path).header("etag"));
    assert_ne!(etags[0], etags[1]);
    assert_eq!(stranger.post("/openapi.json", "{}").error().0, 405);
    assert_eq!(stranger.get("/openapi.json?$top=1").error().0, 400);
    assert_eq!(stranger.get("/openapi.json/x").error().0, 404);
    let step = json!({"requests": [{"id": "1", "method": "GET", "url": "/openapi.json"}]});
    assert_eq!(app.user("ann").post("/$batch", step).json(200)["responses"][0]["status"], 400);
}

#[test]
fn the_openapi_document_names_the_base_url() {
    let server = |app: &TestApp, path: &str| app.user("").get(path).json(200)["servers"].clone();
    assert_eq!(server(&TestApp::new(), "/openapi.json"), json!([{"url": "/v1.0"}]));
    let mounted = TestApp::with(Setup { prefix: "/graph/api", ..Setup::default() });
    assert_eq!(server(&mounted, "/graph/api/openapi.json"), json!([{"url": "/graph/api/v1.0"}]));
    assert_eq!(server(&mounted, "/graph/api/beta/openapi.json"), json!([{"url": "/graph/api/beta"}]));
    let origin = Origin::Public("https://contacts.example/x\"y".to_owned());
    let public = TestApp::with(Setup { settings: Settings { origin, ..Settings::default() }, ..Setup::default() });
    assert_eq!(server(&public, "/openapi.json"), json!([{"url": "/x\"y/v1.0"}]));
}

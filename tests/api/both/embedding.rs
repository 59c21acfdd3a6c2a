//! The API inside another program: under a prefix, next to the program's own routes.

use serde_json::json;

use crate::app::{SEED_REQUEST, Setup, TestApp};

#[test]
fn a_mounted_api_answers_and_links_below_its_prefix() {
    let app = TestApp::with(Setup { prefix: "/graph/api", ..Setup::default() });
    let ann = app.user("ann");
    let root = format!("http://{}/graph/api", app.address);
    for path in
        ["/graph/api/me/contacts/$ref", "/graph/api/Users('ANN')/Contacts/%24ref/", "/graph/api/beta/me/contacts"]
    {
        let created = ann.post(path, SEED_REQUEST);
        assert_eq!(created.status, 201, "{path}");
        assert!(created.header("location").starts_with(&root), "{}", created.header("location"));
        assert_eq!(ann.get(&created.header("location")).status, 200);
        ann.post("/graph/api/me/contacts/$ref", json!({"@odata.id": created.header("location")})).empty(204);
    }
    let page = ann.get("/graph/api/me/contacts?$top=2").json(200);
    assert_eq!(page["@odata.context"], format!("{root}/$metadata#users('ann')/contacts"));
    let next = page["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with(&format!("{root}/me/contacts?$top=2&$skiptoken=")));
    assert_eq!(ann.get(next).json(200)["value"].as_array().unwrap().len(), 1);
    assert_eq!(ann.get("/graph/api/nothing").error(), (404, "ResourceNotFound".into(), String::new()));
    assert_eq!(ann.get("/graph/api/healthz").status, 200);
    // Outside the prefix the API is not served.
    for path in ["/me", "/graph/me", "/graph/apix/me"] {
        assert_eq!(ann.get(path).status, 404, "{path}");
    }
}

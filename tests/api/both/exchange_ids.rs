//! `…/translateExchangeIds`: ids are immutable, so each is its own translation.

use serde_json::{Value, json};

use crate::app::TestApp;

const PATH: &str = "/me/translateExchangeIds";
const FORMATS: [&str; 5] = ["entryId", "ewsId", "immutableEntryId", "restId", "restImmutableEntryId"];

fn translation_request(ids: &Value) -> Value {
    json!({"inputIds": ids, "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"})
}

#[test]
fn every_id_is_its_own_translation_between_all_formats() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    let ids = json!([id, "no such id", "AAMk=/+", "é", id]);
    let value: Vec<_> = ids.as_array().unwrap().iter().map(|id| json!({"sourceId": id, "targetId": id})).collect();
    for source in FORMATS {
        for target in FORMATS {
            let body = json!({"inputIds": ids, "sourceIdType": source, "targetIdType": target});
            let context = format!("http://{}/$metadata#Collection(microsoft.graph.convertIdResult)", app.address);
            assert_eq!(ann.post(PATH, body).json(200), json!({"@odata.context": context, "value": value}));
        }
    }
    for path in [
        "/v1.0/me/microsoft.graph.translateExchangeIds",
        "/beta/ME/TRANSLATEexchangeIDS",
        "/users/ann/translateExchangeIds",
        "/users('ann@localhost')/Microsoft.Graph.translateExchangeIds()/",
    ] {
        // As SDKs spell the members.
        let body = json!({"InputIds": ids, "SourceIdType": "RESTID", "TargetIdType": "EwsId", "@odata.type": "x"});
        assert_eq!(ann.post(path, body).json(200)["value"], json!(value), "{path}");
    }
    let context = ann.post("/v1.0/me/translateExchangeIds", translation_request(&json!([]))).json(200);
    let expected = format!("http://{}/v1.0/$metadata#Collection(microsoft.graph.convertIdResult)", app.address);
    assert_eq!(context, json!({"@odata.context": expected, "value": []}));
    let formatted =
        ann.post(&format!("{PATH}?$format=application/json;metadata=none"), translation_request(&json!(["x"])));
    let bare =
        ann.with("Accept", "application/json;odata.metadata=none").post(PATH, translation_request(&json!(["x"])));
    assert_eq!((formatted.status, &formatted.body), (200, &bare.body));
    assert_eq!(bare.json(200), json!({"value": [{"sourceId": "x", "targetId": "x"}]}));
    // The call creates nothing, so `return=minimal` has no effect.
    let minimal =
        ann.with("Prefer", "return=minimal, IdType=\"ImmutableId\"").post(PATH, translation_request(&json!(["x"])));
    assert_eq!((minimal.status, minimal.header("preference-applied").as_str()), (200, "IdType=\"ImmutableId\""));
    let most: Vec<_> = (0..1_000).map(|i| format!("{i:0>512}")).collect();
    assert_eq!(ann.post(PATH, translation_request(&json!(most))).json(200)["value"].as_array().unwrap().len(), 1_000);
    assert_eq!(app.count("select count(*) from changes"), 2);
}

#[test]
fn what_cannot_be_translated_is_refused_with_its_place() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let with = |name: &str, value: Value| {
        let mut body = translation_request(&json!(["x"]));
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = translation_request(&json!(["x"]));
        body.as_object_mut().unwrap().remove(name);
        body
    };
    for (body, code, target) in [
        (json!([]), "RequestBodyRead", ""),
        (without("inputIds"), "RequestBodyRead", "inputIds"),
        (without("sourceIdType"), "RequestBodyRead", "sourceIdType"),
        (without("targetIdType"), "RequestBodyRead", "targetIdType"),
        (with("inputIds", json!(null)), "RequestBodyRead", "inputIds"),
        (with("inputIds", json!("x")), "RequestBodyRead", "inputIds"),
        (with("inputIds", json!(["x", 1])), "RequestBodyRead", "inputIds/1"),
        (with("inputIds", json!(["x", null])), "RequestBodyRead", "inputIds/1"),
        (with("inputIds", json!(["x", "y", ""])), "RequestBodyRead", "inputIds/2"),
        (with("inputIds", json!(["x".repeat(513)])), "ErrorPropertyValidationFailure", "inputIds/0"),
        (with("inputIds", json!(vec!["x"; 1_001])), "ErrorPropertyValidationFailure", "inputIds"),
        (with("sourceIdType", json!(null)), "RequestBodyRead", "sourceIdType"),
        (with("sourceIdType", json!(3)), "RequestBodyRead", "sourceIdType"),
        (with("targetIdType", json!("restid2")), "RequestBodyRead", "targetIdType"),
        (with("folder", json!("x")), "RequestBodyRead", "folder"),
    ] {
        assert_eq!(ann.post(PATH, &body).error(), (400, code.into(), target.into()), "{body}");
    }
    assert_eq!(
        ann.post(PATH, with("targetIdType", json!("x"))).message(),
        format!("'targetIdType' is 'x', which is not one of {}.", FORMATS.join(", "))
    );
    assert_eq!(ann.post(PATH, "").error(), (400, "UnableToDeserializePostBody".into(), String::new()));
    assert_eq!(ann.post(&format!("{PATH}?$top=1"), translation_request(&json!([]))).error().0, 400);
    let get = ann.get(PATH);
    assert_eq!((get.error().0, get.header("allow").as_str()), (405, "POST"));
    let unknown = (404, "ResourceNotFound".into(), String::new());
    assert_eq!(ann.post(&format!("{PATH}/x"), translation_request(&json!([]))).error(), unknown);
    // The ids are read as those of the caller's own mailbox.
    for path in ["/users/bob/translateExchangeIds", "/users/no%20name/translateExchangeIds"] {
        let refused = ann.post(path, translation_request(&json!(["x"]))).error();
        assert_eq!(refused, (404, "Request_ResourceNotFound".into(), String::new()), "{path}");
    }
    assert_eq!(app.user("").post(PATH, translation_request(&json!([]))).error().0, 401);
    assert_eq!(app.user("app:sync").post(PATH, translation_request(&json!([]))).error().0, 400);
    assert_eq!(
        app.user("app:sync").post("/users/ann/translateExchangeIds", translation_request(&json!([]))).status,
        200
    );
    assert_eq!(app.count("select count(*) from users"), 1);
}

use contactd::testing::Server;
use serde_json::json;

#[test]
fn creates() {
    let server = Server::start();
    let ann = server.user("ann");
    ann.fault(json!({"match": {"method": "POST"}, "answer": {"status": 429, "retryAfter": 0}}));
    let create = || ann.call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"}))).status;
    assert_eq!((create(), create()), (429, 201));
}

//! The paths by which identity libraries get an application's token, over TLS. `packages` has the libraries themselves.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::app::Client;
use crate::program::{Program, contactd};
use crate::tls::DevCert;

/// An answer: status, and JSON.
fn ask(dev: &DevCert, server: &Program, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
    let mut stream = dev.stream(server);
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const TENANT: &str = "/0f0f0f0f-0000-4000-8000-000000000001";

#[test]
fn an_application_gets_a_token_for_any_id_and_secret_and_opens_a_mailbox_with_it() {
    let dev = DevCert::new();
    let server = dev.serve();
    let get = |path: &str| ask(&dev, &server, "GET", path, "", "");
    let (status, configuration) = get(&format!("{TENANT}/v2.0/.well-known/openid-configuration"));
    assert_eq!(status, 200);
    let base = format!("https://localhost{TENANT}");
    for (member, path) in [
        ("issuer", "/v2.0"),
        ("token_endpoint", "/oauth2/v2.0/token"),
        ("authorization_endpoint", "/oauth2/v2.0/authorize"),
        ("jwks_uri", "/discovery/v2.0/keys"),
    ] {
        assert_eq!(configuration[member], format!("{base}{path}"), "{member}");
    }
    assert_eq!(get(&format!("{TENANT}/discovery/v2.0/keys")), (200, json!({"keys": []})));
    let question = "/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flocalhost%2Fsome.example%2Foauth2%2Fv2.0%2Fauthorize";
    let (status, instance) = get(question);
    assert_eq!(
        (status, &instance["tenant_discovery_endpoint"], &instance["metadata"][0]["aliases"]),
        (200, &json!("https://localhost/some.example/v2.0/.well-known/openid-configuration"), &json!(["localhost"]))
    );
    let token = format!("{TENANT}/oauth2/v2.0/token");
    let form = "client_id=a-b&client_secret=any%2Bthing&grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";
    let (status, answer_body) = ask(&dev, &server, "POST", &token, FORM, form);
    let expected =
        json!({"token_type": "Bearer", "expires_in": 3_599, "ext_expires_in": 3_599, "access_token": "app:a-b"});
    assert_eq!((status, answer_body), (200, expected.clone()));
    let basic = format!("{FORM}Authorization: Basic YS1iOnM=\r\n");
    assert_eq!(ask(&dev, &server, "POST", &token, &basic, "grant_type=client_credentials&scope=x"), (200, expected));
    let bearer = "Authorization: Bearer app:a-b\r\nContent-Type: application/json\r\n";
    assert_eq!(ask(&dev, &server, "POST", "/v1.0/users/ann/contacts", bearer, "{\"givenName\": \"Ann\"}").0, 201);
}

#[test]
fn an_incomplete_token_request_gets_an_oauth_error() {
    let dev = DevCert::new();
    let server = dev.serve();
    let token = format!("{TENANT}/oauth2/v2.0/token");
    for (headers, form, expected) in [
        ("", "", (400, "invalid_request", 900_144)),
        (FORM, "", (400, "invalid_request", 900_144)),
        (FORM, "grant_type=client_credentials&client_secret=s&scope=x", (400, "invalid_request", 900_144)),
        (FORM, "grant_type=client_credentials&client_id=a&client_secret=s", (400, "invalid_request", 900_144)),
        (FORM, "grant_type=client_credentials&client_id=a&scope=x", (401, "invalid_client", 7_000_218)),
        (FORM, "grant_type=password&client_id=a&client_secret=s&scope=x", (400, "unsupported_grant_type", 70_003)),
        (
            FORM,
            "grant_type=client_credentials&client_id=a%20b&client_secret=s&scope=x",
            (400, "unauthorized_client", 700_016),
        ),
        (FORM, "grant_type=a&grant_type=b", (400, "invalid_request", 900_144)),
        (FORM, "%ff", (400, "invalid_request", 900_144)),
    ] {
        let (status, body) = ask(&dev, &server, "POST", &token, headers, form);
        let (error, number) = (body["error"].as_str().unwrap(), body["error_codes"][0].as_u64().unwrap());
        assert_eq!((status, error, number), expected, "{form}");
        assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{number}: ")), "{body}");
    }
    assert_eq!(ask(&dev, &server, "GET", &token, "", "").0, 405);
    assert_eq!(ask(&dev, &server, "POST", &token, &format!("{FORM}Origin: https://x.example\r\n"), "").0, 403);
    assert_eq!(ask(&dev, &server, "GET", "/a%20b/discovery/v2.0/keys", "", "").0, 404);
}

#[test]
fn without_tls_or_without_dev_the_token_paths_do_not_exist() {
    let plain = Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]));
    for (method, path) in [
        ("POST", "/oauth2/v2.0/token"),
        ("GET", "/v2.0/.well-known/openid-configuration"),
        ("GET", "/discovery/v2.0/keys"),
        ("GET", "/discovery/instance"),
    ] {
        let answer = Client::new(&plain.address, "ann").send(method, &format!("{TENANT}{path}"), None);
        assert_eq!(answer.error().0, 404, "{path}");
    }
}

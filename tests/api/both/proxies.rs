//! Behind a proxy and under foreign host names: the origin of links, the address of the client, and which
//! requests are refused.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use contactd::http::{Limits, Origin, Settings};
use serde_json::{Value, json};

use crate::app::{Client, Setup, TestApp, V1_JSON};

/// All the links of a create and of a list.
fn links(client: &Client) -> Vec<String> {
    let created = client.post("/v1.0/me/contacts", "{}");
    client.post("/v1.0/me/contacts", "{}");
    let list = client.get("/v1.0/me/contacts?$top=1").json(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let [context, next] = ["@odata.context", "@odata.nextLink"].map(|name| text(&list[name]));
    vec![created.header("location"), text(&created.json(201)["@odata.context"]), context, next]
}

#[test]
fn behind_a_proxy_links_start_with_the_clients_origin() {
    let serve = |origin| {
        let settings = Settings { origin, ..Settings::default() };
        TestApp::with(Setup { settings, ..Setup::default() })
    };
    let spoof = |app: &TestApp| {
        let client = app.user("ann").with("X-Forwarded-Proto", "https").with("X-Forwarded-Host", "book.example.org");
        links(&client.with("X-Forwarded-Prefix", "/graph"))
    };
    let starts = |links: Vec<String>, root: &str| {
        assert!(links.iter().all(|link| link.starts_with(&format!("{root}/v1.0/"))), "{root}: {links:?}");
    };
    let app = serve(Origin::Host);
    starts(spoof(&app), &format!("http://{}", app.address));
    starts(spoof(&serve(Origin::Forwarded)), "https://book.example.org/graph");
    let app = serve(Origin::Forwarded);
    starts(links(&app.user("ann")), &format!("http://{}", app.address));
    starts(links(&app.user("ann").with("Forwarded", "proto=https;host=a.example:8443")), "https://a.example:8443");
    let port = app.user("ann").with("X-Forwarded-Proto", "HTTPS").with("X-Forwarded-Host", "b.example");
    starts(links(&port.with("X-Forwarded-Port", "8443")), "https://b.example:8443");
    starts(links(&port.with("X-Forwarded-Port", "443")), "https://b.example");
    // Contradicting headers come from a client.
    starts(links(&port.with("Forwarded", "host=c.example;proto=https")), &format!("https://{}", app.address));
    starts(spoof(&serve(Origin::Public("https://contacts.example/x".to_owned()))), "https://contacts.example/x");
}

#[test]
fn the_public_prefix_works_whether_or_not_the_proxy_strips_it() {
    let origin = Origin::Public("https://contacts.example/x".to_owned());
    let app = TestApp::with(Setup { settings: Settings { origin, ..Settings::default() }, ..Setup::default() });
    let ann = app.user("ann");
    for i in 0..3 {
        ann.post("/x/v1.0/me/contacts", json!({"surname": i.to_string()})).json(201);
    }
    let first = ann.get("/x/v1.0/me/contacts?$top=1");
    assert_eq!(first.header("content-type"), V1_JSON);
    let next = first.json(200)["@odata.nextLink"].as_str().unwrap().to_owned();
    let next = next.strip_prefix("https://contacts.example").unwrap();
    assert!(next.starts_with("/x/v1.0/me/contacts?"), "{next}");
    assert_eq!(ann.get(next).json(200)["value"][0]["surname"], "1");
    assert_eq!(ann.get(next.strip_prefix("/x").unwrap()).json(200), ann.get(next).json(200));
    assert_eq!(app.user("").get("/x/healthz").json(200), json!({"status": "ok"}));
    let steps = ["/x/v1.0/me", "/v1.0/me", "/me", "HTTPS://Contacts.Example/x/v1.0/me"].iter().enumerate();
    let steps = steps.map(|(i, url)| json!({"id": i.to_string(), "method": "GET", "url": url}));
    let answers = ann.post("/x/v1.0/$batch", json!({"requests": steps.collect::<Vec<_>>()})).json(200);
    assert!(answers["responses"].as_array().unwrap().iter().all(|answer| answer["status"] == 200), "{answers}");
    assert_eq!(ann.get("/xy/v1.0/me").error(), (404, "ResourceNotFound".into(), String::new()));
    assert_eq!(ann.get("/x/x/v1.0/me").error(), (404, "ResourceNotFound".into(), String::new()));
}

#[test]
fn a_client_behind_a_proxy_has_the_address_on_which_its_headers_agree() {
    let limits = Limits { forwarded: true, ..Limits::default() };
    let app = TestApp::with(Setup { settings: Settings { limits, ..Settings::default() }, ..Setup::default() });
    let ann = app.user("ann");
    for (sent, expected) in [
        (vec![("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
        (vec![("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
        (vec![("X-Forwarded-For", "10.0.0.1, 203.0.113.9"), ("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
        (vec![("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=203.0.113.9")], "127.0.0.1"),
        (vec![("Forwarded", "for=198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")], "127.0.0.1"),
    ] {
        let client = sent.iter().fold(ann.clone(), |client, (name, value)| client.with(name, value));
        let id = client.post("/me/contacts", "{}").id();
        let address = app.sql(&format!("select address from audit where item = '{id}'"));
        assert_eq!(address, expected, "{sent:?}");
    }
}

#[test]
fn who_lets_everybody_in_answers_only_what_names_this_machine() {
    let hosts = Some(vec!["named.example:8080".to_owned()]);
    let cors = vec!["https://page.example".parse().unwrap()];
    let settings = Settings { hosts, cors, ..Settings::default() };
    let app = TestApp::with(Setup { settings, ..Setup::default() });
    let ask = |host: &str, request: &str| {
        let mut stream = TcpStream::connect(&app.address).unwrap();
        let rest = "Authorization: Bearer ann\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}";
        write!(stream, "{request} HTTP/1.1\r\n{host}Content-Length: 2\r\n{rest}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let post = "POST /me/contacts";
    for host in
        ["localhost", "LocalHost:1", "a.localhost", "127.0.0.1:8080", "127.9.9.9", "[::1]", "named.example", "x"]
    {
        let answer = ask(&format!("Host: {host}\r\n"), post);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{host}: {answer}");
    }
    let preflight = "Origin: https://page.example\r\nAccess-Control-Request-Method: GET\r\n";
    for (host, request) in [
        ("Host: evil.example\r\n", post),
        ("Host: evil.example:8080\r\nOrigin: http://evil.example:8080\r\n", post),
        ("Host: localhost.evil.example\r\n", post),
        ("Host: 192.0.2.1\r\n", post),
        ("Host: graph.microsoft.com\r\n", post),
        ("Host: evil.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n", post),
        (&format!("Host: evil.example\r\n{preflight}"), "OPTIONS /me/contacts"),
        ("Host: evil.example\r\n", "GET /healthz"),
        ("Host: evil.example\r\n", "GET /$metadata"),
        ("Host: \r\n", post),
    ] {
        let answer = ask(host, request);
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("ErrorAccessDenied"), "{host}: {answer}");
        assert!(!answer.contains("access-control-allow-methods"), "{answer}");
    }
    assert_eq!(app.count("select count(*) from contacts"), 8);
}

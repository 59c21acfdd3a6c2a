//! A program that adds a contact through Microsoft Graph, and its tests: `cargo test --example rust`. In a separate project the
//! tests need two lines in Cargo.toml: `[dev-dependencies]` and `contactd = "0.2"`.
//!
//!     cargo run --example rust https://graph.microsoft.com/v1.0 TOKEN Ann

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

/// Maximum number of requests for one contact.
const ATTEMPTS: usize = 5;

/// Adds a contact, and repeats the request after a throttle or a lost connection. `key` identifies the contact, so that it is stored
/// once even if the request is sent several times.
fn add(base_url: &str, token: &str, name: &str, key: &str) -> Result<Value, Box<dyn Error>> {
    let client = Client::new();
    let send = || {
        let request = client.post(format!("{base_url}/me/contacts")).bearer_auth(token);
        request.header("Idempotency-Key", key).json(&json!({"givenName": name})).send()
    };
    let mut last_error: Box<dyn Error> = "no attempt".into();
    for _ in 0..ATTEMPTS {
        match send() {
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
                std::thread::sleep(retry_delay(&response));
                last_error = "throttled".into();
            }
            Ok(response) => return Ok(response.error_for_status()?.json()?),
            Err(error) => last_error = error.into(),
        }
    }
    Err(last_error)
}

/// Time to wait before a throttled request is sent again.
fn retry_delay(response: &Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [base_url, token, name] = &arguments[..] else { return Err("rust BASE_URL TOKEN NAME".into()) };
    println!("{}", add(base_url, token, name, name)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use contactd::testing::{Server, TestUser};

    use super::*;

    fn contact_count(user: &TestUser<'_>) -> usize {
        user.call("GET", "/me/contacts", None).json()["value"].as_array().map_or(0, Vec::len)
    }

    fn post_statuses(user: &TestUser<'_>) -> Vec<Value> {
        let requests = user.requests();
        let posts = requests.iter().filter(|request| request["method"] == "POST");
        posts.map(|request| request["status"].clone()).collect()
    }

    #[test]
    fn each_user_has_a_separate_mailbox() {
        let server = Server::start();
        let user = server.user("each");
        assert_eq!(add(&user.base_url, &user.token, "Ann", "1").unwrap()["givenName"], "Ann");
        assert_eq!((contact_count(&user), contact_count(&server.user("other"))), (1, 0));
    }

    #[test]
    fn a_throttled_create_is_sent_again() {
        let server = Server::start();
        let user = server.user("throttled");
        user.fault(json!({"match": {"method": "POST"}, "times": 2, "answer": {"status": 429, "retryAfter": 0}}));
        add(&user.base_url, &user.token, "Ann", "1").unwrap();
        assert_eq!((post_statuses(&user), contact_count(&user)), (vec![429.into(), 429.into(), 201.into()], 1));
    }

    #[test]
    fn a_lost_response_leads_to_no_second_contact_because_of_the_key() {
        let server = Server::start();
        let user = server.user("lost");
        let lost_response = json!({"match": {"method": "POST"}, "when": "after", "connection": "close"});
        user.fault(lost_response.clone());
        add(&user.base_url, &user.token, "Ann", "1").unwrap();
        assert_eq!((post_statuses(&user), contact_count(&user)), (vec![201.into(), 201.into()], 1));
        // Without a key, the repeated create stores a second contact.
        user.fault(lost_response);
        let create = || user.try_call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"})), &[]);
        assert!(create().is_err() && create().is_ok());
        assert_eq!(contact_count(&user), 3);
    }

    #[test]
    fn with_a_stopped_clock_the_requests_match_a_golden_file_and_the_trash_can_be_purged() {
        let server = Server::deterministic();
        let user = server.user("golden");
        let created = add(&user.base_url, &user.token, "Ann", "1").unwrap();
        assert_eq!(created["createdDateTime"], "2026-01-01T00:00:00Z");
        user.assert_golden(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rust/golden.json"));
        user.call("DELETE", &format!("/me/contacts/{}", created["id"].as_str().unwrap()), None);
        assert_eq!(server.advance("P31D")["purged"], 1);
    }
}

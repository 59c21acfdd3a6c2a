//! A program that adds a contact by Microsoft Graph, and the tests of it: `cargo test --example rust`. In a project of its own the
//! tests need two lines in Cargo.toml: `[dev-dependencies]` and `contactd = "0.2"`.
//!
//!     cargo run --example rust https://graph.microsoft.com/v1.0 TOKEN Ann

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

/// Requests for one contact, at most.
const ATTEMPTS: usize = 5;

/// Adds a contact, and does not give up at the first throttle or lost connection. `key` tells this contact from others, so that it
/// is stored once however often the request is sent.
fn add(base_url: &str, token: &str, name: &str, key: &str) -> Result<Value, Box<dyn Error>> {
    let client = Client::new();
    let send = || {
        let request = client.post(format!("{base_url}/me/contacts")).bearer_auth(token);
        request.header("Idempotency-Key", key).json(&json!({"givenName": name})).send()
    };
    let mut last: Box<dyn Error> = "no attempt".into();
    for _ in 0..ATTEMPTS {
        match send() {
            Ok(answer) if answer.status() == StatusCode::TOO_MANY_REQUESTS => {
                std::thread::sleep(wait(&answer));
                last = "throttled".into();
            }
            Ok(answer) => return Ok(answer.error_for_status()?.json()?),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// What a throttled request is to wait for.
fn wait(answer: &Response) -> Duration {
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
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

    fn stored(user: &TestUser<'_>) -> usize {
        user.call("GET", "/me/contacts", None).json()["value"].as_array().map_or(0, Vec::len)
    }

    fn statuses(user: &TestUser<'_>) -> Vec<Value> {
        let requests = user.requests();
        let posts = requests.iter().filter(|request| request["method"] == "POST");
        posts.map(|request| request["status"].clone()).collect()
    }

    #[test]
    fn each_test_has_a_mailbox_of_its_own() {
        let server = Server::start();
        let user = server.user("each");
        assert_eq!(add(&user.base_url, &user.token, "Ann", "1").unwrap()["givenName"], "Ann");
        assert_eq!((stored(&user), stored(&server.user("other"))), (1, 0));
    }

    #[test]
    fn a_throttle_is_waited_for() {
        let server = Server::start();
        let user = server.user("throttled");
        user.fault(json!({"match": {"method": "POST"}, "times": 2, "answer": {"status": 429, "retryAfter": 0}}));
        add(&user.base_url, &user.token, "Ann", "1").unwrap();
        assert_eq!((statuses(&user), stored(&user)), (vec![429.into(), 429.into(), 201.into()], 1));
    }

    #[test]
    fn a_lost_acknowledgement_stores_one_contact_because_of_the_key() {
        let server = Server::start();
        let user = server.user("lost");
        let lost = json!({"match": {"method": "POST"}, "when": "after", "connection": "close"});
        user.fault(lost.clone());
        add(&user.base_url, &user.token, "Ann", "1").unwrap();
        assert_eq!((statuses(&user), stored(&user)), (vec![201.into(), 201.into()], 1));
        // Without the key it would have been two.
        user.fault(lost);
        let create = || user.try_call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"})), &[]);
        assert!(create().is_err() && create().is_ok());
        assert_eq!(stored(&user), 3);
    }

    #[test]
    fn with_a_stopped_clock_the_answers_are_those_of_a_file_and_the_trash_is_purged_at_once() {
        let server = Server::deterministic();
        let user = server.user("golden");
        let made = add(&user.base_url, &user.token, "Ann", "1").unwrap();
        assert_eq!(made["createdDateTime"], "2026-01-01T00:00:00Z");
        user.assert_golden(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rust/golden.json"));
        user.call("DELETE", &format!("/me/contacts/{}", made["id"].as_str().unwrap()), None);
        assert_eq!(server.advance("P31D")["purged"], 1);
    }
}

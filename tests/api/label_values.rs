//! A list of the test that changes each value of the metrics' labels, and the tests for faults of files, limits
//! and credentials.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::app::{Client, SEED_REQUEST};
use crate::causes::body_of;
use crate::identity::{AUDIENCE, IdentityProvider};
use crate::measured::{metrics_of, samples, serve_on, serve_tokens, start};
use crate::operating::{create, make, run};
use crate::postgres::Postgres;
use crate::program::{Place, Program, serve_dev};
use crate::receiver::{Behaviour, Receiver, until};
use crate::traced::{forged, forged_for};

/// The test that changes each value: the metric, the test (the first word is its file), and the values.
const CHANGED_BY: [(&str, &str, &[&str]); 38] = [
    (
        "contactd_auth_total",
        "measured credentials_are_counted_by_the_result_of_their_check",
        &["stored ok", "stored unknown", "stored revoked", "stored disabled"],
    ),
    (
        "contactd_auth_total",
        "label_values uncached_tokens_are_counted_by_their_state_in_the_database",
        &["stored expired", "stored revoked", "stored disabled"],
    ),
    (
        "contactd_auth_total",
        "label_values tokens_of_the_operator_and_of_a_provider_are_counted_by_the_result_of_their_check",
        &["named ok", "named disabled", "provider ok", "provider denied"],
    ),
    (
        "contactd_auth_total",
        "label_values credentials_that_cannot_be_checked_are_counted_as_failed",
        &["stored failed", "named failed", "dev failed", "provider failed", "provider expired"],
    ),
    ("contactd_auth_total", "measured the_age_of_provider_keys_and_failed_fetches_are_measured", &["provider unknown"]),
    (
        "contactd_auth_total",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
        &["dev ok", "dev unknown"],
    ),
    ("contactd_http_connections", "causes open_requests_and_connections_are_counted", &["active", "idle"]),
    (
        "contactd_http_connections_closed_total",
        "measured incomplete_heads_and_idle_connections_are_counted_separately",
        &["idle", "slow_head"],
    ),
    (
        "contactd_http_connections_closed_total",
        "measured refusals_by_limits_and_reasons_of_closed_connections_are_counted",
        &["slow_body", "address"],
    ),
    (
        "contactd_http_connections_closed_total",
        "label_values connections_over_the_limit_and_with_unread_answers_are_counted_when_closed",
        &["slow_reader", "too_many"],
    ),
    (
        "contactd_http_refused_total",
        "measured refusals_by_limits_and_reasons_of_closed_connections_are_counted",
        &["token_rate", "address_rate", "body_time", "head"],
    ),
    (
        "contactd_http_refused_total",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
        &["body_size"],
    ),
    ("contactd_http_refused_total", "causes refusals_by_graphs_limits_are_counted", &["graph_throttle"]),
    (
        "contactd_http_refused_total",
        "label_values limits_of_requests_at_once_and_of_memory_count_what_they_refuse",
        &["in_flight", "in_flight_each", "buffered"],
    ),
    (
        "contactd_http_refused_total",
        "label_values unknown_tokens_beyond_the_limit_of_an_address_are_counted",
        &["unknown_token"],
    ),
    (
        "contactd_http_refused_total",
        "label_values subscriptions_that_wait_for_their_receivers_are_limited_and_counted",
        &["confirmations"],
    ),
    (
        "contactd_notifications_total",
        "measured notifications_are_counted_by_result",
        &["taken", "refused", "failed", "dropped"],
    ),
    (
        "contactd_postgres_commit_lookups_total",
        "lost a_commit_whose_answer_is_lost_is_looked_up_and_answered",
        &["found"],
    ),
    ("contactd_postgres_commit_lookups_total", "lost a_commit_that_never_arrived_is_refused_or_done_once", &["absent"]),
    (
        "contactd_postgres_commit_lookups_total",
        "lost a_commit_whose_outcome_is_not_found_before_the_store_closes_is_unknown",
        &["unknown"],
    ),
    (
        "contactd_postgres_connects_total",
        "measured an_unreachable_postgresql_server_is_visible_in_the_metrics",
        &["ok", "failed"],
    ),
    (
        "contactd_postgres_standby_reads_total",
        "causes reads_of_a_standby_are_counted_by_result",
        &["fresh", "behind", "failed"],
    ),
    (
        "contactd_provider_key_fetches_total",
        "measured the_age_of_provider_keys_and_failed_fetches_are_measured",
        &["ok", "failed"],
    ),
    (
        "contactd_purged_total",
        "measured database_sizes_and_purged_rows_are_measured",
        &["contacts", "changes", "audit", "keys"],
    ),
    ("contactd_purged_total", "label_values folders_that_a_purge_removes_are_counted", &["folders"]),
    (
        "contactd_store_writes_total",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
        &["ok", "refused"],
    ),
    ("contactd_store_writes_total", "measured database_errors_and_failed_writes_are_counted", &["failed"]),
    (
        "contactd_store_writes_total",
        "counted writes_that_panic_and_those_whose_caller_has_left_are_counted",
        &["panicked", "gave_up"],
    ),
    (
        "contactd_tls_handshakes_total",
        "measured tls_handshakes_and_the_expiry_of_the_certificate_are_measured",
        &["ok", "failed"],
    ),
    ("contactd_store_errors_total", "sqlite a_full_disk_ends_the_batch_and_nothing_of_it_is_stored", &["full"]),
    (
        "contactd_store_errors_total",
        "label_values a_full_file_and_a_damaged_page_are_counted_as_different_errors",
        &["io", "corrupt"],
    ),
    ("contactd_store_errors_total", "measured database_errors_and_failed_writes_are_counted", &["busy"]),
    ("contactd_store_errors_total", "measured an_unreachable_postgresql_server_is_visible_in_the_metrics", &["lost"]),
    ("contactd_store_errors_total", "counted an_error_of_a_read_only_database_is_counted_as_other", &["other"]),
    (
        "contactd_store_query_duration_seconds",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
        &["get", "page", "count", "search", "delta", "expand"],
    ),
    (
        "contactd_store_readers",
        "causes a_query_over_its_time_limit_is_counted_and_its_connection_is_busy",
        &["busy primary"],
    ),
    (
        "contactd_store_readers",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
        &["idle primary"],
    ),
    ("contactd_store_readers", "causes reads_of_a_standby_are_counted_by_result", &["busy standby", "idle standby"]),
];

/// The metric and the label values of a series. The series of calls and of the build are left out.
fn labelled(series: &str) -> Option<(String, String)> {
    let (name, labels) = series.split_once('{')?;
    let is_of_calls = name.starts_with("contactd_http_request") || name == "contactd_build_info";
    if is_of_calls || name.ends_with("_bucket") || name.ends_with("_sum") {
        return None;
    }
    let values: Vec<_> = labels.split('"').skip(1).step_by(2).collect();
    Some((name.trim_end_matches("_count").to_owned(), values.join(" ")))
}

/// The values that stay 0 by docs/metrics.md.
fn staying_zero() -> BTreeSet<(String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let (_, section) = page.split_once("\n## Values that stay 0\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let values = rows.flat_map(|(name, rest)| {
        let values = rest.split(" |").next().unwrap().split('`').skip(1).step_by(2);
        values.map(move |value| (name.to_owned(), value.to_owned()))
    });
    values.collect()
}

#[test]
fn each_label_value_has_a_test_that_changes_it_or_a_reason_to_stay_0() {
    let place = Place::new();
    let (_server, metrics) = start(&place, &["--dev"]);
    let series_labels: BTreeSet<_> = samples(&metrics).keys().filter_map(|series| labelled(series)).collect();
    let (mut listed, staying_zero) = (staying_zero(), staying_zero());
    for (metric, test, values) in CHANGED_BY {
        let body = body_of(test);
        assert!(body.contains(metric), "{test} says nothing of {metric}");
        for value in values {
            for word in value.split(' ') {
                // In a text, or in a name with labels.
                assert!(
                    body.contains(&format!("\"{word}\"")) || body.contains(&format!("\\\"{word}\\\"")),
                    "{test} says nothing of {word}"
                );
            }
            let moved = (metric.to_owned(), (*value).to_owned());
            assert!(!staying_zero.contains(&moved), "{moved:?} moves");
            listed.insert(moved);
        }
    }
    assert_eq!(listed, series_labels);
}

/// Starts a create that waits for its body.
fn waiting(server: &Program, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Creates four contacts of one mebibyte.
fn create_large_contacts(server: &Program) {
    for _ in 0..4 {
        server.user("ann").post("/me/contacts", json!({"personalNotes": "x".repeat(1 << 20)})).json(201);
    }
}

/// Requests them twice, since the system may buffer one answer, and reads nothing.
fn unread(server: &Program) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let request = "GET /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\n\r\n";
    stream.write_all(request.repeat(2).as_bytes()).unwrap();
    stream
}

#[test]
fn limits_of_requests_at_once_and_of_memory_count_what_they_refuse() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev", "--max-buffered-each", "32", "--request-timeout", "600"]);
    create_large_contacts(&server);
    let mut held = Vec::new();
    until(|| {
        if held.len() < 40 {
            held.push(unread(&server));
        }
        samples(&metrics)["contactd_http_refused_total{reason=\"buffered\"}"] > 0.0
    });
    drop((held, server));

    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev", "--max-requests", "1", "--max-requests-each", "1"]);
    let refused = |reason: &str| samples(&metrics)[&format!("contactd_http_refused_total{{reason=\"{reason}\"}}")];
    server.user("ann").get("/me").json(200);
    let mut stream = waiting(&server, "ann");
    until(|| samples(&metrics)["contactd_http_requests_in_flight"] > 0.0);
    assert_eq!(server.user("ann").get("/me").status, 429);
    assert!(refused("in_flight_each") > 0.0 && refused("in_flight") < 1.0);
    assert_eq!(server.user("bob").get("/me").status, 503);
    assert!(refused("in_flight") > 0.0);
    stream.write_all(b"}").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
}

#[test]
fn unknown_tokens_beyond_the_limit_of_an_address_are_counted() {
    let place = Place::new();
    let (server, metrics) = serve_tokens(&place, &[]);
    let stranger = server.user("nonsense");
    let refused = (0..10_000).map(|_| stranger.get("/me").status).find(|status| *status != 401);
    assert_eq!(refused, Some(429));
    assert!(samples(&metrics)["contactd_http_refused_total{reason=\"unknown_token\"}"] > 0.0);
}

#[test]
fn subscriptions_that_wait_for_their_receivers_are_limited_and_counted() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev", "--allow-notification-target", "127.0.0.1"]);
    // It accepts connections and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let terms = json!({
        "changeType": "created", "resource": "me/contacts",
        "notificationUrl": format!("http://{}/", silent.local_addr().unwrap()),
        "expirationDateTime": (Utc::now() + TimeDelta::hours(1)).to_rfc3339(),
    });
    std::thread::scope(|scope| {
        let subscribe = || server.user("ann").post("/subscriptions", &terms).status;
        let subscribers: Vec<_> = (0..8).map(|_| scope.spawn(subscribe)).collect();
        until(|| samples(&metrics)["contactd_http_refused_total{reason=\"confirmations\"}"] > 0.0);
        drop(silent);
        let statuses: Vec<_> = subscribers.into_iter().map(|subscriber| subscriber.join().unwrap()).collect();
        assert!(statuses.contains(&429) && statuses.contains(&400), "{statuses:?}");
    });
}

#[test]
fn connections_over_the_limit_and_with_unread_answers_are_counted_when_closed() {
    let place = Place::new();
    let limits = ["--dev", "--request-timeout", "1", "--max-connections", "3", "--max-connections-address", "50"];
    let (server, metrics) = start(&place, &limits);
    let closed =
        |reason: &str| samples(&metrics)[&format!("contactd_http_connections_closed_total{{reason=\"{reason}\"}}")];
    create_large_contacts(&server);
    let reader = unread(&server);
    until(|| closed("slow_reader") > 0.0);
    let waiting: Vec<_> = (0..6).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    until(|| closed("too_many") > 0.0);
    drop((reader, waiting));
}

#[test]
fn uncached_tokens_are_counted_by_their_state_in_the_database() {
    let place = Place::new();
    let (server, metrics) = serve_tokens(&place, &[]);
    let auth = |result: &str| samples(&metrics)[&format!("contactd_auth_total{{kind=\"stored\",result=\"{result}\"}}")];
    let token = |name: &str| create(&place.database(), &["--user", "ann", "--name", name]);
    let (expired, revoked, disabled) = (token("expired"), token("revoked"), token("disabled"));
    let rows = rusqlite::Connection::open(place.database()).unwrap();
    rows.busy_timeout(Duration::from_mins(1)).unwrap();
    for (token, result, change) in [
        (expired, "expired", "update tokens set expiration_date_time = 1 where name = 'expired'"),
        (revoked, "revoked", "update tokens set revoked_date_time = 1 where name = 'revoked'"),
        (disabled, "disabled", "update users set disabled_date_time = 1 where id = 'ann'"),
    ] {
        rows.execute_batch(change).unwrap();
        let before = auth(result);
        assert_eq!(server.user(&token).get("/me").status, 401, "{result}");
        assert!((auth(result) - before - 1.0).abs() < 0.1, "{result}");
    }
    assert!(auth("ok") < 1.0 && auth("unknown") < 1.0);
}

#[test]
fn tokens_of_the_operator_and_of_a_provider_are_counted_by_the_result_of_their_check() {
    let (place, mut provider) = (Place::new(), IdentityProvider::start());
    make(&place.database());
    let file = place.file("tokens");
    fs::write(&file, "ann=hunter2").unwrap();
    let issuer = provider.issuer.clone();
    let (server, metrics) =
        start(&place, &["--token-file", file.to_str().unwrap(), "--oidc-issuer", &issuer, "--oidc-audience", AUDIENCE]);
    let auth = |kind: &str, result: &str| {
        samples(&metrics)[&format!("contactd_auth_total{{kind=\"{kind}\",result=\"{result}\"}}")]
    };
    let ann = server.user("hunter2");
    ann.get("/me").json(200);
    assert!(auth("named", "ok") > 0.0 && auth("named", "disabled") < 1.0);
    run(&place.database(), &["user", "disable", "ann"]);
    assert_eq!(ann.get("/me").status, 401);
    assert!(auth("named", "disabled") > 0.0);
    server.user(&provider.user("bob", "Contacts.ReadWrite")).get("/me").json(200);
    assert!(auth("provider", "ok") > 0.0 && auth("provider", "denied") < 1.0);
    assert_eq!(server.user(&provider.user("carol", "offline_access")).get("/me").status, 403);
    assert!(auth("provider", "denied") > 0.0);
}

#[test]
fn credentials_that_cannot_be_checked_are_counted_as_failed() {
    let (place, provider, mut postgres) = (Place::new(), Receiver::new(), Postgres::start(&[]));
    let schema = postgres.schema();
    let file = place.file("tokens");
    fs::write(&file, "ann=hunter2").unwrap();
    provider.set(Behaviour::Refuses(500));
    let issuer = provider.url("");
    let oidc = ["--oidc-issuer", &issuer, "--oidc-audience", "api://contactd"];
    let servers = [
        serve_on(&schema.url, &[&["--token-file", file.to_str().unwrap()][..], &oidc].concat()),
        serve_on(&schema.url, &["--dev"]),
    ];
    let auth = |metrics: &Client, kind: &str, result: &str| {
        samples(metrics)[&format!("contactd_auth_total{{kind=\"{kind}\",result=\"{result}\"}}")]
    };
    let [(server, metrics), (dev, metrics_of_dev)] = &servers;
    // The provider has no keys, but an expired token needs none.
    assert_eq!(server.user(&forged(&issuer)).get("/me").status, 503);
    assert!(auth(metrics, "provider", "failed") > 0.0);
    assert_eq!(server.user(&forged_for(&issuer, -600)).get("/me").status, 401);
    assert!(auth(metrics, "provider", "expired") > 0.0);
    postgres.kill();
    assert_eq!(server.user("unknown").get("/me").status, 503);
    assert_eq!(server.user("hunter2").get("/me").status, 503);
    assert_eq!(dev.user("bob").get("/me").status, 503);
    assert!(auth(metrics, "stored", "failed") > 0.0 && auth(metrics, "named", "failed") > 0.0);
    assert!(auth(metrics_of_dev, "dev", "failed") > 0.0);
}

#[test]
fn folders_that_a_purge_removes_are_counted() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    let ann = server.user("ann");
    let id = ann.post("/me/contactFolders", json!({"displayName": "gone"})).id();
    ann.delete(&format!("/me/contactFolders/{id}")).empty(204);
    drop((server, metrics));
    let rows = rusqlite::Connection::open(place.database()).unwrap();
    let aged = rows.execute("update folders set deleted_date_time = 1 where deleted_date_time is not null", []);
    assert_eq!(aged.unwrap(), 1);
    drop(rows);
    let (_server, metrics) = start(&place, &["--dev"]);
    until(|| samples(&metrics)["contactd_purged_total{what=\"folders\"}"] > 0.0);
}

#[test]
fn a_full_file_and_a_damaged_page_are_counted_as_different_errors() {
    let errors =
        |metrics: &Client, kind: &str| samples(metrics)[&format!("contactd_store_errors_total{{kind=\"{kind}\"}}")];
    let place = Place::new();
    let database = place.database();
    // No file may grow past 1 MiB; the signal that says so is ignored, and the write fails instead.
    let limited = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_contactd"), "serve", "--dev", "--listen", "127.0.0.1:0"]);
    command.args(["--metrics-listen", "127.0.0.1:0", "--database", database.to_str().unwrap()]);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let server = Program::start(command);
    let (ann, metrics) = (server.user("ann"), metrics_of(&server));
    assert!(errors(&metrics, "io") < 1.0);
    let notes = json!({"personalNotes": "x".repeat(100_000)});
    until(|| ann.post("/me/contacts", &notes).status == 503);
    assert!(errors(&metrics, "io") > 0.0);
    drop(server);

    let place = Place::new();
    let database = place.database();
    let mut server = Program::start(serve_dev(&database));
    server.user("ann").post("/me/contacts/$ref", SEED_REQUEST).json(201);
    server.signal("TERM");
    assert!(server.ended(Duration::from_mins(1)).success());
    let rows = rusqlite::Connection::open(&database).unwrap();
    let query = "select rootpage from sqlite_master where name = 'phones'";
    let page: u32 = rows.query_row(query, [], |row| row.get(0)).unwrap();
    drop(rows);
    let (server, metrics) = start(&place, &["--dev"]);
    let file = fs::OpenOptions::new().write(true).open(&database).unwrap();
    file.write_at(&[0x5a; 4096], u64::from(page - 1) * 4096).unwrap();
    assert!(errors(&metrics, "corrupt") < 1.0);
    assert_eq!(server.user("ann").get("/me/contacts").status, 503);
    assert!(errors(&metrics, "corrupt") > 0.0);
}

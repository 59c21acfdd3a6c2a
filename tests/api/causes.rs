//! Metrics whose causes need time, many clients or a second server, and a list of the test that changes each metric.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::both::costs::{COSTLY_FILTER, encoded, large};
use crate::measured::{samples, serve_on, serve_tokens, start};
use crate::notifications::subscribe;
use crate::operating::create;
use crate::postgres::Postgres;
use crate::program::Place;
use crate::receiver::{Receiver, until};

const IN_FLIGHT: &str = "contactd_http_requests_in_flight";

/// The test that changes each metric. The first word is its file.
const CHANGED_BY: [(&str, &str); 46] = [
    ("contactd_audit_rows_total", "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client"),
    ("contactd_auth_total", "measured credentials_are_counted_by_the_result_of_their_check"),
    ("contactd_backup_bytes", "measured a_backup_writes_metrics_for_prometheus"),
    ("contactd_backup_duration_seconds", "measured a_backup_writes_metrics_for_prometheus"),
    ("contactd_backup_last_success_timestamp_seconds", "measured a_backup_writes_metrics_for_prometheus"),
    ("contactd_build_info", "measured an_unreachable_postgresql_server_is_visible_in_the_metrics"),
    ("contactd_changes_oldest_timestamp_seconds", "measured database_sizes_and_purged_rows_are_measured"),
    ("contactd_contacts", "measured database_sizes_and_purged_rows_are_measured"),
    ("contactd_deleted_contacts", "causes subscriptions_and_deleted_contacts_are_counted"),
    ("contactd_http_connections", "causes open_requests_and_connections_are_counted"),
    (
        "contactd_http_connections_closed_total",
        "measured refusals_by_limits_and_reasons_of_closed_connections_are_counted",
    ),
    ("contactd_http_refused_total", "measured refusals_by_limits_and_reasons_of_closed_connections_are_counted"),
    (
        "contactd_http_request_bytes_total",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
    ),
    (
        "contactd_http_request_duration_seconds",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
    ),
    ("contactd_http_requests_in_flight", "causes open_requests_and_connections_are_counted"),
    ("contactd_http_requests_total", "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client"),
    (
        "contactd_http_response_bytes_total",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
    ),
    ("contactd_notification_backlog_changes", "measured notifications_are_counted_by_result"),
    ("contactd_notification_delay_seconds", "measured notifications_are_counted_by_result"),
    ("contactd_notifications_total", "measured notifications_are_counted_by_result"),
    ("contactd_postgres_commit_lookups_total", "lost a_commit_whose_answer_is_lost_is_looked_up_and_answered"),
    ("contactd_postgres_connects_total", "measured an_unreachable_postgresql_server_is_visible_in_the_metrics"),
    ("contactd_postgres_standby_reads_total", "causes reads_of_a_standby_are_counted_by_result"),
    ("contactd_provider_key_fetches_total", "measured the_age_of_provider_keys_and_failed_fetches_are_measured"),
    ("contactd_provider_keys_age_seconds", "measured the_age_of_provider_keys_and_failed_fetches_are_measured"),
    ("contactd_purge_last_success_timestamp_seconds", "measured database_sizes_and_purged_rows_are_measured"),
    ("contactd_purged_total", "measured database_sizes_and_purged_rows_are_measured"),
    ("contactd_sqlite_database_bytes", "causes the_sizes_of_a_growing_file_are_measured"),
    ("contactd_sqlite_disk_free_bytes", "causes the_sizes_of_a_growing_file_are_measured"),
    ("contactd_sqlite_free_bytes", "causes the_sizes_of_a_growing_file_are_measured"),
    ("contactd_sqlite_wal_bytes", "causes the_sizes_of_a_growing_file_are_measured"),
    (
        "contactd_store_commit_duration_seconds",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
    ),
    ("contactd_store_commit_jobs", "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client"),
    ("contactd_store_errors_total", "measured database_errors_and_failed_writes_are_counted"),
    (
        "contactd_store_queries_interrupted_total",
        "causes a_query_over_its_time_limit_is_counted_and_its_connection_is_busy",
    ),
    (
        "contactd_store_query_duration_seconds",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
    ),
    (
        "contactd_store_reader_wait_seconds",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
    ),
    ("contactd_store_readers", "causes a_query_over_its_time_limit_is_counted_and_its_connection_is_busy"),
    ("contactd_store_write_queue_jobs", "causes waiting_writes_are_counted"),
    (
        "contactd_store_write_wait_seconds",
        "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client",
    ),
    ("contactd_store_writes_total", "measured database_errors_and_failed_writes_are_counted"),
    ("contactd_subscriptions", "causes subscriptions_and_deleted_contacts_are_counted"),
    (
        "contactd_tls_certificate_expiry_timestamp_seconds",
        "measured tls_handshakes_and_the_expiry_of_the_certificate_are_measured",
    ),
    ("contactd_tls_handshakes_total", "measured tls_handshakes_and_the_expiry_of_the_certificate_are_measured"),
    ("contactd_users", "measured database_sizes_and_purged_rows_are_measured"),
    ("process_cpu_seconds_total", "measured each_metric_changes_with_its_cause_and_no_label_comes_from_a_client"),
];

/// Metrics of the system, not of the program.
const SYSTEM_METRICS: [&str; 5] = [
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
];

#[test]
fn each_metric_has_a_test_that_changes_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Another test compares the page with the metrics of a server.
    let page = fs::read_to_string(root.join("docs/metrics.md")).unwrap();
    let documented: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let listed = CHANGED_BY.iter().map(|(metric, _)| *metric).chain(SYSTEM_METRICS);
    assert_eq!(listed.collect::<BTreeSet<_>>(), documented);
    for (metric, test) in CHANGED_BY {
        assert!(body_of(test).contains(metric), "{test} says nothing of {metric}");
    }
}

/// The text of a test: the first word is its file.
pub fn body_of(test: &str) -> String {
    let (file, test) = test.split_once(' ').unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests/api", "src/store/tests"].map(|folder| root.join(folder).join(format!("{file}.rs")));
    let source = files.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap();
    let body = source.split(&format!("fn {test}() {{")).nth(1).unwrap_or_else(|| panic!("there is no test {test}"));
    body.split("\n}\n").next().unwrap().replace("IN_FLIGHT", self::IN_FLIGHT)
}

#[test]
fn open_requests_and_connections_are_counted() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    let sample = |name: &str| samples(&metrics)[name];
    let (active, idle) = ("contactd_http_connections{state=\"active\"}", "contactd_http_connections{state=\"idle\"}");
    until(|| sample(IN_FLIGHT) < 1.0 && sample(active) < 1.0);
    // A create whose body is incomplete.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    until(|| sample(IN_FLIGHT) > 0.0 && sample(active) > 0.0);
    stream.write_all(b"}").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    // The connection stays open.
    until(|| sample(IN_FLIGHT) < 1.0 && sample(active) < 1.0 && sample(idle) > 0.0);
    drop(stream);
    until(|| sample(idle) < 1.0);
}

#[test]
fn waiting_writes_are_counted() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    let queued_jobs = || samples(&metrics)["contactd_store_write_queue_jobs"];
    server.user("ann").post("/me/contacts", json!({})).json(201);
    let other = rusqlite::Connection::open(place.database()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    std::thread::scope(|scope| {
        // On a busy machine a write may fail on the locked file before the metrics are read.
        let create = || {
            until(|| {
                let status = server.user("ann").post("/me/contacts", json!({})).status;
                assert!([201, 503].contains(&status), "{status}");
                status == 201
            });
        };
        // The writer has taken the first write, and the others wait.
        let creates: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        until(|| queued_jobs() > 0.0);
        other.execute_batch("rollback").unwrap();
        for create in creates {
            create.join().unwrap();
        }
    });
    until(|| queued_jobs() < 1.0);
}

#[test]
fn a_query_over_its_time_limit_is_counted_and_its_connection_is_busy() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev", "--query-timeout", "2"]);
    let sample = |name: &str| samples(&metrics)[name];
    let interrupted = "contactd_store_queries_interrupted_total";
    let busy = "contactd_store_readers{state=\"busy\",server=\"primary\"}";
    let ann = server.user("ann");
    ann.post("/me/contacts", large()).json(201);
    until(|| sample(busy) < 1.0);
    assert!(sample(interrupted) < 1.0);
    std::thread::scope(|scope| {
        let path = format!("/me/contacts?$filter={}", encoded(COSTLY_FILTER));
        let pending_request = scope.spawn(move || ann.get(&path).error());
        until(|| sample(busy) > 0.0);
        assert_eq!(pending_request.join().unwrap().0, 400);
    });
    assert!(sample(interrupted) > 0.0);
    until(|| sample(busy) < 1.0);
}

#[test]
fn subscriptions_and_deleted_contacts_are_counted() {
    let (place, receiver) = (Place::new(), Receiver::new());
    let notify = ["--dev", "--allow-notification-target", "127.0.0.1"];
    let (server, metrics) = start(&place, &notify);
    let before = samples(&metrics);
    let ann = server.user("ann");
    subscribe(&ann, &receiver.url("/"));
    let id = ann.post("/me/contacts", json!({})).id();
    ann.delete(&format!("/me/contacts/{id}")).empty(204);
    drop((server, metrics));
    // Rows are counted at startup and then once a minute.
    let (_server, metrics) = start(&place, &notify);
    let after = samples(&metrics);
    for name in ["contactd_subscriptions", "contactd_deleted_contacts"] {
        assert!(before.get(name).is_none_or(|count| *count < 1.0) && (after[name] - 1.0).abs() < 0.1, "{name}");
    }
}

#[test]
fn the_sizes_of_a_growing_file_are_measured() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    let sample = |name: &str| samples(&metrics)[name];
    let [size, log, free] =
        ["contactd_sqlite_database_bytes", "contactd_sqlite_wal_bytes", "contactd_sqlite_free_bytes"];
    let ann = server.user("ann");
    ann.post("/me/contacts", json!({})).json(201);
    let before = samples(&metrics);
    let notes = "x".repeat(100_000);
    for _ in 0..4 {
        ann.post("/me/contacts", json!({"personalNotes": notes})).json(201);
    }
    until(|| sample(log) > before[log]);
    // Another process frees a table and checkpoints the write-ahead log.
    let other = rusqlite::Connection::open(place.database()).unwrap();
    let work = "create table more (bytes blob); insert into more values (zeroblob(1000000)); drop table more";
    other.execute_batch(work).unwrap();
    until(|| {
        other.execute_batch("pragma wal_checkpoint(passive)").unwrap();
        sample(size) > before[size] && sample(free) > before[free]
    });
    assert!(sample("contactd_sqlite_disk_free_bytes") > 0.0);
}

#[test]
fn refusals_by_graphs_limits_are_counted() {
    let place = Place::new();
    let (server, metrics) = serve_tokens(&place, &["--throttle", "graph"]);
    let sample = |name: &str| samples(&metrics)[name];
    let token = create(&place.database(), &["--user", "ann", "--name", "one"]);
    // Four requests at once are allowed; the fifth is refused.
    let head = format!(
        "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{"
    );
    let streams: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    until(|| sample(IN_FLIGHT) > 3.0);
    until(|| server.user(&token).get("/me/contacts").status == 429);
    assert!(sample("contactd_http_refused_total{reason=\"graph_throttle\"}") > 0.0);
    drop(streams);
}

#[test]
fn reads_of_a_standby_are_counted_by_result() {
    let primary = Postgres::start(&[]);
    let standby = primary.standby("reader", &[]);
    let schema = primary.schema();
    let (server, metrics) = serve_on(&schema.url, &["--dev", "--database-read", &schema.on(&primary, &standby).url]);
    let reads =
        |result: &str| samples(&metrics)[&format!("contactd_postgres_standby_reads_total{{result=\"{result}\"}}")];
    let ann = server.user("ann");
    ann.post("/me/contacts", json!({})).json(201);
    let list = || ann.get("/me/contacts").json(200);
    until(|| {
        list();
        reads("fresh") > 0.0
    });
    standby.query("select pg_wal_replay_pause()");
    until(|| standby.query("select pg_get_wal_replay_pause_state()") == "paused");
    ann.post("/me/contacts", json!({})).json(201);
    until(|| {
        list();
        reads("behind") > 0.0
    });
    let connections =
        |state: &str| samples(&metrics)[&format!("contactd_store_readers{{state=\"{state}\",server=\"standby\"}}")];
    assert!(connections("idle") > 0.0);
    // After some seconds without an answer of the standby, the primary is asked.
    standby.freeze();
    let (seen, started) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !seen.load(Ordering::Relaxed) && started.elapsed() < Duration::from_mins(1) {
                list();
            }
        });
        until(|| connections("busy") > 0.0);
        until(|| reads("failed") > 0.0);
        seen.store(true, Ordering::Relaxed);
    });
    standby.thaw();
}

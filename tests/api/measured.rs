//! `--metrics-listen`: the metrics of the real program, and the dashboard and alerts that use them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::app::{Client, SEED_REQUEST};
use crate::notifications::subscribe;
use crate::operating::{create, make, refuses, run};
use crate::postgres::Postgres;
use crate::program::{Place, Program, contactd, fails};
use crate::receiver::{Behaviour, Receiver, until};
use crate::traced::forged;

/// A test server, and a client of its metrics address.
pub fn start(place: &Place, arguments: &[&str]) -> (Program, Client) {
    serve_on(place.database().to_str().unwrap(), arguments)
}

pub fn serve_on(database: &str, arguments: &[&str]) -> (Program, Client) {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--database"];
    let server = Program::start(contactd(&[&serve[..], &[database], arguments].concat()));
    let metrics = metrics_of(&server);
    (server, metrics)
}

/// A client of a server's metrics address.
pub fn metrics_of(server: &Program) -> Client {
    let log = server.log();
    let line = log.lines().find_map(|line| line.strip_prefix("contactd metrics on http://")).unwrap();
    Client::new(line.strip_suffix("/metrics").unwrap(), "").unchecked()
}

/// The samples, by their names with labels.
pub fn samples(metrics: &Client) -> BTreeMap<String, f64> {
    let text = metrics.get("/metrics").text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ops")
}

/// Prometheus' own checker: Debian's, or the one that tests/run has unpacked.
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/prometheus/usr/bin/promtool");
    let program = if unpacked.exists() { unpacked } else { "promtool".into() };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder().join("prometheus"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn prometheus_reads_the_metrics_and_the_alerts() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    server.user("ann").post("/me/contacts/$ref", SEED_REQUEST);
    let answer = metrics.get("/metrics");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let checked = promtool(&["check", "metrics"], &answer.text());
    assert_eq!(checked, (true, String::new()));
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let (is_well, output) = promtool(&arguments, "");
        assert!(is_well, "{output}");
    }
}

/// The metrics in an expression, each with the labels that it selects.
fn selected_metrics(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = ["contactd_", "process_"].iter().filter_map(|start| rest.find(start)).min() {
        rest = &rest[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let labels = after.strip_prefix('{').and_then(|after| after.split_once('}')).map_or("", |(labels, _)| labels);
        let labels = labels.split("\",").filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.split_once(['=', '~', '!']).unwrap());
        let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches(['=', '~', '"']).to_owned()));
        found.push((name.to_owned(), labels.collect()));
        rest = after;
    }
    found
}

#[test]
fn the_dashboard_and_the_alerts_use_only_existing_metrics() {
    let place = Place::new();
    // With a certificate, because it has metrics too.
    let folder_of_certificate = place.file("certificate");
    let tls = ["--dev", "--tls", "--dev-cert-dir", folder_of_certificate.to_str().unwrap()];
    let (_server, metrics) = start(&place, &tls);
    until(|| samples(&metrics).contains_key("contactd_purge_last_success_timestamp_seconds"));
    let served_samples = samples(&metrics);
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("grafana/contactd.json")).unwrap()).unwrap();
    let mut expressions = vec![fs::read_to_string(folder().join("prometheus/alerts.yml")).unwrap()];
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let mut names = BTreeSet::new();
    let selected = expressions.iter().flat_map(|expression| selected_metrics(expression));
    for (name, labels) in selected.filter(|(name, _)| !ABSENT_METRICS.contains(&name.as_str())) {
        names.insert(name.clone());
        let series = |series_name: &&String| series_name.split('{').next() == Some(name.as_str());
        let known: Vec<_> = served_samples.keys().filter(series).collect();
        assert!(!known.is_empty(), "no server tells {name}");
        for (label, value) in labels.iter().filter(|(label, _)| !["instance", "job"].contains(&label.as_str())) {
            let value = if value == "5.." { "500" } else { value };
            let has = |series: &&String| series.contains(&format!("{label}=\"{value}\""));
            assert!(known.iter().any(has), "no {name} has {label}={value}");
        }
    }
    assert!(names.len() > 30, "{names:?}");
    // The metrics page lists exactly these.
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<_> =
        rows.map(str::to_owned).filter(|name| !ABSENT_METRICS.contains(&name.as_str())).collect();
    let text = metrics.get("/metrics").text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(types.map(str::to_owned).collect::<BTreeSet<_>>(), documented);
}

/// Metrics that this server does not have: of backups and of an identity provider.
const ABSENT_METRICS: [&str; 4] = [
    "contactd_backup_last_success_timestamp_seconds",
    "contactd_backup_duration_seconds",
    "contactd_backup_bytes",
    "contactd_provider_keys_age_seconds",
];

/// Asserts that these samples have grown.
fn assert_grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, names: &[&str]) {
    for name in names {
        let (old, new) = (before.get(*name), after.get(*name));
        assert!(old.is_some() && new > old, "{name}: {old:?}, {new:?}");
    }
}

#[test]
fn each_metric_changes_with_its_cause_and_no_label_comes_from_a_client() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    let (ann, before) = (server.user("ann"), samples(&metrics));
    let contact = ann.post("/me/contacts/$ref", SEED_REQUEST).json(201);
    let id = contact["id"].as_str().unwrap().to_owned();
    ann.get(&format!("/me/contacts/{id}")).json(200);
    ann.get("/me/contacts").json(200);
    ann.get("/me/contacts/$count");
    ann.get("/me/contacts?$search=%22Pavel%22").json(200);
    ann.get("/me/contacts/delta").json(200);
    ann.get("/me/contacts?$expand=extensions").json(200);
    ann.get("/me/contacts/evil%22label").error();
    server.user("evil label").get("/me").error();
    server.user("").with("X-Forwarded-For", "evil").get("/evil").error();
    ann.post("/me/contacts/$ref", "x".repeat(5 << 20)).error();
    ann.delete(&format!("/me/contacts/{}", uuid::Uuid::nil())).error();
    let step = json!({"id": "1", "method": "GET", "url": "/me/contacts"});
    ann.post("/$batch", json!({"requests": [step]})).json(200);
    // A request is recorded after its answer is read.
    let duration = "contactd_http_request_duration_seconds_count{route=\"POST /$batch\"}";
    until(|| samples(&metrics)[duration] > 0.0);
    let after = samples(&metrics);
    let requests = |route: &str, status: u16, source: &str| {
        format!("contactd_http_requests_total{{route=\"{route}\",source=\"{source}\",status=\"{status}\"}}")
    };
    let create = requests("POST /{user}/contacts/$ref", 201, "http");
    let list = requests("GET /{user}/contacts", 200, "batch");
    let unknown = requests("GET unknown", 404, "http");
    let too_large = "contactd_http_request_duration_seconds_bucket{route=\"POST /{user}/contacts/$ref\",le=\"+Inf\"}";
    assert_grown(&before, &after, &[&create, &list, &unknown, too_large]);
    assert_grown(
        &before,
        &after,
        &[
            "contactd_http_request_bytes_total",
            "contactd_http_response_bytes_total",
            "contactd_http_refused_total{reason=\"body_size\"}",
            "contactd_auth_total{kind=\"dev\",result=\"ok\"}",
            "contactd_auth_total{kind=\"dev\",result=\"unknown\"}",
            "contactd_store_writes_total{result=\"ok\"}",
            "contactd_store_writes_total{result=\"refused\"}",
            "contactd_store_write_wait_seconds_count",
            "contactd_store_commit_duration_seconds_count",
            "contactd_store_commit_jobs_count",
            "contactd_store_query_duration_seconds_count{kind=\"get\"}",
            "contactd_store_query_duration_seconds_count{kind=\"page\"}",
            "contactd_store_query_duration_seconds_count{kind=\"count\"}",
            "contactd_store_query_duration_seconds_count{kind=\"search\"}",
            "contactd_store_query_duration_seconds_count{kind=\"delta\"}",
            "contactd_store_query_duration_seconds_count{kind=\"expand\"}",
            "contactd_store_reader_wait_seconds_count",
            "contactd_audit_rows_total",
            "process_cpu_seconds_total",
        ],
    );
    assert!(after["contactd_sqlite_database_bytes"] > 4096.0 && after["contactd_sqlite_wal_bytes"] > 4096.0);
    assert!(after["contactd_store_readers{state=\"idle\",server=\"primary\"}"] > 0.0);
    assert!(after["contactd_store_write_queue_jobs"] < 1.0);
    assert!(after["contactd_http_requests_in_flight"] < 1.0);
    assert!(after.keys().all(|name| !name.contains("evil") && !name.contains("ann") && !name.contains(&id)));
    assert!(after.keys().any(|name| name.starts_with("contactd_build_info{") && name.contains("engine=\"sqlite\"")));
}

#[test]
fn metrics_are_served_only_on_the_metrics_address() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    assert_eq!(server.user("ann").get("/metrics").status, 404);
    assert_eq!((metrics.get("/livez").text().as_str(), metrics.get("/readyz").text().as_str()), ("ok", "ok"));
    for path in ["/", "/me/contacts", "/healthz", "/metrics/x"] {
        assert_eq!(metrics.get(path).status, 404, "{path}");
    }
    assert_eq!(metrics.post("/metrics", "{}").status, 405);
    drop(server);
    let plain = Program::start(crate::program::serve_dev(&place.database()));
    assert!(!plain.log().contains("contactd metrics on"));
    let arguments =
        ["serve", "--dev", "--listen", "127.0.0.1:0", "--metrics-listen", &plain.address, "--database", ":memory:"];
    let (status, message) = fails(contactd(&arguments));
    assert!(
        status == 1 && message.starts_with(&format!("contactd: --metrics-listen {}: Address already", plain.address)),
        "{message}"
    );
}

/// A server whose users have tokens in the database, and a client of its metrics address.
pub fn serve_tokens(place: &Place, arguments: &[&str]) -> (Program, Client) {
    make(&place.database());
    run(&place.database(), &["user", "add", "ann"]);
    start(place, arguments)
}

#[test]
fn credentials_are_counted_by_the_result_of_their_check() {
    let place = Place::new();
    let (server, metrics) = serve_tokens(&place, &[]);
    let database = place.database();
    let auth = |result: &str| samples(&metrics)[&format!("contactd_auth_total{{kind=\"stored\",result=\"{result}\"}}")];
    let token = create(&database, &["--user", "ann", "--name", "one"]);
    let ann = server.user(&token);
    ann.get("/me").json(200);
    assert!(auth("ok") > 0.0 && auth("revoked") < 1.0 && auth("disabled") < 1.0);
    run(&database, &["user", "disable", "ann"]);
    assert_eq!(ann.get("/me/contacts").status, 401);
    assert!(auth("disabled") > 0.0);
    run(&database, &["user", "enable", "ann"]);
    let listed = run(&database, &["token", "list", "--user", "ann", "--json"]);
    let listed: Value = serde_json::from_str(listed.lines().last().unwrap()).unwrap();
    run(&database, &["token", "revoke", listed["id"].as_str().unwrap()]);
    assert_eq!(ann.get("/me/contacts").status, 401);
    assert!(auth("revoked") > 0.0);
    assert_eq!(server.user("nonsense").get("/me").status, 401);
    assert!(auth("unknown") > 0.0);
}

#[test]
fn refusals_by_limits_and_reasons_of_closed_connections_are_counted() {
    let place = Place::new();
    let limits =
        ["--dev", "--rate-limit", "1", "--request-timeout", "1", "--keep-alive", "1", "--max-connections-address", "3"];
    let (server, metrics) = start(&place, &limits);
    let refused = |reason: &str| samples(&metrics)[&format!("contactd_http_refused_total{{reason=\"{reason}\"}}")];
    let closed =
        |reason: &str| samples(&metrics)[&format!("contactd_http_connections_closed_total{{reason=\"{reason}\"}}")];
    until(|| {
        server.user("ann").get("/me");
        refused("token_rate") > 0.0
    });
    // Invalid heads, incomplete bodies, and idle connections.
    let send = |text: &str| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let _ = stream.write_all(text.as_bytes());
        stream
    };
    drop(send("\0\0\r\n\r\n").read_to_end(&mut Vec::new()));
    until(|| refused("head") > 0.0);
    let head =
        "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer bob\r\nContent-Type: application/json";
    let _ = send(&format!("{head}\r\nContent-Length: 9\r\n\r\n{{")).read_to_end(&mut Vec::new());
    until(|| refused("body_time") > 0.0 && closed("slow_body") > 0.0);
    let waiting: Vec<_> = (0..6).map(|_| send("")).collect();
    until(|| closed("address") > 0.0);
    drop(waiting);
    // Too many requests with an unknown token.
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev", "--rate-limit-address", "1"]);
    until(|| {
        server.user("").get("/me");
        samples(&metrics)["contactd_http_refused_total{reason=\"address_rate\"}"] > 0.0
    });
}

#[test]
fn incomplete_heads_and_idle_connections_are_counted_separately() {
    let (server, metrics) = start(&Place::new(), &["--dev", "--request-timeout", "1", "--keep-alive", "1"]);
    let closed = || {
        let now = samples(&metrics);
        ["slow_head", "idle"].map(|why| now[&format!("contactd_http_connections_closed_total{{reason=\"{why}\"}}")])
    };
    let send = |text: &str| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let complete_request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let part = "GET /livez HTTP/1.1\r\nHost: ";
    for text in [part, complete_request] {
        send(text).read_to_end(&mut Vec::new()).unwrap();
    }
    until(|| closed().iter().all(|count| *count >= 1.0));
}

#[test]
fn database_sizes_and_purged_rows_are_measured() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    let ann = server.user("ann");
    let id = ann.post("/me/contacts/$ref", SEED_REQUEST).json(201)["id"].as_str().unwrap().to_owned();
    ann.post("/me/contacts", json!({})).json(201);
    ann.with("Idempotency-Key", "a").post("/me/contacts", json!({})).json(201);
    ann.delete(&format!("/me/contacts/{id}")).empty(204);
    drop((server, metrics));
    // Everything is old enough for the next purge, except the contacts that are not deleted.
    let rows = rusqlite::Connection::open(place.database()).unwrap();
    let old = "update contacts set deleted_date_time = 1 where deleted_date_time is not null;
               update idempotency_keys set created_date_time = 1; update audit set audit_date_time = 1;
               update changes set changed_date_time = 1 where seq <= 2";
    rows.execute_batch(old).unwrap();
    drop(rows);
    let (server, metrics) = start(&place, &["--dev"]);
    until(|| samples(&metrics).contains_key("contactd_purge_last_success_timestamp_seconds"));
    let found = samples(&metrics);
    for purged in ["contacts", "changes", "audit", "keys"] {
        assert!(found[&format!("contactd_purged_total{{what=\"{purged}\"}}")] > 0.0, "{purged}");
    }
    drop((server, metrics));
    // Rows are counted once a minute, so at once after a start.
    let (server, metrics) = start(&place, &["--dev"]);
    let found = samples(&metrics);
    assert!((found["contactd_users"] - 1.0).abs() < 0.1 && (found["contactd_contacts"] - 2.0).abs() < 0.1, "{found:?}");
    assert!(found["contactd_deleted_contacts"].abs() < 0.1 && found["contactd_changes_oldest_timestamp_seconds"] > 1e9);
    assert!(found["contactd_sqlite_free_bytes"] >= 0.0 && found["contactd_sqlite_disk_free_bytes"] > 0.0);
    drop(server);
}

#[test]
fn notifications_are_counted_by_result() {
    let (place, receiver) = (Place::new(), Receiver::new());
    let notify = ["--dev", "--allow-notification-target", "127.0.0.1", "--notification-times", "1500,4000,1"];
    let (server, metrics) = start(&place, &notify);
    let sent = |result: &str| samples(&metrics)[&format!("contactd_notifications_total{{result=\"{result}\"}}")];
    let ann = server.user("ann");
    subscribe(&ann, &receiver.url("/"));
    ann.post("/me/contacts", json!({})).json(201);
    until(|| sent("taken") > 0.0);
    assert!(samples(&metrics)["contactd_notification_delay_seconds_count"] > 0.0);
    receiver.set(Behaviour::Refuses(500));
    ann.post("/me/contacts", json!({})).json(201);
    until(|| sent("refused") > 0.0 && samples(&metrics)["contactd_notification_backlog_changes"] > 0.0);
    // After the last attempt it is abandoned.
    until(|| sent("dropped") > 0.0);
    let closed_port = receiver.port;
    drop(receiver);
    until(|| TcpStream::connect(("127.0.0.1", closed_port)).is_err());
    ann.post("/me/contacts", json!({})).json(201);
    until(|| sent("failed") > 0.0);
}

#[test]
fn tls_handshakes_and_the_expiry_of_the_certificate_are_measured() {
    let place = Place::new();
    let folder = place.file("certificate");
    let (server, metrics) = start(&place, &["--dev", "--tls", "--dev-cert-dir", folder.to_str().unwrap()]);
    let found = samples(&metrics);
    let now = chrono::Utc::now().timestamp();
    #[expect(clippy::cast_precision_loss, reason = "a time in seconds is small")]
    let days = (found["contactd_tls_certificate_expiry_timestamp_seconds"] - now as f64) / 86_400.0;
    assert!((1.0..4_000.0).contains(&days), "{days}");
    assert_eq!(fails(contactd(&["health", "--listen", &server.address])).0, 0);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let _ = stream.write_all(b"no handshake\r\n\r\n").and_then(|()| stream.read_to_end(&mut Vec::new()));
    let counted = |result: &str| samples(&metrics)[&format!("contactd_tls_handshakes_total{{result=\"{result}\"}}")];
    until(|| counted("ok") > 0.0 && counted("failed") > 0.0);
}

#[test]
fn the_age_of_provider_keys_and_failed_fetches_are_measured() {
    let (place, provider) = (Place::new(), Receiver::new());
    let issuer = provider.url("");
    // One document is both the discovery document and the key set.
    let answer = json!({"issuer": issuer, "jwks_uri": issuer, "keys": []}).to_string();
    let length = answer.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
    provider.set(Behaviour::AnswersWith(format!("{head}: {length}\r\n\r\n{answer}")));
    let oidc = ["--oidc-issuer", &issuer, "--oidc-audience", "api://contactd", "--oidc-times", "1,60000,1"];
    let (server, metrics) = start(&place, &oidc);
    let fetches =
        |result: &str| samples(&metrics)[&format!("contactd_provider_key_fetches_total{{result=\"{result}\"}}")];
    assert!(!samples(&metrics).contains_key("contactd_provider_keys_age_seconds"));
    assert_eq!(server.user(&forged(&issuer)).get("/me").status, 401);
    assert!(fetches("ok") > 0.0);
    let age = || samples(&metrics)["contactd_provider_keys_age_seconds"];
    let first = age();
    until(|| age() > first);
    assert!(samples(&metrics)["contactd_auth_total{kind=\"provider\",result=\"unknown\"}"] > 0.0);
    provider.set(Behaviour::Refuses(500));
    until(|| {
        server.user(&forged(&issuer)).get("/me");
        fetches("failed") > 0.0
    });
}

#[test]
fn database_errors_and_failed_writes_are_counted() {
    let place = Place::new();
    let (server, metrics) = start(&place, &["--dev"]);
    let ann = server.user("ann");
    ann.post("/me/contacts", json!({})).json(201);
    // Another process holds the lock for longer than the writer waits.
    let other = rusqlite::Connection::open(place.database()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    assert_eq!(ann.post("/me/contacts", json!({})).status, 503);
    other.execute_batch("rollback").unwrap();
    let found = samples(&metrics);
    assert!(found["contactd_store_errors_total{kind=\"busy\"}"] > 0.0, "{found:?}");
    assert!(found["contactd_store_writes_total{result=\"failed\"}"] > 0.0, "{found:?}");
}

#[test]
fn an_unreachable_postgresql_server_is_visible_in_the_metrics() {
    let mut postgres = Postgres::start(&[]);
    let schema = postgres.schema();
    let (server, metrics) = serve_on(&schema.url, &["--dev"]);
    let connects =
        |result: &str| samples(&metrics)[&format!("contactd_postgres_connects_total{{result=\"{result}\"}}")];
    server.user("ann").post("/me/contacts", json!({})).json(201);
    assert!(connects("ok") > 0.0);
    let found = samples(&metrics);
    assert!(found.keys().any(|name| name.starts_with("contactd_build_info{") && name.contains("engine=\"postgres\"")));
    assert!(!found.contains_key("contactd_sqlite_database_bytes"));
    postgres.kill();
    until(|| {
        server.user("ann").get("/me/contacts");
        connects("failed") > 0.0 && samples(&metrics)["contactd_store_errors_total{kind=\"lost\"}"] > 0.0
    });
}

#[test]
fn a_backup_writes_metrics_for_prometheus() {
    let place = Place::new();
    let (server, _metrics) = start(&place, &["--dev"]);
    server.user("ann").post("/me/contacts/$ref", SEED_REQUEST).json(201);
    let (copy, figures) = (place.file("copy.db"), place.file("contactd.prom"));
    let backup = ["backup", "--to", copy.to_str().unwrap(), "--metrics-file", figures.to_str().unwrap(), "--json"];
    let report: Value = serde_json::from_str(&run(&place.database(), &backup)).unwrap();
    let text = fs::read_to_string(&figures).unwrap();
    assert_eq!(promtool(&["check", "metrics"], &text), (true, String::new()));
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap();
        line.parse::<f64>().unwrap()
    };
    assert!(
        value("contactd_backup_last_success_timestamp_seconds") > 1e9
            && value("contactd_backup_duration_seconds") > 0.0
    );
    let size = fs::metadata(&copy).unwrap().len();
    assert_eq!((value("contactd_backup_bytes").to_string(), &report["bytes"]), (size.to_string(), &json!(size)));
    assert_eq!(fs::metadata(&figures).unwrap().permissions().mode() & 0o777, 0o644);
    // A failed backup leaves the metrics unchanged.
    assert!(refuses(&place.database(), &backup).contains("it already exists"));
    assert_eq!(fs::read_to_string(&figures).unwrap(), text);
}

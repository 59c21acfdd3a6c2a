//! `--metrics-listen`: what the real program tells Prometheus, and the dashboard and alerts that are made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::app::{Client, SEED_REQUEST};
use crate::program::{Place, Program, contactd, fails};
use crate::receiver::until;

/// A server of tests, and a client of its metrics' address.
fn start(place: &Place, arguments: &[&str]) -> (Program, Client) {
    let database = place.database();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--database"];
    let server = Program::start(contactd(&[&serve[..], &[database.to_str().unwrap()], arguments].concat()));
    let log = server.log();
    let line = log.lines().find_map(|line| line.strip_prefix("contactd metrics on http://")).unwrap();
    let client = Client::new(line.strip_suffix("/metrics").unwrap(), "");
    (server, client)
}

/// The samples, by their names with labels.
fn samples(metrics: &Client) -> BTreeMap<String, f64> {
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
        let (is_well, told) = promtool(&arguments, "");
        assert!(is_well, "{told}");
    }
}

/// The names in an expression that are metrics, each with the labels that it is asked for.
fn asked(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
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
fn what_the_dashboard_and_the_alerts_ask_for_is_what_a_server_tells() {
    let place = Place::new();
    let (_server, metrics) = start(&place, &["--dev"]);
    until(|| samples(&metrics).contains_key("contactd_purge_last_success_timestamp_seconds"));
    let told = samples(&metrics);
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("grafana/contactd.json")).unwrap()).unwrap();
    let mut expressions = vec![fs::read_to_string(folder().join("prometheus/alerts.yml")).unwrap()];
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let mut names = BTreeSet::new();
    for (name, labels) in expressions.iter().flat_map(|expression| asked(expression)) {
        names.insert(name.clone());
        let series = |told: &&String| told.split('{').next() == Some(name.as_str());
        let known: Vec<_> = told.keys().filter(series).collect();
        assert!(!known.is_empty(), "no server tells {name}");
        for (label, value) in labels.iter().filter(|(label, _)| !["instance", "job"].contains(&label.as_str())) {
            let value = if value == "5.." { "500" } else { value };
            let has = |series: &&String| series.contains(&format!("{label}=\"{value}\""));
            assert!(known.iter().any(has), "no {name} has {label}={value}");
        }
    }
    assert!(names.len() > 30, "{names:?}");
    // The page of metrics names all of them and no other.
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<_> = rows.map(str::to_owned).collect();
    let text = metrics.get("/metrics").text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(types.map(str::to_owned).collect::<BTreeSet<_>>(), documented);
}

/// The samples that have grown.
fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, names: &[&str]) {
    for name in names {
        let (old, new) = (before.get(*name), after.get(*name));
        assert!(old.is_some() && new > old, "{name}: {old:?}, {new:?}");
    }
}

#[test]
fn each_metric_moves_when_its_cause_happens_and_none_has_a_label_that_a_client_chose() {
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
    // Figures of a request are recorded once its answer is taken.
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
    grown(&before, &after, &[&create, &list, &unknown, too_large]);
    grown(
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
            "process_cpu_seconds_total",
        ],
    );
    assert!(after["contactd_sqlite_database_bytes"] > 4096.0 && after["contactd_sqlite_wal_bytes"] > 4096.0);
    assert!(after["contactd_store_readers{state=\"idle\"}"] > 0.0);
    assert!(after["contactd_store_write_queue_jobs"] < 1.0);
    assert!(after["contactd_http_requests_in_flight"] < 1.0);
    assert!(after.keys().all(|name| !name.contains("evil") && !name.contains("ann") && !name.contains(&id)));
    assert!(after.keys().any(|name| name.starts_with("contactd_build_info{") && name.contains("engine=\"sqlite\"")));
}

#[test]
fn what_is_told_to_prometheus_is_told_to_nobody_else() {
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
    let taken =
        ["serve", "--dev", "--listen", "127.0.0.1:0", "--metrics-listen", &plain.address, "--database", ":memory:"];
    let (status, told) = fails(contactd(&taken));
    assert!(
        status == 1 && told.starts_with(&format!("contactd: --metrics-listen {}: Address already", plain.address)),
        "{told}"
    );
}

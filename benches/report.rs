//! Writes the report of the other benches: a table, `docs/bench.json` and `docs/bench.svg`. `just bench` runs all of them and
//! then this one.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The files that the benches leave, in the order of the report.
const BENCHES: [&str; 9] =
    ["carddav", "cost", "creates", "engines", "lists", "lists-postgres", "start", "suite", "sync"];
/// Sizes in the chart, in pixels.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 420.0;
const ROW: f64 = 18.0;
const BAR: f64 = 12.0;
/// Ratios marked on the logarithmic axis.
const MARKS: [f64; 9] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];

fn main() {
    let read = |bench: &&str| fs::read_to_string(load::figures::kept().join(format!("{bench}.json"))).ok();
    let benches: Vec<Value> =
        BENCHES.iter().filter_map(read).map(|text| serde_json::from_str(&text).unwrap()).collect();
    let report = json!({
        "machine": machine(),
        "durability": "SQLite: WAL, synchronous=FULL. PostgreSQL: fsync and synchronous_commit on. An answer follows the commit.",
        "method": "release build, HTTP/1.1 on loopback, medians of interleaved rounds; lowest and highest are of the rounds",
        "benches": benches,
    });
    for bench in &benches {
        print(bench);
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::write(docs.join("bench.json"), serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
    fs::write(docs.join("bench.svg"), chart(&benches)).unwrap();
    println!("\nwritten to docs/bench.json and docs/bench.svg");
}

/// The machine and the versions.
fn machine() -> Value {
    let first = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let output_of = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    json!({
        "processor": first("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().unwrap().get(),
        "memory": first("/proc/meminfo", "MemTotal"),
        "system": output_of("uname", "-sr"),
        "compiler": output_of("rustc", "--version"),
    })
}

fn text<'v>(row: &'v Value, name: &str) -> &'v str {
    row[name].as_str().unwrap()
}

fn number(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap()
}

fn rows(bench: &Value) -> &[Value] {
    bench["figures"].as_array().unwrap()
}

fn print(bench: &Value) {
    println!("\n{}", text(bench, "title"));
    println!("{:<52}{:>12}{:>24}{:>8}  beside", "", "median", "lowest to highest", "ratio");
    for row in rows(bench) {
        let spread = format!("{:.0} to {:.0}", number(row, "lowest"), number(row, "highest"));
        let value = format!("{:.0} {}", number(row, "median"), text(row, "unit"));
        let beside = format!("{} ({:.0})", text(row, "beside"), number(row, "its_median"));
        println!("{:<52}{value:>12}{spread:>24}{:>8.2}  {beside}", text(row, "name"), number(row, "ratio"));
    }
}

/// The position of a ratio on the axis.
fn x(ratio: f64) -> f64 {
    let (least, most) = (MARKS[0].ln(), MARKS[MARKS.len() - 1].ln());
    LEFT + (ratio.ln().clamp(least, most) - least) / (most - least) * (WIDTH - LEFT - 60.0)
}

/// A bar for each figure, from the compared value to its own.
fn chart(benches: &[Value]) -> String {
    let (mut body, mut y) = (String::new(), 30.0);
    for bench in benches {
        y += ROW;
        let title = escaped(text(bench, "title"));
        writeln!(body, r#"<text x="10" y="{y:.0}" font-weight="bold">{title}</text>"#).unwrap();
        for row in rows(bench) {
            y += ROW;
            let (ratio, name) = (number(row, "ratio"), escaped(text(row, "name")));
            let (from, to) = (x(1.0).min(x(ratio)), x(1.0).max(x(ratio)));
            let (top, width) = (y - BAR + 2.0, (to - from).max(1.0));
            let (value, beside) = (number(row, "median"), escaped(text(row, "beside")));
            let tip = format!("{value:.0} {}, beside {beside}", text(row, "unit"));
            writeln!(body, r#"<g><title>{tip}</title><text x="10" y="{y:.0}">{name}</text>"#).unwrap();
            write!(body, r##"<rect x="{from:.1}" y="{top:.0}" width="{width:.1}" height="{BAR}" fill="#4a7ab5"/>"##)
                .unwrap();
            writeln!(body, r#"<text x="{:.1}" y="{y:.0}">{ratio:.2}</text></g>"#, to + 4.0).unwrap();
        }
        y += ROW / 2.0;
    }
    let height = y + ROW;
    let marks = MARKS.iter().fold(String::new(), |mut marks, mark| {
        let (at, end) = (x(*mark), height - ROW);
        let color = if (mark - 1.0).abs() < f64::EPSILON { "#000" } else { "#ccc" };
        writeln!(marks, r#"<line x1="{at:.1}" y1="30" x2="{at:.1}" y2="{end:.0}" stroke="{color}"/>"#).unwrap();
        writeln!(marks, r##"<text x="{at:.1}" y="24" text-anchor="middle" fill="#666">{mark}</text>"##).unwrap();
        marks
    });
    let head = r#"xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12""#;
    format!(
        "<svg {head} width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{marks}{body}</svg>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

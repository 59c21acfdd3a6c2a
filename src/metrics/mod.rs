//! Figures of the running process for Prometheus (docs/metrics.md). Every room may count here; nothing is imported from
//! them.
//!
//! A metric is a static, because there is one of each in a process. No label has a value that a client or a user
//! chooses.

pub(crate) mod calls;
pub(crate) mod kinds;
pub(crate) mod list;
mod process;

use std::fmt::Write as _;
use std::time::Duration;

/// All metrics in Prometheus' text format. `engine` is the name of the database engine, or `none` before the database
/// is open.
pub(crate) fn render(engine: &str) -> String {
    let mut out = String::with_capacity(256 << 10);
    kinds::head(&mut out, "contactd_build_info", "The running program.", "gauge");
    let (version, revision) = (env!("CARGO_PKG_VERSION"), option_env!("CONTACTD_REVISION").unwrap_or("unknown"));
    let labels = format!("version=\"{version}\",revision=\"{revision}\",engine=\"{engine}\"");
    // Writing to a string does not fail.
    let _ = writeln!(out, "contactd_build_info{{{labels}}} 1");
    calls::write(&mut out);
    for metric in list::ALL {
        metric.write(&mut out);
    }
    process::write(&mut out);
    out
}

/// The metrics of a backup that ended at a time (Unix seconds).
pub(crate) fn of_backup(ended: i64, took: Duration, bytes: u64) -> String {
    let mut out = String::new();
    let mut write_metric = |name: &str, help: &str, value: String| {
        kinds::head(&mut out, name, help, "gauge");
        let _ = writeln!(out, "{name} {value}");
    };
    let name = "contactd_backup_last_success_timestamp_seconds";
    write_metric(name, "End of the last backup, as Unix time.", ended.to_string());
    write_metric(
        "contactd_backup_duration_seconds",
        "Time that the backup took with its check.",
        took.as_secs_f64().to_string(),
    );
    write_metric("contactd_backup_bytes", "Size of the backup.", bytes.to_string());
    out
}

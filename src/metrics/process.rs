//! The standard `process_` metrics of the operating system, from /proc.

use std::fmt::Write as _;
use std::fs;

use crate::metrics::kinds::head;

/// Clock ticks per second of /proc: the same on all of Linux's architectures.
const TICKS: f64 = 100.0;

/// Writes the metrics. Values that cannot be read are left out, for instance on other systems than Linux.
pub(crate) fn write(out: &mut String) {
    let mut write_metric = |name: &str, help: &str, kind: &str, value: Option<f64>| {
        if let Some(value) = value {
            head(out, name, help, kind);
            // Writing to a string does not fail.
            let _ = writeln!(out, "{name} {value}");
        }
    };
    let fields_text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name, which may contain blanks. `fields` starts with the third field.
    let fields: Vec<&str> = fields_text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS);
    write_metric("process_cpu_seconds_total", "Processor time of the process.", "counter", cpu);
    let pages = field(24).map(|pages| pages * page_size());
    write_metric("process_resident_memory_bytes", "Resident memory of the process.", "gauge", pages);
    write_metric("process_threads", "Threads of the process.", "gauge", field(20));
    #[expect(clippy::cast_precision_loss, reason = "the number of open files is small")]
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    write_metric("process_open_fds", "Open files of the process.", "gauge", open);
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let max = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let max = max.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse().ok());
    write_metric("process_max_fds", "Files that the process may open.", "gauge", max);
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot =
        boot.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|text| text.trim().parse::<f64>().ok());
    let start = boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS);
    write_metric("process_start_time_seconds", "Start of the process, as Unix time.", "gauge", start);
}

#[expect(clippy::cast_precision_loss, reason = "the size of a page is small")]
fn page_size() -> f64 {
    rustix::param::page_size() as f64
}

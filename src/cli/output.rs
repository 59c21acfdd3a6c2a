//! The output of commands, with the forms of times and errors, and how commands end.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::clock;
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::plain::{is_plain, printed};
use crate::store::{LockError, OpenError};

/// Exit status: refused or failed.
const FAILED: u8 = 1;
/// Exit status: wrong usage, or the server could not be asked.
const USAGE: u8 = 2;
/// Exit status: the data is at fault.
pub(crate) const FAULTY: u8 = 3;
/// Exit status: something is in use, and the same may succeed later (`EX_TEMPFAIL` of sysexits.h).
const TRY_AGAIN: u8 = 75;

/// Why a command ends without success. docs/operating.md, "Exit status".
#[derive(Debug)]
pub struct Failure {
    /// One line.
    reason: String,
    status: u8,
}

impl Failure {
    /// A reason, and the exit status.
    pub fn new(reason: impl Into<String>, status: u8) -> Self {
        Self { reason: reason.into(), status }
    }

    /// A usage that is wrong. The reason is one line.
    pub fn usage(reason: impl Into<String>) -> Self {
        Self::new(reason, USAGE)
    }

    /// Says why on standard error. Returns the exit status.
    pub fn print(&self) -> ExitCode {
        let mark = if is_journal() { "<3>" } else { "" };
        // A closed output is not an error, here and below.
        let _ = writeln!(std::io::stderr(), "{mark}contactd: {}", printed(&self.reason));
        ExitCode::from(self.status)
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::new(reason, FAILED)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::new(reason, FAILED)
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let status = if matches!(error, LockError::Held(_)) { TRY_AGAIN } else { FAILED };
        Self::new(error.to_string(), status)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(error.to_string(), if error.is_fault() { FAULTY } else { FAILED })
    }
}

/// `--json` of a command that prints data.
#[derive(Debug, Clone, Copy, Args)]
pub struct Form {
    /// Print JSON: an object for the result, or an object a line for each row
    #[arg(long = "json", global = true)]
    is_json: bool,
}

impl Form {
    /// Whether it is JSON.
    pub(crate) fn is_json(self) -> bool {
        self.is_json
    }

    /// Prints what was done: a sentence, or an object.
    pub(crate) fn print(self, sentence: &str, object: &Value) {
        if self.is_json { print_json(object) } else { print_line(sentence) }
    }

    /// Prints rows: fields below their heads, or objects.
    pub(crate) fn print_list(self, heads: &[&str], rows: &[(Vec<String>, Value)]) {
        if self.is_json {
            for (_, object) in rows {
                print_json(object);
            }
            return;
        }
        print_rows([heads.iter().copied()]);
        print_rows(rows.iter().map(|(fields, _)| fields.iter().map(String::as_str)));
    }
}

/// Writes JSON as a line to standard output. What a terminal would obey is escaped.
pub(crate) fn print_json(value: &Value) {
    let text = value.to_string();
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c.encode_utf8(&mut [0; 4])) {
            line.push(c);
        } else {
            // All of these are inside of texts, and have four digits.
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        }
    }
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A time in UTC microseconds as JSON.
pub(crate) fn json_time(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, |micros| date::print(micros).into())
}

/// Whether standard error goes to the journal, which takes a priority in front of a line: `$JOURNAL_STREAM` of systemd.exec(5).
/// The variable is also there where standard error has been sent elsewhere since.
pub(crate) fn is_journal() -> bool {
    let journal = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let Some((device, inode)) = journal.split_once(':') else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|file| device.parse() == Ok(file.st_dev) && inode.parse() == Ok(file.st_ino))
}

/// Writes a line to standard output. A closed output is not an error.
pub(crate) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", printed(line));
}

/// Writes rows to standard output, one on each line, with tabs between the fields. Control characters in a field are
/// escaped, because users choose the texts and could otherwise forge rows.
fn print_rows<'a, R: IntoIterator<Item = &'a str>>(rows: impl IntoIterator<Item = R>) {
    let mut out = std::io::stdout().lock();
    for row in rows {
        let fields: Vec<_> = row.into_iter().map(printed).collect();
        if writeln!(out, "{}", fields.join("\t")).is_err() {
            return;
        }
    }
}

/// A time in UTC microseconds as text, `-` for none.
pub(crate) fn time(micros: Option<i64>) -> String {
    micros.map_or_else(|| "-".to_owned(), date::print)
}

/// The time before now by a period, in UTC microseconds; 0 without a period.
pub(crate) fn ago(period: Option<Duration>) -> i64 {
    period.map_or(0, |period| clock::now().saturating_sub(clock::micros(period)))
}

/// An error of the store as one line.
pub(crate) fn reason(error: Error) -> String {
    match error {
        Error::UnknownUser(name) => format!("there is no user '{name}'"),
        Error::NotFound => "there is none with that name".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct FormCommand {
        #[command(flatten)]
        form: Form,
    }

    #[test]
    fn a_command_prints_sentences_unless_json_is_asked_for() {
        assert!(
            !FormCommand::parse_from(["x"]).form.is_json() && FormCommand::parse_from(["x", "--json"]).form.is_json()
        );
    }
}

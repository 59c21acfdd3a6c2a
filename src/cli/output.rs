//! The output of commands, with the forms of times and errors.

use std::io::Write as _;
use std::time::Duration;

use crate::clock;
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::plain::printed;

/// Writes a line to standard output. A closed output is not an error.
pub(crate) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", printed(line));
}

/// Writes rows to standard output, one on each line, with tabs between the fields. Control characters in a field are
/// escaped, because users choose the texts and could otherwise forge rows.
pub(crate) fn print_rows<'a, R: IntoIterator<Item = &'a str>>(rows: impl IntoIterator<Item = R>) {
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
    period.map_or(0, |period| clock::now().saturating_sub(micros(period)))
}

/// A period in microseconds.
pub(crate) fn micros(period: Duration) -> i64 {
    i64::try_from(period.as_micros()).unwrap_or(i64::MAX)
}

/// An error of the store as one line.
pub(crate) fn reason(error: Error) -> String {
    match error {
        Error::UnknownUser(name) => format!("there is no user '{name}'"),
        Error::NotFound => "there is none with that name".to_owned(),
        error => error.to_string(),
    }
}

//! Dates in cells (docs/import-export.md, "Dates"): ISO, or a year in front, else day and month in the order of the
//! file.

use chrono::NaiveDate;

/// The order of day and month in a date that ends with its year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// `31/12/1990`
    DayFirst,
    /// `12/31/1990`
    MonthFirst,
}

impl DateOrder {
    /// The text for a report.
    pub fn words(self) -> &'static str {
        match self {
            Self::DayFirst => "day first",
            Self::MonthFirst => "month first",
        }
    }
}

/// The content of a cell in a date column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// The day, as `YYYY-MM-DD`. Without a year it is in 1604.
    Day(String),
    /// No date: only zeros and signs, as Outlook writes.
    Nothing,
    /// Not a day in this order.
    Unknown,
}

/// Reads a cell.
pub(crate) fn read(text: &str, order: DateOrder) -> Cell {
    let text = text.trim();
    if !text.bytes().any(|byte| matches!(byte, b'1'..=b'9') || byte.is_ascii_alphabetic()) {
        return Cell::Nothing;
    }
    if let Some(rest) = text.strip_prefix("--") {
        let digits: String = rest.chars().filter(|c| *c != '-').collect();
        let parts = (digits.len() == 4).then(|| (number(&digits[..2]), number(&digits[2..])));
        return match parts {
            Some((Some(month), Some(day))) => day_of(1604, month, day),
            _ => Cell::Unknown,
        };
    }
    match parts(text) {
        Some(DateParts { first, second, third: Some(third), .. }) if first.len() == 4 => all(first, second, third),
        Some(DateParts { first, second, third: Some(third), .. }) if third.len() == 4 => match order {
            DateOrder::DayFirst => all(third, second, first),
            DateOrder::MonthFirst => all(third, first, second),
        },
        Some(DateParts { first, second: "", third: None, .. }) if first.len() == 8 => {
            all(&first[..4], &first[4..6], &first[6..])
        }
        _ => Cell::Unknown,
    }
}

/// For a date that ends with its year: the order, if only one makes it a day, and whether its separator is a dot.
pub(crate) fn vote(text: &str) -> (Option<DateOrder>, bool) {
    let Some(DateParts { first, second, third: Some(third), sign }) = parts(text.trim()) else { return (None, false) };
    if third.len() != 4 {
        return (None, false);
    }
    let is_day = |order| matches!(read(text, order), Cell::Day(_));
    let _ = (first, second);
    let order = match (is_day(DateOrder::DayFirst), is_day(DateOrder::MonthFirst)) {
        (true, false) => Some(DateOrder::DayFirst),
        (false, true) => Some(DateOrder::MonthFirst),
        _ => None,
    };
    (order, sign == '.')
}

/// A day of these numbers, if it exists.
pub(crate) fn of_numbers(year: Option<&str>, month: &str, day: &str) -> Option<String> {
    let year = year.map_or(Some(1604), number)?;
    match day_of(year, number(month)?, number(day)?) {
        Cell::Day(day) if year >= 1000 => Some(day),
        _ => None,
    }
}

struct DateParts<'a> {
    first: &'a str,
    second: &'a str,
    third: Option<&'a str>,
    sign: char,
}

/// The numbers of a date; a time may follow after a blank or a `T`.
fn parts(text: &str) -> Option<DateParts<'_>> {
    let is_sign = |c: char| matches!(c, '/' | '.' | '-');
    let (first, rest) = digits(text);
    if first.is_empty() {
        return None;
    }
    let Some(sign) = rest.trim_start().chars().next().filter(|c| is_sign(*c)) else {
        return is_end(rest).then_some(DateParts { first, second: "", third: None, sign: ' ' });
    };
    let (second, rest) = digits(rest.trim_start()[1..].trim_start());
    let rest = rest.trim_start().strip_prefix(sign)?;
    let (third, rest) = digits(rest.trim_start());
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    (!second.is_empty() && !third.is_empty() && is_end(rest)).then_some(DateParts {
        first,
        second,
        third: Some(third),
        sign,
    })
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

/// Whether nothing except a time follows.
fn is_end(rest: &str) -> bool {
    let time = rest.strip_prefix([' ', 'T', 't']).map(str::trim_start);
    rest.is_empty()
        || time
            .is_some_and(|time| time.is_empty() || time.starts_with(|c: char| c.is_ascii_digit()) && time.contains(':'))
}

fn number(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn all(year: &str, month: &str, day: &str) -> Cell {
    match (number(year), number(month), number(day)) {
        (Some(year), Some(month), Some(day)) => day_of(year, month, day),
        _ => Cell::Unknown,
    }
}

fn day_of(year: u32, month: u32, day: u32) -> Cell {
    let date = i32::try_from(year).ok().and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
    match date {
        Some(date) if (1..=9999).contains(&year) => Cell::Day(date.format("%Y-%m-%d").to_string()),
        _ => Cell::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_day_nothing_or_unknown() {
        let day = |text: &str| Cell::Day(text.to_owned());
        let cases = [
            ("1974-07-22", day("1974-07-22")),
            ("19740722", day("1974-07-22")),
            ("1974/7/2", day("1974-07-02")),
            ("1974-07-22T00:00:00Z", day("1974-07-22")),
            ("7/22/1974 12:00:00 AM", day("1974-07-22")),
            ("3/4/1985", day("1985-03-04")),
            (" --07-22", day("1604-07-22")),
            ("--0229", day("1604-02-29")),
            ("12. 24. 1970", day("1970-12-24")),
            ("0/0/00", Cell::Nothing),
            ("0.0.00", Cell::Nothing),
            ("00/0/0", Cell::Nothing),
            ("", Cell::Nothing),
            ("24.12.1970", Cell::Unknown),
            ("2/30/1990", Cell::Unknown),
            ("3/4/85", Cell::Unknown),
            ("05 Jan 2024", Cell::Unknown),
            ("1985-04", Cell::Unknown),
            ("1985", Cell::Unknown),
            ("1974-07-22x", Cell::Unknown),
            ("--7-22", Cell::Unknown),
            ("９/2/1974", Cell::Unknown),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, DateOrder::MonthFirst), expected, "{text}");
        }
        assert_eq!(read("24.12.1970", DateOrder::DayFirst), day("1970-12-24"));
    }

    #[test]
    fn only_a_day_in_one_order_votes() {
        assert_eq!(vote("12/31/1990"), (Some(DateOrder::MonthFirst), false));
        assert_eq!(vote("31.12.1990"), (Some(DateOrder::DayFirst), true));
        for text in ["3/4/1985", "1990-12-31", "31/31/1990", "0/0/00", ""] {
            assert_eq!(vote(text).0, None, "{text}");
        }
    }
}

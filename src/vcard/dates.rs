//! Dates of cards and other files, and their forms in a contact: a birthday is a day at 11:59 UTC, a wedding
//! anniversary is a day (docs/import-export.md).

use chrono::{Datelike, NaiveDate, Timelike};

use crate::domain::date;

/// The year of a date without a year, as Apple, Exchange and Nextcloud write it. It is a leap year.
pub const NO_YEAR: i32 = 1604;

/// A date of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDate {
    /// The day. The year is [`NO_YEAR`] if none is known.
    pub day: NaiveDate,
    /// The instant as a DateTimeOffset, if a time and a zone were given and the time is not midnight.
    pub instant: Option<String>,
}

impl CardDate {
    /// Reads `1974-07-22`, `19740722`, `--07-22` and `--0722`, each with or without a time. `omitted` is the year that
    /// means no year, from Apple's parameter. `None` for anything else, such as `1985-04` and 30 February.
    pub fn read(text: &str, omitted: Option<&str>) -> Option<Self> {
        let text = text.trim();
        let (date, time) = match text.find(['T', 't']) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let digits = |text: &str| -> Option<u32> {
            (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
        };
        let part = |at: std::ops::Range<usize>| date.get(at).and_then(digits);
        let (year, month, day) = match (date.starts_with("--"), date.len()) {
            (true, 6) => (None, part(2..4)?, part(4..6)?),
            (true, 7) if date.as_bytes()[4] == b'-' => (None, part(2..4)?, part(5..7)?),
            (false, 8) => (Some(part(0..4)?), part(4..6)?, part(6..8)?),
            (false, 10) if date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-' => {
                (Some(part(0..4)?), part(5..7)?, part(8..10)?)
            }
            _ => return None,
        };
        let omitted = omitted.is_some_and(|omitted| omitted.trim().parse().ok() == year);
        let year = year.filter(|_| !omitted).map_or(Some(NO_YEAR), |year| i32::try_from(year).ok())?;
        let day = NaiveDate::from_ymd_opt(year, month, day).filter(|_| year > 0)?;
        let instant = match time {
            Some(time) => instant(day, time)?,
            None => None,
        };
        Some(Self { day, instant })
    }

    /// The birthday for a contact: the instant, else the day at 11:59 UTC.
    pub fn birthday(&self) -> String {
        self.instant.clone().unwrap_or_else(|| birthday(self.day))
    }
}

/// A day in the form of `birthday`.
pub fn birthday(day: NaiveDate) -> String {
    format!("{}T11:59:00Z", day_text(day))
}

/// A day in the form of `weddingAnniversary`: `YYYY-MM-DD`.
pub fn day_text(day: NaiveDate) -> String {
    format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
}

/// The instant of a day and a time with a zone, unless the time is midnight. `None` if it is not a time.
fn instant(day: NaiveDate, time: &str) -> Option<Option<String>> {
    let zone_at = time.find(['Z', 'z', '+', '-']);
    let (clock, zone) = time.split_at(zone_at.unwrap_or(time.len()));
    let clock: String = clock.split(['.', ',']).next()?.chars().filter(|c| *c != ':').collect();
    if !matches!(clock.len(), 2 | 4 | 6) || !clock.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if zone.is_empty() || clock.bytes().all(|b| b == b'0') {
        return Some(None);
    }
    let zone = match zone.as_bytes() {
        [b'Z' | b'z'] => "Z".to_owned(),
        [_, _, _] => format!("{zone}:00"),
        [_, _, _, b':', _, _] => zone.to_owned(),
        [_, _, _, _, _] => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
        _ => return None,
    };
    let part = |at: usize| clock.get(at..at + 2).unwrap_or("00");
    let text = format!("{}T{}:{}:{}{zone}", day_text(day), part(0), part(2), part(4));
    date::instant(&text)?;
    Some(Some(text))
}

/// A birthday as a card shows it: the day in its own offset, and whether it has a time other than midnight and 11:59
/// UTC. `None` if it is not a DateTimeOffset.
pub fn shown_day(birthday: &str) -> Option<(NaiveDate, bool)> {
    let day = date::date(birthday.get(..10)?)?;
    let instant = date::instant(birthday)?;
    let local = birthday.get(11..16)?;
    let timed = local != "00:00" && birthday.get(10..) != Some("T11:59:00Z");
    let utc = chrono::DateTime::from_timestamp_micros(instant)?.time();
    let noon = utc.hour() == 11 && utc.minute() == 59 && utc.second() == 0;
    Some((day, timed && !noon))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birthday_of(text: &str) -> Option<String> {
        CardDate::read(text, None).map(|when| when.birthday())
    }

    #[test]
    fn a_birthday_is_a_day_or_an_instant() {
        for (text, expected) in [
            ("1974-07-22", "1974-07-22T11:59:00Z"),
            ("19740722", "1974-07-22T11:59:00Z"),
            (" 19740722T000000 ", "1974-07-22T11:59:00Z"),
            ("1974-07-22T00:00:00Z", "1974-07-22T11:59:00Z"),
            ("1974-07-22T00:00:00+02:00", "1974-07-22T11:59:00Z"),
            ("1996-04-15T201243+0400", "1996-04-15T20:12:43+04:00"),
            ("19960415T20-05", "1996-04-15T20:00:00-05:00"),
            ("1996-04-15T20:12:43.5Z", "1996-04-15T20:12:43Z"),
            ("1996-04-15T20:12:43", "1996-04-15T11:59:00Z"),
            ("--0722", "1604-07-22T11:59:00Z"),
            ("--07-22", "1604-07-22T11:59:00Z"),
            ("--0229", "1604-02-29T11:59:00Z"),
        ] {
            assert_eq!(birthday_of(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "1985-04",
            "1985",
            "---12",
            "--07",
            "1900-00-00",
            "0000-00-00",
            "1970-02-30",
            "01.02.1970",
            "about 1950",
            "1970-1-02",
            "１９７４0722",
            "1974-07-22Tx",
            "1996-04-15T20:12:43+20:00",
        ] {
            assert_eq!(birthday_of(text), None, "{text}");
        }
    }

    #[test]
    fn apple_s_year_is_none() {
        let read = |text, year| CardDate::read(text, Some(year)).map(|when| day_text(when.day));
        assert_eq!(read("1604-03-24", "1604").as_deref(), Some("1604-03-24"));
        assert_eq!(read("1904-03-24", "1904").as_deref(), Some("1604-03-24"));
        assert_eq!(read("1974-03-24", "1604").as_deref(), Some("1974-03-24"));
    }

    #[test]
    fn a_card_shows_the_day_that_the_birthday_names() {
        let day = |text: &str| date::date(text).unwrap();
        for (text, expected) in [
            ("1974-07-22T11:59:00Z", Some((day("1974-07-22"), false))),
            ("1974-07-22T00:00:00+09:00", Some((day("1974-07-22"), false))),
            ("1996-04-15T20:12:43+04:00", Some((day("1996-04-15"), true))),
            ("1974-07-22", None),
        ] {
            assert_eq!(shown_day(text), expected, "{text}");
        }
    }
}

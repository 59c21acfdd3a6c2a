//! Dates in texts: OData's `Edm.Date` and `Edm.DateTimeOffset` literals (OData ABNF, section 7).

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta};

/// Parses `YYYY-MM-DD`: a day that exists, in the years 0001 to 9999.
pub fn date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = number(&bytes[..4])?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(&bytes[5..7])?, number(&bytes[8..])?)?;
    (date.year() >= 1).then_some(date)
}

/// Days since 1970-01-01; `None` if the text is not a date.
pub fn day(text: &str) -> Option<i64> {
    Some(date(text)?.signed_duration_since(NaiveDate::default()).num_days())
}

/// Parses a DateTimeOffset into UTC microseconds: `date T hh:mm[:ss[.f]] (Z | ±hh:mm)`, with 1 to 12 digits of fraction
/// (those past the sixth are ignored), `T` and `Z` in either case.
pub fn instant(text: &str) -> Option<i64> {
    let (day, rest) = (date(text.get(..10)?)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't'])?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => return None,
    };
    let offset = match offset.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign, h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            let minutes = i64::from(hours * 60 + minutes);
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) if clock.len() == 8 && (1..=12).contains(&fraction.len()) => (clock, fraction),
        Some(_) => return None,
        None => (clock, ""),
    };
    let (hour, minute, second) = match clock.as_bytes() {
        [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?),
        _ => return None,
    };
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |n, b| n * 10 + u32::from(b - b'0'));
    let local = day.and_time(NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?);
    Some(local.checked_sub_signed(TimeDelta::minutes(offset))?.and_utc().timestamp_micros())
}

/// Prints UTC microseconds as `YYYY-MM-DDTHH:MM:SSZ`, as Graph does: whole seconds.
pub fn print(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_with_its_offset_and_fraction() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00z", 0),
            ("1970-01-01T03:00:00+03:00", 0),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("1970-01-01T00:00:00.000001234567Z", 1),
            ("2017-01-01T00:03:13.7306563+03:00", 1_483_218_193_730_656),
        ];
        for (text, micros) in cases {
            assert_eq!(instant(text), Some(micros), "{text}");
        }
    }

    #[test]
    fn invalid_instants_are_refused() {
        let bad = [
            "",
            "1974-07-22",
            "1974-07-22T",
            "1974-07-22T00:00:00",
            "1974-02-30T00:00:00Z",
            "1974-07-22T24:00:00Z",
            "1974-07-22T00:00:60Z",
            "1974-07-22T00:00:00.Z",
            "1974-07-22T00:00:00.1234567890123Z",
            "1974-07-22T00:00.5Z",
            "1974-07-22T00:00:00+3:00",
            "1974-07-22T00:00:00+15:00",
            "0000-01-01T00:00:00Z",
            "1974-07-22T00:00:00Z ",
            "１９７４-07-22T00:00:00Z",
            "1974-07-2é00:00:00Z",
            "+974-07-22T00:00:00Z",
        ];
        for text in bad {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_a_day_that_exists() {
        assert_eq!(day("1970-01-02"), Some(1));
        assert_eq!(day("1604-02-29"), Some(-133_620));
        for text in ["Date", "1970-1-2", "1970-02-29", "1970-01-02Z", "0000-01-01", "é970-01-0"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}

//! Durations in ISO 8601.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DurationMicros(pub(crate) i64);

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Maximum duration: a hundred years.
const MAX: i64 = 36_525 * DAY;
const EXPECTED: &str = "expected a duration like PT2S, PT0.5S, PT1H30M or P31D, up to a hundred years";

impl DurationMicros {
    /// Parses a duration. Months and years have no fixed length, so they are refused.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (days, time) =
            text.strip_prefix('P')?.split_once('T').map_or((text.get(1..)?, None), |(d, t)| (d, Some(t)));
        let dates = amounts(days, &[('W', 7 * DAY), ('D', DAY)])?;
        let times = match time {
            Some("") => return None,
            Some(time) => amounts(time, &[('H', HOUR), ('M', MINUTE), ('S', SECOND)])?,
            None if days.is_empty() => return None,
            None => 0,
        };
        dates.checked_add(times).filter(|span| *span <= MAX).map(Self)
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_micros(self.0.unsigned_abs())
    }
}

/// The sum of numbers with units, which must be in this order.
fn amounts(mut text: &str, mut units: &[(char, i64)]) -> Option<i64> {
    let mut sum = 0_i64;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(end);
        let unit = rest.chars().next()?;
        let index = units.iter().position(|(name, _)| *name == unit)?;
        let unit_micros = units[index].1;
        units = &units[index + 1..];
        text = &rest[1..];
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if number.contains('.') && (unit != 'S' || !(1..=6).contains(&fraction.len())) {
            return None;
        }
        let micros = if fraction.is_empty() { 0 } else { format!("{fraction:0<6}").parse::<i64>().ok()? };
        sum = sum.checked_add(whole.parse::<i64>().ok()?.checked_mul(unit_micros)?)?.checked_add(micros)?;
    }
    Some(sum)
}

impl<'de> Deserialize<'de> for DurationMicros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(EXPECTED))
    }
}

impl Serialize for DurationMicros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (seconds, micros) = (self.0 / SECOND, self.0 % SECOND);
        let text = if micros == 0 { format!("PT{seconds}S") } else { format!("PT{seconds}.{micros:06}S") };
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_as_iso_8601() {
        for (text, micros) in [
            ("PT2S", 2 * SECOND),
            ("PT0.5S", SECOND / 2),
            ("P31D", 31 * DAY),
            ("P1W", 7 * DAY),
            ("P1DT2H3M4.000005S", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5),
            ("PT0S", 0),
        ] {
            assert_eq!(DurationMicros::parse(text), Some(DurationMicros(micros)), "{text}");
        }
        for bad in
            ["", "P", "PT", "P1DT", "2S", "PT2", "P1M", "P1Y", "PT1.5H", "PT1S2M", "PT-1S", "P99999999D", "PT1.S", "é"]
        {
            assert_eq!(DurationMicros::parse(bad), None, "{bad}");
        }
    }
}

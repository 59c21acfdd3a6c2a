//! The keys of phone numbers: their digits, independent of spelling, and with a region also the number as it is
//! dialled.

use std::str::FromStr;

use phonenumber::country::Id;
use phonenumber::{Mode, PhoneNumber};
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::fold::fold;

/// A region whose rules say how numbers without a country code are dialled: two letters of ISO 3166-1, such as `US`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(Id);

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let id = is_code.then(|| text.to_ascii_uppercase().parse().ok()).flatten();
        id.map(Self).ok_or_else(|| format!("'{text}' is not a region: expected two letters, such as US or DE"))
    }
}

/// The key of a number: its digits. A text with other characters than digits and separators is not a number; its key is
/// its folded form.
pub fn key(number: &str) -> String {
    digits(number).unwrap_or_else(|| fold(number))
}

/// The keys of all numbers that are the same as this one: that with its digits and, where it is valid in the region or has a country
/// code, those that are dialled there as it is. The rules of the regions are loaded when they are first needed.
pub fn keys(number: &str, region: Option<Region>) -> Vec<String> {
    let mut keys = vec![key(number)];
    let (Some(region), Some(_)) = (region, digits(number)) else { return keys };
    let Some(parsed) = parse(number, region) else { return keys };
    let international = e164(&parsed);
    let database = &*phonenumber::metadata::DATABASE;
    let code = parsed.code().value().to_string();
    let national = international.strip_prefix(&code).unwrap_or_default();
    let mut written = Vec::new();
    if let Some(rules) = database.by_id(region.0.as_ref()) {
        let plain = |prefix: &&str| prefix.bytes().all(|byte| byte.is_ascii_digit());
        let pattern = rules.international_prefix().and_then(|pattern| Some(pattern.as_str()).filter(plain));
        let prefix = rules.preferred_international_prefix().filter(plain).or(pattern);
        written.extend(prefix.map(|prefix| format!("{prefix}{international}")));
        if rules.country_code() == parsed.code().value() {
            written.push(national.to_owned());
            written.extend(rules.national_prefix().map(|trunk| format!("{trunk}{national}")));
        }
    }
    // The same digits may mean another number in the region.
    written.retain(|digits| parse(digits, region).is_some_and(|other| e164(&other) == international));
    // As in `+44 (0)20 7946 0018`.
    let rules = parsed.country().id().and_then(|id| database.by_id(id.as_ref()));
    let trunk = rules.and_then(|rules| rules.national_prefix());
    written.extend(trunk.map(|trunk| format!("{code}{trunk}{national}")));
    for key in [international].into_iter().chain(written) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The number, if it is valid.
fn parse(number: &str, region: Region) -> Option<PhoneNumber> {
    let number = number.nfkc().collect::<String>();
    phonenumber::parse(Some(region.0), number).ok().filter(PhoneNumber::is_valid)
}

/// Its digits with the country code, by ITU-T's E.164.
fn e164(number: &PhoneNumber) -> String {
    number.format().mode(Mode::E164).to_string().trim_start_matches('+').to_owned()
}

/// The digits of a text that has only digits and separators.
fn digits(text: &str) -> Option<String> {
    let mut digits = String::new();
    for c in text.nfkc() {
        match c {
            '0'..='9' => digits.push(c),
            _ if is_separator(c) => {}
            _ => return None,
        }
    }
    (!digits.is_empty()).then_some(digits)
}

/// Whether it is a separator of digits, or a mark of direction or width in copied text.
fn is_separator(c: char) -> bool {
    let is_dash = matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let is_sign = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    is_dash || is_sign || c.is_whitespace() || matches!(c, '+' | '.' | '(' | ')' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_key_of_their_digits_and_other_texts_that_of_themselves() {
        for (number, expected) in [
            ("+1 732 555 0102", "17325550102"),
            ("(1) 732-555.0102", "17325550102"),
            ("1/732 5550102", "17325550102"),
            ("\u{202a}+1\u{a0}732\u{2011}555\u{2011}0102\u{202c}", "17325550102"),
            ("＋１ ７３２ ５５５ ０１０２", "17325550102"),
            ("", ""),
            ("+", "+"),
            ("Ext. 5", "ext. 5"),
            ("*31#", "*31#"),
            ("ÉTAGE", "étage"),
        ] {
            assert_eq!(key(number), expected, "{number}");
            assert_eq!(keys(number, None), [expected], "{number}");
        }
    }

    #[test]
    fn a_region_decides_which_numbers_are_equal() {
        let same = |number: &str, region: &str, other: &str| {
            let keys = keys(number, Some(region.parse().unwrap()));
            keys.contains(&key(other))
        };
        for (number, region, other) in [
            ("+1 201 555 0123", "US", "(201) 555-0123"),
            ("201-555-0123", "us", "+12015550123"),
            ("201-555-0123", "US", "1 201 555 0123"),
            ("+44 20 7946 0018", "GB", "020 7946 0018"),
            ("020 7946 0018", "GB", "0044 20 7946 0018"),
            ("020 7946 0018", "GB", "+44 (0)20 7946 0018"),
            ("+44 20 7946 0018", "US", "011 44 20 7946 0018"),
            ("+49 30 901820", "DE", "030 901820"),
        ] {
            assert!(same(number, region, other), "{number} {other}: {:?}", keys(number, Some(region.parse().unwrap())));
        }
        assert!(!same("+44 20 7946 0018", "US", "020 7946 0018"));
        assert!(!same("201-555-0123", "DE", "+1 201 555 0123"));
        // No valid number is that of its digits only.
        assert_eq!(keys("12", Some("US".parse().unwrap())), ["12"]);
        for wrong in ["", "U", "USA", "ZZ", "1!", "é"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }
}

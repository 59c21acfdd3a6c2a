//! Extended properties of contacts and folders: values for which Graph has no name, by an id of type, namespace and name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::literal::{DAY, MILLION, decimal};
use crate::domain::plain::shorten;

/// Most properties of one kind (single or multi) of a contact or folder, and most values of one multi-value property.
pub const MAX_PROPERTIES: usize = 100;
/// Longest id, in characters.
pub const MAX_ID: usize = 300;
/// Most bytes of ids and values of one kind, of one contact or folder.
pub const MAX_BYTES: usize = 1 << 20;

/// The value types. Each also exists with the suffix `Array`.
const TYPES: [&str; 12] = [
    "ApplicationTime",
    "Binary",
    "Boolean",
    "CLSID",
    "Currency",
    "Double",
    "Float",
    "Integer",
    "Long",
    "Short",
    "String",
    "SystemTime",
];

/// The property that holds single values, in JSON and in filters.
pub const SINGLE: &str = "singleValueExtendedProperties";
/// The property that holds lists of values.
pub const MULTI: &str = "multiValueExtendedProperties";

/// A parsed id: `{type} {guid} Name {name}`, `{type} {guid} Id 0x8012` or `{type} 0x4001001E`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyId {
    /// As sent.
    pub text: String,
    /// Normalized: equal for ids that mean the same property. Types, GUIDs and numbers are case-insensitive; names are not.
    pub key: String,
    /// Without `Array`.
    pub(crate) value_type: &'static str,
}

impl PropertyId {
    /// Parses an id of a single value or of a list.
    ///
    /// ```
    /// use contactd::domain::extended::{PropertyId, SingleValue};
    ///
    /// let read = |text: &str| PropertyId::parse::<SingleValue>(text).map(|id| id.key);
    /// let guid = "{66f5a359-4659-4830-9070-00047ec6ac6e}";
    /// assert_eq!(read(&format!("string {guid} name Color")), read(&format!("String {} Name Color", guid.to_uppercase())));
    /// assert_eq!(read("Integer 0x00008012"), read("integer 0X8012"));
    /// assert!(read("StringArray 0x8012").is_err());
    /// ```
    ///
    /// # Errors
    /// The sentence for the message, without the place.
    pub fn parse<V: ExtendedValue>(text: &str) -> Result<Self, String> {
        let bad = || {
            let (shown, types, array) = (shorten(text), TYPES.join(", "), if V::IS_LIST { "Array" } else { "" });
            format!(
                "'{shown}' is not an id of '{}': use {{type}}{array} {{guid}} Name {{name}}, {{type}}{array} {{guid}} Id 0x8012 or \
                 {{type}}{array} 0x4001001E, where type is one of {types}",
                V::OF
            )
        };
        if text.chars().count() > MAX_ID {
            return Err(format!("an id of an extended property has at most {MAX_ID} characters"));
        }
        let (name, rest) = text.split_once(' ').ok_or_else(bad)?;
        let (bare, is_list) = name_and_array(name);
        let known = TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(bare));
        let value_type = known.filter(|_| is_list == V::IS_LIST).ok_or_else(bad)?;
        let name = name.to_ascii_lowercase();
        let key = if rest.starts_with('{') {
            let (guid, rest) = rest.split_once(' ').ok_or_else(bad)?;
            let guid = guid.strip_prefix('{').and_then(|guid| guid.strip_suffix('}')).ok_or_else(bad)?;
            let guid = Uuid::try_parse(guid).ok().filter(|_| guid.len() == 36).ok_or_else(bad)?;
            match rest.split_once(' ').ok_or_else(bad)? {
                (word, property_name) if word.eq_ignore_ascii_case("name") && !property_name.trim().is_empty() => {
                    format!("{name} {{{guid}}} name {property_name}")
                }
                (word, number) if word.eq_ignore_ascii_case("id") => {
                    format!("{name} {{{guid}}} id 0x{:x}", number_of(number).ok_or_else(bad)?)
                }
                _ => return Err(bad()),
            }
        } else {
            format!("{name} 0x{:x}", number_of(rest).ok_or_else(bad)?)
        };
        Ok(Self { text: text.to_owned(), key, value_type })
    }

    /// The accepted values of the type, for a message.
    pub(crate) fn accepted_values(&self) -> &'static str {
        match self.value_type {
            "ApplicationTime" => "a number, or a time like 2026-01-31T00:00:00Z",
            "Binary" => "bytes in base64",
            "Boolean" => "true or false",
            "CLSID" => "a GUID like 66f5a359-4659-4830-9070-00047ec6ac6e",
            "Currency" | "Double" | "Float" => "a number like 1.5",
            "Integer" => "a whole number of 32 bits",
            "Long" => "a whole number of 64 bits",
            "Short" => "a whole number of 16 bits",
            "SystemTime" => "a time like 2026-01-31T00:00:00Z, or a date like 2026-01-31",
            _ => "a text",
        }
    }

    /// Whether a text is a value of the type.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
        let is_time = |text: &str| date::instant(text).is_some() || date::date(text).is_some();
        match self.value_type {
            "ApplicationTime" => is_number(text) || is_time(text),
            "Binary" => STANDARD.decode(text).is_ok(),
            "Boolean" => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
            "CLSID" => Uuid::try_parse(text).is_ok(),
            "Currency" | "Double" | "Float" => is_number(text),
            "Integer" => text.parse::<i32>().is_ok(),
            "Long" => text.parse::<i64>().is_ok(),
            "Short" => text.parse::<i16>().is_ok(),
            "SystemTime" => is_time(text),
            _ => true,
        }
    }
}

/// A type's name, and whether it had the suffix `Array`.
fn name_and_array(word: &str) -> (&str, bool) {
    let at = word.len().saturating_sub("Array".len());
    match word.split_at_checked(at) {
        Some((name, end)) if end.eq_ignore_ascii_case("Array") => (name, true),
        _ => (word, false),
    }
}

/// Parses `0x` and 1 to 8 hexadecimal digits.
fn number_of(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let fits = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| fits)
}

/// A value converted to other types, for comparisons in filters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparable {
    /// A whole number.
    pub number: Option<i64>,
    /// A number in millionths.
    pub millionths: Option<i64>,
    /// A time in UTC microseconds; a date is the start of its day.
    pub instant: Option<i64>,
}

impl Comparable {
    /// Converts a text.
    pub fn of(text: &str) -> Self {
        // No number or time is longer.
        if text.len() > 64 {
            return Self::default();
        }
        let number = text.parse::<i64>().ok();
        let exact = number.map_or_else(|| decimal(text), |number| number.checked_mul(MILLION));
        let instant = date::instant(text).or_else(|| date::day(text)?.checked_mul(DAY));
        Self { number, millionths: exact.or_else(|| nearest(text)), instant }
    }
}

/// The nearest number of millionths, for a number with an exponent or with more digits.
fn nearest(text: &str) -> Option<i64> {
    let millionths = text.parse::<f64>().ok().map(|number| (number * 1e6).round());
    let fits = millionths.filter(|millionths| millionths.abs() < 9e18)?;
    // It is whole, and in range.
    format!("{fits:.0}").parse().ok()
}

/// The value of a property: a text or a list of texts.
pub trait ExtendedValue: TryFrom<Vec<String>> + Send + 'static {
    /// Whether it is a list.
    const IS_LIST: bool;
    /// The property of contacts and folders that holds all of these.
    const OF: &'static str;

    /// The texts.
    fn texts(&self) -> &[String];
}

/// A text.
pub type SingleValue = [String; 1];
/// Texts in order.
pub type MultiValue = Vec<String>;

impl ExtendedValue for SingleValue {
    const IS_LIST: bool = false;
    const OF: &'static str = SINGLE;

    fn texts(&self) -> &[String] {
        self
    }
}

impl ExtendedValue for MultiValue {
    const IS_LIST: bool = true;
    const OF: &'static str = MULTI;

    fn texts(&self) -> &[String] {
        self
    }
}

/// A property as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedProperty<V> {
    /// The id as sent last.
    pub id: String,
    /// See [`PropertyId::key`].
    pub key: String,
    /// The value.
    pub value: V,
}

/// Properties to set or, without a value, to remove. No two have the same id.
pub type ExtendedChanges<V> = Vec<(PropertyId, Option<V>)>;

/// The properties after the changes. Properties that are not named stay.
///
/// # Errors
/// [`Error::Quota`] where they become too many or too large.
pub fn applied<V: ExtendedValue>(
    mut stored: Vec<ExtendedProperty<V>>,
    changes: ExtendedChanges<V>,
) -> Result<Vec<ExtendedProperty<V>>, Error> {
    for (PropertyId { text: id, key, .. }, value) in changes {
        match (stored.iter().position(|known| known.key == key), value) {
            (Some(at), Some(value)) => stored[at] = ExtendedProperty { id, key, value },
            (Some(at), None) => drop(stored.remove(at)),
            (None, Some(value)) => stored.push(ExtendedProperty { id, key, value }),
            (None, None) => {}
        }
    }
    let size = |property: &ExtendedProperty<V>| {
        property.id.len() + property.value.texts().iter().map(String::len).sum::<usize>()
    };
    if stored.len() > MAX_PROPERTIES || stored.iter().map(size).sum::<usize>() > MAX_BYTES {
        let message = format!("At most {MAX_PROPERTIES} '{}', of {MAX_BYTES} bytes in total, are allowed.", V::OF);
        return Err(Error::Quota(message));
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GUID: &str = "{66f5a359-4659-4830-9070-00047ec6ac6e}";

    fn key(text: &str) -> Option<String> {
        PropertyId::parse::<SingleValue>(&text.replace("GUID", GUID)).ok().map(|id| id.key)
    }

    #[test]
    fn ids_are_read_in_their_three_forms() {
        for (one, same) in [
            ("String GUID Name Color", "STRING {66F5A359-4659-4830-9070-00047EC6AC6E} NAME Color"),
            ("String GUID Name  two  words ", "String GUID name  two  words "),
            ("Integer GUID Id 0x8012", "integer GUID ID 0X00008012"),
            ("SystemTime 0x3A4D0040", "systemtime 0x3a4d0040"),
            ("clsid 0x1", "CLSID 0x01"),
        ] {
            assert!(key(one).is_some() && key(one) == key(same), "{one}");
        }
        assert_ne!(key("String GUID Name Color"), key("String GUID Name color"));
        assert_ne!(key("String GUID Name 0x1"), key("String GUID Id 0x1"));
        for text in [
            "",
            " ",
            "String",
            "String ",
            "Text 0x1",
            "StringArray 0x1",
            "String 1",
            "String 0x",
            "String 0x123456789",
            "String 0x+1",
            "String  0x1",
            "String GUID",
            "String GUID Name",
            "String GUID Name ",
            "String GUID Color",
            "String GUID Id 8012",
            "String {66f5a359} Name x",
            "String {66f5a35946594830907000047ec6ac6e} Name x",
            "String 66f5a359-4659-4830-9070-00047ec6ac6e Name x",
        ] {
            assert_eq!(key(text), None, "{text}");
        }
        assert_eq!(key(&format!("String GUID Name {}", "x".repeat(MAX_ID))), None);
        let array = PropertyId::parse::<MultiValue>("stringarray 0x1").unwrap();
        assert_eq!((array.key.as_str(), array.value_type), ("stringarray 0x1", "String"));
        assert!(PropertyId::parse::<MultiValue>("String 0x1").is_err());
    }

    #[test]
    fn values_that_are_not_of_their_type_are_noted() {
        for (value_type, fits, not) in [
            ("String", vec!["", "x"], vec![]),
            ("Integer", vec!["0", "-2147483648"], vec!["", "1.0", "2147483648", "x"]),
            ("Short", vec!["32767"], vec!["32768"]),
            ("Long", vec!["9223372036854775807"], vec!["9223372036854775808"]),
            ("Boolean", vec!["true", "False"], vec!["1", "yes"]),
            ("Double", vec!["1.5", "-1e3"], vec!["NaN", "inf", "1e400", "1,5"]),
            ("SystemTime", vec!["2024-01-01T00:00:00Z", "2024-01-01"], vec!["now"]),
            ("Binary", vec!["", "AAA="], vec!["x"]),
            ("CLSID", vec!["66f5a359-4659-4830-9070-00047ec6ac6e"], vec!["x"]),
        ] {
            let id = PropertyId::parse::<SingleValue>(&format!("{value_type} 0x1")).unwrap();
            for text in fits {
                assert!(id.fits(text), "{value_type} {text}");
            }
            for text in not {
                assert!(!id.fits(text), "{value_type} {text}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_id_or_refused(text in "(String|Array| |0x|[0-9A-F]{2}|\\{|\\}|-|Name|\\PC){0,12}") {
            if let Ok(id) = PropertyId::parse::<SingleValue>(&text) {
                prop_assert_eq!(PropertyId::parse::<SingleValue>(&id.key).unwrap().key, id.key);
            }
        }
    }
}

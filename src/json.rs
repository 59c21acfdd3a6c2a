//! Parses JSON more strictly than serde_json, and without losing anything. An object that repeats a member name (ignoring
//! case, except in JSContact) is refused, and so are a text with too many values and NUL characters, which no engine stores faithfully.
//! serde_json refuses everything else that RFC 8259 does not allow, nesting over 128 levels and lone surrogates. Numbers
//! keep all their digits: serde_json would reduce them to 64 bits (or, with `arbitrary_precision`, turn them into an object
//! that a client could send too), so it gets a 0 in place of each.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Maximum number of values in one text. A contact with [`crate::domain::contact::MAX_ENTRIES`] in each collection has
/// about 4,000.
const MAX_VALUES: usize = 50_000;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; members in the order sent.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a JSON text.
    ///
    /// # Errors
    /// The message for the client: what is wrong, with line and column.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        Self::read_names(bytes, false)
    }

    /// The same where names that differ in letter case are different names, as in JSContact, whose keys are any Id (RFC 9553,
    /// section 1.4.1).
    ///
    /// # Errors
    /// As [`Json::read`].
    pub fn read_case_sensitive(bytes: &[u8]) -> Result<Self, String> {
        Self::read_names(bytes, true)
    }

    fn read_names(bytes: &[u8], case_sensitive: bool) -> Result<Self, String> {
        let (masked, numbers) = without_numbers(bytes);
        let state = RefCell::new(ParseState { remaining: MAX_VALUES, case_sensitive, numbers: numbers.into_iter() });
        let mut reader = serde_json::Deserializer::from_slice(&masked);
        ValueSeed { state: &state }
            .deserialize(&mut reader)
            .and_then(|value| reader.end().map(|()| value))
            .map_err(|error| error.to_string())
    }

    /// The type of value with its article, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Prints without whitespace, numbers as they were sent.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&quoted(text)?),
            Self::Array(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (i, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{}:{value}", if i > 0 { "," } else { "" }, quoted(name)?)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// The text with each number replaced by a 0 and spaces, and the numbers in order. Invalid numbers are kept, so that
/// serde_json reports them.
fn without_numbers(bytes: &[u8]) -> (Cow<'_, [u8]>, Vec<String>) {
    let mut masked = Cow::Borrowed(bytes);
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let is_number_byte = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let length = rest.iter().position(|byte| !is_number_byte(byte)).unwrap_or(rest.len());
                let end = at + length;
                if let Ok(text) = std::str::from_utf8(&rest[..length])
                    && is_number(text)
                {
                    numbers.push(text.to_owned());
                    let number_bytes = &mut masked.to_mut()[at..end];
                    number_bytes.fill(b' ');
                    number_bytes[0] = b'0';
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    (masked, numbers)
}

/// The offset after the string that contains `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether it is a number (RFC 8259, section 6).
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

struct ParseState {
    /// Number of values that are still allowed.
    remaining: usize,
    /// Whether names that differ in letter case only are distinct.
    case_sensitive: bool,
    /// The remaining numbers.
    numbers: std::vec::IntoIter<String>,
}

#[derive(Clone, Copy)]
struct ValueSeed<'a> {
    state: &'a RefCell<ParseState>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        let remaining = self.state.borrow().remaining.checked_sub(1);
        let remaining = remaining.ok_or_else(|| D::Error::custom(format_args!("more than {MAX_VALUES} values")))?;
        self.state.borrow_mut().remaining = remaining;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    /// The 0 stands for the next number. Any other number is the start of an invalid one, like `1-2`.
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Json, E> {
        self.state.borrow_mut().numbers.next().map(Json::Number).ok_or_else(|| E::custom("invalid number"))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Json, E> {
        Err(E::custom("invalid number"))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Json, E> {
        Err(E::custom("invalid number"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Json, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Json, E> {
        if value.contains('\0') {
            return Err(E::custom("a string holds the NUL character, which cannot be stored"));
        }
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let case_sensitive = self.state.borrow().case_sensitive;
        let mut names = HashSet::new();
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.contains('\0') {
                return Err(A::Error::custom("a member name holds the NUL character"));
            }
            let is_new = names.insert(if case_sensitive { name.clone() } else { name.to_lowercase() });
            if !is_new {
                let case = if case_sensitive { "" } else { " (letter case is ignored)" };
                return Err(A::Error::custom(format_args!(
                    "the member '{}' is repeated in one object{case}",
                    crate::domain::plain::shorten(&name)
                )));
            }
            members.push((name, map.next_value_seed(self)?));
        }
        Ok(Json::Object(members))
    }
}

/// Whether a member is an annotation, like `@odata.type` or `birthday@odata.type`.
pub fn is_annotation(name: &str) -> bool {
    name.starts_with('@') || name.to_ascii_lowercase().contains("@odata.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> Json {
        Json::Text(value.into())
    }

    #[test]
    fn values_are_read() {
        let read = Json::read(r#" {"a":[null,true,-1.5e3,"\u00e9\ud83d\ude00"],"B":{}} "#.as_bytes()).unwrap();
        let array = vec![Json::Null, Json::Bool(true), Json::Number("-1.5e3".into()), text("é😀")];
        assert_eq!(read, Json::Object(vec![("a".into(), Json::Array(array)), ("B".into(), Json::Object(vec![]))]));
    }

    #[test]
    fn invalid_json_repeated_names_and_nul_are_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let wide = format!("[{}0]", "0,".repeat(MAX_VALUES));
        let cases: [(&[u8], &str); 24] = [
            (b"", "EOF while parsing"),
            (b"{\"a\":1} x", "trailing characters"),
            (b"{\"a\":1,\"a\":2}", "'a' is repeated"),
            (b"[{\"name\":1,\"NAME\":2}]", "'NAME' is repeated"),
            (b"{\"@odata.type\":1,\"@OData.Type\":2}", "is repeated"),
            (b"[\"a\\u0000b\"]", "NUL"),
            (b"{\"a\\u0000b\":1}", "NUL"),
            (b"[\"\xff\"]", "invalid unicode"),
            (b"[\"\\ud83d\"]", "hex escape"),
            (b"[\"\\udc00\"]", "surrogate"),
            (b"[01]", "invalid number"),
            (b"[1.]", "invalid number"),
            (b"[.5]", "expected value"),
            (b"[+1]", "expected value"),
            (b"[1e]", "invalid number"),
            (b"[-]", "invalid number"),
            (b"[1-2]", "invalid number"),
            (b"[-1-2]", "invalid number"),
            (b"[1.5-2]", "invalid number"),
            (b"[1 2]", "expected `,` or `]`"),
            (b"{1:2}", "key must be a string"),
            (b"[NaN]", "expected value"),
            (deep.as_bytes(), "recursion limit"),
            (wide.as_bytes(), "more than 50000 values"),
        ];
        for (bytes, why) in cases {
            let error = Json::read(bytes).unwrap_err();
            assert!(error.contains(why), "{error:?} does not say {why:?}");
        }
    }

    #[test]
    fn letter_case_distinguishes_names_where_requested() {
        let text = r#"{"e1":{"a":1,"A":2},"E1":3}"#;
        assert_eq!(Json::read_case_sensitive(text.as_bytes()).unwrap().to_string(), text);
        assert!(Json::read_case_sensitive(br#"{"a":1,"a":2}"#).unwrap_err().contains("'a' is repeated in one object"));
    }

    #[test]
    fn a_value_is_written_as_it_was_read() {
        for text in [
            "1e400",
            "-0.0",
            "12345678901234567890.10",
            "1E+2",
            "0",
            "[]",
            "{}",
            r#"{"b":[1.0,1.00,"-1","\\\"2",{"a":-1e-7}],"\u001f":"é\n","3":4}"#,
        ] {
            assert_eq!(Json::read(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn any_number_is_kept_to_the_digit(text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,5})?") {
            let blanks = format!(" [\"1\", {text}\t,{{\"-2\":{text}}}]");
            prop_assert_eq!(Json::read(blanks.as_bytes()).unwrap().to_string(), format!(r#"["1",{text},{{"-2":{text}}}]"#));
        }

        #[test]
        fn what_serde_json_refuses_is_refused(text in "[\\[\\]{},:\"0-9eE.+ -]{0,12}") {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert!(is_json || Json::read(text.as_bytes()).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Json::read(&bytes);
        }

        #[test]
        fn strings_read_as_written(value in "[^\0]*") {
            let written = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(Json::read(&written), Ok(text(&value)));
        }
    }
}

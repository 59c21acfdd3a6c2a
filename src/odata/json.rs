//! A JSON text read without losing what serde_json's own tree would: an object that names a member twice (in any
//! letter case) is refused instead of keeping the last one, and so is a text of too many values. serde_json refuses
//! the rest of what RFC 8259 does not allow (and nesting over 128 levels, and lone surrogates); NUL characters are
//! refused here because no engine stores them faithfully.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Most values in one text. A full contact of [`crate::contact::MAX_ENTRIES`] in each collection has some 4,000.
const MAX_VALUES: usize = 50_000;

/// A JSON value; numbers are only known to be numbers, since no property of a contact is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number,
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, its members in the order sent.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one JSON text.
    ///
    /// # Errors
    /// The sentence to show: what is wrong and at which line and column.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let left = Cell::new(MAX_VALUES);
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        Value { left: &left }
            .deserialize(&mut reader)
            .and_then(|value| reader.end().map(|()| value))
            .map_err(|error| error.to_string())
    }

    /// The kind of value, with its article, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

#[derive(Clone, Copy)]
struct Value<'a> {
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom(format_args!("more than {MAX_VALUES} values")))?);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
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

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
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
        let mut names = HashSet::new();
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.contains('\0') {
                return Err(A::Error::custom("a member name holds the NUL character"));
            }
            if !names.insert(name.to_lowercase()) {
                return Err(A::Error::custom(format_args!(
                    "the member '{}' stands twice in one object (letter case does not tell members apart)",
                    shorten(&name)
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

/// A name a client made up, cut to what a message can carry.
pub fn shorten(name: &str) -> String {
    match name.char_indices().nth(64) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
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
        let array = vec![Json::Null, Json::Bool(true), Json::Number, text("é😀")];
        assert_eq!(read, Json::Object(vec![("a".into(), Json::Array(array)), ("B".into(), Json::Object(vec![]))]));
    }

    #[test]
    fn what_would_be_lost_or_cannot_be_kept_is_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let wide = format!("[{}0]", "0,".repeat(MAX_VALUES));
        let cases: [(&[u8], &str); 14] = [
            (b"", "EOF while parsing"),
            (b"{\"a\":1} x", "trailing characters"),
            (b"{\"a\":1,\"a\":2}", "'a' stands twice"),
            (b"[{\"name\":1,\"NAME\":2}]", "'NAME' stands twice"),
            (b"{\"@odata.type\":1,\"@OData.Type\":2}", "stands twice"),
            (b"[\"a\\u0000b\"]", "NUL"),
            (b"{\"a\\u0000b\":1}", "NUL"),
            (b"[\"\xff\"]", "invalid unicode"),
            (b"[\"\\ud83d\"]", "hex escape"),
            (b"[\"\\udc00\"]", "surrogate"),
            (b"[1e999]", "out of range"),
            (b"[NaN]", "expected value"),
            (deep.as_bytes(), "recursion limit"),
            (wide.as_bytes(), "more than 50000 values"),
        ];
        for (bytes, why) in cases {
            let error = Json::read(bytes).unwrap_err();
            assert!(error.contains(why), "{error:?} does not say {why:?}");
        }
    }

    proptest! {
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

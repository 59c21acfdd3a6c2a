//! The token in a nextLink: opaque to clients, versioned, and complete in itself. It names the last contact or folder
//! of the page before, and its sort keys, instead of a row count, so that a walk visits each item once even if others
//! are created or deleted meanwhile. It is short even if the keys are long (see `store::query::pager`).

use uuid::Uuid;

use crate::domain::error::{Error, Kind};
use crate::domain::query::cursor::{Anchor, Cursor, KeyValue};
use crate::odata::codec::{self, take, take_number, take_text};

/// Default page size.
pub const DEFAULT_SIZE: u16 = 10;
/// Maximum number of contacts on a page.
pub const MAX_SIZE: u16 = 1_000;

/// Longest token of a page or of delta, printed: the texts in one have less than half of it.
pub const MAX_TOKEN: usize = 4 << 10;

/// The version bytes of tokens without and with sort keys.
const IN_CREATION_ORDER: u8 = 1;
const SORTED: u8 = 3;

/// The start of the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    /// The page begins after this.
    pub after: Cursor,
    /// The page size the walk began with.
    pub size: u16,
}

impl PageToken {
    /// The token's text, which needs no encoding in a URL: 26 characters, and those of the sort keys.
    pub fn print(&self) -> String {
        let Cursor { shown, keys } = &self.after;
        let mut bytes = vec![if keys.is_empty() { IN_CREATION_ORDER } else { SORTED }];
        bytes.extend(self.size.to_be_bytes());
        if keys.is_empty() {
            bytes.extend(shown.first().map_or(Uuid::nil(), |last| last.id).as_bytes());
            return codec::print(&bytes);
        }
        bytes.extend(u8::try_from(shown.len()));
        for Anchor { id, hash } in shown {
            bytes.extend(id.as_bytes());
            bytes.extend(hash.to_be_bytes());
        }
        write_keys(&mut bytes, keys);
        codec::print(&bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for anything that [`PageToken::print`] did not print.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = codec::parse(text, MAX_TOKEN).unwrap_or_default();
        read(&mut bytes.as_slice()).ok_or_else(|| Error::invalid(Kind::Query, "$skiptoken", BAD_TOKEN))
    }
}

fn read(bytes: &mut &[u8]) -> Option<PageToken> {
    let [version, s1, s2] = take(bytes)?;
    let size = u16::from_be_bytes([s1, s2]).clamp(1, MAX_SIZE);
    let mut after = Cursor::default();
    match version {
        IN_CREATION_ORDER => after.shown.push(Anchor { id: Uuid::from_bytes(take(bytes)?), hash: 0 }),
        SORTED => {
            let [count] = take(bytes)?;
            for _ in 0..count {
                let id = Uuid::from_bytes(take(bytes)?);
                after.shown.push(Anchor { id, hash: u64::from_be_bytes(take(bytes)?) });
            }
            after.keys = read_keys(bytes)?;
            if after.keys.is_empty() || after.shown.len() > 4 {
                return None;
            }
        }
        _ => return None,
    }
    bytes.is_empty().then_some(PageToken { after, size })
}

fn write_keys(bytes: &mut Vec<u8>, keys: &[KeyValue]) {
    for key in keys {
        match key {
            KeyValue::Null => bytes.push(0),
            KeyValue::Number(number) => {
                bytes.push(1);
                bytes.extend(number.to_be_bytes());
            }
            KeyValue::Text(text) => {
                bytes.push(2);
                codec::put_text(bytes, text);
            }
            KeyValue::Cut(text) => {
                bytes.push(3);
                codec::put_text(bytes, text);
            }
            KeyValue::Id(id) => {
                bytes.push(4);
                bytes.extend(id.as_bytes());
            }
        }
    }
}

/// Reads all remaining keys.
fn read_keys(bytes: &mut &[u8]) -> Option<Vec<KeyValue>> {
    // Neither database accepts this character in a text.
    let text = |bytes: &mut &[u8]| take_text(bytes).filter(|text| !text.contains('\0'));
    let mut keys = Vec::new();
    while let Some([kind]) = take(bytes) {
        keys.push(match kind {
            0 => KeyValue::Null,
            1 => KeyValue::Number(take_number(bytes)?),
            2 => KeyValue::Text(text(bytes)?),
            3 => KeyValue::Cut(text(bytes)?),
            4 => KeyValue::Id(Uuid::from_bytes(take(bytes)?)),
            _ => return None,
        });
    }
    Some(keys)
}

const BAD_TOKEN: &str = "Badly formed token. Use nextLinks unchanged.";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = KeyValue> {
        prop_oneof![
            Just(KeyValue::Null),
            any::<i64>().prop_map(KeyValue::Number),
            "[^\0]{0,20}".prop_map(KeyValue::Text),
            "[^\0]{0,20}".prop_map(KeyValue::Cut),
            any::<u128>().prop_map(|id| KeyValue::Id(Uuid::from_u128(id))),
        ]
    }

    proptest! {
        #[test]
        fn a_token_reads_back(id in any::<u128>(), size in 1..=MAX_SIZE) {
            let shown = vec![Anchor { id: Uuid::from_u128(id), hash: 0 }];
            let token = PageToken { after: Cursor { shown, keys: Vec::new() }, size };
            prop_assert_eq!(token.print().len(), 26);
            prop_assert_eq!(PageToken::parse(&token.print()).unwrap(), token);
        }

        #[test]
        fn a_token_with_keys_reads_back(
            shown in proptest::collection::vec(any::<(u128, u64)>(), 0..5),
            keys in proptest::collection::vec(key(), 1..11),
        ) {
            let shown = shown.into_iter().map(|(id, hash)| Anchor { id: Uuid::from_u128(id), hash }).collect();
            let token = PageToken { after: Cursor { shown, keys }, size: 7 };
            prop_assert_eq!(PageToken::parse(&token.print()).unwrap(), token);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_-]{0,40}|\\PC{0,40}") {
            let _ = PageToken::parse(&text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = codec::print(&bytes);
            let _ = PageToken::parse(&text);
        }
    }
}

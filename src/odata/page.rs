//! The token in a nextLink: opaque to clients, versioned, and complete in itself. It names the last contact or folder of
//! the page before, and its sort keys, and not a row count, so that a walk visits each once whatever is created or deleted
//! meanwhile. However long the keys are, it is short (`store::listing` and `store::sorted` tell how).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::error::{Error, Kind};
use crate::domain::query::cursor::{Anchor, Cursor, KeyValue, PlaceCursor};

/// Contacts on a page when the client does not say.
pub const DEFAULT_SIZE: u16 = 10;
/// Most contacts on a page.
pub const MAX_SIZE: u16 = 1_000;

/// Longest token of a page or of delta, printed: the texts in one have less than half of it.
pub const MAX_TOKEN: usize = 4 << 10;

/// Without sort keys, and with them.
const IN_CREATION_ORDER: u8 = 1;
const SORTED: u8 = 3;

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    /// Behind this.
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
            return URL_SAFE_NO_PAD.encode(bytes);
        }
        bytes.extend(u8::try_from(shown.len()));
        for Anchor { id, hash } in shown {
            bytes.extend(id.as_bytes());
            bytes.extend(hash.to_be_bytes());
        }
        write_keys(&mut bytes, keys);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for anything [`PageToken::print`] did not make.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = decode(text);
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
            if after.keys.is_empty() || after.shown.is_empty() || after.shown.len() > 4 {
                return None;
            }
        }
        _ => return None,
    }
    bytes.is_empty().then_some(PageToken { after, size })
}

fn write_keys(bytes: &mut Vec<u8>, keys: &[KeyValue]) {
    for key in keys {
        let (kind, text) = match key {
            KeyValue::Null => (0, ""),
            KeyValue::Number(number) => {
                bytes.push(1);
                bytes.extend(number.to_be_bytes());
                continue;
            }
            KeyValue::Text(text) => (2, text.as_str()),
            KeyValue::Cut(text) => (3, text.as_str()),
        };
        bytes.push(kind);
        if kind != 0 {
            bytes.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
            bytes.extend(text.as_bytes());
        }
    }
}

/// All that are left.
fn read_keys(bytes: &mut &[u8]) -> Option<Vec<KeyValue>> {
    let mut keys = Vec::new();
    while let Some([kind]) = take(bytes) {
        keys.push(match kind {
            0 => KeyValue::Null,
            1 => KeyValue::Number(i64::from_be_bytes(take(bytes)?)),
            2 => KeyValue::Text(text(bytes)?),
            3 => KeyValue::Cut(text(bytes)?),
            _ => return None,
        });
    }
    Some(keys)
}

/// Nothing, of which no token is made, for what is too long or cannot be decoded.
fn decode(text: &str) -> Vec<u8> {
    let text = Some(text).filter(|text| text.len() <= MAX_TOKEN);
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes(take(bytes)?));
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok().filter(|text| !text.contains('\0'))
}

/// Where the next page of such a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceToken {
    /// Behind this.
    pub after: PlaceCursor,
    /// The page size the walk began with.
    pub size: u16,
}

const PLACE: u8 = 4;

impl PlaceToken {
    /// The token's text, which needs no encoding in a URL.
    pub fn print(&self) -> String {
        let PlaceCursor { shown, place } = &self.after;
        let mut bytes = vec![PLACE];
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(u8::try_from(shown.len()));
        bytes.extend(shown.iter().flat_map(|hash| hash.to_be_bytes()));
        write_keys(&mut bytes, place);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for anything [`PlaceToken::print`] did not make.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = decode(text);
        let read = |bytes: &mut &[u8]| {
            let [version, s1, s2, count] = take(bytes)?;
            let shown = (0..count).map(|_| take(bytes).map(u64::from_be_bytes)).collect::<Option<Vec<_>>>()?;
            let place = read_keys(bytes)?;
            let size = u16::from_be_bytes([s1, s2]).clamp(1, MAX_SIZE);
            let is_one = version == PLACE && shown.len() <= 4 && bytes.is_empty();
            is_one.then_some(Self { after: PlaceCursor { shown, place }, size })
        };
        read(&mut bytes.as_slice()).ok_or_else(|| Error::invalid(Kind::Query, "$skiptoken", BAD_TOKEN))
    }
}

/// Where the next page of users in the order of their making begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserToken {
    /// The mailbox of the last user already shown: their order is that in which they were made.
    pub after: i64,
    /// The page size the walk began with.
    pub size: u16,
}

const USERS: u8 = 5;

impl UserToken {
    /// The token's text: 15 characters that need no encoding in a URL.
    pub fn print(&self) -> String {
        let mut bytes = vec![USERS];
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.after.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for anything [`UserToken::print`] did not make.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = decode(text);
        let read = |mut rest: &[u8]| {
            let [version, s1, s2] = take(&mut rest)?;
            let (size, after) = (u16::from_be_bytes([s1, s2]), i64::from_be_bytes(take(&mut rest)?));
            let whole = version == USERS && rest.is_empty();
            whole.then_some(Self { after, size: size.clamp(1, MAX_SIZE) })
        };
        read(&bytes).ok_or_else(|| Error::invalid(Kind::Query, "$skiptoken", BAD_TOKEN))
    }
}

const BAD_TOKEN: &str = "Badly formed token. Follow nextLinks as they are.";

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
            shown in proptest::collection::vec(any::<(u128, u64)>(), 1..5),
            keys in proptest::collection::vec(key(), 1..9),
        ) {
            let shown = shown.into_iter().map(|(id, hash)| Anchor { id: Uuid::from_u128(id), hash }).collect();
            let token = PageToken { after: Cursor { shown, keys }, size: 7 };
            prop_assert_eq!(PageToken::parse(&token.print()).unwrap(), token);
        }

        #[test]
        fn a_token_of_a_place_reads_back(
            shown in proptest::collection::vec(any::<u64>(), 0..5),
            place in proptest::collection::vec(key(), 1..11),
            size in 1..=MAX_SIZE,
        ) {
            let token = PlaceToken { after: PlaceCursor { shown, place }, size };
            prop_assert_eq!(PlaceToken::parse(&token.print()).unwrap(), token);
        }

        #[test]
        fn a_users_token_reads_back(after in any::<i64>(), size in 1..=MAX_SIZE) {
            let token = UserToken { after, size };
            prop_assert_eq!(token.print().len(), 15);
            prop_assert_eq!(UserToken::parse(&token.print()).unwrap(), token);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_-]{0,40}|\\PC{0,40}") {
            let _ = PageToken::parse(&text);
            let _ = PlaceToken::parse(&text);
            let _ = UserToken::parse(&text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = URL_SAFE_NO_PAD.encode(bytes);
            let _ = (PageToken::parse(&text), PlaceToken::parse(&text), UserToken::parse(&text));
        }
    }
}

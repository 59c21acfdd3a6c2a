//! Delta tokens: opaque to clients, self-contained, and signed with a key of the database, so that they cannot be
//! forged. docs/graph.md, "Delta".

use hmac::digest::Key;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::domain::error::{Error, Kind};
use crate::domain::sync::{SyncState, Watermark};
use crate::odata::codec::{self, take, take_number, take_text};

/// Default page size.
pub const DEFAULT_SIZE: u16 = 200;

/// The version byte of the format.
const FORMAT_VERSION: u8 = 1;
/// Bytes of a hash and of the signature in a token.
const HASH_BYTES: usize = 8;
const SIGNATURE_BYTES: usize = 16;
/// Longest accepted token. Current tokens are shorter than [`super::page::MAX_TOKEN`]; older ones contain `$select` as
/// it was sent.
const MAX_BYTES: usize = 8 << 10;

/// A parsed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaToken {
    /// The hash of the collection that the token applies to, see [`DeltaToken::hash`].
    pub scope: [u8; HASH_BYTES],
    /// The history of changes it belongs to, hashed the same way.
    pub epoch: [u8; HASH_BYTES],
    /// The time of its watermark, in UTC microseconds; within a round of several pages, the time the round began.
    pub issued: i64,
    /// The page size of the first page.
    pub size: u16,
    /// The `$select` of the first round.
    pub select: Option<String>,
    /// The state of the client.
    pub progress: SyncState,
}

impl DeltaToken {
    /// A short hash of `parts`, to which a token is tied.
    pub fn hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        std::array::from_fn(|i| hash[i])
    }

    /// Prints the token; the text needs no encoding in a URL.
    pub fn print(&self, key: &[u8]) -> String {
        let mut bytes = vec![FORMAT_VERSION];
        bytes.extend(self.scope);
        bytes.extend(self.epoch);
        bytes.extend(self.issued.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        let (moment, after) = match &self.progress {
            SyncState::Reads(moment, after) => (moment, after.as_str()),
            SyncState::Knows(moment) => (moment, ""),
        };
        for number in [moment.seq, moment.entry.0, moment.entry.1] {
            bytes.extend(number.to_be_bytes());
        }
        for text in [after, self.select.as_deref().unwrap_or_default()] {
            codec::put_text(&mut bytes, text);
        }
        let signature = sign(key, &bytes);
        bytes.extend(signature);
        codec::print(&bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for anything that [`DeltaToken::print`] did not print with this key.
    pub fn parse(option: &str, text: &str, key: &[u8]) -> Result<Self, Error> {
        let bad = || Error::invalid(Kind::Query, option, "Badly formed token. Use links unchanged.");
        let bytes = codec::parse(text, MAX_BYTES).ok_or_else(bad)?;
        let (body, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or_else(bad)?;
        let mut mac = hmac(key);
        mac.update(body);
        mac.verify_truncated_left(signature).map_err(|_| bad())?;
        read(body).ok_or_else(bad)
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    // Keys may have any length (RFC 2104, section 3).
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Key::<Hmac<Sha256>>::default()))
}

fn sign(key: &[u8], bytes: &[u8]) -> [u8; SIGNATURE_BYTES] {
    let mut mac = hmac(key);
    mac.update(bytes);
    let signature = mac.finalize().into_bytes();
    std::array::from_fn(|i| signature[i])
}

fn read(mut bytes: &[u8]) -> Option<DeltaToken> {
    let rest = &mut bytes;
    let [FORMAT_VERSION] = take(rest)? else { return None };
    let (scope, epoch) = (take(rest)?, take(rest)?);
    let issued = take_number(rest)?;
    let size = u16::from_be_bytes(take(rest)?);
    let mut number = || take_number(rest);
    let moment = Watermark { seq: number()?, entry: (number()?, number()?) };
    let (after, select) = (take_text(rest)?, take_text(rest)?);
    let progress = if after.is_empty() { SyncState::Knows(moment) } else { SyncState::Reads(moment, after) };
    let select = Some(select).filter(|select| !select.is_empty());
    bytes.is_empty().then_some(DeltaToken { scope, epoch, issued, size, select, progress })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(progress: SyncState, select: Option<&str>) -> DeltaToken {
        DeltaToken {
            scope: DeltaToken::hash(&[b"contacts", b"7"]),
            epoch: [3; 8],
            issued: 5,
            size: 200,
            select: select.map(str::to_owned),
            progress,
        }
    }

    #[test]
    fn only_a_signed_token_is_accepted() {
        let moment = Watermark { seq: 9, entry: (7, i64::MAX) };
        for token in [
            token(SyncState::Knows(moment), None),
            token(SyncState::Reads(moment, "behind this".into()), Some("displayName,homeAddress/city")),
        ] {
            let text = token.print(b"key");
            assert_eq!(DeltaToken::parse("$deltatoken", &text, b"key").unwrap(), token);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
            assert!(DeltaToken::parse("$deltatoken", &text, b"another key").is_err());
            // A token with any bit changed is refused.
            let bytes = codec::parse(&text, MAX_BYTES).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut forged = bytes.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(DeltaToken::parse("$deltatoken", &codec::print(&forged), b"key").is_err(), "{bit}");
            }
        }
    }

    #[test]
    fn the_hash_depends_on_the_boundaries_of_the_parts() {
        assert_ne!(DeltaToken::hash(&[b"ab", b"c"]), DeltaToken::hash(&[b"a", b"bc"]));
    }

    proptest! {
        #[test]
        fn any_text_is_refused(text in "[A-Za-z0-9_-]{0,200}|\\PC{0,20}") {
            prop_assert!(DeltaToken::parse("$skiptoken", &text, b"key").is_err());
        }
    }
}

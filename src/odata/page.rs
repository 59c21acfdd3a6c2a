//! The token in a nextLink: opaque to clients, versioned, and complete in itself. It names the last contact of the
//! page before and not a row count, so that a walk visits each contact once whatever is created or deleted meanwhile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::error::{Error, Kind};

/// Contacts on a page when the client does not say.
pub const DEFAULT_SIZE: u16 = 10;
/// Most contacts on a page.
pub const MAX_SIZE: u16 = 1_000;

const VERSION: u8 = 1;

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    /// The last contact already shown.
    pub after: Uuid,
    /// The page size the walk began with.
    pub size: u16,
}

impl PageToken {
    /// The token's text, 26 characters that need no encoding in a URL.
    pub fn print(self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.after.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for anything [`PageToken::print`] did not make.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        match bytes.split_first() {
            Some((&VERSION, [s1, s2, id @ ..])) if let Ok(after) = Uuid::from_slice(id) => {
                Ok(Self { after, size: u16::from_be_bytes([*s1, *s2]).clamp(1, MAX_SIZE) })
            }
            _ => Err(Error::invalid(Kind::Query, "$skiptoken", BAD_TOKEN)),
        }
    }
}

/// Where the next page of folders begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderToken {
    /// When the last folder already shown was made, UTC microseconds.
    pub created: i64,
    /// Its id.
    pub id: String,
    /// The page size the walk began with.
    pub size: u16,
}

const FOLDER_VERSION: u8 = 2;

impl FolderToken {
    /// The token's text, at most 1,380 characters that need no encoding in a URL.
    pub fn print(&self) -> String {
        let mut bytes = vec![FOLDER_VERSION];
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.created.to_be_bytes());
        bytes.extend(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for anything [`FolderToken::print`] did not make.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let read = || {
            let (version, rest) = bytes.split_first()?;
            let (size, rest) = rest.split_first_chunk()?;
            let (created, id) = rest.split_first_chunk()?;
            let id = std::str::from_utf8(id).ok().filter(|id| !id.is_empty())?.to_owned();
            let size = u16::from_be_bytes(*size).clamp(1, MAX_SIZE);
            (*version == FOLDER_VERSION).then_some(Self { created: i64::from_be_bytes(*created), id, size })
        };
        read().ok_or_else(|| Error::invalid(Kind::Query, "$skiptoken", BAD_TOKEN))
    }
}

const BAD_TOKEN: &str = "Badly formed token. Follow nextLinks as they are.";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_reads_back(id in any::<u128>(), size in 1..=MAX_SIZE) {
            let token = PageToken { after: Uuid::from_u128(id), size };
            prop_assert_eq!(PageToken::parse(&token.print()).unwrap(), token);
        }

        #[test]
        fn a_folders_token_reads_back(created in any::<i64>(), id in "\\PC{1,255}", size in 1..=MAX_SIZE) {
            let token = FolderToken { created, id, size };
            prop_assert_eq!(FolderToken::parse(&token.print()).unwrap(), token);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_-]{0,40}|\\PC{0,40}") {
            let _ = PageToken::parse(&text);
            let _ = FolderToken::parse(&text);
        }
    }
}

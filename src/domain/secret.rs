//! Secrets: how they are made and stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Prefix of all tokens made by contactd, so that secret scanners recognize them.
const PREFIX: &str = "contactd_";

/// SHA-256 of a secret.
pub type Digest = [u8; 32];

/// A new token: the prefix, and 256 random bits in 43 characters of URL-safe base64.
///
/// # Errors
/// The operating system provides no random bytes.
pub fn token() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random bytes: {error}"))?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The hash of a secret, by which it is stored and looked up.
pub fn digest(secret: &str) -> Digest {
    Sha256::digest(secret).into()
}

/// Bytes in lower-case hexadecimal, as digests are stored.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |digit: u8| char::from(DIGITS[usize::from(digit)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_never_the_same() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), PREFIX.len() + 43);
        assert!(one.starts_with(PREFIX) && one != other);
    }

    #[test]
    fn a_digest_is_sha_256_in_hexadecimal() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&digest("abc")), abc);
    }
}

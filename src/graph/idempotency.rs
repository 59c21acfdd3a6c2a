//! `Idempotency-Key`: identifies a repeated create (docs/graph.md, "Repeated creates").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::domain::error::{Error, Kind};
use crate::graph::call::{Call, IDEMPOTENCY_KEY};
use crate::store::IdempotencyKey;

/// Maximum length of a key.
pub(crate) const MAX_KEY: usize = 255;

/// The key of a create with this body, if the request has one.
///
/// # Errors
/// 400 for a key that is empty, too long, or not visible ASCII.
pub(crate) fn key(call: &Call<'_>, body: &[u8]) -> Result<Option<IdempotencyKey>, Error> {
    let Some(key) = &call.idempotency_key else { return Ok(None) };
    if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("'{IDEMPOTENCY_KEY}' must be of 1 to {MAX_KEY} visible ASCII characters.");
        return Err(Error::invalid(Kind::Request, IDEMPOTENCY_KEY, message));
    }
    let mut request = Sha256::new();
    for part in [b"POST", call.path.as_bytes(), body] {
        request.update(part.len().to_be_bytes());
        request.update(part);
    }
    Ok(Some(IdempotencyKey { key: key.clone(), request: STANDARD.encode(request.finalize()) }))
}

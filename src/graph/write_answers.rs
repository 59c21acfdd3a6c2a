//! The answers of writes: `Location`, `OData-EntityId`, `ETag`, `Contactd-Position` and `Prefer: return=`, for every
//! kind of resource. `Preference-Applied` is added to them, as to all answers, in [`crate::graph::dispatch`].

use crate::domain::category::Category;
use crate::domain::contact::Contact;
use crate::domain::error::Error;
use crate::domain::extension::Extension;
use crate::domain::folder::Folder;
use crate::domain::photo::Photo;
use crate::domain::subscription::Subscription;
use crate::graph::call::Call;
use crate::http::answer::{Answer, POSITION};
use crate::store::Share;

/// A stored item with a version.
pub(crate) trait Versioned {
    /// The entity tag, and the position of the mailbox after the write; `None` where the resource has no versions.
    fn version(&self) -> Option<(String, i64)>;
}

macro_rules! versioned {
    ($($resource:ty),*) => {
        $(impl Versioned for $resource {
            fn version(&self) -> Option<(String, i64)> {
                Some((self.etag(), self.version))
            }
        })*
    };
}
versioned!(Contact, Folder, Category, Extension, Photo);

impl Versioned for Share {
    fn version(&self) -> Option<(String, i64)> {
        None
    }
}

impl Versioned for Subscription {
    fn version(&self) -> Option<(String, i64)> {
        None
    }
}

/// 201 with the created item, or 204 if the client prefers that; `location` is a path below the API's prefix.
pub(crate) fn created(
    call: &Call<'_>,
    stored: &impl Versioned,
    location: &str,
    show: impl FnOnce() -> Result<Answer, Error>,
) -> Result<Answer, Error> {
    let (answer, location) = (written(call, 201, stored, show)?, call.link(location));
    // Without a body, a header identifies the item (OData protocol, section 8.3.4).
    let answer = if answer.body.is_none() { answer.header("OData-EntityId", &location)? } else { answer };
    answer.header("Location", &location)
}

/// 200 with the changed item, or 204 if the client prefers that.
pub(crate) fn updated(
    call: &Call<'_>,
    stored: &impl Versioned,
    show: impl FnOnce() -> Result<Answer, Error>,
) -> Result<Answer, Error> {
    written(call, 200, stored, show)
}

/// 204, with the position of the mailbox after the write.
pub(crate) fn deleted(position: i64) -> Result<Answer, Error> {
    Answer::empty(204)?.header(POSITION, &position.to_string())
}

fn written(
    call: &Call<'_>,
    status: u16,
    stored: &impl Versioned,
    show: impl FnOnce() -> Result<Answer, Error>,
) -> Result<Answer, Error> {
    let is_minimal = call.prefer.minimal == Some(true);
    let mut answer = if is_minimal { Answer::empty(204)? } else { show()?.with_status(status)? };
    if let Some((etag, position)) = stored.version() {
        if is_minimal {
            answer = answer.header("ETag", &etag)?;
        }
        answer = answer.header(POSITION, &position.to_string())?;
    }
    Ok(answer)
}

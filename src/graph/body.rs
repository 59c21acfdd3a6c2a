//! JSON bodies.

use crate::domain::error::{Error, Kind};
use crate::http::blocking::{BlockingPermit, SHORT};
use crate::json::Json;

/// Reads the body of a call as JSON and passes it to `read`, on a blocking thread if it is long.
///
/// # Errors
/// 400 if it is not JSON, and those of `read`.
pub(crate) async fn json<T: Send + 'static>(
    body: &[u8],
    read: impl FnOnce(Json) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if body.len() <= SHORT {
        return parse(body).and_then(read);
    }
    // The turn is acquired first, so that a waiting request holds no copy of its body.
    let turn = BlockingPermit::acquire().await?;
    let body = body.to_vec();
    turn.run(move || parse(&body).and_then(read)).await?
}

/// A JSON body.
pub(crate) fn parse(body: &[u8]) -> Result<Json, Error> {
    Json::read(body).map_err(|why| {
        Error::invalid(Kind::Json, "", format!("The body cannot be read as JSON, it was unable to deserialize: {why}."))
    })
}

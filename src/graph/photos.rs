//! `…/contacts/{id}/photo` and its bytes, `…/photo/$value` (docs/graph.md, "Photos").

use crate::domain::error::Error;
use crate::domain::photo::{Photo, Picture};
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::json::photo::PhotoJson;
use crate::graph::keys::{parse_id, quoted};
use crate::graph::write_answers;
use crate::http::answer::{Answer, Body};
use crate::http::blocking::{SHORT, run_blocking};

/// Headers that make a browser only download the bytes, because a client uploaded them.
const DOWNLOAD_HEADERS: [(&str, &str); 4] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Disposition", "attachment"),
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    // Cached only for the bearer of the token, and revalidated by its ETag.
    ("Cache-Control", "private, no-cache"),
];

/// `GET …/photo`: its metadata.
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox, path: &[String], id: &str) -> Result<Answer, Error> {
    let photo = mailbox.store.photo(mailbox.user.mailbox, path, parse_id(id)?).await?;
    if call.expected.unchanged(&photo.version_token()) {
        return Answer::empty(304)?.header("ETag", &photo.etag());
    }
    to_answer(call, mailbox, id, &photo)
}

/// `GET …/photo/$value`: its bytes, a chunk at a time.
pub(crate) async fn value(call: &Call<'_>, mailbox: &Mailbox, path: &[String], id: &str) -> Result<Answer, Error> {
    let (store, mailbox, id) = (&mailbox.store, mailbox.user.mailbox, parse_id(id)?);
    let known = store.photo(mailbox, path, id).await?;
    let (status, photo, body) = if call.expected.unchanged(&known.version_token()) {
        (304, known, None)
    } else {
        let (photo, chunks) = store.photo_bytes(mailbox, path, id).await?;
        (200, photo, Some(Body::Chunks(photo.size, chunks)))
    };
    let mut answer = Answer { body, ..Answer::empty(status)? }.header("ETag", &photo.etag())?;
    if status == 200 {
        answer = answer.header("Content-Type", photo.picture.format.content_type())?;
    }
    DOWNLOAD_HEADERS.into_iter().try_fold(answer, |answer, (name, value)| answer.header(name, value))
}

/// `PUT …/photo/$value`, and `PATCH`, which does the same, as in Graph. An empty body deletes the photo.
pub(crate) async fn put(
    call: &Call<'_>,
    mailbox: &Mailbox,
    path: &[String],
    id: &str,
    body: &[u8],
) -> Result<Answer, Error> {
    if body.is_empty() {
        return delete(call, mailbox, path, id).await;
    }
    let (contact, expected) = (parse_id(id)?, call.expected.clone());
    let (picture, body) = recognized(body.to_vec()).await?;
    let photo = mailbox.store.put_photo(mailbox.user.mailbox, path, contact, picture, body, expected).await?;
    write_answers::updated(call, &photo, || to_answer(call, mailbox, id, &photo))
}

/// Recognizes the format and size of a picture. Long ones are parsed on a blocking thread, because a JPEG is scanned.
async fn recognized(bytes: Vec<u8>) -> Result<(Picture, Vec<u8>), Error> {
    let is_short = bytes.len() <= SHORT;
    let recognize = move || Picture::recognize(&bytes).map(|picture| (picture, bytes));
    if is_short { recognize() } else { run_blocking(recognize).await? }
}

/// `DELETE …/photo` and `DELETE …/photo/$value`, which Graph does not have. A missing photo is not an error: clients
/// delete the photo of every contact that has none on their side.
pub(crate) async fn delete(call: &Call<'_>, mailbox: &Mailbox, path: &[String], id: &str) -> Result<Answer, Error> {
    let expected = call.expected.clone();
    match mailbox.store.delete_photo(mailbox.user.mailbox, path, parse_id(id)?, expected).await? {
        Some(position) => write_answers::deleted(position),
        None => call.expected.check_absent().and_then(|()| Answer::empty(204)),
    }
}

fn to_answer(call: &Call<'_>, mailbox: &Mailbox, id: &str, photo: &Photo) -> Result<Answer, Error> {
    let context = format!("/$metadata#users('{}')/contacts('{id}')/photo/$entity", quoted(&mailbox.requested_owner));
    let json = PhotoJson { photo, context: &call.link(&context), annotated: call.annotated };
    Answer::json(200, &json)?.header("ETag", &photo.etag())
}

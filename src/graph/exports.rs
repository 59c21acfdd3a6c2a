//! `GET …/contacts/$export`: contacts as a file, from one snapshot, while the client reads it; and a single contact as
//! a file (docs/import-export.md, "Over HTTP").

use std::time::{Duration, Instant};

use actix_web::http::header;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::domain::contact::Contact;
use crate::domain::date;
use crate::domain::error::{Error, Kind};
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::contacts;
use crate::graph::json::contact::file::GraphFile;
use crate::http::answer::{Answer, Body};
use crate::http::compression;
use crate::odata::query::{self, Query};
use crate::store::Listing;
use crate::transfer::encode::ExportFormat;
use crate::transfer::export::{self, Export, ExportOutput, Photos};

/// Maximum number of pieces that wait for the client.
const QUEUE_LENGTH: usize = 4;
/// How long a client may keep the snapshot waiting: this time, plus the time that the bytes it has read take at the
/// minimum rate, in bytes per second.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
const MIN_RATE: u64 = 128 << 10;

/// `GET …/contacts/$export`, also of a folder.
pub(crate) async fn export(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let given = [
        ("$top", query.top.is_some()),
        ("$skip", query.skip.is_some()),
        ("$skiptoken", query.skip_token.is_some()),
        ("$count", query.count.is_some()),
        ("$select", query.select.is_some()),
        ("$expand", query.expand.is_some()),
    ];
    if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
        let message = format!("An export has all properties of all contacts that match: '{name}' does not apply.");
        return Err(Error::invalid(Kind::Query, *name, message));
    }
    let format = match &query.format {
        Some(name) => ExportFormat::parse(name).ok_or_else(|| {
            let names = ExportFormat::ALL.map(ExportFormat::name).join(", ");
            Error::invalid(Kind::Query, "format", format!("'format' must be one of {names}."))
        })?,
        None => accepted(call)?.unwrap_or(ExportFormat::VCard3),
    };
    let listing = contacts::listing(call, path, &query)?;
    let export = export_options(call, mailbox, format, listing)?;
    let (pieces, answer) = mpsc::channel(QUEUE_LENGTH);
    let (begin_sender, begin_result) = oneshot::channel();
    let store = mailbox.store.clone();
    actix_web::rt::spawn(async move {
        let mut sending = ExportSender {
            pieces: pieces.clone(),
            begin_sender: Some(begin_sender),
            sent_bytes: 0,
            waited: Duration::ZERO,
        };
        let done = export::run(&store, &export, &mut sending).await;
        let Err(error) = done.and_then(|_| sending.begin()) else { return };
        match sending.begin_sender.take() {
            Some(begin_sender) => drop(begin_sender.send(Err(error))),
            // The connection is broken, because the answer is incomplete.
            None => drop(pieces.send(Err(error)).await),
        }
    });
    begin_result.await.unwrap_or_else(|_| Err(Error::internal("the export ended without an answer")))?;
    let pieces = stream::unfold(answer, |mut answer| async { answer.recv().await.map(|piece| (piece, answer)) });
    let answer =
        with_file_headers(Answer { body: Some(Body::Stream(pieces.boxed_local())), ..Answer::empty(200)? }, format)?;
    compression::compress_stream(call.headers, answer)
}

/// A contact as a file, if the request's `Accept` prefers that.
pub(crate) async fn contact_as_file(
    call: &Call<'_>,
    mailbox: &Mailbox,
    contact: &Contact,
) -> Result<Option<Answer>, Error> {
    let Some(format) = preferred(call) else { return Ok(None) };
    let export = export_options(call, mailbox, format, Listing::default())?;
    let body = export::export_one(&mailbox.store, &export, contact.clone()).await?;
    let answer = Answer { body: Some(Body::Bytes(body)), ..Answer::empty(200)? };
    with_file_headers(answer.header("ETag", &contact.etag())?, format).map(Some)
}

/// The options of the file in the query string.
fn export_options(call: &Call<'_>, mailbox: &Mailbox, format: ExportFormat, listing: Listing) -> Result<Export, Error> {
    let refused = |name: &str, message: &str| Error::invalid(Kind::Query, name, message);
    let photos = match query::value_of(call.query, "photos").as_deref() {
        None | Some("all") => Photos::All,
        Some("small") => Photos::Small,
        Some("none") => Photos::None,
        Some(_) => return Err(refused("photos", "'photos' must be none, small or all.")),
    };
    let flag = |name: &str, default| match query::value_of(call.query, name).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(refused(name, &format!("'{name}' must be true or false."))),
    };
    let (guard, aside) = (flag("guard", true)?, flag("aside", false)?);
    let mailbox = mailbox.user.mailbox;
    let (latin, split) = (false, None);
    Ok(Export { mailbox, listing, format, photos, guard, aside, latin, split, graph: &GraphFile })
}

fn with_file_headers(answer: Answer, format: ExportFormat) -> Result<Answer, Error> {
    let today = date::print(clock::now());
    let name =
        format!("attachment; filename=\"contacts-{}.{}\"", today.get(..10).unwrap_or_default(), format.extension());
    answer.header("Content-Type", format.media_type())?.header("Content-Disposition", &name)?.header("Vary", "Accept")
}

/// Sends pieces to the client.
struct ExportSender {
    pieces: mpsc::Sender<Result<Vec<u8>, Error>>,
    /// Reports that the answer begins; taken then.
    begin_sender: Option<oneshot::Sender<Result<(), Error>>>,
    sent_bytes: u64,
    waited: Duration,
}

impl ExportSender {
    /// Begins the answer, once.
    fn begin(&mut self) -> Result<(), Error> {
        self.begin_sender.take().map_or(Ok(()), |begin_sender| begin_sender.send(Ok(())).map_err(|_| client_gone()))
    }
}

fn client_gone() -> Error {
    Error::unavailable("the client has gone")
}

impl ExportOutput for ExportSender {
    fn has_begun(&self) -> bool {
        self.begin_sender.is_none()
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.begin()?;
        let size = bytes.len() as u64;
        let allowed = SEND_TIMEOUT + Duration::from_millis(self.sent_bytes.saturating_mul(1_000) / MIN_RATE);
        let started = Instant::now();
        let sent = tokio::time::timeout(allowed.saturating_sub(self.waited), self.pieces.send(Ok(bytes))).await;
        self.waited += started.elapsed();
        self.sent_bytes += size;
        sent.map_err(|_| Error::unavailable("the client reads too slowly"))?.map_err(|_| client_gone())
    }

    async fn next_file(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The format that `Accept` prefers to JSON, if there is one.
fn preferred(call: &Call<'_>) -> Option<ExportFormat> {
    if call.handling() == crate::domain::handling::Handling::Strict {
        return None;
    }
    let best = best(&ranges(call), |range| match range {
        "application/json" | "application/*" | "*/*" => Some(None),
        range => ExportFormat::accepts(range).map(Some),
    });
    best.flatten()
}

/// The format of an export by `Accept`; `None` if any format is accepted.
///
/// # Errors
/// [`Error::NotAcceptable`]
fn accepted(call: &Call<'_>) -> Result<Option<ExportFormat>, Error> {
    let ranges = ranges(call);
    if ranges.is_empty() {
        return Ok(None);
    }
    let known = |range: &str| match range {
        "*/*" | "text/*" => Some(None),
        range => ExportFormat::accepts(range).map(Some),
    };
    best(&ranges, known).ok_or_else(|| {
        let types = ExportFormat::ALL.map(ExportFormat::media_type).join(", ");
        Error::NotAcceptable(format!("An export can be {types}; 'format' selects one too."))
    })
}

/// The ranges of an `Accept` (RFC 9110, section 12.5.1) with their weights, in lower case and without blanks.
fn ranges(call: &Call<'_>) -> Vec<(String, f32)> {
    let lines = call.headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let range = |text: &str| {
        let text = text.to_ascii_lowercase().replace([' ', '\t', '"'], "");
        let (range, weight) = text.split_once(";q=").unwrap_or((&text, "1"));
        let weight = weight.split(';').next().and_then(|weight| weight.parse().ok()).unwrap_or(0.0);
        (range.to_owned(), weight)
    };
    lines.flat_map(|line| line.split(',')).filter(|text| !text.trim().is_empty()).map(range).collect()
}

/// The meaning of the range with the greatest weight. Of several, the first that is not a wildcard.
fn best<T>(ranges: &[(String, f32)], known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut best: Option<(f32, bool, T)> = None;
    for (range, weight) in ranges {
        let Some(meaning) = known(range).filter(|_| *weight > 0.0) else { continue };
        let exact = !range.contains('*');
        let is_better = best.as_ref().is_none_or(|(other, is_exact, _)| (*weight, exact) > (*other, *is_exact));
        if is_better {
            best = Some((*weight, exact, meaning));
        }
    }
    best.map(|(.., meaning)| meaning)
}

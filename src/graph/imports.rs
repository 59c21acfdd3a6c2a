//! `POST …/contacts/$import`: a file of contacts, read as it arrives. The answer is NDJSON: a line for each record once
//! it is committed, and finally the counts (docs/import-export.md, "Over HTTP").

use std::io::{self, Read};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::Bytes;
use futures_util::future::{self, Either};
use futures_util::stream::{self, StreamExt as _};
use multer::Multipart;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::domain::error::{Error, Kind};
use crate::domain::import::{ImportProgress, Run};
use crate::formats::charset::encoding_named;
use crate::formats::csv::dates::DateOrder;
use crate::formats::detect::{ColumnMap, FileFormat, ReadOptions};
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::error;
use crate::graph::json::contact::file::GraphFile;
use crate::http::answer::{Answer, Body};
use crate::http::streamed::Streamed;
use crate::odata::query::{self, Query};
use crate::transfer::import::{self, ImportJob, ImportListener};
use crate::transfer::reading::{ReadRecord, ReadingSettings};

/// Maximum number of concurrent imports, because each has a thread, and of those into one mailbox. Others are refused.
const MAX_CONCURRENT: usize = 8;
const MAX_PER_MAILBOX: usize = 2;
/// Maximum number of waiting pieces of a body, and of an answer.
const QUEUE_LENGTH: usize = 8;

/// A running import, until this is dropped.
struct ImportPermit(Arc<Mutex<Vec<i64>>>, i64);

impl ImportPermit {
    /// # Errors
    /// [`Error::Busy`]
    fn acquire(permits: &Arc<Mutex<Vec<i64>>>, mailbox: i64) -> Result<Self, Error> {
        let mut running = permits.lock().unwrap_or_else(PoisonError::into_inner);
        let of_mailbox = running.iter().filter(|other| **other == mailbox).count();
        if running.len() >= MAX_CONCURRENT || of_mailbox >= MAX_PER_MAILBOX {
            return Err(Error::Busy);
        }
        running.push(mailbox);
        Ok(Self(Arc::clone(permits), mailbox))
    }
}

impl Drop for ImportPermit {
    fn drop(&mut self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = running.iter().position(|mailbox| *mailbox == self.1) {
            running.swap_remove(index);
        }
    }
}

/// A piece of the file on its way to the thread that reads it.
enum BodyPiece {
    Bytes(Bytes),
    End,
    Broken(Error),
}

/// `POST …/contacts/$import`, also of a folder.
pub(crate) async fn import(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    Query::check_format_only(call.query)?;
    let mut job = job(call)?;
    job.mailbox = mailbox.user.mailbox;
    if !path.is_empty() {
        job.folder = Some(mailbox.store.folder(job.mailbox, path).await?.id);
    }
    let body = call.take_stream()?;
    let boundary = boundary(&body)?;
    job.settings.is_gzip = body.is_gzip;
    if body.is_gzip && boundary.is_some() {
        let message = "A form cannot be compressed; the file in it can.";
        return Err(Error::UnsupportedMediaType(message.to_owned()));
    }
    let turn = ImportPermit::acquire(&call.api.importing, job.mailbox)?;
    let (pieces, file) = mpsc::channel(QUEUE_LENGTH);
    let (lines, answer) = mpsc::channel(QUEUE_LENGTH);
    let (begin_sender, begin_result) = oneshot::channel();
    let store = mailbox.store.clone();
    actix_web::rt::spawn(async move {
        let _turn = turn;
        let mut import_answer = ImportAnswer { lines: lines.clone(), begin_sender: Some(begin_sender) };
        let file = Box::new(File { pieces: file, rest: Bytes::new(), ended: false });
        let done = {
            let importing = pin!(import::run(&store, job, file, &mut import_answer));
            match future::select(importing, pin!(feed_all(body, boundary, pieces))).await {
                // The rest of the body is not needed, and may never come.
                Either::Left((done, _)) => done,
                Either::Right(((), importing)) => importing.await,
            }
        };
        let last = match (done, import_answer.begin_sender.take()) {
            // The answer has not begun, so it can still be an error.
            (Err(error), Some(begin_sender)) => return drop(begin_sender.send(Err(error))),
            (Err(error), None) => {
                let json_error = json!({"error": {"code": error::code(&error), "message": error::message(&error)}});
                let _ = lines.send(line(&json_error)).await;
                Err(error)
            }
            (Ok(totals), _) => line(&totals.json("")),
        };
        let _ = lines.send(last).await;
    });
    begin_result.await.unwrap_or_else(|_| Err(Error::internal("the import ended without an answer")))?;
    let pieces = stream::unfold(answer, |mut answer| async { answer.recv().await.map(|piece| (piece, answer)) });
    let answer = Answer { body: Some(Body::Stream(pieces.boxed_local())), ..Answer::empty(200)? };
    answer.header("Content-Type", "application/x-ndjson")
}

/// The options of the file in the query string.
fn job(call: &Call<'_>) -> Result<ImportJob, Error> {
    let option = |name| query::value_of(call.query, name);
    let refused = |name: &str, message: String| Error::invalid(Kind::Query, name, message);
    let mut options = ReadOptions::default();
    if let Some(name) = option("format") {
        let names = || FileFormat::NAMES.iter().map(|(_, names)| names[0]).collect::<Vec<_>>().join(", ");
        let unknown = || refused("format", format!("'format' must be one of {}.", names()));
        options.format = Some(FileFormat::parse(&name).ok_or_else(unknown)?);
    }
    if let Some(name) = option("dateOrder") {
        let unknown = || refused("dateOrder", "'dateOrder' must be dmy or mdy.".to_owned());
        options.date_order = Some(DateOrder::parse(&name).ok_or_else(unknown)?);
    }
    if let Some(name) = option("encoding") {
        let unknown = || refused("encoding", "'encoding' must be the name of a known character set.".to_owned());
        options.encoding = Some(encoding_named(&name).ok_or_else(unknown)?);
    }
    if let Some(entries) = option("map") {
        let mut map = ColumnMap::default();
        map.add(&entries).map_err(|message| refused("map", message))?;
        options.map = map;
    }
    let match_email = match option("match").as_deref() {
        None => false,
        Some("email") => true,
        Some(_) => return Err(refused("match", "'match' must be email.".to_owned())),
    };
    let dry_run = match option("dryRun").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(refused("dryRun", "'dryRun' must be true or false.".to_owned())),
    };
    let max = Some(call.api.settings.max_import);
    let settings = ReadingSettings { match_email, max, ..ReadingSettings::new(options, &GraphFile) };
    let name = format!("request {}", call.source().request);
    Ok(ImportJob { dry_run, ..ImportJob::new(0, name, settings) })
}

/// The boundary of a form.
fn boundary(body: &Streamed) -> Result<Option<String>, Error> {
    let declared = body.content_type.as_deref().unwrap_or_default();
    if !declared.get(..20).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data;"))
        && !declared.eq_ignore_ascii_case("multipart/form-data")
    {
        return Ok(None);
    }
    let message = "The form's Content-Type has no boundary.";
    multer::parse_boundary(declared).map(Some).map_err(|_| Error::UnsupportedMediaType(message.to_owned()))
}

fn line(value: &Value) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(value).map_err(Error::internal)?;
    line.push(b'\n');
    Ok(line)
}

/// Writes the answer to the client.
struct ImportAnswer {
    lines: mpsc::Sender<Result<Vec<u8>, Error>>,
    /// Reports that the answer begins; taken then.
    begin_sender: Option<oneshot::Sender<Result<(), Error>>>,
}

impl ImportListener for ImportAnswer {
    async fn begins(&mut self, _: Option<&Run>, _: Vec<u8>) -> Result<(), Error> {
        self.begin_sender.take().map_or(Ok(()), |begin_sender| begin_sender.send(Ok(())).map_err(|_| client_gone()))
    }

    async fn settled(&mut self, records: &[ReadRecord], _: ImportProgress) -> Result<(), Error> {
        let mut piece = Vec::new();
        for record in records {
            piece.extend(line(&record.line.json()?)?);
        }
        self.lines.send(Ok(piece)).await.map_err(|_| client_gone())
    }
}

fn client_gone() -> Error {
    Error::unavailable("the client has gone")
}

/// Passes a body to the thread that reads it. A body without `BodyPiece::End` was aborted.
async fn feed_all(mut body: Streamed, boundary: Option<String>, to: mpsc::Sender<BodyPiece>) {
    let result = match boundary {
        None => feed_body(&mut body, &to).await,
        Some(boundary) => feed_form(&mut body, boundary, &to).await,
    };
    let _ = to.send(result.map_or_else(BodyPiece::Broken, |()| BodyPiece::End)).await;
}

async fn feed_body(body: &mut Streamed, to: &mpsc::Sender<BodyPiece>) -> Result<(), Error> {
    while let Some(piece) = body.next().await? {
        to.send(BodyPiece::Bytes(piece)).await.map_err(|_| client_gone())?;
    }
    Ok(())
}

/// The file of a form, as browsers send it. Other fields are skipped; a second file is refused.
async fn feed_form(body: &mut Streamed, boundary: String, to: &mpsc::Sender<BodyPiece>) -> Result<(), Error> {
    let (pump, pieces) = mpsc::channel::<Result<Bytes, io::Error>>(1);
    let pieces = stream::unfold(pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) });
    let form = Multipart::new(pieces, boundary);
    let forwarding = async move {
        while let Some(piece) = body.next().await? {
            if pump.send(Ok(piece)).await.is_err() {
                break;
            }
        }
        Ok::<_, Error>(())
    };
    // The form is dropped when its last part is read: nothing waits for the data after it.
    let reading = async move {
        let mut form = form;
        let mut files = 0;
        while let Some(mut field) = form.next_field().await.map_err(|error| form_error(&error))? {
            if field.file_name().is_none() {
                continue;
            }
            files += 1;
            if files > 1 {
                return Err(Error::invalid(Kind::Request, "", "A form can have one file. The first was imported."));
            }
            while let Some(piece) = field.chunk().await.map_err(|error| form_error(&error))? {
                to.send(BodyPiece::Bytes(piece)).await.map_err(|_| client_gone())?;
            }
        }
        if files == 0 {
            return Err(Error::invalid(Kind::Request, "", "The form has no file."));
        }
        Ok(())
    };
    let (forwarding, reading) = futures_util::join!(forwarding, reading);
    // An aborted body also aborts the form.
    forwarding.and(reading)
}

fn form_error(error: &multer::Error) -> Error {
    Error::invalid(Kind::Request, "", format!("The form cannot be read: {error}."))
}

/// The file, as the thread reads it.
struct File {
    pieces: mpsc::Receiver<BodyPiece>,
    rest: Bytes,
    ended: bool,
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(BodyPiece::Bytes(piece)) => self.rest = piece,
                Some(BodyPiece::End) => self.ended = true,
                Some(BodyPiece::Broken(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::other(client_gone())),
            }
        }
        let read = self.rest.len().min(buffer.len());
        let piece = self.rest.split_to(read);
        buffer[..read].copy_from_slice(&piece);
        Ok(read)
    }
}

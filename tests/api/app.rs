//! The API on a new database, and clients of it. Tests spell out path and body.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use contactd::FrontEndSettings;
use contactd::http::authenticate::Access;
use contactd::http::{Api, Settings};
use contactd::notify::{self, Notifier};
use contactd::store::{Database, Options, Store, Verify, check};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::contract;
use crate::postgres::{PATIENCE, Postgres, Schema};

/// The seed page's request body, byte for byte.
pub const SEED_REQUEST: &str = include_str!("../seed/request.json");
/// The seed page's response body.
pub const SEED_RESPONSE: &str = include_str!("../seed/response.json");

/// The type of a JSON answer under `/v1.0`; elsewhere it is `application/json`.
pub const V1_JSON: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// The settings of a test server that differ from the defaults.
#[derive(Default)]
pub struct Setup {
    pub settings: Settings,
    pub front_ends: FrontEndSettings,
    pub notify: notify::NotifierSettings,
    pub options: Options,
    pub access: Option<Access>,
    pub place: Place,
    pub prefix: &'static str,
    /// With the control plane for tests.
    pub controlled: bool,
}

/// The kind of database that a test uses.
#[derive(Default)]
pub enum Place {
    /// On the engine of this test run.
    #[default]
    New,
    /// In a SQLite file, on every test run.
    File,
    /// In a schema of a PostgreSQL server, on every test run.
    Postgres(Schema),
    /// `:memory:`
    Temporary,
    /// The database of an earlier server.
    Kept(Data),
}

/// The location of a server's data, which is kept until the test ends.
pub enum Data {
    Folder(TempDir),
    Schema(Schema),
}

impl Data {
    fn new() -> Self {
        match std::env::var("TEST_ENGINE").as_deref() {
            Ok("postgres") => Self::Schema(Postgres::shared().schema()),
            Ok(other) => panic!("TEST_ENGINE={other}: expected postgres, or nothing for SQLite"),
            Err(_) => Self::Folder(tempfile::tempdir().unwrap()),
        }
    }

    fn file(folder: &TempDir) -> PathBuf {
        folder.path().join("contacts.db")
    }
}

/// A running server; it stops when dropped.
pub struct TestApp {
    pub address: String,
    /// `None` after another server has taken it over.
    data: Option<Data>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    is_controlled: bool,
}

/// Opens a store. On a busy machine PostgreSQL may refuse connections for longer than the program waits.
async fn opened(database: &Database, options: &Options) -> Store {
    let started = Instant::now();
    loop {
        match Store::open(database, options.clone()).await {
            Ok(store) => return store,
            Err(error) if error.to_string().contains("let us in") && started.elapsed() < PATIENCE => {}
            Err(error) => panic!("{error}"),
        }
    }
}

impl TestApp {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let temporary = matches!(setup.place, Place::Temporary);
        let data = match setup.place {
            Place::New => Data::new(),
            Place::File | Place::Temporary => Data::Folder(tempfile::tempdir().unwrap()),
            Place::Postgres(schema) => Data::Schema(schema),
            Place::Kept(data) => data,
        };
        let database = match &data {
            Data::Folder(_) if temporary => Database::Temporary,
            Data::Folder(folder) => Database::File(Data::file(folder)),
            Data::Schema(schema) => schema.url.parse().unwrap(),
        };
        let is_controlled = setup.controlled;
        let (started, start) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let store = opened(&database, &setup.options).await;
                let access = setup.access.unwrap_or_else(Access::development);
                let notifier = Notifier::new(setup.notify).unwrap();
                let settings = Settings { notifier: Some(notifier.clone()), ..setup.settings };
                let api = if setup.controlled {
                    Api::for_tests(store.clone(), settings, setup.front_ends)
                } else {
                    Api::with(store.clone(), access, settings, setup.front_ends)
                };
                let server = HttpServer::new(move || App::new().service(api.service(setup.prefix)))
                    .workers(2)
                    .disable_signals()
                    .shutdown_timeout(1)
                    .bind("127.0.0.1:0")
                    .unwrap();
                let address = server.addrs()[0].to_string();
                let server = server.run();
                started.send((address, server.handle())).unwrap();
                let (delivering, stop) = oneshot::channel();
                let deliverer = store.clone();
                let deliverer = actix_web::rt::spawn(async move { notifier.deliver(&deliverer, stop).await });
                server.await.unwrap();
                drop(delivering);
                deliverer.await.unwrap();
                store.close().await;
            });
        });
        let (address, handle) = start.recv().unwrap();
        Self { address, data: Some(data), handle, thread: Some(thread), is_controlled }
    }

    fn database(&self) -> Database {
        match self.data.as_ref().unwrap() {
            Data::Folder(folder) => Database::File(Data::file(folder)),
            Data::Schema(schema) => schema.url.parse().unwrap(),
        }
    }

    /// The faults of the database, as `contactd check` finds them.
    pub fn faults(&self) -> Vec<String> {
        let database = self.database();
        actix_web::rt::System::new().block_on(async move { check(&database, Verify::Full).await.unwrap() })
    }

    /// Runs `work` on the same database, as another process would.
    pub fn beside<T>(&self, work: impl AsyncFnOnce(&Store) -> T) -> T {
        let database = self.database();
        actix_web::rt::System::new().block_on(async move {
            let store = opened(&database, &Options::default()).await;
            let done = work(&store).await;
            store.close().await;
            done
        })
    }

    /// Runs SQL on the server's database. Returns one line per row, with `|` between the columns.
    pub fn sql(&self, sql: &str) -> String {
        match self.data.as_ref().unwrap() {
            Data::Schema(schema) => schema.query(sql),
            Data::Folder(folder) => sqlite(&Data::file(folder), sql),
        }
    }

    /// Whether the data is in a file.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.data, Some(Data::Folder(_)))
    }

    /// Returns one number from the database.
    pub fn count(&self, sql: &str) -> i64 {
        self.sql(sql).parse().unwrap()
    }

    /// Restarts the server on the same database.
    pub fn restarted(self) -> Self {
        self.restarted_with(Setup::default())
    }

    /// Restarts the server on the same database with other settings.
    pub fn restarted_with(mut self, setup: Setup) -> Self {
        self.stop();
        let data = self.data.take().unwrap();
        Self::with(Setup { place: Place::Kept(data), ..setup })
    }

    pub fn user(&self, token: &str) -> Client {
        let client = Client::new(&self.address, token);
        // With the control plane, a test can set answers that no document describes.
        if self.is_controlled { client.unchecked() } else { client }
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The command is sent when `stop` is called; the future only waits.
            drop(self.handle.stop(true));
            thread.join().unwrap();
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs SQL on a SQLite file that a server may have open.
fn sqlite(file: &Path, sql: &str) -> String {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_mins(1)).unwrap();
    if !sql.trim_start().starts_with("select") {
        connection.execute_batch(sql).unwrap();
        return String::new();
    }
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let text = |column| match row.get_ref_unwrap(column) {
            rusqlite::types::ValueRef::Null => String::new(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => other.as_str().unwrap().to_owned(),
        };
        Ok((0..columns).map(text).collect::<Vec<_>>().join("|"))
    };
    let rows: Vec<String> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
    rows.join("\n")
}

/// A client with a token and headers that it always sends.
#[derive(Clone)]
pub struct Client {
    address: String,
    headers: Vec<(String, String)>,
    agent: ureq::Agent,
    /// Whether answers must match the OpenAPI documents.
    is_checked: bool,
}

impl Client {
    pub fn new(address: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        let client = Self { address: address.to_owned(), headers: Vec::new(), agent: config.into(), is_checked: true };
        if token.is_empty() { client } else { client.with("Authorization", &format!("Bearer {token}")) }
    }

    /// The same client with one more header.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same client without the check against the OpenAPI documents, for other servers and for faults that a test sets.
    pub fn unchecked(&self) -> Self {
        Self { is_checked: false, ..self.clone() }
    }

    /// The same client of another server.
    pub fn at(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.send("POST", path, Some(body.to_string().into_bytes()))
    }

    pub fn patch(&self, path: &str, body: impl ToString) -> Answer {
        self.send("PATCH", path, Some(body.to_string().into_bytes()))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None)
    }

    /// Sends any method and bytes. The body is JSON unless the client has another `Content-Type`.
    pub fn send(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Answer {
        self.try_send(method, path, body).unwrap()
    }

    /// As [`Client::send`], for a server that may be unreachable.
    pub fn try_send(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Answer, ureq::Error> {
        let path = path.strip_prefix(&format!("http://{}", self.address)).unwrap_or(path);
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let response = match body {
            None => self.agent.run(request.body(()).unwrap())?,
            Some(body) => {
                if !typed {
                    request = request.header("Content-Type", "application/json");
                }
                self.agent.run(request.body(body).unwrap())?
            }
        };
        let (parts, mut body) = response.into_parts();
        let body = body.with_config().limit(64 << 20).read_to_vec()?;
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
        if self.is_checked {
            contract::check(method, path, &answer);
        }
        Ok(answer)
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Asserts the status and returns the body, which must be JSON.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert!(["application/json", V1_JSON].contains(&self.header("content-type").as_str()));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Asserts the status and that the body is empty.
    #[track_caller]
    pub fn empty(&self, status: u16) -> &Self {
        assert_eq!((self.status, String::from_utf8_lossy(&self.body).as_ref()), (status, ""));
        self
    }

    /// Asserts what all errors of Graph have in common, and returns `(status, code, target)`.
    #[track_caller]
    pub fn error(&self) -> (u16, String, String) {
        let body = self.json(self.status);
        let error = &body["error"];
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        let inner = &error["innerError"];
        assert_eq!(inner["request-id"], self.header("request-id"), "{body}");
        assert_eq!(inner["client-request-id"], self.header("client-request-id"), "{body}");
        let date = inner["date"].as_str().unwrap();
        assert!(chrono::NaiveDateTime::parse_from_str(date, "%Y-%m-%dT%H:%M:%S").is_ok(), "{body}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (self.status, text(&error["code"]), text(&error["target"]))
    }

    /// The message of an error.
    pub fn message(&self) -> String {
        self.json(self.status)["error"]["message"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The id of the contact that was answered.
    #[track_caller]
    pub fn id(&self) -> String {
        self.json(self.status)["id"].as_str().unwrap().to_owned()
    }
}

//! A server for the tests of Rust programs that use contacts of Microsoft Graph: it starts in the test's own process,
//! on a free port, with no data, and ends when it is dropped. No built program and no network are needed.
//!
//! ```
//! use contactd::testing::Server;
//! use serde_json::json;
//!
//! let server = Server::start();
//! // Every name is a user with a mailbox of their own: use a new name in each test.
//! let ann = server.user("ann");
//! ann.fault(json!({"match": {"method": "POST"}, "answer": {"status": 429, "retryAfter": 0}}));
//! let create = || ann.call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"}))).status;
//! assert_eq!((create(), create()), (429, 201));
//! let statuses: Vec<_> = ann.requests().iter().map(|request| request["status"].clone()).collect();
//! assert_eq!(statuses, [429, 201]);
//! ```
//!
//! The program under test is given `ann.base_url` and `ann.token`. docs/testing.md describes the calls of
//! [`Server::control`].
//!
//! The methods wait for their answer. They panic if a test cannot continue: if a server does not start, or if the
//! control plane refuses a call. They can also be used in an asynchronous test, since the server has threads of its
//! own.

mod exchange;
mod golden;

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::percent::percent_encode;
pub use crate::testing::exchange::Response;
use crate::testkit::RunningServer;

/// How long a program may take to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two checks.
const POLL: Duration = Duration::from_millis(5);
/// Maximum number of requests that the journal returns at once.
const PAGE: usize = 1_000;

/// Ends a test that cannot continue, with a panic at the caller's line.
#[track_caller]
#[expect(clippy::panic, reason = "a test ends with a panic")]
fn fail(why: &str) -> ! {
    panic!("contactd: {why}")
}

/// A server with a temporary store. It ends when this is dropped.
pub struct Server {
    /// Scheme, host and port.
    pub url: String,
    _inside: Option<RunningServer>,
    _program: Option<Program>,
}

impl Server {
    /// Starts a server in this process, with a clock of its own.
    ///
    /// # Panics
    /// If the server does not start.
    #[track_caller]
    pub fn start() -> Self {
        Self::inside(false)
    }

    #[track_caller]
    fn inside(is_deterministic: bool) -> Self {
        match RunningServer::start(is_deterministic) {
            Ok(running) => {
                let url = format!("http://{}", running.address);
                Self { url, _inside: Some(running), _program: None }
            }
            Err(why) => fail(&why),
        }
    }

    /// Starts a server in this process with its clock frozen at 2026-01-01T00:00:00Z, whose answers are reproducible:
    /// the same calls of one user have the same answers.
    ///
    /// # Panics
    /// If the server does not start.
    #[track_caller]
    pub fn deterministic() -> Self {
        Self::inside(true)
    }

    /// Starts the program, which is a path or a name on `PATH`, with further flags of `contactd serve`. It has a clock
    /// of its own, and ends with this process, however that ends.
    ///
    /// # Panics
    /// If the program is not found or does not start.
    #[track_caller]
    pub fn of_program(program: impl AsRef<OsStr>, flags: &[&str]) -> Self {
        match Program::start(program.as_ref(), flags) {
            Ok((program, url)) => Self { url, _inside: None, _program: Some(program) },
            Err(why) => fail(&why),
        }
    }

    /// The address of Graph's v1.0.
    pub fn base_url(&self) -> String {
        format!("{}/v1.0", self.url)
    }

    /// A user, who needs no preparation.
    pub fn user(&self, name: &str) -> TestUser<'_> {
        TestUser { server: self, name: name.to_owned(), token: name.to_owned(), base_url: self.base_url() }
    }

    /// A call to the control plane, to a path below `/_contactd`. `Value::Null` is an answer without a body.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    pub fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/_contactd{path}", self.url);
        match exchange::send(method, &url, &[], body) {
            Ok(answer) if answer.status < 400 && answer.body.is_empty() => Value::Null,
            Ok(answer) if answer.status < 400 => answer.json(),
            Ok(answer) => fail(&format!("{method} {path}: {} {}", answer.status, answer.text())),
            Err(error) => fail(&format!("{method} {path}: {error}")),
        }
    }

    /// Injects a fault, as docs/testing.md describes. Returns the fault with its `id`.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "it is written where it is passed")]
    pub fn fault(&self, fault: Value) -> Value {
        self.control("POST", "/faults", Some(&fault))
    }

    /// The requests in the journal, of all users, the first 1,000 of them.
    ///
    /// # Panics
    /// If the server cannot be reached.
    #[track_caller]
    pub fn requests(&self) -> Vec<Value> {
        values(self.control("GET", &format!("/requests?top={PAGE}"), None))
    }

    /// Resets the server to its initial state, for all users.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    pub fn reset(&self) {
        self.control("POST", "/reset", None);
    }

    /// The clock: `mode`, `now` and `tick`.
    ///
    /// # Panics
    /// If the server cannot be reached.
    #[track_caller]
    pub fn clock(&self) -> Value {
        self.control("GET", "/clock", None)
    }

    /// Freezes the clock at a time like `2026-01-01T00:00:00Z`.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    pub fn freeze(&self, now: &str) {
        self.control("PUT", "/clock", Some(&json!({"mode": "frozen", "now": now})));
    }

    /// Advances a frozen clock by a duration like `P31D`. Returns the numbers of the things that became due and are
    /// done.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    pub fn advance(&self, by: &str) -> Value {
        self.control("POST", "/clock/advance", Some(&json!({"by": by})))["done"].take()
    }

    /// Waits until every notification that is due was sent or has failed once.
    ///
    /// # Panics
    /// If that takes longer than 30 seconds.
    #[track_caller]
    pub fn settle(&self) {
        self.control("POST", "/settle", None);
    }

    /// A receiver of notifications inside the server.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    pub fn inbox(&self, name: &str) -> Inbox<'_> {
        let path = format!("/inboxes/{}", percent_encode(name));
        let made = self.control("POST", &path, None);
        Inbox { server: self, path, url: made["notificationUrl"].as_str().unwrap_or_default().to_owned() }
    }
}

/// The members of a list.
fn values(mut list: Value) -> Vec<Value> {
    match list["value"].take() {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

/// A user of a server, with a mailbox of their own.
pub struct TestUser<'s> {
    server: &'s Server,
    /// The name.
    pub name: String,
    /// The bearer token that the program under test sends.
    pub token: String,
    /// The address of Graph's v1.0.
    pub base_url: String,
}

impl TestUser<'_> {
    /// Sends a request as this user, to a path below v1.0 or to a link.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        match self.try_call(method, path, body, &[]) {
            Ok(answer) => answer,
            Err(error) => fail(&format!("{method} {path}: {error}")),
        }
    }

    /// The same with headers, for tests in which a fault may suppress the answer.
    ///
    /// # Errors
    /// There is no answer, or it is incomplete.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> std::io::Result<Response> {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base_url) };
        let bearer = format!("Bearer {}", self.token);
        exchange::send(method, &url, &[&[("Authorization", bearer.as_str())], headers].concat(), body)
    }

    /// Injects a fault into requests of this user.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    pub fn fault(&self, mut fault: Value) -> Value {
        fault["match"]["user"] = self.name.clone().into();
        self.server.fault(fault)
    }

    /// Deletes the faults of this user.
    ///
    /// # Panics
    /// If the server cannot be reached.
    #[track_caller]
    pub fn clear_faults(&self) {
        self.server.control("DELETE", &format!("/faults?user={}", percent_encode(&self.name)), None);
    }

    /// This user's requests in the journal, the first 1,000 of them.
    ///
    /// # Panics
    /// If the server cannot be reached.
    #[track_caller]
    pub fn requests(&self) -> Vec<Value> {
        let path = format!("/requests?user={}&top={PAGE}", percent_encode(&self.name));
        values(self.server.control("GET", &path, None))
    }

    /// Replaces the contents of this user's mailbox by a copy of another mailbox.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    pub fn copy_of(&self, template: &str) {
        let path = format!("/users/{}/copy", percent_encode(&self.name));
        self.server.control("POST", &path, Some(&json!({"from": template, "replace": true})));
    }

    /// Compares this user's requests and their answers with a file. With `UPDATE_GOLDEN=1` in the environment the file
    /// is written. It needs a server of [`Server::deterministic`], whose answers are the same in each run.
    ///
    /// # Panics
    /// If they differ, or the file is missing or cannot be written.
    #[track_caller]
    pub fn assert_golden(&self, file: impl AsRef<Path>) {
        if let Err(why) = golden::compare(self.requests(), &self.server.url, file.as_ref()) {
            fail(&why);
        }
    }
}

/// A receiver of notifications inside the server.
pub struct Inbox<'s> {
    server: &'s Server,
    path: String,
    /// The `notificationUrl` for subscriptions.
    pub url: String,
}

impl Inbox<'_> {
    /// The received notifications, after all that are due were sent. Each has its `body`.
    ///
    /// # Panics
    /// If the server cannot be reached.
    #[track_caller]
    pub fn posts(&self) -> Vec<Value> {
        self.server.settle();
        values(self.server.control("GET", &self.path, None))
    }

    /// Sets how it answers from now on: `{"answers": [{"status": 503}]}` refuses the next notification.
    ///
    /// # Panics
    /// If the server refuses the call.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "it is written where it is passed")]
    pub fn answers(&self, how: Value) {
        self.server.control("POST", &self.path, Some(&how));
    }

    /// Removes the received notifications.
    ///
    /// # Panics
    /// If the server cannot be reached.
    #[track_caller]
    pub fn clear(&self) {
        self.server.control("DELETE", &self.path, None);
    }
}

/// The program in a process of its own.
struct Program(Child);

impl Program {
    fn start(program: &OsStr, flags: &[&str]) -> Result<(Self, String), String> {
        let mut command = Command::new(program);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:", "--stop-with-stdin"]);
        command.args(["--handling", "strict"]).args(flags);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CONTACTD_")) {
            command.env_remove(name);
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = Self(child.map_err(|error| format!("{}: {error}", program.to_string_lossy()))?);
        let mut stderr = child.0.stderr.take().map(BufReader::new).ok_or("it has no standard error")?;
        let mut output = String::new();
        loop {
            let mut line = String::new();
            if stderr.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
                return Err(format!("it did not start: {output}"));
            }
            if let Some(url) = line.strip_prefix("contactd listening on ") {
                let url = url.trim().to_owned();
                // Its log is passed on, so that the pipe never fills up.
                thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| eprintln!("{line}")));
                return Ok((child, url));
            }
            output.push_str(&line);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        for _ in 0..EXIT_TIMEOUT.as_millis() / POLL.as_millis() {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

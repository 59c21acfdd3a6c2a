//! The real program, started as its users start it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::app::Client;

/// A command of the program, without the caller's environment variables.
pub fn contactd(arguments: &[&str]) -> Command {
    of_program(Path::new(env!("CARGO_BIN_EXE_contactd")), arguments)
}

/// As [`contactd`], for a copy of the program elsewhere.
pub fn of_program(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CONTACTD_")) {
        command.env_remove(name);
    }
    command
}

/// `serve --dev` on a free port and a database.
pub fn serve_dev(database: &Path) -> Command {
    contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", database.to_str().unwrap()])
}

/// A temporary folder for the files of a database.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.file("contacts.db")
    }
}

/// A running server; killed when dropped.
pub struct Program {
    pub child: Child,
    pub address: String,
    /// Scheme and address, as announced by the server.
    pub origin: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts a server and waits for the line that says it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let origin = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended: {}", log.lock().unwrap());
            log.lock().unwrap().push_str(&line);
            if let Some(origin) = line.strip_prefix("contactd listening on ") {
                break origin.trim().to_owned();
            }
        };
        let address = origin.split_once("://").map_or(origin.as_str(), |(_, address)| address).to_owned();
        let tail = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
                tail.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        Self { child, address, origin, log, reader: Some(reader) }
    }

    /// A server that already runs, and whose log is not captured.
    pub fn of(child: Child, address: String) -> Self {
        let origin = format!("http://{address}");
        Self { child, address, origin, log: Arc::default(), reader: None }
    }

    pub fn user(&self, token: &str) -> Client {
        Client::new(&self.address, token)
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end of the process, at most this long.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let status = wait(&mut self.child, within);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Its standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(child: &mut Child, within: Duration) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < within, "still running after {within:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command that must end by itself. Returns its exit code and standard error.
pub fn fails(mut command: Command) -> (i32, String) {
    let mut child = command.spawn().unwrap();
    let status = wait(&mut child, Duration::from_mins(2));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (status.code().unwrap(), text)
}

//! Signals that the server is ready, and the signals that end it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::{fs, io, thread};

use tempfile::NamedTempFile;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::oneshot;

use crate::permission;

/// A signal that this process received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Terminate,
    Interrupt,
    Quit,
    Hangup,
}

/// The signals that stop the server, SIGHUP, which does not, and the end of standard input if that stops it too.
pub(crate) struct Stop {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hangup: unix::Signal,
    input: Option<oneshot::Receiver<()>>,
    on_hangup: Box<dyn Fn()>,
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// Errors of the system.
    pub(crate) fn listen(with_input: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            input: if with_input { Some(end_of_input()?) } else { None },
            on_hangup: Box::new(|| {}),
        })
    }

    /// Sets the action for SIGHUP. It never stops the server: it may come from a closed terminal.
    pub(crate) fn on_hangup(&mut self, work: impl Fn() + 'static) {
        self.on_hangup = Box::new(work);
    }

    /// Waits until something stops the server. Certificates are reloaded without SIGHUP.
    pub(crate) async fn wait(&mut self) {
        loop {
            match self.next().await {
                Some(Signal::Hangup) => (self.on_hangup)(),
                _ => return,
            }
        }
    }

    /// The next signal; `None` at the end of the input.
    pub(crate) async fn next(&mut self) -> Option<Signal> {
        let input = async {
            match &mut self.input {
                Some(input) => drop(input.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Some(Signal::Terminate),
            _ = self.interrupt.recv() => Some(Signal::Interrupt),
            _ = self.quit.recv() => Some(Signal::Quit),
            _ = self.hangup.recv() => Some(Signal::Hangup),
            () = input => None,
        }
    }
}

/// Waits in a thread of its own, because a read of the standard input cannot be cancelled. The thread ends with the
/// process.
fn end_of_input() -> io::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let read = move || {
        let (mut input, mut unused) = (io::stdin().lock(), [0; 512]);
        // An input that cannot be read counts as ended.
        while input.read(&mut unused).is_ok_and(|read| read > 0) {}
        let _ = ended.send(());
    };
    thread::Builder::new().name("input".to_owned()).spawn(read)?;
    Ok(end)
}

/// The file of `--ready-file`. Dropping this removes it.
pub(crate) struct ReadyFile {
    path: PathBuf,
    /// The file under its temporary name.
    new: Option<NamedTempFile>,
}

impl ReadyFile {
    /// Removes the file of an earlier run, so that it is not mistaken for this run's, and checks that the file can be
    /// written.
    ///
    /// # Errors
    /// One line.
    pub(crate) fn prepare(path: &Path) -> Result<Self, String> {
        let failed = |error: &io::Error| format!("--ready-file {}", permission::reason(path, error));
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let new = tempfile::Builder::new().prefix(".contactd-ready-").tempfile_in(folder);
        Ok(Self { path: path.to_owned(), new: Some(new.map_err(|error| failed(&error))?) })
    }

    /// Writes the file. It is complete when it appears.
    ///
    /// # Errors
    /// One line.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), String> {
        let Some(mut new) = self.new.take() else { return Ok(()) };
        let failed = |error: &io::Error| format!("--ready-file {}", permission::reason(&self.path, error));
        new.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
        new.persist(&self.path).map(drop).map_err(|error| failed(&error.error))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if self.new.is_none() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

//! The log: its format, its level, which can change while the server runs, and the priorities that journald reads.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use tracing::{Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::output::is_journal;
use crate::cli::serve_options::{LogFormat, LogLevel};
use crate::http::Strangers;

/// Maximum number of log lines that wait to be written: about a second of a busy server. The queue takes 32 bytes for each
/// from the start.
const MAX_LOG_LINES: usize = 8_192;

/// The running log. Dropping it writes the rest.
pub(crate) struct RunningLog {
    _worker: WorkerGuard,
    set: Arc<dyn Fn(Targets) + Send + Sync>,
}

/// Starts the log. A separate thread writes the lines, and drops some if it cannot keep up.
pub(crate) fn start(format: LogFormat, level: LogLevel) -> RunningLog {
    let terminal = io::stderr().is_terminal();
    let queue = NonBlockingBuilder::default().buffered_lines_limit(MAX_LOG_LINES);
    let (writer, worker) = queue.finish(io::stderr());
    let is_text = format == LogFormat::Text || format == LogFormat::Auto && terminal;
    // systemd reads a priority in front of a line of text.
    let writer = Prioritized { writer, with_priorities: is_text && is_journal() };
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(writer)
        .with_ansi(terminal)
        // They would go to standard error, which has just failed.
        .log_internal_errors(false);
    let set = if is_text { init(log.finish(), level) } else { init(log.json().flatten_event(true).finish(), level) };
    RunningLog { _worker: worker, set }
}

fn init<S>(log: S, level: LogLevel) -> Arc<dyn Fn(Targets) + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(level));
    // The log of an embedding program, set up before, stays.
    let _ = log.with(Strangers).with(filter).try_init();
    Arc::new(move |filter| drop(handle.reload(filter)))
}

/// The log targets of a level.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // The framework's messages about its workers matter only for debugging.
    let framework = if level == LevelFilter::DEBUG { level } else { level.min(LevelFilter::WARN) };
    Targets::new().with_default(level).with_target("actix_server", framework)
}

impl RunningLog {
    /// Changes the level from now on.
    pub(crate) fn setter(&self) -> impl Fn(LogLevel) + Send + Sync + use<> {
        let set = Arc::clone(&self.set);
        move |level| set(targets(level))
    }
}

/// Writes lines, each with its priority in front (`<4>`) where journald reads it.
struct Prioritized {
    writer: NonBlocking,
    with_priorities: bool,
}

impl<'a> MakeWriter<'a> for Prioritized {
    type Writer = PrioritizedLine;

    fn make_writer(&'a self) -> PrioritizedLine {
        PrioritizedLine { writer: self.writer.clone(), priority: "" }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> PrioritizedLine {
        let priority = match *metadata.level() {
            _ if !self.with_priorities => "",
            Level::ERROR => "<3>",
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            Level::DEBUG | Level::TRACE => "<7>",
        };
        PrioritizedLine { writer: self.writer.clone(), priority }
    }
}

/// A line's writer.
struct PrioritizedLine {
    writer: NonBlocking,
    priority: &'static str,
}

impl Write for PrioritizedLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.priority.is_empty() {
            return self.writer.write(bytes);
        }
        // The writer takes a line as a whole.
        let prioritized = [std::mem::take(&mut self.priority).as_bytes(), bytes].concat();
        self.writer.write_all(&prioritized)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

//! `contactd exec`: runs a command with a server of its own, and ends with its status.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use clap::{Arg, Args};
use rustix::process::{self, Pid};
use rustix::termios;
use tokio::process::{Child, Command};

use crate::cli::lifetime::{Signal, Stop};
use crate::cli::output::Failure;
use crate::cli::serve::{self, Ready};
use crate::cli::serve_options::ServeArgs;

/// Options of `contactd exec`.
#[derive(Debug, Args)]
#[command(after_help = "\
The server has --dev, listens on a free port and keeps its data in a temporary database, unless flags say otherwise. The \
variable CONTACTD_URL tells the command the server's address, and CONTACTD_CONTROL_URL that of the control plane for tests. \
With --tls, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS and REQUESTS_CA_BUNDLE name the development certificate authority. Signals are \
passed on to the command. The exit status is the command's; 128 plus the number of the signal that ended the command; 127 if \
the command was not found; 126 if it cannot be run.")]
pub struct ExecArgs {
    /// The server.
    #[command(flatten)]
    serve: ServeArgs,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Makes a free port the default. The variable for `serve` must not move a test's server to the port of another server.
pub(crate) fn free_port(argument: Arg) -> Arg {
    argument.env(None).default_value("127.0.0.1:0")
}

/// Makes a temporary database the default. The variable for `serve` must not give a test somebody's real contacts.
pub(crate) fn temporary(argument: Arg) -> Arg {
    argument.env(None).default_value(":memory:")
}

/// Runs the command.
///
/// # Errors
/// One line that says why the server cannot start, or ended before the command.
pub async fn run(ExecArgs { mut serve, command }: ExecArgs) -> Result<ExitCode, Failure> {
    if serve.stop_with_stdin {
        return Err("--stop-with-stdin: with `contactd exec` the standard input is the command's".into());
    }
    serve.dev = true;
    let status = serve::run_until(serve, async move |ready, stop| run_command(command, ready, stop).await).await?;
    let status = status.ok_or("the server ended before the command")?;
    Ok(match status {
        Ok(status) => ExitCode::from(code(status)),
        Err((why, code)) => {
            let _ = writeln!(io::stderr(), "contactd: {why}");
            ExitCode::from(code)
        }
    })
}

/// The exit status as shells report it.
fn code(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(number).unwrap_or(1)
}

/// Runs the command. If it cannot run, says why, with the status of shells for that.
async fn run_command(words: Vec<OsString>, ready: Ready, stop: &mut Stop) -> Result<ExitStatus, (String, u8)> {
    let Some((program, arguments)) = words.split_first() else { return Err(("no command".to_owned(), 127)) };
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.env("CONTACTD_URL", &ready.url).env("CONTACTD_CONTROL_URL", format!("{}/_contactd", ready.url));
    for variable in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"] {
        command.envs(ready.authority.iter().map(|authority| (variable, authority)));
    }
    let failed = |error: io::Error| {
        let code = if error.kind() == ErrorKind::NotFound { 127 } else { 126 };
        (format!("{}: {error}", program.to_string_lossy()), code)
    };
    let mut child = command.spawn().map_err(failed)?;
    loop {
        tokio::select! {
            status = child.wait() => return status.map_err(|error| (error.to_string(), 1)),
            signal = stop.next() => pass_on(signal, &child),
        }
    }
}

/// Sends a signal to the command. The terminal sends the signals of its keys to all foreground processes, also to the
/// command, which must not be interrupted twice.
fn pass_on(signal: Option<Signal>, child: &Child) {
    let (signal, is_key) = match signal {
        Some(Signal::Terminate) | None => (process::Signal::TERM, false),
        Some(Signal::Hangup) => (process::Signal::HUP, false),
        Some(Signal::Interrupt) => (process::Signal::INT, true),
        Some(Signal::Quit) => (process::Signal::QUIT, true),
    };
    let is_foreground = || termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == process::getpgrp());
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| !is_key || !is_foreground()) {
        // It may have ended just now.
        let _ = process::kill_process(pid, signal);
    }
}

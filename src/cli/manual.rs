//! `contactd man` and `contactd completions`, generated from the definition of the command line.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::config::Cli;
use crate::permission;

/// Options of `contactd man`.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// Folder for the pages, one for each command; without it the page of contactd itself is printed
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Options of `contactd completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Exit statuses of all commands.
pub const STATUSES: [(&str, &str); 7] = [
    ("0", "Success. For health: the server is healthy. For check: no faults."),
    ("1", "Rejected or failed; the reason is on standard error. For health: the server is not healthy."),
    ("2", "Wrong usage, or a file of settings that cannot be used. For health: the server could not be reached."),
    ("3", "The data has faults. For check: the faults are printed. For backup and restore: nothing was changed."),
    ("75", "The database is in use by another contactd: the same command may succeed later."),
    ("126, 127", "exec: the command cannot be run, or was not found."),
    ("128 + N", "exec: signal N ended the command. Any other status of exec is the command's."),
];

const ENVIRONMENT: [&str; 4] = [
    "Each option of contactd serve is also a variable: CONTACTD_ and its name in capitals, with _ for -.",
    "CONTACTD_TOKENS has users and tokens: name=secret,name=secret. CONTACTD_TOKENS_FILE and CONTACTD_DATABASE_FILE name files \
     that contain the value of CONTACTD_TOKENS and of CONTACTD_DATABASE.",
    "systemd sets NOTIFY_SOCKET, WATCHDOG_USEC and CREDENTIALS_DIRECTORY.",
    "NO_COLOR turns colours off.",
];

const FILES: [(&str, &str); 2] = [
    ("contacts.db, contacts.db-wal, contacts.db-shm", "The database. Copy it with contactd backup, not with cp."),
    ("contacts.db.lock", "Prevents a second server on the same database."),
];

const EXAMPLES: [(&str, &str); 4] = [
    ("contactd serve --dev", "A server for tests, in which every token NAME is the user NAME."),
    ("contactd backup --to copy.db", "A checked copy of a database, also while it is served."),
    ("contactd health --ready", "Whether a server is ready for requests."),
    ("contactd serve --config contactd.toml --print-config", "Each setting with its source."),
];

/// Prints the manual page of contactd, or writes one for each command to a folder.
///
/// # Errors
/// One line: a file cannot be written.
pub fn manual(config: &ManualArgs) -> Result<(), String> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &config.dir else {
        let page = page(command, true).map_err(|error| error.to_string())?;
        // A closed output is not an error.
        let _ = io::stdout().write_all(&page);
        return Ok(());
    };
    fs::create_dir_all(dir).map_err(|error| permission::reason(dir, &error))?;
    write_pages(dir, command, "contactd".to_owned())
}

fn write_pages(dir: &Path, command: Command, name: String) -> Result<(), String> {
    let subcommands: Vec<_> =
        command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help").cloned().collect();
    for subcommand in subcommands {
        let full_name = format!("{name}-{}", subcommand.get_name());
        write_pages(dir, subcommand, full_name)?;
    }
    let file = dir.join(format!("{name}.1"));
    let is_main = name == "contactd";
    let page = page(command.name(name), is_main).map_err(|error| error.to_string())?;
    fs::write(&file, page).map_err(|error| permission::reason(&file, &error))
}

/// A page as roff. The first one has what applies to all commands.
fn page(command: Command, is_main: bool) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    let mut sections = Roff::new();
    if is_main {
        sections.control("SH", ["ENVIRONMENT"]);
        for text in ENVIRONMENT {
            sections.control("PP", []).text([roman(text)]);
        }
        write_list(&mut sections, "FILES", &FILES);
        write_list(&mut sections, "EXAMPLES", &EXAMPLES);
    }
    write_list(&mut sections, "EXIT STATUS", &STATUSES);
    sections.to_writer(&mut page)?;
    Ok(page)
}

fn write_list(page: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    page.control("SH", [title]);
    for (name, text) in entries {
        page.control("TP", []).text([roman(*name)]).text([roman(*text)]);
    }
}

/// Prints completions for a shell.
pub fn completions(config: &CompletionsArgs) {
    clap_complete::generate(config.shell, &mut Cli::command(), "contactd", &mut io::stdout());
}

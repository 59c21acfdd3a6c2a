//! The command line: the commands of the program.

use clap::{Parser, Subcommand};

use crate::cli::admin::{Shares, Tokens, Users};
use crate::cli::audit::Audit;
use crate::cli::copy::Copy;
use crate::cli::exec::{self, Exec};
use crate::cli::export::Export;
use crate::cli::health::Health;
use crate::cli::import::Import;
use crate::cli::manual::{Completions, Manual};
use crate::cli::serve_options::Serve;
use crate::cli::upkeep::{Backup, Check, Restore};
use crate::http::tls;

/// An embedded, persistent contact store that speaks the contacts part of the Microsoft Graph API.
#[derive(Debug, Parser)]
#[command(name = "contactd", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API until SIGTERM, SIGINT or SIGQUIT
    Serve(Box<Serve>),
    /// Run a command, such as a test runner, beside a server of its own, and end with its exit status
    #[command(mut_arg("listen", exec::free_port), mut_arg("database", exec::temporary))]
    Exec(Box<Exec>),
    /// Back up a SQLite database to a new file, also while it is served
    Backup(Backup),
    /// Replace a SQLite database that is not served with a backup, and keep the old files
    Restore(Restore),
    /// Check a database for faults, also while it is served; exits with 0 if there are none, with 3 if there are
    Check(Check),
    /// Copy a database to another one, from a file to PostgreSQL or back
    Copy(Copy),
    /// Import files of contacts into a user's mailbox, also while it is served
    Import(Box<Import>),
    /// Export a user's contacts to a file
    Export(Export),
    /// Ask a running server for its health, by http or https; exits with 0 if it is healthy
    Health(Health),
    /// Add, list, disable and remove users
    User(Users),
    /// Create, list and revoke tokens
    Token(Tokens),
    /// Share mailboxes with other users
    Share(Shares),
    /// Read the audit log
    Audit(Audit),
    /// Create a certificate authority and a certificate for development, and print how clients trust them
    DevCert(tls::DevCert),
    /// Print the manual page, or write one for each command
    Man(Manual),
    /// Print completions for a shell
    Completions(Completions),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_options_are_consistent_and_each_is_also_a_variable() {
        Cli::command().debug_assert();
        let serve = Cli::command().find_subcommand("serve").unwrap().clone();
        for option in serve.get_arguments().filter(|option| option.get_id() != "help") {
            let name = option.get_long().unwrap().to_ascii_uppercase().replace('-', "_");
            assert_eq!(option.get_env().unwrap().to_str().unwrap(), format!("CONTACTD_{name}"));
        }
    }
}

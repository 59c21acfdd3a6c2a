//! The command line: the commands of the program.

use clap::{Parser, Subcommand};

use crate::cli::admin::{SharesArgs, TokensArgs, UsersArgs};
use crate::cli::audit::AuditArgs;
use crate::cli::copy::CopyArgs;
use crate::cli::exec::{self, ExecArgs};
use crate::cli::export::ExportArgs;
use crate::cli::health::HealthArgs;
use crate::cli::import::ImportArgs;
use crate::cli::maintenance::{BackupArgs, CheckArgs, RestoreArgs};
use crate::cli::manual::{CompletionsArgs, ManualArgs};
use crate::cli::openapi::OpenapiArgs;
use crate::cli::seed::SeedArgs;
use crate::cli::serve_options::ServeArgs;
use crate::cli::upgrade::UpgradeArgs;
use crate::http::tls;

/// An embedded, persistent contact store that serves the contacts part of the Microsoft Graph API.
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
    Serve(Box<ServeArgs>),
    /// Start a server, run a command with it, such as a test runner, and exit with the command's status
    #[command(mut_arg("listen", exec::free_port), mut_arg("database", exec::temporary))]
    Exec(Box<ExecArgs>),
    /// Back up a SQLite database to a new file, also while it is served
    Backup(BackupArgs),
    /// Replace a SQLite database with a backup, and keep the old files; stop the server first
    Restore(RestoreArgs),
    /// Check a database for faults, also while it is served; exits with 0 if there are none, and with 3 otherwise
    Check(CheckArgs),
    /// Upgrade the schema of a database, or show what that would do; stop the servers first
    Upgrade(UpgradeArgs),
    /// Copy a database to another one, from a file to PostgreSQL or back
    Copy(CopyArgs),
    /// Import files of contacts into a user's mailbox, also while it is served
    Import(Box<ImportArgs>),
    /// Export a user's contacts to a file
    Export(ExportArgs),
    /// Fill a user's mailbox with generated contacts, for tests and first steps, also while it is served
    Seed(SeedArgs),
    /// Check the health of a running server, by http or https; exits with 0 if it is healthy
    Health(HealthArgs),
    /// Add, list, disable and remove users
    User(UsersArgs),
    /// Create, list and revoke tokens
    Token(TokensArgs),
    /// Share mailboxes with other users
    Share(SharesArgs),
    /// Read the audit log
    Audit(AuditArgs),
    /// Create a certificate authority and a certificate for development, and print how clients trust them
    DevCert(tls::DevCert),
    /// Print the manual page, or write one for each command
    Man(ManualArgs),
    /// Print the OpenAPI document of the API
    Openapi(OpenapiArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
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

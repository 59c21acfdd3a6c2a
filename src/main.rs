//! The program: reads its configuration and does what it is told. Everything else is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use contactd::config::{Backup, Cli, Command};
use contactd::plain::printed;
use contactd::store::Database;
use contactd::{admin, audit, copy, health, server, store, tls};

#[actix_web::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(config) => server::run(*config).await,
        Command::Backup(config) => backup(&config).await,
        Command::Copy(config) => copy::run(&config).await,
        Command::Health(config) => health::check(&config),
        Command::User(config) => admin::users(config).await,
        Command::Token(config) => admin::tokens(config).await,
        Command::Share(config) => admin::shares(config).await,
        Command::Audit(config) => audit::run(config).await,
        Command::DevCert(config) => tls::dev_cert(&config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "contactd: {}", printed(&reason));
            ExitCode::FAILURE
        }
    }
}

async fn backup(config: &Backup) -> Result<(), String> {
    match &config.database.database("--database")? {
        Database::File(path) => {
            store::backup(path, &config.to).await.map_err(|error| error.to_string())?;
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stdout(), "{} is a copy of {}", config.to.display(), path.display());
            Ok(())
        }
        Database::Temporary => Err(":memory:: it is of one process alone and cannot be copied".to_owned()),
        Database::Postgres(address) => Err(format!("{address}: PostgreSQL's own pg_dump makes its backups")),
    }
}

//! The program: reads its configuration and does what it is told. Everything else is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use contactd::config::{Cli, Command};
use contactd::{health, server, store};

#[actix_web::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(config) => server::run(config).await,
        Command::Backup(config) => store::backup(&config.database, &config.to).await.map_err(|error| error.to_string()),
        Command::Health(config) => health::check(&config.listen),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "contactd: {reason}");
            ExitCode::FAILURE
        }
    }
}

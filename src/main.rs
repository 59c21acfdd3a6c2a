//! The program: parses the command line and runs the command. Everything else is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use contactd::cli::config::{Cli, Command};
use contactd::cli::layers::{self, Stopped};
use contactd::cli::output::Failure;
use contactd::cli::{
    admin, audit, copy, exec, export, health, import, maintenance, manual, openapi, seed, serve, upgrade, version,
};
use contactd::http::tls;

#[actix_web::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(text) = version::requested_text(&arguments) {
        let _ = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let command = match layers::parse(&arguments) {
        Ok(Cli { command }) => command,
        Err(Stopped::Clap(error)) => error.exit(),
        Err(Stopped::Refused(reason)) => return Failure::usage(reason).print(),
        Err(Stopped::Printed(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
    };
    run(command).await.unwrap_or_else(|failure| failure.print())
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(config) => serve::run(*config).await?,
        Command::Exec(config) => return exec::run(*config).await,
        Command::Backup(config) => maintenance::backup(&config).await?,
        Command::Restore(config) => maintenance::restore(&config).await?,
        Command::Check(config) => return maintenance::check(&config).await,
        Command::Upgrade(config) => upgrade::run(&config).await?,
        Command::Copy(config) => copy::run(&config).await?,
        Command::Import(config) => import::run(*config).await?,
        Command::Export(config) => export::run(config).await?,
        Command::Seed(config) => seed::run(config).await?,
        Command::Health(config) => health::check(&config)?,
        Command::User(config) => admin::users(config).await?,
        Command::Token(config) => admin::tokens(config).await?,
        Command::Share(config) => admin::shares(config).await?,
        Command::Audit(config) => audit::run(config).await?,
        Command::DevCert(config) => tls::dev_cert(&config)?,
        Command::Man(config) => manual::manual(&config)?,
        Command::Openapi(config) => openapi::print(&config),
        Command::Completions(config) => manual::completions(&config),
    }
    Ok(ExitCode::SUCCESS)
}

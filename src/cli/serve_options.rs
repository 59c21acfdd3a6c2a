//! Options of `contactd serve`. Each flag is also an environment variable; docs/settings.md lists them all.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use crate::cli::arguments::{
    self, DatabaseArg, ListArg, batch_limit, databases, days, duration, flatten, public_url, week_or_more,
};
use crate::cli::limits;
use crate::domain::handling::Handling;
use crate::domain::phone::Region;
use crate::http::listen::Listen;
use crate::http::tls;
use crate::http::{LogRequests, MAX_IMPORT, MAX_SNAPSHOTS, WebOrigin};
use crate::notify::{Allowed, DeliveryTimes};
use crate::oidc;
use crate::store::Database;

/// Options of `contactd serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
contactd user and contactd token create users and tokens. If there are none, the first start on a loopback address creates \
one of each. The environment variable CONTACTD_TOKENS adds users and tokens: name=secret,name=secret. A name of the form \
app:NAME is an application, which may open every mailbox. There is no such flag, because every process of the machine can \
read flags.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ServeArgs {
    /// File of settings, in TOML. Its keys are the names of these flags with _ for -. Flags and variables take
    /// precedence
    #[arg(long, env = "CONTACTD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print each setting with its source, and exit
    #[arg(long, env = "CONTACTD_PRINT_CONFIG", value_parser = FalseyValueParser::new())]
    pub print_config: bool,

    /// Address to listen on: ADDR:PORT (port 0 picks a free one), :PORT for all addresses of the machine, or unix:PATH for a
    /// Unix socket, which its owner and group can use; can be repeated
    #[arg(long, env = "CONTACTD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: Vec<ListArg<String>>,

    /// Address for Prometheus (/metrics) and orchestrators (/livez, /readyz), without TLS and tokens. Clients need not reach it
    #[arg(long, env = "CONTACTD_METRICS_LISTEN", value_name = "ADDR:PORT")]
    pub metrics_listen: Option<ListArg<String>>,

    /// The database: a SQLite file, created if missing; :memory: for a private temporary one; or
    /// postgres://USER:PASSWORD@HOST:PORT/NAME (HOST:PORT,HOST:PORT names a primary and its standbys)
    #[arg(
        long,
        env = "CONTACTD_DATABASE",
        default_value = "contacts.db",
        value_name = "FILE|URL",
        hide_env_values = true
    )]
    pub database: DatabaseArg,

    /// Create a new database in an existing empty file. Without it an empty file is an error, because it may have lost
    /// its content
    #[arg(long, env = "CONTACTD_CREATE", value_parser = FalseyValueParser::new())]
    pub create: bool,

    /// Whether the server checkpoints the write-ahead log of a SQLite file. With off, another program must checkpoint
    /// it, such as Litestream, or the log grows without limit
    #[arg(long, env = "CONTACTD_WAL_CHECKPOINT", value_enum, default_value_t)]
    pub wal_checkpoint: WalCheckpoint,

    /// Do not back up a SQLite file before its schema is upgraded
    #[arg(long, env = "CONTACTD_NO_BACKUP_BEFORE_UPGRADE", value_parser = FalseyValueParser::new())]
    pub no_backup_before_upgrade: bool,

    /// PostgreSQL standby to read lists from, once it has replayed the mailbox's own writes; can be repeated
    #[arg(long, env = "CONTACTD_DATABASE_READ", value_name = "URL", value_parser = databases, hide_env_values = true)]
    pub database_read: Vec<ListArg<DatabaseArg>>,

    /// Maximum number of connections to PostgreSQL
    #[arg(long, env = "CONTACTD_DATABASE_CONNECTIONS", default_value_t = 10, value_name = "N",
          value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub database_connections: u16,

    /// For tests and first steps: every token NAME is the user NAME, and every token app:NAME an application
    #[arg(long, env = "CONTACTD_DEV", value_parser = FalseyValueParser::new())]
    pub dev: bool,

    /// With --dev: derive ids, secrets and times from this number and from each user's own calls, so that the same
    /// calls get the same responses on every machine. The clock is 2026-01-01T00:00:00Z until the control plane moves
    /// it
    #[arg(long, env = "CONTACTD_DETERMINISTIC", value_name = "SEED")]
    pub deterministic: Option<u64>,

    /// With --dev: JSON file of users, folders and contacts for a new database. A database that already has users is
    /// not changed
    #[arg(long, env = "CONTACTD_SEED_FILE", value_name = "FILE")]
    pub seed_file: Option<PathBuf>,

    /// With --dev: maximum size of all snapshots together that the control plane saves, in bytes
    #[arg(long, env = "CONTACTD_MAX_SNAPSHOT_BYTES", default_value_t = MAX_SNAPSHOTS, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub max_snapshot_bytes: u64,

    /// Allow --dev on other than loopback addresses, and requests with any Host. Anyone who reaches the server, web pages
    /// included, can then read and write everything
    #[arg(long, env = "CONTACTD_DEV_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    pub dev_allow_remote: bool,

    /// File of users and tokens, one name=secret on each line
    #[arg(long, env = "CONTACTD_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Identity provider whose tokens (JWTs) are accepted: its issuer, exactly as in their iss claim
    #[arg(long, env = "CONTACTD_OIDC_ISSUER", value_name = "URL", requires = "oidc_audience")]
    pub oidc_issuer: Option<String>,

    /// Required aud claim of those tokens; can be repeated
    #[arg(long, env = "CONTACTD_OIDC_AUDIENCE", value_name = "TEXT", requires = "oidc_issuer")]
    pub oidc_audience: Vec<ListArg<String>>,

    /// Claim that holds the user's name, such as upn or preferred_username. Shares and paths find the provider's users
    /// by it. Use only a claim that users cannot choose themselves. An email claim counts only with email_verified
    #[arg(long, env = "CONTACTD_OIDC_NAME_CLAIM", value_name = "CLAIM", requires = "oidc_issuer")]
    pub oidc_name_claim: Option<String>,

    /// For tests: milliseconds for which the provider's keys are fresh, for which they are used while it cannot be reached,
    /// and to wait before the next attempt to fetch them
    #[arg(long, env = "CONTACTD_OIDC_TIMES", value_name = "FRESH,STALE,PAUSE", hide = true)]
    pub oidc_times: Option<oidc::KeyTimes>,

    /// How to treat input that Graph would reject, unless the request sets it by Prefer: handling=
    #[arg(long, env = "CONTACTD_HANDLING", value_enum, default_value_t)]
    pub handling: Handling,

    /// Serve /docs: a page that shows the API as /openapi.json describes it, and makes calls with a token that the
    /// reader enters
    #[arg(long, env = "CONTACTD_DOCS", value_parser = FalseyValueParser::new())]
    pub docs: bool,

    /// Do not serve CardDAV (below /dav/)
    #[arg(long, env = "CONTACTD_NO_CARDDAV", value_parser = FalseyValueParser::new())]
    pub no_carddav: bool,

    /// Accept passwords of CardDAV clients over unencrypted http from other machines too. Anyone on the network path
    /// can read them. Behind a proxy with TLS use --trust-forwarded or --public-url instead
    #[arg(long, env = "CONTACTD_ALLOW_PLAIN_BASIC", value_parser = FalseyValueParser::new())]
    pub allow_plain_basic: bool,

    /// Region, such as US or DE, for phone numbers without a country code: with DE, a filter by 030 901820 also finds
    /// +49 30 901820
    #[arg(long, env = "CONTACTD_PHONE_REGION", value_name = "CC")]
    pub phone_region: Option<Region>,

    /// The certificate for https.
    #[command(flatten)]
    pub tls: tls::Flags,

    /// Origin, like `https://app.example.org`, whose web pages may call the API from a browser (CORS); can be repeated
    #[arg(long, env = "CONTACTD_CORS_ORIGIN", value_name = "ORIGIN")]
    pub cors_origin: Vec<ListArg<WebOrigin>>,

    /// Address that clients use behind a proxy (`https://host:port/prefix`). Links begin with it. The proxy may remove
    /// the prefix from requests or not
    #[arg(long, env = "CONTACTD_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,

    /// Trust the headers of a proxy: read the server's address from X-Forwarded-Proto, -Host, -Port and -Prefix, or
    /// Forwarded, unless --public-url sets it, and the address of each client from X-Forwarded-For or Forwarded. Use it
    /// only if no client can reach the server except through the proxy
    #[arg(long, env = "CONTACTD_TRUST_FORWARDED", value_parser = FalseyValueParser::new())]
    pub trust_forwarded: bool,

    /// Maximum number of folders of a mailbox
    #[arg(long, env = "CONTACTD_MAX_FOLDERS", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(i64).range(1..))]
    pub max_folders: i64,

    /// Maximum number of contacts of a mailbox, including deleted ones that are not purged yet
    #[arg(long, env = "CONTACTD_MAX_CONTACTS", default_value_t = 1_000_000, value_name = "N",
          value_parser = clap::value_parser!(i64).range(1..))]
    pub max_contacts: i64,

    /// Maximum size of a mailbox in bytes: contacts (including deleted ones), photos, extensions and extended properties
    #[arg(long, env = "CONTACTD_MAX_MAILBOX_BYTES", default_value_t = 10 << 30, value_name = "N",
          value_parser = clap::value_parser!(i64).range(1..))]
    pub max_mailbox_bytes: i64,

    /// Days a delta link stays valid, at least 7
    #[arg(long, env = "CONTACTD_KEEP_CHANGES", default_value = "90d", value_name = "DAYS", value_parser = week_or_more)]
    pub keep_changes: Duration,

    /// Maximum number of steps in one $batch
    #[arg(long, env = "CONTACTD_BATCH_LIMIT", default_value_t = 20, value_name = "N",
          value_parser = batch_limit)]
    pub batch_limit: usize,

    /// Maximum size of a file that is imported over HTTP, in bytes, as sent and unpacked
    #[arg(long, env = "CONTACTD_MAX_IMPORT_BYTES", default_value_t = MAX_IMPORT, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub max_import_bytes: u64,

    /// Days during which deleted contacts can be restored
    #[arg(long, env = "CONTACTD_KEEP_DELETED", default_value = "30d", value_name = "DAYS", value_parser = days)]
    pub keep_deleted: Duration,

    /// Days that entries of the audit log (contactd audit) are kept
    #[arg(long, env = "CONTACTD_KEEP_AUDIT", default_value = "365d", value_name = "DAYS", value_parser = days)]
    pub keep_audit: Duration,

    /// Time limit for a client to send a request's head, again to send its body, and again to read each 64 KiB of the
    /// response
    #[arg(long, env = "CONTACTD_REQUEST_TIMEOUT", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout: u64,

    /// Time for which the server continues to serve requests after a signal to stop. /readyz returns 503 during this
    /// time, so that a load balancer sends no more requests
    #[arg(long, env = "CONTACTD_DRAIN_DELAY", default_value_t = 0, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub drain_delay: u64,

    /// Host to which change notifications may be sent by http, and even if its address is not public (for development);
    /// can be repeated
    #[arg(long, env = "CONTACTD_ALLOW_NOTIFICATION_TARGET", value_name = "HOST[:PORT]")]
    pub allow_notification_target: Vec<ListArg<Allowed>>,

    /// Certificate authorities, in PEM, to trust in outgoing calls (notifications and the identity provider), in addition to
    /// the public ones
    #[arg(long, env = "CONTACTD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// For tests: milliseconds to wait for the answer to a notification, until another process takes over the
    /// subscription of a silent process, and before the second attempt
    #[arg(long, env = "CONTACTD_NOTIFICATION_TIMES", value_name = "ANSWER,LEASE,RETRY", hide = true)]
    pub notification_times: Option<DeliveryTimes>,

    /// Limits for clients.
    #[command(flatten)]
    pub limits: limits::LimitArgs,

    /// Format of log lines: auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "CONTACTD_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Least severe level that is logged; info by default, and warn with --dev and --database :memory:
    #[arg(long, env = "CONTACTD_LOG_LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,

    /// Requests that are logged: all; slow: errors, and requests that take at least as long as --slow-query; errors:
    /// responses with a status of 400 or more; none
    #[arg(long, env = "CONTACTD_LOG_REQUESTS", value_enum, default_value_t)]
    pub log_requests: LogRequests,

    /// Time, like 500ms or 2s, after which a database statement is logged, without its values; 0: never
    #[arg(long, env = "CONTACTD_SLOW_QUERY", default_value = "500ms", value_name = "DURATION", value_parser = duration)]
    pub slow_query: Duration,

    /// File to which the server writes its URL once it is reachable. The file is complete when it appears, and is
    /// removed when the server stops
    #[arg(long, env = "CONTACTD_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    /// Stop when the standard input is closed, so that the server does not outlive the process that started it with a
    /// pipe
    #[arg(long, env = "CONTACTD_STOP_WITH_STDIN", value_parser = FalseyValueParser::new())]
    pub stop_with_stdin: bool,

    /// Whether the log has clients' addresses
    #[arg(long, env = "CONTACTD_LOG_ADDRESSES", value_enum, default_value_t)]
    pub log_addresses: LogAddresses,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object on each line.
    Json,
}

/// The process that checkpoints the write-ahead log of a SQLite file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum WalCheckpoint {
    /// The server.
    #[default]
    Auto,
    /// Another program.
    Off,
}

/// Whether the log has clients' addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum LogAddresses {
    #[default]
    On,
    Off,
}

/// Least severe level that is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each is the level of its name")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

impl ServeArgs {
    /// The values of `--listen`.
    ///
    /// # Errors
    /// One line: a value is not an address, or is not allowed with `--dev`.
    pub fn listen_addresses(&self) -> Result<Vec<Listen>, String> {
        let places = arguments::listen(&self.listen)?;
        for place in places.iter().filter(|_| self.dev && !self.dev_allow_remote) {
            let addresses = place.addresses().map_err(|error| format!("--listen {place}: {error}"))?;
            if !addresses.iter().all(|address| address.ip().is_loopback()) {
                return Err(format!(
                    "--dev accepts every token, so it listens on loopback only, not on {place} (--dev-allow-remote allows it)"
                ));
            }
        }
        Ok(places)
    }

    /// The values of `--database-read`.
    pub fn read_from(&self) -> Vec<DatabaseArg> {
        flatten(&self.database_read)
    }

    /// The values of `--cors-origin`.
    pub fn cors_origins(&self) -> Vec<WebOrigin> {
        flatten(&self.cors_origin)
    }

    /// The values of `--allow-notification-target`.
    pub fn allowed_targets(&self) -> Vec<Allowed> {
        flatten(&self.allow_notification_target)
    }

    /// The identity provider, if one is named.
    ///
    /// # Errors
    /// One line that says which of its settings cannot be used.
    pub fn provider(&self) -> Result<Option<oidc::Provider>, String> {
        if self.oidc_issuer.is_some() == self.oidc_audience.is_empty() {
            return Err("set both --oidc-issuer and --oidc-audience, or neither".to_owned());
        }
        let Some(issuer) = self.oidc_issuer.clone() else { return Ok(None) };
        let settings = oidc::OidcSettings {
            issuer,
            audiences: flatten(&self.oidc_audience),
            name_claim: self.oidc_name_claim.clone(),
            ca_file: self.ca_file.clone(),
            times: self.oidc_times.unwrap_or_default(),
        };
        oidc::Provider::new(settings).map(Some)
    }

    /// The log level. A server for tests must not fill their output.
    ///
    /// # Errors
    /// One line: the database is invalid.
    pub fn level(&self) -> Result<LogLevel, String> {
        let is_test_server = self.dev && matches!(self.database.database("--database")?, Database::Temporary);
        Ok(self.log_level.unwrap_or(if is_test_server { LogLevel::Warn } else { LogLevel::default() }))
    }

    /// `--drain-delay` as a period.
    pub fn drain_delay(&self) -> Duration {
        Duration::from_secs(self.drain_delay)
    }

    /// `--request-timeout` as a period.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout)
    }
}

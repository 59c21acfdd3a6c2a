//! What the program can be told: flags, each also an environment variable.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::admin::{Shares, Tokens, Users};
use crate::cli::audit::Audit;
use crate::cli::limits;
use crate::cli::upkeep::{Backup, Check, Restore};
use crate::http::WebOrigin;
use crate::http::listen::Listen;
use crate::http::tls;
use crate::notify::{Allowed, Times};
use crate::odata::prefer::Handling;
use crate::oidc;
use crate::store::{Address, Database};

/// Longest time that the deleted is kept.
const MAX_DAYS: u64 = 36_500;

/// An embedded, persistent contact store that speaks the contacts part of the Microsoft Graph API.
#[derive(Debug, Parser)]
#[command(name = "contactd", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API until SIGTERM, SIGINT or SIGQUIT
    Serve(Box<Serve>),
    /// Copy a database, also one in use, into a new file
    Backup(Backup),
    /// Put a copy in the place of a database that is not served, and keep what was there
    Restore(Restore),
    /// Look for faults in a database, also one in use; exits with 0 if there are none, with 3 if there are
    Check(Check),
    /// Copy everything of a database into another one, from a file to PostgreSQL or back
    Copy(Copy),
    /// Ask a running server whether it is well, by http or https; exits with 0 if it is
    Health(Health),
    /// Make, list, disable and remove users
    User(Users),
    /// Make, list and revoke tokens
    Token(Tokens),
    /// Say who may see whose mailbox
    Share(Shares),
    /// Read who did what
    Audit(Audit),
    /// Make an authority and a certificate for development, and print what makes clients trust them
    DevCert(tls::DevCert),
}

/// Options of `contactd serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Users and tokens are made by contactd user and contactd token. Where there are none, the first start on a loopback \
address makes one of each. The environment variable CONTACTD_TOKENS names further users and their tokens: \
name=secret,name=secret. A name of the form app:NAME is an application, which may open every mailbox. It has no flag, \
since flags can be read by every process of the machine.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Serve {
    /// Where to listen: an address and a port (0 picks a free one), :PORT for all addresses of the machine, or unix:PATH for
    /// a socket in the file system, which its owner and group can reach; may be given more than once
    #[arg(long, env = "CONTACTD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: Vec<List<String>>,

    /// Where the contacts are: a SQLite file, made if missing, :memory: for a private temporary one, or
    /// postgres://USER:PASSWORD@HOST:PORT/NAME (HOST:PORT,HOST:PORT names a primary and who may take its place)
    #[arg(
        long,
        env = "CONTACTD_DATABASE",
        default_value = "contacts.db",
        value_name = "FILE|URL",
        hide_env_values = true
    )]
    pub database: Place,

    /// Make a new database in a file that is there and empty; without it, such a file is refused, as it may have lost what
    /// was in it
    #[arg(long, env = "CONTACTD_CREATE", value_parser = FalseyValueParser::new())]
    pub create: bool,

    /// A standby of the PostgreSQL server, which lists are read from once it has what their mailbox's clients wrote; may
    /// be given more than once
    #[arg(long, env = "CONTACTD_DATABASE_READ", value_name = "URL", value_parser = places, hide_env_values = true)]
    pub database_read: Vec<List<Place>>,

    /// Most connections to the PostgreSQL server
    #[arg(long, env = "CONTACTD_DATABASE_CONNECTIONS", default_value_t = 10, value_name = "N",
          value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub database_connections: u16,

    /// For tests and first steps: every token NAME is the user NAME, every token app:NAME an application
    #[arg(long, env = "CONTACTD_DEV", value_parser = FalseyValueParser::new())]
    pub dev: bool,

    /// Let --dev listen on other than loopback addresses, and be asked by other names (Host): anyone who reaches it, with a
    /// web page too, can read and write everything
    #[arg(long, env = "CONTACTD_DEV_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    pub dev_allow_remote: bool,

    /// A file that names the users and their tokens, one name=secret a line
    #[arg(long, env = "CONTACTD_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// An identity provider whose tokens (JWTs) are taken: its issuer, exactly as it stands in them
    #[arg(long, env = "CONTACTD_OIDC_ISSUER", value_name = "URL", requires = "oidc_audience")]
    pub oidc_issuer: Option<String>,

    /// For whom such a token must be (its `aud`); may be given more than once
    #[arg(long, env = "CONTACTD_OIDC_AUDIENCE", value_name = "TEXT", requires = "oidc_issuer")]
    pub oidc_audience: Vec<List<String>>,

    /// The claim whose names the provider's users are found by, in shares and paths, like upn or preferred_username; only one
    /// in which nobody chooses what they are called. Of an e-mail claim only what has email_verified counts
    #[arg(long, env = "CONTACTD_OIDC_NAME_CLAIM", value_name = "CLAIM", requires = "oidc_issuer")]
    pub oidc_name_claim: Option<String>,

    /// For tests: how long, in milliseconds, the provider's keys are used without asking again, and if it cannot be asked,
    /// and how long is waited before it is asked again
    #[arg(long, env = "CONTACTD_OIDC_TIMES", value_name = "FRESH,STALE,PAUSE", hide = true)]
    pub oidc_times: Option<oidc::Times>,

    /// What to do with what Graph would refuse and a request does not say it by Prefer: handling=
    #[arg(long, env = "CONTACTD_HANDLING", value_enum, default_value_t)]
    pub handling: Handling,

    /// How https is served
    #[command(flatten)]
    pub tls: tls::Flags,

    /// Web pages of this origin, like `https://app.example.org`, may call the API from a browser (CORS); may be given more
    /// than once
    #[arg(long, env = "CONTACTD_CORS_ORIGIN", value_name = "ORIGIN")]
    pub cors_origin: Vec<List<WebOrigin>>,

    /// The address that clients use, where a proxy stands in front: links begin with it (`https://host:port/prefix`), whether
    /// the proxy takes the prefix away or not
    #[arg(long, env = "CONTACTD_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,

    /// Take the address that clients use from X-Forwarded-Proto, -Host, -Port and -Prefix, or Forwarded, unless --public-url
    /// tells it, and theirs from X-Forwarded-For or Forwarded; only where none but the proxy that sends them can reach the server
    #[arg(long, env = "CONTACTD_TRUST_FORWARDED", value_parser = FalseyValueParser::new())]
    pub trust_forwarded: bool,

    /// Most folders of one mailbox
    #[arg(long, env = "CONTACTD_MAX_FOLDERS", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(i64).range(1..))]
    pub max_folders: i64,

    /// Most contacts of one mailbox; deleted ones count until they are purged
    #[arg(long, env = "CONTACTD_MAX_CONTACTS", default_value_t = 1_000_000, value_name = "N",
          value_parser = clap::value_parser!(i64).range(1..))]
    pub max_contacts: i64,

    /// Most bytes of one mailbox: contacts, deleted ones too, with photos and all that programs keep with them
    #[arg(long, env = "CONTACTD_MAX_MAILBOX_BYTES", default_value_t = 10 << 30, value_name = "N",
          value_parser = clap::value_parser!(i64).range(1..))]
    pub max_mailbox_bytes: i64,

    /// Days for which a client that follows changes (delta) may stay away, 7 at least
    #[arg(long, env = "CONTACTD_KEEP_CHANGES", default_value = "90d", value_name = "DAYS", value_parser = week_or_more)]
    pub keep_changes: Duration,

    /// Most steps of one $batch
    #[arg(long, env = "CONTACTD_BATCH_LIMIT", default_value_t = 20, value_name = "N",
          value_parser = batch_limit)]
    pub batch_limit: usize,

    /// How many days what was deleted is kept, and can be restored
    #[arg(long, env = "CONTACTD_KEEP_DELETED", default_value = "30d", value_name = "DAYS", value_parser = days)]
    pub keep_deleted: Duration,

    /// How many days it is known who did what (contactd audit)
    #[arg(long, env = "CONTACTD_KEEP_AUDIT", default_value = "365d", value_name = "DAYS", value_parser = days)]
    pub keep_audit: Duration,

    /// Seconds a client may take to send a request's head, again its body, and to take each 64 KiB of the answer
    #[arg(long, env = "CONTACTD_REQUEST_TIMEOUT", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout: u64,

    /// A host that change notifications may go to by http, and where it is not public (for development); may be given more
    /// than once
    #[arg(long, env = "CONTACTD_ALLOW_NOTIFICATION_TARGET", value_name = "HOST[:PORT]")]
    pub allow_notification_target: Vec<List<Allowed>>,

    /// Certificate authorities, in PEM, that those who are notified and the identity provider may have their certificate of,
    /// besides those of the web
    #[arg(long, env = "CONTACTD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// For tests: how long, in milliseconds, an answer to a notification is waited for, a process that says no more may
    /// hold a subscription, and is waited before the second attempt
    #[arg(long, env = "CONTACTD_NOTIFICATION_TIMES", value_name = "ANSWER,LEASE,RETRY", hide = true)]
    pub notification_times: Option<Times>,

    /// What clients can have of the server.
    #[command(flatten)]
    pub limits: limits::Options,

    /// How log lines look: auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "CONTACTD_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// What is logged
    #[arg(long, env = "CONTACTD_LOG_LEVEL", value_enum, default_value_t)]
    pub log_level: LogLevel,

    /// Whether the log has the addresses of clients
    #[arg(long, env = "CONTACTD_LOG_ADDRESSES", value_enum, default_value_t)]
    pub log_addresses: LogAddresses,
}

/// Options of `contactd copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop what serves either database: what is written after the copy has begun is not copied. Both must have this program's \
schema, or the target nothing. Each part is committed when it has arrived, and at the end both sides are counted and hashed; \
until they are the same, no server opens the target.")]
pub struct Copy {
    /// What to copy: a SQLite file, or a postgres:// address
    #[arg(long, value_name = "FILE|URL")]
    pub from: Place,

    /// Where to: a SQLite file, made if missing, or a postgres:// address
    #[arg(long, value_name = "FILE|URL")]
    pub to: Place,

    /// Go on with a copy that was interrupted
    #[arg(long)]
    pub resume: bool,

    /// Delete what the target holds
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
}

/// Options of `contactd health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Where the server was told to listen; of several the first is asked
    #[arg(long, env = "CONTACTD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: Vec<List<String>>,
}

/// A number of days, like `30d` or `30`.
fn days(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse().ok().filter(|days: &u64| *days <= MAX_DAYS);
    let days = days.ok_or_else(|| format!("expected a number of days up to {MAX_DAYS}, like 30d"))?;
    Ok(Duration::from_secs(days * 24 * 60 * 60))
}

/// A number of days, a week of them at least.
fn week_or_more(text: &str) -> Result<Duration, String> {
    let period = days(text)?;
    if period >= Duration::from_hours(7 * 24) {
        Ok(period)
    } else {
        Err("expected 7 days at least, like 90d".to_owned())
    }
}

/// What stands in one flag or variable, with blanks or commas between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T: std::str::FromStr> std::str::FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pieces = text.split([' ', ',']).filter(|piece| !piece.is_empty());
        // What is refused is told what would be taken, and so is nothing at all.
        let pieces = if text.is_empty() { vec![text] } else { pieces.collect() };
        pieces.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// All that was given.
fn all<T: Clone>(lists: &[List<T>]) -> Vec<T> {
    lists.iter().flat_map(|list| list.0.iter().cloned()).collect()
}

/// Addresses of PostgreSQL servers, each of which may have commas in it: between its hosts.
#[allow(clippy::unnecessary_wraps, reason = "as clap asks for it")]
fn places(text: &str) -> Result<List<Place>, std::convert::Infallible> {
    let mut places: Vec<String> = Vec::new();
    for piece in text.split(' ').flat_map(|piece| piece.split(',')).filter(|piece| !piece.is_empty()) {
        match places.last_mut().filter(|_| !piece.contains("://")) {
            Some(hosts) => *hosts = format!("{hosts},{piece}"),
            None => places.push(piece.to_owned()),
        }
    }
    Ok(List(places.into_iter().map(Place).collect()))
}

fn public_url(text: &str) -> Result<String, String> {
    // Scheme and host are the same in any letter case; in links they are as browsers send them.
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    let rest = Some(rest).filter(|_| scheme == "https" || scheme == "http");
    let fits = |rest: &str| {
        let legal = rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#@".contains(&b));
        legal && !rest.is_empty() && !rest.starts_with('/')
    };
    match rest.filter(|rest| fits(rest)) {
        Some(rest) => Ok(format!("{scheme}://{}", rest.trim_end_matches('/'))),
        None => Err("expected http:// or https:// and a host, with a port and a path if need be".to_owned()),
    }
}

/// A database as it was given. It is read later: clap prints what it refuses, and an address may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// The database.
    ///
    /// # Errors
    /// One line that names the flag and not the value.
    pub fn database(&self, flag: &str) -> Result<Database, String> {
        self.0.parse().map_err(|expected| format!("{flag}: {expected}"))
    }

    /// The address of a PostgreSQL server.
    ///
    /// # Errors
    /// As [`Place::database`].
    pub fn address(&self, flag: &str) -> Result<Address, String> {
        self.0.parse().map_err(|expected| format!("{flag}: {expected}"))
    }
}

impl std::str::FromStr for Place {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether the log has the addresses of clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum LogAddresses {
    #[default]
    On,
    Off,
}

/// What is logged.
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

impl Serve {
    /// Where `--listen` says.
    ///
    /// # Errors
    /// One line: it is no address, or `--dev` may not listen there.
    pub fn places(&self) -> Result<Vec<Listen>, String> {
        let places = places_of(&self.listen)?;
        for place in places.iter().filter(|_| self.dev && !self.dev_allow_remote) {
            let addresses = place.addresses().map_err(|error| format!("--listen {place}: {error}"))?;
            if !addresses.iter().all(|address| address.ip().is_loopback()) {
                return Err(format!(
                    "--dev lets everyone in, so it listens on loopback only, not on {place} (--dev-allow-remote permits it)"
                ));
            }
        }
        Ok(places)
    }

    /// `--database-read`
    pub fn read_from(&self) -> Vec<Place> {
        all(&self.database_read)
    }

    /// `--cors-origin`
    pub fn cors_origins(&self) -> Vec<WebOrigin> {
        all(&self.cors_origin)
    }

    /// `--allow-notification-target`
    pub fn allowed_targets(&self) -> Vec<Allowed> {
        all(&self.allow_notification_target)
    }

    /// The identity provider, if there is one.
    ///
    /// # Errors
    /// One line: what of it cannot be used.
    pub fn provider(&self) -> Result<Option<oidc::Provider>, String> {
        let Some(issuer) = self.oidc_issuer.clone() else { return Ok(None) };
        let settings = oidc::Settings {
            issuer,
            audiences: all(&self.oidc_audience),
            name_claim: self.oidc_name_claim.clone(),
            ca_file: self.ca_file.clone(),
            times: self.oidc_times.unwrap_or_default(),
        };
        oidc::Provider::new(settings).map(Some)
    }

    /// `--request-timeout`
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout)
    }
}

fn batch_limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| (1..=1_000).contains(limit)).ok_or_else(|| "1 to 1000 steps".to_owned())
}

/// Where values of `--listen` say.
///
/// # Errors
/// One line.
pub fn places_of(listen: &[List<String>]) -> Result<Vec<Listen>, String> {
    let read = |text: &String| text.parse().map_err(|expected| format!("--listen {text}: {expected}"));
    all(listen).iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn what_can_be_given_more_than_once_stands_with_blanks_or_commas_between() {
        let list = |text: &str| text.parse::<List<String>>().unwrap().0;
        for text in ["a b", "a,b", " a , b,"] {
            assert_eq!(list(text), ["a", "b"]);
        }
        assert!(matches!("".parse::<List<WebOrigin>>(), Err(expected) if expected.starts_with("expected an origin")));
        for text in ["postgres://a,b/x postgres://c/x", "postgres://a,b/x,postgres://c/x"] {
            assert_eq!(
                places(text).unwrap().0.iter().map(|place| place.0.as_str()).collect::<Vec<_>>(),
                ["postgres://a,b/x", "postgres://c/x"]
            );
        }
    }

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

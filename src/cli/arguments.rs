//! Parses values on the command line, with an error for wrong ones.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::domain::plain::is_plain;
use crate::domain::user::{self, EXPECTED_NAME, UserName};
use crate::http::listen::Listen;
use crate::store::{Database, Options, PostgresUrl, Store};

/// Longest period, in days.
const MAX_DAYS: u64 = 36_500;
/// Longest name of a token or display name of a user, in characters.
const MAX_NAME: usize = 255;
const DAY: u64 = 24 * 60 * 60;

/// A database as text. It is parsed later: clap prints a value that it rejects, and a URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseArg(String);

impl DatabaseArg {
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
    /// As [`DatabaseArg::database`].
    pub fn address(&self, flag: &str) -> Result<PostgresUrl, String> {
        self.0.parse().map_err(|expected| format!("{flag}: {expected}"))
    }
}

impl std::str::FromStr for DatabaseArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for DatabaseArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseArg")
    }
}

/// `--database` of the commands that work on either engine.
#[derive(Debug, Args)]
pub struct AnyDatabase {
    /// The database: a SQLite file, or a postgres:// URL
    #[arg(
        long,
        env = "CONTACTD_DATABASE",
        default_value = "contacts.db",
        value_name = "FILE|URL",
        hide_env_values = true,
        global = true
    )]
    database: DatabaseArg,
}

impl AnyDatabase {
    /// The database.
    ///
    /// # Errors
    /// One line: it is not a database, or a temporary one, which only its own process can open.
    pub fn get(&self) -> Result<Database, String> {
        match self.database.database("--database")? {
            Database::Temporary => Err(TEMPORARY.to_owned()),
            database => Ok(database),
        }
    }

    /// Opens the store, runs `work` on it, and closes it whatever the result is.
    ///
    /// # Errors
    /// One line: those of `work`, of [`AnyDatabase::get`] and of [`Store::open`].
    pub(crate) async fn with_store<T>(&self, work: impl AsyncFnOnce(&Store) -> Result<T, String>) -> Result<T, String> {
        // Only `contactd serve` upgrades a schema.
        let options = Options { upgrade: false, ..Options::default() };
        let store = Store::open(&self.get()?, options).await.map_err(|error| error.to_string())?;
        let done = work(&store).await;
        store.close().await;
        done
    }
}

/// `--database` of the commands that work on SQLite files.
#[derive(Debug, Args)]
pub struct SqliteDatabase {
    /// The SQLite file of the database
    #[arg(long, env = "CONTACTD_DATABASE", default_value = "contacts.db", value_name = "FILE", hide_env_values = true)]
    database: DatabaseArg,
}

impl SqliteDatabase {
    /// The file. `tool` is the PostgreSQL program that does the same.
    ///
    /// # Errors
    /// One line: it is not a file.
    pub fn file(&self, tool: &str) -> Result<PathBuf, String> {
        match self.database.database("--database")? {
            Database::File(path) => Ok(path),
            Database::Temporary => Err(TEMPORARY.to_owned()),
            Database::Postgres(address) => Err(format!("{address}: use {tool} for PostgreSQL")),
        }
    }
}

const TEMPORARY: &str = "--database :memory:: only the process that created it can open it";

/// The values of one flag or variable, separated by blanks or commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListArg<T>(Vec<T>);

impl<T: std::str::FromStr> std::str::FromStr for ListArg<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pieces = text.split([' ', ',']).filter(|piece| !piece.is_empty());
        // An empty text is parsed too, so that its error says what is expected.
        let pieces = if text.is_empty() { vec![text] } else { pieces.collect() };
        pieces.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// The values of all occurrences of a flag.
pub(crate) fn flatten<T: Clone>(lists: &[ListArg<T>]) -> Vec<T> {
    lists.iter().flat_map(|list| list.0.iter().cloned()).collect()
}

/// URLs of PostgreSQL servers. A URL may itself have commas, between its hosts.
#[allow(clippy::unnecessary_wraps, reason = "clap asks for a result")]
pub(crate) fn databases(text: &str) -> Result<ListArg<DatabaseArg>, std::convert::Infallible> {
    let mut urls: Vec<String> = Vec::new();
    for piece in text.split(' ').flat_map(|piece| piece.split(',')).filter(|piece| !piece.is_empty()) {
        match urls.last_mut().filter(|_| !piece.contains("://")) {
            Some(hosts) => *hosts = format!("{hosts},{piece}"),
            None => urls.push(piece.to_owned()),
        }
    }
    Ok(ListArg(urls.into_iter().map(DatabaseArg).collect()))
}

/// The values of `--listen`.
///
/// # Errors
/// One line.
pub(crate) fn listen(texts: &[ListArg<String>]) -> Result<Vec<Listen>, String> {
    let read = |text: &String| text.parse().map_err(|expected| format!("--listen {text}: {expected}"));
    flatten(texts).iter().map(read).collect()
}

/// A number of days, like `30d` or `30`.
pub(crate) fn days(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse().ok().filter(|days: &u64| *days <= MAX_DAYS);
    let days = days.ok_or_else(|| format!("expected a number of days up to {MAX_DAYS}, like 30d"))?;
    Ok(Duration::from_secs(days * DAY))
}

/// A number of days, at least 7.
pub(crate) fn week_or_more(text: &str) -> Result<Duration, String> {
    let period = days(text)?;
    if period >= Duration::from_secs(7 * DAY) {
        Ok(period)
    } else {
        Err("expected at least 7 days, like 90d".to_owned())
    }
}

/// A period like `90d` or `12h`.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time like 90d or 12h, up to {MAX_DAYS}d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let hours = match unit {
        "d" => 24,
        "h" => 1,
        _ => return Err(expected()),
    };
    let hours = number.parse::<u64>().ok().and_then(|number| number.checked_mul(hours)).ok_or_else(expected)?;
    if (1..=MAX_DAYS * 24).contains(&hours) { Ok(Duration::from_hours(hours)) } else { Err(expected()) }
}

/// A short time like `500ms` or `2s`; 0 is none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let time = number.parse().ok().and_then(|number: u64| match unit {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "" if number == 0 => Some(Duration::ZERO),
        _ => None,
    });
    let time = time.filter(|time| *time <= Duration::from_hours(1));
    time.ok_or_else(|| "expected a time like 500ms or 2s, at most 3600s, or 0".to_owned())
}

/// A `--batch-limit`.
pub(crate) fn batch_limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| (1..=1_000).contains(limit)).ok_or_else(|| "expected 1 to 1000".to_owned())
}

/// A `--public-url`, without a slash at the end.
pub(crate) fn public_url(text: &str) -> Result<String, String> {
    // Scheme and host have no letter case; in links they are as browsers send them.
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    let rest = Some(rest).filter(|_| scheme == "https" || scheme == "http");
    let fits = |rest: &str| {
        let legal = rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#@".contains(&b));
        legal && !rest.is_empty() && !rest.starts_with('/')
    };
    match rest.filter(|rest| fits(rest)) {
        Some(rest) => Ok(format!("{scheme}://{}", rest.trim_end_matches('/'))),
        None => Err("expected http:// or https:// and a host, optionally with a port and a path".to_owned()),
    }
}

/// The name of a user of this store.
pub(crate) fn user_name(text: &str) -> Result<UserName, String> {
    UserName::of_address(text).ok_or_else(|| format!("expected {EXPECTED_NAME}"))
}

/// The name or id of any user. A user of an identity provider may have a name of any characters.
pub(crate) fn any_name(text: &str) -> Result<String, String> {
    if user::is_name(text) { Ok(text.to_owned()) } else { Err("expected a name on one line".to_owned()) }
}

/// The `iss` claim of an identity provider's tokens.
pub(crate) fn issuer(text: &str) -> Result<String, String> {
    let fits = (1..=1_000).contains(&text.len()) && is_plain(text);
    if fits { Ok(text.to_owned()) } else { Err("expected the issuer exactly as in its tokens".to_owned()) }
}

/// A display name of a user, or the name of a token.
pub(crate) fn display_name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NAME).contains(&text.chars().count()) && is_plain(text);
    if fits { Ok(text.to_owned()) } else { Err(format!("expected 1 to {MAX_NAME} characters on one line")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::WebOrigin;

    #[test]
    fn repeatable_options_are_separated_by_blanks_or_commas_in_variables() {
        let list = |text: &str| text.parse::<ListArg<String>>().unwrap().0;
        for text in ["a b", "a,b", " a , b,"] {
            assert_eq!(list(text), ["a", "b"]);
        }
        assert!(
            matches!("".parse::<ListArg<WebOrigin>>(), Err(expected) if expected.starts_with("expected an origin"))
        );
        for text in ["postgres://a,b/x postgres://c/x", "postgres://a,b/x,postgres://c/x"] {
            assert_eq!(
                databases(text).unwrap().0.iter().map(|database| database.0.as_str()).collect::<Vec<_>>(),
                ["postgres://a,b/x", "postgres://c/x"]
            );
        }
    }

    #[test]
    fn a_duration_is_seconds_or_milliseconds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        for zero in ["0", "0s", "0ms"] {
            assert_eq!(duration(zero), Ok(Duration::ZERO));
        }
        for bad in ["", "s", "5", "-1s", "1.5s", "1m", "3601s", "99999999999999999999s", "é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_period_is_days_or_hours() {
        assert_eq!(period("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(period("12h"), Ok(Duration::from_hours(12)));
        for bad in ["", "d", "0d", "-1d", "90", "1w", "36501d", "99999999999999999999d", "é"] {
            assert!(period(bad).is_err(), "{bad}");
        }
    }
}

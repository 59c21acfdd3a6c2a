//! A database as text: a file, `:memory:`, or a URL.

use std::path::PathBuf;
use std::str::FromStr;

use crate::percent::percent_decode;
use crate::store::db::cluster::PostgresUrl;

/// The forms, for error messages.
const KNOWN: &str = "a file, :memory:, sqlite://FILE, file:FILE or postgres://USER:PASSWORD@HOST:PORT/NAME";

/// A database, as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file, created if missing.
    File(PathBuf),
    /// `:memory:`: a private temporary file, removed when the store is closed.
    Temporary,
    /// A PostgreSQL database, which other processes may serve too.
    Postgres(PostgresUrl),
}

impl FromStr for Database {
    type Err = String;

    /// The error repeats only the scheme of the text, because the rest may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = scheme(text) else {
            return match text {
                "" => Err(format!("name {KNOWN}")),
                ":memory:" => Ok(Self::Temporary),
                path => Ok(Self::File(path.into())),
            };
        };
        match scheme.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" => text.parse::<PostgresUrl>().map(Self::Postgres),
            "sqlite" => from_url(rest.strip_prefix("//").unwrap_or(rest)),
            "file" => match rest.strip_prefix("//") {
                None => from_url(rest),
                Some(rest) => {
                    let path = rest.strip_prefix("localhost").unwrap_or(rest);
                    let expected = "file:// needs an absolute path: file:///FOLDER/FILE, or use file:FILE";
                    if path.starts_with('/') { from_url(path) } else { Err(expected.to_owned()) }
                }
            },
            _ => Err(format!("'{scheme}:' is not known; name {KNOWN} (for a file with this name use ./{scheme}:…)")),
        }
    }
}

/// The scheme of a text (RFC 3986, section 3.1) and the rest. A scheme of one letter is taken for a file name.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let fits = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    fits.then_some((scheme, rest))
}

/// The SQLite file of a URL: a percent-encoded path, optionally with parameters. `mode=rwc` is the default, and accepted.
fn from_url(text: &str) -> Result<Database, String> {
    let (path, parameters) = text.split_once('?').unwrap_or((text, ""));
    let mut database = match percent_decode(path).as_deref() {
        None => return Err("the file's name is not percent-encoded UTF-8".to_owned()),
        Some("") => return Err("the URL names no file".to_owned()),
        Some(":memory:") => Database::Temporary,
        Some(path) => Database::File(path.into()),
    };
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter {
            "mode=rwc" => {}
            "mode=memory" => database = Database::Temporary,
            _ => return Err("only the parameters mode=rwc and mode=memory of a file URL are known".to_owned()),
        }
    }
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_path_or_by_a_url() {
        for (text, path) in [
            ("contacts.db", "contacts.db"),
            ("/a/b c.db", "/a/b c.db"),
            ("./mysql:x", "./mysql:x"),
            ("a/b:c.db", "a/b:c.db"),
            ("C:x", "C:x"),
            ("sqlite:x.db", "x.db"),
            ("sqlite://x.db", "x.db"),
            ("SQLite:///a/x.db?mode=rwc", "/a/x.db"),
            ("sqlite://a%20b%3f.db", "a b?.db"),
            ("file:x.db", "x.db"),
            ("file:/a/x.db", "/a/x.db"),
            ("file:///a/x.db", "/a/x.db"),
            ("file://localhost/a/x.db", "/a/x.db"),
        ] {
            assert_eq!(text.parse(), Ok(Database::File(path.into())), "{text}");
        }
        for text in [":memory:", "sqlite::memory:", "sqlite://:memory:", "file::memory:", "file:x?mode=memory"] {
            assert_eq!(text.parse(), Ok(Database::Temporary), "{text}");
        }
        assert!(matches!("Postgres://ann:pw@host/x".parse(), Ok(Database::Postgres(_))));
    }

    #[test]
    fn an_unsupported_scheme_is_refused() {
        for (text, why) in [
            ("", "name a file, :memory:, sqlite://FILE"),
            ("mysql://u:hunter2@h/x", "'mysql:' is not known; name a file, :memory:, "),
            ("mongodb+srv://u:hunter2@h/x", "'mongodb+srv:' is not known"),
            ("jdbc:postgresql://u:hunter2@h/x", "'jdbc:' is not known"),
            ("postgres:hunter2", "expected postgres://"),
            ("sqlite://", "names no file"),
            ("sqlite://x.db?key=hunter2", "only the parameters"),
            ("sqlite://%ff", "percent-encoded"),
            ("file://hunter2/x.db", "file:///FOLDER/FILE"),
        ] {
            let reason = text.parse::<Database>().unwrap_err();
            assert!(reason.contains(why) && !reason.contains("hunter2"), "{text}: {reason}");
        }
    }
}

//! Sources of settings: a flag, else a variable, else the file of `--config`, else the default (docs/settings.md,
//! "Where settings come from").
//!
//! Values from sources below the variables become the defaults of their flags before the command line is parsed, so
//! that one parser checks all values.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::error::ContextKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use crate::cli::config::Cli;
use crate::permission;
use crate::store::Database;

/// Settings whose values may hold passwords, and the variables that name a file with such a value instead.
const SECRETS: [(&str, &str, &str); 2] = [
    ("database", "CONTACTD_DATABASE", "CONTACTD_DATABASE_FILE"),
    ("database_read", "CONTACTD_DATABASE_READ", "CONTACTD_DATABASE_READ_FILE"),
];
/// Maximum size of a file with settings or a secret, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Why there is no command to run.
pub enum Stopped {
    /// Help, the version, or a wrong usage.
    Clap(Box<clap::Error>),
    /// One line: a file of settings or a secret cannot be used.
    Refused(String),
    /// The text of `--print-config`.
    Printed(String),
}

impl From<clap::Error> for Stopped {
    fn from(error: clap::Error) -> Self {
        Self::Clap(Box::new(error))
    }
}

/// The value of a setting from a source below the variables.
struct Layered {
    /// The flag's id.
    id: String,
    values: Vec<String>,
    /// Its source.
    origin: String,
}

/// Reads the command line and the other sources.
///
/// # Errors
/// [`Stopped`]
pub fn parse(arguments: &[OsString]) -> Result<Cli, Stopped> {
    let mut command = Cli::command();
    let mut layered = secrets().map_err(Stopped::Refused)?;
    let name = arguments.get(1).and_then(|name| name.to_str()).unwrap_or_default();
    if name == "serve"
        && let Some(serve) = command.find_subcommand("serve")
    {
        let mut lower_sources = from_credentials();
        if let Some(path) = config_file(arguments) {
            let from_config = from_file(&path, serve).map_err(Stopped::Refused)?;
            lower_sources.retain(|setting| !from_config.iter().any(|other| other.id == setting.id));
            lower_sources.extend(from_config);
        }
        lower_sources.retain(|setting| !layered.iter().any(|other| other.id == setting.id));
        layered.extend(lower_sources);
    }
    command = with_defaults(command, name, &layered);
    let matches = command.try_get_matches_from(arguments).map_err(|error| explain(error, &layered))?;
    if let Some(("serve", serve)) = matches.subcommand()
        && serve.get_flag("print_config")
    {
        return Err(Stopped::Printed(printed(serve, &layered)));
    }
    Ok(Cli::from_arg_matches(&matches)?)
}

/// The command, with the values as defaults of its flags. `contactd exec` is left as it is, because its server is for
/// tests.
fn with_defaults(command: Command, name: &str, layered: &[Layered]) -> Command {
    if name.is_empty() || name == "exec" || command.find_subcommand(name).is_none() {
        return command;
    }
    command.mut_subcommand(name, |mut subcommand| {
        for Layered { id, values, .. } in layered {
            if subcommand.get_arguments().any(|argument| argument.get_id() == id.as_str()) {
                subcommand = subcommand.mut_arg(id, |argument| argument.default_values(values.clone()));
            }
        }
        subcommand
    })
}

/// The file of `--config`, or of its variable.
fn config_file(arguments: &[OsString]) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    std::env::var_os("CONTACTD_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The settings of a file.
fn from_file(path: &Path, serve: &Command) -> Result<Vec<Layered>, String> {
    let text = read(path)?;
    let location = |line: usize| format!("{}:{line}", path.display());
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("{}: {}", location(before.matches('\n').count() + 1), error.message())
    })?;
    let known_ids: Vec<String> = serve
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .filter(|id| !["help", "config", "print_config"].contains(&id.as_str()))
        .collect();
    let line_of = |key: &str| {
        let is_origin = |line: &str| {
            let after = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix(key);
            after.is_some_and(|after| after.trim_start_matches(['"', '\'']).trim_start().starts_with('='))
        };
        text.lines().position(is_origin).map_or(1, |line| line + 1)
    };
    table
        .into_iter()
        .map(|(key, value)| {
            let place = location(line_of(&key));
            if !known_ids.contains(&key) {
                let similar = known_ids.iter().map(|name| (strsim::jaro_winkler(name, &key), name));
                let similar = similar.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
                let hint = similar.map_or_else(String::new, |(_, name)| format!("; did you mean '{name}'?"));
                return Err(format!("{place}: unknown setting '{}'{hint}", key.escape_debug()));
            }
            let values = texts(&value).ok_or_else(|| {
                format!("{place}: {key}: expected a string, an integer, true or false, or a list of strings")
            })?;
            Ok(Layered { id: key, values, origin: format!("file {place}") })
        })
        .collect()
}

/// A value as the text of a flag.
fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(is_on) => Some(vec![is_on.to_string()]),
        toml::Value::Array(values) => {
            let strings = values.iter().map(|value| value.as_str().map(str::to_owned));
            strings.collect::<Option<Vec<_>>>().filter(|values| !values.is_empty())
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// The credentials of systemd (`LoadCredential=`).
fn from_credentials() -> Vec<Layered> {
    let file = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join("tokens"));
    let file = file.filter(|file| file.is_file()).and_then(|file| Some(file.to_str()?.to_owned()));
    let layered =
        |file: String| Layered { id: "token_file".to_owned(), values: vec![file], origin: "credential".to_owned() };
    file.map(layered).into_iter().collect()
}

/// The secrets from files that variables name.
fn secrets() -> Result<Vec<Layered>, String> {
    let mut found = Vec::new();
    for (id, variable, file_variable) in SECRETS {
        let Some(path) = set(file_variable) else { continue };
        if set(variable).is_some() {
            return Err(format!("{variable} and {file_variable} are both set: remove one"));
        }
        let text = read(Path::new(&path)).map_err(|why| format!("{file_variable}: {why}"))?;
        let values = vec![text.trim_end_matches(['\r', '\n']).to_owned()];
        found.push(Layered { id: id.to_owned(), values, origin: format!("variable {file_variable}") });
    }
    Ok(found)
}

/// The texts of users and tokens from the environment and from files.
///
/// # Errors
/// One line: a file cannot be read, or two of the variables contradict each other.
pub(crate) fn named_tokens(token_file: Option<&Path>) -> Result<String, String> {
    let (tokens, file) = (set("CONTACTD_TOKENS"), set("CONTACTD_TOKENS_FILE"));
    let file = match (&tokens, &file, token_file) {
        (Some(_), Some(_), _) => {
            return Err("CONTACTD_TOKENS and CONTACTD_TOKENS_FILE are both set: remove one".to_owned());
        }
        (_, Some(_), Some(_)) => {
            return Err("--token-file and CONTACTD_TOKENS_FILE are both set: remove one".to_owned());
        }
        (_, Some(path), None) => Some(read(Path::new(path)).map_err(|why| format!("CONTACTD_TOKENS_FILE: {why}"))?),
        (_, None, Some(path)) => Some(read(path).map_err(|why| format!("--token-file {why}"))?),
        (_, None, None) => None,
    };
    let tokens =
        tokens.map(|text| text.into_string().map_err(|_| "CONTACTD_TOKENS is not UTF-8".to_owned())).transpose()?;
    Ok([tokens, file].into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

fn set(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

/// The files with secrets that other users of the machine may read.
pub(crate) fn open_secrets(token_file: Option<&Path>) -> Vec<PathBuf> {
    let named = SECRETS.iter().map(|(_, _, file_variable)| *file_variable).chain(["CONTACTD_TOKENS_FILE"]);
    let files = named.filter_map(set).map(PathBuf::from).chain(token_file.map(Path::to_owned));
    let is_open = |file: &PathBuf| fs::metadata(file).is_ok_and(|file| file.is_file() && file.mode() & 0o004 != 0);
    files.filter(is_open).collect()
}

/// Reads a file of settings or with a secret.
fn read(path: &Path) -> Result<String, String> {
    let failed = |error: &std::io::Error| permission::reason(path, error);
    let file = fs::metadata(path).map_err(|error| failed(&error))?;
    if file.len() > MAX_FILE {
        return Err(format!("{}: it is larger than {} KiB", path.display(), MAX_FILE >> 10));
    }
    fs::read_to_string(path).map_err(|error| failed(&error))
}

/// An error of clap about a value that is not from the command line, with its source.
fn explain(error: clap::Error, layered: &[Layered]) -> Stopped {
    let context = |kind| error.get(kind).map(ToString::to_string);
    let (flag, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    let is_origin = |setting: &&Layered| {
        let long = format!("--{}", setting.id.replace('_', "-"));
        flag.as_deref().is_some_and(|flag| flag.split(' ').next() == Some(&long))
            && value.as_ref().is_some_and(|value| setting.values.contains(value))
    };
    match layered.iter().find(is_origin) {
        Some(setting) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Stopped::Refused(format!("{}: {line}", setting.origin.trim_start_matches("file ")))
        }
        None => error.into(),
    }
}

/// Each setting with its value and source, in the form of a file of settings. Secrets are not shown.
fn printed(serve: &ArgMatches, layered: &[Layered]) -> String {
    let origins: BTreeMap<_, _> =
        layered.iter().map(|setting| (setting.id.as_str(), setting.origin.as_str())).collect();
    let mut text = String::new();
    let command = Cli::command();
    let Some(options) = command.find_subcommand("serve") else { return text };
    for option in options.get_arguments() {
        let id = option.get_id().as_str();
        if ["help", "config", "print_config"].contains(&id) || option.is_hide_set() {
            continue;
        }
        let values: Vec<&OsStr> = serve.get_raw(id).into_iter().flatten().collect();
        let origin = match serve.value_source(id) {
            Some(ValueSource::CommandLine) => "flag".to_owned(),
            Some(ValueSource::EnvVariable) => {
                format!("variable {}", option.get_env().unwrap_or_default().to_string_lossy())
            }
            _ => origins.get(id).map_or_else(|| "default".to_owned(), |origin| (*origin).to_owned()),
        };
        let values: Vec<_> = values.iter().map(|value| to_toml(id, &value.to_string_lossy())).collect();
        // Writing to a string does not fail.
        let _ = match values.as_slice() {
            [] => writeln!(text, "# {id} is not set"),
            [value] => writeln!(text, "{id} = {value} # {origin}"),
            values => writeln!(text, "{id} = [{}] # {origin}", values.join(", ")),
        };
    }
    let tokens = if set("CONTACTD_TOKENS").is_some() { "variable CONTACTD_TOKENS" } else { "" };
    let tokens = if set("CONTACTD_TOKENS_FILE").is_some() { "variable CONTACTD_TOKENS_FILE" } else { tokens };
    if !tokens.is_empty() {
        let _ = writeln!(text, "# tokens = \"…\" # {tokens}");
    }
    text
}

/// A value as TOML. Of a database, only the parts that cannot be a secret.
fn to_toml(id: &str, value: &str) -> String {
    let is_secret = SECRETS.iter().any(|(secret, ..)| *secret == id);
    let value = match value.parse::<Database>() {
        Ok(Database::Postgres(address)) if is_secret => address.to_string(),
        Err(_) if is_secret => "…".to_owned(),
        _ => value.to_owned(),
    };
    match value.as_str() {
        "true" | "false" => value,
        _ if value.parse::<i64>().is_ok() => value,
        _ => toml::Value::String(value).to_string(),
    }
}

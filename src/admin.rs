//! `contactd user`, `token`, `share` and `audit`: what an operator does beside a running server, on its database. What they
//! change holds at once in every process that serves it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::clock;
use crate::config::Place;
use crate::contact::date;
use crate::error::Error;
use crate::scopes::Scopes;
use crate::secret;
use crate::store::{Database, Deeds, NewToken, Options, Store, Token};
use crate::user::{Principal, User, UserName};

/// Longest time that a token is good for, in days, and a name of a token or a user, in characters.
const MAX_DAYS: u64 = 36_500;
const MAX_NAME: usize = 255;

/// Where the data is.
#[derive(Debug, Args)]
pub struct At {
    /// The database that is served: a SQLite file, or a postgres:// address
    #[arg(
        long,
        env = "CONTACTD_DATABASE",
        default_value = "contacts.db",
        value_name = "FILE|URL",
        hide_env_values = true,
        global = true
    )]
    database: Place,
}

/// `contactd user`
#[derive(Debug, Args)]
pub struct Users {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make a user, with an empty mailbox
    Add {
        /// 1 to 64 of A-Z a-z 0-9 . _ @ -
        #[arg(value_parser = user_name)]
        name: UserName,
        /// What the user is shown as; else the name
        #[arg(long, value_parser = shown_name, value_name = "TEXT")]
        display_name: Option<String>,
    },
    /// List the users
    List,
    /// Keep a user out, whatever tokens they have; what they own stays
    Disable {
        /// As `list` shows it
        #[arg(value_parser = user_name)]
        name: UserName,
    },
    /// Let a user in again
    Enable {
        /// As `list` shows it
        #[arg(value_parser = user_name)]
        name: UserName,
    },
    /// Delete a user and the whole mailbox, for good
    Remove {
        /// As `list` shows it
        #[arg(value_parser = user_name)]
        name: UserName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `contactd token`
#[derive(Debug, Args)]
pub struct Tokens {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token, and print it: it is shown this once
    Create {
        /// Whose it is; with --app, the name of the application
        #[arg(long, value_parser = user_name, required_unless_present = "app")]
        user: Option<UserName>,
        /// Make it an application's, which may open every mailbox
        #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "NAME")]
        app: Option<String>,
        /// What it permits: Contacts.Read, Contacts.ReadWrite, and with .Shared behind them the same of what others share;
        /// of an application also User.Read.All, User.ReadWrite.All. May be given more than once. If none is given, a user's
        /// permits Contacts.ReadWrite and Contacts.ReadWrite.Shared, an application's Contacts.ReadWrite
        #[arg(long, value_delimiter = ',', value_name = "PERMISSION")]
        scope: Vec<String>,
        /// For how long it is good, like 90d or 12h; else until it is revoked
        #[arg(long, value_parser = period, value_name = "TIME")]
        expires: Option<Duration>,
        /// What you call it
        #[arg(long, value_parser = shown_name, value_name = "TEXT")]
        name: Option<String>,
    },
    /// List the tokens, without their secrets
    List {
        /// Only those of one user
        #[arg(long, value_parser = user_name)]
        user: Option<UserName>,
    },
    /// Make a token worthless at once
    Revoke {
        /// As `list` shows it
        id: Uuid,
    },
}

/// `contactd share`
#[derive(Debug, Args)]
pub struct Shares {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: ShareCommand,
}

#[derive(Debug, Subcommand)]
enum ShareCommand {
    /// Let a user see another's mailbox, or change what they may do there
    Add {
        /// Whose mailbox
        #[arg(long, value_parser = user_name)]
        of: UserName,
        /// Who may see it
        #[arg(long, value_parser = user_name)]
        with: UserName,
        /// They may write to it as well
        #[arg(long)]
        write: bool,
    },
    /// List whom a mailbox is shared with
    List {
        /// Whose mailbox
        #[arg(long, value_parser = user_name)]
        of: UserName,
    },
    /// Take a share back, at once
    Remove {
        /// Whose mailbox
        #[arg(long, value_parser = user_name)]
        of: UserName,
        /// Who may see it no more
        #[arg(long, value_parser = user_name)]
        with: UserName,
    },
}

/// `contactd audit`
#[derive(Debug, Args)]
pub struct Audit {
    #[command(flatten)]
    at: At,
    /// Only what this user, this app:NAME, or operator did
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only what was done to this user's mailbox
    #[arg(long, value_parser = user_name, value_name = "NAME")]
    of: Option<UserName>,
    /// Only what was done to the contact, or whatever else has this id
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// Only the last part of the time, like 7d or 12h
    #[arg(long, value_parser = period, value_name = "TIME")]
    last: Option<Duration>,
    /// At most so many entries, the latest ones
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000), value_name = "N")]
    limit: i64,
}

fn user_name(text: &str) -> Result<UserName, String> {
    UserName::of_address(text).ok_or_else(|| "expected 1 to 64 of A-Z a-z 0-9 . _ @ -".to_owned())
}

fn shown_name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("expected 1 to {MAX_NAME} characters on one line")) }
}

/// A time like `90d` or `12h`.
fn period(text: &str) -> Result<Duration, String> {
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

/// Opens the store, does something with it, and closes it whatever came of that.
async fn with<T>(at: &At, work: impl AsyncFnOnce(&Store) -> Result<T, String>) -> Result<T, String> {
    let database = at.database.database("--database")?;
    if database == Database::Temporary {
        return Err("--database :memory:: it is of one process alone".to_owned());
    }
    let options = Options { upgrade: false, ..Options::default() };
    let store = Store::open(&database, options).await.map_err(|error| error.to_string())?;
    let done = work(&store).await;
    store.close().await;
    done
}

fn reason(error: Error) -> String {
    match error {
        Error::UnknownUser(name) => format!("there is no user '{name}'"),
        Error::NotFound => "there is none of that name".to_owned(),
        error => error.to_string(),
    }
}

async fn user(store: &Store, name: &UserName) -> Result<User, String> {
    let found = store.find_user(name).await.map_err(reason)?;
    found.ok_or_else(|| format!("there is no user '{}'", name.as_str()))
}

/// Writes lines to standard output, which somebody may have closed.
fn print(lines: impl IntoIterator<Item = String>) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}

fn time(micros: Option<i64>) -> String {
    micros.map_or_else(|| "-".to_owned(), date::print)
}

fn ago(last: Option<Duration>) -> i64 {
    last.map_or(0, |last| clock::now().saturating_sub(micros(last)))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// # Errors
/// One line, as with all of these.
pub async fn users(config: Users) -> Result<(), String> {
    with(&config.at, async |store: &Store| match config.what {
        UserCommand::Add { name, display_name } => {
            let made = store.add_user(&name, display_name).await.map_err(reason)?;
            let user = made.ok_or_else(|| format!("there is a user '{}' already", name.as_str()))?;
            print([format!("{} is made; contactd token create --user {} lets them in", user.id, user.id)]);
            Ok(())
        }
        UserCommand::List => {
            let accounts = store.accounts().await.map_err(reason)?;
            print(["ID\tPRINCIPAL NAME\tDISPLAY NAME\tMADE\tSTATE".to_owned()]);
            print(accounts.iter().map(|account| {
                let state = if account.disabled.is_some() { "disabled" } else { "-" };
                let user = &account.user;
                format!(
                    "{}\t{}\t{}\t{}\t{state}",
                    user.id,
                    user.user_principal_name,
                    user.display_name,
                    time(Some(account.created))
                )
            }));
            Ok(())
        }
        UserCommand::Disable { name } => {
            let user = store.disable_user(&name, true).await.map_err(reason)?;
            print([format!("{} is kept out", user.id)]);
            Ok(())
        }
        UserCommand::Enable { name } => {
            let user = store.disable_user(&name, false).await.map_err(reason)?;
            print([format!("{} is let in", user.id)]);
            Ok(())
        }
        UserCommand::Remove { name, yes } => {
            let found = user(store, &name).await?;
            if !yes && !confirmed(&found.id)? {
                return Err("nothing was removed".to_owned());
            }
            store.remove_user(&name).await.map_err(reason)?;
            print([format!("{} is removed, with all contacts", found.id)]);
            Ok(())
        }
    })
    .await
}

/// Asks on the terminal, if there is one.
fn confirmed(id: &str) -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Err("give --yes to remove a user, which cannot be undone".to_owned());
    }
    let _ = write!(std::io::stderr(), "Remove {id} and all their contacts, for good? Type the name again: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(answer.trim() == id)
}

/// # Errors
/// One line.
pub async fn tokens(config: Tokens) -> Result<(), String> {
    with(&config.at, async |store: &Store| match config.what {
        TokenCommand::Create { user, app, scope, expires, name } => {
            let bearer = match (app.as_deref(), user) {
                (None, Some(user)) => Principal::User(user),
                (Some(""), Some(app)) => Principal::App(app),
                (Some("") | None, None) => return Err("name the application: --app NAME".to_owned()),
                (Some(_), Some(_)) => return Err("give --user or --app a name, not both".to_owned()),
                (Some(app), None) => user_name(app).map(Principal::App).map_err(|why| format!("--app: {why}"))?,
            };
            let is_application = matches!(bearer, Principal::App(_));
            let scopes = match scope.as_slice() {
                [] => Scopes::usual(is_application),
                named => Scopes::parse(&named.join(" "), is_application).map_err(|why| format!("--scope: {why}"))?,
            };
            let expires = expires.map(|period| clock::now().saturating_add(micros(period)));
            let secret = secret::token()?;
            let digest = secret::hex(&secret::digest(&secret));
            let token = NewToken { bearer, digest, name, scopes, expires };
            let token = store.make_token(token).await.map_err(reason)?;
            let _ = writeln!(
                std::io::stderr(),
                "token {} of {} permits {}, until {}; it is shown this once:",
                token.id,
                token.bearer,
                token.scopes,
                token.expires.map_or_else(|| "it is revoked".to_owned(), date::print)
            );
            print([secret]);
            Ok(())
        }
        TokenCommand::List { user: only } => {
            let only = match &only {
                Some(name) => Some(user(store, name).await?.id),
                None => None,
            };
            let tokens = store.tokens().await.map_err(reason)?;
            let shown = tokens.iter().filter(|token| only.as_ref().is_none_or(|id| *id == token.bearer));
            print(["ID\tBEARER\tNAME\tPERMITS\tSTATE\tMADE\tUSED".to_owned()]);
            print(shown.map(|token| {
                let now = clock::now();
                let state = match (token.revoked, token.expires) {
                    (Some(_), _) => "revoked".to_owned(),
                    (None, Some(end)) if end <= now => "expired".to_owned(),
                    (None, end) => format!("until {}", time(end)),
                };
                let name = token.name.as_deref().unwrap_or("-");
                let (created, used) = (time(Some(token.created)), time(token.last_used));
                format!(
                    "{}\t{}\t{name}\t{}\t{state}\tmade {created}\tused {used}",
                    token.id, token.bearer, token.scopes
                )
            }));
            Ok(())
        }
        TokenCommand::Revoke { id } => {
            let token = store.revoke_token(id).await.map_err(reason)?;
            print([format!("token {} of {} is revoked", token.id, token.bearer)]);
            Ok(())
        }
    })
    .await
}

/// # Errors
/// One line.
pub async fn shares(config: Shares) -> Result<(), String> {
    with(&config.at, async |store: &Store| match config.what {
        ShareCommand::Add { of, with, write } => {
            let (of, with) = (user(store, &of).await?, user(store, &with).await?);
            if of.mailbox == with.mailbox {
                return Err("a mailbox is its owner's anyway".to_owned());
            }
            let share = store.acting_for_operator(of.mailbox, "share add").share(of.mailbox, with, write).await;
            let share = share.map_err(reason)?;
            print([format!("{} may {} the mailbox of {}", share.user.id, role(share.can_write), of.id)]);
            print(missing(store, &share.user, write).await?);
            Ok(())
        }
        ShareCommand::List { of } => {
            let of = user(store, &of).await?;
            let shares = store.shares(of.mailbox).await.map_err(reason)?;
            print(["WITH\tMAY".to_owned()]);
            print(shares.iter().map(|share| format!("{}\t{}", share.user.id, role(share.can_write))));
            Ok(())
        }
        ShareCommand::Remove { of, with } => {
            let (of, with) = (user(store, &of).await?, user(store, &with).await?);
            let store = store.acting_for_operator(of.mailbox, "share remove");
            store.unshare(of.mailbox, with.clone()).await.map_err(|error| match error {
                Error::NotFound => format!("the mailbox of {} is not shared with {}", of.id, with.id),
                error => reason(error),
            })?;
            print([format!("{} may not see the mailbox of {} any more", with.id, of.id)]);
            Ok(())
        }
    })
    .await
}

/// What a user still lacks to use a share, if it can be told: tokens may also be named by the server's environment.
async fn missing(store: &Store, with: &User, write: bool) -> Result<Option<String>, String> {
    if with.is_of_provider() {
        return Ok(None);
    }
    let (id, now) = (&with.id, clock::now());
    let permits = |token: &Token| {
        let scopes = Scopes::known(token.scopes.split(' '), false);
        let is_good = token.revoked.is_none() && token.expires.is_none_or(|end| end > now);
        is_good && if write { scopes.may_write_shared() } else { scopes.may_read_shared() }
    };
    let tokens = store.tokens().await.map_err(reason)?;
    if tokens.iter().any(|token| token.bearer == *id && permits(token)) {
        return Ok(None);
    }
    let scope = if write { "Contacts.ReadWrite.Shared" } else { "Contacts.Read.Shared" };
    Ok(Some(format!(
        "no token of {id} here permits it: contactd token create --user {id} makes one that does ({scope})"
    )))
}

fn role(can_write: bool) -> &'static str {
    if can_write { "write" } else { "read" }
}

/// # Errors
/// One line.
pub async fn audit(config: Audit) -> Result<(), String> {
    with(&config.at, async |store: &Store| {
        let mailbox = match &config.of {
            Some(name) => Some(user(store, name).await?.mailbox),
            None => None,
        };
        let which = Deeds { actor: config.by, mailbox, item: config.item, since: ago(config.last) };
        let deeds = store.deeds(&which, config.limit).await.map_err(reason)?;
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        print(["TIME\tBY\tADDRESS\tDID\tOF\tITEM\tTOKEN\tREQUEST".to_owned()]);
        print(deeds.into_iter().map(|deed| {
            let (time, token) = (time(Some(deed.time)), deed.token.map(|id| id.to_string()));
            let (request, mailbox) = (deed.request.map(|id| id.to_string()), or_none(deed.mailbox));
            let fields = [
                time,
                deed.actor,
                or_none(deed.address),
                deed.action,
                mailbox,
                or_none(deed.item),
                or_none(token),
                or_none(request),
            ];
            fields.join("\t")
        }));
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_days_or_hours() {
        assert_eq!(period("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(period("12h"), Ok(Duration::from_hours(12)));
        for bad in ["", "d", "0d", "-1d", "90", "1w", "36501d", "99999999999999999999d", "é"] {
            assert!(period(bad).is_err(), "{bad}");
        }
    }
}

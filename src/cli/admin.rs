//! `contactd user`, `token` and `share`: what an operator does beside a running server, on its database. What they
//! change holds at once in every process that serves it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::cli::config::Place;
use crate::clock;
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::plain::{is_plain, printed, shell_word};
use crate::domain::scopes::Scopes;
use crate::domain::secret;
use crate::domain::user::{self, EXPECTED_NAME, Principal, User, UserName};
use crate::store::{Database, NewToken, Options, Store, Token};

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
        /// A short name, or a principal name like ann@example.org
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
    /// Have whom an identity provider means be found by a name, whatever its tokens say
    Bind {
        /// The name; that of a user without an identity has that user be theirs
        #[arg(value_parser = called)]
        name: String,
        /// Whom the provider means: its own name for them (the sub of their tokens)
        #[arg(long, value_parser = called, value_name = "TEXT")]
        subject: String,
        /// The provider (the iss of their tokens); else the one whose user with this subject has signed in
        #[arg(long, env = "CONTACTD_OIDC_ISSUER", value_parser = issuer, value_name = "URL")]
        issuer: Option<String>,
    },
    /// Take back what bind gave
    Unbind {
        /// The name, or the id
        #[arg(value_parser = called)]
        name: String,
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

fn user_name(text: &str) -> Result<UserName, String> {
    UserName::of_address(text).ok_or_else(|| format!("expected {EXPECTED_NAME}"))
}

/// What finds a user: their name or id. An identity provider's has a name of any characters.
pub(crate) fn called(text: &str) -> Result<String, String> {
    if user::is_name(text) { Ok(text.to_owned()) } else { Err("expected a name on one line".to_owned()) }
}

fn issuer(text: &str) -> Result<String, String> {
    let fits = (1..=1_000).contains(&text.len()) && is_plain(text);
    if fits { Ok(text.to_owned()) } else { Err("expected the issuer as it stands in its tokens".to_owned()) }
}

fn shown_name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NAME).contains(&text.chars().count()) && is_plain(text);
    if fits { Ok(text.to_owned()) } else { Err(format!("expected 1 to {MAX_NAME} characters on one line")) }
}

/// A time like `90d` or `12h`.
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

/// Opens the store, does something with it, and closes it whatever came of that.
pub(crate) async fn with<T>(at: &At, work: impl AsyncFnOnce(&Store) -> Result<T, String>) -> Result<T, String> {
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

pub(crate) fn reason(error: Error) -> String {
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

/// Writes a line to standard output, which somebody may have closed.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", printed(line));
}

/// Writes rows, a line each, with tabs between. What is in them others wrote: it could look like other rows.
pub(crate) fn print<'a, R: IntoIterator<Item = &'a str>>(rows: impl IntoIterator<Item = R>) {
    let mut out = std::io::stdout().lock();
    for row in rows {
        let fields: Vec<_> = row.into_iter().map(printed).collect();
        if writeln!(out, "{}", fields.join("\t")).is_err() {
            return;
        }
    }
}

pub(crate) fn time(micros: Option<i64>) -> String {
    micros.map_or_else(|| "-".to_owned(), date::print)
}

pub(crate) fn ago(last: Option<Duration>) -> i64 {
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
            let word = shell_word(&user.id);
            say(&format!("{} is made; contactd token create --user {word} lets them in", user.id));
            Ok(())
        }
        UserCommand::List => {
            let accounts = store.accounts().await.map_err(reason)?;
            let mut header = vec!["ID", "PRINCIPAL NAME", "DISPLAY NAME", "MADE", "STATE"];
            if accounts.iter().any(|account| !account.identities.is_empty()) {
                header.extend(["PROVIDER", "SUBJECT", "CALLED THERE", "BOUND"]);
            }
            print([header]);
            let times: Vec<_> = accounts.iter().map(|account| time(Some(account.created))).collect();
            print(accounts.iter().zip(&times).map(|(account, time)| {
                let (user, state) = (&account.user, if account.disabled.is_some() { "disabled" } else { "-" });
                let mut fields = vec![&*user.id, &user.user_principal_name, &user.display_name, time, state];
                for known in &account.identities {
                    let bound = if known.bound { "bound" } else { "-" };
                    fields.extend([&known.issuer, &known.subject, known.claimed_name.as_deref().unwrap_or("-"), bound]);
                }
                fields
            }));
            Ok(())
        }
        UserCommand::Disable { name } => {
            let user = store.disable_user(&name, true).await.map_err(reason)?;
            say(&format!("{} is kept out", user.id));
            Ok(())
        }
        UserCommand::Enable { name } => {
            let user = store.disable_user(&name, false).await.map_err(reason)?;
            say(&format!("{} is let in", user.id));
            Ok(())
        }
        UserCommand::Bind { name, subject, issuer } => {
            let user = store.bind_name(&name, issuer, &subject).await.map_err(reason)?;
            say(&format!("{} is {}", user.user_principal_name, user.id));
            Ok(())
        }
        UserCommand::Unbind { name } => {
            let user = store.unbind_name(&name).await.map_err(reason)?;
            say(&format!("{} is bound no more", user.id));
            Ok(())
        }
        UserCommand::Remove { name, yes } => {
            let found = user(store, &name).await?;
            if !yes && !confirmed(&found.id)? {
                return Err("nothing was removed".to_owned());
            }
            store.remove_user(&name).await.map_err(reason)?;
            say(&format!("{} is removed, with all contacts", found.id));
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
    let _ = write!(std::io::stderr(), "Remove {} and all their contacts, for good? Type the name again: ", printed(id));
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
            say(&secret);
            Ok(())
        }
        TokenCommand::List { user: only } => {
            let only = match &only {
                Some(name) => Some(user(store, name).await?.id),
                None => None,
            };
            let tokens = store.tokens().await.map_err(reason)?;
            let shown = tokens.iter().filter(|token| only.as_ref().is_none_or(|id| *id == token.bearer));
            print([["ID", "BEARER", "NAME", "PERMITS", "STATE", "MADE", "USED"]]);
            let rows: Vec<_> = shown.map(token_row).collect();
            print(rows.iter().map(|row| row.iter().map(String::as_str)));
            Ok(())
        }
        TokenCommand::Revoke { id } => {
            let token = store.revoke_token(id).await.map_err(reason)?;
            say(&format!("token {} of {} is revoked", token.id, token.bearer));
            Ok(())
        }
    })
    .await
}

fn token_row(token: &Token) -> [String; 7] {
    let state = match (token.revoked, token.expires) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) if end <= clock::now() => "expired".to_owned(),
        (None, end) => format!("until {}", time(end)),
    };
    [
        token.id.to_string(),
        token.bearer.clone(),
        token.name.clone().unwrap_or_else(|| "-".to_owned()),
        token.scopes.clone(),
        state,
        format!("made {}", time(Some(token.created))),
        format!("used {}", time(token.last_used)),
    ]
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
            say(&format!("{} may {} the mailbox of {}", share.user.id, role(share.can_write), of.id));
            if let Some(missing) = missing(store, &share.user, write).await? {
                say(&missing);
            }
            Ok(())
        }
        ShareCommand::List { of } => {
            let of = user(store, &of).await?;
            let shares = store.shares(of.mailbox).await.map_err(reason)?;
            print([["WITH", "MAY"]]);
            print(shares.iter().map(|share| [&*share.user.id, role(share.can_write)]));
            Ok(())
        }
        ShareCommand::Remove { of, with } => {
            let (of, with) = (user(store, &of).await?, user(store, &with).await?);
            let store = store.acting_for_operator(of.mailbox, "share remove");
            store.unshare(of.mailbox, with.clone()).await.map_err(|error| match error {
                Error::NotFound => format!("the mailbox of {} is not shared with {}", of.id, with.id),
                error => reason(error),
            })?;
            say(&format!("{} may not see the mailbox of {} any more", with.id, of.id));
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
        "no token of {id} here permits it: contactd token create --user {} makes one that does ({scope})",
        shell_word(id)
    )))
}

fn role(can_write: bool) -> &'static str {
    if can_write { "write" } else { "read" }
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

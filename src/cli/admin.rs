//! `contactd user`, `token` and `share`. They work on the database, also while it is served; a change applies at once in
//! every process that serves it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use crate::cli::arguments::{AnyDatabase, any_name, display_name, issuer, period, user_name};
use crate::cli::output::{Form, print_json, print_line, reason, time};
use crate::cli::phone::{PhoneArgs, SignIn};
use crate::cli::to_json;
use crate::clock;
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::plain::{printed, shell_word};
use crate::domain::scopes::Scopes;
use crate::domain::secret;
use crate::domain::user::{Principal, User, UserName};
use crate::store::{Account, NewToken, Share, Store, Token};

/// `contactd user`
#[derive(Debug, Args)]
pub struct UsersArgs {
    #[command(flatten)]
    at: AnyDatabase,
    #[command(flatten)]
    form: Form,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user, with an empty mailbox
    Add {
        /// A short name, or a principal name like ann@example.org
        #[arg(value_parser = user_name)]
        name: UserName,
        /// Name to show; by default the user's name
        #[arg(long, value_parser = display_name, value_name = "TEXT")]
        display_name: Option<String>,
    },
    /// List the users
    List,
    /// Disable a user; the data is kept
    Disable {
        /// As `list` shows it
        #[arg(value_parser = user_name)]
        name: UserName,
    },
    /// Enable a disabled user
    Enable {
        /// As `list` shows it
        #[arg(value_parser = user_name)]
        name: UserName,
    },
    /// Give a name to a user of an identity provider, whatever its tokens say
    Bind {
        /// The name. If a user without an identity has it, the provider's user becomes that user
        #[arg(value_parser = any_name)]
        name: String,
        /// The provider's id for the user (the sub claim of the tokens)
        #[arg(long, value_parser = any_name, value_name = "TEXT")]
        subject: String,
        /// The provider (the iss claim of the tokens); by default the one whose user with this subject has signed in
        #[arg(long, env = "CONTACTD_OIDC_ISSUER", value_parser = issuer, value_name = "URL")]
        issuer: Option<String>,
    },
    /// Undo `bind`
    Unbind {
        /// The name or the id
        #[arg(value_parser = any_name)]
        name: String,
    },
    /// Delete a user and the user's mailbox permanently
    Remove {
        /// As `list` shows it
        #[arg(value_parser = user_name)]
        name: UserName,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// `contactd token`
#[derive(Debug, Args)]
pub struct TokensArgs {
    #[command(flatten)]
    at: AnyDatabase,
    #[command(flatten)]
    form: Form,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a token and print it; it is not shown again
    Create {
        /// The user; with --app, the name of the application
        #[arg(long, value_parser = user_name, required_unless_present = "app")]
        user: Option<UserName>,
        /// Create the token of an application, which may open every mailbox
        #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "NAME")]
        app: Option<String>,
        /// Permission: Contacts.Read or Contacts.ReadWrite, or either with .Shared at the end for mailboxes that others share;
        /// for an application also User.Read.All or User.ReadWrite.All. Can be repeated. Default for a user:
        /// Contacts.ReadWrite and Contacts.ReadWrite.Shared; for an application: Contacts.ReadWrite
        #[arg(long, value_delimiter = ',', value_name = "PERMISSION")]
        scope: Vec<String>,
        /// Lifetime of the token, like 90d or 12h; by default it does not expire
        #[arg(long, value_parser = period, value_name = "TIME")]
        expires: Option<Duration>,
        /// Name of the token
        #[arg(long, value_parser = display_name, value_name = "TEXT")]
        name: Option<String>,
        /// For a phone.
        #[command(flatten)]
        phone: PhoneArgs,
    },
    /// List the tokens, without their secrets
    List {
        /// Only the tokens of this user
        #[arg(long, value_parser = user_name)]
        user: Option<UserName>,
    },
    /// Revoke a token at once
    Revoke {
        /// As `list` shows it
        id: Uuid,
    },
}

/// `contactd share`
#[derive(Debug, Args)]
pub struct SharesArgs {
    #[command(flatten)]
    at: AnyDatabase,
    #[command(flatten)]
    form: Form,
    #[command(subcommand)]
    command: ShareCommand,
}

#[derive(Debug, Subcommand)]
enum ShareCommand {
    /// Share a mailbox with a user, or change whether the user may write to it
    Add {
        /// The owner of the mailbox
        #[arg(long, value_parser = user_name)]
        of: UserName,
        /// The user who may read it
        #[arg(long, value_parser = user_name)]
        with: UserName,
        /// Allow to write as well
        #[arg(long)]
        write: bool,
    },
    /// List the users with whom a mailbox is shared
    List {
        /// The owner of the mailbox
        #[arg(long, value_parser = user_name)]
        of: UserName,
    },
    /// Stop sharing a mailbox with a user, at once
    Remove {
        /// The owner of the mailbox
        #[arg(long, value_parser = user_name)]
        of: UserName,
        /// The user
        #[arg(long, value_parser = user_name)]
        with: UserName,
    },
}

async fn user(store: &Store, name: &UserName) -> Result<User, String> {
    let found = store.find_user(name).await.map_err(reason)?;
    found.ok_or_else(|| format!("there is no user '{}'", name.as_str()))
}

/// Runs `contactd user`.
///
/// # Errors
/// One line that says why.
pub async fn users(config: UsersArgs) -> Result<(), String> {
    let form = config.form;
    config
        .at
        .with_store(async |store: &Store| match config.command {
            UserCommand::Add { name, display_name } => {
                let added = store.add_user(&name, display_name).await.map_err(reason)?;
                let user = added.ok_or_else(|| format!("user '{}' already exists", name.as_str()))?;
                let word = shell_word(&user.id);
                let hint = format!("contactd token create --user {word}");
                form.print(&format!("added {}; create a token with: {hint}", user.id), &to_json::user(&user));
                Ok(())
            }
            UserCommand::List => {
                list_users(&store.accounts().await.map_err(reason)?, form);
                Ok(())
            }
            UserCommand::Disable { name } => {
                let user = store.disable_user(&name, true).await.map_err(reason)?;
                form.print(&format!("{} is disabled", user.id), &to_json::user_with(&user, "disabled", true));
                Ok(())
            }
            UserCommand::Enable { name } => {
                let user = store.disable_user(&name, false).await.map_err(reason)?;
                form.print(&format!("{} is enabled", user.id), &to_json::user_with(&user, "disabled", false));
                Ok(())
            }
            UserCommand::Bind { name, subject, issuer } => {
                let user = store.bind_name(&name, issuer, &subject).await.map_err(reason)?;
                let line = format!("{} is {}", user.user_principal_name, user.id);
                form.print(&line, &to_json::user_with(&user, "bound", true));
                Ok(())
            }
            UserCommand::Unbind { name } => {
                let user = store.unbind_name(&name).await.map_err(reason)?;
                form.print(&format!("{} is no longer bound", user.id), &to_json::user_with(&user, "bound", false));
                Ok(())
            }
            UserCommand::Remove { name, yes } => {
                let found = user(store, &name).await?;
                if !yes && !confirmed(&found.id)? {
                    return Err("nothing was removed".to_owned());
                }
                store.remove_user(&name).await.map_err(reason)?;
                let line = format!("removed {} and all their contacts", found.id);
                form.print(&line, &to_json::user_with(&found, "removed", true));
                Ok(())
            }
        })
        .await
}

fn list_users(accounts: &[Account], form: Form) {
    let mut heads = vec!["ID", "PRINCIPAL NAME", "DISPLAY NAME", "CREATED", "STATE"];
    if accounts.iter().any(|account| !account.identities.is_empty()) {
        heads.extend(["PROVIDER", "SUBJECT", "CLAIMED NAME", "BOUND"]);
    }
    let row = |account: &Account| {
        let (user, state) = (&account.user, if account.disabled.is_some() { "disabled" } else { "-" });
        let created = time(Some(account.created));
        let mut fields = vec![&*user.id, &user.user_principal_name, &user.display_name, &created, state];
        for identity in &account.identities {
            let bound = if identity.bound { "bound" } else { "-" };
            fields.extend([
                &*identity.issuer,
                &identity.subject,
                identity.claimed_name.as_deref().unwrap_or("-"),
                bound,
            ]);
        }
        (fields.into_iter().map(str::to_owned).collect(), to_json::account(account))
    };
    form.print_list(&heads, &accounts.iter().map(row).collect::<Vec<_>>());
}

/// Asks for confirmation on the terminal, if there is one.
fn confirmed(id: &str) -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Err("removing a user cannot be undone: confirm with --yes".to_owned());
    }
    let _ = write!(
        std::io::stderr(),
        "Remove {} and all their contacts permanently? Type the name to confirm: ",
        printed(id)
    );
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(answer.trim() == id)
}

/// Runs `contactd token`.
///
/// # Errors
/// One line that says why.
pub async fn tokens(config: TokensArgs) -> Result<(), String> {
    let form = config.form;
    config
        .at
        .with_store(async |store: &Store| match config.command {
            TokenCommand::Create { user, app, scope, expires, name, phone } => {
                create_token(store, TokenOptions { user, app, scope, expires, name, phone }, form).await
            }
            TokenCommand::List { user: only } => {
                let only = match &only {
                    Some(name) => Some(user(store, name).await?.id),
                    None => None,
                };
                let tokens = store.tokens().await.map_err(reason)?;
                let shown = tokens.iter().filter(|token| only.as_ref().is_none_or(|id| *id == token.bearer));
                let rows: Vec<_> = shown.map(|token| (token_row(token), to_json::token(token))).collect();
                form.print_list(&["ID", "BEARER", "NAME", "PERMITS", "STATE", "CREATED", "USED"], &rows);
                Ok(())
            }
            TokenCommand::Revoke { id } => {
                let token = store.revoke_token(id).await.map_err(reason)?;
                form.print(&format!("token {} of {} is revoked", token.id, token.bearer), &to_json::token(&token));
                Ok(())
            }
        })
        .await
}

/// The options of `contactd token create`.
struct TokenOptions {
    user: Option<UserName>,
    app: Option<String>,
    scope: Vec<String>,
    expires: Option<Duration>,
    name: Option<String>,
    phone: PhoneArgs,
}

async fn create_token(store: &Store, options: TokenOptions, form: Form) -> Result<(), String> {
    let TokenOptions { user, app, scope, expires, name, phone } = options;
    let bearer = match (app.as_deref(), user) {
        (None, Some(user)) => Principal::User(user),
        (Some(""), Some(app)) => Principal::App(app),
        (Some("") | None, None) => return Err("name the application: --app NAME".to_owned()),
        (Some(_), Some(_)) => {
            return Err("name the application either with --app or with --user, not both".to_owned());
        }
        (Some(app), None) => user_name(app).map(Principal::App).map_err(|why| format!("--app: {why}"))?,
    };
    let is_application = matches!(bearer, Principal::App(_));
    if is_application && phone.wants_more() {
        return Err("--qr and --apple-profile are for users: CardDAV has no applications".to_owned());
    }
    let scopes = match scope.as_slice() {
        [] => Scopes::default_for(is_application),
        named => Scopes::parse(&named.join(" "), is_application).map_err(|why| format!("--scope: {why}"))?,
    };
    let expires = expires.map(|period| clock::now().saturating_add(clock::micros(period)));
    let secret = secret::token()?;
    let digest = secret::hex(&secret::digest(&secret));
    let token = NewToken { bearer, digest, name, scopes, expires };
    let token = store.create_token(token).await.map_err(reason)?;
    if form.is_json() {
        let mut json_value = to_json::token(&token);
        json_value["token"] = secret.clone().into();
        print_json(&json_value);
        let sign_in = SignIn { user: &token.bearer, password: &secret, name: token.name.as_deref() };
        return if phone.wants_more() { phone.print(&sign_in) } else { Ok(()) };
    }
    let _ = writeln!(
        std::io::stderr(),
        "token {} of {}, permits {}, valid until {}. It will not be shown again:",
        token.id,
        token.bearer,
        token.scopes,
        token.expires.map_or_else(|| "it is revoked".to_owned(), date::print)
    );
    print_line(&secret);
    if is_application {
        return Ok(());
    }
    phone.print(&SignIn { user: &token.bearer, password: &secret, name: token.name.as_deref() })
}

fn token_row(token: &Token) -> Vec<String> {
    let state = match to_json::state(token) {
        "valid" => format!("until {}", time(token.expires)),
        state => state.to_owned(),
    };
    vec![
        token.id.to_string(),
        token.bearer.clone(),
        token.name.clone().unwrap_or_else(|| "-".to_owned()),
        token.scopes.clone(),
        state,
        format!("created {}", time(Some(token.created))),
        format!("used {}", time(token.last_used)),
    ]
}

/// Runs `contactd share`.
///
/// # Errors
/// One line that says why.
pub async fn shares(config: SharesArgs) -> Result<(), String> {
    let form = config.form;
    config
        .at
        .with_store(async |store: &Store| match config.command {
            ShareCommand::Add { of, with, write } => {
                let (owner, grantee) = (user(store, &of).await?, user(store, &with).await?);
                if owner.mailbox == grantee.mailbox {
                    return Err("the owner already has access to the mailbox".to_owned());
                }
                let share = store.with_operator(owner.mailbox, "share add").share(owner.mailbox, grantee, write).await;
                let share = share.map_err(reason)?;
                let line =
                    format!("the mailbox of {} is shared with {} ({})", owner.id, share.user.id, role(share.can_write));
                form.print(&line, &to_json::share(&owner, &share));
                let hint = missing_token_hint(store, &share.user, write).await?;
                if let Some(hint) = hint.filter(|_| !form.is_json()) {
                    print_line(&hint);
                }
                Ok(())
            }
            ShareCommand::List { of } => {
                let owner = user(store, &of).await?;
                let shares = store.shares(owner.mailbox).await.map_err(reason)?;
                let row = |share: &Share| {
                    let fields = vec![share.user.id.clone(), role(share.can_write).to_owned()];
                    (fields, to_json::share(&owner, share))
                };
                form.print_list(&["WITH", "MAY"], &shares.iter().map(row).collect::<Vec<_>>());
                Ok(())
            }
            ShareCommand::Remove { of, with } => {
                let (owner, grantee) = (user(store, &of).await?, user(store, &with).await?);
                let store = store.with_operator(owner.mailbox, "share remove");
                store.unshare(owner.mailbox, grantee.clone()).await.map_err(|error| match error {
                    Error::NotFound => format!("the mailbox of {} is not shared with {}", owner.id, grantee.id),
                    error => reason(error),
                })?;
                let line = format!("the mailbox of {} is no longer shared with {}", owner.id, grantee.id);
                form.print(&line, &json!({"of": owner.id, "with": grantee.id, "removed": true}));
                Ok(())
            }
        })
        .await
}

/// A hint to create a token, if a user has none here that permits the use of a share. The server's environment may name
/// other tokens, which are not known here.
async fn missing_token_hint(store: &Store, grantee: &User, write: bool) -> Result<Option<String>, String> {
    if grantee.is_of_provider() {
        return Ok(None);
    }
    let (id, now) = (&grantee.id, clock::now());
    let permits = |token: &Token| {
        let scopes = Scopes::from_known_names(token.scopes.split(' '), false);
        let is_valid = token.revoked.is_none() && token.expires.is_none_or(|end| end > now);
        is_valid && if write { scopes.may_write_shared() } else { scopes.may_read_shared() }
    };
    let tokens = store.tokens().await.map_err(reason)?;
    if tokens.iter().any(|token| token.bearer == *id && permits(token)) {
        return Ok(None);
    }
    let scope = if write { "Contacts.ReadWrite.Shared" } else { "Contacts.Read.Shared" };
    Ok(Some(format!(
        "no token of {id} in this database has {scope}; create one with: contactd token create --user {}",
        shell_word(id)
    )))
}

fn role(can_write: bool) -> &'static str {
    if can_write { "write" } else { "read" }
}

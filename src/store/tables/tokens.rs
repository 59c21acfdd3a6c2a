//! Tokens: the SHA-256, the scopes and the bearer are stored. A token is looked up by its SHA-256, so neither the
//! database nor the timing of a comparison reveals a secret.

use uuid::Uuid;

use crate::clock;
use crate::domain::error::Error;
use crate::domain::scopes::Scopes;
use crate::domain::user::{Principal, User, UserName};
use crate::metrics::list::Auth;
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::tables::{audit, quota, users};
use crate::store::write::tx::Tx;

/// Maximum number of tokens that are neither revoked nor expired.
const MAX_TOKENS: i64 = 100_000;

/// A token to create.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The bearer. A user must exist.
    pub bearer: Principal,
    /// SHA-256 of the secret, in hexadecimal.
    pub digest: String,
    /// Its name, for people.
    pub name: Option<String>,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its expiration, in UTC microseconds.
    pub expires: Option<i64>,
}

/// A token as its operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says, or as in NewToken; times are UTC microseconds")]
pub struct Token {
    pub id: Uuid,
    /// A user's id, or `app:NAME`.
    pub bearer: String,
    pub name: Option<String>,
    pub scopes: String,
    pub created: i64,
    pub expires: Option<i64>,
    pub revoked: Option<i64>,
    /// Precise to some minutes.
    pub last_used: Option<i64>,
}

/// The bearer of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer {
    /// A user.
    User(User),
    /// The application of this name.
    App(String),
}

/// The facts of a token that never change. Whether it was revoked is checked with each use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// The id that revokes it.
    pub id: Uuid,
    /// The bearer.
    pub bearer: Bearer,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its expiration, in UTC microseconds.
    pub expires: Option<i64>,
}

impl Store {
    /// Stores a token.
    ///
    /// # Errors
    /// [`Error::UnknownUser`]; [`Error::Denied`] if the user is an identity provider's; [`Error::Quota`] if there are
    /// 100,000 tokens.
    pub async fn create_token(&self, new: NewToken) -> Result<Token, Error> {
        self.write(None, async move |tx| create(tx, &new).await).await
    }

    /// Whether anybody can sign in: whether there is a valid token of an enabled bearer.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn can_sign_in(&self) -> Result<bool, Error> {
        self.read(async |session: &mut Session| can_sign_in(session, clock::now()).await).await
    }

    /// Creates a token, and its user if needed, unless somebody can sign in already. Returns whether it did.
    ///
    /// # Errors
    /// [`Error::Denied`] if the user is disabled; else those of the database.
    pub async fn create_first_user(&self, name: &UserName, token: NewToken) -> Result<bool, Error> {
        let name = name.clone();
        let work = async move |tx: &mut Tx| {
            quota::lock_counts(tx).await?;
            let now = tx.now();
            if can_sign_in(tx.reader().await?, now).await? {
                return Ok(false);
            }
            users::ensure(tx, &name).await?;
            create(tx, &token).await?;
            let is_usable = can_sign_in(tx.reader().await?, now).await?;
            if is_usable { Ok(true) } else { Err(Error::Denied("the user is disabled (contactd user enable)")) }
        };
        self.write(None, work).await
    }

    /// All tokens, in the order of creation.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        let text = concat!(select!(), " order by t.id");
        let list = async |session: &mut Session| {
            session.rows(Statement::new(text)).await?.iter().map(read).collect::<Result<Vec<_>, _>>()
        };
        self.read_expensive(None, list).await
    }

    /// Revokes a token, at once and in every process. Returns the revoked token.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn revoke_token(&self, id: Uuid) -> Result<Token, Error> {
        let work = async move |tx: &mut Tx| {
            let found = get(tx.reader().await?, id).await?;
            let text = "update tokens set revoked_date_time = $2 where id = $1 and revoked_date_time is null";
            tx.execute(Statement::new(text).bind(id).bind(tx.now())).await?;
            audit::by_operator(tx, 0, "token revoke", Some(&found.bearer), Some(id)).await?;
            get(tx.reader().await?, id).await
        };
        self.write(None, work).await
    }

    /// The token whose secret has this SHA-256, in hexadecimal, or why it is not good. It is unknown too if its user was removed.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn token_by_digest(&self, digest: &str) -> Result<Result<TokenFacts, Auth>, Error> {
        let text = "
select t.id, t.scopes, t.app, t.expiration_date_time, u.id, u.display_name, u.user_principal_name, u.mail, u.mailbox,
    t.revoked_date_time is not null, u.disabled_date_time is not null
from tokens t left join users u on u.mailbox = t.mailbox
where t.digest = $1 and (t.app is not null or u.id is not null)";
        let find = async |session: &mut Session| {
            let Some(row) = session.row(Statement::new(text).bind(digest)).await? else {
                return Ok(Err(Auth::Unknown));
            };
            let (scopes, app): (String, Option<String>) = (row.get(1)?, row.get(2)?);
            let (expires, revoked, disabled): (Option<i64>, bool, bool) = (row.get(3)?, row.get(9)?, row.get(10)?);
            if revoked {
                return Ok(Err(Auth::Revoked));
            }
            if expires.is_some_and(|end| end <= clock::now()) {
                return Ok(Err(Auth::Expired));
            }
            if disabled {
                return Ok(Err(Auth::Disabled));
            }
            let scopes = Scopes::from_known_names(scopes.split(' '), app.is_some());
            let bearer = match app {
                Some(app) => Bearer::App(app),
                None => Bearer::User(users::read(&row, 4)?),
            };
            Ok(Ok(TokenFacts { id: row.get(0)?, bearer, scopes, expires }))
        };
        self.read_essential(find).await
    }

    /// Records the use of a token.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record_token_use(&self, id: Uuid) -> Result<(), Error> {
        let text = "update tokens set last_used_date_time = $2 where id = $1";
        self.write(None, async move |tx| tx.execute(Statement::new(text).bind(id).bind(tx.now())).await).await
    }
}

async fn can_sign_in(session: &mut Session, now: i64) -> Result<bool, Error> {
    let text = "
select 1 from tokens t left join users u on u.mailbox = t.mailbox
where t.revoked_date_time is null and coalesce(t.expiration_date_time > $1, true)
    and (t.app is not null or u.id is not null and u.disabled_date_time is null)
limit 1";
    Ok(session.row(Statement::new(text).bind(now)).await?.is_some())
}

macro_rules! select {
    () => {
        "
select t.id, coalesce(u.id, 'app:' || t.app, ''), t.name, t.scopes, t.created_date_time, t.expiration_date_time,
    t.revoked_date_time, t.last_used_date_time
from tokens t left join users u on u.mailbox = t.mailbox"
    };
}
use select;

fn read(row: &Row) -> Result<Token, Error> {
    Ok(Token {
        id: row.get(0)?,
        bearer: row.get(1)?,
        name: row.get(2)?,
        scopes: row.get(3)?,
        created: row.get(4)?,
        expires: row.get(5)?,
        revoked: row.get(6)?,
        last_used: row.get(7)?,
    })
}

async fn get(session: &mut Session, id: Uuid) -> Result<Token, Error> {
    let text = concat!(select!(), " where t.id = $1");
    read(&session.row(Statement::new(text).bind(id)).await?.ok_or(Error::NotFound)?)
}

async fn create(tx: &mut Tx, new: &NewToken) -> Result<Token, Error> {
    quota::lock_counts(tx).await?;
    let text = "
select count(*) from tokens
where revoked_date_time is null and (expiration_date_time is null or expiration_date_time > $1)";
    let count = Statement::new(text).bind(tx.now());
    let count = tx.reader().await?.count(count).await?;
    if count >= MAX_TOKENS {
        return Err(Error::Quota(format!("This server has at most {MAX_TOKENS} tokens.")));
    }
    let (mailbox, app) = match &new.bearer {
        Principal::User(name) => (Some(users::check_local(users::existing(tx, name).await?)?.mailbox), None),
        Principal::App(name) => (None, Some(name.as_str())),
    };
    let id = Tx::internal_id();
    let text = "
insert into tokens (id, digest, mailbox, app, name, scopes, created_date_time, expiration_date_time)
values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let statement = Statement::new(text).bind(id).bind(&new.digest).bind(mailbox).bind(app).bind(new.name.as_ref());
    tx.execute(statement.bind(new.scopes.to_string()).bind(tx.now()).bind(new.expires)).await?;
    let created = get(tx.reader().await?, id).await?;
    audit::by_operator(tx, mailbox.unwrap_or(0), "token create", Some(&created.bearer), Some(id)).await?;
    Ok(created)
}

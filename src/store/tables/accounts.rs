//! Users as the operator sees and manages them.

use crate::domain::error::Error;
use crate::domain::user::{User, UserName};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::tables::identities::KnownIdentity;
use crate::store::tables::{audit, identities, users};
use crate::store::write::tx::Tx;

/// The rows that are removed with a user.
const FORGET: [&str; 3] = [
    "delete from tokens where mailbox = $1",
    "delete from shares where mailbox = $1 or grantee = $1",
    "delete from subscriptions where mailbox = $1",
];

/// A user as the operator sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Time of creation, in UTC microseconds.
    pub created: i64,
    /// The time since which the user is disabled, in UTC microseconds.
    pub disabled: Option<i64>,
    /// The identities at identity providers. A user of contactd's own has none, unless the operator has bound the name.
    pub identities: Vec<KnownIdentity>,
}

impl Store {
    /// All users as the operator sees them, in the order of creation.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let text =
            concat!(users::select!(), ", c.created_date_time, c.disabled_date_time from users c order by c.mailbox");
        let list = async |session: &mut Session| {
            let mut identities = identities::all(session).await?.into_iter().peekable();
            let account = |row: &Row| {
                let (user, mut identities_of_user) = (users::read(row, 0)?, Vec::new());
                while let Some((_, known)) = identities.next_if(|(mailbox, _)| *mailbox <= user.mailbox) {
                    identities_of_user.push(known);
                }
                Ok(Account { user, created: row.get(5)?, disabled: row.get(6)?, identities: identities_of_user })
            };
            session.rows(Statement::new(text)).await?.iter().map(account).collect()
        };
        self.read_expensive(None, list).await
    }

    /// Whether there are tokens, or users that an operator or an identity provider created. Then the database is not
    /// only for tests.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_real_users(&self) -> Result<bool, Error> {
        let text = "
select 1 where exists (select 1 from tokens) or exists (select 1 from identities)
    or exists (select 1 from users u
        where (select a.action from audit a where a.mailbox = u.mailbox order by a.id limit 1) = 'user add')";
        let any = async |session: &mut Session| session.row(Statement::new(text)).await;
        Ok(self.read(any).await?.is_some())
    }

    /// Creates a user, with a display name if one is given. `None` if the user exists already.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn add_user(&self, name: &UserName, display_name: Option<String>) -> Result<Option<User>, Error> {
        let name = name.clone();
        let work = async move |tx: &mut Tx| {
            if users::find(tx.reader().await?, name.as_str()).await?.is_some() {
                return Ok(None);
            }
            let mut user = users::ensure(tx, &name).await?;
            if let Some(display_name) = display_name {
                let text = "update users set display_name = $2 where mailbox = $1";
                tx.execute(Statement::new(text).bind(user.mailbox).bind(&display_name)).await?;
                user.display_name = display_name;
            }
            audit::by_operator(tx, user.mailbox, "user add", Some(&user.id), None).await?;
            Ok(Some(user))
        };
        self.write(None, work).await
    }

    /// Disables or enables a user, at once and in every process.
    ///
    /// # Errors
    /// [`Error::UnknownUser`]
    pub async fn disable_user(&self, name: &UserName, disabled: bool) -> Result<User, Error> {
        let name = name.clone();
        let work = async move |tx: &mut Tx| {
            let user = users::existing(tx, &name).await?;
            let text = "update users set disabled_date_time = $2 where mailbox = $1";
            tx.execute(Statement::new(text).bind(user.mailbox).bind(disabled.then_some(tx.now()))).await?;
            let action = if disabled { "user disable" } else { "user enable" };
            audit::by_operator(tx, user.mailbox, action, Some(&user.id), None).await?;
            Ok(user)
        };
        self.write(None, work).await
    }

    /// Removes a user and the mailbox permanently. One transaction removes the user, and from then on nobody sees their
    /// data. The data is then removed in pieces; if that is interrupted, the next purge continues.
    ///
    /// # Errors
    /// [`Error::UnknownUser`]
    pub async fn remove_user(&self, name: &UserName) -> Result<User, Error> {
        let found = self.find_user(name).await?;
        let user = found.ok_or_else(|| Error::UnknownUser(name.as_str().to_owned()))?;
        let (mailbox, id) = (user.mailbox, user.id.clone());
        let work = async move |tx: &mut Tx| {
            for text in FORGET {
                tx.execute(Statement::new(text).bind(mailbox)).await?;
            }
            tx.execute(Statement::new("delete from subscriptions where creator = $1").bind(&id)).await?;
            identities::forget(tx, mailbox).await?;
            audit::by_operator(tx, mailbox, audit::REMOVAL, Some(&id), None).await
        };
        self.write(Some(mailbox), work).await?;
        self.forget_user(&user.user_principal_name);
        self.forget_user(&user.id);
        self.empty_mailbox(mailbox).await?;
        Ok(user)
    }
}

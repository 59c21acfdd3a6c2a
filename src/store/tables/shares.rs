//! Shares: mailboxes that other users may read or write.

use crate::domain::error::Error;
use crate::domain::user::{self, User};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::tables::users;
use crate::store::write::tx::Tx;

/// Maximum number of users that one mailbox is shared with.
const MAX_SHARES: i64 = 1_000;

/// The permission of a user to see another user's mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The mailbox's owner in a list of the user it is shared with; in the owner's list, that user.
    pub user: User,
    /// Whether it also permits writing.
    pub can_write: bool,
}

macro_rules! select {
    ($user:literal) => {
        concat!(
            "
select s.can_write, u.id, u.display_name, u.user_principal_name, u.mail, u.mailbox
from shares s join users u on u.mailbox = s.",
            $user
        )
    };
}

impl Store {
    /// The mailbox of the user with this name or id, if it is shared with the owner of the mailbox `grantee`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn shared_with(&self, grantee: i64, name: &str) -> Result<Option<Share>, Error> {
        let text =
            concat!(select!("mailbox"), " where (u.user_principal_name_key = $1 or u.id = $2) and s.grantee = $3");
        let find = async |session: &mut Session| {
            let statement = Statement::new(text).bind(user::key(name)).bind(name).bind(grantee);
            session.row(statement).await?.as_ref().map(read).transpose()
        };
        if !user::is_name(name) {
            return Ok(None);
        }
        self.read_essential(find).await
    }

    /// The mailboxes that are shared with the owner of the mailbox `grantee`, by their owners' ids.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn shared_to(&self, grantee: i64) -> Result<Vec<Share>, Error> {
        let text = concat!(select!("mailbox"), " where s.grantee = $1 order by u.id");
        let list = async |session: &mut Session| {
            session.rows(Statement::new(text).bind(grantee)).await?.iter().map(read).collect()
        };
        self.read_essential(list).await
    }

    /// The users a mailbox is shared with, in the order in which they were created.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn shares(&self, mailbox: i64) -> Result<Vec<Share>, Error> {
        let text = concat!(select!("grantee"), " where s.mailbox = $1 order by s.grantee");
        let list = async |session: &mut Session| {
            session.rows(Statement::new(text).bind(mailbox)).await?.iter().map(read).collect()
        };
        self.read_expensive(Some(mailbox), list).await
    }

    /// Shares a mailbox with a user, or changes the share.
    ///
    /// # Errors
    /// [`Error::Quota`] if it is shared with 1,000 users.
    pub async fn share(&self, mailbox: i64, grantee: User, can_write: bool) -> Result<Share, Error> {
        self.write(Some(mailbox), async move |tx| put(tx, mailbox, grantee, can_write).await).await
    }

    /// Changes how a mailbox is shared. A share that was removed in between stays removed.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no share.
    pub async fn change_share(&self, mailbox: i64, grantee: User, can_write: bool) -> Result<Share, Error> {
        let work = async move |tx: &mut Tx| {
            check_exists(tx, mailbox, &grantee).await?;
            tx.set_created(grantee.id.clone());
            let text = "update shares set can_write = $3 where mailbox = $1 and grantee = $2";
            tx.execute(Statement::new(text).bind(mailbox).bind(grantee.mailbox).bind(can_write)).await?;
            Ok(Share { user: grantee, can_write })
        };
        self.write(Some(mailbox), work).await
    }

    /// Removes a share at once, with the subscriptions that its user has made to the mailbox.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no share.
    pub async fn unshare(&self, mailbox: i64, grantee: User) -> Result<(), Error> {
        let work = async move |tx: &mut Tx| {
            check_exists(tx, mailbox, &grantee).await?;
            tx.set_created(grantee.id.clone());
            let text = "delete from shares where mailbox = $1 and grantee = $2";
            tx.execute(Statement::new(text).bind(mailbox).bind(grantee.mailbox)).await
        };
        self.write(Some(mailbox), work).await
    }
}

/// See [`Store::share`].
pub(in crate::store) async fn put(tx: &mut Tx, mailbox: i64, grantee: User, can_write: bool) -> Result<Share, Error> {
    let text = "select count(*) from shares where mailbox = $1 and grantee <> $2";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(grantee.mailbox)).await?;
    if row.map_or(Ok(0), |row| row.get::<i64>(0))? >= MAX_SHARES {
        return Err(Error::Quota(format!("A mailbox is shared with at most {MAX_SHARES} users.")));
    }
    let text = "
insert into shares (mailbox, grantee, can_write, created_date_time) values ($1, $2, $3, $4)
on conflict (mailbox, grantee) do update set can_write = excluded.can_write";
    let statement = Statement::new(text).bind(mailbox).bind(grantee.mailbox).bind(can_write);
    tx.execute(statement.bind(tx.now())).await?;
    tx.set_created(grantee.id.clone());
    Ok(Share { user: grantee, can_write })
}

/// # Errors
/// [`Error::NotFound`]
async fn check_exists(tx: &mut Tx, mailbox: i64, grantee: &User) -> Result<(), Error> {
    let text = "select 1 from shares where mailbox = $1 and grantee = $2";
    let found = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(grantee.mailbox)).await?;
    found.map(drop).ok_or(Error::NotFound)
}

fn read(row: &Row) -> Result<Share, Error> {
    Ok(Share { can_write: row.get(0)?, user: users::read(row, 1)? })
}

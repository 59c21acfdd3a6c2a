//! Users, each with one mailbox.

use super::engine::{Row, Session};
use super::sorted::{Rows, SortedPage, Sorting};
use super::statement::{Sql, Statement};
use super::tx::Tx;
use super::window::{self, Part, Window};
use super::{Store, filter, folders};
use crate::error::Error;
use crate::odata::filter::typed::Condition;
use crate::user::{User, UserName};

/// Most users of one store: in development mode any token makes one.
const MAX_USERS: i64 = 100_000;

macro_rules! select {
    () => {
        "select c.id, c.display_name, c.user_principal_name, c.mail, c.mailbox"
    };
}

impl Store {
    /// A part of the users for whom a condition on users is true, in the order in which they were made; its keys are their
    /// mailboxes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn users(&self, filter: Option<&Condition>, part: Window<i64>) -> Result<Part<User>, Error> {
        let list = async |session: &mut Session| {
            window::read(session, select!(), scope(filter), "c.mailbox", part, read).await
        };
        self.shared.readers.read(list).await
    }

    /// A page of these users in any order.
    ///
    /// # Errors
    /// 400 for a cursor of another order, else those of the database.
    pub async fn sorted_users(&self, filter: Option<&Condition>, by: &Sorting) -> Result<SortedPage<User>, Error> {
        let rows = || Rows {
            mailbox: 0,
            select: select!(),
            columns: 5,
            from: Sql::new(" from users c where true"),
            read,
            made: |row| Ok((row.get(4)?, row.get(0)?)),
        };
        let scope = || filter.map_or(Sql::default(), |filter| Sql::new(" and ").then(filter::condition(0, filter)));
        let page = async |session: &mut Session| rows().page(session, scope(), by, |_| true).await;
        self.shared.readers.read(page).await
    }

    /// How many of them there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_users(&self, filter: Option<&Condition>) -> Result<i64, Error> {
        self.shared.readers.read(async |session: &mut Session| window::count(session, scope(filter)).await).await
    }
}

fn scope(filter: Option<&Condition>) -> Sql {
    let scope = Sql::new(" from users c where ");
    match filter {
        // Nothing of a user's is looked up by mailbox.
        Some(condition) => scope.then(filter::condition(0, condition)),
        None => scope.text("true"),
    }
}

fn read(row: &Row) -> Result<User, Error> {
    Ok(User {
        id: row.get(0)?,
        display_name: row.get(1)?,
        user_principal_name: row.get(2)?,
        mail: row.get(3)?,
        mailbox: row.get(4)?,
    })
}

/// The user of this name, if there is one.
pub(super) async fn find(session: &mut Session, name: &UserName) -> Result<Option<User>, Error> {
    let text = concat!(select!(), " from users c where c.user_principal_name_key = $1");
    session.row(Statement::new(text).bind(name.key())).await?.as_ref().map(read).transpose()
}

/// The user of this name, made with an empty mailbox if there is none.
///
/// # Errors
/// [`Error::Quota`] past 100,000 users.
pub(super) async fn ensure(tx: &mut Tx, name: &UserName) -> Result<User, Error> {
    // Users are made one at a time, whichever process makes them: whoever writes this row holds it to the commit.
    tx.execute(Statement::new("update store set epoch = epoch where id = 1")).await?;
    if let Some(user) = find(tx.reading().await?, name).await? {
        return Ok(user);
    }
    let row = tx.reading().await?.row(Statement::new("select coalesce(max(mailbox), 0), count(*) from users")).await?;
    let row = row.ok_or_else(|| Error::internal("max() answered nothing"))?;
    if row.get::<i64>(1)? >= MAX_USERS {
        return Err(Error::Quota(format!("This server has at most {MAX_USERS} users.")));
    }
    let user = User {
        id: name.as_str().to_owned(),
        display_name: name.as_str().to_owned(),
        user_principal_name: name.principal_name(),
        mail: name.principal_name(),
        mailbox: tx.new_mailbox(row.get(0)?),
    };
    tx.execute(Statement::new("insert into mailboxes (id, seq) values ($1, 0)").bind(user.mailbox)).await?;
    let text = "
insert into users
    (id, user_principal_name, user_principal_name_key, display_name, mail, mailbox, created_date_time)
values ($1, $2, $3, $4, $5, $6, $7)";
    let statement = Statement::new(text)
        .bind(&user.id)
        .bind(&user.user_principal_name)
        .bind(name.key())
        .bind(&user.display_name)
        .bind(&user.mail)
        .bind(user.mailbox)
        .bind(tx.now());
    tx.execute(statement).await?;
    folders::create_default(tx, user.mailbox).await?;
    Ok(user)
}

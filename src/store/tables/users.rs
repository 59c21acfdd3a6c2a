//! Users, each with one mailbox.

use crate::domain::error::Error;
use crate::domain::query::typed::Condition;
use crate::domain::user::{self, User, UserName};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};
use crate::store::query::filter;
use crate::store::query::pager::{PagedRows, SortedPage, Sorting, Tie};
use crate::store::tables::{folders, quota};
use crate::store::write::tx::Tx;

/// Maximum number of users: in development mode any token creates one.
const MAX_USERS: i64 = 100_000;

macro_rules! select {
    () => {
        "select c.id, c.display_name, c.user_principal_name, c.mail, c.mailbox"
    };
}
pub(in crate::store) use select;

impl Store {
    /// A page of the users for whom a condition on users is true, sorted by creation last. Only the rows of the page
    /// are read, because there may be many users.
    ///
    /// # Errors
    /// 400 for a cursor of another order, else those of the database.
    pub async fn users(&self, filter: Option<&Condition>, by: &Sorting) -> Result<SortedPage<User>, Error> {
        let rows = || PagedRows {
            mailbox: 0,
            select: select!(),
            columns: 5,
            from: Sql::new(" from users c where true"),
            ties: &[Tie::Number("c.mailbox")],
            read: |row| read(row, 0),
        };
        self.read_expensive(None, async |session: &mut Session| rows().page(session, scope(filter), by).await).await
    }

    /// The number of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_users(&self, filter: Option<&Condition>) -> Result<i64, Error> {
        let select = || Sql::new("select count(*) from users c where true").then(scope(filter));
        self.read_expensive(None, async |session: &mut Session| session.count(select()).await).await
    }
}

fn scope(filter: Option<&Condition>) -> Sql {
    // Users have no mailbox column, so 0 is not used.
    filter.map_or(Sql::default(), |filter| Sql::new(" and ").then(filter::condition(0, filter)))
}

/// A user from five columns, beginning with this one.
pub(in crate::store) fn read(row: &Row, first: usize) -> Result<User, Error> {
    Ok(User {
        id: row.get(first)?,
        display_name: row.get(first + 1)?,
        user_principal_name: row.get(first + 2)?,
        mail: row.get(first + 3)?,
        mailbox: row.get(first + 4)?,
    })
}

/// The user of this name or id, if there is one.
pub(in crate::store) async fn find(session: &mut Session, name: &str) -> Result<Option<User>, Error> {
    let text = concat!(select!(), " from users c where c.user_principal_name_key = $1 or c.id = $2");
    let row = session.row(Statement::new(text).bind(user::key(name)).bind(name)).await?;
    row.as_ref().map(|row| read(row, 0)).transpose()
}

/// Checks that a user is one of contactd's own, whose name may be used to sign in. An identity provider's users sign in
/// through their provider only.
pub(in crate::store) fn check_local(user: User) -> Result<User, Error> {
    if user.is_of_provider() {
        return Err(Error::Denied(
            "The token's user name belongs to a user of an identity provider, who may be a different person.",
        ));
    }
    Ok(user)
}

/// A mailbox outlives its user, and its number is never used again.
const LAST_MAILBOX: &str = "select coalesce((select max(id) from mailboxes), 0), count(*) from users";

/// The user with this name, created with an empty mailbox if there is none.
///
/// # Errors
/// [`Error::Quota`] above 100,000 users; [`Error::Denied`] if the user is an identity provider's.
pub(in crate::store) async fn ensure(tx: &mut Tx, name: &UserName) -> Result<User, Error> {
    quota::lock_counts(tx).await?;
    if let Some(user) = find(tx.reader().await?, name.as_str()).await? {
        return check_local(user);
    }
    let user = User {
        id: name.as_str().to_owned(),
        display_name: name.as_str().to_owned(),
        user_principal_name: name.principal_name(),
        mail: name.principal_name(),
        mailbox: 0,
    };
    insert(tx, user, &name.key()).await
}

/// Creates a user that does not exist, with an empty mailbox of a new number.
///
/// # Errors
/// [`Error::Quota`] above 100,000 users.
pub(in crate::store) async fn insert(tx: &mut Tx, user: User, key: &str) -> Result<User, Error> {
    let row = tx.reader().await?.single_row(Statement::new(LAST_MAILBOX)).await?;
    if row.get::<i64>(1)? >= MAX_USERS {
        return Err(Error::Quota(format!("This server has at most {MAX_USERS} users.")));
    }
    let user = User { mailbox: tx.new_mailbox(row.get(0)?), ..user };
    tx.execute(Statement::new("insert into mailboxes (id, seq) values ($1, 0)").bind(user.mailbox)).await?;
    let text = "
insert into users
    (id, user_principal_name, user_principal_name_key, display_name, mail, mailbox, created_date_time)
values ($1, $2, $3, $4, $5, $6, $7)";
    let statement = Statement::new(text)
        .bind(&user.id)
        .bind(&user.user_principal_name)
        .bind(key)
        .bind(&user.display_name)
        .bind(&user.mail)
        .bind(user.mailbox)
        .bind(tx.now());
    tx.execute(statement).await?;
    folders::create_default(tx, user.mailbox).await?;
    Ok(user)
}

/// The user of this name.
///
/// # Errors
/// [`Error::UnknownUser`]
pub(in crate::store) async fn existing(tx: &mut Tx, name: &UserName) -> Result<User, Error> {
    let found = find(tx.reader().await?, name.as_str()).await?;
    found.ok_or_else(|| Error::UnknownUser(name.as_str().to_owned()))
}

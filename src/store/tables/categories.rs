//! Categories: names with a colour. A write takes the mailbox's next number as the version. It has no entry in the
//! change log, which is for contacts and folders.

use uuid::Uuid;

use crate::domain::category::{COLORS, Category, CategoryPatch};
use crate::domain::error::{Error, Kind};
use crate::domain::etag::Preconditions;
use crate::domain::fold::fold;
use crate::domain::query::typed::Condition;
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};
use crate::store::query::filter;
use crate::store::query::pager::{PagedRows, SortedPage, Sorting, Tie};
use crate::store::tables::changes;
use crate::store::write::tx::Tx;

/// Maximum number of categories of one mailbox.
const MAX_CATEGORIES: i64 = 1_000;
/// Number of later changes of the mailbox after which the row of a deleted category is removed. Until then it proves
/// that the commit happened. The rows are removed so that they do not pile up.
const KEPT: i64 = 1_000;

macro_rules! select {
    () => {
        "select c.id, c.display_name, c.color, c.version, c.last_modified_date_time"
    };
}

impl Store {
    /// The category with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when it is deleted.
    pub async fn category(&self, mailbox: i64, id: Uuid) -> Result<Category, Error> {
        self.read(async |session: &mut Session| get(session, mailbox, id).await).await
    }

    /// A page of the categories for which a condition on categories is true.
    ///
    /// # Errors
    /// 400 for a cursor of another order, else those of the database.
    pub async fn categories(
        &self,
        mailbox: i64,
        filter: Option<&Condition>,
        by: &Sorting,
    ) -> Result<SortedPage<Category>, Error> {
        let rows = || PagedRows {
            mailbox,
            select: select!(),
            columns: 5,
            from: from_categories(mailbox),
            read,
            ties: &[Tie::Number("c.created_date_time"), Tie::Id("c.id")],
        };
        let page = async |session: &mut Session| rows().page(session, scope(mailbox, filter), by).await;
        self.read_expensive(Some(mailbox), page).await
    }

    /// The number of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_categories(&self, mailbox: i64, filter: Option<&Condition>) -> Result<i64, Error> {
        let select = || Sql::new("select count(*)").then(from_categories(mailbox)).then(scope(mailbox, filter));
        let count = async |session: &mut Session| session.count(select()).await;
        self.read_expensive(Some(mailbox), count).await
    }

    /// Creates a category, without a colour if none is named.
    ///
    /// # Errors
    /// [`Error::CategoryExists`] for a name that is taken, [`Error::Quota`] at the limit.
    pub async fn create_category(
        &self,
        mailbox: i64,
        name: String,
        color: Option<&'static str>,
    ) -> Result<Category, Error> {
        self.write(Some(mailbox), async move |tx| create(tx, mailbox, name, color.unwrap_or(COLORS[0])).await).await
    }

    /// Changes the colour of a category. A patch without a change leaves the version as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`] when a precondition fails, 400 for another name.
    pub async fn update_category(
        &self,
        mailbox: i64,
        id: Uuid,
        patch: CategoryPatch,
        expected: Preconditions,
    ) -> Result<Category, Error> {
        self.write(Some(mailbox), async move |tx| update(tx, mailbox, id, patch, &expected).await).await
    }

    /// Marks a category as deleted. Contacts keep its name. Returns the number of that change.
    ///
    /// # Errors
    /// As [`Store::update_category`].
    pub async fn delete_category(&self, mailbox: i64, id: Uuid, expected: Preconditions) -> Result<i64, Error> {
        self.write(Some(mailbox), async move |tx| delete(tx, mailbox, id, &expected).await).await
    }
}

fn read(row: &Row) -> Result<Category, Error> {
    Ok(Category {
        id: row.get(0)?,
        display_name: row.get(1)?,
        color: row.get(2)?,
        version: row.get(3)?,
        last_modified_date_time: row.get(4)?,
    })
}

fn from_categories(mailbox: i64) -> Sql {
    Sql::new(" from master_categories c where c.mailbox = ").value(mailbox)
}

/// The condition for rows in the list.
fn scope(mailbox: i64, filter: Option<&Condition>) -> Sql {
    let scope = Sql::new(" and c.deleted_date_time is null");
    match filter {
        Some(condition) => scope.text(" and ").then(filter::condition(mailbox, condition)),
        None => scope,
    }
}

async fn get(session: &mut Session, mailbox: i64, id: Uuid) -> Result<Category, Error> {
    let text = concat!(
        select!(),
        " from master_categories c where c.mailbox = $1 and c.id = $2 and c.deleted_date_time is null"
    );
    let row = session.row(Statement::new(text).bind(mailbox).bind(id)).await?;
    read(&row.ok_or(Error::NotFound)?)
}

pub(in crate::store) async fn create(tx: &mut Tx, mailbox: i64, name: String, color: &str) -> Result<Category, Error> {
    let text = "
select count(*), count(*) filter (where display_name_key = $2)
from master_categories where mailbox = $1 and deleted_date_time is null";
    let row = tx.reader().await?.single_row(Statement::new(text).bind(mailbox).bind(fold(&name))).await?;
    if row.get::<i64>(1)? > 0 {
        return Err(Error::CategoryExists);
    }
    if row.get::<i64>(0)? >= MAX_CATEGORIES {
        return Err(Error::Quota(format!("A mailbox has at most {MAX_CATEGORIES} categories.")));
    }
    let id = Tx::new_id(mailbox);
    let version = changes::next_number(tx, mailbox).await?;
    let text = "
insert into master_categories
    (mailbox, id, display_name, display_name_key, color, version, created_date_time, last_modified_date_time)
values ($1, $2, $3, $4, $5, $6, $7, $7)";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(&name).bind(fold(&name)).bind(color);
    tx.execute(statement.bind(version).bind(tx.now())).await?;
    Ok(Category { id, display_name: name, color: color.to_owned(), version, last_modified_date_time: tx.now() })
}

pub(in crate::store) async fn update(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    patch: CategoryPatch,
    expected: &Preconditions,
) -> Result<Category, Error> {
    let category = get(tx.reader().await?, mailbox, id).await?;
    expected.check(&category.version_token())?;
    if patch.display_name.is_some_and(|name| name != category.display_name) {
        let message = "'displayName' of a category cannot be changed, because contacts refer to it. Create another category instead.";
        return Err(Error::invalid(Kind::ReadOnly, "displayName", message));
    }
    let Some(color) = patch.color.filter(|color| *color != category.color) else { return Ok(category) };
    let version = changes::next_number(tx, mailbox).await?;
    let text = "
update master_categories set color = $3, version = $4, last_modified_date_time = $5 where mailbox = $1 and id = $2";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(color).bind(version).bind(tx.now());
    tx.execute(statement).await?;
    Ok(Category { color: color.to_owned(), version, last_modified_date_time: tx.now(), ..category })
}

pub(in crate::store) async fn delete(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    expected: &Preconditions,
) -> Result<i64, Error> {
    let category = get(tx.reader().await?, mailbox, id).await?;
    expected.check(&category.version_token())?;
    let version = changes::next_number(tx, mailbox).await?;
    let text = "
update master_categories set version = $3, last_modified_date_time = $4, deleted_date_time = $4
where mailbox = $1 and id = $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(version).bind(tx.now())).await?;
    let text = "
delete from master_categories where mailbox = $1 and deleted_date_time is not null and version <= $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(version - KEPT)).await?;
    Ok(version)
}

//! The rows of one mailbox: removed, and copied from a mailbox of this database or of an attached one. The cost depends on the
//! size of the mailbox only.

use crate::domain::error::Error;
use crate::store::db::derived;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::schema::TABLES;
use crate::store::tables::table::Table;

/// Tables that are not copied with a mailbox: its shares, its subscriptions and its history.
const NOT_COPIED: [&str; 12] = [
    "mailboxes",
    "users",
    "tokens",
    "shares",
    "audit",
    "idempotency_keys",
    "subscriptions",
    "deliveries",
    "identities",
    "imports",
    "import_contacts",
    "import_befores",
];
/// The change log is left out too: clients that follow it start over.
pub(super) const LOG: &str = "changes";

/// Whether a copy of a mailbox has the rows of a table.
fn is_copied(table: &Table) -> bool {
    table.name != LOG && !NOT_COPIED.contains(&table.name)
}

/// The column with the mailbox of a row.
pub(super) fn owner(table: &Table) -> &'static str {
    if table.name == "mailboxes" { "id" } else { "mailbox" }
}

/// Removes the rows of a mailbox from some tables, and its search words.
pub(super) async fn clear(session: &mut Session, mailbox: i64, includes: impl Fn(&Table) -> bool) -> Result<(), Error> {
    let words = Statement::per_engine(
        "delete from words where rowid in (select row from searched where mailbox = $1)",
        "delete from words where mailbox = $1",
    );
    session.execute(words.bind(mailbox)).await?;
    let numbers = Sql::new("delete from searched where mailbox = ").value(mailbox);
    session.execute(Sql::engine_specific(numbers, Sql::new("select 1")).into()).await?;
    for table in TABLES.iter().rev().filter(|table| includes(table)) {
        let delete = Sql::new("delete from ").text(table.name).text(" where ").text(owner(table)).text(" = ");
        session.execute(delete.value(mailbox).into()).await?;
        if table.name == "shares" {
            session.execute(Statement::new("delete from shares where grantee = $1").bind(mailbox)).await?;
        }
    }
    Ok(())
}

/// Copies the rows of a mailbox into some tables, under another number. `source` is the prefix of the source tables. Shares are
/// left out, because the numbers of the other mailboxes may differ.
pub(super) async fn copy_rows(
    session: &mut Session,
    source: &'static str,
    (from, to): (i64, i64),
    includes: impl Fn(&Table) -> bool,
) -> Result<(), Error> {
    for table in TABLES.iter().filter(|table| includes(table) && table.name != "shares") {
        let columns = Sql::list(table.columns().map(|column| Sql::new(column.name)));
        let value = |name: &'static str| if name == owner(table) { Sql::default().value(to) } else { Sql::new(name) };
        let values = Sql::list(table.columns().map(|column| value(column.name)));
        let insert = Sql::new("insert into ").text(table.name).text(" (").then(columns).text(") select ").then(values);
        let insert = insert.text(" from ").text(source).text(table.name).text(" where ").text(owner(table)).text(" = ");
        session.execute(insert.value(from).into()).await?;
    }
    derived::compute_words_of(session, to).await
}

/// Copies the content of a mailbox to another and replaces the content there. Returns the numbers of contacts and folders.
pub(super) async fn copy(session: &mut Session, from: i64, to: i64) -> Result<(usize, usize), Error> {
    // PostgreSQL locks the rows of both, so that no other writer changes them.
    let lock = Sql::new("select seq from mailboxes where id in (").value(from).text(", ").value(to);
    let lock = lock.text(") order by id for update");
    session.rows(Sql::engine_specific(Sql::new("select 1"), lock).into()).await?;
    clear(session, to, |table| is_copied(table) || table.name == LOG).await?;
    copy_rows(session, "", (from, to), is_copied).await?;
    let text = "
update mailboxes set
    seq = (select max(seq) + 1 from mailboxes where id in ($1, $2)),
    contacts = (select contacts from mailboxes where id = $1), bytes = (select bytes from mailboxes where id = $1)
where id = $2";
    session.execute(Statement::new(text).bind(from).bind(to)).await?;
    let text =
        "select (select count(*) from contacts where mailbox = $1), (select count(*) from folders where mailbox = $1)";
    let row = session.single_row(Statement::new(text).bind(to)).await?;
    let number = |column| usize::try_from(row.get::<i64>(column)?).map_err(Error::internal);
    Ok((number(0)?, number(1)?))
}

//! A part of a list that is in the order of one key.

use crate::domain::error::Error;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Value};

/// Which part.
#[derive(Debug, Clone, Copy)]
pub struct Window<K> {
    /// What is behind this key.
    pub after: Option<K>,
    /// How many are left out first.
    pub skip: i64,
    /// How many at most.
    pub size: u16,
    /// Whether [`Part::count`] is wanted.
    pub count: bool,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// In the order of the key.
    pub value: Vec<T>,
    /// Whether others follow.
    pub more: bool,
    /// How many there are in all, where that was asked.
    pub count: Option<i64>,
}

/// Reads a part of the rows `from`, which is ` from … where …`, by their column `key`.
pub(in crate::store) async fn read<K: Into<Value<'static>>, T>(
    session: &mut Session,
    select: &'static str,
    from: Sql,
    key: &'static str,
    window: Window<K>,
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Part<T>, Error> {
    if window.count {
        session.begin_snapshot().await?;
    }
    let count = if window.count { Some(count(session, from.clone()).await?) } else { None };
    let behind = match window.after {
        Some(after) => from.text(" and ").text(key).text(" > ").value(after),
        None => from,
    };
    let ordered = Sql::new(select).then(behind).text(" order by ").text(key);
    // One more than asked tells whether there is more.
    let limited = ordered.text(" limit ").value(i64::from(window.size) + 1).text(" offset ").value(window.skip);
    let rows = session.rows(limited.into()).await?;
    let value = rows.iter().take(usize::from(window.size)).map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Part { more: rows.len() > value.len(), value, count })
}

/// How many rows there are.
pub(in crate::store) async fn count(session: &mut Session, from: Sql) -> Result<i64, Error> {
    let row = session.row(Sql::new("select count(*)").then(from).into()).await?;
    row.ok_or_else(|| Error::internal("count() answered nothing"))?.get(0)
}

//! Rows of a result, of either engine.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};
use uuid::Uuid;

use crate::domain::error::Error;

/// A type that a column can be read as.
pub(in crate::store) trait FromColumn:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
    /// The value of a packed column.
    fn of_json(json: &str) -> Result<Self, Error>;
}

macro_rules! column {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn of_json(json: &str) -> Result<Self, Error> {
                parsed(json)
            }
        }
    )*};
}
column!(i16, i32, i64, String, Uuid, Vec<u8>);

impl FromColumn for bool {
    /// SQLite keeps them as numbers.
    fn of_json(json: &str) -> Result<Self, Error> {
        parsed::<i64>(json).map(|number| number != 0)
    }
}

impl<T: FromColumn> FromColumn for Option<T>
where
    Self: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    fn of_json(json: &str) -> Result<Self, Error> {
        if json == "null" { Ok(None) } else { T::of_json(json).map(Some) }
    }
}

fn parsed<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(Error::internal)
}

/// A row of a result.
pub(in crate::store) struct Row {
    source: RowSource,
    /// The number of columns before the first.
    before: usize,
}

enum RowSource {
    Sqlite(SqliteRow),
    Postgres(PgRow),
    /// The rows of a result as JSON, and where the columns of this one are in it.
    Packed(Arc<str>, Vec<Range<usize>>),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self { source: RowSource::Sqlite(row), before: 0 }
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self { source: RowSource::Postgres(row), before: 0 }
    }
}

impl Row {
    /// The value of a column; the first is 0.
    pub(in crate::store) fn get<T: FromColumn>(&self, column: usize) -> Result<T, Error> {
        let column = self.before + column;
        let value = match &self.source {
            RowSource::Sqlite(row) => row.try_get(column),
            RowSource::Postgres(row) => row.try_get(column),
            RowSource::Packed(text, columns) => {
                let json = columns.get(column).and_then(|range| text.get(range.clone()));
                return T::of_json(json.ok_or_else(|| Error::internal("a packed row has too few columns"))?);
            }
        };
        Ok(value?)
    }

    /// The same row without its first columns.
    pub(in crate::store) fn without(self, before: usize) -> Self {
        Self { before, ..self }
    }

    /// Rows in the form of `Statement::packed`: an array in each line.
    pub(in crate::store) fn unpacked(text: &str) -> Result<Vec<Self>, Error> {
        let text: Arc<str> = text.into();
        let mut rows: Vec<Self> = Vec::new();
        let mut width = 0;
        for line in text.lines() {
            let places = ColumnPlaces { text: &text, width };
            let columns = places.deserialize(&mut serde_json::Deserializer::from_str(line)).map_err(Error::internal)?;
            width = columns.len();
            rows.push(Self { source: RowSource::Packed(Arc::clone(&text), columns), before: 0 });
        }
        Ok(rows)
    }
}

/// Reads where the columns of a packed row are in the text.
struct ColumnPlaces<'a> {
    text: &'a str,
    /// The number of columns of the row before.
    width: usize,
}

impl<'de> DeserializeSeed<'de> for ColumnPlaces<'_> {
    type Value = Vec<Range<usize>>;

    fn deserialize<D: Deserializer<'de>>(self, line: D) -> Result<Self::Value, D::Error> {
        line.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ColumnPlaces<'_> {
    type Value = Vec<Range<usize>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row as an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        let mut places = Vec::with_capacity(self.width);
        while let Some(value) = values.next_element::<&RawValue>()? {
            let from = value.get().as_ptr().addr() - self.text.as_ptr().addr();
            places.push(from..from + value.get().len());
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_rows_have_the_values_of_their_columns() {
        let id = Uuid::from_u128(7);
        let text = format!("[1,null,\"a\\n\\\"b\\u0001\",\"{}\"]\n[0,-2,\"[]\",null]", id.simple());
        let rows = Row::unpacked(&text).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].get::<bool>(0).unwrap());
        assert_eq!(rows[0].get::<Option<i64>>(1).unwrap(), None);
        assert_eq!(rows[0].get::<String>(2).unwrap(), "a\n\"b\u{1}");
        assert_eq!(rows[0].get::<Uuid>(3).unwrap(), id);
        assert!(!rows[1].get::<bool>(0).unwrap());
        assert_eq!(rows[1].get::<Option<i64>>(1).unwrap(), Some(-2));
        assert_eq!(rows[1].get::<Option<Uuid>>(3).unwrap(), None);
        assert!(rows[1].get::<i64>(2).is_err() && rows[1].get::<i64>(4).is_err());
        assert!(Row::unpacked("").unwrap().is_empty());
    }
}

//! The description of a table: its columns and their types.

use crate::store::db::statement::Sql;

/// The type of a column, independent of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum ColumnType {
    Int,
    Bool,
    Text,
    Id,
    Bytes,
}

impl ColumnType {
    /// A value of the type from the text of a JSON value, such as `value ->> 0`. Ids and bytes are hexadecimal in it.
    pub(in crate::store) fn of_json(self, text: Sql) -> Sql {
        let ([sqlite_before, postgres_before], [sqlite_after, postgres_after]) = match self {
            Self::Text => return text,
            Self::Int => (["", "("], ["", ")::bigint"]),
            Self::Bool => (["", "("], ["", ")::boolean"]),
            Self::Id => (["unhex(", "("], [")", ")::uuid"]),
            Self::Bytes => (["unhex(", "decode("], [")", ", 'hex')"]),
        };
        Sql::default().per_engine(sqlite_before, postgres_before).then(text).per_engine(sqlite_after, postgres_after)
    }
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Column {
    pub(in crate::store) name: &'static str,
    pub(in crate::store) kind: ColumnType,
}

/// A table and all its columns.
pub(in crate::store) struct Table {
    pub(in crate::store) name: &'static str,
    /// The primary key.
    pub(in crate::store) keys: &'static [Column],
    pub(in crate::store) values: &'static [Column],
    /// Columns for searching and sorting that are derived from other values. They are written and never shown.
    pub(in crate::store) derived: &'static [Column],
    /// A column that refers to other rows of the same table.
    pub(in crate::store) self_reference: Option<&'static str>,
}

impl Table {
    /// All columns: the key first, derived ones last.
    pub(in crate::store) fn columns(&self) -> impl Iterator<Item = Column> {
        self.keys.iter().chain(self.written()).copied()
    }

    /// The columns besides the key.
    pub(in crate::store) fn written(&self) -> impl Iterator<Item = &'static Column> + Clone {
        self.values.iter().chain(self.derived)
    }
}

macro_rules! column_list {
    ($($name:ident $kind:ident),* $(,)?) => {
        &[$($crate::store::tables::table::Column {
            name: stringify!($name),
            kind: $crate::store::tables::table::ColumnType::$kind,
        }),*]
    };
}
pub(in crate::store) use column_list;

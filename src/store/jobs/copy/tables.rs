//! The statements that copy a table's rows without changes.

use crate::store::db::statement::{Sql, SqlValue};
use crate::store::tables::table::Table;

impl Table {
    /// The next rows after a key, in the order of the keys.
    pub(super) fn select(&self, after: &[SqlValue<'static>], limit: i64) -> Sql {
        let columns = Sql::list(self.columns().map(|column| Sql::new(column.name)));
        let after = Sql::list(after.iter().map(|value| Sql::of(value.clone())));
        let select = Sql::new("select ").then(columns).text(" from ").text(self.name).text(" where (");
        let select = select.then(self.key("")).text(") > (").then(after).text(") order by ").then(self.key(""));
        select.text(" limit ").value(limit)
    }

    /// The last key.
    pub(super) fn last_key(&self) -> Sql {
        let select = Sql::new("select ").then(self.key("")).text(" from ").text(self.name).text(" order by ");
        select.then(self.key(" desc")).text(" limit 1")
    }

    /// Inserts the rows of a JSON array of objects. For existing rows, the reference to other rows is set.
    pub(super) fn insert(&self, json: String) -> Sql {
        let columns = Sql::list(self.columns().map(|column| Sql::new(column.name)));
        let value = |name| Sql::new("value ->> '").text(name).text("'");
        let values = Sql::list(self.columns().map(|column| column.kind.of_json(value(column.name))));
        let insert = Sql::new("insert into ").text(self.name).text(" (").then(columns).text(") select ").then(values);
        let insert = insert.per_engine(" from json_each(", " from jsonb_array_elements(").value(json);
        let insert = insert.per_engine(") where true", "::jsonb) as sent (value)");
        let Some(reference) = self.self_reference else { return insert };
        let conflict = insert.text(" on conflict (").then(self.key("")).text(") do update set ").text(reference);
        conflict.text(" = excluded.").text(reference)
    }

    pub(super) fn count(&self) -> Sql {
        Sql::new("select count(*) from ").text(self.name)
    }

    pub(super) fn delete(&self) -> Sql {
        Sql::new("delete from ").text(self.name)
    }

    /// The key's columns, each followed by a text.
    fn key(&self, after: &'static str) -> Sql {
        Sql::list(self.keys.iter().map(|column| Sql::new(column.name).text(after)))
    }
}

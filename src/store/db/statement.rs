//! Statements: a text for both engines or one for each, and the bound values.

use std::borrow::Cow;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Encode, Postgres, Sqlite, Type};
use uuid::Uuid;

/// Limits in the plans of PostgreSQL. Few, so that few plans are made.
const ROUND_LIMITS: [usize; 3] = [16, 128, 1_024];

/// A bound value. Null has a type too, because PostgreSQL needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum SqlValue<'q> {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<Cow<'q, str>>),
    Uuid(Option<Uuid>),
    Bytes(Option<Cow<'q, [u8]>>),
}

impl SqlValue<'_> {
    /// The cast in a text for PostgreSQL. The driver caches a prepared statement for each text with the types of its first
    /// values; without casts, the same text with other types would be sent wrongly typed values.
    fn cast(&self) -> &'static str {
        match self {
            Self::Int(_) => "::bigint",
            Self::Bool(_) => "::boolean",
            Self::Text(_) => "::text",
            Self::Uuid(_) => "::uuid",
            Self::Bytes(_) => "::bytea",
        }
    }
}

macro_rules! value_from {
    ($($kind:ident $type:ty),*) => {$(
        impl<'q> From<$type> for SqlValue<'q> {
            fn from(value: $type) -> Self {
                Self::$kind(Some(value.into()))
            }
        }
        impl<'q> From<Option<$type>> for SqlValue<'q> {
            fn from(value: Option<$type>) -> Self {
                Self::$kind(value.map(Into::into))
            }
        }
    )*};
}
value_from!(Int i64, Bool bool, Text &'q str, Text &'q String, Text String, Uuid Uuid, Bytes &'q [u8], Bytes Vec<u8>);

/// A statement with its values. Its text uses `$1..$n`, which both engines accept.
#[derive(Clone)]
pub(in crate::store) struct Statement<'q> {
    sqlite: Cow<'static, str>,
    postgres: Cow<'static, str>,
    values: Vec<SqlValue<'q>>,
    /// The values for PostgreSQL, if they differ.
    of_postgres: Option<Vec<SqlValue<'q>>>,
}

/// A statement, or a part of one, that is composed at run time from static texts and from values, which are bound in their
/// order. No other text can get in.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Sql {
    pieces: Vec<SqlPiece>,
}

#[derive(Debug, Clone)]
enum SqlPiece {
    Text(&'static str),
    PerEngine(&'static str, &'static str),
    Number(usize),
    Value(SqlValue<'static>),
    Either(Sql, Sql),
}

/// The texts of a statement that takes its values by `$1..$n`. They are made once, in a `static`, so that a statement can be
/// cloned without them.
#[derive(Clone)]
pub(in crate::store) struct Texts {
    sqlite: String,
    postgres: String,
}

impl Texts {
    pub(in crate::store) fn of_sqlite(&self) -> &str {
        &self.sqlite
    }
}

impl Sql {
    pub(in crate::store) fn new(text: &'static str) -> Self {
        Self::default().text(text)
    }

    /// A value.
    pub(in crate::store) fn of(value: impl Into<SqlValue<'static>>) -> Self {
        Self::default().value(value)
    }

    pub(in crate::store) fn text(mut self, text: &'static str) -> Self {
        self.pieces.push(SqlPiece::Text(text));
        self
    }

    pub(in crate::store) fn per_engine(mut self, sqlite: &'static str, postgres: &'static str) -> Self {
        self.pieces.push(SqlPiece::PerEngine(sqlite, postgres));
        self
    }

    pub(in crate::store) fn value(mut self, value: impl Into<SqlValue<'static>>) -> Self {
        self.pieces.push(SqlPiece::Value(value.into()));
        self
    }

    /// A part that differs between the engines, with its own values.
    pub(in crate::store) fn engine_specific(sqlite: Self, postgres: Self) -> Self {
        Self { pieces: vec![SqlPiece::Either(sqlite, postgres)] }
    }

    /// A constant number, such as a position.
    pub(in crate::store) fn number(mut self, number: usize) -> Self {
        self.pieces.push(SqlPiece::Number(number));
        self
    }

    /// At most `limit` of these rows in an order, after the first `skip`.
    ///
    /// PostgreSQL takes an unknown offset for a tenth of all rows, so a plan for all values seems more expensive to it than one
    /// for these values, and it does not keep one.
    pub(in crate::store) fn limited(self, order: Self, limit: i64, skip: i64) -> Self {
        self.then(order).text(" limit ").value(limit).text(" offset ").value(skip)
    }

    /// The same for rows that have the same plan for all values.
    ///
    /// PostgreSQL keeps a plan for all values if it seems no worse than a new one for each. It takes an unknown limit for a tenth of all
    /// rows, so no kept plan would follow an index, and planning takes longer than reading a page. So there is a round limit as a
    /// number. Rows with conditions on values must not have it: a kept plan would read all of them where few are found.
    pub(in crate::store) fn limited_for_all_values(self, order: Self, limit: i64, skip: i64) -> Self {
        let Some(round) = round_limit(limit.saturating_add(skip)) else { return self.limited(order, limit, skip) };
        let rows = Self::new("select * from (").then(self.clone()).then(order.clone()).text(" limit ").number(round);
        let rows = rows.text(") bounded");
        let bounded =
            if skip == 0 { rows.text(" limit ").value(limit) } else { rows.limited(Self::default(), limit, skip) };
        Self::engine_specific(self.limited(order, limit, skip), bounded)
    }

    /// The first `max` of these rows in an order, or some more, with the same plan for all values.
    pub(in crate::store) fn limited_roughly(self, order: Self, max: i64) -> Self {
        let rows = self.then(order).text(" limit ");
        match round_limit(max) {
            Some(round) => rows.number(round),
            None => rows.value(max),
        }
    }

    /// The parts, with commas between them.
    pub(in crate::store) fn list(parts: impl IntoIterator<Item = Self>) -> Self {
        let comma = |list: Self| if list.pieces.is_empty() { list } else { list.text(", ") };
        parts.into_iter().fold(Self::default(), |list, part| comma(list).then(part))
    }

    /// A text in which each `{name}` is replaced by the part with that name. Other braces stay.
    pub(in crate::store) fn filled(text: &'static str, parts: &[(&str, Self)]) -> Self {
        let mut sql = Self::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').unwrap_or_default();
            sql = sql.text(before);
            if let Some((_, part)) = parts.iter().find(|(part, _)| *part == name) {
                rest = behind;
                sql = sql.then(part.clone());
            } else {
                rest = after;
                sql = sql.text("{");
            }
        }
        sql.text(rest)
    }

    /// The texts of a statement without values.
    pub(in crate::store) fn texts(&self) -> Texts {
        let (mut sqlite, mut postgres) = <(SqlText, SqlText)>::default();
        sqlite.write(self, false);
        postgres.write(self, true);
        debug_assert!(sqlite.values.is_empty() && postgres.values.is_empty(), "values would be lost");
        Texts { sqlite: sqlite.text, postgres: postgres.text }
    }

    /// Prepared texts.
    pub(in crate::store) fn prepared(texts: &'static Texts) -> Self {
        Self::default().per_engine(&texts.sqlite, &texts.postgres)
    }

    /// `(…)`: some UUIDs, for use after `in`. They are sent as one value.
    pub(in crate::store) fn among(ids: &[Uuid]) -> Self {
        let ids: Vec<_> = ids.iter().map(|id| id.as_simple().to_string()).collect();
        let list = Self::default()
            .per_engine("(select unhex(value) from json_each(", "(select value::uuid from jsonb_array_elements_text(");
        list.value(json(&ids)).per_engine("))", "::text::jsonb) as ids (value))")
    }

    /// The same for texts.
    pub(in crate::store) fn among_texts(texts: &[String]) -> Self {
        let list = Self::default()
            .per_engine("(select value from json_each(", "(select value from jsonb_array_elements_text(");
        list.value(json(texts)).per_engine("))", "::text::jsonb) as texts (value))")
    }

    pub(in crate::store) fn parenthesized(self) -> Self {
        Self::new("(").then(self).text(")")
    }

    pub(in crate::store) fn then(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }
}

/// The least of the limits in plans that is not less.
fn round_limit(max: i64) -> Option<usize> {
    ROUND_LIMITS.into_iter().find(|round| i64::try_from(*round).is_ok_and(|round| max <= round))
}

/// Texts are always JSON.
fn json(texts: &[String]) -> String {
    serde_json::to_string(texts).unwrap_or_default()
}

impl From<Sql> for Statement<'static> {
    fn from(sql: Sql) -> Self {
        let (mut sqlite, mut postgres) = <(SqlText, SqlText)>::default();
        sqlite.write(&sql, false);
        postgres.write(&sql, true);
        let of_postgres = (sqlite.values != postgres.values).then_some(postgres.values);
        Self { sqlite: sqlite.text.into(), postgres: postgres.text.into(), values: sqlite.values, of_postgres }
    }
}

/// The composed text and values for one engine.
#[derive(Default)]
struct SqlText {
    text: String,
    values: Vec<SqlValue<'static>>,
}

impl SqlText {
    fn write(&mut self, sql: &Sql, postgres: bool) {
        for piece in &sql.pieces {
            match piece {
                SqlPiece::Text(text) => self.text += text,
                SqlPiece::PerEngine(of_sqlite, of_postgres) => {
                    self.text += if postgres { of_postgres } else { of_sqlite }
                }
                SqlPiece::Number(number) => self.text += &number.to_string(),
                SqlPiece::Either(of_sqlite, of_postgres) => {
                    self.write(if postgres { of_postgres } else { of_sqlite }, postgres);
                }
                SqlPiece::Value(value) => {
                    self.values.push(value.clone());
                    let placeholder = format!("${}", self.values.len());
                    self.text += &placeholder;
                    if postgres {
                        self.text += value.cast();
                    }
                }
            }
        }
    }
}

impl<'q> Statement<'q> {
    /// One text for both engines.
    pub(in crate::store) fn new(sql: &'static str) -> Self {
        Self::per_engine(sql, sql)
    }

    /// A text for each engine, with the same values.
    pub(in crate::store) fn per_engine(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite: sqlite.into(), postgres: postgres.into(), values: Vec::new(), of_postgres: None }
    }

    /// One text for both engines, in which `/* indexed by … */` names an index for SQLite. Without statistics, SQLite may
    /// prefer the primary key, and read the whole mailbox.
    pub(in crate::store) fn hinted(sql: &'static str) -> Self {
        let sqlite = sql.replace("/* indexed by", "indexed by").replace("*/", "");
        Self { sqlite: sqlite.into(), ..Self::new(sql) }
    }

    /// One of the prepared texts.
    pub(in crate::store) fn prepared(texts: &'static Texts) -> Self {
        Self::per_engine(&texts.sqlite, &texts.postgres)
    }

    pub(in crate::store) fn bind(mut self, value: impl Into<SqlValue<'q>>) -> Self {
        let value = value.into();
        self.of_postgres.iter_mut().for_each(|values| values.push(value.clone()));
        self.values.push(value);
        self
    }

    /// The text for an engine, without values.
    pub(in crate::store) fn text(&self, postgres: bool) -> Cow<'static, str> {
        if postgres { self.postgres.clone() } else { self.sqlite.clone() }
    }

    /// The text of a statement that asks for SQLite's query plan.
    pub(in crate::store) fn explained(text: &str) -> String {
        ["explain query plan ", text].concat()
    }

    /// Whether [`Statement::answering`] can be.
    pub(in crate::store) fn can_answer(&self) -> bool {
        self.sqlite.trim_start().starts_with("select ")
    }

    /// The same with the columns of a question, which is a `select` without `from`, before its own. Only for SQLite.
    pub(in crate::store) fn answering(mut self, question: Self) -> Self {
        let columns = self.sqlite.trim_start().trim_start_matches("select ");
        self.sqlite = (shifted(&question.sqlite, self.values.len()) + ",\n" + columns).into();
        self.values.extend(question.values);
        self
    }

    /// The same with all its rows in one text: a JSON array in each line. `columns` is their number; those of `ids` are UUIDs. Only
    /// for SQLite, which keeps the order of the rows for such an aggregate.
    pub(in crate::store) fn packed(mut self, columns: usize, ids: &[usize]) -> Self {
        let names: Vec<_> = (0..columns).map(|i| format!("c{i}")).collect();
        let value = |i| if ids.contains(&i) { format!("hex(c{i})") } else { format!("c{i}") };
        let values: Vec<_> = (0..columns).map(value).collect();
        let (names, values) = (names.join(", "), values.join(", "));
        let sqlite = &self.sqlite;
        let aggregate = format!("group_concat(json_array({values}), char(10))");
        self.sqlite = format!("with page ({names}) as ({sqlite})\nselect {aggregate} from page").into();
        self
    }

    /// SQLite treats a missing value as null without an error, so debug builds compare the counts for every statement.
    fn checked(sql: Cow<'static, str>, values: &[SqlValue<'_>]) -> AssertSqlSafe<Cow<'static, str>> {
        debug_assert_eq!(placeholders(&sql), values.len(), "values bound to: {sql}");
        // The text is static, or composed of static texts by `Sql`.
        AssertSqlSafe(sql)
    }

    pub(in crate::store) fn into_sqlite(self) -> Query<'q, Sqlite, SqliteArguments> {
        bound(sqlx::query(Self::checked(self.sqlite, &self.values)), self.values)
    }

    pub(in crate::store) fn into_postgres(self) -> Query<'q, Postgres, PgArguments> {
        let values = self.of_postgres.unwrap_or(self.values);
        bound(sqlx::query(Self::checked(self.postgres, &values)), values)
    }
}

fn bound<'q, DB>(query: Query<'q, DB, DB::Arguments>, values: Vec<SqlValue<'q>>) -> Query<'q, DB, DB::Arguments>
where
    DB: sqlx::Database,
    Option<i64>: Encode<'q, DB> + Type<DB>,
    Option<bool>: Encode<'q, DB> + Type<DB>,
    Option<Cow<'q, str>>: Encode<'q, DB> + Type<DB>,
    Option<Uuid>: Encode<'q, DB> + Type<DB>,
    Option<Cow<'q, [u8]>>: Encode<'q, DB> + Type<DB>,
{
    values.into_iter().fold(query, |query, value| match value {
        SqlValue::Int(value) => query.bind(value),
        SqlValue::Bool(value) => query.bind(value),
        SqlValue::Text(value) => query.bind(value),
        SqlValue::Uuid(value) => query.bind(value),
        SqlValue::Bytes(value) => query.bind(value),
    })
}

/// A text with its `$n` increased.
fn shifted(sql: &str, by: usize) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, rest) = piece.split_at(digits);
        let number: usize = number.parse().unwrap_or_default();
        text.push('$');
        text += &(number + by).to_string();
        text += rest;
    }
    text
}

/// The highest `$n` of a text.
fn placeholders(sql: &str) -> usize {
    let number = |rest: &str| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().unwrap_or(0)
    };
    sql.split('$').skip(1).map(number).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_by_the_highest() {
        assert_eq!(placeholders("select 1"), 0);
        assert_eq!(placeholders("select $1, $12, $2"), 12);
    }

    #[test]
    fn a_statement_that_answers_a_question_keeps_its_values_and_the_question_has_those_behind_them() {
        let question = Statement::new("select $1, $2 || $1").bind("a").bind(7_i64);
        let both =
            Statement::new("\nselect a from t where b = $2 and c = $1").bind(1_i64).bind(2_i64).answering(question);
        assert_eq!(both.sqlite, "select $3, $4 || $3,\na from t where b = $2 and c = $1");
        let values: [SqlValue<'_>; 4] = [1_i64.into(), 2_i64.into(), "a".into(), 7_i64.into()];
        assert_eq!(both.values, values);
    }

    #[test]
    fn a_text_is_filled_where_a_part_has_that_name() {
        let parts = [("list", Sql::list([Sql::new("a"), Sql::new("b").number(7)])), ("none", Sql::default())];
        let texts = Sql::filled("{list} '{}' {none}{other} {list}{", &parts).texts();
        assert_eq!(texts.sqlite, "a, b7 '{}' {other} a, b7{");
    }

    #[test]
    #[should_panic(expected = "values bound to")]
    fn a_statement_with_a_missing_value_is_not_executed() {
        let _ = Statement::new("select $1, $2").bind(1_i64).into_sqlite();
    }
}

//! Compiles a typed filter to SQL on a row `c` of contacts, or of folders, categories or users.
//!
//! Both engines must answer what `domain::query::eval` does. Texts are compared by their folded forms and by code points, and
//! numbers are whole. What the engines treat differently (null in `greatest`, places past the end of a text) is written out.
//! All text in the SQL is ours; what a client wrote is bound.
//!
//! A value that is used more than once is selected first, in a subquery with a limit. Without the limit PostgreSQL would copy
//! the value into each place, and the statement would grow with every level.
//!
//! There are two ways to compile a condition. [`Compiler::selects`] (`selection`) is for a `where`: it may answer null for
//! false, so that an index can serve (`lookups`). [`Compiler::value`] (`values`) distinguishes false from null, for `not` and for sort
//! keys.

mod columns;
mod lookups;
mod selection;
mod unindexed;
mod values;

pub(in crate::store) use crate::store::query::filter::columns::{id_text, table};
pub(in crate::store) use crate::store::query::filter::lookups::{bounded_key, conjuncts, equal_entry, equal_text};

use crate::domain::query::typed::{Condition, EntryList, NumberValue, TextValue};
use crate::store::db::statement::Sql;

/// Number of characters of a key in an index that does not have the whole key, see [`lookups::indexed_prefix`].
const INDEXED: usize = 64;
/// The names of range variables in SQL, by depth.
const VARIABLES: [&str; 4] = ["x1", "x2", "x3", "x4"];

/// SQL that is true where `condition` is, and false or null elsewhere.
pub(in crate::store) fn condition(mailbox: i64, condition: &Condition) -> Sql {
    Compiler::new(mailbox).selects(condition)
}

/// The same for contacts that are not deleted, in one folder or all.
pub(in crate::store) fn condition_in(mailbox: i64, folder: Option<&str>, condition: &Condition) -> Sql {
    Compiler { folder, ..Compiler::new(mailbox) }.selects(condition)
}

/// The same for contacts that another index finds already: no further index is used.
pub(in crate::store) fn condition_without_indexes(mailbox: i64, condition: &Condition) -> Sql {
    Compiler { uses_indexes: false, ..Compiler::new(mailbox) }.selects(condition)
}

/// ` and …`: the entries `x1` of a list for which `body` is true.
pub(in crate::store) fn entries(mailbox: i64, list: EntryList, body: &Condition) -> Sql {
    let compiler = Compiler { uses_indexes: false, depth: 1, ..Compiler::new(mailbox) };
    columns::of_type(list, "x1").text(" and ").then(compiler.selects(body))
}

/// The folded form of a text.
pub(in crate::store) fn text(mailbox: i64, value: &TextValue) -> Sql {
    Compiler::new(mailbox).text(value)
}

/// A number.
pub(in crate::store) fn number(mailbox: i64, value: &NumberValue) -> Sql {
    Compiler::new(mailbox).number(value)
}

/// A condition as a number: 0, 1 or null.
pub(in crate::store) fn truth(mailbox: i64, condition: &Condition) -> Sql {
    let condition = Compiler::new(mailbox).value(condition);
    Sql::new("(select case t.v when true then 1 when false then 0 end from (select ")
        .then(condition)
        .text(" as v limit 1) t)")
}

#[derive(Clone, Copy)]
struct Compiler<'f> {
    mailbox: i64,
    /// Number of range variables in scope.
    depth: usize,
    /// Whether contacts are looked up in indexes.
    uses_indexes: bool,
    /// The only folder to look in.
    folder: Option<&'f str>,
}

/// `(left op right)`
fn binary(left: Sql, op: &'static str, right: Sql) -> Sql {
    Sql::new("(").then(left).text(op).then(right).text(")")
}

/// Joins with commas.
fn list(items: impl IntoIterator<Item = Sql>) -> Sql {
    let separated = |joined: Sql, (i, item): (usize, Sql)| joined.text(if i > 0 { ", " } else { "" }).then(item);
    items.into_iter().enumerate().fold(Sql::default(), separated)
}

impl Compiler<'_> {
    fn new(mailbox: i64) -> Self {
        Self { mailbox, depth: 0, uses_indexes: true, folder: None }
    }

    /// The compiler of a lambda's body.
    fn inner(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    fn variable(self) -> &'static str {
        VARIABLES.get(self.depth).copied().unwrap_or_default()
    }

    /// `operands`, each compiled by `each`, as a balanced tree, because SQLite limits the depth of an expression.
    fn joined(self, operands: &[Condition], word: &'static str, compile: fn(Self, &Condition) -> Sql) -> Sql {
        match operands {
            [] => Sql::new("false"),
            [operand] => compile(self, operand),
            operands => {
                let (left, right) = operands.split_at(operands.len() / 2);
                binary(self.joined(left, word, compile), word, self.joined(right, word, compile))
            }
        }
    }

    /// The operands, joined by `or`.
    fn any_of(self, operands: &[Condition], compile: fn(Self, &Condition) -> Sql) -> Sql {
        let joined = self.joined(operands, " or ", compile);
        if operands.iter().any(unindexed::reads_all_contacts) {
            // `+` keeps SQLite from looking for an index for each operand, in time that grows with the square of their number.
            return Sql::default().per_engine("(+", "(").then(joined).text(")");
        }
        joined
    }
}

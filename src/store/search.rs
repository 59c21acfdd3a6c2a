//! A search as SQL on a row `c` of contacts: ids looked up among the words, by how a word begins. Each engine keeps them
//! in its own way. SQLite has a full-text index, of all mailboxes together: a word there begins with its mailbox's number.
//! On PostgreSQL they are rows, and those of a phrase are joined by their places.

use super::filter::after_all_with;
use super::statement::Sql;
use crate::odata::search::{Expr, Search};
use crate::words::{Field, Value};

/// What stands between two values in SQLite's index: a word of no mailbox.
const GAP: &str = " 0 ";

/// The names of a phrase's words in SQL. There are never more.
const NAMES: [&str; 32] = [
    "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "w10", "w11", "w12", "w13", "w14", "w15", "w16", "w17",
    "w18", "w19", "w20", "w21", "w22", "w23", "w24", "w25", "w26", "w27", "w28", "w29", "w30", "w31", "w32",
];

/// `search` as a condition.
pub(super) fn condition(mailbox: i64, search: &Search) -> Sql {
    Sql::either(of_index(mailbox, &search.0), of_rows(mailbox, &search.0))
}

/// What SQLite's index is asked: all at once, since it then reads no more of the longer lists than of the shorter ones
/// need be. Only what is found by what is not there is left to us.
fn of_index(mailbox: i64, expr: &Expr) -> Sql {
    if let Some(wanted) = wanted(mailbox, expr) {
        let ids = Sql::new(
            "c.id in (select contact_id from searched where row in (select rowid from words where words match ",
        );
        return ids.value(wanted).text("))");
    }
    otherwise(expr, |expr| of_index(mailbox, expr))
}

/// The same on PostgreSQL.
fn of_rows(mailbox: i64, expr: &Expr) -> Sql {
    match ids(mailbox, expr) {
        Some(ids) => Sql::new("c.id in (").then(ids).text(")"),
        None => otherwise(expr, |expr| of_rows(mailbox, expr)),
    }
}

/// An expression by its parts.
fn otherwise(expr: &Expr, of: impl Fn(&Expr) -> Sql) -> Sql {
    match expr {
        Expr::Not(operand) => Sql::new("not (").then(of(operand)).text(")"),
        Expr::And(operands) => joined(operands.iter().map(of), " and ").parenthesized(),
        Expr::Or(operands) => joined(operands.iter().map(of), " or ").parenthesized(),
        Expr::Words(..) => Sql::new("false"),
    }
}

/// An expression in the words of SQLite's index, which must be told something that is there. Between its quotes there is
/// nothing but letters and digits.
fn wanted(mailbox: i64, expr: &Expr) -> Option<String> {
    let all = |operands: &[Expr], word| {
        let each = operands.iter().map(|expr| wanted(mailbox, expr)).collect::<Option<Vec<_>>>()?;
        Some(format!("({})", each.join(word)))
    };
    match expr {
        Expr::Words(field, words) => {
            let field = field.map_or(String::new(), |field| format!("f{} : ", field.number()));
            Some(format!("{field}\"{}\" *", of_mailbox(mailbox, words)))
        }
        Expr::And(operands) => {
            let (not, there): (Vec<_>, Vec<_>) = operands.iter().partition(|expr| matches!(expr, Expr::Not(_)));
            let there: Vec<_> = there.into_iter().cloned().collect();
            let first = if there.is_empty() { None } else { all(&there, " AND ") };
            not.into_iter().try_fold(first?, |all, expr| match expr {
                Expr::Not(operand) => Some(format!("({all} NOT {})", wanted(mailbox, operand)?)),
                _ => None,
            })
        }
        Expr::Or(operands) => all(operands, " OR "),
        Expr::Not(_) => None,
    }
}

/// The ids of all that are found, where they are found by what is there and not by what is not.
fn ids(mailbox: i64, expr: &Expr) -> Option<Sql> {
    let of_each = |operands: &[Expr], word| {
        let each = operands.iter().map(|expr| {
            let ids = ids(mailbox, expr)?;
            Some(Sql::new("select contact_id from (").then(ids).text(") i"))
        });
        Some(joined(each.collect::<Option<Vec<_>>>()?, word))
    };
    match expr {
        Expr::Words(field, words) => Some(in_a_row(mailbox, *field, words)),
        Expr::And(operands) => of_each(operands, " intersect "),
        Expr::Or(operands) => of_each(operands, " union "),
        Expr::Not(_) => None,
    }
}

fn joined(parts: impl IntoIterator<Item = Sql>, word: &'static str) -> Sql {
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |all, part| all.text(word).then(part))
}

/// The words of a contact as SQLite's index takes them: a text for each field.
pub(super) fn texts(mailbox: i64, values: &[Value]) -> Vec<String> {
    let mut texts = vec![String::new(); Field::ALL.len()];
    for (field, words) in values {
        if let Some(text) = texts.get_mut(field.number()) {
            if !text.is_empty() {
                text.push_str(GAP);
            }
            text.push_str(&of_mailbox(mailbox, words));
        }
    }
    texts
}

fn of_mailbox(mailbox: i64, words: &[String]) -> String {
    words.iter().map(|word| format!("{mailbox}x{word}")).collect::<Vec<_>>().join(" ")
}

/// Words in a row. The last may go on.
fn in_a_row(mailbox: i64, field: Option<Field>, words: &[String]) -> Sql {
    let mut words = words.iter().rev();
    let Some(last) = words.next() else { return Sql::new("select null as contact_id where false") };
    let select = Sql::new("select w1.contact_id from words w1");
    let select = words.zip(NAMES.into_iter().skip(1)).zip(1_i64..).fold(select, |select, ((word, name), steps)| {
        let join = select.text(" join words ").text(name).text(" on ").text(name);
        let join =
            join.text(".mailbox = ").value(mailbox).text(" and ").text(name).text(".word = ").value(word.clone());
        let join = join.text(" and ").text(name).text(".contact_id = w1.contact_id and ").text(name);
        join.text(".place = w1.place - ").value(steps)
    });
    let select = select.text(" where w1.mailbox = ").value(mailbox).text(" and w1.word >= ").value(last.clone());
    let select = match after_all_with(last) {
        Some(end) => select.text(" and w1.word < ").value(end),
        None => select,
    };
    match field.map(Field::places) {
        Some(places) => select.text(" and w1.place >= ").value(places.start).text(" and w1.place < ").value(places.end),
        None => select,
    }
}

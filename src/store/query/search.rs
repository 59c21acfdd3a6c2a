//! A search as SQL on a row `c` of contacts: ids looked up among the words, by how a word begins. Each engine has its own
//! full-text index, of all mailboxes together: a word there begins with its mailbox's number. SQLite's knows in which field
//! a word is and which follows it. On PostgreSQL a second column tells that of the contacts which the index has found:
//! there, a word begins with its field's number.

use std::collections::HashMap;

use crate::domain::error::Error;
use crate::domain::query::search::{Search, SearchExpr};
use crate::domain::words::{self, Field, FieldWords};
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};

/// What stands between two values in SQLite's index: a word of no mailbox.
const GAP: &str = " 0 ";

/// Most words that one which may go on is taken for.
const MAX_WAYS: i64 = 32;

/// The words of SQLite's index that begin with one, by this; none where they are too many.
#[derive(Debug, Default)]
pub(in crate::store) struct PrefixExpansions(HashMap<String, Vec<String>>);

/// How the words of a search go on. SQLite would put together all that is found by a word which may go on before it looks
/// for the others, however common the word and rare the others; of whole words it reads what it needs.
pub(in crate::store) async fn expansions(
    session: &mut Session,
    mailbox: i64,
    search: Option<&Search>,
) -> Result<PrefixExpansions, Error> {
    let mut expansions = HashMap::new();
    let mut last = Vec::new();
    let words = search.map_or(0, |search| last_words(&search.0, &mut last));
    // Each is found by going to where a word begins that is behind the one before.
    let text = "
with recursive expansions (word, number) as (
    select (select term from terms where term >= $1 and term < $2 limit 1), 1
    union all
    select (select term from terms where term >= word || char(1) and term < $2 limit 1), number + 1
    from expansions where word is not null and number <= $3
)
select word from expansions where word is not null";
    // What a single word finds has to be put together anyway.
    for word in last.into_iter().filter(|_| words > 1) {
        let from = of_mailbox(mailbox, std::slice::from_ref(word));
        let statement = Statement::new(text).bind(&from).bind(from.clone() + "\u{10ffff}").bind(MAX_WAYS);
        let rows = session.rows_of_sqlite(statement).await?;
        if i64::try_from(rows.len()).is_ok_and(|count| (1..=MAX_WAYS).contains(&count)) {
            expansions.insert(word.clone(), rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?);
        }
    }
    Ok(PrefixExpansions(expansions))
}

/// Adds the words that may go on; answers how many words there are in all.
fn last_words<'e>(expr: &'e SearchExpr, last: &mut Vec<&'e String>) -> usize {
    match expr {
        SearchExpr::Words(_, words) => {
            last.extend(words.last());
            words.len()
        }
        SearchExpr::And(operands) | SearchExpr::Or(operands) => {
            operands.iter().map(|expr| last_words(expr, last)).sum()
        }
        SearchExpr::Not(operand) => last_words(operand, last),
    }
}

/// `search` as a condition.
pub(in crate::store) fn condition(mailbox: i64, search: &Search, expansions: &PrefixExpansions) -> Sql {
    // On PostgreSQL what must be found is found first, so that no page is looked for by reading contacts until enough of
    // them fit.
    let first = found(mailbox, &search.0).map(|found| Sql::new("c.id = any(array(").then(found).text("))"));
    let rows = first.unwrap_or_else(|| of_vectors(mailbox, &search.0));
    Sql::either(of_index(mailbox, &search.0, expansions), rows)
}

/// What SQLite's index is asked: all at once, since it then reads no more of the longer lists than of the shorter ones
/// need be. Only what is found by what is not there is left to us.
fn of_index(mailbox: i64, expr: &SearchExpr, expansions: &PrefixExpansions) -> Sql {
    if let Some(wanted) = wanted(mailbox, expr, expansions) {
        let ids = Sql::new(
            "c.id in (select contact_id from searched where row in (select rowid from words where words match ",
        );
        return ids.value(wanted).text("))");
    }
    otherwise(expr, |expr| of_index(mailbox, expr, expansions))
}

/// The same on PostgreSQL.
fn of_vectors(mailbox: i64, expr: &SearchExpr) -> Sql {
    match found(mailbox, expr) {
        Some(found) => Sql::new("c.id in (").then(found).text(")"),
        None => otherwise(expr, |expr| of_vectors(mailbox, expr)),
    }
}

/// An expression by its parts.
fn otherwise(expr: &SearchExpr, of: impl Fn(&SearchExpr) -> Sql) -> Sql {
    match expr {
        SearchExpr::Not(operand) => Sql::new("not (").then(of(operand)).text(")"),
        SearchExpr::And(operands) => joined(operands.iter().map(of), " and ").parenthesized(),
        SearchExpr::Or(operands) => joined(operands.iter().map(of), " or ").parenthesized(),
        SearchExpr::Words(..) => Sql::new("false"),
    }
}

fn joined(parts: impl IntoIterator<Item = Sql>, word: &'static str) -> Sql {
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |all, part| all.text(word).then(part))
}

/// An expression in the words of SQLite's index, which must be told something that is there. Between its quotes there is
/// nothing but letters and digits.
fn wanted(mailbox: i64, expr: &SearchExpr, expansions: &PrefixExpansions) -> Option<String> {
    let all = |operands: &[SearchExpr], word| {
        let each = operands.iter().map(|expr| wanted(mailbox, expr, expansions)).collect::<Option<Vec<_>>>()?;
        Some(format!("({})", each.join(word)))
    };
    match expr {
        SearchExpr::Words(field, words) => {
            let field = field.map_or(String::new(), |field| format!("f{} : ", field.number()));
            let Some(expansions) = words.last().and_then(|last| expansions.0.get(last)) else {
                return Some(format!("{field}\"{}\" *", of_mailbox(mailbox, words)));
            };
            let before = of_mailbox(mailbox, words.split_last().map_or(&[], |(_, before)| before));
            let each = expansions.iter().map(|word| format!("\"{before} {word}\"")).collect::<Vec<_>>();
            Some(format!("{field}({})", each.join(" OR ")))
        }
        SearchExpr::And(operands) => {
            let (not, there): (Vec<_>, Vec<_>) = operands.iter().partition(|expr| matches!(expr, SearchExpr::Not(_)));
            let there: Vec<_> = there.into_iter().cloned().collect();
            let first = if there.is_empty() { None } else { all(&there, " AND ") };
            not.into_iter().try_fold(first?, |all, expr| match expr {
                SearchExpr::Not(operand) => Some(format!("({all} NOT {})", wanted(mailbox, operand, expansions)?)),
                _ => None,
            })
        }
        SearchExpr::Or(operands) => all(operands, " OR "),
        SearchExpr::Not(_) => None,
    }
}

/// The ids of all that PostgreSQL finds, where something is asked that is there.
fn found(mailbox: i64, expr: &SearchExpr) -> Option<Sql> {
    let words = in_words(mailbox, expr)?;
    let select = Sql::new("select contact_id from words where words @@ ").value(words.query).text("::text::tsquery");
    if words.is_all {
        return Some(select);
    }
    Some(select.text(" and places @@ ").value(in_places(expr)).text("::text::tsquery"))
}

/// What PostgreSQL's index is asked.
struct InWords {
    query: String,
    /// Whether that is all, and not only what must be so.
    is_all: bool,
}

fn in_words(mailbox: i64, expr: &SearchExpr) -> Option<InWords> {
    let join = |parts: &[InWords], operator| {
        let queries: Vec<_> = parts.iter().map(|part| part.query.as_str()).collect();
        InWords { query: format!("({})", queries.join(operator)), is_all: parts.iter().all(|part| part.is_all) }
    };
    match expr {
        SearchExpr::Words(field, words) => {
            let query = of_prefix(&mailbox.to_string(), words, " & ");
            Some(InWords { query, is_all: field.is_none() && words.len() == 1 })
        }
        SearchExpr::And(operands) => {
            let (not, there): (Vec<_>, Vec<_>) = operands.iter().partition(|expr| matches!(expr, SearchExpr::Not(_)));
            let count = there.len();
            let mut parts: Vec<_> = there.into_iter().filter_map(|expr| in_words(mailbox, expr)).collect();
            if parts.is_empty() {
                return None;
            }
            let mut is_all = parts.len() == count;
            for expr in not {
                match expr {
                    SearchExpr::Not(operand) => match in_words(mailbox, operand).filter(|words| words.is_all) {
                        Some(InWords { query, .. }) => parts.push(InWords { query: format!("!{query}"), is_all: true }),
                        None => is_all = false,
                    },
                    _ => is_all = false,
                }
            }
            let all = join(&parts, " & ");
            Some(InWords { is_all: all.is_all && is_all, ..all })
        }
        SearchExpr::Or(operands) => {
            let parts = operands.iter().map(|expr| in_words(mailbox, expr)).collect::<Option<Vec<_>>>()?;
            Some(join(&parts, " | "))
        }
        SearchExpr::Not(_) => None,
    }
}

/// What PostgreSQL is asked of each contact that its index has found.
fn in_places(expr: &SearchExpr) -> String {
    let join = |operands: &[SearchExpr], operator| {
        format!("({})", operands.iter().map(in_places).collect::<Vec<_>>().join(operator))
    };
    match expr {
        SearchExpr::Words(field, words) => {
            let fields = field.map_or(Field::ALL.to_vec(), |field| vec![field]);
            let each = fields.into_iter().map(|field| of_prefix(&field.number().to_string(), words, " <-> "));
            format!("({})", each.collect::<Vec<_>>().join(" | "))
        }
        SearchExpr::And(operands) => join(operands, " & "),
        SearchExpr::Or(operands) => join(operands, " | "),
        SearchExpr::Not(operand) => format!("!{}", in_places(operand)),
    }
}

/// Words in PostgreSQL's language, of which the last may go on, behind what each begins with. Nothing in them is a sign of
/// that language.
fn of_prefix(prefix: &str, words: &[String], operator: &str) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{prefix}x{word}")).collect();
    format!("({}:*)", words.join(operator))
}

/// The words of a contact as SQLite's index takes them: a text for each field.
pub(in crate::store) fn texts(mailbox: i64, values: &[FieldWords]) -> Vec<String> {
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

/// The same as PostgreSQL takes them: which words there are, and where each is.
pub(in crate::store) fn vectors(mailbox: i64, values: &[FieldWords]) -> [String; 2] {
    let mut words: Vec<_> = values.iter().flat_map(|(_, words)| words).collect();
    words.sort_unstable();
    words.dedup();
    let words: Vec<_> = words.into_iter().map(|word| format!("{mailbox}x{word}")).collect();
    let places = words::places(values).into_iter().map(|(word, place)| {
        let (field, place) = Field::at(place);
        format!("{field}x{word}:{}", place + 1)
    });
    [words.join(" "), places.collect::<Vec<_>>().join(" ")]
}

fn of_mailbox(mailbox: i64, words: &[String]) -> String {
    words.iter().map(|word| format!("{mailbox}x{word}")).collect::<Vec<_>>().join(" ")
}

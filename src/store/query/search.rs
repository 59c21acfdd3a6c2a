//! A search as SQL on a row `c` of contacts: a look-up of ids by the beginnings of words. Each engine has its own
//! full-text index of all mailboxes, in which each word begins with its mailbox's number. SQLite's index knows the
//! field and the position of a word. On PostgreSQL a second column has these for the contacts that the index has found;
//! there, a word begins with its field's number.

use std::collections::HashMap;

use crate::domain::error::Error;
use crate::domain::query::search::{Search, SearchExpr};
use crate::domain::words::{self, Field, FieldWords};
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};

/// Separates two values in SQLite's index: a word of no mailbox.
const GAP: &str = " 0 ";

/// Maximum number of words that a prefix is expanded to.
const MAX_ENDS: usize = 32;

/// Maximum number of contacts that are found by a part of a search, and in which the rest is then looked for. PostgreSQL's
/// index collects all entries of each prefix, but of whole words only as many as the rarest one has.
const MAX_FEW: usize = 200;

/// The words of SQLite's index that a phrase can end with, by the query of the phrase. A phrase that can end with too many words
/// is absent.
#[derive(Debug, Default)]
pub(in crate::store) struct PrefixExpansions(HashMap<String, Vec<String>>);

/// Expands the prefixes of a search. SQLite would collect everything that a prefix finds before it looks for the other
/// words, even if those are rare. Of whole words it reads only what it needs.
pub(in crate::store) async fn expansions(
    session: &mut Session,
    mailbox: i64,
    search: Option<&Search>,
) -> Result<PrefixExpansions, Error> {
    let mut expansions = HashMap::new();
    let mut phrases = Vec::new();
    let words = search.map_or(0, |search| add_phrases(&search.0, &mut phrases));
    // A search of a single word must be collected anyway.
    for (field, phrase) in phrases.into_iter().filter(|_| words > 1) {
        let Some((last, before)) = phrase.split_last() else { continue };
        let from = of_mailbox(mailbox, std::slice::from_ref(last));
        let first = if before.is_empty() { Vec::new() } else { words_from(session, &from, 1).await? };
        let queries = [whole(mailbox, field, before), ending(mailbox, field, before, &first)];
        let is_enough = !first.is_empty() && is_only_end(session, &queries).await?;
        let all = if is_enough { first } else { words_from(session, &from, MAX_ENDS + 1).await? };
        if (1..=MAX_ENDS).contains(&all.len()) {
            expansions.insert(beginning(mailbox, field, phrase), all);
        }
    }
    Ok(PrefixExpansions(expansions))
}

/// At most `limit` words of the index that begin with `from`, in their order. Each is found by a seek to the first word after the
/// one before.
async fn words_from(session: &mut Session, from: &str, limit: usize) -> Result<Vec<String>, Error> {
    let text = "
with recursive found (word, number) as (
    select (select term from terms where term >= $1 and term < $2 limit 1), 1
    union all
    select (select term from terms where term >= word || char(1) and term < $2 limit 1), number + 1
    from found where word is not null and number < $3
)
select word from found where word is not null";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let statement = Statement::new(text).bind(from).bind(format!("{from}\u{10ffff}")).bind(limit);
    session.rows_on_sqlite(statement).await?.iter().map(|row| row.get(0)).collect()
}

/// Whether few contacts match the whole words of a phrase, and all of them have one of the ends too. Then other ends need not be
/// known. To find the word after a common one, SQLite reads the whole list of contacts that have the common one.
async fn is_only_end(session: &mut Session, [whole, ending]: &[String; 2]) -> Result<bool, Error> {
    // Both ends of a phrase may be common, so the second query is asked only if the first found few.
    let text = "
with whole (found) as materialized (select count(*) from (select 1 from words where words match $1 limit $3))
select found = 0 or found < $3 and found = (select count(*) from (select 1 from words where words match $2 limit $3))
from whole";
    let limit = i64::try_from(MAX_FEW + 1).unwrap_or(i64::MAX);
    let statement = Statement::new(text).bind(whole.as_str()).bind(ending.as_str()).bind(limit);
    let rows = session.rows_on_sqlite(statement).await?;
    rows.first().map_or(Ok(false), |row| row.get(0))
}

/// Adds the phrases with their fields. Returns the number of all words.
fn add_phrases<'e>(expr: &'e SearchExpr, phrases: &mut Vec<(Option<Field>, &'e [String])>) -> usize {
    match expr {
        SearchExpr::Words(field, words) => {
            phrases.push((*field, words));
            words.len()
        }
        SearchExpr::And(operands) | SearchExpr::Or(operands) => {
            operands.iter().map(|expr| add_phrases(expr, phrases)).sum()
        }
        SearchExpr::Not(operand) => add_phrases(operand, phrases),
    }
}

/// `search` as a condition.
pub(in crate::store) fn condition(mailbox: i64, search: &Search, expansions: &PrefixExpansions) -> Sql {
    // On PostgreSQL the required words are looked up first. Otherwise a page could be filled by reading contacts until
    // enough of them match.
    let first = matching_ids(mailbox, &search.0).map(|found| Sql::new("c.id = any(array(").then(found).text("))"));
    let rows = first.unwrap_or_else(|| for_postgres(mailbox, &search.0));
    Sql::engine_specific(for_sqlite(mailbox, &search.0, expansions), rows)
}

/// The question to SQLite's index. It is one question, because SQLite then reads only as much of the long lists as the
/// short ones require. Only searches for missing words are answered outside the index.
fn for_sqlite(mailbox: i64, expr: &SearchExpr, expansions: &PrefixExpansions) -> Sql {
    if let Some(wanted) = index_query(mailbox, expr, expansions) {
        let ids = Sql::new(
            "c.id in (select contact_id from searched where row in (select rowid from words where words match ",
        );
        return ids.value(wanted).text("))");
    }
    compile_parts(expr, |expr| for_sqlite(mailbox, expr, expansions))
}

/// The same for PostgreSQL.
fn for_postgres(mailbox: i64, expr: &SearchExpr) -> Sql {
    match matching_ids(mailbox, expr) {
        Some(found) => Sql::new("c.id in (").then(found).text(")"),
        None => compile_parts(expr, |expr| for_postgres(mailbox, expr)),
    }
}

/// Compiles an expression by its parts.
fn compile_parts(expr: &SearchExpr, of: impl Fn(&SearchExpr) -> Sql) -> Sql {
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

/// An expression in the language of SQLite's index, which needs at least one word that must exist. Quoted words have
/// only letters and digits.
fn index_query(mailbox: i64, expr: &SearchExpr, expansions: &PrefixExpansions) -> Option<String> {
    let all = |operands: &[SearchExpr], word| {
        let each = operands.iter().map(|expr| index_query(mailbox, expr, expansions)).collect::<Option<Vec<_>>>()?;
        Some(format!("({})", each.join(word)))
    };
    match expr {
        SearchExpr::Words(field, words) => {
            let begins = beginning(mailbox, *field, words);
            let before = words.split_last().map_or(&[][..], |(_, before)| before);
            Some(expansions.0.get(&begins).map_or(begins, |ends| ending(mailbox, *field, before, ends)))
        }
        SearchExpr::And(operands) => {
            let (not, there): (Vec<_>, Vec<_>) = operands.iter().partition(|expr| matches!(expr, SearchExpr::Not(_)));
            let there: Vec<_> = there.into_iter().cloned().collect();
            let first = if there.is_empty() { None } else { all(&there, " AND ") };
            not.into_iter().try_fold(first?, |all, expr| match expr {
                SearchExpr::Not(operand) => Some(format!("({all} NOT {})", index_query(mailbox, operand, expansions)?)),
                _ => None,
            })
        }
        SearchExpr::Or(operands) => all(operands, " OR "),
        SearchExpr::Not(_) => None,
    }
}

/// The query of a phrase whose last word is a prefix.
fn beginning(mailbox: i64, field: Option<Field>, phrase: &[String]) -> String {
    format!("{} *", whole(mailbox, field, phrase))
}

/// The query of a phrase that ends with one of these words of the index.
fn ending(mailbox: i64, field: Option<Field>, before: &[String], ends: &[String]) -> String {
    let before = of_mailbox(mailbox, before);
    let each = ends.iter().map(|end| format!("\"{before} {end}\"")).collect::<Vec<_>>();
    format!("{}({})", in_field(field), each.join(" OR "))
}

/// The query of a phrase of whole words.
fn whole(mailbox: i64, field: Option<Field>, phrase: &[String]) -> String {
    format!("{}\"{}\"", in_field(field), of_mailbox(mailbox, phrase))
}

fn in_field(field: Option<Field>) -> String {
    field.map_or(String::new(), |field| format!("f{} : ", field.number()))
}

/// Whether a word must be there, so that an index finds the contacts.
pub(in crate::store) fn is_looked_up(search: &Search) -> bool {
    in_words(0, &search.0).is_some()
}

/// The ids that PostgreSQL's index finds, if at least one word must exist.
fn matching_ids(mailbox: i64, expr: &SearchExpr) -> Option<Sql> {
    let words = in_words(mailbox, expr)?;
    let select = Sql::new("select contact_id from words where words @@ ").then(tsquery(words.query.clone()));
    let first = words.first();
    let (column, rest) = if words.is_all { ("words", words.query) } else { ("places", in_places(expr)) };
    let fits = || Sql::new(" and ").text(column).text(" @@ ").then(tsquery(rest.clone()));
    let Some(first) = first else { return Some(if words.is_all { select } else { select.then(fits()) }) };
    let few = Sql::new("with few as materialized (select contact_id, words, places from words where words @@ ");
    let few = few.then(tsquery(first)).text(" limit ").number(MAX_FEW + 1).text(") select contact_id from few");
    let few = few.text(" where (select count(*) from few) <= ").number(MAX_FEW).then(fits()).text(" union all ");
    Some(few.then(select).then(fits()).text(" and (select count(*) from few) > ").number(MAX_FEW))
}

/// A query of PostgreSQL's index. As the result of a subquery its value is unknown to the planner, which would otherwise read
/// its statistics of words for each search, and not keep a plan.
fn tsquery(text: String) -> Sql {
    Sql::new("(select ").value(text).text("::text::tsquery)")
}

/// Operators of PostgreSQL's questions.
const AND: &str = " & ";
const OR: &str = " | ";

/// A question to PostgreSQL's index.
struct InWords {
    query: String,
    /// The same without its prefixes, if whole words are left. It finds more.
    whole: Option<String>,
    /// The words that must be there and are prefixes alone.
    prefixes: Vec<String>,
    /// Whether this is the whole expression, and not only a necessary condition.
    is_all: bool,
}

impl InWords {
    /// A part of the question that costs less and is enough if it finds few: the whole words, or else the longest of several
    /// prefixes, which is likely to be the rarest.
    fn first(&self) -> Option<String> {
        let longest = || self.prefixes.iter().filter(|_| self.prefixes.len() > 1).max_by_key(|prefix| prefix.len());
        self.whole.as_ref().or_else(longest).cloned()
    }
}

fn in_words(mailbox: i64, expr: &SearchExpr) -> Option<InWords> {
    let join = |parts: Vec<InWords>, operator| {
        let queries: Vec<_> = parts.iter().map(|part| part.query.as_str()).collect();
        let whole: Vec<_> = parts.iter().filter_map(|part| part.whole.as_deref()).collect();
        // One of several alternatives without whole words may find anything.
        let is_whole = !whole.is_empty() && (operator == AND || whole.len() == parts.len());
        InWords {
            query: format!("({})", queries.join(operator)),
            whole: is_whole.then(|| format!("({})", whole.join(operator))),
            is_all: parts.iter().all(|part| part.is_all),
            prefixes: parts.into_iter().filter(|_| operator == AND).flat_map(|part| part.prefixes).collect(),
        }
    };
    match expr {
        SearchExpr::Words(field, words) => {
            let prefix = mailbox.to_string();
            let before = words.split_last().map_or(&[][..], |(_, before)| before);
            let whole = (!before.is_empty()).then(|| format!("({})", of_words(&prefix, before, AND)));
            let query = of_prefix(&prefix, words, AND);
            let prefixes = if before.is_empty() { vec![query.clone()] } else { Vec::new() };
            Some(InWords { query, whole, prefixes, is_all: field.is_none() && words.len() == 1 })
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
                        Some(InWords { query, .. }) => {
                            let query = format!("!{query}");
                            parts.push(InWords { query, whole: None, prefixes: Vec::new(), is_all: true });
                        }
                        None => is_all = false,
                    },
                    _ => is_all = false,
                }
            }
            let all = join(parts, AND);
            Some(InWords { is_all: all.is_all && is_all, ..all })
        }
        SearchExpr::Or(operands) => {
            let parts = operands.iter().map(|expr| in_words(mailbox, expr)).collect::<Option<Vec<_>>>()?;
            Some(join(parts, OR))
        }
        SearchExpr::Not(_) => None,
    }
}

/// The question that PostgreSQL answers for each contact that its index has found.
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
        SearchExpr::And(operands) => join(operands, AND),
        SearchExpr::Or(operands) => join(operands, OR),
        SearchExpr::Not(operand) => format!("!{}", in_places(operand)),
    }
}

/// Words in the language of PostgreSQL's index, each after `prefix`; the last word is a prefix. None of them contains
/// an operator of that language.
fn of_prefix(prefix: &str, words: &[String], operator: &str) -> String {
    format!("({}:*)", of_words(prefix, words, operator))
}

/// Whole words, each after `prefix`.
fn of_words(prefix: &str, words: &[String], operator: &str) -> String {
    words.iter().map(|word| format!("{prefix}x{word}")).collect::<Vec<_>>().join(operator)
}

/// The words of a contact for SQLite's index: a text for each field.
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

/// The same for PostgreSQL: the words, and the place of each.
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

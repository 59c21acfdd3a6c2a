//! A typed filter as SQL on a row `c` of contacts (or of whatever else its model describes). The texts are ours, what a client wrote is bound, and both
//! engines answer what `domain::query::eval` does: texts are compared by their folded forms and by code points, numbers are
//! whole, and what is not the same on both (null in `greatest`, places past the end) is not left to them. What is used more
//! than once is selected first, with a limit: without, PostgreSQL would put it in each place, and grow with every level.
//!
//! Where only truth counts, false and null being the same, an index can serve (`lookups`). PostgreSQL's indexes of entries have the
//! first characters of a key only, which are then compared as well, by the expression the index is made of.

mod columns;
mod lookups;
mod unserved;

pub(in crate::store) use crate::store::query::filter::columns::{id_text, table};
use crate::store::query::filter::columns::{is_id, rows_of};
use crate::store::query::filter::lookups::{Lookup, after_all_with, begins, head_of, of_moment};
pub(in crate::store) use crate::store::query::filter::lookups::{bounded, conjuncts, equal_entry, equal_text};
use crate::store::query::filter::unserved::is_read;

use std::sync::LazyLock;

use crate::domain::literal::MILLION;
use crate::domain::query::typed::{
    Arithmetic, Calendar, Cast, Comparison, Condition, EntryList, Find, Moment, NumberValue, TextValue,
};
use crate::store::db::statement::Sql;

/// How many characters of a key its index has where it has not all of it, see [`head_of`].
const INDEXED: usize = 64;
/// All that is white space.
static BLANKS: LazyLock<String> =
    LazyLock::new(|| (0..=0x3000).filter_map(char::from_u32).filter(|c| c.is_whitespace()).collect());
/// The names of range variables in SQL, by depth.
const VARIABLES: [&str; 4] = ["x1", "x2", "x3", "x4"];

/// `condition` as SQL that is true where it is; it may be null where it is false.
pub(in crate::store) fn condition(mailbox: i64, condition: &Condition) -> Sql {
    Compiler::new(mailbox).condition(condition, true)
}

/// The same of contacts that are not deleted, in one folder or all.
pub(in crate::store) fn condition_in(mailbox: i64, folder: Option<&str>, condition: &Condition) -> Sql {
    Compiler { folder, ..Compiler::new(mailbox) }.condition(condition, true)
}

/// The same of contacts that are found otherwise: no index is asked.
pub(in crate::store) fn residue(mailbox: i64, condition: &Condition) -> Sql {
    Compiler { asks: false, ..Compiler::new(mailbox) }.condition(condition, true)
}

/// The entries `x1` of a list for which `body` is true, behind their mailbox.
pub(in crate::store) fn entries(mailbox: i64, of: EntryList, body: &Condition) -> Sql {
    let compiler = Compiler { asks: false, depth: 1, ..Compiler::new(mailbox) };
    columns::of_type(of, "x1").text(" and ").then(compiler.condition(body, true))
}

/// A text's folded form.
pub(in crate::store) fn text(mailbox: i64, value: &TextValue) -> Sql {
    Compiler::new(mailbox).text(value)
}

/// A number.
pub(in crate::store) fn number(mailbox: i64, value: &NumberValue) -> Sql {
    Compiler::new(mailbox).number(value)
}

/// A condition as a number: 0, 1 or null.
pub(in crate::store) fn truth(mailbox: i64, condition: &Condition) -> Sql {
    let condition = Compiler::new(mailbox).condition(condition, false);
    Sql::new("(select case t.v when true then 1 when false then 0 end from (select ")
        .then(condition)
        .text(" as v limit 1) t)")
}

#[derive(Clone, Copy)]
struct Compiler<'f> {
    mailbox: i64,
    /// How many range variables are in scope.
    depth: usize,
    /// Whether indexes are asked for contacts.
    asks: bool,
    /// The only folder whose contacts they are asked for.
    folder: Option<&'f str>,
}

/// `(left op right)`
fn binary(left: Sql, op: &'static str, right: Sql) -> Sql {
    Sql::new("(").then(left).text(op).then(right).text(")")
}

/// Joins with commas.
fn list(of: impl IntoIterator<Item = Sql>) -> Sql {
    let separated = |all: Sql, (i, one): (usize, Sql)| all.text(if i > 0 { ", " } else { "" }).then(one);
    of.into_iter().enumerate().fold(Sql::default(), separated)
}

impl Compiler<'_> {
    fn new(mailbox: i64) -> Self {
        Self { mailbox, depth: 0, asks: true, folder: None }
    }

    fn condition(self, condition: &Condition, truth_alone: bool) -> Sql {
        match condition {
            Condition::Constant(Some(true)) => Sql::new("true"),
            Condition::Constant(Some(false)) => Sql::new("false"),
            Condition::Constant(None) => Sql::new("cast(null as boolean)"),
            Condition::IsFavorite => Sql::new("c.is_favorite"),
            Condition::Not(operand) => Sql::new("(not ").then(self.condition(operand, false)).text(")"),
            Condition::And(operands) => self.joined(operands, " and ", truth_alone),
            // SQLite would look for an index for each, in time that grows with the square of how many there are.
            Condition::Or(operands) if operands.iter().any(is_read) => {
                Sql::default().per_engine("(+", "(").then(self.joined(operands, " or ", truth_alone)).text(")")
            }
            Condition::Or(operands) => self.joined(operands, " or ", truth_alone),
            Condition::Same(left, right) => {
                binary(self.condition(left, false), " is not distinct from ", self.condition(right, false))
            }
            Condition::CompareText(op, left, right) => self.compare_texts(*op, left, right, truth_alone),
            Condition::CompareNumber(op, left, right) => self.compare_numbers(*op, left, right, truth_alone),
            Condition::InTexts(text, among, null) => self.in_texts(text, among, *null, truth_alone),
            Condition::InNumbers(number, among, null) => {
                let number = self.number(number);
                if among.is_empty() {
                    return Sql::new("(").then(number).text(" is null)");
                }
                let values = list(among.iter().map(|value| Sql::of(*value)));
                let among = Sql::new("coalesce(").then(number).text(" in (").then(values);
                among.text(if *null { "), true)" } else { "), false)" })
            }
            Condition::IsId(id, value) => is_id(*id, value.as_deref()),
            Condition::Find(find, text, part) => self.find(*find, text, part, truth_alone),
            Condition::Truth(depth, _) => Sql::new("(case ")
                .then(columns::value(*depth, ".value_key"))
                .text(" when 'true' then true when 'false' then false end)"),
            Condition::Any(of, None) => self.exists(*of, Sql::default()),
            Condition::Any(of, Some(body)) if self.asks && self.is_looked_up(body) => self.is_among(*of, body),
            Condition::Any(of, Some(body)) => {
                let body = Self { depth: self.depth + 1, ..self }.condition(body, true);
                self.exists(*of, Sql::new(" and ").then(body))
            }
            Condition::All(of, body) => {
                let body = Self { depth: self.depth + 1, ..self }.condition(body, false);
                Sql::new("(not ").then(self.exists(*of, Sql::new(" and (").then(body).text(") is not true"))).text(")")
            }
        }
    }

    /// As a balanced tree, since SQLite bounds how deep one may be.
    fn joined(self, operands: &[Condition], word: &'static str, truth_alone: bool) -> Sql {
        match operands {
            [] => Sql::new("false"),
            [one] => self.condition(one, truth_alone),
            many => {
                let (left, right) = many.split_at(many.len() / 2);
                binary(self.joined(left, word, truth_alone), word, self.joined(right, word, truth_alone))
            }
        }
    }

    fn variable(self) -> &'static str {
        VARIABLES.get(self.depth).copied().unwrap_or_default()
    }

    /// Whether there is an entry for which `also` holds.
    fn exists(self, of: EntryList, also: Sql) -> Sql {
        let variable = self.variable();
        Sql::new("exists (select 1 from ").then(rows_of(of, variable)).then(also).text(")")
    }

    fn compare_texts(self, op: Comparison, left: &TextValue, right: &TextValue, truth_alone: bool) -> Sql {
        let word = match op {
            Comparison::Eq => " = ",
            Comparison::Gt => " > ",
            Comparison::Ge => " >= ",
            Comparison::Lt => " < ",
            Comparison::Le => " <= ",
        };
        if op != Comparison::Eq {
            // Two bound values would be compared as the database's locale has it.
            return binary(self.text(left).per_engine("", " collate \"C\""), word, self.text(right));
        }
        let (left, right) = if matches!(left, TextValue::Constant(_)) { (right, left) } else { (left, right) };
        match right {
            TextValue::Constant(None) => Sql::new("(").then(self.text(left)).text(" is null)"),
            TextValue::Constant(Some(value)) if truth_alone && let Some(lookup) = Lookup::of(left) => match lookup {
                Lookup::Contact(index, key) => self.asked_first(index, key, |key| key.text(" = ").value(value.clone())),
                Lookup::Entry(key) => {
                    let head = binary(head_of(left, key.clone()), " = ", head_of(left, Sql::of(value.clone())));
                    binary(head, " and ", binary(key, " = ", Sql::of(value.clone()))).parenthesized()
                }
            },
            TextValue::Constant(Some(value)) if truth_alone => binary(self.text(left), " = ", Sql::of(value.clone())),
            right => binary(self.text(left), " is not distinct from ", self.text(right)),
        }
    }

    fn in_texts(self, text: &TextValue, among: &[String], null: bool, truth_alone: bool) -> Sql {
        if among.is_empty() {
            return Sql::new("(").then(self.text(text)).text(" is null)");
        }
        let values = || among.iter().map(|value| Sql::of(value.clone()));
        let among_all = |key: Sql| key.text(" in (").then(list(values())).text(")");
        match Lookup::of(text) {
            Some(Lookup::Contact(index, key)) if truth_alone && !null => self.asked_first(index, key, among_all),
            Some(Lookup::Entry(key)) if truth_alone && !null => {
                let heads = list(values().map(|value| head_of(text, value)));
                let heads = head_of(text, key.clone()).text(" in (").then(heads).text(")");
                heads.text(" and ").then(among_all(key)).parenthesized()
            }
            _ => {
                let among = Sql::new("coalesce(").then(among_all(self.text(text)));
                among.text(if null { ", true)" } else { ", false)" })
            }
        }
    }

    fn compare_numbers(self, op: Comparison, left: &NumberValue, right: &NumberValue, truth_alone: bool) -> Sql {
        match (left, right) {
            (NumberValue::Moment(moment), NumberValue::Constant(Some(number))) if stamp(*moment).is_some() => {
                return self.compare_stamp(*moment, op, *number, truth_alone);
            }
            (NumberValue::Constant(Some(number)), NumberValue::Moment(moment)) if stamp(*moment).is_some() => {
                return self.compare_stamp(*moment, turned(op), *number, truth_alone);
            }
            _ => {}
        }
        let null = |value: &NumberValue| matches!(value, NumberValue::Constant(None));
        let word = match op {
            Comparison::Eq if null(right) => return Sql::new("(").then(self.number(left)).text(" is null)"),
            Comparison::Eq if null(left) => return Sql::new("(").then(self.number(right)).text(" is null)"),
            Comparison::Eq if truth_alone && matches!(right, NumberValue::Constant(_)) => " = ",
            Comparison::Eq => " is not distinct from ",
            Comparison::Gt => " > ",
            Comparison::Ge => " >= ",
            Comparison::Lt => " < ",
            Comparison::Le => " <= ",
        };
        binary(self.number(left), word, self.number(right))
    }

    fn find(self, find: Find, text: &TextValue, part: &TextValue, truth_alone: bool) -> Sql {
        if truth_alone
            && let (Find::StartsWith, Some(lookup), TextValue::Constant(Some(prefix))) = (find, Lookup::of(text), part)
            && let Some(end) = after_all_with(prefix)
        {
            return match lookup {
                Lookup::Contact(index, key) => self.in_range(index, key, prefix, &end),
                Lookup::Entry(key) => begins(text, key, prefix, end),
            };
        }
        let (text, part) = (self.text(text), self.text(part));
        match find {
            Find::Contains => {
                Sql::default().per_engine("(instr(", "(strpos(").then(text).text(", ").then(part).text(") > 0)")
            }
            Find::StartsWith => Sql::new("(select substr(t.v, 1, length(t.p)) = t.p from (select ")
                .then(text)
                .text(" as v, ")
                .then(part)
                .text(" as p limit 1) t)"),
            // A place before the first is counted from the end by SQLite.
            Find::EndsWith => Sql::new(
                "(select length(t.v) >= length(t.p) and substr(t.v, length(t.v) - length(t.p) + 1) = t.p from (select ",
            )
            .then(text)
            .text(" as v, ")
            .then(part)
            .text(" as p limit 1) t)"),
        }
    }

    /// Compares a time that is stored with its microseconds, by the column itself, so that an index can serve: it does
    /// where what was written lately is asked for. A time that is shown in whole seconds stands for all of its second.
    fn compare_stamp(self, moment: Moment, op: Comparison, number: i64, truth_alone: bool) -> Sql {
        let second = number.div_euclid(MILLION).saturating_mul(MILLION);
        let next = second.saturating_add(MILLION);
        let first_at_least = if second == number { second } else { next };
        let compared_by = |column: Sql| {
            let compared = |op, number: i64| binary(column.clone(), op, Sql::of(number));
            match op {
                Comparison::Eq if is_exact(moment) => compared(" = ", number),
                Comparison::Gt if is_exact(moment) => compared(" > ", number),
                Comparison::Ge if is_exact(moment) => compared(" >= ", number),
                Comparison::Lt if is_exact(moment) => compared(" < ", number),
                Comparison::Le if is_exact(moment) => compared(" <= ", number),
                Comparison::Eq if second != number => Sql::new("false"),
                Comparison::Eq => binary(compared(" >= ", second), " and ", compared(" < ", next)),
                Comparison::Gt => compared(" >= ", next),
                Comparison::Ge => compared(" >= ", first_at_least),
                Comparison::Lt => compared(" < ", first_at_least),
                Comparison::Le => compared(" < ", next),
            }
        };
        let lately = truth_alone && !matches!(op, Comparison::Lt | Comparison::Le);
        match of_moment(moment) {
            Some((index, key)) if lately => self.asked_first(index, key, compared_by),
            _ => compared_by(Sql::new(stamp(moment).unwrap_or_default())),
        }
    }

    fn text(self, text: &TextValue) -> Sql {
        match text {
            TextValue::Constant(Some(text)) => Sql::of(text.clone()),
            TextValue::Constant(None) => Sql::new("cast(null as text)"),
            TextValue::Property(property) => columns::property_of(*property),
            TextValue::Concat(left, right) => binary(self.text(left), " || ", self.text(right)),
            TextValue::Trim(text) => Sql::new("trim(").then(self.text(text)).text(", ").value(BLANKS.clone()).text(")"),
            TextValue::Guid(depth, _) => columns::guid(*depth),
            TextValue::Substring(text, from, length) => {
                // No text is so long; PostgreSQL takes places of 32 bits only.
                let clamped =
                    "cast(case when t.f < 0 then 1 when t.f > 1000000000 then 1000000000 else t.f + 1 end as integer)";
                let count =
                    "cast(case when t.n < 0 then 0 when t.n > 1000000000 then 1000000000 else t.n end as integer)";
                let cut = Sql::new("(select substr(t.v, ").text(clamped);
                let cut = if length.is_some() { cut.text(", ").text(count) } else { cut };
                let from_values = cut.text(") from (select ").then(self.text(text)).text(" as v, ");
                let from_values = from_values.then(self.number(from)).text(" as f");
                match length {
                    Some(length) => from_values.text(", ").then(self.number(length)).text(" as n limit 1) t)"),
                    None => from_values.text(" limit 1) t)"),
                }
            }
        }
    }

    fn number(self, number: &NumberValue) -> Sql {
        match number {
            NumberValue::Constant(Some(number)) => Sql::of(*number),
            NumberValue::Constant(None) => Sql::new("cast(null as bigint)"),
            NumberValue::Moment(Moment::Birthday) => Sql::new("c.birthday_instant"),
            NumberValue::Moment(Moment::WeddingAnniversary) => Sql::new("c.wedding_anniversary_day"),
            NumberValue::Moment(moment) if is_exact(*moment) => Sql::new(stamp(*moment).unwrap_or_default()),
            NumberValue::Moment(moment) => {
                Sql::new("(").text(stamp(*moment).unwrap_or_default()).text(" / 1000000 * 1000000)")
            }
            NumberValue::Cast(Cast::Whole(from, to), depth, _) => {
                let value = || columns::value(*depth, ".value_number");
                let fits =
                    Sql::new("(case when ").then(value()).text(" between ").value(*from).text(" and ").value(*to);
                fits.text(" then ").then(value()).text(" end)")
            }
            NumberValue::Cast(Cast::Millionths, depth, _) => columns::value(*depth, ".value_millionths"),
            NumberValue::Cast(Cast::Instant, depth, _) => columns::value(*depth, ".value_instant"),
            NumberValue::Negate(operand) => Sql::new("(- ").then(self.number(operand)).text(")"),
            NumberValue::Arithmetic(op, left, right) => {
                let (word, end) = match op {
                    Arithmetic::Add => (" + ", ")"),
                    Arithmetic::Sub => (" - ", ")"),
                    Arithmetic::Mul => (" * ", ")"),
                    Arithmetic::Div => (" / nullif(", ", 0))"),
                    Arithmetic::Mod => (" % nullif(", ", 0))"),
                };
                Sql::new("(").then(self.number(left)).text(word).then(self.number(right)).text(end)
            }
            NumberValue::Length(text) => Sql::new("cast(length(").then(self.text(text)).text(") as bigint)"),
            NumberValue::IndexOf(text, part) => {
                let place = Sql::default().per_engine("cast(instr(", "cast(strpos(").then(self.text(text));
                place.text(", ").then(self.text(part)).text(") - 1 as bigint)")
            }
            NumberValue::Count(of) => Sql::new("(select count(*) from ").then(rows_of(*of, "x")).text(")"),
            NumberValue::Calendar(calendar, day) => calendar_of(*calendar, self.number(day)),
            NumberValue::DayOf(instant) => Sql::new(
                "(select (t.v - ((t.v % 86400000000) + 86400000000) % 86400000000) / 86400000000 from (select ",
            )
            .then(self.number(instant))
            .text(" as v limit 1) t)"),
            NumberValue::TimeOf(instant) => {
                Sql::new("(select ((t.v % 86400000000) + 86400000000) % 86400000000 from (select ")
                    .then(self.number(instant))
                    .text(" as v limit 1) t)")
            }
            NumberValue::Clock(time, unit, modulo) => {
                binary(binary(self.number(time), " / ", Sql::of(*unit)), " % ", Sql::of(*modulo))
            }
        }
    }
}

/// The civil calendar from a day's number, in whole numbers: the engines' own calendars differ before the year 1 and past
/// 9999, where an offset can lead. Years begin in March here, so that the leap day is their last (Howard Hinnant's
/// `civil_from_days`).
fn calendar_of(calendar: Calendar, day: Sql) -> Sql {
    let part = match calendar {
        Calendar::Year => "(select p.y + case when p.m < 10 then 0 else 1 end",
        Calendar::Month => "(select p.m + case when p.m < 10 then 3 else -9 end",
        Calendar::Day => "(select p.d - (153 * p.m + 2) / 5 + 1",
    };
    let steps = "
from (select q.y, q.d, (5 * q.d + 2) / 153 as m
      from (select r.y + r.era * 400 as y, r.doe - (365 * r.y + r.y / 4 - r.y / 100) as d
            from (select s.era, s.doe, (s.doe - s.doe / 1460 + s.doe / 36524 - s.doe / 146096) / 365 as y
                  from (select t.z / 146097 as era, t.z % 146097 as doe from (select ";
    Sql::new(part).text(steps).then(day).text(" + 719468 as z limit 1) t) s) r) q) p)")
}

/// The column of a time that is stored with its microseconds and shown without.
fn stamp(moment: Moment) -> Option<&'static str> {
    match moment {
        Moment::Created | Moment::CreatedExactly => Some("c.created_date_time"),
        Moment::LastModified | Moment::LastModifiedExactly => Some("c.last_modified_date_time"),
        Moment::Birthday | Moment::WeddingAnniversary => None,
    }
}

/// Whether such a time is compared with its microseconds.
fn is_exact(moment: Moment) -> bool {
    matches!(moment, Moment::CreatedExactly | Moment::LastModifiedExactly)
}

fn turned(op: Comparison) -> Comparison {
    match op {
        Comparison::Eq => Comparison::Eq,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
    }
}

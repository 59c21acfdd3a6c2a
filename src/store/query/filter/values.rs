//! Conditions, texts and numbers as values: false and null are distinct.

use std::sync::LazyLock;

use crate::domain::literal::MILLION;
use crate::domain::query::typed::{
    Arithmetic, Calendar, Cast, Comparison, Condition, EntryList, Find, NumberValue, TextValue, TimeProperty,
};
use crate::store::db::statement::Sql;
use crate::store::query::filter::columns::{self, is_id, rows_of};
use crate::store::query::filter::{Compiler, binary, list};

/// All white space.
static BLANKS: LazyLock<String> =
    LazyLock::new(|| (0..=0x3000).filter_map(char::from_u32).filter(|c| c.is_whitespace()).collect());

/// A comparison of a stored time with a constant.
pub(super) struct StampComparison {
    pub(super) moment: TimeProperty,
    pub(super) op: Comparison,
    /// UTC microseconds.
    number: i64,
}

impl StampComparison {
    /// The comparison of a time that is stored with its microseconds with a constant, which may be on either side.
    pub(super) fn compared(op: Comparison, left: &NumberValue, right: &NumberValue) -> Option<Self> {
        let (moment, op, number) = match (left, right) {
            (NumberValue::TimeProperty(moment), NumberValue::Constant(Some(number))) => (*moment, op, *number),
            (NumberValue::Constant(Some(number)), NumberValue::TimeProperty(moment)) => {
                (*moment, mirrored(op), *number)
            }
            _ => return None,
        };
        exact_column(moment).map(|_| Self { moment, op, number })
    }

    /// The condition on the column itself, so that an index can serve. A time that is shown in whole seconds stands for all of its
    /// second.
    pub(super) fn condition(&self, column: &Sql) -> Sql {
        let Self { moment, op, number } = *self;
        let second = number.div_euclid(MILLION).saturating_mul(MILLION);
        let next = second.saturating_add(MILLION);
        let first_at_least = if second == number { second } else { next };
        let compared = |op, number: i64| binary(column.clone(), op, Sql::of(number));
        match op {
            Comparison::Eq if is_exact(moment) => compared(" = ", number),
            Comparison::Eq if second != number => Sql::new("false"),
            Comparison::Eq => binary(compared(" >= ", second), " and ", compared(" < ", next)),
            op if is_exact(moment) => compared(operator(op), number),
            Comparison::Gt => compared(" >= ", next),
            Comparison::Ge => compared(" >= ", first_at_least),
            Comparison::Lt => compared(" < ", first_at_least),
            Comparison::Le => compared(" < ", next),
        }
    }
}

impl Compiler<'_> {
    /// SQL that is true, false or null as `condition` is.
    pub(super) fn value(self, condition: &Condition) -> Sql {
        match condition {
            Condition::Constant(Some(true)) => Sql::new("true"),
            Condition::Constant(Some(false)) => Sql::new("false"),
            Condition::Constant(None) => Sql::new("cast(null as boolean)"),
            Condition::IsFavorite => Sql::new("c.is_favorite"),
            Condition::Not(operand) => Sql::new("(not ").then(self.value(operand)).text(")"),
            Condition::And(operands) => self.joined(operands, " and ", Self::value),
            Condition::Or(operands) => self.any_of(operands, Self::value),
            Condition::Same(left, right) => binary(self.value(left), " is not distinct from ", self.value(right)),
            Condition::CompareText(op, left, right) => self.compare_texts(*op, left, right),
            Condition::CompareNumber(op, left, right) => self.compare_numbers(*op, left, right),
            Condition::InTexts(text, values, null) => {
                is_one_of(self.text(text), values.iter().map(|value| Sql::of(value.clone())), *null)
            }
            Condition::InNumbers(number, values, null) => {
                is_one_of(self.number(number), values.iter().map(|value| Sql::of(*value)), *null)
            }
            Condition::IsId(id, value) => is_id(*id, value.as_deref()),
            Condition::Find(find, text, part) => find_text(*find, self.text(text), self.text(part)),
            Condition::Truth(depth, _) => Sql::new("(case ")
                .then(columns::value(*depth, ".value_key"))
                .text(" when 'true' then true when 'false' then false end)"),
            Condition::Any(list, None) => self.exists(*list, Sql::default()),
            Condition::Any(list, Some(body)) if self.uses_indexes && self.has_index(body) => self.is_among(*list, body),
            Condition::Any(list, Some(body)) => self.exists(*list, Sql::new(" and ").then(self.inner().selects(body))),
            Condition::All(list, body) => {
                let condition = Sql::new(" and (").then(self.inner().value(body)).text(") is not true");
                Sql::new("(not ").then(self.exists(*list, condition)).text(")")
            }
        }
    }

    /// Whether there is an entry for which `condition` holds.
    fn exists(self, list: EntryList, condition: Sql) -> Sql {
        let variable = self.variable();
        Sql::new("exists (select 1 from ").then(rows_of(list, variable)).then(condition).text(")")
    }

    fn compare_texts(self, op: Comparison, left: &TextValue, right: &TextValue) -> Sql {
        if op != Comparison::Eq {
            // Without a collation, two bound values would be compared by the database's locale.
            return binary(self.text(left).per_engine("", " collate \"C\""), operator(op), self.text(right));
        }
        let (left, right) = constant_last(left, right);
        match right {
            TextValue::Constant(None) => Sql::new("(").then(self.text(left)).text(" is null)"),
            right => binary(self.text(left), " is not distinct from ", self.text(right)),
        }
    }

    fn compare_numbers(self, op: Comparison, left: &NumberValue, right: &NumberValue) -> Sql {
        if let Some(compared) = StampComparison::compared(op, left, right) {
            return compared.condition(&Sql::new(exact_column(compared.moment).unwrap_or_default()));
        }
        let null = |value: &NumberValue| matches!(value, NumberValue::Constant(None));
        match op {
            Comparison::Eq if null(right) => Sql::new("(").then(self.number(left)).text(" is null)"),
            Comparison::Eq if null(left) => Sql::new("(").then(self.number(right)).text(" is null)"),
            Comparison::Eq => binary(self.number(left), " is not distinct from ", self.number(right)),
            op => binary(self.number(left), operator(op), self.number(right)),
        }
    }

    pub(super) fn text(self, text: &TextValue) -> Sql {
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

    pub(super) fn number(self, number: &NumberValue) -> Sql {
        match number {
            NumberValue::Constant(Some(number)) => Sql::of(*number),
            NumberValue::Constant(None) => Sql::new("cast(null as bigint)"),
            NumberValue::TimeProperty(TimeProperty::Birthday) => Sql::new("c.birthday_instant"),
            NumberValue::TimeProperty(TimeProperty::WeddingAnniversary) => Sql::new("c.wedding_anniversary_day"),
            NumberValue::TimeProperty(moment) if is_exact(*moment) => {
                Sql::new(exact_column(*moment).unwrap_or_default())
            }
            NumberValue::TimeProperty(moment) => {
                Sql::new("(").text(exact_column(*moment).unwrap_or_default()).text(" / 1000000 * 1000000)")
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
                let (operator, end) = match op {
                    Arithmetic::Add => (" + ", ")"),
                    Arithmetic::Sub => (" - ", ")"),
                    Arithmetic::Mul => (" * ", ")"),
                    Arithmetic::Div => (" / nullif(", ", 0))"),
                    Arithmetic::Mod => (" % nullif(", ", 0))"),
                };
                Sql::new("(").then(self.number(left)).text(operator).then(self.number(right)).text(end)
            }
            NumberValue::Length(text) => Sql::new("cast(length(").then(self.text(text)).text(") as bigint)"),
            NumberValue::IndexOf(text, part) => {
                let place = Sql::default().per_engine("cast(instr(", "cast(strpos(").then(self.text(text));
                place.text(", ").then(self.text(part)).text(") - 1 as bigint)")
            }
            NumberValue::Count(list) => Sql::new("(select count(*) from ").then(rows_of(*list, "x")).text(")"),
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

/// Whether `value` is one of some values; `null`: or null.
fn is_one_of(value: Sql, values: impl ExactSizeIterator<Item = Sql>, null: bool) -> Sql {
    if values.len() == 0 {
        return Sql::new("(").then(value).text(" is null)");
    }
    let values = Sql::new("coalesce(").then(value).text(" in (").then(list(values));
    values.text(if null { "), true)" } else { "), false)" })
}

/// Whether `part` is in `text`.
fn find_text(find: Find, text: Sql, part: Sql) -> Sql {
    let both = |condition| Sql::new(condition).then(text.clone()).text(" as v, ").then(part.clone());
    match find {
        Find::Contains => {
            Sql::default().per_engine("(instr(", "(strpos(").then(text).text(", ").then(part).text(") > 0)")
        }
        Find::StartsWith => both("(select substr(t.v, 1, length(t.p)) = t.p from (select ").text(" as p limit 1) t)"),
        // The length is checked because SQLite counts a place before the first from the end.
        Find::EndsWith => both(
            "(select length(t.v) >= length(t.p) and substr(t.v, length(t.v) - length(t.p) + 1) = t.p from (select ",
        )
        .text(" as p limit 1) t)"),
    }
}

/// A comparison with its constant, if it has one, on the right.
pub(super) fn constant_last<'v>(left: &'v TextValue, right: &'v TextValue) -> (&'v TextValue, &'v TextValue) {
    if matches!(left, TextValue::Constant(_)) { (right, left) } else { (left, right) }
}

fn operator(op: Comparison) -> &'static str {
    match op {
        Comparison::Eq => " = ",
        Comparison::Gt => " > ",
        Comparison::Ge => " >= ",
        Comparison::Lt => " < ",
        Comparison::Le => " <= ",
    }
}

/// The column of a time that is stored with its microseconds and shown without.
fn exact_column(moment: TimeProperty) -> Option<&'static str> {
    match moment {
        TimeProperty::Created | TimeProperty::CreatedExactly => Some("c.created_date_time"),
        TimeProperty::LastModified | TimeProperty::LastModifiedExactly => Some("c.last_modified_date_time"),
        TimeProperty::Birthday | TimeProperty::WeddingAnniversary => None,
    }
}

/// Whether such a time is compared with its microseconds.
fn is_exact(moment: TimeProperty) -> bool {
    matches!(moment, TimeProperty::CreatedExactly | TimeProperty::LastModifiedExactly)
}

fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Eq => Comparison::Eq,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
    }
}

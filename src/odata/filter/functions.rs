//! The functions of OData's canonical list, except those that need a clock or geography.

use crate::domain::error::Kind;
use crate::domain::literal::MILLION;
use crate::domain::plain::shorten;
use crate::domain::query::typed::{Calendar, Condition, EntryTable, Find, NumberValue, TextValue};
use crate::odata::filter::Fault;
use crate::odata::filter::ast::Expr;
use crate::odata::filter::check::{Checker, VariableBinding, Variables};
use crate::odata::filter::value::{Number, Typed};

/// Maximum length of a text in characters.
const MAX_TEXT_LENGTH: i64 = 1 << 30;
const NO_CONTAINS: &str = "'contains' and 'startswith' are not supported for filtering. Use Search instead.";

const ALL: &str = "contains, startswith, endswith, tolower, toupper, trim, length, concat, indexof, substring, year, month, \
                   day, hour, minute, second, fractionalseconds, date, time, cast";

impl Checker<'_> {
    pub(super) fn call(
        &self,
        name: &str,
        arguments: &[Expr],
        at: usize,
        scope: &Variables<'_>,
    ) -> Result<Typed, Fault> {
        let lower = name.to_ascii_lowercase();
        if lower == "cast" {
            return self.cast(arguments, at, scope);
        }
        let counts = match lower.as_str() {
            "contains" | "startswith" | "endswith" | "concat" | "indexof" => 2..=2,
            "substring" => 2..=3,
            "tolower" | "toupper" | "trim" | "length" | "year" | "month" | "day" | "hour" | "minute" | "second"
            | "fractionalseconds" | "date" | "time" => 1..=1,
            _ => {
                let name = shorten(name);
                return Err(Fault::wrong(at, format!("There is no function '{name}'. Supported functions: {ALL}.")));
            }
        };
        if !counts.contains(&arguments.len()) {
            let count = if lower == "substring" { "2 or 3".to_owned() } else { counts.start().to_string() };
            return Err(Fault::wrong(at, format!("'{lower}' takes {count} arguments, not {}.", arguments.len())));
        }
        // Graph supports only this function, and inside any() only for the values of extended properties.
        let is_extended_value = scope.last().is_some_and(|(_, bound)| match bound {
            VariableBinding::Entries(list) => {
                matches!(list.table, EntryTable::SingleValues(_) | EntryTable::MultiValues(_))
            }
            VariableBinding::View(_) => true,
        });
        match lower.as_str() {
            "startswith" if scope.is_empty() || is_extended_value => {}
            "contains" if is_extended_value => {}
            "contains" if self.is_strict() => return Err(Fault::strict(at, Kind::Filter, NO_CONTAINS)),
            _ => self.beyond_graph(at)?,
        }
        let mut arguments = CallArguments { checker: self, function: &lower, rest: arguments, scope };
        Ok(match lower.as_str() {
            "contains" => Typed::Condition(Condition::Find(Find::Contains, arguments.text()?, arguments.text()?)),
            "startswith" => Typed::Condition(Condition::Find(Find::StartsWith, arguments.text()?, arguments.text()?)),
            "endswith" => Typed::Condition(Condition::Find(Find::EndsWith, arguments.text()?, arguments.text()?)),
            "concat" => text(TextValue::Concat(Box::new(arguments.text()?), Box::new(arguments.text()?))),
            "indexof" => Typed::integer(NumberValue::IndexOf(arguments.text()?, arguments.text()?), MAX_TEXT_LENGTH),
            "substring" => {
                let (text_value, start) = (Box::new(arguments.text()?), Box::new(arguments.integer()?));
                let length = if arguments.rest.is_empty() { None } else { Some(Box::new(arguments.integer()?)) };
                text(TextValue::Substring(text_value, start, length))
            }
            // Comparisons ignore case, so these two change nothing.
            "tolower" | "toupper" => text(arguments.text()?),
            "trim" => text(TextValue::Trim(Box::new(arguments.text()?))),
            "length" => Typed::integer(NumberValue::Length(arguments.text()?), MAX_TEXT_LENGTH),
            "year" => Typed::integer(NumberValue::Calendar(Calendar::Year, Box::new(arguments.day()?)), 10_000),
            "month" => Typed::integer(NumberValue::Calendar(Calendar::Month, Box::new(arguments.day()?)), 12),
            "day" => Typed::integer(NumberValue::Calendar(Calendar::Day, Box::new(arguments.day()?)), 31),
            "hour" => Typed::integer(clock(arguments.time()?, 3_600 * MILLION, 24), 24),
            "minute" => Typed::integer(clock(arguments.time()?, 60 * MILLION, 60), 60),
            "second" => Typed::integer(clock(arguments.time()?, MILLION, 60), 60),
            "fractionalseconds" => {
                let value = clock(arguments.time()?, 1, MILLION);
                Typed::Number(Number { value, millionths: true, bound: MILLION })
            }
            "date" => Typed::Date(arguments.day()?),
            _ => Typed::Time(arguments.time()?),
        })
    }
}

fn text(value: TextValue) -> Typed {
    Typed::Text(value, None)
}

fn clock(time: NumberValue, unit: i64, modulo: i64) -> NumberValue {
    NumberValue::Clock(Box::new(time), unit, modulo)
}

/// The remaining arguments of a call.
struct CallArguments<'c, 'a> {
    checker: &'c Checker<'a>,
    function: &'c str,
    rest: &'c [Expr],
    scope: &'c Variables<'c>,
}

impl CallArguments<'_, '_> {
    fn next<T>(&mut self, what: &str, read: impl FnOnce(Typed) -> Option<T>) -> Result<T, Fault> {
        let Some((first, rest)) = self.rest.split_first() else {
            return Err(Fault::wrong(0, format!("'{}' takes {what}.", self.function)));
        };
        self.rest = rest;
        let value = self.checker.value(first, self.scope)?.folded();
        read(value).ok_or_else(|| Fault::wrong(first.at, format!("'{}' takes {what} here.", self.function)))
    }

    fn text(&mut self) -> Result<TextValue, Fault> {
        self.next("a String, like 'text'", |value| match value {
            Typed::Text(text, _) => Some(text),
            Typed::Null => Some(TextValue::Constant(None)),
            _ => None,
        })
    }

    fn integer(&mut self) -> Result<NumberValue, Fault> {
        self.next("a whole number", |value| match value {
            Typed::Number(Number { value, millionths: false, .. }) => Some(value),
            Typed::Null => Some(NumberValue::Constant(None)),
            _ => None,
        })
    }

    fn day(&mut self) -> Result<NumberValue, Fault> {
        self.next("a Date or DateTimeOffset", |value| match value {
            Typed::Date(day) => Some(day),
            Typed::Instant(instant) => Some(NumberValue::DayOf(Box::new(instant))),
            Typed::Null => Some(NumberValue::Constant(None)),
            _ => None,
        })
    }

    fn time(&mut self) -> Result<NumberValue, Fault> {
        self.next("a TimeOfDay or DateTimeOffset", |value| match value {
            Typed::Time(time) => Some(time),
            Typed::Instant(instant) => Some(NumberValue::TimeOf(Box::new(instant))),
            Typed::Null => Some(NumberValue::Constant(None)),
            _ => None,
        })
    }
}

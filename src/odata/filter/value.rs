//! Typed operands.

use crate::domain::contact::tags::View;
use crate::domain::date;
use crate::domain::fold::fold;
use crate::domain::literal::{DAY, MILLION, decimal};
use crate::domain::plain::shorten;
use crate::domain::query::typed::{
    Arithmetic, Comparison, Condition, Id, NumberValue, Property, TextValue, TimeProperty,
};
use crate::odata::filter::ast::Literal;
use crate::odata::filter::model::{enumerations, members_of};
use crate::odata::filter::{Fault, time_of_day};

/// A typed expression.
#[derive(Debug, Clone)]
pub(super) enum Typed {
    Null,
    Condition(Condition),
    /// A text literal as written, since ids are case-sensitive.
    Quoted(String),
    /// With name and members of the type if it is an enumeration.
    Text(TextValue, Option<EnumMembers>),
    Id(Id),
    /// The id of the extended property that is this view on the contact.
    ViewId(View),
    Number(Number),
    Date(NumberValue),
    Instant(NumberValue),
    Time(NumberValue),
    Guid(TextValue),
    /// A literal date or time with a fraction of a second.
    Fraction(Box<Self>),
}

pub(super) type EnumMembers = (&'static str, &'static [&'static str]);

/// A number, as a whole number or in millionths.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) value: NumberValue,
    pub(super) millionths: bool,
    /// Upper bound of its absolute value.
    pub(super) bound: i64,
}

impl Typed {
    pub(super) fn integer(value: NumberValue, bound: i64) -> Self {
        Self::Number(Number { value, millionths: false, bound })
    }

    /// Its type, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Condition(_) => "a Boolean",
            Self::Text(..) | Self::Quoted(_) => "a String (like 'text')",
            Self::Id(_) | Self::ViewId(_) => "an identifier (like 'text')",
            Self::Number(_) => "a number",
            Self::Date(_) => "a Date (like 2024-02-29, without quotes)",
            Self::Instant(_) => "a DateTimeOffset (like 2024-02-29T10:00:00Z, without quotes)",
            Self::Time(_) => "a TimeOfDay (like 10:00:00, without quotes)",
            Self::Guid(_) => "a Guid (like 66f5a359-4659-4830-9070-00047ec6ac6e, without quotes)",
            Self::Fraction(literal) => literal.name(),
        }
    }

    /// Folds a literal text; all other texts are folded already.
    pub(super) fn folded(self) -> Self {
        match self {
            Self::Fraction(literal) => *literal,
            Self::Quoted(text) => Self::Text(TextValue::Constant(Some(fold(&text))), None),
            value => value,
        }
    }

    /// A short operand of the same type.
    pub(super) fn stand_in(&self) -> Self {
        let short = || NumberValue::TimeProperty(TimeProperty::Created);
        match self {
            Self::Text(_, known) => Self::Text(TextValue::Property(Property::Name), *known),
            Self::Quoted(_) => Self::Text(TextValue::Property(Property::Name), None),
            Self::Number(Number { millionths, bound, .. }) => {
                Self::Number(Number { value: short(), millionths: *millionths, bound: *bound })
            }
            Self::Date(_) => Self::Date(short()),
            Self::Instant(_) => Self::Instant(short()),
            Self::Time(_) => Self::Time(short()),
            Self::Condition(_) => Self::Condition(Condition::Constant(None)),
            Self::Guid(_) => Self::Guid(TextValue::Property(Property::Name)),
            Self::Fraction(_) | Self::Id(_) | Self::ViewId(_) | Self::Null => self.clone(),
        }
    }

    /// The operand as an instant, if it is one.
    pub(super) fn instant(self) -> Option<NumberValue> {
        match self {
            Self::Instant(value) => Some(value),
            Self::Date(NumberValue::Constant(day)) => Some(NumberValue::Constant(day.map(|day| day * DAY))),
            Self::Date(day) => Some(multiply(day, DAY)),
            _ => None,
        }
    }
}

/// A product, computed if both factors are constants.
pub(super) fn multiply(value: NumberValue, factor: i64) -> NumberValue {
    match value {
        NumberValue::Constant(Some(number)) => NumberValue::Constant(number.checked_mul(factor)),
        value => {
            let factor = Box::new(NumberValue::Constant(Some(factor)));
            NumberValue::Arithmetic(Arithmetic::Mul, Box::new(value), factor)
        }
    }
}

/// Two numbers in the same unit; `None` if one is too large for that.
pub(super) fn same_unit(left: Number, right: Number) -> Option<[NumberValue; 2]> {
    let scaled = |number: Number, millionths: bool| match (number.millionths, millionths) {
        (false, true) => number.bound.checked_mul(MILLION).map(|_| multiply(number.value, MILLION)),
        _ => Some(number.value),
    };
    let millionths = left.millionths || right.millionths;
    Some([scaled(left, millionths)?, scaled(right, millionths)?])
}

/// A literal number; null if it is not one.
pub(super) fn number(value: Typed) -> NumberValue {
    match value {
        Typed::Number(Number { value, .. }) | Typed::Date(value) | Typed::Instant(value) | Typed::Time(value) => value,
        _ => NumberValue::Constant(None),
    }
}

/// A literal with its type.
pub(super) fn literal(literal: &Literal, at: usize) -> Result<Typed, Fault> {
    let constant = |number| NumberValue::Constant(Some(number));
    Ok(match literal {
        Literal::Null => Typed::Null,
        Literal::Bool(truth) => Typed::Condition(Condition::Constant(Some(*truth))),
        Literal::Text(text) => Typed::Quoted(text.clone()),
        Literal::Enum(name, member) => {
            let shown = shorten(name);
            let Some(members) = members_of(name) else {
                return Err(Fault::wrong(
                    at,
                    format!("There is no enumeration '{shown}'. The enumerations are {}.", enumerations()),
                ));
            };
            let Some(known) = members.iter().find(|known| known.eq_ignore_ascii_case(member)) else {
                return Err(Fault::wrong(at, format!("The members of '{shown}' are {}.", members.join(", "))));
            };
            Typed::Text(TextValue::Constant(Some(fold(known))), None)
        }
        Literal::Int(number) => Typed::integer(constant(*number), number.saturating_abs()),
        Literal::Decimal(text) => {
            let value = decimal(text).unwrap_or_default();
            Typed::Number(Number { value: constant(value), millionths: true, bound: value.saturating_abs() })
        }
        Literal::Date(text) => Typed::Date(NumberValue::Constant(date::day(text))),
        Literal::Guid(text) => Typed::Guid(TextValue::Constant(Some(text.clone()))),
        Literal::DateTime(text) => fraction(text, Typed::Instant(NumberValue::Constant(date::instant(text)))),
        Literal::Time(text) => fraction(text, Typed::Time(NumberValue::Constant(time_of_day(text)))),
    })
}

fn fraction(text: &str, value: Typed) -> Typed {
    if text.contains('.') { Typed::Fraction(Box::new(value)) } else { value }
}

/// The exact value of a time that is shown in whole seconds: a literal with a fraction is compared with the stored
/// time.
pub(super) fn exactly(value: NumberValue) -> NumberValue {
    match value {
        NumberValue::TimeProperty(moment) => NumberValue::TimeProperty(moment.exactly()),
        NumberValue::TimeOf(instant) => NumberValue::TimeOf(Box::new(exactly(*instant))),
        other => other,
    }
}

/// Compares dates, times, instants and null. `None` if the types cannot be compared.
pub(super) fn compare_ordered(op: Comparison, left: Typed, right: Typed, is_exact: bool) -> Option<Condition> {
    let is_ordered = |value: &Typed| {
        matches!(
            value,
            Typed::Null | Typed::Number(_) | Typed::Date(_) | Typed::Instant(_) | Typed::Time(_) | Typed::Fraction(_)
        )
    };
    if !is_ordered(&left) || !is_ordered(&right) {
        return None;
    }
    let (left, right) = match (left, right) {
        (Typed::Date(left), Typed::Date(right)) | (Typed::Time(left), Typed::Time(right)) => (left, right),
        (left, right) if matches!(left, Typed::Null) || matches!(right, Typed::Null) => (number(left), number(right)),
        (left, right) => (left.instant()?, right.instant()?),
    };
    let precise = |side| if is_exact { exactly(side) } else { side };
    Some(Condition::CompareNumber(op, precise(left), precise(right)))
}

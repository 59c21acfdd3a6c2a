//! `cast`, for the values of extended properties, which are stored as texts.

use crate::domain::plain::shorten;
use crate::domain::query::typed::{Cast, Condition, EntryTable, NumberValue, Property, TextValue};
use crate::odata::filter::Fault;
use crate::odata::filter::ast::{Expr, ExprNode};
use crate::odata::filter::check::{Checker, VariableBinding, Variables};
use crate::odata::filter::value::{Number, Typed};

const TYPES: &str = "Edm.Int16, Edm.Int32, Edm.Int64, Edm.Single, Edm.Double, Edm.Decimal, Edm.Boolean, Edm.Guid, Edm.Date, \
                     Edm.DateTimeOffset, Edm.String";

impl Checker<'_> {
    /// A value that does not convert is null.
    pub(super) fn cast(&self, arguments: &[Expr], at: usize, scope: &Variables<'_>) -> Result<Typed, Fault> {
        let [operand, to] = arguments else {
            let message = "'cast' takes the value of an extended property and a type, as in cast(ep/value, Edm.Int32).";
            return Err(Fault::wrong(at, message));
        };
        let text = match self.value(operand, scope)? {
            Typed::Text(text, _) => text,
            Typed::Null => TextValue::Constant(None),
            _ => return Err(Fault::wrong(operand.at, "'cast' takes the value of an extended property here.")),
        };
        let is_view = matches!(scope.last(), Some((_, VariableBinding::View(_))));
        let entry = match text {
            TextValue::Property(Property::Variable(
                depth,
                table @ (EntryTable::SingleValues(_) | EntryTable::MultiValues(_)),
                _,
            )) => Some((depth, table)),
            // The value is a text and has no other type.
            TextValue::Property(_) | TextValue::Constant(_) if is_view => None,
            _ => return Err(Fault::wrong(operand.at, "'cast' takes the value of an extended property here.")),
        };
        let ExprNode::Path(names) = &to.node else {
            return Err(Fault::wrong(to.at, format!("Expected a type after the comma: {TYPES}.")));
        };
        let name = names.join("/");
        let number =
            |cast| entry.map_or(NumberValue::Constant(None), |(depth, table)| NumberValue::Cast(cast, depth, table));
        let whole = |from: i64, to: i64| Typed::integer(number(Cast::Whole(from, to)), from.saturating_abs());
        Ok(match name.to_ascii_lowercase().as_str() {
            "edm.int16" => whole(i16::MIN.into(), i16::MAX.into()),
            "edm.int32" => whole(i32::MIN.into(), i32::MAX.into()),
            "edm.int64" => whole(i64::MIN, i64::MAX),
            "edm.single" | "edm.double" | "edm.decimal" => {
                Typed::Number(Number { value: number(Cast::Millionths), millionths: true, bound: i64::MAX })
            }
            "edm.datetimeoffset" => Typed::Instant(number(Cast::Instant)),
            "edm.date" => Typed::Date(NumberValue::DayOf(Box::new(number(Cast::Instant)))),
            "edm.boolean" => Typed::Condition(match entry {
                Some((depth, table)) => Condition::Truth(depth, table),
                None => Condition::Constant(None),
            }),
            "edm.guid" => Typed::Guid(match entry {
                Some((depth, table)) => TextValue::Guid(depth, table),
                None => TextValue::Constant(None),
            }),
            "edm.string" => Typed::Text(text, None),
            _ => {
                let name = shorten(&name);
                return Err(Fault::wrong(
                    to.at,
                    format!("'{name}' is not a type that 'cast' supports. Supported types: {TYPES}."),
                ));
            }
        })
    }
}

//! `$filter` and `$orderby`. The text is parsed ([`parse`]) and checked against the model ([`model`], `check`); the
//! result is a [typed expression](crate::domain::query::typed), which the store compiles to SQL. docs/graph.md,
//! "Filters", defines the meaning. Any input takes linear time at most, and none causes a panic.
//!
//! ```
//! use contactd::odata::filter::{Aliases, Model, filter};
//! use contactd::domain::handling::Handling;
//!
//! let text = "emailAddresses/any(e:e/address eq 'ann@example.org') and not startswith(surname,'L')";
//! assert!(filter(text, &Aliases::default(), Model::Beta, Handling::Lenient).is_ok());
//! let error = filter("surnam eq 'Lee'", &Aliases::default(), Model::Beta, Handling::Lenient).unwrap_err();
//! assert!(error.to_string().contains("at position 0"), "{error}");
//! ```

mod aliases;
pub mod ast;
mod casts;
mod check;
mod functions;
pub(crate) mod lexer;
pub mod model;
pub mod parse;
mod phones;
#[cfg(test)]
mod tests;
mod value;
mod views;

pub use crate::odata::filter::aliases::Aliases;
pub use crate::odata::filter::model::Model;

use crate::domain::date;
use crate::domain::error::{Error, Kind};
use crate::domain::handling::Handling;
use crate::domain::phone::Region;
use crate::domain::plain::shorten;
use crate::domain::query::typed::{Condition, Order};
use crate::odata::filter::aliases::Resolver;
use crate::odata::filter::ast::{Expr, ExprNode, Literal};

/// A fault and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The position in the text, in characters from 0.
    pub at: usize,
    /// The rule, which decides the code.
    pub kind: Kind,
    /// The problem, and what is accepted.
    pub message: String,
    /// Whether it is a syntax error.
    pub syntax: bool,
}

impl Fault {
    /// A syntax error.
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, kind: Kind::Query, message: message.into(), syntax: true }
    }

    /// A type or name error.
    fn wrong(at: usize, message: impl Into<String>) -> Self {
        Self { syntax: false, ..Self::new(at, message) }
    }

    /// Something that Graph refuses, with Graph's code.
    fn strict(at: usize, kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, ..Self::wrong(at, message) }
    }
}

/// Reads a `$filter`.
///
/// # Errors
/// 400 if the text is not a condition on the model's type or, in strict handling, if Graph would refuse it.
pub fn filter(text: &str, aliases: &Aliases, model: Model, handling: Handling) -> Result<Condition, Error> {
    filter_in(None, text, aliases, model, handling)
}

/// The same. Phone numbers also match as they are dialled in a region.
///
/// # Errors
/// As [`filter`].
pub fn filter_in(
    region: Option<Region>,
    text: &str,
    aliases: &Aliases,
    model: Model,
    handling: Handling,
) -> Result<Condition, Error> {
    let read = || {
        let expr = parse::expression(text)?;
        check::Checker::new(model, &Resolver::new(aliases), handling, region).filter(&expr)
    };
    read().map_err(|fault| to_error("$filter", text, fault))
}

/// Reads an `$orderby`.
///
/// # Errors
/// As [`filter`].
pub fn order(text: &str, aliases: &Aliases, model: Model, handling: Handling) -> Result<Vec<Order>, Error> {
    let read = || {
        let aliases = Resolver::new(aliases);
        let checker = check::Checker::new(model, &aliases, handling, None);
        parse::order(text)?
            .iter()
            .map(|(key, descending)| checker.order(key, *descending))
            .collect::<Result<Vec<_>, _>>()
    };
    read().map_err(|fault| to_error("$orderby", text, fault))
}

/// Reads a `$filter` that only names ids: `id eq 'a' or id eq 'b'`, `id in ('a','b')`. `read` parses each id or returns
/// an error message.
///
/// # Errors
/// 400 for any other filter.
pub fn ids(text: &str, aliases: &Aliases, read: impl Fn(&str) -> Result<String, String>) -> Result<Vec<String>, Error> {
    let collected = || {
        let mut ids = Vec::new();
        collect(&parse::expression(text)?, &Resolver::new(aliases), &read, &mut ids)?;
        Ok(ids)
    };
    collected().map_err(|fault| to_error("$filter", text, fault))
}

fn collect(
    expr: &Expr,
    aliases: &Resolver<'_>,
    read: &impl Fn(&str) -> Result<String, String>,
    ids: &mut Vec<String>,
) -> Result<(), Fault> {
    let is_id = |expr: &Expr| matches!(&expr.node, ExprNode::Path(names) if matches!(names.as_slice(), [name] if name.eq_ignore_ascii_case("id")));
    let unsupported = |at| Fault::wrong(at, "This filter can only name ids, as in id eq 'a' or id eq 'b'.");
    let values = match &expr.node {
        ExprNode::Or(operands) => return operands.iter().try_for_each(|operand| collect(operand, aliases, read, ids)),
        ExprNode::Binary(ast::Binary::Eq, left, right) if is_id(left) => std::slice::from_ref(&**right),
        ExprNode::Binary(ast::Binary::Eq, left, right) if is_id(right) => std::slice::from_ref(&**left),
        ExprNode::In(operand, values) if is_id(operand) => values,
        _ => return Err(unsupported(expr.at)),
    };
    for value in values {
        let literal = match &value.node {
            ExprNode::Literal(literal) => literal.clone(),
            ExprNode::Alias(name) => aliases
                .resolve(name)
                .map_err(|why| Fault::wrong(value.at, format!("In the parameter alias: {why}.")))?,
            _ => return Err(unsupported(value.at)),
        };
        match literal {
            Literal::Text(text) => ids.push(read(&text).map_err(|why| Fault::wrong(value.at, format!("{why}.")))?),
            // Null matches no id.
            Literal::Null => {}
            _ => return Err(Fault::wrong(value.at, "An id is a String, like 'text'.")),
        }
    }
    Ok(())
}

fn to_error(option: &str, text: &str, Fault { at, kind, message, syntax }: Fault) -> Error {
    let text = shorten(text);
    let message = if syntax {
        format!("Syntax error at position {at} in '{text}': {message}.")
    } else {
        format!("{message} This is at position {at} in '{text}'.")
    };
    Error::invalid(kind, option, message)
}

/// Parses `hh:mm[:ss[.f]]` into microseconds.
fn time_of_day(text: &str) -> Option<i64> {
    date::instant(&format!("1970-01-01T{text}Z"))
}

//! Parameter aliases. Each is parsed once, and the total size of what an expression's aliases stand for is limited, so
//! that a short text cannot expand to a very long one.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;

use crate::domain::plain::shorten;
use crate::odata::filter::ast::{Expr, ExprNode, Literal};
use crate::odata::filter::parse::{self, MAX_LENGTH};

/// Maximum number of bytes that the aliases in one expression may stand for.
const MAX_EXPANDED: usize = 8 * MAX_LENGTH;

/// The values of parameter aliases: options like `@p='X'`, by name without `@`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases(pub Vec<(String, String)>);

/// Resolves the aliases of one expression.
pub(super) struct Resolver<'a> {
    known: HashMap<String, Alias<'a>>,
    /// The bytes left of the limit.
    remaining: Cell<usize>,
}

struct Alias<'a> {
    text: &'a str,
    literal: OnceCell<Result<Literal, String>>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(aliases: &'a Aliases) -> Self {
        let mut known = HashMap::with_capacity(aliases.0.len());
        for (name, text) in &aliases.0 {
            // If an alias is given twice, the first one counts.
            known.entry(name.to_ascii_lowercase()).or_insert(Alias { text, literal: OnceCell::new() });
        }
        Self { known, remaining: Cell::new(MAX_EXPANDED) }
    }

    /// The literal an alias stands for. An alias without a value is null (OData 4.01, URL conventions, 5.1.1.13).
    pub(super) fn resolve(&self, name: &str) -> Result<Literal, String> {
        let Some(alias) = self.known.get(&name.to_ascii_lowercase()) else { return Ok(Literal::Null) };
        let remaining = self.remaining.get().checked_sub(alias.text.len());
        self.remaining
            .set(remaining.ok_or_else(|| format!("the parameter aliases expand to more than {MAX_EXPANDED} bytes"))?);
        alias.literal.get_or_init(|| read(name, alias.text)).clone()
    }
}

fn read(name: &str, text: &str) -> Result<Literal, String> {
    match parse::expression(text) {
        Ok(Expr { node: ExprNode::Literal(literal), .. }) => Ok(literal),
        Ok(_) => Err(format!("the value of '@{}' is not a literal", shorten(name))),
        Err(fault) => Err(format!("the value of '@{}' cannot be read: {}", shorten(name), fault.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_aliases_expand_to_a_bounded_size() {
        let aliases =
            Aliases(vec![("Long".into(), format!("'{}'", "x".repeat(MAX_LENGTH - 2))), ("p".into(), "1".into())]);
        let resolver = Resolver::new(&aliases);
        for _ in 0..8 {
            assert!(matches!(resolver.resolve("long"), Ok(Literal::Text(text)) if text.len() == MAX_LENGTH - 2));
        }
        let refused = resolver.resolve("LONG").unwrap_err();
        assert!(refused.contains("more than 65536 bytes"), "{refused}");
        assert_eq!(resolver.resolve("other"), Ok(Literal::Null));
    }
}

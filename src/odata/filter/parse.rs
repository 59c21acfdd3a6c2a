//! The grammar: OData 4.01, with operators and functions in any letter case. Time is linear in the length; depth and
//! number of nodes are limited.

use crate::odata::filter::Fault;
use crate::odata::filter::ast::{Binary, Expr, ExprNode, Literal, PathNames};
use crate::odata::filter::lexer::{self, FilterToken};

/// Maximum length of the text in bytes.
pub const MAX_LENGTH: usize = 8 << 10;
/// Maximum nesting depth, counting parentheses and operators.
pub const MAX_DEPTH: usize = 50;
/// Maximum number of operands, operators and calls in one expression.
pub const MAX_NODES: usize = 1_000;
/// Maximum number of sort keys.
pub const MAX_KEYS: usize = 8;

/// Parses an expression.
///
/// # Errors
/// A syntax error and its position.
pub fn expression(text: &str) -> Result<Expr, Fault> {
    let mut parser = Parser::new(text)?;
    let expr = parser.or()?;
    parser.end("an operator or the end")?;
    Ok(expr)
}

/// Parses sort keys, each with whether it is descending.
///
/// # Errors
/// A syntax error and its position; also for more than [`MAX_KEYS`] keys.
pub fn order(text: &str) -> Result<Vec<(Expr, bool)>, Fault> {
    let mut parser = Parser::new(text)?;
    let mut keys = Vec::new();
    loop {
        let at = parser.at();
        if keys.len() == MAX_KEYS {
            return Err(Fault::new(at, format!("there are more than {MAX_KEYS} sort keys")));
        }
        let key = parser.or()?;
        let descending = parser.skip_word("desc");
        if !descending {
            parser.skip_word("asc");
        }
        keys.push((key, descending));
        if !parser.skip(&FilterToken::Comma) {
            parser.end("'asc', 'desc', a comma or the end")?;
            return Ok(keys);
        }
    }
}

struct Parser {
    tokens: Vec<(usize, FilterToken)>,
    next: usize,
    depth: usize,
    nodes: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, Fault> {
        if text.len() > MAX_LENGTH {
            return Err(Fault::new(0, format!("it is longer than {MAX_LENGTH} bytes")));
        }
        Ok(Self { tokens: lexer::read(text)?, next: 0, depth: 0, nodes: 0 })
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |(at, _)| *at)
    }

    /// At the end, returns the end token again and again.
    fn peek(&self) -> &FilterToken {
        self.tokens.get(self.next).map_or(&FilterToken::End, |(_, token)| token)
    }

    fn take(&mut self) -> FilterToken {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn skip(&mut self, token: &FilterToken) -> bool {
        let found = self.peek() == token;
        self.next += usize::from(found);
        found
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), FilterToken::Word(found) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, token: &FilterToken, what: &str) -> Result<(), Fault> {
        if self.skip(token) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn end(&self, what: &str) -> Result<(), Fault> {
        if *self.peek() == FilterToken::End { Ok(()) } else { Err(self.expected(what)) }
    }

    fn expected(&self, what: &str) -> Fault {
        let found = match self.peek() {
            FilterToken::End => "the end".to_owned(),
            FilterToken::Word(word) => format!("'{}'", crate::domain::plain::shorten(word)),
            FilterToken::Alias(_) => "a parameter alias".to_owned(),
            FilterToken::Literal(_) => "a literal".to_owned(),
            FilterToken::Open => "'('".to_owned(),
            FilterToken::Close => "')'".to_owned(),
            FilterToken::Comma => "','".to_owned(),
            FilterToken::Slash => "'/'".to_owned(),
            FilterToken::Colon => "':'".to_owned(),
            FilterToken::Minus => "'-'".to_owned(),
        };
        Fault::new(self.at(), format!("expected {what}, found {found}"))
    }

    fn node(&mut self, at: usize, node: ExprNode) -> Result<Expr, Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Fault::new(at, format!("the expression has more than {MAX_NODES} parts")));
        }
        Ok(Expr { at, node })
    }

    /// Enters a nested level, up to the limit.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.check_depth(1)?;
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn check_depth(&self, more: usize) -> Result<(), Fault> {
        if self.depth + more > MAX_DEPTH {
            return Err(Fault::new(self.at(), format!("the expression is nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn or(&mut self) -> Result<Expr, Fault> {
        self.chain("or", Self::and, ExprNode::Or)
    }

    fn and(&mut self) -> Result<Expr, Fault> {
        self.chain("and", |parser| parser.binary(3), ExprNode::And)
    }

    fn chain(
        &mut self,
        word: &str,
        operand: fn(&mut Self) -> Result<Expr, Fault>,
        node: fn(Vec<Expr>) -> ExprNode,
    ) -> Result<Expr, Fault> {
        let at = self.at();
        let first = operand(self)?;
        if !self.skip_word(word) {
            return Ok(first);
        }
        let mut operands = vec![first, operand(self)?];
        while self.skip_word(word) {
            operands.push(operand(self)?);
        }
        self.node(at, node(operands))
    }

    /// Operators of at least this precedence, left-associative.
    fn binary(&mut self, power: u8) -> Result<Expr, Fault> {
        let mut left = self.unary()?;
        let mut chained = 0;
        while let Some(op) = self.operator().filter(|op| op.power() >= power) {
            chained += 1;
            self.check_depth(chained)?;
            self.next += 1;
            let right = self.nested(|parser| parser.binary(op.power() + 1))?;
            left = self.node(left.at, ExprNode::Binary(op, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Binary> {
        let FilterToken::Word(word) = self.peek() else { return None };
        Binary::ALL.into_iter().find(|op| op.word().eq_ignore_ascii_case(word))
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let at = self.at();
        if matches!(self.peek(), FilterToken::Word(word) if word.eq_ignore_ascii_case("not")) {
            self.next += 1;
            let operand = self.nested(Self::unary)?;
            return self.node(at, ExprNode::Not(Box::new(operand)));
        }
        if self.skip(&FilterToken::Minus) {
            if let FilterToken::Literal(Literal::Int(_) | Literal::Decimal(_)) = self.peek()
                && self.at() == at + 1
                && let FilterToken::Literal(literal) = self.take()
                && let Some(negative) = lexer::number_or_date(&format!("-{literal}"))
            {
                let literal = self.node(at, ExprNode::Literal(negative))?;
                return self.member(literal);
            }
            let operand = self.nested(Self::unary)?;
            return self.node(at, ExprNode::Negate(Box::new(operand)));
        }
        let operand = self.primary()?;
        self.member(operand)
    }

    /// The list of an `in (…)`.
    fn member(&mut self, operand: Expr) -> Result<Expr, Fault> {
        if !self.skip_word("in") {
            return Ok(operand);
        }
        self.expect(&FilterToken::Open, "'(' and a list of values")?;
        let mut values = Vec::new();
        loop {
            let at = self.at();
            let value = self.nested(Self::unary)?;
            if !matches!(value.node, ExprNode::Literal(_) | ExprNode::Alias(_)) {
                return Err(Fault::new(at, "expected a literal, since the list of 'in' has only literals"));
            }
            values.push(value);
            if !self.skip(&FilterToken::Comma) {
                break;
            }
        }
        self.expect(&FilterToken::Close, "',' or ')'")?;
        self.node(operand.at, ExprNode::In(Box::new(operand), values))
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let at = self.at();
        match self.peek() {
            FilterToken::Open => {
                self.next += 1;
                let inner = self.nested(Self::or)?;
                self.expect(&FilterToken::Close, "an operator or ')'")?;
                Ok(inner)
            }
            FilterToken::Literal(_) => {
                let FilterToken::Literal(literal) = self.take() else { return Err(self.expected("a literal")) };
                self.node(at, ExprNode::Literal(literal))
            }
            FilterToken::Alias(_) => {
                let FilterToken::Alias(name) = self.take() else { return Err(self.expected("an alias")) };
                self.node(at, ExprNode::Alias(name))
            }
            FilterToken::Word(_) => {
                let FilterToken::Word(word) = self.take() else { return Err(self.expected("a name")) };
                self.word(at, word)
            }
            _ => Err(self.expected("a property, a function, a literal or '('")),
        }
    }

    fn word(&mut self, at: usize, word: String) -> Result<Expr, Fault> {
        if self.skip(&FilterToken::Open) {
            let mut arguments = Vec::new();
            if !self.skip(&FilterToken::Close) {
                loop {
                    arguments.push(self.nested(Self::or)?);
                    if !self.skip(&FilterToken::Comma) {
                        break;
                    }
                }
                self.expect(&FilterToken::Close, "',' or ')'")?;
            }
            return self.node(at, ExprNode::Call(word, arguments));
        }
        let literal = match word.as_str() {
            "null" => Some(Literal::Null),
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            _ => None,
        };
        if let Some(literal) = literal {
            return self.node(at, ExprNode::Literal(literal));
        }
        let mut names = vec![word];
        while self.skip(&FilterToken::Slash) {
            let step = self.at();
            let FilterToken::Word(name) = self.take() else {
                self.next -= 1;
                return Err(self.expected("a name after '/'"));
            };
            if name.eq_ignore_ascii_case("$count") {
                return self.node(at, ExprNode::Count(names));
            }
            if *self.peek() == FilterToken::Open {
                return self.lambda(at, step, names, &name);
            }
            if names.len() == MAX_DEPTH {
                return Err(Fault::new(step, "the path is too long"));
            }
            names.push(name);
        }
        self.node(at, ExprNode::Path(names))
    }

    fn lambda(&mut self, at: usize, step: usize, names: PathNames, name: &str) -> Result<Expr, Fault> {
        let any = name.eq_ignore_ascii_case("any");
        if !any && !name.eq_ignore_ascii_case("all") {
            return Err(Fault::new(step, "expected 'any', 'all', '$count' or a property after '/'"));
        }
        self.next += 1;
        if any && self.skip(&FilterToken::Close) {
            return self.node(at, ExprNode::Any(names, None));
        }
        let variable = match self.peek() {
            FilterToken::Word(word) if !word.starts_with('$') && !word.contains('.') => word.clone(),
            _ => return Err(self.expected("a range variable, as in any(e:e/address eq 'x')")),
        };
        self.next += 1;
        self.expect(&FilterToken::Colon, "':' after the range variable")?;
        let body = Box::new(self.nested(Self::or)?);
        self.expect(&FilterToken::Close, "an operator or ')'")?;
        self.node(
            at,
            if any { ExprNode::Any(names, Some((variable, body))) } else { ExprNode::All(names, variable, body) },
        )
    }
}

//! The syntax tree of a `$filter` or `$orderby`, before names are resolved, and its printer.

use std::fmt;

/// An expression and its position, in characters from 0. Equality ignores the position.
#[derive(Debug, Clone)]
pub struct Expr {
    /// Its position.
    pub at: usize,
    /// The expression.
    pub node: ExprNode,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// The names of a path. The first may be `$it` or a range variable.
pub type PathNames = Vec<String>;

/// The kinds of expressions.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is what its name says in OData's ABNF")]
pub enum ExprNode {
    Literal(Literal),
    /// `@name`, without `@`.
    Alias(String),
    Path(PathNames),
    /// `path/$count`
    Count(PathNames),
    /// `path/any(variable:body)`, or `path/any()`.
    Any(PathNames, Option<(String, Box<Expr>)>),
    All(PathNames, String, Box<Expr>),
    Call(String, Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// Two or more, so that a long chain is not deeply nested.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    In(Box<Expr>, Vec<Expr>),
}

/// A literal. Dates and the like keep their text, which was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the literal of its name")]
pub enum Literal {
    Null,
    Bool(bool),
    Text(String),
    /// `microsoft.graph.phoneType'home'`: type name and member.
    Enum(String, String),
    Int(i64),
    Decimal(String),
    Date(String),
    DateTime(String),
    Time(String),
    Guid(String),
}

/// Binary operators, except the chained ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the operator of its name")]
pub enum Binary {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

impl Binary {
    /// All binary operators.
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Ne,
        Self::Gt,
        Self::Ge,
        Self::Lt,
        Self::Le,
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Mod,
    ];

    /// The keyword.
    pub fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Mod => "mod",
        }
    }

    /// Precedence: `or` is 1, `and` 2, unary operators 7, `in` 8, and 9 needs no parentheses.
    pub(super) fn power(self) -> u8 {
        match self {
            Self::Eq | Self::Ne => 3,
            Self::Gt | Self::Ge | Self::Lt | Self::Le => 4,
            Self::Add | Self::Sub => 5,
            Self::Mul | Self::Div | Self::Mod => 6,
        }
    }
}

impl ExprNode {
    fn power(&self) -> u8 {
        match self {
            Self::Or(_) => 1,
            Self::And(_) => 2,
            Self::Binary(op, ..) => op.power(),
            Self::Not(_) | Self::Negate(_) => 7,
            Self::In(..) => 8,
            _ => 9,
        }
    }
}

/// An operand, in parentheses if its precedence is below `power`.
struct Operand<'a>(&'a Expr, u8);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.node.power() >= self.1 { write!(f, "{}", self.0) } else { write!(f, "({})", self.0) }
    }
}

/// Prints with as few parentheses as possible. The output parses to the same expression.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = |f: &mut fmt::Formatter<'_>, word: &str, operands: &[Self], power| {
            for (i, operand) in operands.iter().enumerate() {
                if i > 0 {
                    write!(f, " {word} ")?;
                }
                write!(f, "{}", Operand(operand, power))?;
            }
            Ok(())
        };
        match &self.node {
            ExprNode::Literal(literal) => write!(f, "{literal}"),
            ExprNode::Alias(name) => write!(f, "@{name}"),
            ExprNode::Path(names) => f.write_str(&names.join("/")),
            ExprNode::Count(names) => write!(f, "{}/$count", names.join("/")),
            ExprNode::Any(names, None) => write!(f, "{}/any()", names.join("/")),
            ExprNode::Any(names, Some((variable, body))) => write!(f, "{}/any({variable}:{body})", names.join("/")),
            ExprNode::All(names, variable, body) => write!(f, "{}/all({variable}:{body})", names.join("/")),
            ExprNode::Call(name, arguments) => {
                write!(f, "{name}(")?;
                list(f, arguments)?;
                f.write_str(")")
            }
            ExprNode::Not(operand) => write!(f, "not {}", Operand(operand, 7)),
            // A minus before digits would be parsed as part of the number.
            ExprNode::Negate(operand) => write!(f, "-({operand})"),
            ExprNode::Binary(op, left, right) => {
                let power = op.power();
                write!(f, "{} {} {}", Operand(left, power), op.word(), Operand(right, power + 1))
            }
            ExprNode::And(operands) => chain(f, "and", operands, 3),
            ExprNode::Or(operands) => chain(f, "or", operands, 2),
            ExprNode::In(operand, values) => {
                write!(f, "{} in (", Operand(operand, 9))?;
                list(f, values)?;
                f.write_str(")")
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, values: &[Expr]) -> fmt::Result {
    for (i, value) in values.iter().enumerate() {
        f.write_str(if i > 0 { "," } else { "" })?;
        write!(f, "{value}")?;
    }
    Ok(())
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Enum(name, member) => write!(f, "{name}'{}'", member.replace('\'', "''")),
            Self::Int(number) => write!(f, "{number}"),
            Self::Decimal(text) | Self::Date(text) | Self::DateTime(text) | Self::Time(text) | Self::Guid(text) => {
                f.write_str(text)
            }
        }
    }
}

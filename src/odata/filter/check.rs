//! Resolves names and checks types. Errors have a position and say what is accepted.

use std::cell::Cell;

use crate::domain::contact::{DEFAULT_FOLDER, is_default_otherwise, tags};
use crate::domain::error::Kind;
use crate::domain::extended::{MultiValue, PropertyId, SingleValue};
use crate::domain::extension;
use crate::domain::fold::fold;
use crate::domain::folder::ROOT;
use crate::domain::handling::Handling;
use crate::domain::phone::Region;
use crate::domain::plain::shorten;
use crate::domain::query::typed::{
    Arithmetic, Comparison, Condition, EntryList, EntryTable, ExtendedOf, Id, Key, NumberValue, Order, Property,
    TextValue, TimeProperty,
};
use crate::odata::filter::aliases::Resolver;
use crate::odata::filter::ast::{Binary, Expr, ExprNode};
use crate::odata::filter::model::{Model, ModelComplex, ModelProperty, ModelTarget};
use crate::odata::filter::value::{EnumMembers, Number, Typed, compare_ordered, literal, same_unit};
pub(super) use crate::odata::filter::views::{VariableBinding, Variables};
use crate::odata::filter::{Fault, views};

/// Maximum nesting depth of range variables.
pub(super) const MAX_VARIABLES: usize = 4;
/// Graph's message for filters it does not support.
const INVALID_NODES: &str = "The query filter contains one or more invalid nodes.";

pub(super) struct Checker<'a> {
    model: Model,
    pub(super) aliases: &'a Resolver<'a>,
    strict: bool,
    /// The region from which phone numbers are dialled.
    pub(super) region: Option<Region>,
    /// How many more views on the contact may be substituted for extended properties. Each one repeats its condition.
    pub(super) views: Cell<usize>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(model: Model, aliases: &'a Resolver<'a>, handling: Handling, region: Option<Region>) -> Self {
        Self { model, aliases, strict: handling == Handling::Strict, region, views: Cell::new(views::MAX) }
    }

    pub(super) fn filter(&self, expr: &Expr) -> Result<Condition, Fault> {
        self.condition(expr, &[])
    }

    pub(super) fn order(&self, expr: &Expr, descending: bool) -> Result<Order, Fault> {
        let at = expr.at;
        if self.strict && !matches!(expr.node, ExprNode::Path(_)) {
            return Err(Fault::strict(at, Kind::Filter, "In strict handling '$orderby' accepts properties only."));
        }
        // Properties that cannot be filtered by can still be sorted by.
        let key = match (Self { strict: false, views: self.views.clone(), ..*self }).value(expr, &[])?.folded() {
            Typed::Text(text, _) => Key::Text(text),
            Typed::Condition(condition) => Key::Condition(condition),
            // Sorted as stored, so that items written within one second are in order too.
            Typed::Instant(NumberValue::TimeProperty(moment)) => {
                Key::Number(NumberValue::TimeProperty(moment.exactly()))
            }
            Typed::Number(Number { value, .. }) | Typed::Date(value) | Typed::Instant(value) | Typed::Time(value) => {
                Key::Number(value)
            }
            Typed::Id(Id::ChangeKey) => {
                return Err(Fault::wrong(at, "'$orderby' does not accept 'changeKey'; use 'lastModifiedDateTime'."));
            }
            Typed::Id(id) => Key::Id(id),
            Typed::Null | Typed::Quoted(_) | Typed::Fraction(_) | Typed::ViewId(_) | Typed::Guid(_) => {
                return Err(Fault::wrong(at, "'$orderby' does not accept null."));
            }
        };
        Ok(Order { key, descending })
    }

    pub(super) fn condition(&self, expr: &Expr, scope: &Variables<'_>) -> Result<Condition, Fault> {
        match self.value(expr, scope)? {
            Typed::Condition(condition) => Ok(condition),
            Typed::Null => Ok(Condition::Constant(None)),
            other => {
                let name = other.name();
                Err(Fault::wrong(
                    expr.at,
                    format!("Expected a condition, found {name}: compare it, for example with 'eq'."),
                ))
            }
        }
    }

    /// In strict handling, refuses what Graph refuses.
    pub(super) fn beyond_graph(&self, at: usize) -> Result<(), Fault> {
        if self.strict { Err(Fault::strict(at, Kind::Filter, INVALID_NODES)) } else { Ok(()) }
    }

    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(super) fn value(&self, expr: &Expr, scope: &Variables<'_>) -> Result<Typed, Fault> {
        let at = expr.at;
        match &expr.node {
            ExprNode::Literal(value) => literal(value, at),
            ExprNode::Alias(name) => literal(
                &self
                    .aliases
                    .resolve(name)
                    .map_err(|why| Fault::wrong(at, format!("In the parameter alias: {why}.")))?,
                at,
            ),
            ExprNode::Path(names) => self.path(names, at, scope),
            ExprNode::Count(names) => {
                self.beyond_graph(at)?;
                Ok(Typed::integer(NumberValue::Count(self.list(names, at, scope)?), 1 << 20))
            }
            ExprNode::Any(names, lambda) => {
                let list = self.list(names, at, scope)?;
                let Some((variable, body)) = lambda else {
                    self.beyond_graph(at)?;
                    return Ok(Typed::Condition(Condition::Any(list, None)));
                };
                let body_condition = self.lambda(VariableBinding::Entries(list), variable, body, scope)?;
                let any = Condition::Any(list, Some(Box::new(body_condition)));
                Ok(Typed::Condition(self.with_views(list, any, variable, body, scope)?))
            }
            ExprNode::All(names, variable, body) => {
                self.beyond_graph(at)?;
                let list = self.list(names, at, scope)?;
                Ok(Typed::Condition(Condition::All(
                    list,
                    Box::new(self.lambda(VariableBinding::Entries(list), variable, body, scope)?),
                )))
            }
            ExprNode::Call(name, arguments) => self.call(name, arguments, at, scope),
            ExprNode::Not(operand) => {
                self.beyond_graph(at)?;
                let condition = match self.value(operand, scope)? {
                    Typed::Condition(condition) => condition,
                    Typed::Null => Condition::Constant(None),
                    other => {
                        let name = other.name();
                        let hint = "it binds tighter than a comparison, so write not (a eq b)";
                        return Err(Fault::wrong(operand.at, format!("'not' takes a condition, not {name}; {hint}.")));
                    }
                };
                Ok(Typed::Condition(Condition::Not(Box::new(condition))))
            }
            ExprNode::Negate(operand) => {
                self.beyond_graph(at)?;
                match self.value(operand, scope)? {
                    Typed::Number(Number { value, millionths, bound }) => {
                        Ok(Typed::Number(Number { value: NumberValue::Negate(Box::new(value)), millionths, bound }))
                    }
                    Typed::Null => Ok(Typed::Null),
                    other => Err(Fault::wrong(operand.at, format!("'-' takes a number, not {}.", other.name()))),
                }
            }
            ExprNode::Binary(op, left, right) => self.binary(*op, left, right, at, scope),
            ExprNode::And(operands) => Ok(Typed::Condition(Condition::And(self.conditions(operands, scope)?))),
            ExprNode::Or(operands) => Ok(Typed::Condition(Condition::Or(self.conditions(operands, scope)?))),
            ExprNode::In(operand, values) => {
                self.beyond_graph(at)?;
                self.one_of(operand, values, scope)
            }
        }
    }

    fn conditions(&self, operands: &[Expr], scope: &Variables<'_>) -> Result<Vec<Condition>, Fault> {
        operands.iter().map(|operand| self.condition(operand, scope)).collect()
    }

    pub(super) fn lambda(
        &self,
        bound: VariableBinding,
        variable: &str,
        body: &Expr,
        scope: &Variables<'_>,
    ) -> Result<Condition, Fault> {
        if scope.len() == MAX_VARIABLES {
            return Err(Fault::wrong(body.at, format!("Range variables can be nested {MAX_VARIABLES} deep at most.")));
        }
        if scope.iter().any(|(known, _)| *known == variable) {
            let variable = shorten(variable);
            return Err(Fault::wrong(
                body.at,
                format!("The range variable '{variable}' is already used by an outer expression."),
            ));
        }
        let mut inner = scope.to_vec();
        inner.push((variable, bound));
        self.condition(body, &inner)
    }

    fn list(&self, names: &[String], at: usize, scope: &Variables<'_>) -> Result<EntryList, Fault> {
        match self.target(names, at, scope)? {
            ModelTarget::List(list) => Ok(list),
            _ => Err(Fault::wrong(at, self.model.not_a_collection(names))),
        }
    }

    fn path(&self, names: &[String], at: usize, scope: &Variables<'_>) -> Result<Typed, Fault> {
        let instant = |moment| NumberValue::TimeProperty(moment);
        Ok(match self.target(names, at, scope)? {
            ModelTarget::Text(property) => Typed::Text(TextValue::Property(property), None),
            ModelTarget::Enum(property, name, members) => {
                Typed::Text(TextValue::Property(property), Some((name, members)))
            }
            ModelTarget::TimeProperty(TimeProperty::WeddingAnniversary) => {
                Typed::Date(instant(TimeProperty::WeddingAnniversary))
            }
            ModelTarget::TimeProperty(moment) => Typed::Instant(instant(moment)),
            ModelTarget::IsFavorite => Typed::Condition(Condition::IsFavorite),
            ModelTarget::Id(id) => Typed::Id(id),
            ModelTarget::ViewId(view) => Typed::ViewId(view),
            ModelTarget::View(view) => Typed::Text(views::value(view), None),
            ModelTarget::ModelComplex(complex) => {
                let members = self.model.members_of(complex);
                let members = members.iter().map(|member| member.name).collect::<Vec<_>>().join(", ");
                let path = shorten(&names.join("/"));
                return Err(Fault::wrong(at, format!("'{path}' has members: use one of {path}/{{{members}}}.")));
            }
            ModelTarget::List(_) => {
                let path = shorten(&names.join("/"));
                let hint = format!("use {path}/any(x:…), {path}/all(x:…) or {path}/$count");
                return Err(Fault::wrong(at, format!("'{path}' is a collection: {hint}.")));
            }
        })
    }

    /// Resolves a path.
    fn target(&self, names: &[String], at: usize, scope: &Variables<'_>) -> Result<ModelTarget, Fault> {
        let mut names = names.iter();
        let mut first = names.next().map_or("", String::as_str);
        let variable = scope.iter().position(|(name, _)| *name == first);
        let bound = variable.and_then(|at| Some((at, scope.get(at)?.1)));
        let mut target = if let Some((_, VariableBinding::View(view))) = bound {
            ModelTarget::ModelComplex(ModelComplex::View(view))
        } else if let Some((at, VariableBinding::Entries(list))) = bound {
            let depth = scope.iter().take(at).filter(|(_, bound)| matches!(bound, VariableBinding::Entries(_))).count();
            match list.member {
                Some(member) => ModelTarget::Text(Property::Item(depth, list.table, member)),
                None if list.table.members().is_none() => ModelTarget::Text(Property::Variable(depth, list.table, 0)),
                None => ModelTarget::ModelComplex(ModelComplex::Variable(depth, list.table)),
            }
        } else {
            if first.eq_ignore_ascii_case("$it") {
                let Some(name) = names.next() else {
                    return Err(Fault::wrong(at, "'$it' is the whole entity: name a property, as in $it/displayName."));
                };
                first = name;
            }
            let member = find(self.model.members(), first);
            let member = member.ok_or_else(|| {
                Fault::wrong(at, self.model.unknown_property(first, self.model.type_name(), &self.model.members()))
            })?;
            if self.strict && !member.filterable {
                let mut name = member.name.to_owned();
                name[..1].make_ascii_uppercase();
                let message = format!("The property '{name}' does not support filtering.");
                return Err(Fault::strict(at, Kind::Property, message));
            }
            member.target
        };
        for name in names {
            let ModelTarget::ModelComplex(complex) = target else {
                return Err(Fault::wrong(
                    at,
                    format!("'{}' is a member of a value that has no members.", shorten(name)),
                ));
            };
            let members = self.model.members_of(complex);
            target = match find(self.model.members_of(complex), name) {
                Some(member) => member.target,
                None => {
                    return Err(Fault::wrong(at, self.model.unknown_property(name, "the value before it", &members)));
                }
            };
        }
        Ok(target)
    }

    fn binary(&self, op: Binary, left: &Expr, right: &Expr, at: usize, scope: &Variables<'_>) -> Result<Typed, Fault> {
        let arithmetic = match op {
            Binary::Add => Arithmetic::Add,
            Binary::Sub => Arithmetic::Sub,
            Binary::Mul => Arithmetic::Mul,
            Binary::Div => Arithmetic::Div,
            Binary::Mod => Arithmetic::Mod,
            _ => {
                let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
                let compared = self.compare(op, left, right, at)?;
                return Ok(Typed::Condition(self.by_phone_key(compared, scope)));
            }
        };
        self.beyond_graph(at)?;
        let mut bounds = [0; 2];
        let mut values = Vec::with_capacity(2);
        for (operand, bound) in [left, right].into_iter().zip(&mut bounds) {
            match self.value(operand, scope)? {
                Typed::Number(Number { value, millionths: false, bound: operand_bound }) => {
                    *bound = operand_bound;
                    values.push(value);
                }
                Typed::Null => values.push(NumberValue::Constant(None)),
                other => {
                    let message = format!("'{}' takes whole numbers, not {}.", op.word(), other.name());
                    return Err(Fault::wrong(operand.at, message));
                }
            }
        }
        let [a, b] = bounds;
        let bound = match arithmetic {
            Arithmetic::Add | Arithmetic::Sub => a.checked_add(b),
            Arithmetic::Mul => a.checked_mul(b),
            Arithmetic::Div => Some(a),
            Arithmetic::Mod => Some(a.min(b)),
        };
        let bound = bound.ok_or_else(|| Fault::wrong(at, "The result may not fit into 64 bits."))?;
        let right = values.pop().map_or(NumberValue::Constant(None), |value| value);
        let left = values.pop().map_or(NumberValue::Constant(None), |value| value);
        Ok(Typed::integer(NumberValue::Arithmetic(arithmetic, Box::new(left), Box::new(right)), bound))
    }

    fn compare(&self, op: Binary, left: Typed, right: Typed, at: usize) -> Result<Condition, Fault> {
        let (comparison, negated) = match op {
            Binary::Ne => (Comparison::Eq, true),
            Binary::Gt => (Comparison::Gt, false),
            Binary::Ge => (Comparison::Ge, false),
            Binary::Lt => (Comparison::Lt, false),
            Binary::Le => (Comparison::Le, false),
            _ => (Comparison::Eq, false),
        };
        let compared = self.compared(comparison, left, right, at, op.word())?;
        Ok(if negated { Condition::Not(Box::new(compared)) } else { compared })
    }

    fn compared(&self, op: Comparison, left: Typed, right: Typed, at: usize, word: &str) -> Result<Condition, Fault> {
        let incompatible = |left: &Typed, right: &Typed| {
            let (left, right) = (left.name(), right.name());
            Fault::wrong(at, format!("'{word}' cannot compare {left} with {right}."))
        };
        let is_exact = matches!(left, Typed::Fraction(_)) || matches!(right, Typed::Fraction(_));
        let (left, right) = match (left, right) {
            (Typed::Id(id), Typed::Quoted(text)) | (Typed::Quoted(text), Typed::Id(id)) if op == Comparison::Eq => {
                let text = normalized_id(id, text).map_err(|why| Fault::wrong(at, format!("{why}.")))?;
                let is_view = text.as_deref().is_some_and(|key| tags::view(key).is_some());
                if matches!(id, Id::Entry(_, EntryTable::SingleValues(ExtendedOf::Contact))) && is_view {
                    // No stored extended property has the id of a view.
                    return Ok(Condition::Constant(Some(false)));
                }
                return Ok(Condition::IsId(id, text));
            }
            (Typed::ViewId(view), Typed::Quoted(text)) | (Typed::Quoted(text), Typed::ViewId(view))
                if op == Comparison::Eq =>
            {
                let id = PropertyId::parse::<SingleValue>(&text).map_err(|why| Fault::wrong(at, format!("{why}.")))?;
                return Ok(Condition::Constant(Some(tags::view(&id.key) == Some(view))));
            }
            (left, right) => (left.folded(), right.folded()),
        };
        Ok(match (left, right) {
            (Typed::Null, Typed::Null) => Condition::Constant((op == Comparison::Eq).then_some(true)),
            (Typed::Condition(left), Typed::Condition(right)) if op == Comparison::Eq => {
                Condition::Same(Box::new(left), Box::new(right))
            }
            (Typed::Condition(condition), Typed::Null) | (Typed::Null, Typed::Condition(condition))
                if op == Comparison::Eq =>
            {
                Condition::Same(Box::new(condition), Box::new(Condition::Constant(None)))
            }
            (Typed::Id(id), Typed::Null) | (Typed::Null, Typed::Id(id)) if op == Comparison::Eq => {
                Condition::IsId(id, None)
            }
            (Typed::ViewId(_), Typed::Null) | (Typed::Null, Typed::ViewId(_)) if op == Comparison::Eq => {
                Condition::Constant(Some(false))
            }
            (Typed::Text(left, known), Typed::Text(right, other)) => {
                self.check_member(known.or(other), [&left, &right], at)?;
                if let (Some((known, _)), Some((other, _))) = (known, other)
                    && known != other
                {
                    return Err(Fault::wrong(at, format!("'{word}' cannot compare a {known} with a {other}.")));
                }
                Condition::CompareText(op, left, right)
            }
            (Typed::Guid(left), Typed::Guid(right)) if op == Comparison::Eq => Condition::CompareText(op, left, right),
            (Typed::Guid(guid), Typed::Null) | (Typed::Null, Typed::Guid(guid)) if op == Comparison::Eq => {
                Condition::CompareText(op, guid, TextValue::Constant(None))
            }
            (Typed::Text(text, _), Typed::Null) => Condition::CompareText(op, text, TextValue::Constant(None)),
            (Typed::Null, Typed::Text(text, _)) => Condition::CompareText(op, TextValue::Constant(None), text),
            (Typed::Number(left), Typed::Number(right)) => {
                let [left, right] = same_unit(left, right)
                    .ok_or_else(|| Fault::wrong(at, "The number is too large to compare with a decimal number."))?;
                Condition::CompareNumber(op, left, right)
            }
            (left, right) => {
                let message = incompatible(&left, &right);
                compare_ordered(op, left, right, is_exact).ok_or(message)?
            }
        })
    }

    /// In strict handling, a literal compared with an enumeration must be one of its members.
    fn check_member(&self, known: Option<EnumMembers>, sides: [&TextValue; 2], at: usize) -> Result<(), Fault> {
        let Some((name, members)) = known.filter(|_| self.strict) else { return Ok(()) };
        for side in sides {
            if let TextValue::Constant(Some(text)) = side
                && !members.iter().any(|member| fold(member) == *text)
            {
                let members = members.join(", ");
                let message = format!("'{}' is not a member of {name}: {members}.", shorten(text));
                return Err(Fault::strict(at, Kind::Filter, message));
            }
        }
        Ok(())
    }

    fn one_of(&self, operand: &Expr, values: &[Expr], scope: &Variables<'_>) -> Result<Typed, Fault> {
        let left = self.value(operand, scope)?;
        let (mut texts, mut numbers, mut others, mut null) = (Vec::new(), Vec::new(), Vec::new(), false);
        // Long operands are not repeated: each comparison but the first of its type has a short stand-in on the left,
        // which has the same type.
        let (mut text_example, mut number_example, mut kind) = (None, None, None);
        if matches!(left, Typed::Condition(_)) {
            return Err(Fault::wrong(operand.at, "'in' does not accept conditions: compare them with 'eq'."));
        }
        for value in values {
            let (at, value) = (value.at, self.value(value, scope)?);
            let is_decimal = matches!(value, Typed::Number(Number { millionths: true, .. }));
            let is_exact = matches!(value, Typed::Fraction(_));
            let type_of = |value: &Typed| match value {
                Typed::Fraction(literal) => std::mem::discriminant(&**literal),
                value => std::mem::discriminant(value),
            };
            let value_type = (type_of(&value), is_decimal);
            if !matches!(value, Typed::Null) && *kind.get_or_insert(value_type) != value_type {
                return Err(Fault::wrong(at, "All values in the list of 'in' must have the same type."));
            }
            match self.compared(Comparison::Eq, left.stand_in(), value.clone(), at, "in")? {
                Condition::CompareText(_, _, TextValue::Constant(text)) => {
                    null |= text.is_none();
                    texts.extend(text);
                    text_example = Some((value, at));
                }
                Condition::CompareNumber(_, _, NumberValue::Constant(number)) if !is_exact => {
                    null |= number.is_none();
                    // The left side may be null and have another type: then take a scaled one from the list.
                    if number.is_some() || number_example.is_none() {
                        number_example = Some((value, at));
                    }
                    numbers.extend(number);
                }
                // Operands of these types are always short.
                _ => others.push(self.compared(Comparison::Eq, left.clone(), value, at, "in")?),
            }
        }
        let compare_all = |(value, at)| self.compared(Comparison::Eq, left.clone(), value, at, "in");
        match text_example.map(compare_all).transpose()? {
            Some(Condition::CompareText(_, left, _)) => {
                others.push(self.by_phone_key(Condition::InTexts(left, texts, null), scope));
            }
            other => others.extend(other),
        }
        match number_example.map(compare_all).transpose()? {
            Some(Condition::CompareNumber(_, left, _)) => others.push(Condition::InNumbers(left, numbers, null)),
            other => others.extend(other),
        }
        Ok(Typed::Condition(Condition::Or(others)))
    }
}

/// The normalized form of an id that can be written in several ways.
fn normalized_id(id: Id, text: String) -> Result<Option<String>, String> {
    Ok(Some(match id {
        Id::Entry(_, EntryTable::Extensions) => extension::name_of(&text).to_owned(),
        Id::Entry(_, EntryTable::SingleValues(_)) => PropertyId::parse::<SingleValue>(&text)?.key,
        Id::Entry(_, EntryTable::Multi(_)) => PropertyId::parse::<MultiValue>(&text)?.key,
        // The default folder has no stored parent.
        Id::FolderParent if text.eq_ignore_ascii_case(ROOT) => return Ok(None),
        Id::Folder | Id::FolderParent | Id::ParentFolder if is_default_otherwise(&text) => DEFAULT_FOLDER.to_owned(),
        _ => text,
    }))
}

fn find(members: Vec<ModelProperty>, name: &str) -> Option<ModelProperty> {
    members.into_iter().find(|member| member.name.eq_ignore_ascii_case(name))
}

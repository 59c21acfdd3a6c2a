//! Extended properties with Outlook's tags in filters. They are not stored; a condition on an extended property with
//! such an id is also evaluated with the contact's property as its value.

use crate::domain::contact::tags::{self, View};
use crate::domain::extended::{PropertyId, SingleValue};
use crate::domain::fold::fold;
use crate::domain::query::typed::{Comparison, Condition, EntryList, EntryTable, ExtendedOf, Property, TextValue};
use crate::odata::filter::Fault;
use crate::odata::filter::ast::{Binary, Expr, ExprNode, Literal};
use crate::odata::filter::check::Checker;

/// Maximum number of views that are substituted in one filter.
pub(super) const MAX: usize = 32;

/// The collection that a range variable is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) enum VariableBinding {
    /// The entries of a list, one after the other.
    Entries(EntryList),
    /// The extended property that is this view on the contact.
    View(View),
}

/// The range variables in scope, outermost first.
pub(super) type Variables<'e> = [(&'e str, VariableBinding)];

/// The value of a view, folded.
pub(super) fn value(view: View) -> TextValue {
    let all = |table| EntryList { table, of_type: None, member: None, within: None };
    let of_type = |table, kind| EntryList { of_type: Some(kind), ..all(table) };
    // `number` is the second member of a phone, and `address` of a website.
    TextValue::Property(match view {
        View::Class => return TextValue::Constant(Some(fold(tags::CLASS))),
        View::Text(text) => Property::Text(text),
        View::Phone(kind, nth) => Property::Entry(of_type(EntryTable::Phones, kind), nth, 1),
        View::Address(kind, member) => Property::Entry(of_type(EntryTable::Addresses, kind), 0, member),
        View::Website(kind) => Property::Entry(of_type(EntryTable::Websites, kind), 0, 1),
        View::Email(nth, member) => Property::Entry(all(EntryTable::Emails), nth, member),
        View::Im => Property::Entry(all(EntryTable::ImAddresses), 0, 0),
    })
}

/// Whether the view has a value.
fn is_set(view: View) -> Condition {
    if view == View::Class {
        return Condition::Constant(Some(true));
    }
    let unset = TextValue::Constant(view.is_never_null().then(String::new));
    Condition::Not(Box::new(Condition::CompareText(Comparison::Eq, value(view), unset)))
}

impl Checker<'_> {
    /// `any` over the stored extended properties of contacts, or over the views that `body` names.
    pub(super) fn with_views(
        &self,
        list: EntryList,
        any: Condition,
        variable: &str,
        body: &Expr,
        scope: &Variables<'_>,
    ) -> Result<Condition, Fault> {
        if list.table != EntryTable::SingleValues(ExtendedOf::Contact) {
            return Ok(any);
        }
        let mut views = Vec::new();
        self.collect_views(body, variable, &mut views);
        let mut alternatives = vec![simple(any)];
        for view in views {
            let left = self.views.get().checked_sub(1);
            let message = || format!("A filter names at most {MAX} of Outlook's tags.");
            self.views.set(left.ok_or_else(|| Fault::wrong(body.at, message()))?);
            let view_condition = self.lambda(VariableBinding::View(view), variable, body, scope)?;
            alternatives.push(simple(Condition::And(vec![is_set(view), view_condition])));
        }
        Ok(simple(Condition::Or(alternatives)))
    }

    /// Collects the views whose ids are compared with the variable's id.
    fn collect_views(&self, expr: &Expr, variable: &str, views: &mut Vec<View>) {
        let names_id =
            |names: &[String]| matches!(names, [owner, id] if owner == variable && id.eq_ignore_ascii_case("id"));
        let is_id = |expr: &Expr| matches!(&expr.node, ExprNode::Path(names) if names_id(names));
        let mut collect = |value: &Expr| {
            let literal = match &value.node {
                ExprNode::Literal(literal) => Some(literal.clone()),
                ExprNode::Alias(name) => self.aliases.resolve(name).ok(),
                _ => None,
            };
            let Some(Literal::Text(text)) = literal else { return };
            let view = PropertyId::parse::<SingleValue>(&text).ok().and_then(|id| tags::view(&id.key));
            views.extend(view.filter(|view| !views.contains(view)));
        };
        match &expr.node {
            ExprNode::Binary(Binary::Eq | Binary::Ne, left, right) if is_id(left) => collect(right),
            ExprNode::Binary(Binary::Eq | Binary::Ne, left, right) if is_id(right) => collect(left),
            ExprNode::In(operand, values) if is_id(operand) => values.iter().for_each(collect),
            ExprNode::Binary(_, left, right) => {
                self.collect_views(left, variable, views);
                self.collect_views(right, variable, views);
            }
            ExprNode::Not(operand) | ExprNode::Negate(operand) | ExprNode::In(operand, _) => {
                self.collect_views(operand, variable, views);
            }
            ExprNode::Any(_, Some((_, body))) | ExprNode::All(_, _, body) => self.collect_views(body, variable, views),
            ExprNode::And(operands) | ExprNode::Or(operands) | ExprNode::Call(_, operands) => {
                for operand in operands {
                    self.collect_views(operand, variable, views);
                }
            }
            ExprNode::Literal(_)
            | ExprNode::Alias(_)
            | ExprNode::Path(_)
            | ExprNode::Count(_)
            | ExprNode::Any(_, None) => {}
        }
    }
}

/// Simplifies a condition with constants. Gateways often filter all contacts by the item class of contacts, which is
/// always true.
fn simple(condition: Condition) -> Condition {
    let constant = |truth| Condition::Constant(Some(truth));
    match condition {
        Condition::And(operands) => joined(operands, true),
        Condition::Or(operands) => joined(operands, false),
        Condition::CompareText(Comparison::Eq, TextValue::Constant(left), TextValue::Constant(right)) => {
            constant(left == right)
        }
        Condition::Any(list, Some(body)) => match simple(*body) {
            Condition::Constant(Some(false)) => constant(false),
            body => Condition::Any(list, Some(Box::new(body))),
        },
        other => other,
    }
}

/// Joins operands of `and` (if `is_and`) or of `or`, without constants.
fn joined(operands: Vec<Condition>, is_and: bool) -> Condition {
    let mut remaining = Vec::with_capacity(operands.len());
    for operand in operands {
        match simple(operand) {
            Condition::Constant(Some(truth)) if truth == is_and => {}
            Condition::Constant(Some(truth)) => return Condition::Constant(Some(truth)),
            operand => remaining.push(operand),
        }
    }
    match remaining.len() {
        0 => Condition::Constant(Some(is_and)),
        1 => remaining.pop().unwrap_or(Condition::Constant(None)),
        _ if is_and => Condition::And(remaining),
        _ => Condition::Or(remaining),
    }
}

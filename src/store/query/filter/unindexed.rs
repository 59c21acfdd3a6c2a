//! Conditions that no index serves.

use crate::domain::query::typed::{Comparison, Condition, Find, NumberValue, TextValue};
use crate::store::query::filter::lookups::{Lookup, of_moment};

/// Whether no index can serve the condition, so that all contacts are read for it.
pub(super) fn reads_all_contacts(condition: &Condition) -> bool {
    let is_stamp =
        |number: &NumberValue| matches!(number, NumberValue::TimeProperty(moment) if of_moment(*moment).is_some());
    let has_none = |text: &TextValue| Lookup::of(text).is_none();
    match condition {
        Condition::CompareText(Comparison::Eq, left, right) => has_none(left) && has_none(right),
        Condition::InTexts(text, ..) | Condition::Find(Find::StartsWith, text, _) => has_none(text),
        Condition::CompareNumber(_, left, right) => !is_stamp(left) && !is_stamp(right),
        Condition::And(operands) => operands.iter().all(reads_all_contacts),
        Condition::Or(operands) => operands.iter().any(reads_all_contacts),
        Condition::Any(..) | Condition::IsId(..) => false,
        _ => true,
    }
}

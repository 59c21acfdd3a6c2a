//! Conditions that select rows: null counts as false, so `=` serves instead of `is not distinct from`, and an index can be used.

use crate::domain::query::typed::{Comparison, Condition, Find, NumberValue, TextValue};
use crate::store::db::statement::Sql;
use crate::store::query::filter::lookups::{Lookup, indexed_prefix, of_moment, prefix_end, starts_with};
use crate::store::query::filter::values::{StampComparison, constant_last};
use crate::store::query::filter::{Compiler, binary, list};

impl Compiler<'_> {
    /// SQL that is true where `condition` is, and false or null elsewhere.
    pub(super) fn selects(self, condition: &Condition) -> Sql {
        let indexed = match condition {
            Condition::And(operands) => Some(self.joined(operands, " and ", Self::selects)),
            Condition::Or(operands) => Some(self.any_of(operands, Self::selects)),
            Condition::CompareText(Comparison::Eq, left, right) => self.equal_texts(left, right),
            Condition::CompareNumber(op, left, right) => self.compares_numbers(*op, left, right),
            Condition::InTexts(text, among, false) if !among.is_empty() => self.is_in_texts(text, among),
            Condition::Find(Find::StartsWith, text, TextValue::Constant(Some(prefix))) => {
                self.begins_with(text, prefix)
            }
            _ => None,
        };
        indexed.unwrap_or_else(|| self.value(condition))
    }

    fn equal_texts(self, left: &TextValue, right: &TextValue) -> Option<Sql> {
        let (left, right) = constant_last(left, right);
        let TextValue::Constant(Some(value)) = right else { return None };
        Some(match Lookup::of(left) {
            Some(Lookup::Contact(index, key)) => self.by_index(index, key, |key| key.text(" = ").value(value.clone())),
            Some(Lookup::Entry(key)) => {
                let prefix_condition =
                    binary(indexed_prefix(left, key.clone()), " = ", indexed_prefix(left, Sql::of(value.clone())));
                binary(prefix_condition, " and ", binary(key, " = ", Sql::of(value.clone()))).parenthesized()
            }
            None => binary(self.text(left), " = ", Sql::of(value.clone())),
        })
    }

    fn is_in_texts(self, text: &TextValue, among: &[String]) -> Option<Sql> {
        let values = || among.iter().map(|value| Sql::of(value.clone()));
        let among = |key: Sql| key.text(" in (").then(list(values())).text(")");
        Some(match Lookup::of(text)? {
            Lookup::Contact(index, key) => self.by_index(index, key, among),
            Lookup::Entry(key) => {
                let prefixes = list(values().map(|value| indexed_prefix(text, value)));
                let prefixes = indexed_prefix(text, key.clone()).text(" in (").then(prefixes).text(")");
                prefixes.text(" and ").then(among(key)).parenthesized()
            }
        })
    }

    fn begins_with(self, text: &TextValue, prefix: &str) -> Option<Sql> {
        let (lookup, end) = (Lookup::of(text)?, prefix_end(prefix)?);
        Some(match lookup {
            Lookup::Contact(index, key) => self.in_range(index, key, prefix, &end),
            Lookup::Entry(key) => starts_with(text, key, prefix, end),
        })
    }

    fn compares_numbers(self, op: Comparison, left: &NumberValue, right: &NumberValue) -> Option<Sql> {
        if let Some(stamp) = StampComparison::compared(op, left, right) {
            // Lower bounds only: an index serves a search for what was written lately. Most contacts are below an upper bound.
            let is_bounded = !matches!(stamp.op, Comparison::Lt | Comparison::Le);
            let (index, key) = of_moment(stamp.moment).filter(|_| is_bounded)?;
            return Some(self.by_index(index, key, |column| stamp.condition(&column)));
        }
        match (op, left, right) {
            (_, NumberValue::Constant(None), _) => None,
            (Comparison::Eq, left, right @ NumberValue::Constant(Some(_))) => {
                Some(binary(self.number(left), " = ", self.number(right)))
            }
            _ => None,
        }
    }
}

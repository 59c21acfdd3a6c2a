//! Comparisons with the number of a phone. In strict handling a number is found as it is written; otherwise also as another writes it
//! (docs/graph.md, "Filters"). Either way by its key, which has an index.

use crate::domain::phone;
use crate::domain::query::typed::{
    Comparison, Condition, EntryList, EntryTable, NUMBER, NUMBER_KEY, Property, TextValue,
};
use crate::odata::filter::check::{Checker, MAX_VARIABLES, VariableBinding, Variables};

impl Checker<'_> {
    /// The same condition by the keys of numbers, where it says that one is equal to a text.
    pub(super) fn by_number(&self, condition: Condition, scope: &Variables<'_>) -> Condition {
        match condition {
            Condition::Not(operand) => Condition::Not(Box::new(self.by_number(*operand, scope))),
            Condition::CompareText(Comparison::Eq, TextValue::Property(number), TextValue::Constant(Some(text)))
            | Condition::CompareText(Comparison::Eq, TextValue::Constant(Some(text)), TextValue::Property(number))
                if is_number(number) && !text.is_empty() =>
            {
                self.one_of_numbers(number, &[text], scope)
            }
            Condition::InTexts(TextValue::Property(number), texts, false)
                if is_number(number) && texts.iter().all(|text| !text.is_empty()) =>
            {
                self.one_of_numbers(number, &texts, scope)
            }
            other => other,
        }
    }

    fn one_of_numbers(&self, number: Property, texts: &[String], scope: &Variables<'_>) -> Condition {
        let mut keys = Vec::new();
        for text in texts {
            let same = if self.is_strict() { vec![phone::key(text)] } else { phone::keys(text, self.region) };
            keys.extend(same.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        }
        let is_among = |property, among: &[String]| match among {
            [one] => {
                let one = TextValue::Constant(Some(one.clone()));
                Condition::CompareText(Comparison::Eq, TextValue::Property(property), one)
            }
            many => Condition::InTexts(TextValue::Property(property), many.to_vec(), false),
        };
        let mut all = Vec::new();
        match number {
            Property::Entry(list @ EntryList { .. }, nth, _) => {
                // Of whose phones the index has one with the number, the one in question is looked at.
                let depth = scope.iter().filter(|(_, bound)| matches!(bound, VariableBinding::Entries(_))).count();
                if depth < MAX_VARIABLES {
                    let of_any = is_among(Property::Variable(depth, EntryTable::Phones, NUMBER_KEY), &keys);
                    all.push(Condition::Any(list, Some(Box::new(of_any))));
                }
                all.push(is_among(Property::Entry(list, nth, NUMBER_KEY), &keys));
            }
            Property::Variable(depth, ..) | Property::Item(depth, ..) => {
                all.push(is_among(Property::Variable(depth, EntryTable::Phones, NUMBER_KEY), &keys));
            }
            _ => {}
        }
        if self.is_strict() {
            all.push(is_among(number, texts));
        }
        match all.pop() {
            Some(one) if all.is_empty() => one,
            last => Condition::And(all.into_iter().chain(last).collect()),
        }
    }
}

fn is_number(property: Property) -> bool {
    match property {
        Property::Entry(list, _, member) => list.table == EntryTable::Phones && member == NUMBER,
        Property::Variable(_, table, member) | Property::Item(_, table, member) => {
            table == EntryTable::Phones && member == NUMBER
        }
        _ => false,
    }
}

//! Comparisons with phone numbers. In strict handling a number matches only as it is written, otherwise also in other
//! notations (docs/graph.md, "Filters"). Both use the key of the number, which has an index.

use crate::domain::phone;
use crate::domain::query::typed::{
    Comparison, Condition, EntryList, EntryTable, NUMBER, NUMBER_KEY, Property, TextValue,
};
use crate::odata::filter::check::{Checker, MAX_VARIABLES, VariableBinding, Variables};

impl Checker<'_> {
    /// Replaces a condition that a phone number is equal to a text by a condition on the keys of numbers.
    pub(super) fn by_phone_key(&self, condition: Condition, scope: &Variables<'_>) -> Condition {
        match condition {
            Condition::Not(operand) => Condition::Not(Box::new(self.by_phone_key(*operand, scope))),
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
            let text_keys = if self.is_strict() { vec![phone::key(text)] } else { phone::keys(text, self.region) };
            keys.extend(text_keys.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        }
        let equals_any = |property, accepted: &[String]| match accepted {
            [single] => {
                let constant = TextValue::Constant(Some(single.clone()));
                Condition::CompareText(Comparison::Eq, TextValue::Property(property), constant)
            }
            several => Condition::InTexts(TextValue::Property(property), several.to_vec(), false),
        };
        let mut conditions = Vec::new();
        match number {
            Property::Entry(list @ EntryList { .. }, nth, _) => {
                // The index finds contacts that have the number in any phone. A second condition checks the phone in
                // question.
                let depth = scope.iter().filter(|(_, bound)| matches!(bound, VariableBinding::Entries(_))).count();
                if depth < MAX_VARIABLES {
                    let any_phone = equals_any(Property::Variable(depth, EntryTable::Phones, NUMBER_KEY), &keys);
                    conditions.push(Condition::Any(list, Some(Box::new(any_phone))));
                }
                conditions.push(equals_any(Property::Entry(list, nth, NUMBER_KEY), &keys));
            }
            Property::Variable(depth, ..) | Property::Item(depth, ..) => {
                conditions.push(equals_any(Property::Variable(depth, EntryTable::Phones, NUMBER_KEY), &keys));
            }
            _ => {}
        }
        if self.is_strict() {
            conditions.push(equals_any(number, texts));
        }
        match conditions.pop() {
            Some(single) if conditions.is_empty() => single,
            last => Condition::And(conditions.into_iter().chain(last).collect()),
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

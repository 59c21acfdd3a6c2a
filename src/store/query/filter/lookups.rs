//! Look-ups in indexes. The index is asked in a subquery, because SQLite has no statistics on mailboxes and would
//! otherwise read all contacts in the order of the page.

use crate::domain::contact::Text;
use crate::domain::query::typed::{
    Comparison, Condition, EntryList, EntryTable, ExtendedOf, Find, Id, NUMBER_KEY, NumberValue, Property, TextValue,
    TimeProperty,
};
use crate::store::db::statement::Sql;
use crate::store::query::filter::columns::{owner, table};
use crate::store::query::filter::{Compiler, INDEXED, VARIABLES, binary, columns};
use crate::store::query::indexes::{BY_CHANGE, BY_CREATION, Index, IndexKey};

/// The key of an index.
pub(super) enum Lookup {
    /// Of an index of contacts.
    Contact(&'static Index, IndexKey),
    /// Of an index of entries, by its column.
    Entry(Sql),
}

impl Lookup {
    pub(super) fn of(text: &TextValue) -> Option<Self> {
        let TextValue::Property(property) = text else { return None };
        match property {
            Property::Text(text) => Some(Self::Contact(Index::of_text(*text)?, IndexKey::Text(*text))),
            property if is_indexed(*property) => Some(Self::Entry(columns::property_of(*property))),
            _ => None,
        }
    }
}

/// Whether an index of entries has this member as its key.
fn is_indexed(property: Property) -> bool {
    matches!(
        property,
        Property::Variable(_, EntryTable::Emails, 1)
            | Property::Variable(_, EntryTable::Phones, NUMBER_KEY)
            | Property::Variable(
                _,
                EntryTable::Categories | EntryTable::SingleValues(_) | EntryTable::MultiValues(_),
                0
            )
    )
}

impl Compiler<'_> {
    /// Whether an index finds the entries for which a lambda is true.
    pub(super) fn has_index(self, body: &Condition) -> bool {
        let is_key = |text: &TextValue| match text {
            TextValue::Property(property @ Property::Variable(depth, ..)) => {
                *depth == self.depth && is_indexed(*property)
            }
            _ => false,
        };
        let is_constant = |text: &TextValue| matches!(text, TextValue::Constant(Some(_)));
        match body {
            Condition::CompareText(Comparison::Eq, left, right) => {
                is_key(left) && is_constant(right) || is_key(right) && is_constant(left)
            }
            Condition::InTexts(text, _, false) => is_key(text),
            Condition::IsId(Id::Entry(depth, _), Some(_)) => *depth == self.depth,
            Condition::Find(Find::StartsWith, text, TextValue::Constant(Some(part))) => {
                is_key(text) && !part.is_empty()
            }
            Condition::And(operands) => operands.iter().any(|operand| self.has_index(operand)),
            Condition::Or(operands) => operands.iter().all(|operand| self.has_index(operand)),
            _ => false,
        }
    }

    /// The condition that the contact has an entry that an index finds.
    pub(super) fn is_among(self, list: EntryList, body: &Condition) -> Sql {
        let variable = self.variable();
        let key = match list.within.and_then(|depth| VARIABLES.get(depth)) {
            None => Sql::new("(c.id in (select ").text(variable).text(owner(list.table)),
            Some(outer) => {
                let key = Sql::new("((").text(outer).text(owner(list.table)).text(", ").text(outer);
                let key = key.text(".pos) in (select ").text(variable).text(owner(list.table));
                key.text(", ").text(variable).text(".pos")
            }
        };
        let rows = key.text(" from ").text(table(list.table)).text(" ").text(variable);
        let rows = rows.text(" where ").text(variable).text(".mailbox = ").value(self.mailbox);
        let rows = rows.then(columns::of_type(list, variable)).text(" and ");
        rows.then(self.inner().selects(body)).text("))")
    }

    /// The condition that an index of contacts finds the contact by a condition on its key.
    pub(super) fn by_index(self, index: &Index, key: IndexKey, condition: impl Fn(Sql) -> Sql) -> Sql {
        if !self.uses_indexes {
            return condition(key.column("c.")).parenthesized();
        }
        let ids = || {
            let ids = Sql::new("select n.id from contacts n").per_engine(index.hint, "");
            let ids = ids.text(" where n.mailbox = ").value(self.mailbox);
            let ids = ids.text(" and n.deleted_date_time is null and n.parent_folder_id");
            let ids = if let Some(folder) = self.folder {
                ids.text(" = ").value(folder.to_owned())
            } else {
                let all = ids.per_engine(" in (", " = any(array(");
                let all = all.text("select a.id from folders a where a.mailbox = ").value(self.mailbox);
                all.per_engine(")", "))")
            };
            ids.text(" and ").then(condition(key.column("n.")).parenthesized())
        };
        let parts = index.parts("n.").into_iter().map(|part| ids().text(" and ").then(part));
        let parts = parts.reduce(|all, part| all.text(" union all ").then(part)).unwrap_or_default();
        Sql::new("(c.id in (").then(Sql::engine_specific(ids(), parts)).text("))")
    }

    /// The condition that a key is in the range `from..end`.
    pub(super) fn in_range(self, index: &Index, key: IndexKey, from: &str, end: &str) -> Sql {
        self.by_index(index, key, |key| {
            let from = key.clone().text(" >= ").value(from.to_owned()).text(" and ");
            from.then(key).text(" < ").value(end.to_owned())
        })
    }
}

/// The index of a time that is stored with its microseconds.
pub(super) fn of_moment(moment: TimeProperty) -> Option<(&'static Index, IndexKey)> {
    match moment {
        TimeProperty::Created | TimeProperty::CreatedExactly => Some((&BY_CREATION, IndexKey::Created)),
        TimeProperty::LastModified | TimeProperty::LastModifiedExactly => Some((&BY_CHANGE, IndexKey::LastModified)),
        TimeProperty::Birthday | TimeProperty::WeddingAnniversary => None,
    }
}

/// The least text greater than all texts with this prefix; `None` if there is none.
pub(super) fn prefix_end(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // U+E000 follows U+D7FF.
        let next = (u32::from(last) + 1..=0x0010_ffff).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The part of an entry's key that the index has. On SQLite it is the whole key, except for values that may be long.
/// The index has an expression, so the condition repeats it.
pub(super) fn indexed_prefix(text: &TextValue, key: Sql) -> Sql {
    match text {
        TextValue::Property(Property::Variable(_, EntryTable::SingleValues(_) | EntryTable::MultiValues(_), _)) => {
            Sql::new("substr(").then(key).text(", 1, 64)")
        }
        _ => Sql::default().per_engine("", "substr(").then(key).per_engine("", ", 1, 64)"),
    }
}

/// The condition that an entry's key has a prefix.
pub(super) fn starts_with(text: &TextValue, key: Sql, prefix: &str, end: String) -> Sql {
    let indexed = prefix.chars().take(INDEXED).collect::<String>();
    let from = binary(indexed_prefix(text, key.clone()), " >= ", Sql::of(indexed.clone()));
    // Keys with the same beginning are a range.
    let range = match prefix_end(&indexed) {
        Some(end) => binary(from, " and ", binary(indexed_prefix(text, key.clone()), " < ", Sql::of(end))),
        None => from,
    };
    let from = binary(key.clone(), " >= ", Sql::of(prefix.to_owned()));
    binary(range, " and ", binary(from, " and ", binary(key, " < ", Sql::of(end)))).parenthesized()
}

/// The parts of a condition that must all be true.
pub(in crate::store) fn conjuncts(condition: &Condition) -> Vec<&Condition> {
    match condition {
        Condition::And(operands) => operands.iter().flat_map(conjuncts).collect(),
        condition => vec![condition],
    }
}

/// The text property that the condition compares with a text for equality.
pub(in crate::store) fn equal_text(condition: &Condition) -> Option<Text> {
    match condition {
        Condition::CompareText(
            Comparison::Eq,
            TextValue::Property(Property::Text(text)),
            TextValue::Constant(Some(_)),
        )
        | Condition::CompareText(
            Comparison::Eq,
            TextValue::Constant(Some(_)),
            TextValue::Property(Property::Text(text)),
        ) => Some(*text),
        _ => None,
    }
}

/// The key for which the condition is a lower bound.
pub(in crate::store) fn bounded_key(condition: &Condition) -> Option<IndexKey> {
    match condition {
        Condition::Find(
            Find::StartsWith,
            TextValue::Property(Property::Text(text)),
            TextValue::Constant(Some(part)),
        ) if prefix_end(part).is_some() => Some(IndexKey::Text(*text)),
        Condition::CompareNumber(_, NumberValue::TimeProperty(moment), NumberValue::Constant(Some(_)))
        | Condition::CompareNumber(_, NumberValue::Constant(Some(_)), NumberValue::TimeProperty(moment)) => {
            of_moment(*moment).map(|(_, key)| key)
        }
        condition => equal_text(condition).map(IndexKey::Text),
    }
}

/// If the condition is that an entry of a list equals a constant, and an index has the entries in the order of their
/// contacts: the list, the condition on the entry, and the index.
pub(in crate::store) fn equal_entry(condition: &Condition) -> Option<(EntryList, &Condition, &'static str)> {
    let Condition::Any(list @ EntryList { within: None, .. }, Some(body)) = condition else { return None };
    let is_id = |part: &&Condition| matches!(part, Condition::IsId(Id::Entry(0, _), Some(_)));
    let is_key = |part: &&Condition| match part {
        Condition::CompareText(Comparison::Eq, TextValue::Property(property), TextValue::Constant(Some(_)))
        | Condition::CompareText(Comparison::Eq, TextValue::Constant(Some(_)), TextValue::Property(property)) => {
            matches!(property, Property::Variable(0, ..)) && is_indexed(*property)
        }
        _ => false,
    };
    let parts = conjuncts(body);
    let (has_id, has_key) = (parts.iter().any(is_id), parts.iter().any(is_key));
    let index = match list.table {
        EntryTable::Emails if has_key => " indexed by emails_by_address",
        EntryTable::Phones if has_key => " indexed by phones_by_number",
        EntryTable::Categories if has_key => " indexed by categories_by_name",
        EntryTable::Extensions if has_id => " indexed by extensions_by_name",
        EntryTable::SingleValues(ExtendedOf::Contact) if has_id && has_key => " indexed by single_values_by_value",
        _ => return None,
    };
    Some((*list, body, index))
}

//! Evaluates filters on a contact in memory, in plain Rust. Tests compare the databases with it. Everything a filter refers
//! to must have been read along with the contact.

use std::cmp::Ordering;

use chrono::{Datelike, NaiveDate, TimeDelta};

use crate::domain::contact::{Complex, Contact, FLAG_STATUS};
use crate::domain::date;
use crate::domain::extended::{self, Comparable, MultiValue, SingleValue};
use crate::domain::extension::Extension;
use crate::domain::fold::fold;
use crate::domain::literal::{DAY, MILLION, is_guid};
use crate::domain::phone;
use crate::domain::query::typed::{
    Arithmetic, Calendar, Cast, Comparison, Condition, EntryList, EntryTable, Find, Id, Key, NUMBER, NUMBER_KEY,
    NumberValue, Order, Property, TextValue, TimeProperty,
};

/// A contact, and the entries that range variables stand for.
pub(crate) struct EvaluatedContact<'c> {
    pub(crate) contact: &'c Contact,
    entries: Vec<(EntryTable, usize)>,
}

/// The value of a sort key; null sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sorted {
    Null,
    Number(i64),
    Text(String),
}

/// The order of two contacts; the id is the last key, in the direction of the one before it.
pub(crate) fn order(keys: &[Order], a: &Contact, b: &Contact) -> Ordering {
    let by_keys = keys.iter().map(|order| {
        let ordering = EvaluatedContact::new(a).key(&order.key).cmp(&EvaluatedContact::new(b).key(&order.key));
        if order.descending { ordering.reverse() } else { ordering }
    });
    let by_id = if keys.last().is_some_and(|order| order.descending) { b.id.cmp(&a.id) } else { a.id.cmp(&b.id) };
    by_keys.fold(Ordering::Equal, Ordering::then).then(by_id)
}

impl<'c> EvaluatedContact<'c> {
    pub(crate) fn new(contact: &'c Contact) -> Self {
        Self { contact, entries: Vec::new() }
    }

    fn extensions(&self) -> &[Extension] {
        self.contact.expanded.as_ref().and_then(|e| e.extensions.as_deref()).unwrap_or_default()
    }

    fn single(&self) -> &[extended::ExtendedProperty<SingleValue>] {
        self.contact.expanded.as_ref().and_then(|e| e.single.as_deref()).unwrap_or_default()
    }

    fn multi(&self) -> &[extended::ExtendedProperty<MultiValue>] {
        self.contact.expanded.as_ref().and_then(|e| e.multi.as_deref()).unwrap_or_default()
    }

    /// The values of all lists, each with the index of its list.
    fn values(&self) -> Vec<(usize, &str)> {
        let lists = self.multi().iter().enumerate();
        lists.flat_map(|(at, list)| list.value.iter().map(move |value| (at, value.as_str()))).collect()
    }

    /// The indexes of a list's entries in its table.
    fn entries_of(&self, list: EntryList) -> Vec<usize> {
        if let Some(depth) = list.within {
            let list_index = self.entries[depth].1;
            let values = self.values();
            return (0..values.len()).filter(|i| values[*i].0 == list_index).collect();
        }
        let p = &self.contact.properties;
        let count = match list.table {
            EntryTable::Emails => p.emails.len(),
            EntryTable::Phones => p.phones.len(),
            EntryTable::Addresses => p.addresses.len(),
            EntryTable::Websites => p.websites.len(),
            EntryTable::Categories => p.categories.len(),
            EntryTable::ImAddresses => p.im_addresses.len(),
            EntryTable::Children => p.children.len(),
            EntryTable::Extensions => self.extensions().len(),
            EntryTable::SingleValues(_) => self.single().len(),
            EntryTable::Multi(_) => self.multi().len(),
            EntryTable::MultiValues(_) => unreachable!("they are within a list"),
        };
        let type_of = list.table.members().and_then(|members| members.iter().position(|member| member.json == "type"));
        let fits = |i: &usize| list.of_type.is_none() || self.member(list.table, *i, type_of.unwrap()) == list.of_type;
        (0..count).filter(fits).collect()
    }

    fn member(&self, table: EntryTable, i: usize, member: usize) -> Option<&str> {
        let p = &self.contact.properties;
        match table {
            EntryTable::Emails => p.emails[i].member(member),
            EntryTable::Phones => p.phones[i].member(member),
            EntryTable::Addresses => p.addresses[i].member(member),
            EntryTable::Websites => p.websites[i].member(member),
            EntryTable::Categories => Some(&p.categories[i]),
            EntryTable::ImAddresses => Some(&p.im_addresses[i]),
            EntryTable::Children => Some(&p.children[i]),
            EntryTable::SingleValues(_) => Some(&self.single()[i].value[0]),
            EntryTable::MultiValues(_) => Some(self.values()[i].1),
            EntryTable::Extensions | EntryTable::Multi(_) => unreachable!("they are known by their ids only"),
        }
    }

    /// The value of an extended property, folded.
    fn value(&self, depth: usize, table: EntryTable) -> String {
        fold(self.member(table, self.entries[depth].1, 0).unwrap_or_default())
    }

    fn property(&self, property: Property) -> Option<String> {
        let p = &self.contact.properties;
        let key = |number: Option<&str>| number.map(phone::key);
        let text = match property {
            Property::Entry(list, nth, NUMBER_KEY) if list.table == EntryTable::Phones => {
                return key(self.member(list.table, *self.entries_of(list).get(nth)?, NUMBER));
            }
            Property::Variable(depth, EntryTable::Phones, NUMBER_KEY) => {
                return key(self.member(EntryTable::Phones, self.entries[depth].1, NUMBER));
            }
            Property::Text(text) => p.text(text).or(text.unset()),
            Property::FlagStatus => match &p.flag {
                Some(flag) => flag.status.as_deref(),
                None => Some(FLAG_STATUS[0]),
            },
            Property::FlagTime(i) => {
                let flag = p.flag.as_ref()?;
                [&flag.completed, &flag.due, &flag.start][i / 2].member(i % 2)
            }
            Property::Name | Property::Color | Property::User(_) => None,
            Property::Entry(list, nth, member) => self.member(list.table, *self.entries_of(list).get(nth)?, member),
            Property::Variable(depth, table, member) => self.member(table, self.entries[depth].1, member),
            Property::Item(depth, table, member) => {
                Some(self.member(table, self.entries[depth].1, member).unwrap_or_default())
            }
        };
        text.map(fold)
    }

    pub(crate) fn condition(&mut self, condition: &Condition) -> Option<bool> {
        match condition {
            Condition::Constant(truth) => *truth,
            Condition::IsFavorite => self.contact.properties.is_favorite,
            Condition::Not(operand) => self.condition(operand).map(|truth| !truth),
            Condition::And(operands) => {
                let truths: Vec<_> = operands.iter().map(|operand| self.condition(operand)).collect();
                if truths.contains(&Some(false)) { Some(false) } else { (!truths.contains(&None)).then_some(true) }
            }
            Condition::Or(operands) => {
                let truths: Vec<_> = operands.iter().map(|operand| self.condition(operand)).collect();
                if truths.contains(&Some(true)) { Some(true) } else { (!truths.contains(&None)).then_some(false) }
            }
            Condition::Same(left, right) => Some(self.condition(left) == self.condition(right)),
            Condition::CompareText(op, left, right) => compare(*op, self.text(left), self.text(right)),
            Condition::CompareNumber(op, left, right) => compare(*op, self.number(left), self.number(right)),
            Condition::InTexts(text, among, null) => Some(self.text(text).map_or(*null, |text| among.contains(&text))),
            Condition::InNumbers(number, among, null) => {
                Some(self.number(number).map_or(*null, |number| among.contains(&number)))
            }
            Condition::IsId(id, text) => Some(self.id(*id) == *text),
            Condition::Find(find, text, part) => {
                let (text, part) = (self.text(text)?, self.text(part)?);
                Some(match find {
                    Find::Contains => text.contains(&part),
                    Find::StartsWith => text.starts_with(&part),
                    Find::EndsWith => text.ends_with(&part),
                })
            }
            Condition::Truth(depth, table) => match self.value(*depth, *table).as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            Condition::Any(list, None) => Some(!self.entries_of(*list).is_empty()),
            Condition::Any(list, Some(body)) => Some(self.evaluate_entries(*list, body).contains(&Some(true))),
            Condition::All(list, body) => {
                Some(self.evaluate_entries(*list, body).iter().all(|truth| *truth == Some(true)))
            }
        }
    }

    fn evaluate_entries(&mut self, list: EntryList, body: &Condition) -> Vec<Option<bool>> {
        let mut truths = Vec::new();
        for i in self.entries_of(list) {
            self.entries.push((list.table, i));
            truths.push(self.condition(body));
            self.entries.pop();
        }
        truths
    }

    fn id(&self, id: Id) -> Option<String> {
        Some(match id {
            Id::Contact => self.contact.id.to_string(),
            Id::ChangeKey => self.contact.sent_change_key.clone().unwrap_or_else(|| self.contact.version_token()),
            Id::ParentFolder => self.contact.parent_folder_id.clone(),
            Id::Entry(depth, EntryTable::Extensions) => self.extensions()[self.entries[depth].1].name.clone(),
            Id::Entry(depth, EntryTable::SingleValues(_)) => self.single()[self.entries[depth].1].key.clone(),
            Id::Entry(depth, _) => self.multi()[self.entries[depth].1].key.clone(),
            Id::Folder | Id::FolderParent | Id::Category | Id::User => return None,
        })
    }

    fn text(&self, text: &TextValue) -> Option<String> {
        match text {
            TextValue::Constant(text) => text.clone(),
            TextValue::Property(property) => self.property(*property),
            TextValue::Concat(left, right) => Some(self.text(left)? + &self.text(right)?),
            TextValue::Substring(text, from, length) => {
                let (text, from) = (self.text(text)?, self.number(from)?);
                let length = match length {
                    Some(length) => self.number(length)?,
                    None => i64::MAX,
                };
                let count = |number: i64| usize::try_from(number.max(0)).unwrap();
                Some(text.chars().skip(count(from)).take(count(length)).collect())
            }
            TextValue::Guid(depth, table) => Some(self.value(*depth, *table)).filter(|text| is_guid(text)),
            TextValue::Trim(text) => Some(self.text(text)?.trim().to_owned()),
        }
    }

    fn number(&self, number: &NumberValue) -> Option<i64> {
        Some(match number {
            NumberValue::Constant(number) => (*number)?,
            NumberValue::TimeProperty(moment) => {
                let (contact, p) = (self.contact, &self.contact.properties);
                let seconds = |micros: i64| micros.div_euclid(MILLION) * MILLION;
                match moment {
                    TimeProperty::Created => seconds(contact.created_date_time),
                    TimeProperty::LastModified => seconds(contact.last_modified_date_time),
                    TimeProperty::CreatedExactly => contact.created_date_time,
                    TimeProperty::LastModifiedExactly => contact.last_modified_date_time,
                    TimeProperty::Birthday => p.birthday.as_deref().and_then(date::instant)?,
                    TimeProperty::WeddingAnniversary => p.wedding_anniversary.as_deref().and_then(date::day)?,
                }
            }
            NumberValue::Cast(cast, depth, table) => {
                let comparable = Comparable::of(self.member(*table, self.entries[*depth].1, 0)?);
                match cast {
                    Cast::Whole(from, to) => comparable.number.filter(|number| (from..=to).contains(&number))?,
                    Cast::Millionths => comparable.millionths?,
                    Cast::Instant => comparable.instant?,
                }
            }
            NumberValue::Negate(operand) => -self.number(operand)?,
            NumberValue::Arithmetic(op, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                match op {
                    Arithmetic::Add => left + right,
                    Arithmetic::Sub => left - right,
                    Arithmetic::Mul => left * right,
                    Arithmetic::Div => left.checked_div(right)?,
                    Arithmetic::Mod => left.checked_rem(right)?,
                }
            }
            NumberValue::Length(text) => i64::try_from(self.text(text)?.chars().count()).unwrap(),
            NumberValue::IndexOf(text, part) => {
                let (text, part) = (self.text(text)?, self.text(part)?);
                text.find(&part).map_or(-1, |at| i64::try_from(text[..at].chars().count()).unwrap())
            }
            NumberValue::Count(list) => i64::try_from(self.entries_of(*list).len()).unwrap(),
            NumberValue::Calendar(calendar, day) => {
                let day = NaiveDate::default() + TimeDelta::days(self.number(day)?);
                match calendar {
                    Calendar::Year => i64::from(day.year()),
                    Calendar::Month => i64::from(day.month()),
                    Calendar::Day => i64::from(day.day()),
                }
            }
            NumberValue::DayOf(instant) => self.number(instant)?.div_euclid(DAY),
            NumberValue::TimeOf(instant) => self.number(instant)?.rem_euclid(DAY),
            NumberValue::Clock(time, unit, modulo) => self.number(time)? / unit % modulo,
        })
    }

    pub(crate) fn key(&mut self, key: &Key) -> Sorted {
        let number = |number: Option<i64>| number.map_or(Sorted::Null, Sorted::Number);
        let text = |text: Option<String>| text.map_or(Sorted::Null, Sorted::Text);
        match key {
            Key::Text(value) => text(self.text(value)),
            Key::Number(value) => number(self.number(value)),
            Key::Condition(condition) => number(self.condition(condition).map(i64::from)),
            Key::Id(id) => text(self.id(*id)),
        }
    }
}

/// `eq` treats null as a value; the other comparisons are null if an operand is null.
fn compare<T: Ord>(op: Comparison, left: Option<T>, right: Option<T>) -> Option<bool> {
    if op == Comparison::Eq {
        return Some(left == right);
    }
    let ordering = left?.cmp(&right?);
    Some(match op {
        Comparison::Eq => ordering.is_eq(),
        Comparison::Gt => ordering.is_gt(),
        Comparison::Ge => ordering.is_ge(),
        Comparison::Lt => ordering.is_lt(),
        Comparison::Le => ordering.is_le(),
    })
}

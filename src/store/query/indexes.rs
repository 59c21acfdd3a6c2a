//! The indexes of contacts that are not deleted (migrations, V22). Each begins with mailbox and folder and ends with
//! the id.
//!
//! On PostgreSQL an index has only the contacts whose keys are short enough for it. The few contacts with a longer key
//! are in a second index, so a query reads both.

use crate::domain::contact::Text;
use crate::domain::query::typed::{Key, NumberValue, Order, Property, TextValue, TimeProperty};
use crate::store::db::statement::Sql;
use crate::store::tables::columns;

/// An index of contacts.
#[derive(Debug)]
pub(in crate::store) struct Index {
    /// ` indexed by …`
    pub(in crate::store) hint: &'static str,
    /// The sort keys within a folder, before the id.
    pub(in crate::store) keys: &'static [IndexKey],
    /// Whether it also has contacts without the key, that is, all contacts of a folder.
    is_whole: bool,
}

/// A key of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum IndexKey {
    Text(Text),
    Created,
    LastModified,
}

/// In the order of creation.
pub(in crate::store) static BY_FOLDER: Index =
    Index { hint: " indexed by contacts_by_folder", keys: &[], is_whole: true };

pub(in crate::store) static BY_CHANGE: Index =
    Index { hint: " indexed by contacts_by_change", keys: &[IndexKey::LastModified], is_whole: true };

pub(in crate::store) static BY_CREATION: Index =
    Index { hint: " indexed by contacts_by_creation", keys: &[IndexKey::Created], is_whole: true };

static BY_TEXT: [Index; 6] = [
    Index { hint: " indexed by contacts_by_name", keys: &[IndexKey::Text(Text::DisplayName)], is_whole: true },
    Index {
        hint: " indexed by contacts_by_surname",
        keys: &[IndexKey::Text(Text::Surname), IndexKey::Text(Text::GivenName)],
        is_whole: true,
    },
    Index { hint: " indexed by contacts_by_company", keys: &[IndexKey::Text(Text::CompanyName)], is_whole: true },
    Index { hint: " indexed by contacts_by_file_as", keys: &[IndexKey::Text(Text::FileAs)], is_whole: true },
    Index { hint: " indexed by contacts_by_given_name", keys: &[IndexKey::Text(Text::GivenName)], is_whole: false },
    Index { hint: " indexed by contacts_by_nick_name", keys: &[IndexKey::Text(Text::NickName)], is_whole: false },
];

impl IndexKey {
    /// The column of a row; `row` is the row's name with a dot.
    pub(in crate::store) fn column(self, row: &'static str) -> Sql {
        let column = match self {
            Self::Text(text) => columns::key_of(text).unwrap_or_default(),
            Self::Created => "created_date_time",
            Self::LastModified => "last_modified_date_time",
        };
        Sql::new(row).text(column)
    }

    fn matches(self, key: &Key) -> bool {
        match (self, key) {
            (Self::Text(text), Key::Text(TextValue::Property(Property::Text(property)))) => text == *property,
            (Self::Created, Key::Number(NumberValue::TimeProperty(moment))) => *moment == TimeProperty::CreatedExactly,
            (Self::LastModified, Key::Number(NumberValue::TimeProperty(moment))) => {
                *moment == TimeProperty::LastModifiedExactly
            }
            _ => false,
        }
    }
}

impl Index {
    /// The index whose first key is this text.
    pub(in crate::store) fn of_text(text: Text) -> Option<&'static Self> {
        BY_TEXT.iter().find(|index| index.keys.first() == Some(&IndexKey::Text(text)))
    }

    /// The index that sorts by these keys, ascending or descending. `is_bounded`: contacts without the first key are
    /// not wanted.
    pub(in crate::store) fn of_order(order: &[Order], is_bounded: bool) -> Option<&'static Self> {
        let first = order.first()?;
        if order.iter().any(|order| order.descending != first.descending) {
            return None;
        }
        let sorts = |index: &&Self| {
            let keys_match = index.keys.iter().zip(order).all(|(key, order)| key.matches(&order.key));
            order.len() <= index.keys.len() && keys_match && (index.is_whole || is_bounded)
        };
        BY_TEXT.iter().chain([&BY_CHANGE, &BY_CREATION]).find(sorts)
    }

    /// Conditions on a row: one for the contacts in PostgreSQL's index, and one for the others. A single condition if
    /// the index has all.
    pub(in crate::store) fn parts(&self, row: &'static str) -> Vec<Sql> {
        if !self.keys.iter().any(|key| matches!(key, IndexKey::Text(_))) {
            return vec![Sql::new("true")];
        }
        [Sql::new("not "), Sql::default()].map(|not| not.text(row).text("has_long_keys")).to_vec()
    }
}

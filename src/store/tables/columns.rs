//! The columns of a contact's properties, each in one line: its name, its type, and the value that is written to it.
//! CONTRIBUTING.md lists what else a new property needs.

use serde::ser::SerializeSeq;

use crate::domain::contact::{Contact, DateTimeTimeZone, Flag, Properties, Text};
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::fold::fold;
use crate::store::db::engine::Row;
use crate::store::tables::table::{Column, ColumnType, column_list};

/// The column of a text property.
pub(in crate::store) const fn of_text(text: Text) -> Column {
    let name = match text {
        Text::FileAs => "file_as",
        Text::DisplayName => "display_name",
        Text::GivenName => "given_name",
        Text::Initials => "initials",
        Text::MiddleName => "middle_name",
        Text::NickName => "nick_name",
        Text::Surname => "surname",
        Text::Title => "title",
        Text::YomiGivenName => "yomi_given_name",
        Text::YomiSurname => "yomi_surname",
        Text::YomiCompanyName => "yomi_company_name",
        Text::Generation => "generation",
        Text::JobTitle => "job_title",
        Text::CompanyName => "company_name",
        Text::Department => "department",
        Text::OfficeLocation => "office_location",
        Text::Profession => "profession",
        Text::AssistantName => "assistant_name",
        Text::Manager => "manager",
        Text::SpouseName => "spouse_name",
        Text::PersonalNotes => "personal_notes",
        Text::Gender => "gender",
    };
    Column { name, kind: ColumnType::Text }
}

/// The column with the folded form of a text property, for those that have one.
pub(in crate::store) const fn key_of(text: Text) -> Option<&'static str> {
    Some(match text {
        Text::DisplayName => "display_name_key",
        Text::GivenName => "given_name_key",
        Text::Surname => "surname_key",
        Text::CompanyName => "company_name_key",
        Text::NickName => "nick_name_key",
        Text::FileAs => "file_as_key",
        _ => return None,
    })
}

/// Properties that are stored as they are, in a column of the field's name.
macro_rules! plain {
    ($($name:ident $kind:ident),*) => {
        pub(in crate::store) const PLAIN: &[Column] = column_list![$($name $kind),*];

        /// Writes the values of [`PLAIN`].
        pub(in crate::store) fn write_plain<S: SerializeSeq>(row: &mut S, properties: &Properties) -> Result<(), S::Error> {
            $(row.serialize_element(&properties.$name)?;)*
            Ok(())
        }

        /// Reads the columns of [`PLAIN`], from the next column on.
        pub(in crate::store) fn read_plain(
            row: &Row,
            next: &mut impl FnMut() -> usize,
            properties: &mut Properties,
        ) -> Result<(), Error> {
            $(properties.$name = row.get(next())?;)*
            Ok(())
        }
    };
}
plain!(display_name_derived Bool, birthday Text, wedding_anniversary Text, is_favorite Bool);

/// Columns, and a function that writes their values.
macro_rules! values {
    ($columns:ident, $write:ident, |$from:ident: $type:ty| $($name:ident $kind:ident = $value:expr),* $(,)?) => {
        pub(in crate::store) const $columns: &[$crate::store::tables::table::Column] = $crate::store::tables::table::column_list![$($name $kind),*];

        #[doc = concat!("Writes the values of [`", stringify!($columns), "`].")]
        pub(in crate::store) fn $write<S: SerializeSeq>(row: &mut S, $from: $type) -> Result<(), S::Error> {
            $(row.serialize_element(&$value)?;)*
            Ok(())
        }
    };
}
pub(in crate::store) use values;

values! { DERIVED, write_derived, |contact: &Contact|
    birthday_instant Int = contact.properties.birthday.as_deref().and_then(date::instant),
    wedding_anniversary_day Int = contact.properties.wedding_anniversary.as_deref().and_then(date::day),
    display_name_key Text = contact.properties.text(Text::DisplayName).map(fold),
    given_name_key Text = contact.properties.text(Text::GivenName).map(fold),
    surname_key Text = contact.properties.text(Text::Surname).map(fold),
    company_name_key Text = contact.properties.text(Text::CompanyName).map(fold),
    nick_name_key Text = contact.properties.text(Text::NickName).map(fold),
    file_as_key Text = fold(contact.properties.text(Text::FileAs).unwrap_or_default()),
    has_long_keys Bool = has_long_keys(contact),
    size Int = contact.size(),
}

/// Maximum number of characters of a key in an index of PostgreSQL.
const MAX_KEY: usize = 128;

/// Whether a text with a key column is too long for such an index. Folding keeps the number of characters.
fn has_long_keys(contact: &Contact) -> bool {
    let keyed = Text::ALL.into_iter().filter(|text| key_of(*text).is_some());
    keyed.filter_map(|text| contact.properties.text(text)).any(|text| text.chars().nth(MAX_KEY).is_some())
}

/// Writes the values of the columns of [`FLAGS`](crate::store::tables::schema::FLAGS).
pub(in crate::store) fn write_flag<S: SerializeSeq>(row: &mut S, flag: Option<&Flag>) -> Result<(), S::Error> {
    let none = DateTimeTimeZone::default();
    let (status, times) = match flag {
        Some(flag) => (flag.status.as_ref(), [&flag.completed, &flag.due, &flag.start]),
        None => (None, [&none; 3]),
    };
    row.serialize_element(&status)?;
    for time in times {
        row.serialize_element(&time.date_time)?;
        row.serialize_element(&time.time_zone)?;
    }
    Ok(())
}

/// Reads them.
pub(in crate::store) fn read_flag(row: &Row, next: &mut impl FnMut() -> usize) -> Result<Flag, Error> {
    let mut flag = Flag { status: row.get(next())?, ..Flag::default() };
    for time in [&mut flag.completed, &mut flag.due, &mut flag.start] {
        *time = DateTimeTimeZone { date_time: row.get(next())?, time_zone: row.get(next())? };
    }
    Ok(flag)
}

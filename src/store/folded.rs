//! The folded form of texts without a `*_key` column. Of a text in ASCII letters `lower()` makes it on either engine;
//! of others it is kept beside the contact (table `folded`), where it is not the same anyway.

use uuid::Uuid;

use super::engine::Session;
use super::statement::{Sql, Statement};
use super::{UNFINISHED, contacts};
use crate::contact::{Address, Complex, Contact, DateTimeTimeZone, Email, Phone, Properties, Text, Website};
use crate::error::Error;
use crate::fold::{FOLDING, fold};
use crate::odata::filter::typed::{Property, Table};

/// A row of the table: the property, which entry of it, and the folded text.
pub(super) type Folded = (String, usize, String);

/// The name of a property in the table; `None` for one that has a column for its folded form.
pub(super) fn name(property: Property) -> Option<String> {
    match property {
        Property::Name
        | Property::Color
        | Property::User(_)
        | Property::Text(Text::DisplayName | Text::GivenName | Text::Surname | Text::CompanyName) => None,
        Property::Text(text) => Some(text.json().to_owned()),
        Property::FlagStatus => Some("flag/flagStatus".to_owned()),
        Property::FlagTime(i) => {
            let time = ["completedDateTime", "dueDateTime", "startDateTime"].get(i / 2)?;
            Some(format!("flag/{time}/{}", DateTimeTimeZone::MEMBERS.get(i % 2)?.json))
        }
        Property::Entry(list, _, member) => name(Property::Variable(0, list.table, member)),
        Property::Variable(_, table, member) | Property::Item(_, table, member) => {
            let collection = match table {
                Table::Emails => "emailAddresses",
                Table::Phones => "phones",
                Table::Addresses => "postalAddresses",
                Table::Websites => "websites",
                Table::Categories => return None,
                Table::ImAddresses => return Some("imAddresses".to_owned()),
                Table::Children => return Some("children".to_owned()),
            };
            let member = table.members()?.get(member)?.json;
            (table != Table::Emails || member != "address").then(|| format!("{collection}/{member}"))
        }
    }
}

/// The rows of a contact.
pub(super) fn of(p: &Properties) -> Vec<Folded> {
    let mut rows = Vec::new();
    for text in Text::ALL {
        keep(&mut rows, Property::Text(text), 0, p.text(text));
    }
    entries::<Email>(&mut rows, Table::Emails, &p.emails);
    entries::<Phone>(&mut rows, Table::Phones, &p.phones);
    entries::<Address>(&mut rows, Table::Addresses, &p.addresses);
    entries::<Website>(&mut rows, Table::Websites, &p.websites);
    for (table, texts) in [(Table::ImAddresses, &p.im_addresses), (Table::Children, &p.children)] {
        for (entry, text) in texts.iter().enumerate() {
            keep(&mut rows, Property::Variable(0, table, 0), entry, Some(text));
        }
    }
    if let Some(flag) = &p.flag {
        keep(&mut rows, Property::FlagStatus, 0, flag.status.as_deref());
        for (i, time) in [&flag.completed, &flag.due, &flag.start].into_iter().enumerate() {
            for member in 0..2 {
                keep(&mut rows, Property::FlagTime(2 * i + member), 0, time.member(member));
            }
        }
    }
    rows
}

fn entries<T: Complex>(rows: &mut Vec<Folded>, table: Table, entries: &[T]) {
    for (i, entry) in entries.iter().enumerate() {
        for member in 0..T::MEMBERS.len() {
            keep(rows, Property::Variable(0, table, member), i, entry.member(member));
        }
    }
}

fn keep(rows: &mut Vec<Folded>, property: Property, entry: usize, text: Option<&str>) {
    let Some(text) = text.filter(|text| !text.is_ascii()) else { return };
    let folded = fold(text);
    if folded != text.to_ascii_lowercase()
        && let Some(name) = name(property)
    {
        rows.push((name, entry, folded));
    }
}

/// Contacts that are read at once.
const CHUNK: i64 = 200;

/// Makes the keys anew where the rule that made them is an older one.
pub(super) async fn renew(session: &mut Session) -> Result<(), Error> {
    let Some(row) = session.row(Statement::new("select folding from store where id = 1")).await? else { return Ok(()) };
    if !(UNFINISHED + 1..FOLDING).contains(&row.get::<i64>(0)?) {
        return Ok(());
    }
    session.execute(Statement::new("delete from folded")).await?;
    let (mut mailbox, mut id) = (0_i64, Uuid::nil());
    loop {
        let text = "select mailbox, id from contacts where (mailbox, id) > ($1, $2) order by mailbox, id limit $3";
        let chunk = session.rows(Statement::new(text).bind(mailbox).bind(id).bind(CHUNK)).await?;
        for row in &chunk {
            (mailbox, id) = (row.get(0)?, row.get(1)?);
            let contact = contacts::get_even_deleted(session, mailbox, id).await?;
            write(session, mailbox, &contact).await?;
        }
        if chunk.is_empty() {
            return session.execute(Statement::new("update store set folding = $1").bind(FOLDING)).await;
        }
    }
}

async fn write(session: &mut Session, mailbox: i64, contact: &Contact) -> Result<(), Error> {
    let rows = of(&contact.properties);
    if rows.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_string(&rows).map_err(Error::internal)?;
    let insert = Sql::new(
        "
insert into folded (mailbox, contact_id, pos, property, entry, key)
select ",
    );
    let insert = insert.value(mailbox).text(", ").value(contact.id);
    let insert = insert.twin(
        ", key, value ->> 0, value ->> 1, value ->> 2 from json_each(",
        ", pos - 1, value ->> 0, (value ->> 1)::bigint, value ->> 2 from jsonb_array_elements(",
    );
    let insert = insert.value(json).twin(")", "::text::jsonb) with ordinality as entries (value, pos)");
    session.execute(insert.into()).await
}

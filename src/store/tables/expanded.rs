//! Reads the extensions and extended properties of contacts.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::contact::Contact;
use crate::domain::contact::expand::{Expand, Expanded};
use crate::domain::error::Error;
use crate::domain::extended::{MultiValue, SingleValue};
use crate::store::db::engine::Session;
use crate::store::db::statement::Sql;
use crate::store::tables::extended::{ExtendedOwner, from, of};
use crate::store::tables::{extensions, quota};

/// Approximate maximum number of bytes read for the contacts of a page, unless its first contact has more.
const MAX_PAGE_BYTES: i64 = 4 << 20;

/// Reads what is shown with contacts, and drops the contacts at the end that would make the page too large.
pub(in crate::store) async fn expand_contacts(
    session: &mut Session,
    mailbox: i64,
    contacts: &mut Vec<Contact>,
    expand: &Expand,
) -> Result<(), Error> {
    if expand.is_empty() || contacts.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
    let fitting = count_fitting(session, mailbox, contacts, &ids, expand).await?;
    contacts.truncate(fitting);
    let ids = ids.get(..fitting).unwrap_or_default();
    let (mut extensions, mut single, mut multi) = Default::default();
    if let Some(selection) = &expand.extensions {
        extensions = extensions::of(session, mailbox, ids, selection).await?;
    }
    if let Some(selection) = &expand.single {
        single = of::<SingleValue>(session, mailbox, ids, selection).await?;
    }
    if let Some(selection) = &expand.multi {
        multi = of::<MultiValue>(session, mailbox, ids, selection).await?;
    }
    for contact in contacts {
        let views = expand.views.iter().filter_map(|requested| requested.of(&contact.properties)).collect::<Vec<_>>();
        single.entry(contact.id).or_default().extend(views);
        contact.expanded = Some(Box::new(Expanded {
            extensions: expand.extensions.as_ref().map(|_| extensions.remove(&contact.id).unwrap_or_default()),
            single: expand.single.as_ref().map(|_| single.remove(&contact.id).unwrap_or_default()),
            multi: expand.multi.as_ref().map(|_| multi.remove(&contact.id).unwrap_or_default()),
        }));
    }
    Ok(())
}

/// The same of one.
pub(in crate::store) async fn expand_contact(
    session: &mut Session,
    mailbox: i64,
    contact: Contact,
    expand: &Expand,
) -> Result<Contact, Error> {
    let mut contacts = vec![contact];
    expand_contacts(session, mailbox, &mut contacts, expand).await?;
    contacts.pop().ok_or(Error::NotFound)
}

/// How many of the contacts fit on a page: at least one.
async fn count_fitting(
    session: &mut Session,
    mailbox: i64,
    contacts: &[Contact],
    ids: &[Uuid],
    expand: &Expand,
) -> Result<usize, Error> {
    let owner = ExtendedOwner::Contacts(ids);
    let sources = [
        expand.extensions.as_ref().map(|selection| ("m.name", extensions::from(mailbox, ids, selection))),
        expand.single.as_ref().map(|selection| ("e.id", from::<SingleValue>(mailbox, owner, selection))),
        expand.multi.as_ref().map(|selection| ("e.id", from::<MultiValue>(mailbox, owner, selection))),
    ];
    let mut sizes: HashMap<Uuid, i64> = HashMap::new();
    for (name, from) in sources.into_iter().flatten() {
        // Lengths in bytes, and an estimate for the JSON around each value.
        let select =
            Sql::new("select e.contact_id, sum(128 + coalesce(octet_length(m.value) + octet_length(").text(name);
        let select = select.text("), 0))").then(from).text(" group by e.contact_id");
        for row in session.rows(select.into()).await? {
            *sizes.entry(row.get(0)?).or_default() += row.get::<i64>(1)?;
        }
    }
    for contact in contacts.iter().filter(|_| !expand.views.is_empty()) {
        let views = expand.views.iter().filter_map(|requested| requested.view.read(&contact.properties));
        *sizes.entry(contact.id).or_default() += views.map(|text| 128 + quota::bytes([text.len()])).sum::<i64>();
    }
    let mut size = 0;
    let fits = |id: &&Uuid| {
        let fits = size < MAX_PAGE_BYTES;
        size += sizes.get(id).copied().unwrap_or_default();
        fits
    };
    Ok(ids.iter().take_while(fits).count().max(1))
}

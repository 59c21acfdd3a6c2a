//! Open extensions and extended properties that an import sets on an existing contact, and their former values, which
//! undoing the import sets again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::contact::Contact;
use crate::domain::contact::expand::ExpandSelection;
use crate::domain::contact::patch::ContactAdditions;
use crate::domain::error::Error;
use crate::domain::extended::{
    ExtendedChanges, ExtendedProperty, ExtendedValue, MultiValue, PropertyId, SingleValue, applied,
};
use crate::domain::extension::{ExtensionMember, NewExtension};
use crate::store::db::engine::Session;
use crate::store::tables::{contacts, extended, extensions};
use crate::store::write::tx::Tx;

/// The values of what a file names, as they are in the mailbox. What the contact does not have is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FormerAdditions {
    extensions: Vec<(String, Option<Vec<ExtensionMember>>)>,
    /// By the ids of the properties.
    single: Vec<(String, Option<SingleValue>)>,
    multi: Vec<(String, Option<MultiValue>)>,
}

/// Reads what a contact has of the additions of a file.
pub(super) async fn read(
    session: &mut Session,
    mailbox: i64,
    id: Uuid,
    added: &ContactAdditions,
) -> Result<FormerAdditions, Error> {
    let names: Vec<_> = added.extensions.iter().map(|new| new.name.clone()).collect();
    let mut stored = Vec::new();
    if !names.is_empty() {
        stored = extensions::of_contact(session, mailbox, id, &ExpandSelection::These(names.clone())).await?;
    }
    let members = |name: String| {
        let known = stored.iter().find(|extension| extension.name == name);
        let members = known.map(|extension| extension.members.clone());
        (name, members)
    };
    Ok(FormerAdditions {
        extensions: names.into_iter().map(members).collect(),
        single: properties(session, mailbox, id, &added.single_values).await?,
        multi: properties(session, mailbox, id, &added.multi_values).await?,
    })
}

async fn properties<V: ExtendedValue + Clone>(
    session: &mut Session,
    mailbox: i64,
    id: Uuid,
    named: &[(PropertyId, Option<V>)],
) -> Result<Vec<(String, Option<V>)>, Error> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let keys = named.iter().map(|(property, _)| property.key.clone()).collect();
    let stored = extended::of::<V>(session, mailbox, &[id], &ExpandSelection::These(keys)).await?.remove(&id);
    let stored = stored.unwrap_or_default();
    let former = |property: &PropertyId| match stored.iter().find(|known| known.key == property.key) {
        Some(ExtendedProperty { id, value, .. }) => (id.clone(), Some(value.clone())),
        None => (property.text.clone(), None),
    };
    Ok(named.iter().map(|(property, _)| former(property)).collect())
}

/// Why a contact, or a new one, cannot have the additions of a file besides its own: it would be over a limit.
///
/// # Errors
/// Those of the database.
pub(super) async fn refusal(
    session: &mut Session,
    mailbox: i64,
    id: Option<Uuid>,
    added: &ContactAdditions,
) -> Result<Option<String>, Error> {
    match check(session, mailbox, id, added).await {
        Ok(()) => Ok(None),
        Err(Error::Quota(why)) => Ok(Some(why)),
        Err(error) => Err(error),
    }
}

/// The checks of [`set`], in its order, before anything is written.
async fn check(session: &mut Session, mailbox: i64, id: Option<Uuid>, added: &ContactAdditions) -> Result<(), Error> {
    let ids: Vec<_> = id.into_iter().collect();
    if !added.extensions.is_empty() {
        let mut stored = HashMap::new();
        if !ids.is_empty() {
            stored = extensions::of(session, mailbox, &ids, &ExpandSelection::All).await?;
        }
        let all = stored.into_values().flatten().map(|one| (one.name, extensions::size(&one.members)));
        let mut sizes: HashMap<_, _> = all.collect();
        for NewExtension { name, members } in &added.extensions {
            if !sizes.contains_key(name) {
                extensions::check_room(i64::try_from(sizes.len()).map_err(Error::internal)?)?;
            }
            sizes.insert(name.clone(), extensions::size(members));
            extensions::check_bytes(sizes.values().sum())?;
        }
    }
    check_properties(session, mailbox, &ids, &added.single_values).await?;
    check_properties(session, mailbox, &ids, &added.multi_values).await
}

async fn check_properties<V: ExtendedValue + Clone>(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
    changes: &ExtendedChanges<V>,
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut stored = HashMap::new();
    if !ids.is_empty() {
        stored = extended::of::<V>(session, mailbox, ids, &ExpandSelection::All).await?;
    }
    applied(stored.into_values().flatten().collect(), changes.clone()).map(drop)
}

impl FormerAdditions {
    /// Whether the contact has the values of the file.
    pub(super) fn is(&self, added: &ContactAdditions) -> bool {
        let extensions = self.extensions.iter().map(|(_, members)| members.as_ref());
        let single = self.single.iter().map(|(_, value)| value.as_ref());
        let multi = self.multi.iter().map(|(_, value)| value.as_ref());
        extensions.eq(added.extensions.iter().map(|new| Some(&new.members)))
            && single.eq(added.single_values.iter().map(|(_, value)| value.as_ref()))
            && multi.eq(added.multi_values.iter().map(|(_, value)| value.as_ref()))
    }

    /// Whether a file named nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what only the other names.
    pub(super) fn merge(&mut self, other: Self) {
        fn more<V>(known: &mut Vec<(String, V)>, other: Vec<(String, V)>, is_same: impl Fn(&str, &str) -> bool) {
            for (name, value) in other {
                if !known.iter().any(|(known, _)| is_same(known, &name)) {
                    known.push((name, value));
                }
            }
        }
        fn same<V: ExtendedValue>(a: &str, b: &str) -> bool {
            let key = |text: &str| PropertyId::parse::<V>(text).map(|id| id.key).ok();
            key(a) == key(b)
        }
        more(&mut self.extensions, other.extensions, |a, b| a == b);
        more(&mut self.single, other.single, same::<SingleValue>);
        more(&mut self.multi, other.multi, same::<MultiValue>);
    }
}

/// Sets the additions of a file on a contact that was just written.
pub(super) async fn set(
    tx: &mut Tx,
    mailbox: i64,
    contact: &mut Contact,
    added: ContactAdditions,
) -> Result<(), Error> {
    let ContactAdditions { extensions, single_values, multi_values } = added;
    for NewExtension { name, members } in extensions {
        extensions::put(tx, mailbox, (contact.id, contact.version), name, Some(members)).await?;
    }
    let added = ContactAdditions { extensions: Vec::new(), single_values, multi_values };
    contacts::write_additions(tx, mailbox, contact, added).await
}

/// Sets the former values on a contact that was just written.
pub(super) async fn restore(
    tx: &mut Tx,
    mailbox: i64,
    contact: &mut Contact,
    former: FormerAdditions,
) -> Result<(), Error> {
    for (name, members) in former.extensions {
        extensions::put(tx, mailbox, (contact.id, contact.version), name, members).await?;
    }
    let (single_values, multi_values) = (changes(former.single)?, changes(former.multi)?);
    contacts::write_additions(
        tx,
        mailbox,
        contact,
        ContactAdditions { extensions: Vec::new(), single_values, multi_values },
    )
    .await
}

fn changes<V: ExtendedValue>(former: Vec<(String, Option<V>)>) -> Result<ExtendedChanges<V>, Error> {
    let change = |(id, value): (String, Option<V>)| {
        let property = PropertyId::parse::<V>(&id).map_err(Error::internal)?;
        Ok((property, value))
    };
    former.into_iter().map(change).collect()
}

/// Whether a program has written extensions of the contact since an import left it with this version. That is no change
/// of the contact itself.
pub(super) async fn are_written_since(
    session: &mut Session,
    mailbox: i64,
    former: &FormerAdditions,
    id: Uuid,
    version: i64,
) -> Result<bool, Error> {
    let names: Vec<_> = former.extensions.iter().map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return Ok(false);
    }
    let stored = extensions::of_contact(session, mailbox, id, &ExpandSelection::These(names.clone())).await?;
    if stored.iter().any(|extension| extension.version > version) {
        return Ok(true);
    }
    // One of them was deleted.
    Ok(stored.len() < names.len())
}

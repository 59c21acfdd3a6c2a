//! Properties that CardDAV clients set on folders and homes.

use std::collections::HashMap;

use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::folder::FolderPatch;
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};
use crate::store::query::books;
use crate::store::tables::card_writes::BookCheck;
use crate::store::tables::{folders, quota};
use crate::store::write::tx::Tx;

/// A property that a client set on a folder or, with an empty folder id, on the home of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DavProperty {
    /// The namespace of its element; empty for none.
    pub namespace: String,
    /// The local name.
    pub name: String,
    /// The whole element as XML; of `addressbook-description` the text.
    pub value: String,
}

impl Store {
    /// The properties that clients set on a folder, in the order in which they were set.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn dav_properties(&self, mailbox: i64, folder: &str) -> Result<Vec<DavProperty>, Error> {
        self.read(async |session: &mut Session| read_properties(session, mailbox, folder).await).await
    }

    /// The same for some folders, by the folder's id. Folders without properties are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn dav_properties_of(
        &self,
        mailbox: i64,
        folders: &[String],
    ) -> Result<HashMap<String, Vec<DavProperty>>, Error> {
        let select = "select namespace, name, value, folder_id from dav_properties where mailbox = ";
        let read = async |session: &mut Session| {
            let select = Sql::new(select).value(mailbox).text(" and folder_id in ").then(Sql::among_texts(folders));
            let mut found: HashMap<String, Vec<DavProperty>> = HashMap::new();
            for row in &session.rows(select.text(" order by folder_id, pos").into()).await? {
                found.entry(row.get(3)?).or_default().push(property(row)?);
            }
            Ok(found)
        };
        self.read_expensive(Some(mailbox), read).await
    }
}

fn property(row: &Row) -> Result<DavProperty, Error> {
    Ok(DavProperty { namespace: row.get(0)?, name: row.get(1)?, value: row.get(2)? })
}

pub(in crate::store) async fn read_properties(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
) -> Result<Vec<DavProperty>, Error> {
    let text = "
select namespace, name, value from dav_properties where mailbox = $1 and folder_id = $2 order by pos";
    let rows = session.rows(Statement::new(text).bind(mailbox).bind(folder)).await?;
    rows.iter().map(property).collect()
}

/// Maximum number of properties of a folder or a home.
const MAX_PROPERTIES: usize = 50;
/// Maximum length of a value, in bytes.
pub const MAX_VALUE: usize = 4 << 10;

/// Changes to the properties of a folder or a home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DavChanges {
    /// The new name of the folder.
    pub display_name: Option<String>,
    /// Properties as namespace, name, value. One without a value is removed.
    pub properties: Vec<(String, String, Option<String>)>,
}

impl Store {
    /// Changes the properties of a folder or, with an empty id, of a home, and the folder's name.
    ///
    /// # Errors
    /// As [`Store::update_folder`]; [`Error::Quota`] for too many or too long ones; those of `check`, which runs in the transaction.
    pub async fn change_dav_properties(
        &self,
        mailbox: i64,
        folder: &str,
        changes: DavChanges,
        check: Option<BookCheck>,
    ) -> Result<(), Error> {
        let folder = folder.to_owned();
        let work = async move |tx: &mut Tx| {
            if let Some(check) = check {
                check(&books::book(tx.reader().await?, mailbox, &folder).await?)?;
            }
            if let Some(name) = changes.display_name {
                let patch = FolderPatch { display_name: Some(name), ..FolderPatch::default() };
                folders::update(tx, mailbox, std::slice::from_ref(&folder), patch, &Preconditions::default()).await?;
            } else if !folder.is_empty() && !folders::exists(tx.reader().await?, mailbox, &folder).await? {
                return Err(Error::NotFound);
            }
            change(tx, mailbox, &folder, changes.properties).await
        };
        self.write(Some(mailbox), work).await
    }

    /// Creates a folder with this id in the default folder.
    ///
    /// # Errors
    /// As [`Store::create_folder`], and [`Error::FolderExists`] if the id is taken; those of
    /// [`Store::change_dav_properties`].
    pub async fn make_book(&self, mailbox: i64, id: &str, changes: DavChanges) -> Result<(), Error> {
        let (id, max) = (id.to_owned(), self.shared.options.max_folders);
        let work = async move |tx: &mut Tx| {
            let name = changes.display_name.unwrap_or_else(|| id.clone());
            folders::create_with_id(tx, mailbox, &id, &name, max).await?;
            change(tx, mailbox, &id, changes.properties).await
        };
        self.write(Some(mailbox), work).await
    }
}

async fn change(
    tx: &mut Tx,
    mailbox: i64,
    folder: &str,
    changes: Vec<(String, String, Option<String>)>,
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut properties = read_properties(tx.reader().await?, mailbox, folder).await?;
    let size = |properties: &[DavProperty]| quota::bytes(properties.iter().map(|property| property.value.len()));
    let before = size(&properties);
    for (namespace, name, value) in changes {
        let index = properties.iter().position(|property| property.namespace == namespace && property.name == name);
        match (index, value) {
            (Some(index), None) => drop(properties.remove(index)),
            (Some(index), Some(value)) => properties[index].value = value,
            (None, Some(value)) => properties.push(DavProperty { namespace, name, value }),
            (None, None) => {}
        }
    }
    if properties.len() > MAX_PROPERTIES || properties.iter().any(|property| property.value.len() > MAX_VALUE) {
        let message = format!(
            "A folder has at most {MAX_PROPERTIES} properties set by clients, of at most {MAX_VALUE} bytes each."
        );
        return Err(Error::Quota(message));
    }
    quota::grow(tx, mailbox, size(&properties) - before).await?;
    clear(tx, mailbox, folder).await?;
    let text = "
insert into dav_properties (mailbox, folder_id, pos, namespace, name, value) values ($1, $2, $3, $4, $5, $6)";
    for (pos, DavProperty { namespace, name, value }) in (0_i64..).zip(properties) {
        let statement = Statement::new(text).bind(mailbox).bind(folder).bind(pos).bind(namespace);
        tx.execute(statement.bind(name).bind(value)).await?;
    }
    Ok(())
}

/// Removes the properties of a folder. The caller counts the bytes.
pub(in crate::store) async fn clear(tx: &mut Tx, mailbox: i64, folder: &str) -> Result<(), Error> {
    let text = "delete from dav_properties where mailbox = $1 and folder_id = $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(folder)).await
}

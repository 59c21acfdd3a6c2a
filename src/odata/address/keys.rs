//! The keys of an address: folders, ids and names.

use super::{Address, Deleted, Item, Resource};

impl Address {
    /// The id of the resource, if the path has one.
    pub fn item(&self) -> Option<&str> {
        match &self.resource {
            Resource::Subscription(id) | Resource::Reauthorize(id) | Resource::Deliveries(id) => Some(id),
            Resource::Owned(_, item) => match item {
                Item::Contact(_, id)
                | Item::Extensions(_, id)
                | Item::Extension(_, id, _)
                | Item::Photo(_, id)
                | Item::PhotoValue(_, id)
                | Item::Category(id)
                | Item::Permission(id)
                | Item::PermanentDelete(_, Some(id))
                | Item::Deleted(Deleted::One(id) | Deleted::Restore(id)) => Some(id),
                Item::Folder(path)
                | Item::Contacts(path)
                | Item::Folders(path)
                | Item::ContactsRef(path)
                | Item::ContactsImport(path)
                | Item::ContactsExport(path)
                | Item::PermanentDelete(path, None) => path.last().map(String::as_str),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Resource {
    /// The folders, the id and the name in an address.
    pub fn keys(&self) -> (&[String], &str, &str) {
        let item = match self {
            Resource::Owned(_, item) => item,
            Resource::Subscription(id) | Resource::Reauthorize(id) | Resource::Deliveries(id) => return (&[], id, ""),
            _ => return (&[], "", ""),
        };
        match item {
            Item::Extension(path, id, name) => (path, id, name),
            Item::Contact(path, id)
            | Item::Extensions(path, id)
            | Item::Photo(path, id)
            | Item::PhotoValue(path, id)
            | Item::PermanentDelete(path, Some(id)) => (path, id, ""),
            Item::Contacts(path)
            | Item::ContactsCount(path)
            | Item::ContactsDelta(path)
            | Item::ContactsRef(path)
            | Item::ContactsImport(path)
            | Item::ContactsExport(path)
            | Item::Folders(path)
            | Item::FoldersCount(path)
            | Item::Folder(path)
            | Item::PermanentDelete(path, None) => (path, "", ""),
            Item::Category(id) | Item::Permission(id) | Item::Deleted(Deleted::One(id) | Deleted::Restore(id)) => {
                (&[], id, "")
            }
            Item::User
            | Item::ContactRef
            | Item::FoldersDelta
            | Item::Deleted(Deleted::All | Deleted::Count)
            | Item::Categories
            | Item::CategoriesCount
            | Item::Permissions
            | Item::TranslateExchangeIds => (&[], "", ""),
        }
    }
}

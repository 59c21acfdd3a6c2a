//! An address in its one spelling: without a version, in the letter case of the documentation, with slashes around
//! keys.

use super::{Address, Deleted, Item, Owner, Resource};

impl Address {
    /// The path, decoded.
    pub fn canonical(&self) -> String {
        match &self.resource {
            Resource::Subscription(id) => format!("/subscriptions/{id}"),
            Resource::Reauthorize(id) => format!("/subscriptions/{id}/reauthorize"),
            Resource::Deliveries(id) => format!("/subscriptions/{id}/deliveries"),
            Resource::Owned(owner, item) => {
                let owner = match owner {
                    Owner::Me => "/me".to_owned(),
                    Owner::User(name) => format!("/users/{name}"),
                };
                format!("{owner}{}", item.canonical())
            }
            _ => self.pattern().to_owned(),
        }
    }
}

impl Item {
    fn canonical(&self) -> String {
        match self {
            Self::User => String::new(),
            Self::Contacts(path) => format!("{}/contacts", folders(path)),
            Self::ContactsCount(path) => format!("{}/contacts/$count", folders(path)),
            Self::ContactsDelta(path) => format!("{}/contacts/delta", folders(path)),
            Self::ContactsRef(path) => format!("{}/contacts/$ref", folders(path)),
            Self::ContactsImport(path) => format!("{}/contacts/$import", folders(path)),
            Self::ContactsExport(path) => format!("{}/contacts/$export", folders(path)),
            Self::Contact(path, id) => format!("{}/contacts/{id}", folders(path)),
            Self::ContactRef => "/contacts/{id}/$ref".to_owned(),
            Self::Extensions(path, id) => format!("{}/contacts/{id}/extensions", folders(path)),
            Self::Extension(path, id, name) => format!("{}/contacts/{id}/extensions/{name}", folders(path)),
            Self::Photo(path, id) => format!("{}/contacts/{id}/photo", folders(path)),
            Self::PhotoValue(path, id) => format!("{}/contacts/{id}/photo/$value", folders(path)),
            Self::Folders(path) => format!("{}/{}", folders(path), child_segment(path)),
            Self::FoldersCount(path) => format!("{}/{}/$count", folders(path), child_segment(path)),
            Self::FoldersDelta => "/contactFolders/delta".to_owned(),
            Self::Folder(path) => folders(path),
            Self::Categories => "/outlook/masterCategories".to_owned(),
            Self::CategoriesCount => "/outlook/masterCategories/$count".to_owned(),
            Self::Category(id) => format!("/outlook/masterCategories/{id}"),
            Self::TranslateExchangeIds => "/translateExchangeIds".to_owned(),
            Self::PermanentDelete(path, Some(id)) => format!("{}/contacts/{id}/permanentDelete", folders(path)),
            Self::PermanentDelete(path, None) => format!("{}/permanentDelete", folders(path)),
            Self::Deleted(Deleted::All) => "/deletedContacts".to_owned(),
            Self::Deleted(Deleted::Count) => "/deletedContacts/$count".to_owned(),
            Self::Deleted(Deleted::One(id)) => format!("/deletedContacts/{id}"),
            Self::Deleted(Deleted::Restore(id)) => format!("/deletedContacts/{id}/restore"),
            Self::Permissions => "/contactPermissions".to_owned(),
            Self::Permission(id) => format!("/contactPermissions/{id}"),
        }
    }
}

fn folders(path: &[String]) -> String {
    let mut text = String::new();
    for (i, id) in path.iter().enumerate() {
        text.extend(["/", child_segment(&path[..i]), "/", id]);
    }
    text
}

/// The name of the segment for the folders inside.
fn child_segment(path: &[String]) -> &'static str {
    if path.is_empty() { "contactFolders" } else { "childFolders" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_have_one_canonical_path() {
        for (path, canonical) in [
            ("/v1.0/ME/Contacts('a-b')", "/me/contacts/a-b"),
            ("/beta/users('ann%40example.org')/contacts/%24ref/", "/users/ann@example.org/contacts/$ref"),
            (
                "/users/me-token-to-replace/contactFolders/x/childFolders/y/contacts",
                "/me/contactFolders/x/childFolders/y/contacts",
            ),
            ("/me/contactfolders('x')/childfolders", "/me/contactFolders/x/childFolders"),
            ("/v1.0/me/contacts/microsoft.graph.delta()", "/me/contacts/delta"),
            ("//v1.0//$batch", "/$batch"),
            ("/", "/"),
            ("/Subscriptions/1/Reauthorize", "/subscriptions/1/reauthorize"),
        ] {
            let address = Address::parse(path).unwrap();
            assert_eq!(address.canonical(), canonical);
            assert_eq!(Address::parse(canonical).unwrap().resource, address.resource, "{path}");
        }
    }
}

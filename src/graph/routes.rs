//! What can be called: the table of what is offered where, what each needs of its caller, and what it does with a body.

use crate::graph::subscriptions::Act;
use crate::graph::{extensions, permissions, trash};
use crate::http::body::Taken;
use crate::odata::address::{Deleted, Item};
use crate::odata::prefer::Handling;

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ListUsers,
    CountUsers,
    GetUser,
    ListContacts,
    CountContacts,
    CreateContact,
    ListReferences,
    FollowContacts,
    FollowFolders,
    AddContact,
    GetContact,
    UpdateContact,
    DeleteContact,
    GetPhoto,
    GetPhotoValue,
    PutPhoto,
    DeletePhoto,
    Extension(extensions::Does),
    ListFolders,
    CountFolders,
    CreateFolder,
    GetFolder,
    UpdateFolder,
    DeleteFolder,
    ListCategories,
    CountCategories,
    CreateCategory,
    GetCategory,
    UpdateCategory,
    DeleteCategory,
    TranslateIds,
    Batch,
    Trash(trash::Does),
    Permission(permissions::Does),
    Subscription(Act),
    /// Known to Graph, not served yet.
    NotYet,
}

/// What a call needs of its caller's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// That it is good.
    Token,
    /// To read what is in a mailbox.
    Read,
    /// To write to it.
    Write,
    /// To know who there is.
    Users,
    /// To know whom a mailbox is shared with.
    SeeShares,
    /// To share it, which takes somebody who may know who there is.
    Share,
    /// To take that back.
    Unshare,
}

/// What can be called at one place, and by which method.
pub(crate) type Offered = &'static [(&'static str, Endpoint)];

impl Endpoint {
    /// What it does with a body.
    pub(crate) fn body(self) -> Taken {
        use Endpoint as E;
        match self {
            E::CreateContact
            | E::AddContact
            | E::UpdateContact
            | E::CreateFolder
            | E::UpdateFolder
            | E::CreateCategory
            | E::UpdateCategory
            | E::TranslateIds
            | E::Batch
            | E::Extension(extensions::Does::Create | extensions::Does::Update)
            | E::Permission(permissions::Does::Create | permissions::Does::Update)
            | E::Subscription(Act::Create | Act::Renew) => Taken::Json,
            E::PutPhoto => Taken::Bytes,
            _ => Taken::Not,
        }
    }

    /// What its caller must be permitted (docs/graph.md, "Permissions").
    pub(crate) fn need(self) -> Need {
        use Endpoint as E;
        match self {
            // Each step of a batch needs what it needs alone.
            E::GetUser | E::TranslateIds | E::Batch | E::NotYet => Need::Token,
            E::ListUsers | E::CountUsers => Need::Users,
            E::ListContacts
            | E::CountContacts
            | E::ListReferences
            | E::FollowContacts
            | E::FollowFolders
            | E::GetContact
            | E::GetPhoto
            | E::GetPhotoValue
            | E::ListFolders
            | E::CountFolders
            | E::GetFolder
            | E::ListCategories
            | E::CountCategories
            | E::GetCategory
            | E::Trash(trash::Does::List | trash::Does::Count | trash::Does::Get)
            | E::Extension(extensions::Does::List | extensions::Does::Get)
            | E::Subscription(_) => Need::Read,
            E::Permission(permissions::Does::List | permissions::Does::Get) => Need::SeeShares,
            E::Permission(permissions::Does::Create | permissions::Does::Update) => Need::Share,
            E::Permission(permissions::Does::Delete) => Need::Unshare,
            E::CreateContact
            | E::AddContact
            | E::UpdateContact
            | E::DeleteContact
            | E::PutPhoto
            | E::DeletePhoto
            | E::CreateFolder
            | E::UpdateFolder
            | E::DeleteFolder
            | E::CreateCategory
            | E::UpdateCategory
            | E::DeleteCategory
            | E::Extension(extensions::Does::Create | extensions::Does::Update | extensions::Does::Delete)
            | E::Trash(
                trash::Does::Restore
                | trash::Does::Delete
                | trash::Does::PermanentDelete
                | trash::Does::PermanentDeleteFolder,
            ) => Need::Write,
        }
    }

    /// Whether its answer has pages.
    pub(crate) fn is_list(self) -> bool {
        use Endpoint as E;
        matches!(
            self,
            E::ListUsers
                | E::ListContacts
                | E::ListReferences
                | E::ListFolders
                | E::ListCategories
                | E::FollowContacts
                | E::FollowFolders
                | E::Trash(trash::Does::List)
        )
    }

    /// Whether it has query options of its own to read.
    pub(crate) fn reads_query(self) -> bool {
        use Endpoint as E;
        matches!(
            self,
            E::ListUsers
                | E::CountUsers
                | E::GetUser
                | E::ListContacts
                | E::CountContacts
                | E::ListReferences
                | E::FollowContacts
                | E::FollowFolders
                | E::GetContact
                | E::ListFolders
                | E::CountFolders
                | E::GetFolder
                | E::ListCategories
                | E::CountCategories
                | E::GetCategory
                | E::Trash(trash::Does::List | trash::Does::Count | trash::Does::Get)
                | E::Extension(extensions::Does::List)
                | E::NotYet
        )
    }
}

/// The table of everything offered below an owner.
pub(crate) fn offered(item: &Item, handling: Handling) -> Offered {
    use Endpoint as E;
    match item {
        Item::User => &[("GET", E::GetUser)],
        Item::Contacts(_) => &[("GET", E::ListContacts), ("POST", E::CreateContact)],
        Item::ContactsDelta(_) => &[("GET", E::FollowContacts)],
        Item::FoldersDelta => &[("GET", E::FollowFolders)],
        Item::ContactsCount(_) => &[("GET", E::CountContacts)],
        Item::ContactsRef(_) => &[("GET", E::ListReferences), ("POST", E::AddContact)],
        Item::FoldersCount(_) => &[("GET", E::CountFolders)],
        Item::Folders(_) => &[("GET", E::ListFolders), ("POST", E::CreateFolder)],
        Item::Folder(_) => &[("GET", E::GetFolder), ("PATCH", E::UpdateFolder), ("DELETE", E::DeleteFolder)],
        Item::Contact(..) => &[("GET", E::GetContact), ("PATCH", E::UpdateContact), ("DELETE", E::DeleteContact)],
        Item::Categories => &[("GET", E::ListCategories), ("POST", E::CreateCategory)],
        Item::CategoriesCount => &[("GET", E::CountCategories)],
        Item::Category(_) => &[("GET", E::GetCategory), ("PATCH", E::UpdateCategory), ("DELETE", E::DeleteCategory)],
        Item::TranslateExchangeIds => &[("POST", E::TranslateIds)],
        Item::Permissions => {
            &[("GET", E::Permission(permissions::Does::List)), ("POST", E::Permission(permissions::Does::Create))]
        }
        Item::Permission(_) => &[
            ("GET", E::Permission(permissions::Does::Get)),
            ("PATCH", E::Permission(permissions::Does::Update)),
            ("DELETE", E::Permission(permissions::Does::Delete)),
        ],
        Item::ContactRef => &[],
        Item::PermanentDelete(_, Some(_)) => &[("POST", E::Trash(trash::Does::PermanentDelete))],
        Item::PermanentDelete(_, None) => &[("POST", E::Trash(trash::Does::PermanentDeleteFolder))],
        Item::Deleted(Deleted::All) => &[("GET", E::Trash(trash::Does::List))],
        Item::Deleted(Deleted::Count) => &[("GET", E::Trash(trash::Does::Count))],
        Item::Deleted(Deleted::One(_)) => {
            &[("GET", E::Trash(trash::Does::Get)), ("DELETE", E::Trash(trash::Does::Delete))]
        }
        Item::Deleted(Deleted::Restore(_)) => &[("POST", E::Trash(trash::Does::Restore))],
        Item::Extensions(..) => {
            &[("GET", E::Extension(extensions::Does::List)), ("POST", E::Extension(extensions::Does::Create))]
        }
        Item::Extension(..) => &[
            ("GET", E::Extension(extensions::Does::Get)),
            ("PATCH", E::Extension(extensions::Does::Update)),
            ("DELETE", E::Extension(extensions::Does::Delete)),
        ],
        // Graph cannot take a contact's photo away.
        Item::Photo(..) if handling == Handling::Strict => &[("GET", E::GetPhoto)],
        Item::Photo(..) => &[("GET", E::GetPhoto), ("DELETE", E::DeletePhoto)],
        Item::PhotoValue(..) if handling == Handling::Strict => {
            &[("GET", E::GetPhotoValue), ("PUT", E::PutPhoto), ("PATCH", E::PutPhoto)]
        }
        Item::PhotoValue(..) => {
            &[("GET", E::GetPhotoValue), ("PUT", E::PutPhoto), ("PATCH", E::PutPhoto), ("DELETE", E::DeletePhoto)]
        }
    }
}

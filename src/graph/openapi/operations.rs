//! The description of each call for the document: a row for each row of the table of calls (`routes.rs`).

use self::RequestContent::{File, Nothing, Object, Picture, Reference};
use self::SuccessAnswer::{
    Batch, Bytes, Changes, Count, Created, Deleted, Document, Done, Exported, Health, Imported, One, Page,
};
use self::SuccessAnswer::{PhotoSet, Referred, Service, Updated, Xml};

/// The content of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestContent {
    Nothing,
    /// JSON of this schema, with these members.
    Object(&'static str, &'static [&'static str]),
    /// A contact, or a bare reference to one.
    Reference,
    /// The bytes of a picture.
    Picture,
    /// A file of contacts.
    File,
}

/// The content of a successful answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SuccessAnswer {
    One(&'static str),
    Page(&'static str),
    Changes(&'static str),
    Count,
    Created(&'static str),
    /// Created, or 204 for a reference.
    Referred,
    Updated(&'static str),
    Deleted,
    /// 204, and no position.
    Done,
    Bytes,
    PhotoSet,
    Imported,
    Exported,
    Batch,
    Health,
    Service,
    Xml,
    Document,
}

/// The description of a call.
pub(super) struct OpenApiCall {
    pub(super) method: &'static str,
    pub(super) address: &'static str,
    /// Its name. `operationId` is this name with a prefix for the resource.
    pub(super) name: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Query options, as keys of the parameters.
    pub(super) options: &'static [&'static str],
    pub(super) sent: RequestContent,
    pub(super) answered: SuccessAnswer,
    /// Whether it has a version, which `If-Match` and `If-None-Match` name.
    pub(super) has_version: bool,
    /// Further statuses of errors, which do not follow from the other fields.
    pub(super) also: &'static [u16],
}

impl OpenApiCall {
    const fn sends(self, sent: RequestContent) -> Self {
        Self { sent, ..self }
    }

    const fn versioned(self) -> Self {
        Self { has_version: true, ..self }
    }

    const fn also(self, also: &'static [u16]) -> Self {
        Self { also, ..self }
    }
}

const fn row(
    method: &'static str,
    address: &'static str,
    name: &'static str,
    tag: &'static str,
    summary: &'static str,
    options: &'static [&'static str],
    answered: SuccessAnswer,
) -> OpenApiCall {
    OpenApiCall { method, address, name, tag, summary, options, sent: Nothing, answered, has_version: false, also: &[] }
}

/// The tags and their descriptions.
pub(super) const TAGS: [(&str, &str); 12] = [
    (SERVICE, "The service itself; no token is needed."),
    (BATCH, "Several calls in one request."),
    (USERS, "Users."),
    (CONTACTS, "Contacts of a mailbox, or of a folder."),
    (FILES, "Imports and exports."),
    (PHOTOS, "The photo of a contact."),
    (EXTENSIONS, "Objects that programs store with a contact."),
    (FOLDERS, "Folders of contacts."),
    (CATEGORIES, "Category names, each with a colour."),
    (DELETED, "Deleted contacts, until they are purged."),
    (PERMISSIONS, "A user with whom a mailbox is shared."),
    (SUBSCRIPTIONS, "Change notifications."),
];
const SERVICE: &str = "Service";
const BATCH: &str = "Batch";
const USERS: &str = "Users";
const CONTACTS: &str = "Contacts";
const FILES: &str = "Files";
const PHOTOS: &str = "Photos";
const EXTENSIONS: &str = "Extensions";
const FOLDERS: &str = "Folders";
const CATEGORIES: &str = "Categories";
const DELETED: &str = "Deleted contacts";
const PERMISSIONS: &str = "Permissions";
const SUBSCRIPTIONS: &str = "Subscriptions";

const NONE: &[&str] = &[];
const FORMAT: &[&str] = &["format"];
const LIST: &[&str] =
    &["filter", "search", "orderby", "top", "skip", "count", "select", "expand", "skiptoken", "format"];
const REFERENCES: &[&str] = &["filter", "search", "orderby", "top", "skip", "count", "skiptoken", "format"];
const SMALL: &[&str] = &["filter", "orderby", "top", "skip", "count", "select", "skiptoken", "format"];
const COUNT: &[&str] = &["filter", "search"];
const SMALL_COUNT: &[&str] = &["filter"];
const DELTA: &[&str] = &["select", "top", "deltatoken", "skiptoken", "format"];
const ONE: &[&str] = &["select", "expand", "format"];
const SMALL_ONE: &[&str] = &["select", "format"];
const IMPORT: &[&str] = &["importFormat", "dateOrder", "map", "match", "dryRun"];
const EXPORT: &[&str] = &["exportFormat", "filter", "search", "orderby", "photos", "guard", "aside"];

const CONTACT: RequestContent = Object("contactInput", &[]);
const TERMS: &[&str] = &["changeType", "expirationDateTime", "notificationUrl", "resource"];
const IDS: RequestContent = Object("convertIds", &[]);

/// One line for each call, in the order of the table of calls.
#[rustfmt::skip]
pub(super) static OPERATIONS: &[OpenApiCall] = &[
    row("GET", "/healthz", "getHealth", SERVICE, "Check the server's health", NONE, Health),
    row("GET", "/", "getServiceDocument", SERVICE, "The service document", FORMAT, Service),
    row("GET", "/$metadata", "getMetadata", SERVICE, "The model, as CSDL", &["formatXml"], Xml),
    row("GET", "/openapi.json", "getOpenApi", SERVICE, "This document", NONE, Document).versioned(),
    row("POST", "/$batch", "batch", BATCH, "Send several requests in one", FORMAT, Batch).sends(Object("batchRequest", &[])),

    row("GET", "/users", "listUsers", USERS, "List the users, for applications", SMALL, Page("user")).also(&[501]),
    row("GET", "/users/$count", "countUsers", USERS, "Count the users, for applications", SMALL_COUNT, Count).also(&[501]),
    row("GET", "/{user}", "getUser", USERS, "Read the user", SMALL_ONE, One("user")),

    row("GET", "/{user}/contacts", "listContacts", CONTACTS, "List contacts", LIST, Page("contact")),
    row("POST", "/{user}/contacts", "createContact", CONTACTS, "Create a contact", FORMAT, Created("contact")).sends(CONTACT),
    row("GET", "/{user}/contacts/$count", "countContacts", CONTACTS, "Count contacts", COUNT, Count),
    row("GET", "/{user}/contacts/delta", "deltaContacts", CONTACTS, "List changes of contacts", DELTA, Changes("contact")).also(&[410]),
    row("GET", "/{user}/contacts/$ref", "listContactReferences", CONTACTS, "List contacts as references", REFERENCES, Page("reference")),
    row("POST", "/{user}/contacts/$ref", "addContact", CONTACTS, "Create a contact, or name one that is there", FORMAT, Referred).sends(Reference),
    row("POST", "/{user}/contacts/$import", "importContacts", FILES, "Import a file", IMPORT, Imported).sends(File),
    row("GET", "/{user}/contacts/$export", "exportContacts", FILES, "Export a file", EXPORT, Exported),
    row("GET", "/{user}/contacts/{id}", "getContact", CONTACTS, "Read a contact", ONE, One("contact")).versioned(),
    row("PATCH", "/{user}/contacts/{id}", "updateContact", CONTACTS, "Change a contact", FORMAT, Updated("contact")).sends(CONTACT).versioned(),
    row("DELETE", "/{user}/contacts/{id}", "deleteContact", CONTACTS, "Delete a contact", FORMAT, Deleted).versioned(),
    row("POST", "/{user}/contacts/{id}/permanentDelete", "deleteContactPermanently", CONTACTS, "Delete a contact permanently", FORMAT, Deleted).versioned(),

    row("GET", "/{user}/contacts/{id}/photo", "getPhoto", PHOTOS, "Describe the photo", FORMAT, One("profilePhoto")).versioned(),
    row("DELETE", "/{user}/contacts/{id}/photo", "deletePhoto", PHOTOS, "Delete the photo", FORMAT, Deleted).versioned(),
    row("GET", "/{user}/contacts/{id}/photo/$value", "getPhotoValue", PHOTOS, "Read the photo's bytes", FORMAT, Bytes).versioned(),
    row("PUT", "/{user}/contacts/{id}/photo/$value", "putPhotoValue", PHOTOS, "Replace the photo", FORMAT, PhotoSet).sends(Picture).versioned(),
    row("PATCH", "/{user}/contacts/{id}/photo/$value", "patchPhotoValue", PHOTOS, "Replace the photo", FORMAT, PhotoSet).sends(Picture).versioned(),
    row("DELETE", "/{user}/contacts/{id}/photo/$value", "deletePhotoValue", PHOTOS, "Delete the photo", FORMAT, Deleted).versioned(),

    row("GET", "/{user}/contacts/{id}/extensions", "listExtensions", EXTENSIONS, "List the extensions", &["filter", "count", "format"], Page("openTypeExtension")),
    row("POST", "/{user}/contacts/{id}/extensions", "createExtension", EXTENSIONS, "Add an extension", FORMAT, Created("openTypeExtension"))
        .sends(Object("openTypeExtensionInput", &["extensionName"])).also(&[409]),
    row("GET", "/{user}/contacts/{id}/extensions/{extension}", "getExtension", EXTENSIONS, "Read an extension", FORMAT, One("openTypeExtension")).versioned(),
    row("PATCH", "/{user}/contacts/{id}/extensions/{extension}", "updateExtension", EXTENSIONS, "Change an extension", FORMAT, Updated("openTypeExtension"))
        .sends(Object("openTypeExtensionInput", &[])).versioned(),
    row("DELETE", "/{user}/contacts/{id}/extensions/{extension}", "deleteExtension", EXTENSIONS, "Delete an extension", FORMAT, Deleted).versioned(),

    row("GET", "/{user}/contactFolders", "listFolders", FOLDERS, "List folders", LIST, Page("contactFolder")),
    row("POST", "/{user}/contactFolders", "createFolder", FOLDERS, "Create a folder", FORMAT, Created("contactFolder"))
        .sends(Object("contactFolderInput", &["displayName"])).also(&[409]),
    row("GET", "/{user}/contactFolders/$count", "countFolders", FOLDERS, "Count folders", COUNT, Count),
    row("GET", "/{user}/contactFolders/delta", "deltaFolders", FOLDERS, "List changes of folders", DELTA, Changes("contactFolder")).also(&[410]),
    row("GET", "/{user}/contactFolders/{id}", "getFolder", FOLDERS, "Read a folder", ONE, One("contactFolder")).versioned(),
    row("PATCH", "/{user}/contactFolders/{id}", "updateFolder", FOLDERS, "Rename or move a folder", FORMAT, Updated("contactFolder"))
        .sends(Object("contactFolderInput", &[])).versioned().also(&[409]),
    row("DELETE", "/{user}/contactFolders/{id}", "deleteFolder", FOLDERS, "Delete a folder with everything inside", FORMAT, Deleted).versioned(),
    row("POST", "/{user}/contactFolders/{id}/permanentDelete", "deleteFolderPermanently", FOLDERS, "Delete a folder permanently, with everything inside", FORMAT, Deleted).versioned(),

    row("GET", "/{user}/outlook/masterCategories", "listCategories", CATEGORIES, "List the categories", SMALL, Page("outlookCategory")).also(&[501]),
    row("POST", "/{user}/outlook/masterCategories", "createCategory", CATEGORIES, "Create a category", FORMAT, Created("outlookCategory"))
        .sends(Object("outlookCategoryInput", &["displayName"])).also(&[409]),
    row("GET", "/{user}/outlook/masterCategories/$count", "countCategories", CATEGORIES, "Count the categories", SMALL_COUNT, Count).also(&[501]),
    row("GET", "/{user}/outlook/masterCategories/{id}", "getCategory", CATEGORIES, "Read a category", SMALL_ONE, One("outlookCategory")).versioned(),
    row("PATCH", "/{user}/outlook/masterCategories/{id}", "updateCategory", CATEGORIES, "Change the colour of a category", FORMAT, Updated("outlookCategory"))
        .sends(Object("outlookCategoryInput", &[])).versioned(),
    row("DELETE", "/{user}/outlook/masterCategories/{id}", "deleteCategory", CATEGORIES, "Delete a category", FORMAT, Deleted).versioned(),

    row("GET", "/{user}/deletedContacts", "listDeletedContacts", DELETED, "List deleted contacts", LIST, Page("contact")),
    row("GET", "/{user}/deletedContacts/$count", "countDeletedContacts", DELETED, "Count deleted contacts", COUNT, Count),
    row("GET", "/{user}/deletedContacts/{id}", "getDeletedContact", DELETED, "Read a deleted contact", ONE, One("contact")).versioned(),
    row("DELETE", "/{user}/deletedContacts/{id}", "deleteDeletedContact", DELETED, "Delete a deleted contact permanently", FORMAT, Deleted).versioned(),
    row("POST", "/{user}/deletedContacts/{id}/restore", "restoreContact", DELETED, "Restore a deleted contact", FORMAT, Updated("contact")).versioned(),

    row("GET", "/{user}/contactPermissions", "listPermissions", PERMISSIONS, "List the users with whom the mailbox is shared", FORMAT, Page("contactPermission")),
    row("POST", "/{user}/contactPermissions", "createPermission", PERMISSIONS, "Share the mailbox", FORMAT, Created("contactPermission"))
        .sends(Object("contactPermissionInput", &["role", "emailAddress"])),
    row("GET", "/{user}/contactPermissions/{id}", "getPermission", PERMISSIONS, "Read a permission", FORMAT, One("contactPermission")),
    row("PATCH", "/{user}/contactPermissions/{id}", "updatePermission", PERMISSIONS, "Change a role", FORMAT, Updated("contactPermission"))
        .sends(Object("contactPermissionInput", &[])),
    row("DELETE", "/{user}/contactPermissions/{id}", "deletePermission", PERMISSIONS, "End the sharing", FORMAT, Done),

    row("POST", "/{user}/translateExchangeIds", "translateExchangeIds", USERS, "Translate ids", FORMAT, Page("convertIdResult")).sends(IDS),

    row("GET", "/subscriptions", "listSubscriptions", SUBSCRIPTIONS, "List the caller's subscriptions", &["skiptoken", "format"], Page("subscription")),
    row("POST", "/subscriptions", "createSubscription", SUBSCRIPTIONS, "Subscribe to changes", FORMAT, Created("subscription")).sends(Object("subscriptionInput", TERMS)),
    row("GET", "/subscriptions/{id}", "getSubscription", SUBSCRIPTIONS, "Read a subscription", FORMAT, One("subscription")),
    row("PATCH", "/subscriptions/{id}", "updateSubscription", SUBSCRIPTIONS, "Renew a subscription", FORMAT, Updated("subscription")).sends(Object("subscriptionInput", &[])),
    row("DELETE", "/subscriptions/{id}", "deleteSubscription", SUBSCRIPTIONS, "End a subscription", FORMAT, Done),
    row("POST", "/subscriptions/{id}/reauthorize", "reauthorizeSubscription", SUBSCRIPTIONS, "Bind a subscription to the caller's token", FORMAT, Done),
    row("GET", "/subscriptions/{id}/deliveries", "listDeliveries", SUBSCRIPTIONS, "List the last delivery attempts", FORMAT, Page("notificationDelivery")),
];

/// The description of a call.
pub(super) fn find(method: &str, address: &str) -> Option<&'static OpenApiCall> {
    OPERATIONS.iter().find(|row| (row.method, row.address) == (method, address))
}

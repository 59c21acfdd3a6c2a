//! The one list of tables and columns. The writes of contacts (`write::procedures`), their reading (`contacts`), and the copy
//! of a database (`jobs::copy`) are built from it once. All names here are literals: no text of a request gets into SQL.

use crate::domain::contact::Text;
use crate::store::tables::columns::{self, DERIVED, PLAIN};
use crate::store::tables::table::{Column, Table, column_list};

/// `name(keys) values; derived`
macro_rules! table {
    ($table:ident ($($key:tt)*) $($value:ident $kind:ident),* $(; $($derived:ident $derived_kind:ident),*)?) => {
        Table {
            name: stringify!($table),
            keys: column_list![$($key)*],
            values: column_list![$($value $kind),*],
            derived: column_list![$($($derived $derived_kind),*)?],
            self_reference: None,
        }
    };
}

/// The columns of `contacts` that are shown, including those of `columns`.
const CONTACT_VALUES: [Column; 6 + PLAIN.len() + Text::ALL.len()] = {
    let own: [Column; 6] = *column_list![
        parent_folder_id Text, version Int, created_date_time Int, last_modified_date_time Int, deleted_date_time Int,
        change_key Text
    ];
    let mut all = [own[0]; 6 + PLAIN.len() + Text::ALL.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < own.len() {
            own[i]
        } else if i < own.len() + PLAIN.len() {
            PLAIN[i - own.len()]
        } else {
            columns::of_text(Text::ALL[i - own.len() - PLAIN.len()])
        };
        i += 1;
    }
    all
};

const CONTACTS: Table = Table {
    name: "contacts",
    keys: column_list![mailbox Int, id Id],
    values: &CONTACT_VALUES,
    derived: DERIVED,
    self_reference: None,
};

/// A contact's flag: one row if it has a flag.
pub(in crate::store) const FLAGS: Table = table!(flags(mailbox Int, contact_id Id) flag_status Text,
    completed_date_time Text, completed_time_zone Text, due_date_time Text, due_time_zone Text, start_date_time Text,
    start_time_zone Text);

const EMAILS: Table = table!(emails(mailbox Int, contact_id Id, pos Int) name Text, address Text, type Text,
    other_label Text; address_key Text);
const PHONES: Table = table!(phones(mailbox Int, contact_id Id, pos Int) type Text, number Text; number_key Text);
const ADDRESSES: Table = table!(addresses(mailbox Int, contact_id Id, pos Int) type Text, post_office_box Text,
    street Text, city Text, state Text, country_or_region Text, postal_code Text);
const WEBSITES: Table =
    table!(websites(mailbox Int, contact_id Id, pos Int) type Text, address Text, display_name Text);
const CATEGORIES: Table = table!(categories(mailbox Int, contact_id Id, pos Int) name Text; name_key Text);
const IM_ADDRESSES: Table = table!(im_addresses(mailbox Int, contact_id Id, pos Int) address Text);
const CHILDREN: Table = table!(children(mailbox Int, contact_id Id, pos Int) name Text);
/// Folded texts, which are never shown (`folded`).
pub(in crate::store) const FOLDED: Table =
    table!(folded(mailbox Int, contact_id Id, pos Int); property Text, entry Int, key Text);

/// The tables of a contact's collections, in the order in which `write::rows` sends them. Each entry is a row, numbered
/// from 0 by `pos`. An entry is sent as a JSON array of the columns after the key or, if there is only one such column,
/// as its value.
pub(in crate::store) const COLLECTIONS: [&Table; 7] =
    [&EMAILS, &PHONES, &ADDRESSES, &WEBSITES, &CATEGORIES, &IM_ADDRESSES, &CHILDREN];

// Extended properties: an owner is a contact or a folder.
pub(in crate::store) const SINGLE_VALUES: Table = table!(single_values(mailbox Int, contact_id Id, pos Int) id Text, id_key Text, value Text, value_key Text,
        value_number Int, value_millionths Int, value_instant Int);
pub(in crate::store) const MULTI_VALUE_PROPERTIES: Table =
    table!(multi_value_properties(mailbox Int, contact_id Id, pos Int) id Text, id_key Text);
pub(in crate::store) const MULTI_VALUES: Table = table!(multi_values(mailbox Int, contact_id Id, pos Int, entry Int) value Text, value_key Text,
        value_number Int, value_millionths Int, value_instant Int);
pub(in crate::store) const FOLDER_SINGLE_VALUES: Table = table!(folder_single_values(mailbox Int, folder_id Text, pos Int) id Text, id_key Text, value Text, value_key Text,
        value_number Int, value_millionths Int, value_instant Int);
pub(in crate::store) const FOLDER_MULTI_VALUE_PROPERTIES: Table =
    table!(folder_multi_value_properties(mailbox Int, folder_id Text, pos Int) id Text, id_key Text);
pub(in crate::store) const FOLDER_MULTI_VALUES: Table = table!(folder_multi_values(mailbox Int, folder_id Text, pos Int, entry Int) value Text, value_key Text,
        value_number Int, value_millionths Int, value_instant Int);

/// The cards of contacts and groups.
pub(in crate::store) const CARDS: Table = table!(cards(mailbox Int, contact_id Id) folder_id Text, name Text, uid Text,
    uid_key Text, is_group Bool, vcard_version Text, contact_version Int, photo_version Int, photo_at Int, photo_first Int,
    photo_width Int, photo_break Text, version Int, last_modified_date_time Int, deleted_date_time Int);
pub(in crate::store) const CARD_TEXTS: Table = table!(card_texts(mailbox Int, contact_id Id, pos Int) text Text);
/// The identities of imported contacts, and the rows that each import created and changed.
pub(in crate::store) const IMPORTED: Table = table!(imported(mailbox Int, contact_id Id) uid_key Text, hash Bytes);
pub(in crate::store) const IMPORT_CONTACTS: Table = table!(import_contacts(mailbox Int, import_id Id, contact_id Id)
    created Bool, version Int, photo_version Int);

/// Every table except `store` and the search index. A table refers only to tables before it.
pub(in crate::store) const TABLES: &[Table] = &[
    table!(mailboxes(id Int) seq Int, contacts Int, bytes Int),
    table!(users(id Text) user_principal_name Text, user_principal_name_key Text, display_name Text, mail Text,
        mailbox Int, created_date_time Int, disabled_date_time Int),
    table!(tokens(id Id) digest Text, mailbox Int, app Text, name Text, scopes Text, created_date_time Int,
        expiration_date_time Int, revoked_date_time Int, last_used_date_time Int),
    table!(shares(mailbox Int, grantee Int) can_write Bool, created_date_time Int),
    table!(audit(mailbox Int, id Id) audit_date_time Int, actor Text, token_id Id, address Text, request_id Id, action Text,
        item Text),
    Table {
        self_reference: Some("parent_folder_id"),
        ..table!(folders(mailbox Int, id Text) parent_folder_id Text, display_name Text, display_name_key Text, version Int,
            created_date_time Int, last_modified_date_time Int, deleted_date_time Int, emptying Int, contacts Int)
    },
    CONTACTS,
    EMAILS,
    PHONES,
    ADDRESSES,
    WEBSITES,
    FLAGS,
    CATEGORIES,
    IM_ADDRESSES,
    CHILDREN,
    FOLDED,
    table!(photos(mailbox Int, contact_id Id) content_type Text, width Int, height Int, size Int, version Int,
        last_modified_date_time Int, deleted_date_time Int),
    table!(photo_chunks(mailbox Int, contact_id Id, pos Int) bytes Bytes),
    table!(master_categories(mailbox Int, id Id) display_name Text, display_name_key Text, color Text, version Int,
        created_date_time Int, last_modified_date_time Int, deleted_date_time Int),
    table!(extensions(mailbox Int, contact_id Id, pos Int) name Text, version Int, last_modified_date_time Int),
    table!(extension_members(mailbox Int, contact_id Id, extension_pos Int, pos Int) name Text, value Text),
    table!(extension_writes(mailbox Int, contact_id Id) version Int, last_modified_date_time Int),
    SINGLE_VALUES,
    MULTI_VALUE_PROPERTIES,
    MULTI_VALUES,
    FOLDER_SINGLE_VALUES,
    FOLDER_MULTI_VALUE_PROPERTIES,
    FOLDER_MULTI_VALUES,
    table!(idempotency_keys(mailbox Int, key Text) request Text, item_id Text, created_date_time Int),
    table!(subscriptions(mailbox Int, id Id) creator Text, resource Text, of_folders Bool, folder_id Text, change_type Text,
        notification_url Text, lifecycle_notification_url Text, client_state Text, tls_version Text,
        created_date_time Int, expiration_date_time Int, delivered_seq Int, attempts Int, next_attempt_date_time Int,
        lifecycle_event Text, lifecycle_attempts Int, next_lifecycle_date_time Int, reminded_of_date_time Int,
        lease_owner Id, lease_until_date_time Int, token_id Id),
    table!(deliveries(mailbox Int, subscription_id Id, pos Int) attempt_date_time Int, about Text, attempt Int,
        notifications Int, first_seq Int, last_seq Int, status Int, error Text),
    table!(identities(issuer Text, subject Text) mailbox Int, created_date_time Int, claimed_name Text, claim Text,
        name Text, name_key Text, said_date_time Int, bound Bool),
    CARDS,
    CARD_TEXTS,
    IMPORTED,
    table!(imports(mailbox Int, id Id) source Text, size Int, head Text, format Text, folder_id Text,
        started_date_time Int, finished_date_time Int, undone_date_time Int, records Int, bytes Int, created Int,
        updated Int, unchanged Int, refused Int),
    IMPORT_CONTACTS,
    table!(import_befores(mailbox Int, import_id Id, contact_id Id) contact Text, card Text, photo Bytes),
    table!(changes(mailbox Int, seq Int) folder_id Text, contact_id Id, removed Bool, changed_date_time Int, of_card Bool, kept Bool),
    table!(dav_properties(mailbox Int, folder_id Text, pos Int) namespace Text, name Text, value Text),
];

//! What is copied: every table, its columns, and the statements that read and write it.

/// A column's type, in the words of neither engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Int,
    Bool,
    Text,
    Id,
    Bytes,
}

/// How a table is copied.
pub(in crate::store) struct Table {
    pub(in crate::store) name: &'static str,
    /// All columns, those of the key first.
    pub(in crate::store) columns: &'static [(&'static str, Kind)],
    /// How many of them are the key.
    pub(super) keys: usize,
    /// A column that refers to other rows of the table: it is filled in when all are there.
    pub(super) late: Option<&'static str>,
    pub(super) select: &'static str,
    pub(super) last_key: &'static str,
    pub(super) insert: [&'static str; 2],
    pub(super) count: &'static str,
    pub(super) delete: &'static str,
}

macro_rules! kind {
    (int) => {
        Kind::Int
    };
    (bool) => {
        Kind::Bool
    };
    (text) => {
        Kind::Text
    };
    (id) => {
        Kind::Id
    };
    (bytes) => {
        Kind::Bytes
    };
}

/// A column's value out of a JSON object.
macro_rules! sqlite_value {
    ($name:ident id) => {
        concat!("unhex(value ->> '", stringify!($name), "')")
    };
    ($name:ident bytes) => {
        concat!("unhex(value ->> '", stringify!($name), "')")
    };
    ($name:ident $kind:ident) => {
        concat!("value ->> '", stringify!($name), "'")
    };
}
macro_rules! postgres_value {
    ($name:ident id) => {
        concat!("(value ->> '", stringify!($name), "')::uuid")
    };
    ($name:ident bytes) => {
        concat!("decode(value ->> '", stringify!($name), "', 'hex')")
    };
    ($name:ident int) => {
        concat!("(value ->> '", stringify!($name), "')::bigint")
    };
    ($name:ident bool) => {
        concat!("(value ->> '", stringify!($name), "')::boolean")
    };
    ($name:ident text) => {
        concat!("value ->> '", stringify!($name), "'")
    };
}

/// `(key, …) > ($1, …)` and so on, for keys of one to four columns.
macro_rules! after {
    ($a:ident) => {
        concat!(stringify!($a), " > $1 order by ", stringify!($a), " limit $2")
    };
    ($a:ident $b:ident) => {
        concat!(
            "(",
            stringify!($a),
            ", ",
            stringify!($b),
            ") > ($1, $2) order by ",
            stringify!($a),
            ", ",
            stringify!($b),
            " limit $3"
        )
    };
    ($a:ident $b:ident $c:ident) => {
        concat!(
            "(",
            stringify!($a),
            ", ",
            stringify!($b),
            ", ",
            stringify!($c),
            ") > ($1, $2, $3) order by ",
            stringify!($a),
            ", ",
            stringify!($b),
            ", ",
            stringify!($c),
            " limit $4"
        )
    };
    ($a:ident $b:ident $c:ident $d:ident) => {
        concat!(
            "(",
            stringify!($a),
            ", ",
            stringify!($b),
            ", ",
            stringify!($c),
            ", ",
            stringify!($d),
            ") > ($1, $2, $3, $4) order by ",
            stringify!($a),
            ", ",
            stringify!($b),
            ", ",
            stringify!($c),
            ", ",
            stringify!($d),
            " limit $5"
        )
    };
}

macro_rules! table {
    (
        $table:ident ($key:ident $key_kind:ident $(, $more:ident $more_kind:ident)*)
        $($column:ident $kind:ident),* ; $(late $late:ident)?
    ) => {
        Table {
            name: stringify!($table),
            columns: &[
                (stringify!($key), kind!($key_kind)),
                $((stringify!($more), kind!($more_kind)),)*
                $((stringify!($column), kind!($kind)),)*
            ],
            keys: 1 $(+ { let _ = stringify!($more); 1 })*,
            late: table!(@late $($late)?),
            select: concat!(
                "select ", table!(@names $key $($more)* $($column)*), " from ", stringify!($table), " where ",
                after!($key $($more)*)
            ),
            last_key: concat!(
                "select ", table!(@names $key $($more)*), " from ", stringify!($table),
                " order by ", stringify!($key), " desc" $(, ", ", stringify!($more), " desc")*, " limit 1"
            ),
            insert: [
                concat!(
                    "insert into ", stringify!($table), " (", table!(@names $key $($more)* $($column)*), ") select ",
                    sqlite_value!($key $key_kind) $(, ", ", sqlite_value!($more $more_kind))*
                    $(, ", ", sqlite_value!($column $kind))*, " from json_each($1) where true",
                    table!(@conflict [$key $($more)*] $($late)?)
                ),
                concat!(
                    "insert into ", stringify!($table), " (", table!(@names $key $($more)* $($column)*), ") select ",
                    postgres_value!($key $key_kind) $(, ", ", postgres_value!($more $more_kind))*
                    $(, ", ", postgres_value!($column $kind))*,
                    " from jsonb_array_elements($1::text::jsonb) as sent (value)",
                    table!(@conflict [$key $($more)*] $($late)?)
                ),
            ],
            count: concat!("select count(*) from ", stringify!($table)),
            delete: concat!("delete from ", stringify!($table)),
        }
    };
    (@names $first:ident $($name:ident)*) => { concat!(stringify!($first) $(, ", ", stringify!($name))*) };
    (@late) => { None };
    (@late $late:ident) => { Some(stringify!($late)) };
    (@conflict [$($key:ident)*]) => { "" };
    (@conflict [$($key:ident)*] $late:ident) => {
        concat!(
            " on conflict (", table!(@names $($key)*), ") do update set ", stringify!($late), " = excluded.",
            stringify!($late)
        )
    };
}

/// Every table but `store` and what is made from the others, in an order in which each refers to those before it only.
pub(in crate::store) const TABLES: &[Table] = &[
    table!(mailboxes(id int) seq int, contacts int, bytes int;),
    table!(users(id text) user_principal_name text, user_principal_name_key text, display_name text, mail text,
        mailbox int, created_date_time int, disabled_date_time int;),
    table!(tokens(id id) digest text, mailbox int, app text, name text, scopes text, created_date_time int,
        expiration_date_time int, revoked_date_time int, last_used_date_time int;),
    table!(shares(mailbox int, grantee int) can_write bool, created_date_time int;),
    table!(audit(mailbox int, id id) audit_date_time int, actor text, token_id id, address text, request_id id, action text,
        item text;),
    table!(folders(mailbox int, id text) parent_folder_id text, display_name text, display_name_key text, version int,
        created_date_time int, last_modified_date_time int, deleted_date_time int, emptying int; late parent_folder_id),
    table!(contacts(mailbox int, id id) parent_folder_id text, version int, created_date_time int,
        last_modified_date_time int, deleted_date_time int, size int, change_key text, display_name_derived bool,
        file_as text, display_name text, given_name text, initials text, middle_name text, nick_name text, surname text,
        title text, yomi_given_name text, yomi_surname text, yomi_company_name text, generation text, job_title text,
        company_name text, department text, office_location text, profession text, assistant_name text, manager text,
        spouse_name text, personal_notes text, gender text, birthday text, birthday_instant int,
        wedding_anniversary text, wedding_anniversary_day int, is_favorite bool, display_name_key text,
        given_name_key text, surname_key text, company_name_key text;),
    table!(emails(mailbox int, contact_id id, pos int) name text, address text, address_key text, type text,
        other_label text;),
    table!(phones(mailbox int, contact_id id, pos int) type text, number text;),
    table!(addresses(mailbox int, contact_id id, pos int) type text, post_office_box text, street text, city text,
        state text, country_or_region text, postal_code text;),
    table!(websites(mailbox int, contact_id id, pos int) type text, address text, display_name text;),
    table!(flags(mailbox int, contact_id id) flag_status text, completed_date_time text, completed_time_zone text,
        due_date_time text, due_time_zone text, start_date_time text, start_time_zone text;),
    table!(categories(mailbox int, contact_id id, pos int) name text, name_key text;),
    table!(im_addresses(mailbox int, contact_id id, pos int) address text;),
    table!(children(mailbox int, contact_id id, pos int) name text;),
    table!(folded(mailbox int, contact_id id, pos int) property text, entry int, key text;),
    table!(photos(mailbox int, contact_id id) content_type text, width int, height int, size int, version int,
        last_modified_date_time int, deleted_date_time int;),
    table!(photo_chunks(mailbox int, contact_id id, pos int) bytes bytes;),
    table!(master_categories(mailbox int, id id) display_name text, display_name_key text, color text, version int,
        created_date_time int, last_modified_date_time int, deleted_date_time int;),
    table!(extensions(mailbox int, contact_id id, pos int) name text, version int, last_modified_date_time int;),
    table!(extension_members(mailbox int, contact_id id, extension_pos int, pos int) name text, value text;),
    table!(extension_writes(mailbox int, contact_id id) version int, last_modified_date_time int;),
    table!(single_values(mailbox int, contact_id id, pos int) id text, id_key text, value text, value_key text,
        value_number int, value_millionths int, value_instant int;),
    table!(multi_value_properties(mailbox int, contact_id id, pos int) id text, id_key text;),
    table!(multi_values(mailbox int, contact_id id, pos int, entry int) value text, value_key text,
        value_number int, value_millionths int, value_instant int;),
    table!(folder_single_values(mailbox int, folder_id text, pos int) id text, id_key text, value text, value_key text,
        value_number int, value_millionths int, value_instant int;),
    table!(folder_multi_value_properties(mailbox int, folder_id text, pos int) id text, id_key text;),
    table!(folder_multi_values(mailbox int, folder_id text, pos int, entry int) value text, value_key text,
        value_number int, value_millionths int, value_instant int;),
    table!(idempotency_keys(mailbox int, key text) request text, item_id text, created_date_time int;),
    table!(subscriptions(mailbox int, id id) creator text, resource text, of_folders bool, folder_id text, change_type text,
        notification_url text, lifecycle_notification_url text, client_state text, tls_version text,
        created_date_time int, expiration_date_time int, delivered_seq int, attempts int, next_attempt_date_time int,
        lifecycle_event text, lifecycle_attempts int, next_lifecycle_date_time int, reminded_of_date_time int,
        lease_owner id, lease_until_date_time int, token_id id;),
    table!(deliveries(mailbox int, subscription_id id, pos int) attempt_date_time int, about text, attempt int,
        notifications int, first_seq int, last_seq int, status int, error text;),
    table!(identities(issuer text, subject text) mailbox int, created_date_time int, claimed_name text, claim text,
        name text, name_key text, said_date_time int, bound bool;),
    table!(changes(mailbox int, seq int) folder_id text, contact_id id, removed bool, changed_date_time int;),
];

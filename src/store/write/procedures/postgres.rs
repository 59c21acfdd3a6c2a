//! PostgreSQL's half of the hot writes: data-modifying parts of one statement, fed by one JSON parameter. Nothing here
//! needs a function or a trigger in the schema.
//!
//! The counter comes first in every text, and all else depends on it: who has bumped it holds the mailbox.

/// The contacts sent, `$1`, as `rows` writes them, each with its version; `$2` is the mailbox of all, `$3` and `$4` are how many
/// contacts and bytes it may hold. `$contacts` of them are new, and `$bytes` are more.
macro_rules! sent {
    ($contacts:literal, $bytes:literal) => {
        concat!(
            "
with sent as materialized (
    select contact, n from jsonb_array_elements($1::text::jsonb) with ordinality as sent (contact, n)
), growth as materialized (
    select ",
            $contacts,
            " as contacts, ",
            $bytes,
            " as bytes
), counter as (
    update mailboxes set seq = seq + (select count(*) from sent),
        contacts = mailboxes.contacts + growth.contacts, bytes = mailboxes.bytes + growth.bytes
    from growth where id = $2
    returning seq, (growth.contacts <= 0 or mailboxes.contacts <= $3)
        and (growth.bytes <= 0 or mailboxes.bytes <= $4) as fits
), numbered as materialized (
    select n, contact, (contact ->> 1)::uuid as id, (contact ->> 2)::bigint as now, fits,
        counter.seq - (select count(*) from sent) + n as version
    from sent cross join counter
), logged as (
    insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
    select $2, version, contact ->> 3, id, false, now from numbered
), "
        )
    };
}

/// The columns a client's properties go to, and their values.
macro_rules! columns {
    () => {
        "last_modified_date_time, parent_folder_id, change_key, display_name_derived,
        file_as, display_name, given_name, initials, middle_name, nick_name, surname, title, yomi_given_name,
        yomi_surname, yomi_company_name, generation, job_title, company_name, department, office_location, profession,
        assistant_name, manager, spouse_name, personal_notes, gender,
        birthday, birthday_instant, wedding_anniversary, wedding_anniversary_day, is_favorite,
        display_name_key, given_name_key, surname_key, company_name_key, size, version"
    };
}
macro_rules! values {
    ($folder:literal) => {
        concat!(
            "now, ",
            $folder,
            ", contact ->> 4, (contact ->> 5)::boolean,
        contact ->> 6, contact ->> 7, contact ->> 8, contact ->> 9, contact ->> 10, contact ->> 11, contact ->> 12,
        contact ->> 13, contact ->> 14, contact ->> 15, contact ->> 16, contact ->> 17, contact ->> 18, contact ->> 19,
        contact ->> 20, contact ->> 21, contact ->> 22, contact ->> 23, contact ->> 24, contact ->> 25, contact ->> 26,
        contact ->> 27,
        contact ->> 28, (contact ->> 29)::bigint, contact ->> 30, (contact ->> 31)::bigint, (contact ->> 32)::boolean,
        contact ->> 33, contact ->> 34, contact ->> 35, contact ->> 36, (contact ->> 37)::bigint, numbered.version"
        )
    };
}

/// Rows of a table of children: its columns behind the key, their values, the same of what is in the way, and where in the
/// contact its entries are.
macro_rules! insert_rows {
    ($table:literal, $columns:literal, $values:literal, $excluded:literal, $at:literal) => {
        concat!(
            "new_",
            $table,
            " as (
    insert into ",
            $table,
            " (mailbox, contact_id, pos, ",
            $columns,
            ")
    select $2, id, pos - 1, ",
            $values,
            "
    from numbered cross join lateral jsonb_array_elements(contact -> ",
            $at,
            ") with ordinality as entries (entry, pos)
)"
        )
    };
}

/// The same where a contact has rows already: those that are in the way are written over, those beyond the last are
/// deleted. (A row cannot be deleted and inserted by one statement.)
macro_rules! replace_rows {
    ($table:literal, $columns:literal, $values:literal, $excluded:literal, $at:literal) => {
        concat!(
            "new_",
            $table,
            " as (
    insert into ",
            $table,
            " (mailbox, contact_id, pos, ",
            $columns,
            ")
    select $2, id, pos - 1, ",
            $values,
            "
    from numbered cross join lateral jsonb_array_elements(contact -> ",
            $at,
            ") with ordinality as entries (entry, pos)
    on conflict (mailbox, contact_id, pos) do update set (",
            $columns,
            ") = row(",
            $excluded,
            ")
), old_",
            $table,
            " as (
    delete from ",
            $table,
            " using numbered
    where mailbox = $2 and contact_id = numbered.id and pos >= jsonb_array_length(contact -> ",
            $at,
            ")
)"
        )
    };
}

macro_rules! children {
    ($rows:ident) => {
        concat!(
            $rows!(
                "emails",
                "name, address, type, other_label, address_key",
                "entry ->> 0, entry ->> 1, entry ->> 2, entry ->> 3, entry ->> 4",
                "excluded.name, excluded.address, excluded.type, excluded.other_label, excluded.address_key",
                "38"
            ),
            ", ",
            $rows!("phones", "type, number", "entry ->> 0, entry ->> 1", "excluded.type, excluded.number", "39"),
            ", ",
            $rows!(
                "addresses",
                "type, post_office_box, street, city, state, country_or_region, postal_code",
                "entry ->> 0, entry ->> 1, entry ->> 2, entry ->> 3, entry ->> 4, entry ->> 5, entry ->> 6",
                "excluded.type, excluded.post_office_box, excluded.street, excluded.city, excluded.state,
        excluded.country_or_region, excluded.postal_code",
                "40"
            ),
            ", ",
            $rows!(
                "websites",
                "type, address, display_name",
                "entry ->> 0, entry ->> 1, entry ->> 2",
                "excluded.type, excluded.address, excluded.display_name",
                "41"
            ),
            ", ",
            $rows!(
                "categories",
                "name, name_key",
                "entry ->> 0, entry ->> 1",
                "excluded.name, excluded.name_key",
                "42"
            ),
            ", ",
            $rows!("im_addresses", "address", "entry #>> '{}'", "excluded.address", "43"),
            ", ",
            $rows!("children", "name", "entry #>> '{}'", "excluded.name", "44"),
            ", ",
            $rows!(
                "folded",
                "property, entry, key",
                "entries.entry ->> 0, (entries.entry ->> 1)::bigint, entries.entry ->> 2",
                "excluded.property, excluded.entry, excluded.key",
                "53"
            ),
        )
    };
}

/// The words a contact is found by from now on.
macro_rules! insert_words {
    () => {
        "
    insert into words (mailbox, contact_id, words, places)
    select $2, id, (contact -> 54 ->> 0)::tsvector, (contact -> 54 ->> 1)::tsvector
    from numbered where contact ->> 54 is not null"
    };
}

macro_rules! insert_flags {
    () => {
        "
    insert into flags
        (mailbox, contact_id, flag_status, completed_date_time, completed_time_zone, due_date_time, due_time_zone,
         start_date_time, start_time_zone)
    select $2, id, contact ->> 46, contact ->> 47, contact ->> 48, contact ->> 49, contact ->> 50, contact ->> 51,
        contact ->> 52
    from numbered where (contact ->> 45)::boolean"
    };
}

/// Creates contacts. Answers the version of each.
pub(in crate::store) const INSERT: &str = concat!(
    sent!("(select count(*) from sent)", "(select sum((contact ->> 37)::bigint) from sent)::bigint"),
    "new_contacts as (
    insert into contacts (mailbox, id, created_date_time, ",
    columns!(),
    ")
    select $2, id, now, ",
    // No value where there is no such folder, no right (`rights::check`) or no room (`quota`): then nothing is written. The lock makes it
    // the folder of now and not of when the statement began to wait for the counter.
    values!(
        "(select f.id from folders f
             where f.mailbox = $2 and f.id = contact ->> 3 and f.deleted_date_time is null and fits
                and (contact ->> 55 is null
                    or exists (select 1 from users where mailbox = $2)
                    and (contact ->> 56 is null or exists (
                        select 1 from tokens
                        where id = (contact ->> 56)::uuid and revoked_date_time is null
                            and (expiration_date_time is null or expiration_date_time > now)))
                    and (contact ->> 57 is null
                        or exists (
                            select 1 from users
                            where mailbox = (contact ->> 57)::bigint and disabled_date_time is null)
                        and ((contact ->> 57)::bigint = $2 or exists (
                            select 1 from shares
                            where mailbox = $2 and grantee = (contact ->> 57)::bigint and can_write))))
             for share)"
    ),
    " from numbered
), ",
    children!(insert_rows),
    ", new_words as (",
    insert_words!(),
    "), new_flags as (",
    insert_flags!(),
    "
), audited as (
    insert into audit (mailbox, id, audit_date_time, actor, token_id, address, request_id, action, item)
    select $2, (contact ->> 58)::uuid, now, contact ->> 55, (contact ->> 56)::uuid, contact ->> 59,
        (contact ->> 60)::uuid, contact ->> 61, id::text
    from numbered where contact ->> 55 is not null
)
select version from numbered order by n"
);

/// Writes contacts anew, their rows included. Answers the version of each.
pub(in crate::store) const UPDATE: &str = concat!(
    sent!(
        "0",
        "(select sum((contact ->> 37)::bigint - c.size)
        from sent join contacts c on c.mailbox = $2 and c.id = (contact ->> 1)::uuid)::bigint"
    ),
    "new_contacts as (
    update contacts c set (",
    columns!(),
    ") = row(",
    // No value where it grows and there is no room.
    values!("case when fits then contact ->> 3 end"),
    ")
    from numbered where c.mailbox = $2 and c.id = numbered.id
), ",
    children!(replace_rows),
    ", new_words as (",
    insert_words!(),
    "
    on conflict (mailbox, contact_id) do update set (words, places) = row(excluded.words, excluded.places)
), new_flags as (",
    insert_flags!(),
    "
    on conflict (mailbox, contact_id) do update set
        (flag_status, completed_date_time, completed_time_zone, due_date_time, due_time_zone, start_date_time,
         start_time_zone)
        = row(excluded.flag_status, excluded.completed_date_time, excluded.completed_time_zone, excluded.due_date_time,
              excluded.due_time_zone, excluded.start_date_time, excluded.start_time_zone)
), old_flags as (
    delete from flags using numbered
    where mailbox = $2 and contact_id = numbered.id and not (contact ->> 45)::boolean
)
select version from numbered order by n"
);

/// Marks a contact as deleted: `$1` mailbox, `$2` contact, `$3` now, `$4` its folder. Answers its version.
pub(in crate::store) const DELETE: &str = "
with counter as (
    update mailboxes set seq = seq + 1 where id = $1 returning seq
), logged as (
    insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
    select $1, seq, $4, $2, true, $3 from counter
), gone as (
    update contacts set deleted_date_time = $3, last_modified_date_time = $3, version = counter.seq
    from counter where mailbox = $1 and id = $2
)
select seq from counter";

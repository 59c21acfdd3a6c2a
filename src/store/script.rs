//! The writes that are hot enough for a text of their own: several statements in one call to the driver, which is
//! what a write costs here (ARCHITECTURE.md, "Writes"). Lists arrive as one JSON parameter each and are taken apart
//! into rows on the way in. SQLite only; the placeholders count through a whole text:
//!
//! `$1` mailbox, `$2` contact, `$3` now, `$4` folder; then as `contacts::bind` gives them.

/// The mailbox's next number, and the log's entry that the contact is, or is no longer, in the folder.
macro_rules! record_change {
    ($removed:literal) => {
        concat!(
            "
update mailboxes set seq = seq + 1 where id = $1 returning seq;

insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
select $1, seq, $4, $2, ",
            $removed,
            ", $3 from mailboxes where id = $1;
"
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
    () => {
        "$3, $4, $5, $6,
     $7, $8, $9, $10, $11, $12, $13, $14, $15,
     $16, $17, $18, $19, $20, $21, $22, $23,
     $24, $25, $26, $27, $28,
     $29, $30, $31, $32, $33,
     $34, $35, $36, $37, $38, (select seq from mailboxes where id = $1)"
    };
}

macro_rules! insert_children {
    () => {
        "
insert into emails (mailbox, contact_id, pos, name, address, type, other_label, address_key)
select $1, $2, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each($39);

insert into phones (mailbox, contact_id, pos, type, number)
select $1, $2, key, value ->> 0, value ->> 1 from json_each($40);

insert into addresses
    (mailbox, contact_id, pos, type, post_office_box, street, city, state, country_or_region, postal_code)
select $1, $2, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
from json_each($41);

insert into websites (mailbox, contact_id, pos, type, address, display_name)
select $1, $2, key, value ->> 0, value ->> 1, value ->> 2 from json_each($42);

insert into categories (mailbox, contact_id, pos, name, name_key)
select $1, $2, key, value ->> 0, value ->> 1 from json_each($43);

insert into im_addresses (mailbox, contact_id, pos, address)
select $1, $2, key, value from json_each($44);

insert into children (mailbox, contact_id, pos, name)
select $1, $2, key, value from json_each($45);

insert into flags
    (mailbox, contact_id, flag_status, completed_date_time, completed_time_zone, due_date_time, due_time_zone,
     start_date_time, start_time_zone)
select $1, $2, $47, $48, $49, $50, $51, $52, $53 where $46;
"
    };
}

/// Creates a contact. Answers its version.
pub(super) const INSERT: &str = concat!(
    "savepoint script;",
    record_change!("false"),
    "insert into contacts (mailbox, id, created_date_time, ",
    columns!(),
    ") values ($1, $2, $3, ",
    values!(),
    ");",
    insert_children!(),
    "release script"
);

/// Writes a contact anew, its rows included. Answers its version.
pub(super) const UPDATE: &str = concat!(
    "savepoint script;",
    record_change!("false"),
    "update contacts set (",
    columns!(),
    ") = (",
    values!(),
    ") where mailbox = $1 and id = $2;

delete from emails where mailbox = $1 and contact_id = $2;
delete from phones where mailbox = $1 and contact_id = $2;
delete from addresses where mailbox = $1 and contact_id = $2;
delete from websites where mailbox = $1 and contact_id = $2;
delete from categories where mailbox = $1 and contact_id = $2;
delete from im_addresses where mailbox = $1 and contact_id = $2;
delete from children where mailbox = $1 and contact_id = $2;
delete from flags where mailbox = $1 and contact_id = $2;
",
    insert_children!(),
    "release script"
);

/// Marks a contact as deleted. Answers its version.
pub(super) const DELETE: &str = concat!(
    "savepoint script;",
    record_change!("true"),
    "
update contacts
set deleted_date_time = $3, last_modified_date_time = $3, version = (select seq from mailboxes where id = $1)
where mailbox = $1 and id = $2;
release script"
);

//! SQLite's half of the hot writes. It has no stored procedures, but an insert into a view runs the view's trigger,
//! inside the statement, which is atomic by itself. The views are temporary: they live on the writer's connection, their
//! text lives here, and the schema knows nothing of them. Contacts arrive as JSON, many at once, and are taken apart into
//! rows on the way in.

/// The mailbox's next number, what it holds, and the log's entry that the contact is, or is no longer, in the folder.
macro_rules! record_change {
    ($removed:literal, $counted:literal) => {
        concat!(
            "
    update mailboxes set seq = seq + 1",
            $counted,
            " where id = new.mailbox;
    insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
    select new.mailbox, seq, new.parent_folder_id, new.id, ",
            $removed,
            ", new.last_modified_date_time from mailboxes where id = new.mailbox;"
        )
    };
}

/// A view of the values one contact is made of, in the order in which `rows` writes them.
macro_rules! view {
    ($name:literal) => {
        concat!(
            "create temp view ",
            $name,
            " as select
    null mailbox, null id, null last_modified_date_time, null parent_folder_id, null change_key,
    null display_name_derived,
    null file_as, null display_name, null given_name, null initials, null middle_name, null nick_name, null surname,
    null title, null yomi_given_name, null yomi_surname, null yomi_company_name, null generation, null job_title,
    null company_name, null department, null office_location, null profession, null assistant_name, null manager,
    null spouse_name, null personal_notes, null gender,
    null birthday, null birthday_instant, null wedding_anniversary, null wedding_anniversary_day, null is_favorite,
    null display_name_key, null given_name_key, null surname_key, null company_name_key, null size,
    null emails, null phones, null addresses, null websites, null categories, null im_addresses, null children,
    null flagged, null flag_status, null completed_date_time, null completed_time_zone, null due_date_time,
    null due_time_zone, null start_date_time, null start_time_zone, null folded, null words,
    null actor, null token, null user, null deed, null address, null request, null action,
    null max_contacts, null max_bytes;
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
    ($folder:literal) => {
        concat!(
            "new.last_modified_date_time, ",
            $folder,
            ", new.change_key, new.display_name_derived,
        new.file_as, new.display_name, new.given_name, new.initials, new.middle_name, new.nick_name, new.surname,
        new.title, new.yomi_given_name, new.yomi_surname, new.yomi_company_name, new.generation, new.job_title,
        new.company_name, new.department, new.office_location, new.profession, new.assistant_name, new.manager,
        new.spouse_name, new.personal_notes, new.gender,
        new.birthday, new.birthday_instant, new.wedding_anniversary, new.wedding_anniversary_day, new.is_favorite,
        new.display_name_key, new.given_name_key, new.surname_key, new.company_name_key, new.size,
        (select seq from mailboxes where id = new.mailbox)"
        )
    };
}

/// An id as the API writes it.
macro_rules! uuid_text {
    ($id:literal) => {
        concat!(
            "lower(substr(hex(",
            $id,
            "), 1, 8) || '-' || substr(hex(",
            $id,
            "), 9, 4) || '-' || substr(hex(",
            $id,
            "), 13, 4) || '-' || substr(hex(",
            $id,
            "), 17, 4) || '-' || substr(hex(",
            $id,
            "), 21))"
        )
    };
}

macro_rules! insert_children {
    () => {
        "
    insert into emails (mailbox, contact_id, pos, name, address, type, other_label, address_key)
    select new.mailbox, new.id, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
    from json_each(new.emails);

    insert into phones (mailbox, contact_id, pos, type, number)
    select new.mailbox, new.id, key, value ->> 0, value ->> 1 from json_each(new.phones);

    insert into addresses
        (mailbox, contact_id, pos, type, post_office_box, street, city, state, country_or_region, postal_code)
    select new.mailbox, new.id, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> 6
    from json_each(new.addresses);

    insert into websites (mailbox, contact_id, pos, type, address, display_name)
    select new.mailbox, new.id, key, value ->> 0, value ->> 1, value ->> 2 from json_each(new.websites);

    insert into categories (mailbox, contact_id, pos, name, name_key)
    select new.mailbox, new.id, key, value ->> 0, value ->> 1 from json_each(new.categories);

    insert into im_addresses (mailbox, contact_id, pos, address)
    select new.mailbox, new.id, key, value from json_each(new.im_addresses);

    insert into children (mailbox, contact_id, pos, name)
    select new.mailbox, new.id, key, value from json_each(new.children);

    insert into folded (mailbox, contact_id, pos, property, entry, key)
    select new.mailbox, new.id, key, value ->> 0, value ->> 1, value ->> 2 from json_each(new.folded);

    insert into words (rowid, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16)
    select row, new.words ->> 0, new.words ->> 1, new.words ->> 2, new.words ->> 3, new.words ->> 4, new.words ->> 5,
        new.words ->> 6, new.words ->> 7, new.words ->> 8, new.words ->> 9, new.words ->> 10, new.words ->> 11,
        new.words ->> 12, new.words ->> 13, new.words ->> 14, new.words ->> 15, new.words ->> 16
    from searched where mailbox = new.mailbox and contact_id = new.id and new.words is not null;

    insert into flags
        (mailbox, contact_id, flag_status, completed_date_time, completed_time_zone, due_date_time, due_time_zone,
         start_date_time, start_time_zone)
    select new.mailbox, new.id, new.flag_status, new.completed_date_time, new.completed_time_zone, new.due_date_time,
        new.due_time_zone, new.start_date_time, new.start_time_zone
    where new.flagged;
"
    };
}

/// What a writer's connection is given when it is opened.
pub(in crate::store) const VIEWS: &str = concat!(
    view!("insert_contact"),
    "create temp trigger insert_contact_does instead of insert on insert_contact begin",
    record_change!("false", ", contacts = contacts + 1, bytes = bytes + new.size"),
    "
    insert into contacts (mailbox, id, created_date_time, ",
    columns!(),
    ") values (new.mailbox, new.id, new.last_modified_date_time, ",
    // No value where there is no such folder, no right (`rights::check`) or no room (`quota`): then nothing is written.
    values!(
        "(select id from folders
          where mailbox = new.mailbox and id = new.parent_folder_id and deleted_date_time is null
            and exists (
                select 1 from mailboxes
                where id = new.mailbox and contacts <= new.max_contacts and bytes <= new.max_bytes)
            and (new.actor is null
                or exists (select 1 from users where mailbox = new.mailbox)
                and (new.token is null or exists (
                    select 1 from tokens
                    where id = new.token and revoked_date_time is null
                        and (expiration_date_time is null or expiration_date_time > new.last_modified_date_time)))
                and (new.user is null
                    or exists (select 1 from users where mailbox = new.user and disabled_date_time is null)
                    and (new.user = new.mailbox or exists (
                        select 1 from shares where mailbox = new.mailbox and grantee = new.user and can_write)))))"
    ),
    ");
    insert into searched (mailbox, contact_id) values (new.mailbox, new.id);

    insert into audit (mailbox, id, audit_date_time, actor, token_id, address, request_id, action, item)
    select new.mailbox, new.deed, new.last_modified_date_time, new.actor, new.token, new.address, new.request, new.action,
        ",
    uuid_text!("new.id"),
    "
    where new.actor is not null;
",
    insert_children!(),
    "end;
",
    view!("update_contact"),
    "create temp trigger update_contact_does instead of insert on update_contact begin",
    record_change!(
        "false",
        ", bytes = bytes + new.size - (select size from contacts where mailbox = new.mailbox and id = new.id)"
    ),
    "
    update contacts set (",
    columns!(),
    ") = (select ",
    // No value where it grows and there is no room.
    values!(
        "case when new.size <= contacts.size
            or (select bytes from mailboxes where id = new.mailbox) <= new.max_bytes then new.parent_folder_id end"
    ),
    ") where mailbox = new.mailbox and id = new.id;

    delete from emails where mailbox = new.mailbox and contact_id = new.id;
    delete from phones where mailbox = new.mailbox and contact_id = new.id;
    delete from addresses where mailbox = new.mailbox and contact_id = new.id;
    delete from websites where mailbox = new.mailbox and contact_id = new.id;
    delete from categories where mailbox = new.mailbox and contact_id = new.id;
    delete from im_addresses where mailbox = new.mailbox and contact_id = new.id;
    delete from children where mailbox = new.mailbox and contact_id = new.id;
    delete from folded where mailbox = new.mailbox and contact_id = new.id;
    delete from flags where mailbox = new.mailbox and contact_id = new.id;
    delete from words where new.words is not null
        and rowid = (select row from searched where mailbox = new.mailbox and contact_id = new.id);
",
    insert_children!(),
    "end;

create temp view delete_contact as
    select null mailbox, null id, null last_modified_date_time, null parent_folder_id;
create temp trigger delete_contact_does instead of insert on delete_contact begin",
    record_change!("true", ""),
    "
    update contacts
    set deleted_date_time = new.last_modified_date_time, last_modified_date_time = new.last_modified_date_time,
        version = (select seq from mailboxes where id = new.mailbox)
    where mailbox = new.mailbox and id = new.id;
end;"
);

/// Hands contacts to a view: `$1` is a JSON array of rows, each an array as `rows` writes it; `$2` and `$3` are how many
/// contacts and bytes a mailbox may hold.
macro_rules! call_with_contacts {
    ($name:literal) => {
        concat!(
            "insert into ",
            $name,
            " select value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13,
    value ->> 14, value ->> 15, value ->> 16, value ->> 17, value ->> 18, value ->> 19, value ->> 20, value ->> 21,
    value ->> 22, value ->> 23, value ->> 24, value ->> 25, value ->> 26, value ->> 27,
    value ->> 28, value ->> 29, value ->> 30, value ->> 31, value ->> 32,
    value ->> 33, value ->> 34, value ->> 35, value ->> 36, value ->> 37,
    value -> 38, value -> 39, value -> 40, value -> 41, value -> 42, value -> 43, value -> 44,
    value ->> 45, value ->> 46, value ->> 47, value ->> 48, value ->> 49, value ->> 50, value ->> 51, value ->> 52,
    value -> 53, value ->> 54, value ->> 55, unhex(value ->> 56), value ->> 57, unhex(value ->> 58), value ->> 59,
    unhex(value ->> 60), value ->> 61, $2, $3
from jsonb_each($1) returning (select seq from mailboxes where id = mailbox)"
        )
    };
}

/// Creates contacts. Answers the version of each.
pub(in crate::store) const INSERT: &str = call_with_contacts!("insert_contact");

/// Writes contacts anew, their rows included. Answers the version of each.
pub(in crate::store) const UPDATE: &str = call_with_contacts!("update_contact");

/// Marks a contact as deleted: `$1` mailbox, `$2` contact, `$3` now, `$4` its folder. Answers its version.
pub(in crate::store) const DELETE: &str = "
insert into delete_contact values ($1, $2, $3, $4) returning (select seq from mailboxes where id = $1)";

//! The frequent writes on SQLite. SQLite has no stored procedures, but an insert into a view runs the view's trigger as part
//! of the statement, which is atomic. The views are temporary: they exist on the writer's connection only and are not part of
//! the schema. Contacts are sent as a JSON array and split into rows by the trigger.

use crate::store::db::statement::Sql;
use crate::store::tables::schema::FLAGS;
use crate::store::tables::table::Table;
use crate::store::write::procedures::{entry_values, names};
use crate::store::write::rows;

/// The views, each with the values of one contact, and their triggers: create a contact, overwrite it with its rows, or mark
/// it as deleted.
const VIEWS: &str = "
create temp view insert_contact as select {sent};
create temp trigger insert_contact_does instead of insert on insert_contact begin
    update mailboxes set seq = seq + 1, contacts = contacts + 1,
        bytes = bytes + new.size + coalesce(new.card ->> 4, 0)
    where id = new.mailbox;
    {log}
    insert into contacts (mailbox, id, created_date_time, {columns}, version)
    values (new.mailbox, new.id, new.last_modified_date_time, {inserted}, {seq});
    update folders set contacts = contacts + 1 where mailbox = new.mailbox and id = new.parent_folder_id;
    insert into searched (mailbox, contact_id) values (new.mailbox, new.id);
    insert into audit (mailbox, id, audit_date_time, actor, token_id, address, request_id, action, item)
    select new.mailbox, new.audit_id, new.last_modified_date_time, new.actor, new.token, new.address, new.request, new.action,
        lower(substr(hex(new.id), 1, 8) || '-' || substr(hex(new.id), 9, 4) || '-' || substr(hex(new.id), 13, 4) || '-'
            || substr(hex(new.id), 17, 4) || '-' || substr(hex(new.id), 21))
    where new.actor is not null;
    {entries}{rest}
    insert into cards (mailbox, contact_id, folder_id, name, uid, uid_key, is_group, vcard_version, contact_version, version,
        last_modified_date_time)
    select new.mailbox, new.id, new.parent_folder_id, new.card ->> 0, new.card ->> 1, new.card ->> 2, false, new.card ->> 3,
        {seq}, {seq}, new.last_modified_date_time
    where new.card is not null;
    insert into card_texts (mailbox, contact_id, pos, text)
    select new.mailbox, new.id, key, value from json_each(new.card, '$[7]');
end;

create temp view update_contact as select {sent};
create temp trigger update_contact_does instead of insert on update_contact begin
    update mailboxes set seq = seq + 1,
        bytes = bytes + new.size - (select size from contacts where mailbox = new.mailbox and id = new.id)
    where id = new.mailbox;
    {log}
    update contacts set ({columns}, version) = (select {updated}, {seq}) where mailbox = new.mailbox and id = new.id;
    {deletes}
    delete from flags where mailbox = new.mailbox and contact_id = new.id;
    delete from words where new.words is not null
        and rowid = (select row from searched where mailbox = new.mailbox and contact_id = new.id);
    {entries}{rest}
end;

create temp view delete_contact as
    select null mailbox, null id, null last_modified_date_time, null parent_folder_id;
create temp trigger delete_contact_does instead of insert on delete_contact begin
    update mailboxes set seq = seq + 1 where id = new.mailbox;
    insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
    values (new.mailbox, {seq}, new.parent_folder_id, new.id, true, new.last_modified_date_time);
    update contacts
    set deleted_date_time = new.last_modified_date_time, last_modified_date_time = new.last_modified_date_time,
        version = {seq}
    where mailbox = new.mailbox and id = new.id;
    update folders set contacts = contacts - 1 where mailbox = new.mailbox and id = new.parent_folder_id;
end;";

/// The entry in the change log for the contact in the folder.
const LOG: &str = "insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
    values (new.mailbox, {seq}, new.parent_folder_id, new.id, false, new.last_modified_date_time);";

/// The mailbox's number.
const SEQ: &str = "(select seq from mailboxes where id = new.mailbox)";

/// The folder of a new contact. The value is missing if there is no such folder, no right (`rights::check`) or no room
/// (`quota`), or a contact without a stored card may have the card's name or UID; then nothing is written. An index refuses those
/// of other cards.
const FOLDER: &str = "(select id from folders
          where mailbox = new.mailbox and id = new.parent_folder_id and deleted_date_time is null
            and (new.card is null or not exists (
                select 1 from contacts where mailbox = new.mailbox and id in (unhex(new.card ->> 5), unhex(new.card ->> 6))))
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
                        select 1 from shares where mailbox = new.mailbox and grantee = new.user and can_write)))))";

/// The folder of an overwritten contact. The value is missing if the contact grows and there is no room.
const KEPT_FOLDER: &str = "case when new.size <= contacts.size
            or (select bytes from mailboxes where id = new.mailbox) <= new.max_bytes then new.parent_folder_id end";

const ENTRIES: &str = "
    insert into {table} (mailbox, contact_id, pos, {columns})
    select new.mailbox, new.id, key, {values} from jsonb_each(new.{table});";

/// The words and the flag of a contact.
const REST: &str = "
    insert into words (rowid, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16)
    select row, new.words ->> 0, new.words ->> 1, new.words ->> 2, new.words ->> 3, new.words ->> 4, new.words ->> 5,
        new.words ->> 6, new.words ->> 7, new.words ->> 8, new.words ->> 9, new.words ->> 10, new.words ->> 11,
        new.words ->> 12, new.words ->> 13, new.words ->> 14, new.words ->> 15, new.words ->> 16
    from searched where mailbox = new.mailbox and contact_id = new.id and new.words is not null;
    insert into flags (mailbox, contact_id, {flag_columns}) select new.mailbox, new.id, {flag_values} where new.flagged;";

/// Inserts contacts into a view: `$1` is a JSON array of rows, each an array as `rows` writes it; `$2` and `$3` are the
/// maximum number of contacts and bytes of a mailbox. Returns the version of each.
const CALL: &str = "
insert into {view} select {values}, $2, $3
from jsonb_each($1) returning (select seq from mailboxes where id = mailbox)";

/// Marks a contact as deleted: `$1` mailbox, `$2` contact, `$3` now, `$4` its folder. Returns its version.
pub(super) const DELETE: &str = "
insert into delete_contact values ($1, $2, $3, $4) returning (select seq from mailboxes where id = $1)";

/// Creates contacts.
pub(super) fn insert() -> Sql {
    call_view("insert_contact")
}

/// Overwrites contacts with all their rows.
pub(super) fn update() -> Sql {
    call_view("update_contact")
}

fn call_view(view: &'static str) -> Sql {
    let text = |at| Sql::new("value ->> ").number(at);
    let singles = rows::singles().enumerate().map(|(at, column)| column.kind.of_json(text(at)));
    // In SQLite's binary form, so that the trigger need not parse them again. Null is no value, unlike with `->`: unchanged words,
    // which are null, would be deleted.
    let list = |at| Sql::new("jsonb_extract(value, '$[").number(at).text("]')");
    let lists = rows::lists().zip(rows::singles().count()..).map(|(_, at)| list(at));
    Sql::filled(CALL, &[("view", Sql::new(view)), ("values", Sql::list(singles.chain(lists)))])
}

/// The statements that a writer runs on a new connection.
pub(super) fn views() -> Sql {
    let columns: Vec<_> = rows::contact_columns().collect();
    let sent = rows::singles().map(|column| column.name).chain(rows::lists()).chain(["max_contacts", "max_bytes"]);
    let values = |folder: &'static str| {
        Sql::list(columns.iter().map(|column| match column.name {
            "parent_folder_id" => Sql::new(folder),
            name => Sql::new("new.").text(name),
        }))
    };
    let flag = [("flag_columns", names("", FLAGS.written())), ("flag_values", names("new.", FLAGS.written()))];
    let for_each_table =
        |text| rows::tables().map(move |table| fill_for_table(text, table)).fold(Sql::default(), Sql::then);
    let parts = [
        ("sent", Sql::list(sent.map(|name| Sql::new("null ").text(name)))),
        ("columns", names("", &columns)),
        ("inserted", values(FOLDER)),
        ("updated", values(KEPT_FOLDER)),
        ("entries", for_each_table(ENTRIES)),
        ("deletes", for_each_table("delete from {table} where mailbox = new.mailbox and contact_id = new.id;\n    ")),
        ("rest", Sql::filled(REST, &flag)),
        ("log", Sql::filled(LOG, &[("seq", Sql::new(SEQ))])),
        ("seq", Sql::new(SEQ)),
    ];
    Sql::filled(VIEWS, &parts)
}

fn fill_for_table(text: &'static str, table: &Table) -> Sql {
    let columns = names("", table.written());
    let values = entry_values(table, "value", "value");
    Sql::filled(text, &[("table", Sql::new(table.name)), ("columns", columns), ("values", values)])
}

//! The frequent writes on PostgreSQL: one statement with data-modifying `with` parts and one JSON parameter. The schema needs
//! no function or trigger for them.
//!
//! The counter comes first in every text, and all other parts depend on it: its update locks the mailbox.

use crate::store::db::statement::Sql;
use crate::store::tables::schema::FLAGS;
use crate::store::tables::table::{Column, Table};
use crate::store::write::procedures::{entry_values, names};
use crate::store::write::rows;

/// The contacts sent, `$1`, as `rows` writes them, each with its version; `$2` is the mailbox of all, `$3` and `$4` are how many
/// contacts and bytes it may hold. `{contacts}` of them are new, and `{bytes}` are more.
const SENT: &str = "
with sent as materialized (
    select contact, n from jsonb_array_elements($1::text::jsonb) with ordinality as sent (contact, n)
), growth as materialized (
    select {contacts} as contacts, {bytes} as bytes
), counter as (
    update mailboxes set seq = seq + (select count(*) from sent),
        contacts = mailboxes.contacts + growth.contacts, bytes = mailboxes.bytes + growth.bytes
    from growth where id = $2
    returning seq, (growth.contacts <= 0 or mailboxes.contacts <= $3)
        and (growth.bytes <= 0 or mailboxes.bytes <= $4) as fits
), numbered as materialized (
    select n, contact, {id} as id, {last_modified_date_time} as now, fits,
        counter.seq - (select count(*) from sent) + n as version
    from sent cross join counter
), logged as (
    insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
    select $2, version, {parent_folder_id}, id, false, now from numbered
), ";

/// Counts the new contacts in their folders. The update locks a folder, so that its current row is read and not the one from
/// before the statement waited for the counter.
const COUNTED: &str = "counted as (
    update folders f set contacts = f.contacts + new.n
    from (select {parent_folder_id} as folder, count(*) as n from numbered group by 1) new
    where f.mailbox = $2 and f.id = new.folder and f.deleted_date_time is null
    returning f.id
), ";

/// The folder of a new contact. The value is missing if there is no such folder, no right (`rights::check`) or no room
/// (`quota`), or a contact without a stored card may have the card's name or UID; then nothing is written. An index refuses those
/// of other cards.
const FOLDER: &str = "(select f.id from counted f
             where f.id = {parent_folder_id} and fits
                and not exists (
                    select 1 from contacts where mailbox = $2 and id in (({card} ->> 5)::uuid, ({card} ->> 6)::uuid))
                and ({actor} is null
                    or exists (select 1 from users where mailbox = $2)
                    and ({token} is null or exists (
                        select 1 from tokens
                        where id = {token} and revoked_date_time is null
                            and (expiration_date_time is null or expiration_date_time > now)))
                    and ({user} is null
                        or exists (select 1 from users where mailbox = {user} and disabled_date_time is null)
                        and ({user} = $2 or exists (
                            select 1 from shares where mailbox = $2 and grantee = {user} and can_write)))))";

/// Entries of one of a contact's tables.
const ENTRIES: &str = "new_{table} as (
    insert into {table} (mailbox, contact_id, pos, {columns})
    select $2, id, pos - 1, {values}
    from numbered cross join lateral jsonb_array_elements({list}) with ordinality as entries (entry, pos)
)";

/// The same for a contact that has rows already: existing rows are overwritten, and further ones are deleted.
/// (A row cannot be deleted and inserted by one statement.)
const REPLACED_ENTRIES: &str = "new_{table} as (
    insert into {table} (mailbox, contact_id, pos, {columns})
    select $2, id, pos - 1, {values}
    from numbered cross join lateral jsonb_array_elements({list}) with ordinality as entries (entry, pos)
    on conflict (mailbox, contact_id, pos) do update set ({columns}) = row({excluded})
), old_{table} as (
    delete from {table} using numbered
    where mailbox = $2 and contact_id = numbered.id and pos >= jsonb_array_length({list})
)";

/// The new search words of a contact.
const WORDS: &str = "
    insert into words (mailbox, contact_id, words, places)
    select $2, id, ({words} ->> 0)::tsvector, ({words} ->> 1)::tsvector
    from numbered where jsonb_typeof({words}) <> 'null'";

const FLAG: &str = "
    insert into flags (mailbox, contact_id, {flag_columns})
    select $2, id, {flag_values} from numbered where {flagged}";

/// Marks a contact as deleted: `$1` mailbox, `$2` contact, `$3` now, `$4` its folder. Returns its version.
pub(super) const DELETE: &str = "
with counter as (
    update mailboxes set seq = seq + 1 where id = $1 returning seq
), logged as (
    insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
    select $1, seq, $4, $2, true, $3 from counter
), gone as (
    update contacts set deleted_date_time = $3, last_modified_date_time = $3, version = counter.seq
    from counter where mailbox = $1 and id = $2
), counted as (
    update folders set contacts = contacts - 1 from counter where mailbox = $1 and id = $4
)
select seq from counter";

/// Creates contacts. Returns the version of each.
pub(super) fn insert() -> Sql {
    let text = "{sent}{counted}new_contacts as (
    insert into contacts (mailbox, id, created_date_time, {columns}, version)
    select $2, id, now, {values}, numbered.version from numbered
), {entries}, new_words as ({new_words}), new_flags as ({new_flags}
), audited as (
    insert into audit (mailbox, id, audit_date_time, actor, token_id, address, request_id, action, item)
    select $2, {audit_id}, now, {actor}, {token}, {address}, {request}, {action}, id::text
    from numbered where {actor} is not null
), new_cards as (
    insert into cards (mailbox, contact_id, folder_id, name, uid, uid_key, is_group, vcard_version, contact_version, version,
        last_modified_date_time)
    select $2, id, {parent_folder_id}, {card} ->> 0, {card} ->> 1, {card} ->> 2, false, {card} ->> 3, version, version, now
    from numbered where jsonb_typeof({card}) <> 'null'
), new_card_texts as (
    insert into card_texts (mailbox, contact_id, pos, text)
    select $2, id, pos - 1, piece
    from numbered cross join lateral jsonb_array_elements_text({card} -> 7) with ordinality as pieces (piece, pos)
)
select version from numbered order by n";
    let mut parts = parts(ENTRIES, &Sql::filled(FOLDER, &sent()));
    parts.push(("contacts", Sql::new("(select count(*) from sent)")));
    parts.push((
        "bytes",
        Sql::filled("(select sum({size} + coalesce(({card} ->> 4)::bigint, 0)) from sent)::bigint", &parts),
    ));
    parts.push(("sent", Sql::filled(SENT, &parts)));
    parts.push(("counted", Sql::filled(COUNTED, &parts)));
    Sql::filled(text, &parts)
}

/// Overwrites contacts with all their rows. Returns the version of each.
pub(super) fn update() -> Sql {
    let bytes = "(select sum({size} - c.size) from sent join contacts c on c.mailbox = $2 and c.id = {id})::bigint";
    let text = "{sent}new_contacts as (
    update contacts c set ({columns}, version) = row({values}, numbered.version)
    from numbered where c.mailbox = $2 and c.id = numbered.id
), {entries}, new_words as ({new_words}
    on conflict (mailbox, contact_id) do update set (words, places) = row(excluded.words, excluded.places)
), new_flags as ({new_flags}
    on conflict (mailbox, contact_id) do update set ({flag_columns}) = row({flag_excluded})
), old_flags as (
    delete from flags using numbered where mailbox = $2 and contact_id = numbered.id and not {flagged}
)
select version from numbered order by n";
    // The value is missing if the contact grows and there is no room.
    let mut parts = parts(REPLACED_ENTRIES, &Sql::filled("case when fits then {parent_folder_id} end", &sent()));
    parts.push(("contacts", Sql::new("0")));
    parts.push(("bytes", Sql::filled(bytes, &parts)));
    parts.push(("sent", Sql::filled(SENT, &parts)));
    Sql::filled(text, &parts)
}

type NamedSql = (&'static str, Sql);

/// The sent values of the row `contact`, by name.
fn sent() -> Vec<NamedSql> {
    let text = |at| Sql::new("contact ->> ").number(at);
    let singles = rows::singles().enumerate().map(|(at, column)| (column.name, column.kind.of_json(text(at))));
    let lists = rows::lists().zip(rows::singles().count()..);
    singles.chain(lists.map(|(list, at)| (list, Sql::new("(contact -> ").number(at).text(")")))).collect()
}

/// The parts of both texts.
fn parts(entries: &'static str, folder: &Sql) -> Vec<NamedSql> {
    let mut parts = sent();
    let of = |name: &'static str| parts.iter().find(|(part, _)| *part == name).map(|(_, value)| value.clone());
    let values = rows::contact_columns().filter_map(|Column { name, .. }| match name {
        "last_modified_date_time" => Some(Sql::new("now")),
        "parent_folder_id" => Some(folder.clone()),
        name => of(name),
    });
    let values = Sql::list(values);
    let flag_values = Sql::list(FLAGS.written().filter_map(|column| of(column.name)));
    let filled = |table: &'static Table| {
        let values = entry_values(table, "entry", "entry #>> '{}'");
        let parts = [
            ("table", Sql::new(table.name)),
            ("columns", names("", table.written())),
            ("values", values),
            ("excluded", names("excluded.", table.written())),
            ("list", of(table.name).unwrap_or_default()),
        ];
        Sql::filled(entries, &parts)
    };
    let entries = Sql::list(rows::tables().map(filled));
    parts.extend([
        ("columns", names("", &rows::contact_columns().collect::<Vec<_>>())),
        ("values", values),
        ("entries", entries),
        ("flag_columns", names("", FLAGS.written())),
        ("flag_values", flag_values),
        ("flag_excluded", names("excluded.", FLAGS.written())),
    ]);
    parts.push(("new_words", Sql::filled(WORDS, &parts)));
    parts.push(("new_flags", Sql::filled(FLAG, &parts)));
    parts
}

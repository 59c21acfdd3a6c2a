-- The twin of migrations/sqlite, which has the comments in full.

alter table contacts add column nick_name_key text collate "C";
alter table contacts add column file_as_key text collate "C";
alter table contacts add column has_long_keys boolean not null default false;
alter table folders add column contacts bigint not null default 0;
-- Room beside every row for its next version, as in mailboxes.
alter table folders set (fillfactor = 50);

update contacts set
    nick_name_key = case when octet_length(nick_name) = length(nick_name) then lower(nick_name collate "C") else coalesce((
        select key from folded k
        where k.mailbox = contacts.mailbox and k.contact_id = contacts.id and property = 'nickName'),
        lower(nick_name collate "C")) end,
    file_as_key = case when octet_length(file_as) = length(file_as) then lower(file_as collate "C") else coalesce((
        select key from folded k
        where k.mailbox = contacts.mailbox and k.contact_id = contacts.id and property = 'fileAs'),
        lower(file_as collate "C"), '') end;
update contacts set has_long_keys = true
where greatest(length(display_name_key), length(given_name_key), length(surname_key), length(company_name_key),
    length(nick_name_key), length(file_as_key)) > 128;
delete from folded where property in ('nickName', 'fileAs');

update folders set contacts = (
    select count(*) from contacts c
    where c.mailbox = folders.mailbox and c.parent_folder_id = folders.id and c.deleted_date_time is null);

-- A key may be longer than an index takes here. Contacts with such a key are in another index, and sorted as they are read.
-- contacts_by_creation and contacts_by_change have all.
drop index contacts_by_name;
drop index contacts_by_change;
create index contacts_by_name on contacts (mailbox, parent_folder_id, display_name_key nulls first, id)
    where deleted_date_time is null and not has_long_keys;
create index contacts_by_surname
    on contacts (mailbox, parent_folder_id, surname_key nulls first, given_name_key nulls first, id)
    where deleted_date_time is null and not has_long_keys;
create index contacts_by_company on contacts (mailbox, parent_folder_id, company_name_key nulls first, id)
    where deleted_date_time is null and not has_long_keys;
create index contacts_by_file_as on contacts (mailbox, parent_folder_id, file_as_key nulls first, id)
    where deleted_date_time is null and not has_long_keys;
create index contacts_by_creation on contacts (mailbox, parent_folder_id, created_date_time nulls first, id)
    where deleted_date_time is null;
create index contacts_by_change on contacts (mailbox, parent_folder_id, last_modified_date_time nulls first, id)
    where deleted_date_time is null;
create index contacts_by_given_name on contacts (mailbox, parent_folder_id, given_name_key nulls first, id)
    where deleted_date_time is null and not has_long_keys and given_name_key is not null;
create index contacts_by_nick_name on contacts (mailbox, parent_folder_id, nick_name_key nulls first, id)
    where deleted_date_time is null and not has_long_keys and nick_name_key is not null;
create index contacts_with_long_keys on contacts (mailbox, parent_folder_id, id) where deleted_date_time is null and has_long_keys;

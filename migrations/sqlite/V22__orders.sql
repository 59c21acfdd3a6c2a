-- Lists in the orders that clients ask for, and counts, that cost the same however large a mailbox is.

-- Folded, as the other *_key columns. An unset fileAs reads as ''.
alter table contacts add column nick_name_key text;
alter table contacts add column file_as_key text;
-- Whether any key of the indexes below has more than 128 characters, which an index of PostgreSQL's may not take.
alter table contacts add column has_long_keys boolean not null default false;
-- How many contacts a folder has that are not deleted. It is counted in the transaction of each write that changes it.
alter table folders add column contacts bigint not null default 0;

-- What `folded` has of these two properties moves into their columns.
update contacts set
    nick_name_key = case when octet_length(nick_name) = length(nick_name) then lower(nick_name) else coalesce((
        select key from folded k
        where k.mailbox = contacts.mailbox and k.contact_id = contacts.id and property = 'nickName'), lower(nick_name)) end,
    file_as_key = case when octet_length(file_as) = length(file_as) then lower(file_as) else coalesce((
        select key from folded k
        where k.mailbox = contacts.mailbox and k.contact_id = contacts.id and property = 'fileAs'), lower(file_as), '') end;
update contacts set has_long_keys = true
where max(coalesce(length(display_name_key), 0), coalesce(length(given_name_key), 0), coalesce(length(surname_key), 0),
    coalesce(length(company_name_key), 0), coalesce(length(nick_name_key), 0), coalesce(length(file_as_key), 0)) > 128;
delete from folded where property in ('nickName', 'fileAs');

update folders set contacts = (
    select count(*) from contacts c
    where c.mailbox = folders.mailbox and c.parent_folder_id = folders.id and c.deleted_date_time is null);

-- An index for each order. They begin with the folder, since most clients list a folder; a list of a mailbox merges those of its
-- folders (src/store/query/walk.rs). The trash has an index of its own.
drop index contacts_by_name;
drop index contacts_by_change;
create index contacts_by_name on contacts (mailbox, parent_folder_id, display_name_key, id) where deleted_date_time is null;
create index contacts_by_surname on contacts (mailbox, parent_folder_id, surname_key, given_name_key, id)
    where deleted_date_time is null;
create index contacts_by_company on contacts (mailbox, parent_folder_id, company_name_key, id) where deleted_date_time is null;
create index contacts_by_file_as on contacts (mailbox, parent_folder_id, file_as_key, id) where deleted_date_time is null;
create index contacts_by_creation on contacts (mailbox, parent_folder_id, created_date_time, id)
    where deleted_date_time is null;
create index contacts_by_change on contacts (mailbox, parent_folder_id, last_modified_date_time, id)
    where deleted_date_time is null;
-- These are looked up by, and not sorted by: those without one need not be in the index.
create index contacts_by_given_name on contacts (mailbox, parent_folder_id, given_name_key, id)
    where deleted_date_time is null and given_name_key is not null;
create index contacts_by_nick_name on contacts (mailbox, parent_folder_id, nick_name_key, id)
    where deleted_date_time is null and nick_name_key is not null;

-- How much a mailbox holds, deleted contacts included until they are purged. It is counted in the transaction of each write that
-- changes it, so that a limit costs a write no look at what is there (src/store/quota.rs).

alter table mailboxes add column contacts bigint not null default 0;
-- Of contacts, photos, and what programs keep with contacts and folders.
alter table mailboxes add column bytes bigint not null default 0;

update mailboxes set
    contacts = (select count(*) from contacts where mailbox = mailboxes.id),
    bytes = coalesce((select sum(size) from contacts where mailbox = mailboxes.id), 0)
        + coalesce((select sum(size) from photos where mailbox = mailboxes.id and deleted_date_time is null), 0)
        + coalesce((
            select sum(octet_length(name) + octet_length(value)) from extension_members where mailbox = mailboxes.id), 0)
        + coalesce((select sum(octet_length(id) + octet_length(value)) from single_values where mailbox = mailboxes.id), 0)
        + coalesce((select sum(octet_length(id)) from multi_value_properties where mailbox = mailboxes.id), 0)
        + coalesce((select sum(octet_length(value)) from multi_values where mailbox = mailboxes.id), 0)
        + coalesce((
            select sum(octet_length(id) + octet_length(value)) from folder_single_values where mailbox = mailboxes.id), 0)
        + coalesce((select sum(octet_length(id)) from folder_multi_value_properties where mailbox = mailboxes.id), 0)
        + coalesce((select sum(octet_length(value)) from folder_multi_values where mailbox = mailboxes.id), 0);

-- What a repeated create is known by, and how what was deleted is found.

-- Creates that named a key (header Idempotency-Key), for a day.
create table idempotency_keys (
    mailbox           bigint not null references mailboxes (id),
    key               text   not null,
    -- SHA-256, in base64, of method, path and body: with another the key names another request.
    request           text   not null,
    -- The contact or folder that was made. It refers to no row: the key is known for its day even if that is gone.
    item_id           text   not null,
    created_date_time bigint not null,
    primary key (mailbox, key)
) without rowid;

create index idempotency_keys_by_time on idempotency_keys (mailbox, created_date_time);

-- Deleted contacts, by the time of that, until they are taken away.
create index contacts_deleted on contacts (mailbox, deleted_date_time, id) where deleted_date_time is not null;

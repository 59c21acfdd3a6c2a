-- The twin of migrations/sqlite, which has the comments in full.

create table idempotency_keys (
    mailbox           bigint not null references mailboxes (id),
    key               text   collate "C" not null,
    -- SHA-256, in base64, of method, path and body: with another the key names another request.
    request           text   not null,
    -- The contact or folder that was made. It refers to no row: the key is known for its day even if that is gone.
    item_id           text   collate "C" not null,
    created_date_time bigint not null,
    primary key (mailbox, key)
);

create index idempotency_keys_by_time on idempotency_keys (mailbox, created_date_time);

create index contacts_deleted on contacts (mailbox, deleted_date_time, id) where deleted_date_time is not null;

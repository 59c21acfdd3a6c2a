-- The categories that a mailbox has names and colours for. What a contact is in (`categories`) are plain names, which need
-- not be among these.
create table master_categories (
    mailbox                 bigint not null references mailboxes (id),
    -- UUIDv7: creation order is key order.
    id                      uuid   not null,
    -- Of those that are not deleted no two have the same key; writes of a mailbox come one after another.
    display_name            text   not null,
    display_name_key        text   collate "C" not null,
    -- A member of categoryColor in its exact spelling.
    color                   text   collate "C" not null,
    -- As in contacts. These writes take a number and have no entry in the change log, so a commit whose answer was lost is
    -- looked up here.
    version                 bigint not null,
    created_date_time       bigint not null,
    last_modified_date_time bigint not null,
    deleted_date_time       bigint,
    primary key (mailbox, id)
);

-- The twin of migrations/sqlite, which has the comments in full.

create table folded (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    -- The property as in a path, `nickName` or `phones/number`, and which entry of the collection, from 0.
    property   text   not null,
    entry      bigint not null,
    key        text   collate "C" not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

-- A key may be longer than an index takes here; its first 64 characters tell most apart.
create index contacts_by_name on contacts (mailbox, substr(display_name_key, 1, 64), id);
create index contacts_by_change on contacts (mailbox, last_modified_date_time, id);
create index emails_by_address on emails (mailbox, substr(address_key, 1, 64), contact_id);
create index categories_by_name on categories (mailbox, substr(name_key, 1, 64), contact_id);

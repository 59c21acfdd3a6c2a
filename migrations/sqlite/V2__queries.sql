-- What `$filter` and `$orderby` ask for.

-- The folded form (src/fold.rs) of texts that have no *_key column of their own, where it is not what lower() makes of
-- ASCII letters: nothing else of the Unicode rule is to be had of both engines. Texts that are plain ASCII have no row.
create table folded (
    mailbox    bigint not null,
    contact_id blob   not null,
    pos        bigint not null,
    -- The property as in a path, `nickName` or `phones/number`, and which entry of the collection, from 0.
    property   text   not null,
    entry      bigint not null,
    key        text   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
) without rowid;

create index contacts_by_name on contacts (mailbox, display_name_key, id);
create index contacts_by_change on contacts (mailbox, last_modified_date_time, id);
create index emails_by_address on emails (mailbox, address_key, contact_id);
create index categories_by_name on categories (mailbox, name_key, contact_id);

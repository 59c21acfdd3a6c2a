-- The photos of contacts. Their bytes are apart and in pieces, so that nobody who reads one holds more than a piece of it:
-- SQLite reads a value whole, whatever is asked of it, and PostgreSQL may have to.

create table photos (
    mailbox                 bigint not null,
    contact_id              blob   not null,
    -- What its bytes are, by their own word and not the client's: image/jpeg, image/png, image/gif, image/webp.
    content_type            text   not null,
    width                   bigint not null,
    height                  bigint not null,
    -- In bytes.
    size                    bigint not null,
    -- The mailbox's seq at its last write, which the change log does not have. With the time it makes the version token.
    version                 bigint not null,
    last_modified_date_time bigint not null,
    -- A photo that was taken away: the row stays, its pieces do not.
    deleted_date_time       bigint,
    primary key (mailbox, contact_id),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
) without rowid;

-- `pos` counts from 0; all but the last have the same size. With rowids: rows of this size would make the tree of keys
-- deep.
create table photo_chunks (
    mailbox    bigint not null,
    contact_id blob   not null,
    pos        bigint not null,
    bytes      blob   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references photos (mailbox, contact_id) on delete cascade
);

-- Imports of files: what each has come to, so that it can be continued and undone, and by what a contact is found again.

-- What a contact was imported as. The same file again finds it by the key, and by the hash that nothing changed.
create table imported (
    mailbox    bigint not null,
    contact_id blob   not null,
    -- The folded UID of the card, or the hash of a contact that came without one (src/domain/card.rs).
    uid_key    text   not null,
    -- The SHA-256 of what was imported, in its first 16 bytes; empty after the import was undone.
    hash       blob   not null,
    primary key (mailbox, contact_id),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
) without rowid;

create index imported_by_key on imported (mailbox, uid_key);

create table imports (
    mailbox            bigint not null references mailboxes (id),
    id                 blob   not null,
    -- The file's name as it was given, for people.
    source             text   not null,
    -- By these two a file is known again: its size in bytes, and the SHA-256 of its first 64 KiB. A stream has no size.
    size               bigint,
    head               text   not null,
    format             text   not null,
    -- The folder of new contacts.
    folder_id          text   not null,
    started_date_time  bigint not null,
    -- When all of it was read.
    finished_date_time bigint,
    undone_date_time   bigint,
    -- How far the last commit came, in records and in bytes.
    records            bigint not null,
    bytes              bigint not null,
    created            bigint not null,
    updated            bigint not null,
    unchanged          bigint not null,
    refused            bigint not null,
    primary key (mailbox, id)
) without rowid;

-- The contacts that an import made or changed, as it left them.
create table import_contacts (
    mailbox       bigint  not null,
    import_id     blob    not null,
    contact_id    blob    not null,
    created       boolean not null,
    version       bigint  not null,
    photo_version bigint,
    primary key (mailbox, import_id, contact_id),
    foreign key (mailbox, import_id) references imports (mailbox, id) on delete cascade
) without rowid;

-- What an import has changed, as it was before. Nothing in the database reads it.
create table import_befores (
    mailbox    bigint not null,
    import_id  blob   not null,
    contact_id blob   not null,
    contact    text   not null,
    card       text,
    photo      blob,
    primary key (mailbox, import_id, contact_id),
    foreign key (mailbox, import_id, contact_id)
        references import_contacts (mailbox, import_id, contact_id) on delete cascade
);

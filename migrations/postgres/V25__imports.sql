-- The twin of migrations/sqlite, which has the comments in full.

create table imported (
    mailbox    bigint not null,
    contact_id uuid   not null,
    uid_key    text   collate "C" not null,
    hash       bytea  not null,
    primary key (mailbox, contact_id),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create index imported_by_key on imported (mailbox, uid_key);

create table imports (
    mailbox            bigint not null references mailboxes (id),
    id                 uuid   not null,
    source             text   not null,
    size               bigint,
    head               text   collate "C" not null,
    format             text   not null,
    folder_id          text   collate "C" not null,
    started_date_time  bigint not null,
    finished_date_time bigint,
    undone_date_time   bigint,
    records            bigint not null,
    bytes              bigint not null,
    created            bigint not null,
    updated            bigint not null,
    unchanged          bigint not null,
    refused            bigint not null,
    primary key (mailbox, id)
);

create table import_contacts (
    mailbox       bigint  not null,
    import_id     uuid    not null,
    contact_id    uuid    not null,
    created       boolean not null,
    version       bigint  not null,
    photo_version bigint,
    primary key (mailbox, import_id, contact_id),
    foreign key (mailbox, import_id) references imports (mailbox, id) on delete cascade
);

create table import_befores (
    mailbox    bigint not null,
    import_id  uuid   not null,
    contact_id uuid   not null,
    contact    text   not null,
    card       text,
    photo      bytea,
    primary key (mailbox, import_id, contact_id),
    foreign key (mailbox, import_id, contact_id)
        references import_contacts (mailbox, import_id, contact_id) on delete cascade
);

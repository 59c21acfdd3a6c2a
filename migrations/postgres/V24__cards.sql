-- The cards that clients and imports keep beside contacts, and the cards of groups. The twin of migrations/sqlite, which has
-- the comments in full.

create table cards (
    mailbox                 bigint  not null references mailboxes (id),
    contact_id              uuid    not null,
    folder_id               text    collate "C" not null,
    name                    text    collate "C" not null,
    uid                     text,
    uid_key                 text    collate "C" not null,
    is_group                boolean not null,
    vcard_version           text    not null,
    contact_version         bigint  not null,
    photo_version           bigint,
    photo_at                bigint,
    photo_first             bigint,
    photo_width             bigint,
    photo_break             text,
    version                 bigint  not null,
    last_modified_date_time bigint  not null,
    deleted_date_time       bigint,
    primary key (mailbox, contact_id)
);

create unique index cards_by_name on cards (mailbox, folder_id, name) where deleted_date_time is null;
create unique index cards_by_uid on cards (mailbox, uid_key, folder_id) where deleted_date_time is null;
create index cards_gone on cards (mailbox, folder_id, version) where deleted_date_time is not null;

create table card_texts (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    text       text   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references cards (mailbox, contact_id) on delete cascade
);

-- The cards that clients and imports keep beside contacts, and the cards of groups, which have no contact.

-- A contact without a row has the card that is made from it: named `<id>.vcf`, with its id as UID.
create table cards (
    mailbox                 bigint  not null references mailboxes (id),
    -- The contact's id. The card of a group, and what is left of an earlier name, have an id of their own. No foreign key: the
    -- name of a card is told to clients after its contact is gone.
    contact_id              blob    not null,
    folder_id               text    not null,
    -- The last segment of its address, decoded.
    name                    text    not null,
    -- As written in the card, and what two have in common that are the same (src/domain/card.rs). Where another card of the
    -- folder had the UID first, the key is an id, and is shown as the card's UID.
    uid                     text,
    uid_key                 text    not null,
    is_group                boolean not null,
    -- 3.0 or 4.0
    vcard_version           text    not null,
    -- The contact and the photo that the text shows.
    contact_version         bigint  not null,
    photo_version           bigint,
    -- Where the text lacks the photo, whose bytes are in photo_chunks: the place, in bytes from the beginning, how many
    -- characters of base64 stood in the first line and in each after it, and what stood between the lines.
    photo_at                bigint,
    photo_first             bigint,
    photo_width             bigint,
    photo_break             text,
    -- The mailbox's seq at the last write of the card itself, or when its contact was deleted.
    version                 bigint  not null,
    last_modified_date_time bigint  not null,
    -- As the contact's.
    deleted_date_time       bigint,
    primary key (mailbox, contact_id)
) without rowid;

create unique index cards_by_name on cards (mailbox, folder_id, name) where deleted_date_time is null;
create unique index cards_by_uid on cards (mailbox, uid_key, folder_id) where deleted_date_time is null;
create index cards_gone on cards (mailbox, folder_id, version) where deleted_date_time is not null;

-- The card as the client sent it, in pieces. A contact that is gone has none.
create table card_texts (
    mailbox    bigint not null,
    contact_id blob   not null,
    pos        bigint not null,
    text       text   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references cards (mailbox, contact_id) on delete cascade
);

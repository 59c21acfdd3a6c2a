-- What `$search` and the lists of a folder ask for.

-- The words of each contact (src/words.rs), each with its place in it. SQLite has an index of its own for this, hence no
-- twin. They refer to no row, since a cascade would have to look through all words for those of one contact. All of it is
-- made from the contacts, and made anew when the rule changes.
create table words (
    mailbox    bigint not null,
    word       text   collate "C" not null,
    contact_id uuid   not null,
    place      bigint not null,
    primary key (mailbox, word, contact_id, place)
);

-- All that the choice of a page reads.
create index contacts_by_folder on contacts (mailbox, parent_folder_id, id, size) where deleted_date_time is null;

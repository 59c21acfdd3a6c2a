-- What `$search` asks for.

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

-- What `$search` and the lists of a folder ask for.

-- The words of each contact (src/words.rs), a column for each field of it, in SQLite's full-text index. That index keeps
-- apart what belongs to one mailbox by what each word begins with (src/store/search.rs). All of it is made from the
-- contacts, and made anew when the rule changes.
create virtual table words using fts5 (
    f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16,
    content = '', contentless_delete = 1, tokenize = 'ascii'
);

-- The number by which the index knows a contact.
create table searched (
    row        integer not null primary key,
    mailbox    bigint  not null,
    contact_id blob    not null,
    unique (mailbox, contact_id)
);

-- All that the choice of a page reads.
create index contacts_by_folder on contacts (mailbox, parent_folder_id, id, size) where deleted_date_time is null;

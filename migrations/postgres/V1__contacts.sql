-- The twin of migrations/sqlite, which has the comments in full: the same tables and columns, in PostgreSQL's types.
-- Ids and keys are compared by their bytes (collate "C"), as SQLite does, whatever the database's own locale is.

-- Facts of this database, one row.
create table store (
    id                    bigint not null primary key check (id = 1),
    -- Names this history of changes. A delta token of another epoch cannot be continued.
    epoch                 uuid   not null,
    -- The rule that made the *_key columns; when it changes they are computed anew.
    folding               bigint not null,
    created_date_time     bigint not null
);

create table mailboxes (
    id  bigint not null primary key,
    -- The number of the last change. Bumped in the transaction of every write, so numbering equals commit order.
    seq bigint not null
) with (fillfactor = 50);  -- Room beside every row for its next version: seq is what is updated most.

-- Each user owns one mailbox.
create table users (
    id                      text   collate "C" not null primary key,
    user_principal_name     text   not null,
    user_principal_name_key text   collate "C" not null unique,
    display_name            text   not null,
    mail                    text   not null,
    mailbox                 bigint not null unique references mailboxes (id),
    created_date_time       bigint not null
);

-- The id is any text up to 255 characters: a contact may arrive with a folder id of its client's own making.
-- Display names are unique per parent only where a folder route sets them, hence no constraint.
create table folders (
    mailbox                 bigint not null references mailboxes (id),
    id                      text   collate "C" not null,
    -- Null for the default folder (id `contacts`), which hangs from the mailbox itself.
    parent_folder_id        text collate "C",
    display_name            text   not null,
    display_name_key        text   collate "C" not null,
    version                 bigint not null,
    created_date_time       bigint not null,
    last_modified_date_time bigint not null,
    deleted_date_time       bigint,
    primary key (mailbox, id),
    foreign key (mailbox, parent_folder_id) references folders (mailbox, id)
);

create table contacts (
    mailbox                 bigint  not null references mailboxes (id),
    -- UUIDv7: creation order is key order.
    id                      uuid    not null,
    parent_folder_id        text    collate "C" not null,
    -- The mailbox's seq at the last write. With last_modified_date_time it makes the version token (the ETag).
    version                 bigint  not null,
    created_date_time       bigint  not null,
    last_modified_date_time bigint  not null,
    -- Deletion is a state with a time, not a missing row.
    deleted_date_time       bigint,
    -- About how many bytes it is in JSON, so that a page can be kept within bounds before it is read.
    size                    bigint  not null,
    -- Only when the creating client sent one; the next write clears it.
    change_key              text,
    -- True while no client has set displayName: it then follows the name it is derived from.
    display_name_derived    boolean not null,
    file_as                 text,
    display_name            text,
    given_name              text,
    initials                text,
    middle_name             text,
    nick_name               text,
    surname                 text,
    title                   text,
    yomi_given_name         text,
    yomi_surname            text,
    yomi_company_name       text,
    generation              text,
    job_title               text,
    company_name            text,
    department              text,
    office_location         text,
    profession              text,
    assistant_name          text,
    manager                 text,
    spouse_name             text,
    personal_notes          text,
    gender                  text,
    -- The text as the client wrote it, and the instant it means.
    birthday                text,
    birthday_instant        bigint,
    -- Any text; the day (since 1970-01-01) only when the text is a date.
    wedding_anniversary     text,
    wedding_anniversary_day bigint,
    is_favorite             boolean,
    display_name_key        text collate "C",
    given_name_key          text collate "C",
    surname_key             text collate "C",
    company_name_key        text collate "C",
    primary key (mailbox, id),
    foreign key (mailbox, parent_folder_id) references folders (mailbox, id)
);

-- Children: `pos` counts from 0 and keeps the order of the client's array.

create table emails (
    mailbox     bigint not null,
    contact_id  uuid   not null,
    pos         bigint not null,
    name        text,
    address     text,
    address_key text collate "C",
    type        text,
    other_label text,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create table phones (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    type       text,
    number     text,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create table addresses (
    mailbox           bigint not null,
    contact_id        uuid   not null,
    pos               bigint not null,
    type              text,
    post_office_box   text,
    street            text,
    city              text,
    state             text,
    country_or_region text,
    postal_code       text,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create table websites (
    mailbox      bigint not null,
    contact_id   uuid   not null,
    pos          bigint not null,
    type         text,
    address      text,
    display_name text,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

-- At most one row for a contact; none means the flag was never set.
create table flags (
    mailbox             bigint not null,
    contact_id          uuid   not null,
    flag_status         text,
    completed_date_time text,
    completed_time_zone text,
    due_date_time       text,
    due_time_zone       text,
    start_date_time     text,
    start_time_zone     text,
    primary key (mailbox, contact_id),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create table categories (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    name       text   not null,
    name_key   text   collate "C" not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create table im_addresses (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    address    text   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create table children (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    name       text   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

-- The change log delta reads: one row for each thing that happened to a folder's content, or (contact_id null) to
-- the folder itself. `removed` says that the contact, or the folder, is no longer there: deleted or moved away.
create table changes (
    mailbox           bigint  not null references mailboxes (id),
    seq               bigint  not null,
    folder_id         text    collate "C" not null,
    contact_id        uuid,
    removed           boolean not null,
    changed_date_time bigint  not null,
    primary key (mailbox, seq)
);

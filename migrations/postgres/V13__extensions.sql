-- What programs keep with contacts and folders besides Graph's own properties. The twin of migrations/sqlite, which has
-- the comments in full.

create table extensions (
    mailbox                 bigint not null,
    contact_id              uuid   not null,
    pos                     bigint not null,
    -- Without `microsoft.graph.openTypeExtension.` before it; of ASCII letters, digits, `.`, `_` and `-`.
    name                    text   collate "C" not null,
    -- The mailbox's seq at its last write. With the time it makes the version token.
    version                 bigint not null,
    last_modified_date_time bigint not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create unique index extensions_by_name on extensions (mailbox, name, contact_id);

create table extension_members (
    mailbox       bigint not null,
    contact_id    uuid   not null,
    extension_pos bigint not null,
    pos           bigint not null,
    name          text   not null,
    value         text   not null,
    primary key (mailbox, contact_id, extension_pos, pos),
    foreign key (mailbox, contact_id, extension_pos) references extensions (mailbox, contact_id, pos) on delete cascade
);

create table extension_writes (
    mailbox                 bigint not null,
    contact_id              uuid   not null,
    version                 bigint not null,
    last_modified_date_time bigint not null,
    primary key (mailbox, contact_id),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create table single_values (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    id         text   not null,
    id_key     text   collate "C" not null,
    value      text   not null,
    value_key  text   collate "C" not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create index single_values_by_value on single_values (mailbox, id_key, substr(value_key, 1, 64), contact_id);

create table multi_value_properties (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    id         text   not null,
    id_key     text   collate "C" not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

create index multi_value_properties_by_id on multi_value_properties (mailbox, id_key, contact_id);

create table multi_values (
    mailbox    bigint not null,
    contact_id uuid   not null,
    pos        bigint not null,
    -- Which of the property's values, from 0.
    entry      bigint not null,
    value      text   not null,
    value_key  text   collate "C" not null,
    primary key (mailbox, contact_id, pos, entry),
    foreign key (mailbox, contact_id, pos) references multi_value_properties (mailbox, contact_id, pos) on delete cascade
);

create index multi_values_by_value on multi_values (mailbox, substr(value_key, 1, 64), contact_id, pos);

-- The same of folders, of which there are few.

create table folder_single_values (
    mailbox   bigint not null,
    folder_id text   collate "C" not null,
    pos       bigint not null,
    id        text   not null,
    id_key    text   collate "C" not null,
    value     text   not null,
    value_key text   collate "C" not null,
    primary key (mailbox, folder_id, pos),
    foreign key (mailbox, folder_id) references folders (mailbox, id) on delete cascade
);

create table folder_multi_value_properties (
    mailbox   bigint not null,
    folder_id text   collate "C" not null,
    pos       bigint not null,
    id        text   not null,
    id_key    text   collate "C" not null,
    primary key (mailbox, folder_id, pos),
    foreign key (mailbox, folder_id) references folders (mailbox, id) on delete cascade
);

create table folder_multi_values (
    mailbox   bigint not null,
    folder_id text   collate "C" not null,
    pos       bigint not null,
    entry     bigint not null,
    value     text   not null,
    value_key text   collate "C" not null,
    primary key (mailbox, folder_id, pos, entry),
    foreign key (mailbox, folder_id, pos) references folder_multi_value_properties (mailbox, folder_id, pos)
        on delete cascade
);

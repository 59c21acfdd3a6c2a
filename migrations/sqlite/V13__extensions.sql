-- What programs keep with contacts and folders besides Graph's own properties.

-- Open extensions: bags of JSON, each under a name of its program's own.
create table extensions (
    mailbox                 bigint not null,
    contact_id              blob   not null,
    pos                     bigint not null,
    -- Without `microsoft.graph.openTypeExtension.` before it; of ASCII letters, digits, `.`, `_` and `-`.
    name                    text   not null,
    -- The mailbox's seq at its last write. With the time it makes the version token.
    version                 bigint not null,
    last_modified_date_time bigint not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
) without rowid;

create unique index extensions_by_name on extensions (mailbox, name, contact_id);

-- The members of an extension. Their values are the only JSON texts that are stored, as text: what a program puts there is
-- its own, of no shape that a column could have, and must come back as it came (a number to the digit). Nothing in the
-- database reads them; what is looked for by has columns.
create table extension_members (
    mailbox       bigint not null,
    contact_id    blob   not null,
    extension_pos bigint not null,
    pos           bigint not null,
    name          text   not null,
    value         text   not null,
    primary key (mailbox, contact_id, extension_pos, pos),
    foreign key (mailbox, contact_id, extension_pos) references extensions (mailbox, contact_id, pos) on delete cascade
);

-- The last write to a contact's extensions, which the change log does not have: by it a commit is known to have happened
-- whose answer was lost, also where an extension was taken away. At most one row for a contact.
create table extension_writes (
    mailbox                 bigint not null,
    contact_id              blob   not null,
    version                 bigint not null,
    last_modified_date_time bigint not null,
    primary key (mailbox, contact_id),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
) without rowid;

-- Extended properties. `id` is as the client wrote it, `id_key` what two ids have in common that are the same.
create table single_values (
    mailbox    bigint not null,
    contact_id blob   not null,
    pos        bigint not null,
    id         text   not null,
    id_key     text   not null,
    value      text   not null,
    value_key  text   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
);

-- A value may be long; its first 64 characters tell most apart.
create index single_values_by_value on single_values (mailbox, id_key, substr(value_key, 1, 64), contact_id);

create table multi_value_properties (
    mailbox    bigint not null,
    contact_id blob   not null,
    pos        bigint not null,
    id         text   not null,
    id_key     text   not null,
    primary key (mailbox, contact_id, pos),
    foreign key (mailbox, contact_id) references contacts (mailbox, id) on delete cascade
) without rowid;

create index multi_value_properties_by_id on multi_value_properties (mailbox, id_key, contact_id);

create table multi_values (
    mailbox    bigint not null,
    contact_id blob   not null,
    pos        bigint not null,
    -- Which of the property's values, from 0.
    entry      bigint not null,
    value      text   not null,
    value_key  text   not null,
    primary key (mailbox, contact_id, pos, entry),
    foreign key (mailbox, contact_id, pos) references multi_value_properties (mailbox, contact_id, pos) on delete cascade
);

create index multi_values_by_value on multi_values (mailbox, substr(value_key, 1, 64), contact_id, pos);

-- The same of folders, of which there are few.

create table folder_single_values (
    mailbox   bigint not null,
    folder_id text   not null,
    pos       bigint not null,
    id        text   not null,
    id_key    text   not null,
    value     text   not null,
    value_key text   not null,
    primary key (mailbox, folder_id, pos),
    foreign key (mailbox, folder_id) references folders (mailbox, id) on delete cascade
);

create table folder_multi_value_properties (
    mailbox   bigint not null,
    folder_id text   not null,
    pos       bigint not null,
    id        text   not null,
    id_key    text   not null,
    primary key (mailbox, folder_id, pos),
    foreign key (mailbox, folder_id) references folders (mailbox, id) on delete cascade
) without rowid;

create table folder_multi_values (
    mailbox   bigint not null,
    folder_id text   not null,
    pos       bigint not null,
    entry     bigint not null,
    value     text   not null,
    value_key text   not null,
    primary key (mailbox, folder_id, pos, entry),
    foreign key (mailbox, folder_id, pos) references folder_multi_value_properties (mailbox, folder_id, pos)
        on delete cascade
);

-- What CardDAV's sync tokens need of the change log, and the properties that its clients keep with folders.

-- An entry that only the card tells of: a photo, a line that no property of the contact holds, a name, a group. Clients of Graph
-- are not told.
alter table changes add column of_card boolean not null default false;
-- An entry that is too old for Graph's delta, kept for CardDAV: the removal of a contact, or the last entry of its folder.
alter table changes add column kept boolean not null default false;

create index changes_by_folder on changes (mailbox, folder_id, seq);
create index changes_kept on changes (mailbox, seq) where kept;

-- Properties that clients keep with a folder or, under an empty id, with the home of a mailbox.
create table dav_properties (
    mailbox   bigint not null references mailboxes (id),
    folder_id text   not null,
    pos       bigint not null,
    namespace text   not null,
    name      text   not null,
    -- The whole element as XML, its namespaces declared in it.
    value     text   not null,
    primary key (mailbox, folder_id, pos)
);

-- What CardDAV's sync tokens need of the change log, and the properties that its clients keep with folders. The twin of
-- migrations/sqlite, which has the comments in full.

alter table changes add column of_card boolean not null default false;
alter table changes add column kept boolean not null default false;

create index changes_by_folder on changes (mailbox, folder_id, seq);
create index changes_kept on changes (mailbox, seq) where kept;

create table dav_properties (
    mailbox   bigint not null references mailboxes (id),
    folder_id text   collate "C" not null,
    pos       bigint not null,
    namespace text   not null,
    name      text   not null,
    value     text   not null,
    primary key (mailbox, folder_id, pos)
);

-- A folder that was deleted with more in it than one transaction should mark: since then nobody sees what is in it, and its
-- contacts are marked in pieces, as deleted at this time.
alter table folders add column emptying bigint;

create index folders_emptying on folders (mailbox, id) where emptying is not null;

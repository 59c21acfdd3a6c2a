-- The twin of migrations/sqlite, which has the comments in full.
alter table phones add column number_key text collate "C";
create index phones_by_number on phones (mailbox, substr(number_key, 1, 64), contact_id) where number_key is not null;

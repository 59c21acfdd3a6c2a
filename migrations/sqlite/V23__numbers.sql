-- What a phone's number is looked up by: its digits, however it is written (src/domain/phone.rs). `store::renew` makes the keys of
-- numbers of before, after this migration and in its transaction.
alter table phones add column number_key text;
create index phones_by_number on phones (mailbox, number_key, contact_id) where number_key is not null;

-- The twin of migrations/sqlite, which has the comments in full.

alter table identities add column claimed_name text;
alter table identities add column claim text;
alter table identities add column name text;
alter table identities add column name_key text collate "C";
alter table identities add column said_date_time bigint not null default 0;
alter table identities add column bound boolean not null default false;

create index identities_by_name on identities (name_key);

update identities set claimed_name = (
    select u.user_principal_name from users u
    where u.mailbox = identities.mailbox and u.user_principal_name <> u.id || '@identity'
);
update users set user_principal_name_key = chr(10) || id where mailbox in (select mailbox from identities);
update users set user_principal_name = id || '@identity', user_principal_name_key = id || '@identity', mail = id || '@identity'
where mailbox in (select mailbox from identities);

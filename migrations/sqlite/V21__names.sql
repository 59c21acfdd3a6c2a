-- Names of identity providers' users. They are found by issuer and subject, and by no name but one that the operator trusts.

-- What the provider calls them to people. It may be of their own choice: the operator is shown it, and nobody is found by it.
alter table identities add column claimed_name text;
-- The name by which the provider vouches for them, in a claim that the operator trusts, and what it is looked up by. Their user
-- has it if no other has.
alter table identities add column claim text;
alter table identities add column name text;
alter table identities add column name_key text;
-- When the provider said all this: an older token does not change it back.
alter table identities add column said_date_time bigint not null default 0;
-- Whether the operator has bound the name of their user, so that no claim changes it.
alter table identities add column bound boolean not null default false;

create index identities_by_name on identities (name_key);

-- Before this, whoever came first with a name was found by it. From now on they are found by their id, until a name is trusted
-- or bound. In two steps: somebody may have called themselves what another is called now.
update identities set claimed_name = (
    select u.user_principal_name from users u
    where u.mailbox = identities.mailbox and u.user_principal_name <> u.id || '@identity'
);
update users set user_principal_name_key = char(10) || id where mailbox in (select mailbox from identities);
update users set user_principal_name = id || '@identity', user_principal_name_key = id || '@identity', mail = id || '@identity'
where mailbox in (select mailbox from identities);

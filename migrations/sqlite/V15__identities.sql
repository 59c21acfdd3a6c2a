-- Whom an identity provider calls what: a user is found by who gave the token out and whom it is about, and by nothing
-- else, since an e-mail address may become another's.

create table identities (
    issuer            text   not null,
    subject           text   not null,
    -- The user's.
    mailbox           bigint not null references mailboxes (id),
    created_date_time bigint not null,
    primary key (issuer, subject)
) without rowid;

create index identities_by_mailbox on identities (mailbox);

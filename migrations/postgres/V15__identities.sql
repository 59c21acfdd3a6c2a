-- The twin of migrations/sqlite, which has the comments in full.

create table identities (
    issuer            text   collate "C" not null,
    subject           text   collate "C" not null,
    mailbox           bigint not null references mailboxes (id),
    created_date_time bigint not null,
    primary key (issuer, subject)
);

create index identities_by_mailbox on identities (mailbox);

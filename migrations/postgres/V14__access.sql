-- The twin of migrations/sqlite, which has the comments in full.

alter table users add column disabled_date_time bigint;

create table tokens (
    id                   uuid   not null primary key,
    -- SHA-256 of the secret, in hexadecimal.
    digest               text   collate "C" not null unique,
    mailbox              bigint references mailboxes (id),
    app                  text   collate "C",
    name                 text,
    scopes               text   not null,
    created_date_time    bigint not null,
    expiration_date_time bigint,
    revoked_date_time    bigint,
    last_used_date_time  bigint,
    check ((mailbox is null) <> (app is null))
);

create index tokens_by_mailbox on tokens (mailbox);

create table shares (
    mailbox           bigint  not null references mailboxes (id),
    grantee           bigint  not null references mailboxes (id),
    can_write         boolean not null,
    created_date_time bigint  not null,
    primary key (mailbox, grantee)
);

create index shares_by_grantee on shares (grantee, mailbox);

alter table subscriptions add column token_id uuid;

create table audit (
    mailbox         bigint not null,
    id              uuid   not null,
    audit_date_time bigint not null,
    actor           text   collate "C" not null,
    token_id        uuid,
    address         text,
    request_id      uuid,
    action          text   not null,
    item            text,
    primary key (mailbox, id)
);

create index audit_by_time on audit (audit_date_time);

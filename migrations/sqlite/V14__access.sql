-- Who may do what, and who did it.

-- Set while the user may not sign in. What the user owns stays, for applications and for those it is shared with.
alter table users add column disabled_date_time bigint;

-- What opens a mailbox, or for an application all of them.
create table tokens (
    id                   blob   not null primary key,
    -- SHA-256 of the secret, in hexadecimal: the secret itself is nowhere.
    digest               text   not null unique,
    -- Whose it is: a user's, by the mailbox, or that of the application of this name.
    mailbox              bigint references mailboxes (id),
    app                  text,
    -- What its maker calls it.
    name                 text,
    -- What it permits, as in docs/graph.md, with blanks between.
    scopes               text   not null,
    created_date_time    bigint not null,
    expiration_date_time bigint,
    revoked_date_time    bigint,
    -- To some minutes.
    last_used_date_time  bigint,
    check ((mailbox is null) <> (app is null))
);

create index tokens_by_mailbox on tokens (mailbox);

-- Mailboxes that other users may see.
create table shares (
    mailbox           bigint  not null references mailboxes (id),
    -- The own mailbox of who may.
    grantee           bigint  not null references mailboxes (id),
    can_write         boolean not null,
    created_date_time bigint  not null,
    primary key (mailbox, grantee)
) without rowid;

create index shares_by_grantee on shares (grantee, mailbox);

-- The token by which a subscription was made: with it, it ends.
alter table subscriptions add column token_id blob;

-- Who did what: a row for each write that was made on somebody's behalf, in the write's own transaction. It refers to no
-- row, since it outlives what it tells of.
create table audit (
    -- The mailbox that was written to; 0 is nobody's.
    mailbox         bigint not null,
    -- UUIDv7: in the order of time.
    id              blob   not null,
    audit_date_time bigint not null,
    -- A user's id, app:NAME, or operator.
    actor           text   not null,
    token_id        blob,
    -- Where the request came from, and by which id the log has it.
    address         text,
    request_id      blob,
    -- The method and the route, or the command.
    action          text   not null,
    -- What was written: the id of the contact, folder or whatever the route is about.
    item            text,
    primary key (mailbox, id)
) without rowid;

create index audit_by_time on audit (audit_date_time);

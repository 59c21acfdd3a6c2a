-- Who is to be told of changes, and how far they have been. What there is to tell is read from `changes`.

create table subscriptions (
    mailbox                     bigint  not null references mailboxes (id),
    id                          blob    not null,
    -- Who made it, and alone sees it: a user's id, or app:NAME.
    creator                     text    not null,
    -- As the client named it, and what that meant: the mailbox's folders, or the contacts of one folder, or all contacts.
    resource                    text    not null,
    of_folders                  boolean not null,
    folder_id                   text,
    -- created,updated,deleted, or some of them.
    change_type                 text    not null,
    notification_url            text    not null,
    lifecycle_notification_url  text,
    client_state                text,
    tls_version                 text    not null,
    created_date_time           bigint  not null,
    expiration_date_time        bigint  not null,
    -- The log's entries up to this number were delivered, or given up.
    delivered_seq               bigint  not null,
    -- Attempts that failed since the last that did not, and when the next one is due.
    attempts                    bigint  not null,
    next_attempt_date_time      bigint  not null,
    -- The lifecycle event that is to be told, if one is; and the same of it.
    lifecycle_event             text,
    lifecycle_attempts          bigint  not null,
    next_lifecycle_date_time    bigint  not null,
    -- The expiration that was told to be near.
    reminded_of_date_time       bigint,
    -- The process that delivers, and until when no other does.
    lease_owner                 blob,
    lease_until_date_time       bigint,
    primary key (mailbox, id)
) without rowid;

create index subscriptions_by_creator on subscriptions (creator, id);

-- The last attempts of each, for whoever wants to know what became of them.
create table deliveries (
    mailbox           bigint not null,
    subscription_id   blob   not null,
    -- Counts on; only the last are kept.
    pos               bigint not null,
    attempt_date_time bigint not null,
    -- notifications, or the lifecycle event that was told.
    about             text   not null,
    -- Which attempt at the same, from 1.
    attempt           bigint not null,
    -- How many notifications, and the log's entries they were of.
    notifications     bigint not null,
    first_seq         bigint,
    last_seq          bigint,
    -- The HTTP status of the answer, or why there was none.
    status            bigint,
    error             text,
    primary key (mailbox, subscription_id, pos),
    foreign key (mailbox, subscription_id) references subscriptions (mailbox, id) on delete cascade
) without rowid;

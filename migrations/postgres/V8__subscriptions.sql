-- The twin of migrations/sqlite, which has the comments in full.

create table subscriptions (
    mailbox                     bigint  not null references mailboxes (id),
    id                          uuid    not null,
    creator                     text    collate "C" not null,
    resource                    text    not null,
    of_folders                  boolean not null,
    folder_id                   text    collate "C",
    change_type                 text    not null,
    notification_url            text    not null,
    lifecycle_notification_url  text,
    client_state                text,
    tls_version                 text    not null,
    created_date_time           bigint  not null,
    expiration_date_time        bigint  not null,
    delivered_seq               bigint  not null,
    attempts                    bigint  not null,
    next_attempt_date_time      bigint  not null,
    lifecycle_event             text,
    lifecycle_attempts          bigint  not null,
    next_lifecycle_date_time    bigint  not null,
    reminded_of_date_time       bigint,
    lease_owner                 uuid,
    lease_until_date_time       bigint,
    primary key (mailbox, id)
);

create index subscriptions_by_creator on subscriptions (creator, id);

-- The last attempts of each, for whoever wants to know what became of them.
create table deliveries (
    mailbox           bigint not null,
    subscription_id   uuid   not null,
    pos               bigint not null,
    attempt_date_time bigint not null,
    about             text   not null,
    attempt           bigint not null,
    notifications     bigint not null,
    first_seq         bigint,
    last_seq          bigint,
    status            bigint,
    error             text,
    primary key (mailbox, subscription_id, pos),
    foreign key (mailbox, subscription_id) references subscriptions (mailbox, id) on delete cascade
);

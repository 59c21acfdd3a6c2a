//! The metrics. Operators rely on their names, types and labels (docs/metrics.md).

use crate::metrics::kinds::{
    Age, Counter, Counters, Gauge, GaugePairs, Gauges, Histogram, Histograms, Metric, Pairs, label,
};

/// Bounds of most periods, in microseconds: half a millisecond to ten seconds.
pub(crate) const TIMES: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

label!(
    /// Why a request was refused before its work began.
    Refused, "reason":
    TokenRate = "token_rate", AddressRate = "address_rate", InFlight = "in_flight", InFlightEach = "in_flight_each",
    Buffered = "buffered", UnknownToken = "unknown_token", GraphThrottle = "graph_throttle", Confirmations = "confirmations",
    BodySize = "body_size", BodyTime = "body_time", Head = "head",
);
label!(
    /// The state of a connection.
    Conn, "state": Active = "active", Idle = "idle",
);
label!(
    /// Why the server closed a connection.
    Closed, "reason":
    Idle = "idle", SlowHead = "slow_head", SlowBody = "slow_body", SlowReader = "slow_reader", TooMany = "too_many",
    Address = "address",
);
label!(
    /// How a TLS handshake ended.
    Handshake, "result": Ok = "ok", Failed = "failed",
);
label!(
    /// The kind of a credential.
    Credential, "kind": Stored = "stored", Named = "named", Provider = "provider", Dev = "dev",
);
label!(
    /// The result of checking a credential.
    Auth, "result":
    Ok = "ok", Unknown = "unknown", Expired = "expired", Revoked = "revoked", Disabled = "disabled", Denied = "denied",
    Failed = "failed",
);
label!(
    /// How something ended.
    Done, "result": Ok = "ok", Failed = "failed",
);
label!(
    /// How a write ended.
    Write, "result":
    Ok = "ok", Refused = "refused", Failed = "failed", Panicked = "panicked", GaveUp = "gave_up",
);
label!(
    /// The kind of a read.
    Query, "kind": Get = "get", Page = "page", Count = "count", Search = "search", Delta = "delta", Expand = "expand",
);
label!(
    /// The state of a read connection.
    Reader, "state": Busy = "busy", Idle = "idle",
);
label!(
    /// The database server of a connection. A SQLite file is the primary.
    Server, "server": Primary = "primary", Standby = "standby",
);
label!(
    /// How the database failed.
    Fault, "kind":
    Full = "full", Io = "io", Busy = "busy", Lost = "lost", Corrupt = "corrupt", Other = "other",
);
label!(
    /// The outcome of a read on a standby.
    Standby, "result": Fresh = "fresh", Behind = "behind", Failed = "failed",
);
label!(
    /// The outcome of a commit whose answer was lost.
    Lookup, "result": Found = "found", Absent = "absent", Unknown = "unknown",
);
label!(
    /// How a notification ended.
    Notified, "result": Taken = "taken", Refused = "refused", Failed = "failed", Dropped = "dropped",
);
label!(
    /// The kind of row that a purge removed.
    Purged, "what":
    Contacts = "contacts", Folders = "folders", Changes = "changes", Audit = "audit", Keys = "keys",
);

macro_rules! metrics {
    ($($name:ident: $kind:ty = $made:expr;)+) => {
        $(pub(crate) static $name: $kind = $made;)+

        /// All metrics, in the order in which they are written.
        pub(crate) static ALL: &[&dyn Metric] = &[$(&$name),+];
    };
}

metrics! {
    IN_FLIGHT: Gauge = Gauge::new("contactd_http_requests_in_flight", "Requests in progress.");
    REQUEST_BYTES: Counter = Counter::new("contactd_http_request_bytes_total", "Bytes of request bodies as sent.");
    RESPONSE_BYTES: Counter = Counter::new("contactd_http_response_bytes_total", "Bytes of response bodies as sent.");
    REFUSED: Counters<Refused> = Counters::new("contactd_http_refused_total", "Requests rejected by a limit.");
    CONNECTIONS: Gauges<Conn> = Gauges::new("contactd_http_connections", "Open connections of clients.");
    CLOSED: Counters<Closed> =
        Counters::new("contactd_http_connections_closed_total", "Connections that the server closed, by reason.");
    HANDSHAKES: Counters<Handshake> = Counters::new("contactd_tls_handshakes_total", "TLS handshakes.");
    CERTIFICATE_EXPIRY: Gauge = Gauge::unknown(
        "contactd_tls_certificate_expiry_timestamp_seconds", "End of the certificate that is served, as Unix time.");
    AUTH: Pairs<Credential, Auth> = Pairs::new("contactd_auth_total", "Credentials that were checked.");
    KEY_FETCHES: Counters<Done> =
        Counters::new("contactd_provider_key_fetches_total", "Fetches of the identity provider's keys.");
    KEYS_AGE: Age = Age::new("contactd_provider_keys_age_seconds", "Age of the identity provider's keys.");

    QUEUED: Gauge = Gauge::new("contactd_store_write_queue_jobs", "Writes that wait for the writer.");
    WAITED: Histogram =
        Histogram::durations("contactd_store_write_wait_seconds", "Time for which a write waited for the writer.", TIMES);
    COMMIT: Histogram =
        Histogram::durations("contactd_store_commit_duration_seconds", "Time of a commit with its sync.", TIMES);
    COMMIT_JOBS: Histogram = Histogram::numbers(
        "contactd_store_commit_jobs", "Writes that shared a commit.", &[1, 2, 4, 8, 16, 32, 64, 128, 256]);
    WRITES: Counters<Write> = Counters::new("contactd_store_writes_total", "Writes by result.");
    QUERIES: Histograms<Query> =
        Histograms::durations("contactd_store_query_duration_seconds", "Time of a read with its wait for a connection.");
    INTERRUPTED: Counter =
        Counter::new("contactd_store_queries_interrupted_total", "Reads that exceeded --query-timeout.");
    READERS: GaugePairs<Reader, Server> = GaugePairs::new("contactd_store_readers", "Open connections for reads.");
    READER_WAIT: Histogram = Histogram::durations(
        "contactd_store_reader_wait_seconds", "Time for which a read waited for a connection.", TIMES);
    FAULTS: Counters<Fault> = Counters::new("contactd_store_errors_total", "Errors of the database by kind.");
    DATABASE_BYTES: Gauge = Gauge::unknown("contactd_sqlite_database_bytes", "Size of the database file.");
    WAL_BYTES: Gauge = Gauge::unknown("contactd_sqlite_wal_bytes", "Size of the write-ahead log.");
    FREE_BYTES: Gauge =
        Gauge::unknown("contactd_sqlite_free_bytes", "Unused space in the database file.");
    DISK_FREE: Gauge =
        Gauge::unknown("contactd_sqlite_disk_free_bytes", "Free space of the file system of the database.");
    CONNECTS: Counters<Done> =
        Counters::new("contactd_postgres_connects_total", "Attempts to connect to a PostgreSQL server.");
    STANDBY_READS: Counters<Standby> =
        Counters::new("contactd_postgres_standby_reads_total", "Reads that were sent to a standby.");
    LOOKUPS: Counters<Lookup> = Counters::new(
        "contactd_postgres_commit_lookups_total", "Commits whose acknowledgement was lost, by outcome.");
    USERS: Gauge = Gauge::unknown("contactd_users", "Users.");
    CONTACTS: Gauge =
        Gauge::unknown("contactd_contacts", "Contacts of all mailboxes, including deleted ones that are not purged.");
    DELETED: Gauge = Gauge::unknown(
        "contactd_deleted_contacts", "Deleted contacts of all mailboxes that are not purged.");
    OLDEST_CHANGE: Gauge = Gauge::unknown(
        "contactd_changes_oldest_timestamp_seconds", "Time of the oldest change that delta can still report, as Unix time.");
    AUDIT_ROWS: Counter = Counter::new("contactd_audit_rows_total", "Entries that were written to the audit log.");
    SUBSCRIPTIONS: Gauge = Gauge::unknown("contactd_subscriptions", "Subscriptions to change notifications.");
    NOTIFICATIONS: Counters<Notified> =
        Counters::new("contactd_notifications_total", "Deliveries of change notifications by result.");
    NOTIFICATION_DELAY: Histogram = Histogram::durations(
        "contactd_notification_delay_seconds", "Time from a change to the delivery of its notification.",
        &[10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000, 60_000_000, 300_000_000, 3_600_000_000]);
    BACKLOG: Gauge = Gauge::unknown(
        "contactd_notification_backlog_changes", "Changes that are not delivered to subscriptions yet.");
    PURGED: Counters<Purged> = Counters::new("contactd_purged_total", "Rows that purges removed.");
    PURGE_SUCCESS: Gauge = Gauge::unknown(
        "contactd_purge_last_success_timestamp_seconds", "End of the last purge without failures, as Unix time.");
}

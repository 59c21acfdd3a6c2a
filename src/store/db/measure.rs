//! Figures of the database for the metrics, read when they are asked for.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::domain::error::Error;
use crate::metrics::list::{
    BACKLOG, CONTACTS, DATABASE_BYTES, DELETED, DISK_FREE, FREE_BYTES, OLDEST_CHANGE, SUBSCRIPTIONS, USERS, WAL_BYTES,
};
use crate::store::db::engine::Session;
use crate::store::db::files::with_suffix;
use crate::store::db::statement::Statement;
use crate::store::{Store, StoreLocation};

/// Interval between counts of rows.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);

/// The oldest entry of the change log that delta reaches, as Unix time; the time of none is 0. It looks at one entry of each mailbox.
const OLDEST: &str = "
select cast(coalesce(min(oldest), 0) / 1000000 as bigint) from (
    select (
        select changed_date_time from changes where mailbox = m.id and seq > coalesce((
            select max(seq) from changes where mailbox = m.id and kept), 0)
        order by seq limit 1) as oldest
    from mailboxes m
) first";

impl Store {
    /// Updates the gauges of the database. A gauge whose value cannot be read keeps its last value.
    pub(crate) async fn measure(&self) {
        self.shared.readers.measure();
        if let StoreLocation::File(opened) = &self.shared.location {
            measure_files(opened.path());
            let free = "select freelist_count * page_size from pragma_freelist_count(), pragma_page_size()";
            self.read_gauge(free, &FREE_BYTES).await;
        }
        let backlog = "
select cast(coalesce(sum(m.seq - s.delivered_seq), 0) as bigint)
from subscriptions s join mailboxes m on m.id = s.mailbox";
        self.read_gauge(backlog, &BACKLOG).await;
        if self.shared.probe.is_due(Instant::now(), COUNT_INTERVAL) {
            self.read_gauge("select count(*) from users", &USERS).await;
            // The mailboxes' counters, so that no contact is read.
            self.read_gauge("select cast(coalesce(sum(contacts), 0) as bigint) from mailboxes", &CONTACTS).await;
            self.read_gauge("select count(*) from subscriptions", &SUBSCRIPTIONS).await;
            // From their partial index, which has only these rows.
            self.read_gauge("select count(*) from contacts where deleted_date_time is not null", &DELETED).await;
            self.read_gauge(OLDEST, &OLDEST_CHANGE).await;
        }
    }

    async fn read_gauge(&self, text: &'static str, gauge: &crate::metrics::kinds::Gauge) {
        let read = async |session: &mut Session| session.count(Statement::new(text)).await;
        let found: Result<i64, Error> = self.shared.probe.read(read).await;
        match found {
            Ok(number) => gauge.set(number),
            Err(error) => tracing::debug!(%error, "a figure cannot be read"),
        }
    }
}

fn measure_files(path: &Path) {
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| i64::try_from(file.len()).unwrap_or(i64::MAX));
    DATABASE_BYTES.set(size(path));
    WAL_BYTES.set(size(&with_suffix(path, "-wal")));
    if let Ok(found) = rustix::fs::statvfs(path) {
        DISK_FREE.set(i64::try_from(found.f_bavail.saturating_mul(found.f_frsize)).unwrap_or(i64::MAX));
    }
}

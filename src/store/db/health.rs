//! Health and readiness of the store. No check waits for a connection that clients' reads use.

use std::path::Path;
use std::time::Duration;

use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::db::faults::reason;
use crate::store::db::migrate;
use crate::store::db::statement::Statement;
use crate::store::{Store, StoreLocation};

/// Time limit for the writer to answer a job that does nothing.
const WRITER_TIMEOUT: Duration = Duration::from_secs(1);
/// Free space below which a SQLite file's disk counts as full, in bytes.
const MIN_FREE_BYTES: u64 = 64 << 20;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check.
    pub what: &'static str,
    /// The finding, for the operator.
    pub found: Result<String, String>,
}

impl Store {
    /// Reads one row, and checks that the writer runs.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot answer.
    pub async fn check(&self) -> Result<(), Error> {
        self.writer()?.check()?;
        if let StoreLocation::File(opened) = &self.shared.location {
            opened.check_paths()?;
        }
        self.shared.probe.read(read_a_row).await
    }

    /// Whether requests should be sent here: the schema is not older than this program, a row can be read, the writer answers, and
    /// the disk has space, or, on PostgreSQL, there is a primary. Takes some seconds if the database hangs.
    pub async fn readiness(&self) -> Vec<Finding> {
        let read = self.shared.probe.read(async |session: &mut Session| {
            read_a_row(session).await?;
            migrate::versions(session).await
        });
        let (read, writer) = tokio::join!(read, self.ask_writer());
        let schema = match &read {
            Err(_) => Err("not known".to_owned()),
            Ok((needed, found)) if found < needed => Err(format!("{found}, but this program needs {needed}")),
            Ok((_, found)) => Ok(format!("{found} ok")),
        };
        let read = read.map_err(|error| reason(&error));
        let location = match &self.shared.location {
            StoreLocation::File(opened) => {
                let found = match opened.check_paths() {
                    Ok(()) => disk(opened.path()),
                    Err(error) => Err(reason(&error)),
                };
                Finding { what: "disk", found }
            }
            StoreLocation::Cluster(_) => Finding { what: "primary", found: read.clone().map(|_| "ok".to_owned()) },
        };
        vec![
            Finding { what: "schema", found: schema },
            Finding { what: "read", found: read.map(|_| "ok".to_owned()) },
            Finding { what: "writer", found: writer },
            location,
        ]
    }

    /// Whether the writer's thread answers. An error is an answer too.
    pub(crate) async fn answers(&self, within: Duration) -> bool {
        match self.writer() {
            Ok(writer) => tokio::time::timeout(within, writer.write(None, async |_| Ok(()))).await.is_ok(),
            // The store is being closed.
            Err(_) => true,
        }
    }

    async fn ask_writer(&self) -> Result<String, String> {
        let writer = self.writer().map_err(|error| reason(&error))?;
        match tokio::time::timeout(WRITER_TIMEOUT, writer.write(None, async |_| Ok(()))).await {
            Ok(Ok(())) => Ok("ok".to_owned()),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_) => Err("does not respond within a second".to_owned()),
        }
    }
}

async fn read_a_row(session: &mut Session) -> Result<(), Error> {
    session.row(Statement::new("select epoch from store")).await.map(drop)
}

/// The free space of the file system of a file.
fn disk(path: &Path) -> Result<String, String> {
    let found = rustix::fs::statvfs(path).map_err(|error| error.to_string())?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!("{} MiB free", free >> 20);
    if free < MIN_FREE_BYTES { Err(text) } else { Ok(text) }
}

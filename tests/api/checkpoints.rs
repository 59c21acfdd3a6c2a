//! Checkpoints of the write-ahead log, by the server or by a program that replicates the log, like Litestream.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::program::{Place, Program, contactd, fails, serve_dev};

fn serve(database: &Path, checkpoint: &str) -> Program {
    let mut command = serve_dev(database);
    command.args(["--wal-checkpoint", checkpoint]);
    Program::start(command)
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Number of contacts that cause a checkpoint.
const FILLED: i64 = 200;

/// In many commits, more megabytes than the log may have before a checkpoint.
fn fill(server: &Program) {
    let ann = server.user("ann");
    let notes = "0123456789abcdef ".repeat(6_000);
    for _ in 0..FILLED {
        assert_eq!(ann.post("/me/contacts", json!({"personalNotes": notes})).status, 201);
    }
}

/// The number of contacts, as another program reads it.
fn count(connection: &Connection) -> i64 {
    connection.query_row("select count(*) from contacts", [], |row| row.get(0)).unwrap()
}

#[test]
fn the_server_checkpoints_its_write_ahead_log() {
    let place = Place::new();
    let database = place.0.path().join("contacts.db");
    let server = serve(&database, "auto");
    fill(&server);
    assert!(size(&database) > 4_000_000, "{}", size(&database));
}

#[test]
fn with_checkpoints_off_a_replica_of_the_write_ahead_log_is_complete() {
    let place = Place::new();
    let database = place.0.path().join("contacts.db");
    let log = place.0.path().join("contacts.db-wal");
    let server = serve(&database, "off");
    let before = size(&database);
    fill(&server);
    assert!(size(&database) == before && size(&log) > 6_000_000, "{before} {} {}", size(&database), size(&log));

    // A replica reads the log. Its own read transaction keeps the log from being overwritten.
    let replica = Connection::open(&database).unwrap();
    replica.busy_timeout(Duration::from_secs(5)).unwrap();
    replica.execute_batch("begin").unwrap();
    assert_eq!(count(&replica), FILLED);
    let copy = place.0.path().join("copy.db");
    std::fs::copy(&database, &copy).unwrap();
    std::fs::copy(&log, place.0.path().join("copy.db-wal")).unwrap();
    replica.execute_batch("commit").unwrap();
    let restored = Connection::open(&copy).unwrap();
    restored.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    assert_eq!(count(&restored), FILLED);
    drop(restored);
    let (code, text) = fails(contactd(&["check", "--database", copy.to_str().unwrap()]));
    assert_eq!((code, text.as_str()), (0, ""));

    // It makes a checkpoint while the server writes. No write is refused.
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let ann = server.user("ann");
            let mut written = 0;
            while written < 20 || !done.load(Ordering::SeqCst) {
                assert_eq!(ann.post("/me/contacts", json!({"title": "meanwhile"})).status, 201);
                written += 1;
            }
            written
        });
        for _ in 0..20 {
            let move_it = "pragma wal_checkpoint(truncate)";
            let busy: i64 = replica.query_row(move_it, [], |row| row.get(0)).unwrap();
            assert_eq!(busy, 0);
        }
        done.store(true, Ordering::SeqCst);
        writer.join().unwrap()
    });
    assert!(size(&database) > 6_000_000 && size(&log) < 4_000_000, "{} {}", size(&database), size(&log));
    assert_eq!(count(&replica), FILLED + written);
    drop(replica);

    // What is in the file and in the log is there after a crash.
    server.signal("KILL");
    drop(server);
    let server = serve(&database, "off");
    let found = server.user("ann").get("/me/contacts/$count").body;
    assert_eq!(String::from_utf8_lossy(&found).trim_start_matches('\u{feff}'), (FILLED + written).to_string());
}

//! The ready-made temporary database equals what the migrations make. After a new migration, update it with
//! `UPDATE_READY_MADE=1 cargo test --lib ready_made`. Until then a debug build runs the migrations for each temporary database, which
//! is slower, and a release build has the old schema.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::engine::Session;
use super::statement::Statement;
use crate::store::db::creation::{READY_MADE, READY_MADE_OF, digest, fill_temporary};
use crate::store::db::file_options::plain_options;

/// Where the header has the version of SQLite that wrote the file last (<https://www.sqlite.org/fileformat.html>, section 1.3).
const WRITER: std::ops::Range<usize> = 92..100;

/// A temporary file by the migrations, which does not say when they ran.
async fn made() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contacts.db");
    fs::File::create(&path).unwrap();
    fill_temporary(&path).await.unwrap();
    let mut session = Session::open(&plain_options(&path)).await.unwrap();
    let times = Statement::new("update refinery_schema_history set applied_on = '1970-01-01T00:00:00Z'");
    session.execute(times).await.unwrap();
    // Free space keeps no old bytes, such as the times.
    session.execute(Statement::new("vacuum")).await.unwrap();
    session.close().await;
    fs::read(path).unwrap()
}

#[tokio::test]
async fn the_ready_made_database_is_what_the_migrations_make() {
    let made = made().await;
    if std::env::var_os("UPDATE_READY_MADE").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/db");
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&made).unwrap();
        fs::write(folder.join("ready_made.db.gz"), packed.finish().unwrap()).unwrap();
        fs::write(folder.join("ready_made.sha256"), digest() + "\n").unwrap();
        return;
    }
    let how = "it has other migrations: update it with UPDATE_READY_MADE=1 cargo test --lib ready_made";
    assert_eq!(READY_MADE_OF.trim(), digest(), "{how}");
    let mut kept = Vec::new();
    GzDecoder::new(READY_MADE).read_to_end(&mut kept).unwrap();
    kept[WRITER].copy_from_slice(&made[WRITER]);
    assert_eq!(kept.len(), made.len(), "{how}");
    let differs: Vec<_> = (0..made.len()).filter(|at| kept[*at] != made[*at]).collect();
    assert!(differs.is_empty(), "{how}; the first difference is at {:?}", differs.first());
}

//! Checks a database for faults: the engine's own integrity check, and the rules between rows. It changes nothing, and reads
//! one snapshot, also beside a running server.

mod words;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;

use crate::domain::error::Error;
use crate::domain::fold::FOLDING;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::database::Database;
use crate::store::db::derived::UNFINISHED;
use crate::store::db::engine::{Session, plain_options};
use crate::store::db::faults::OpenError;
use crate::store::db::migrate::Schema;
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::statement::Statement;
use crate::store::db::{faults, files, migrate};

/// Maximum number of faults of a kind that are reported.
const MAX_FAULTS: i64 = 20;

/// How thorough a check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Verify {
    /// Everything: each page, each row, and the search index.
    #[default]
    Full,
    /// The structure of the file, and the counters.
    Quick,
    /// Nothing.
    Off,
}

/// Checks a database. Returns a line for each fault.
///
/// # Errors
/// One line: the check could not run.
pub async fn check(database: &Database, verify: Verify) -> Result<Vec<String>, OpenError> {
    match database {
        Database::Temporary => Err(OpenError::new(":memory:", "only the process that created it can open it")),
        Database::Postgres(address) => {
            let reason = |error: Error| OpenError::of(address, &error);
            let cluster = Cluster::new(address);
            migrate::postgres_schema(&cluster)
                .await
                .and_then(Schema::check_current)
                .map_err(|why| OpenError::new(address, why))?;
            let session = cluster.primary(Use::Operate).await.map_err(reason)?;
            faults_of(session, verify).await.map_err(|error| OpenError::of(address, &error))
        }
        Database::File(path) => {
            let refused = |why: String| OpenError::new(path.display(), why);
            let real = files::resolve_links(path);
            if std::fs::metadata(&real).is_ok_and(|file| file.len() == 0) {
                return Err(refused("the file is empty and is not a database".to_owned()));
            }
            let _opened = OpenedDatabase::register(&real).map_err(refused)?;
            faults_of_file(&real, verify).await.map_err(refused)
        }
    }
}

/// The same for a backup. If it has an older schema, only its structure is checked.
pub(in crate::store) async fn check_copy(path: &Path, verify: Verify) -> Result<Vec<String>, String> {
    if verify == Verify::Off {
        return Ok(Vec::new());
    }
    let faults = structure(path, verify).await?;
    if !faults.is_empty() {
        return Ok(faults);
    }
    match migrate::sqlite_schema(&read_only_options(path)).await? {
        Schema::Current => rows(path, verify).await,
        Schema::Older(_) => Ok(Vec::new()),
        Schema::Other(why) => Err(why),
    }
}

async fn faults_of_file(path: &Path, verify: Verify) -> Result<Vec<String>, String> {
    let faults = structure(path, verify).await?;
    if !faults.is_empty() {
        return Ok(faults);
    }
    migrate::sqlite_schema(&read_only_options(path)).await.and_then(Schema::check_current)?;
    rows(path, verify).await
}

/// SQLite's integrity check.
async fn structure(path: &Path, verify: Verify) -> Result<Vec<String>, String> {
    let text = match verify {
        Verify::Full => "pragma integrity_check(20)",
        Verify::Quick | Verify::Off => "pragma quick_check(20)",
    };
    let look = async {
        let mut session = Session::open(&read_only_options(path)).await?;
        let found = session.rows(Statement::new(text)).await;
        session.close().await;
        found?.iter().map(|row| row.get::<String>(0)).collect::<Result<Vec<_>, _>>()
    };
    let lines = damage_is_a_fault(look.await)?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

async fn rows(path: &Path, verify: Verify) -> Result<Vec<String>, String> {
    let look = async { faults_of(Session::open(&read_only_options(path)).await?, verify).await };
    damage_is_a_fault(look.await)
}

/// Reading a damaged file may fail. That counts as a fault, and not as an error of the check.
fn damage_is_a_fault(found: Result<Vec<String>, Error>) -> Result<Vec<String>, String> {
    match found {
        Err(error) if faults::is_damage(&error) => Ok(vec![faults::reason(&error)]),
        found => found.map_err(|error| faults::reason(&error)),
    }
}

/// Options to open a file for a check. An existing log is not changed; if there is none, SQLite creates one and removes it
/// again.
fn read_only_options(path: &Path) -> SqliteConnectOptions {
    plain_options(path).foreign_keys(false).read_only(files::with_suffix(path, "-wal").exists())
}

/// Checks a file within a time limit; a large file is checked only in part.
///
/// # Errors
/// One line.
pub(in crate::store) async fn at_start(path: &Path, time: Duration) -> Result<(), String> {
    let look = async {
        let mut session = Session::open(&read_only_options(path)).await?;
        session.set_time_limit(time).await?;
        let found = session.row(Statement::new("pragma quick_check(1)")).await;
        session.close().await;
        found?.map_or(Ok(String::new()), |row| row.get(0))
    };
    let damaged = |what: &str| {
        format!("it is damaged ({what}): restore a backup with contactd restore; contactd check shows the details")
    };
    match look.await {
        Ok(line) if line == "ok" => Ok(()),
        Ok(line) => Err(damaged(line.lines().last().unwrap_or_default())),
        Err(Error::Inefficient) => Ok(()),
        Err(error) if faults::is_damage(&error) => Err(damaged(&faults::reason(&error))),
        Err(error) => Err(faults::reason(&error)),
    }
}

async fn faults_of(mut session: Session, verify: Verify) -> Result<Vec<String>, Error> {
    let found = faults_of_rows(&mut session, verify).await;
    session.close().await;
    found
}

async fn faults_of_rows(session: &mut Session, verify: Verify) -> Result<Vec<String>, Error> {
    session.execute(Statement::per_engine("begin", "begin isolation level repeatable read")).await?;
    let mut faults = Vec::new();
    let folding = session.row(Statement::new("select folding from store")).await?.map(|row| row.get::<i64>(0));
    match folding.transpose()? {
        Some(FOLDING) | None => {}
        Some(UNFINISHED) => faults.push("store: a copy into it is not finished".to_owned()),
        Some(other) => faults.push(format!("store: its search keys are of another contactd ({other}, not {FOLDING})")),
    }
    for rule in RULES.iter().filter(|rule| verify == Verify::Full || rule.quick) {
        let rows = session.rows(Statement::per_engine(rule.sqlite, rule.postgres).bind(MAX_FAULTS)).await?;
        for row in &rows {
            faults.push(format!("{}: {}", rule.about, row.get::<String>(0)?));
        }
    }
    if verify == Verify::Full {
        words::check(session, &mut faults).await?;
    }
    session.execute(Statement::new("rollback")).await?;
    Ok(faults)
}

/// A rule between rows. The statements return a text for each fault, at most `$1`.
struct Rule {
    about: &'static str,
    quick: bool,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! rule {
    ($about:literal, $quick:literal, $text:expr) => {
        Rule { about: $about, quick: $quick, sqlite: $text, postgres: $text }
    };
    // The engines differ in how an id is printed.
    ($about:literal, $quick:literal, $before:literal, id $id:literal, $after:literal) => {
        Rule {
            about: $about,
            quick: $quick,
            sqlite: concat!($before, "lower(hex(", $id, "))", $after),
            postgres: concat!($before, $id, $after),
        }
    };
}

const RULES: &[Rule] = &[
    Rule {
        about: "reference",
        quick: false,
        sqlite: "
select \"table\" || ': a row' || coalesce(' ' || rowid, '') || ' refers to a row of ' || parent || ' that is not there'
from pragma_foreign_key_check limit $1",
        // PostgreSQL enforces foreign keys itself.
        postgres: "select '' where false limit $1",
    },
    rule!(
        "counter",
        true,
        "
select 'mailbox ' || m.id || ' is at number ' || m.seq || ', and a row of it has ' || max(w.number)
from mailboxes m join (
    select mailbox, seq as number from changes
    union all select mailbox, version from contacts
    union all select mailbox, version from folders
    union all select mailbox, version from photos
    union all select mailbox, version from extensions
    union all select mailbox, version from extension_writes
    union all select mailbox, version from master_categories
    union all select mailbox, version from cards
) w on w.mailbox = m.id
group by m.id, m.seq having max(w.number) > m.seq order by m.id limit $1"
    ),
    rule!(
        "counter",
        true,
        "
select 'mailbox ' || m.id || ' counts ' || m.contacts || ' contacts, and has ' || coalesce(c.number, 0)
from mailboxes m left join (select mailbox, count(*) as number from contacts group by mailbox) c on c.mailbox = m.id
where m.contacts <> coalesce(c.number, 0) order by m.id limit $1"
    ),
    rule!(
        "counter",
        true,
        "
select 'folder ' || f.id || ' of mailbox ' || f.mailbox || ' counts ' || f.contacts || ' contacts, and has '
    || coalesce(c.number, 0)
from folders f left join (
    select mailbox, parent_folder_id, count(*) as number from contacts where deleted_date_time is null
    group by mailbox, parent_folder_id
) c on c.mailbox = f.mailbox and c.parent_folder_id = f.id
where f.contacts <> coalesce(c.number, 0) order by f.mailbox, f.id limit $1"
    ),
    rule!(
        "counter",
        false,
        "
select 'mailbox ' || m.id || ' counts ' || m.bytes || ' bytes, and has ' || coalesce(b.number, 0)
from mailboxes m left join (
    select mailbox, sum(size) as number from (
        select mailbox, size from contacts
        union all select mailbox, size from photos where deleted_date_time is null
        union all select mailbox, octet_length(name) + octet_length(value) from extension_members
        union all select mailbox, octet_length(id) + octet_length(value) from single_values
        union all select mailbox, octet_length(id) from multi_value_properties
        union all select mailbox, octet_length(value) from multi_values
        union all select mailbox, octet_length(id) + octet_length(value) from folder_single_values
        union all select mailbox, octet_length(id) from folder_multi_value_properties
        union all select mailbox, octet_length(value) from folder_multi_values
        union all select mailbox, octet_length(text) from card_texts
        union all select mailbox, octet_length(value) from dav_properties
    ) as held group by mailbox
) b on b.mailbox = m.id
where m.bytes <> coalesce(b.number, 0) order by m.id limit $1"
    ),
    rule!(
        "folder",
        false,
        "
with recursive reached (mailbox, id) as (
    select mailbox, id from folders where parent_folder_id is null
    union select f.mailbox, f.id from folders f join reached r on f.mailbox = r.mailbox and f.parent_folder_id = r.id
)
select id || ' of mailbox ' || mailbox || ' is inside itself' from folders f
where not exists (select 1 from reached r where r.mailbox = f.mailbox and r.id = f.id) limit $1"
    ),
    rule!(
        "photo",
        false,
        "
    select 'of contact ' || ",
        id "p.contact_id",
        " || ' of mailbox ' || p.mailbox || ' has ' || count(k.pos)
    || ' pieces of ' || coalesce(sum(length(k.bytes)), 0) || ' bytes, and should have ' || p.size
from photos p left join photo_chunks k on k.mailbox = p.mailbox and k.contact_id = p.contact_id
group by p.mailbox, p.contact_id, p.size, p.deleted_date_time
having case when p.deleted_date_time is null
    then coalesce(sum(length(k.bytes)), 0) <> p.size or max(k.pos) + 1 <> count(k.pos) or min(k.pos) <> 0
    else count(k.pos) > 0 end
limit $1"
    ),
    rule!(
        "change log",
        false,
        "
    select 'contact ' || ",
        id "c.id",
        " || ' of mailbox ' || c.mailbox || ' was written with number ' || c.version
    || ', and the log has no such change of it'
from contacts c
where c.version >= (select min(seq) from changes where mailbox = c.mailbox and not kept)
    and not exists (select 1 from changes l where l.mailbox = c.mailbox and l.seq = c.version and l.contact_id = c.id)
limit $1"
    ),
];

//! Litestream itself, which `tests/run` installs, replicates the database of a running server with the configuration
//! `docker/litestream.yml`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::app::Client;
use crate::program::{Place, Program, contactd, fails, serve_dev};

const CLIENTS: i64 = 4;
/// The contacts of a client. All together are larger than the log that Litestream leaves.
const CONTACTS: i64 = 40;
/// How long an acknowledged write may take to the replica; Litestream copies once a second.
const LIMIT: Duration = Duration::from_mins(3);

fn litestream(arguments: &[&str]) -> Command {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/recipes/litestream/node_modules/@flydotio");
    let mut command = Command::new(packages.join(format!("litestream-linux-{machine}/litestream")));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Litestream while it replicates; killed when dropped.
struct Replication {
    child: Child,
    replica: PathBuf,
}

impl Replication {
    /// With the image's configuration, for the folders of a place.
    fn start(place: &Place) -> Self {
        let (settings, replica) = (place.file("litestream.yml"), place.file("replica"));
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docker/litestream.yml")).unwrap();
        assert!(shipped.contains("path: /data/contacts.db\n") && shipped.contains("path: /replica\n"), "{shipped}");
        let folder = place.0.path().to_str().unwrap();
        let here = shipped.replace("path: /data/", &format!("path: {folder}/"));
        std::fs::write(&settings, here.replace("path: /replica", &format!("path: {folder}/replica"))).unwrap();
        let mut command = litestream(&["replicate", "-config", settings.to_str().unwrap()]);
        let child = command.stderr(Stdio::null()).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("{error}: tests/run installs what this needs")), replica }
    }

    /// Restores the replica to a new file.
    fn restore(&self, copy: &Path) -> Result<(), String> {
        let from = format!("file://{}", self.replica.display());
        let restored = litestream(&["restore", "-o", copy.to_str().unwrap(), &from]).output().unwrap();
        let text = String::from_utf8_lossy(&restored.stderr).into_owned();
        if restored.status.success() { Ok(()) } else { Err(text) }
    }

    /// Waits until the replica has so many contacts.
    fn wait_for(&self, contacts: i64) {
        let started = Instant::now();
        loop {
            let place = Place::new();
            let count = self.restore(&place.database()).map(|()| {
                let copy = Connection::open(place.database()).unwrap();
                copy.query_row("select count(*) from contacts", [], |row| row.get::<_, i64>(0)).unwrap()
            });
            if count == Ok(contacts) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "{count:?} instead of {contacts}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fill(ann: &Client, client: i64) {
    let notes = "0123456789abcdef ".repeat(2_000);
    for i in 0..CONTACTS {
        let contact = json!({"displayName": format!("{client}-{i}"), "personalNotes": notes});
        assert_eq!(ann.post("/v1.0/me/contacts", contact).status, 201);
    }
}

/// All contacts with all their properties.
fn contacts(server: &Program) -> Vec<Value> {
    let (ann, mut found) = (server.user("ann"), Vec::new());
    let mut path = "/v1.0/me/contacts?$top=100".to_owned();
    loop {
        let mut page = ann.get(&path).json(200);
        found.append(page["value"].as_array_mut().unwrap());
        match page["@odata.nextLink"].as_str().and_then(|link| link.split_once(&server.address)) {
            Some((_, next)) => next.clone_into(&mut path),
            None => return found,
        }
    }
}

fn serve(database: &Path) -> Program {
    let mut command = serve_dev(database);
    command.args(["--wal-checkpoint", "off"]);
    Program::start(command)
}

#[test]
fn litestream_replicates_all_acknowledged_contacts_of_a_server_that_writes() {
    let place = Place::new();
    let database = place.database();
    let mut server = serve(&database);
    let replication = Replication::start(&place);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let ann = server.user("ann");
            scope.spawn(move || fill(&ann, client));
        }
    });
    replication.wait_for(CLIENTS * CONTACTS);
    // Litestream moves the log into the file.
    let started = Instant::now();
    while std::fs::metadata(&database).unwrap().len() < 1_000_000 {
        assert!(started.elapsed() < LIMIT, "no checkpoint");
        std::thread::sleep(Duration::from_millis(100));
    }

    // It continues over a restart of the server.
    server.signal("TERM");
    assert!(server.ended(LIMIT).success(), "{}", server.log());
    let server = serve(&database);
    fill(&server.user("ann"), CLIENTS);
    let all = (CLIENTS + 1) * CONTACTS;
    replication.wait_for(all);

    // The machine is lost. The replica is restored on another.
    let expected = contacts(&server);
    assert_eq!(i64::try_from(expected.len()), Ok(all));
    server.signal("KILL");
    let copy = place.file("copy.db");
    replication.restore(&copy).unwrap();
    drop(replication);
    let (code, text) = fails(contactd(&["check", "--database", copy.to_str().unwrap()]));
    assert_eq!((code, text.as_str()), (0, ""));
    let restored = serve(&copy);
    assert_eq!(contacts(&restored), expected);
    assert_eq!(restored.user("ann").post("/v1.0/me/contacts", json!({"displayName": "later"})).status, 201);
}

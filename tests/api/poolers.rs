//! Debian's pgbouncer in front of a real server, in each of its modes. Time budget: 15 seconds.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::app::SEED_REQUEST;
use crate::postgres::Postgres;
use crate::program::{Program, contactd, fails};

const REFUSED: &str = "a pooler in front of the server gives one session several server processes, but contactd needs a session \
                       of its own for prepared statements, settings (synchronous_commit, time limits) and advisory locks: \
                       use pgbouncer with pool_mode = session and server_reset_query = DISCARD ALL, or connect directly\n";

/// A running pgbouncer, with Debian's settings but for the mode. It is killed when it is dropped.
struct Pooler {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Pooler {
    fn start(mode: &str, server: &Postgres) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}/users\npool_mode = {mode}\n",
            server.port(),
            folder.path().display(),
        );
        // pgbouncer drops root privileges, and the tests' folders are private.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.path().join("users"), "\"contactd\" \"\"\n").unwrap();
        std::fs::write(folder.path().join("settings"), settings).unwrap();
        let child = Self::run(folder.path());
        let pooler = Self { child, folder, port };
        pooler.wait();
        pooler
    }

    fn run(folder: &Path) -> Child {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/pgbouncer/usr");
        let is_unpacked = unpacked.join("sbin/pgbouncer").exists();
        let program = if is_unpacked { unpacked.join("sbin/pgbouncer") } else { "/usr/sbin/pgbouncer".into() };
        let mut command = Command::new(program);
        command.arg("--quiet").arg(folder.join("settings")).stdin(Stdio::null()).stderr(Stdio::null());
        if is_unpacked {
            command.env("LD_LIBRARY_PATH", unpacked.join("lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)));
        }
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(65534).gid(65534);
        }
        command.spawn().unwrap_or_else(|error| panic!("pgbouncer, which tests/run unpacks: {error}"))
    }

    fn wait(&self) {
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it with all its connections, and starts it again.
    fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::run(self.folder.path());
        self.wait();
    }

    fn url(&self) -> String {
        format!("postgres://contactd@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_pooler_in_session_mode_serves_and_may_restart() {
    let server = Postgres::start(&[]);
    let mut pooler = Pooler::start("session", &server);
    let serve =
        || Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &pooler.url()]));
    let (one, other) = (serve(), serve());
    let ann = one.user("ann");
    let id = ann.post("/me/contacts/$ref", SEED_REQUEST).id();
    let path = format!("/me/contacts/{id}");
    assert_eq!(other.user("ann").get(&path).json(200)["id"], id.as_str());
    pooler.restart();
    // 503 means that nothing was written, because the lost connection was noticed before anything was sent.
    let started = Instant::now();
    let changed = loop {
        let changed = ann.patch(&path, json!({"title": "two"}));
        if changed.status != 503 || started.elapsed() > Duration::from_secs(20) {
            break changed;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(changed.json(200)["title"], "two");
    assert_eq!(other.user("ann").get(&path).json(200)["title"], "two");
    assert!(!one.log().contains("panicked"), "{}", one.log());
}

#[test]
fn a_pooler_that_shares_sessions_is_refused_at_startup_with_a_reason() {
    let server = Postgres::start(&[]);
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(mode, &server);
        let at = format!("postgres://127.0.0.1:{}/postgres", pooler.port);
        // The second time with the state that the first run left in the server's processes.
        for _ in 0..2 {
            let refused = fails(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &pooler.url()]));
            assert_eq!(refused, (1, format!("contactd: {at}: {REFUSED}")), "{mode}");
        }
        let refused = fails(contactd(&["user", "list", "--database", &pooler.url()]));
        assert_eq!(refused, (1, format!("contactd: {at}: {REFUSED}")), "{mode}");
    }
    assert_eq!(server.query("select count(*) from pg_tables where schemaname = 'public'"), "0");

    // The standby is read through a pooler, and the primary is not.
    let standby = server.standby("reader", &[]);
    let pooler = Pooler::start("transaction", &standby);
    let direct = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &server.url()];
    let refused = fails(contactd(&[&direct[..], &["--database-read", &pooler.url()]].concat()));
    assert_eq!(refused, (1, format!("contactd: postgres://127.0.0.1:{}/postgres: {REFUSED}", pooler.port)));
}

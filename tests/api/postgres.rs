//! PostgreSQL servers for the tests: real processes on 127.0.0.1 (Linux), which a test may kill, freeze and promote.
//!
//! Processes and their folders in `$TMPDIR` do not outlive the test process, however it
//! ends. A guardian, which is a shell in its own session (so that Ctrl-C does not reach it), runs each server.
//! It executes commands from a pipe. When the pipe closes, it ends the server and removes the folder. Each
//! server starts from a copy of one freshly made data folder, since `initdb` takes longer than all the rest.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is of tests, of which none uses all of it: it panics where something is wrong"
)]

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Timeout of every operation of a server.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The settings of every server. They are given on the command line, which a standby does not inherit.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("wal_level", "replica"),
    ("max_wal_senders", "5"),
    ("hot_standby", "on"),
    // A standby that was offline gets what it missed, and reconnects to its primary at once.
    ("wal_keep_size", "256MB"),
    ("wal_retrieve_retry_interval", "100ms"),
    // In the data folder, not in /dev/shm, where a killed server would leave it.
    ("dynamic_shared_memory_type", "mmap"),
];

/// Executes each line of its input. At the end of the input it removes everything. SIGQUIT is repeated, because a server that has
/// just started may not handle it yet, and SIGCONT wakes a frozen server. A killed server cannot remove its
/// System V segment. Its id is in line 7 of the pid file, which remains too.
const GUARDIAN: &str = r#"
trap '' PIPE
folder=$(mktemp -d -t contactd-postgres.XXXXXX 2>/dev/null || mktemp -d /tmp/contactd-postgres.XXXXXX)
cd "$folder" && echo "$folder" || exit
while read -r line; do eval "$line" </dev/null; done
while [ "$pid" ] && kill -QUIT "$pid"; do kill -CONT "$pid"; sleep 0.02; done
set -- $(sed -n 7p data/postmaster.pid)
[ "$2" ] && ipcrm -m "$2"
cd /
for attempt in 1 2 3 4 5; do rm -rf "$folder" && break; sleep 1; done
"#;

/// A running PostgreSQL server with its own data folder and port on 127.0.0.1. It is removed when dropped.
pub struct Postgres {
    url: String,
    port: u16,
    /// `None` for the server of `TEST_DATABASE_URL`, which the tests do not control.
    guardian: Option<Guardian>,
}

impl Postgres {
    /// The server that all tests of this process share: the existing one of `TEST_DATABASE_URL`, otherwise a
    /// private one, which is started once.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
            Ok(url) if !url.is_empty() => {
                let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).split(['/', '?']).next();
                let port = host.and_then(|host| host.rsplit_once(':')?.1.parse().ok()).unwrap_or(5432);
                Self { url, port, guardian: None }
            }
            _ => Self::start(&[]),
        })
    }

    /// A server for one test, with settings as in postgresql.conf. `alter system` does not change those given here.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        static TEMPLATE: OnceLock<Guardian> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let mut guardian = Guardian::new(&[]);
            // A locale that does not sort by code point, if available, so that tests detect queries that rely on the order.
            let initdb = "initdb -D data -U contactd --auth=trust --no-sync --encoding=UTF8 --locale=C.UTF-8";
            guardian.run(&format!("{initdb} --locale-provider=icu --icu-locale=en || {initdb}"));
            guardian
        });
        let mut guardian = Guardian::new(settings);
        guardian.run(&format!("cp -a {} data", quoted(&template.folder.join("data").to_string_lossy())));
        Self::launch(guardian)
    }

    /// A running and connected streaming hot standby of this server; `name` is its application_name.
    pub fn standby(&self, name: &str, settings: &[(&str, &str)]) -> Self {
        let primary = format!("host=127.0.0.1 port={} user=contactd application_name={name}", self.port);
        let mut guardian = Guardian::new(settings);
        let options = "-D data -R --checkpoint=fast --wal-method=stream --no-sync";
        guardian.run(&format!("pg_basebackup {options} -d {}", quoted(&primary)));
        let standby = Self::launch(guardian);
        let streams = format!(
            "select count(*) from pg_stat_replication where application_name = '{name}' and state = 'streaming'"
        );
        standby.guardian().wait("it does not stream", || self.query(&streams) == "1");
        standby
    }

    fn launch(mut guardian: Guardian) -> Self {
        // Another process may take the port first.
        let port = std::iter::repeat_with(free_port).find(|&port| guardian.start(port)).unwrap();
        Self { url: format!("postgres://contactd@127.0.0.1:{port}/postgres"), port, guardian: Some(guardian) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The `postgres://` URL of its database `postgres`, as a superuser without a password.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Creates an empty schema.
    pub fn schema(&self) -> Schema {
        // Unique in this process, in others, and in earlier runs against the same server.
        let name = format!("t{}_{:016x}", std::process::id(), random());
        self.query(&format!("create schema {name}"));
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}options=-c%20search_path%3D{name}", self.url);
        Schema { url, name, stays: self.guardian.is_none() }
    }

    /// Runs a statement. Returns its value as text, empty if it has none.
    pub fn query(&self, sql: &str) -> String {
        psql(&self.url, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// SIGKILL, as in a crash. When it returns, all processes of the server have ended.
    pub fn kill(&mut self) {
        let guardian = self.guardian_mut();
        // Its children would outlive it for a moment and still answer.
        let processes = guardian.freeze();
        signal("KILL", &processes);
        guardian.wait("it survived SIGKILL", || processes.iter().all(|&process| state(process).is_none()));
        guardian.reap();
    }

    /// SIGSTOP for all its processes, to simulate a hang: the kernel still accepts connections, and nothing answers.
    pub fn freeze(&self) {
        self.guardian().freeze();
    }

    /// SIGCONT, after [`Self::freeze`].
    pub fn thaw(&self) {
        signal("CONT", &self.guardian().processes());
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`], on the same port and data.
    pub fn restart(&mut self) {
        let port = self.port;
        assert!(self.guardian_mut().start(port), "somebody else has taken port {port}");
    }

    /// Fast shutdown: transactions are rolled back and connections closed.
    pub fn stop(&mut self) {
        let guardian = self.guardian_mut();
        let postmaster = guardian.postmaster();
        signal("INT", &[postmaster]);
        guardian.wait("it does not stop", || state(postmaster).is_none());
        guardian.reap();
    }

    /// Promotes a standby to primary. Returns when it accepts writes.
    pub fn promote(&self) {
        assert_eq!(self.query("select pg_promote()"), "t");
    }

    fn guardian(&self) -> &Guardian {
        self.guardian.as_ref().expect("the server of TEST_DATABASE_URL is not the tests' to touch: start one")
    }

    fn guardian_mut(&mut self) -> &mut Guardian {
        self.guardian();
        self.guardian.as_mut().unwrap()
    }
}

/// The schema of one test, as a URL whose connections see only it. When dropped, it is removed from a server that remains.
pub struct Schema {
    pub url: String,
    pub name: String,
    stays: bool,
}

impl Schema {
    /// The same schema on a replica.
    pub fn on(&self, from: &Postgres, to: &Postgres) -> Self {
        let url = self.url.replace(&format!(":{}/", from.port), &format!(":{}/", to.port));
        Self { url, name: self.name.clone(), stays: false }
    }

    /// As [`Postgres::query`], in the schema.
    pub fn query(&self, sql: &str) -> String {
        psql(&self.url, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if self.stays {
            // A schema that the test left locked is not removed, so that a failing test does not hang.
            let _ = psql(&self.url, &format!("set lock_timeout = '5s'; drop schema {} cascade", self.name));
        }
    }
}

/// The shell that owns a folder and the server in it, see [`GUARDIAN`].
struct Guardian {
    child: Child,
    /// `None` when it must end. The standard library does not pass it to other child processes, so that it closes with this process.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    folder: PathBuf,
    /// The server's command line without the port.
    command: String,
    /// The server's process id while it runs. The guardian has not waited for it yet, so no other process can have the id.
    postmaster: Option<u32>,
}

impl Guardian {
    fn new(settings: &[(&str, &str)]) -> Self {
        let mut shell = Command::new("setsid");
        shell.args(["sh", "-c", GUARDIAN]).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Without the caller's settings such as PGOPTIONS, or a HOME that the server's user cannot read.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(programs("initdb")).chain(std::env::split_paths(&path));
        shell.env_clear().env("PATH", std::env::join_paths(path).unwrap()).env("TMPDIR", std::env::temp_dir());
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            // The server refuses to run as root.
            let users = fs::read_to_string("/etc/passwd").unwrap();
            let user = |name| users.lines().find(|line| line.split(':').next() == Some(name));
            let user: Vec<_> = user("postgres").or_else(|| user("nobody")).unwrap().split(':').collect();
            shell.uid(user[2].parse().unwrap()).gid(user[3].parse().unwrap());
        }
        let mut child = shell.spawn().expect("setsid, of util-linux");
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let settings = SETTINGS.iter().chain(settings).map(|(name, value)| quoted(&format!("{name}={value}")));
        let command = format!("postgres -D data -c {}", settings.collect::<Vec<_>>().join(" -c "));
        let mut guardian = Self { child, input, output, folder: PathBuf::new(), command, postmaster: None };
        guardian.folder = guardian.answer().into();
        guardian
    }

    /// Runs a command, which must succeed.
    fn run(&mut self, command: &str) {
        let status = self.tell(&format!("{{ {command}; }} >>log 2>&1; echo $?"));
        assert_eq!(status, "0", "{command}\n{}", self.log());
    }

    /// Starts the server and waits until it accepts connections. Returns false if the port is in use.
    fn start(&mut self, port: u16) -> bool {
        assert_eq!(self.postmaster, None, "it runs");
        let answer = self.tell(&format!("{} -p {port} >>log 2>&1 & pid=$!; echo $pid", self.command));
        let postmaster = answer.parse().unwrap();
        self.postmaster = Some(postmaster);
        // Its pid file shows this, as for pg_ctl; a connection might be answered by another server.
        let ready = || {
            let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
            let lines: Vec<_> = file.lines().map(str::trim).collect();
            lines.first() == Some(&answer.as_str()) && lines.get(7) == Some(&"ready")
        };
        self.wait("it does not start", || ready() || state(postmaster).is_none());
        if state(postmaster).is_none() {
            self.reap();
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err(), "it ended\n{}", self.log());
        }
        self.postmaster.is_some()
    }

    /// Reaps the ended server, which releases its process id.
    fn reap(&mut self) {
        self.tell("wait; pid=; echo");
        self.postmaster = None;
    }

    fn postmaster(&self) -> u32 {
        self.postmaster.expect("it does not run")
    }

    /// The postmaster, and its children after it.
    fn processes(&self) -> Vec<u32> {
        let postmaster = self.postmaster();
        let process_ids =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let children = process_ids.filter(|&process| state(process).is_some_and(|(_, parent)| parent == postmaster));
        std::iter::once(postmaster).chain(children).collect()
    }

    /// Stops all its processes, and returns them.
    fn freeze(&self) -> Vec<u32> {
        let stop = |processes: &[u32]| {
            signal("STOP", processes);
            let stopped = |&process: &u32| state(process).is_none_or(|(state, _)| state == 'T');
            self.wait("it does not freeze", || processes.iter().all(stopped));
        };
        // The postmaster first, so that it starts no more processes.
        stop(&[self.postmaster()]);
        let processes = self.processes();
        stop(&processes);
        processes
    }

    /// Sends a command and returns the line that answers it.
    fn tell(&mut self, line: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the guardian ended\n{}", self.log());
        line.trim_end().to_owned()
    }

    fn wait(&self, otherwise: &str, mut done: impl FnMut() -> bool) {
        let started = Instant::now();
        while !done() {
            assert!(started.elapsed() < PATIENCE, "{otherwise}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last part of the log of the guardian and its server.
    fn log(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if self.postmaster.is_some() {
            // A frozen child would delay the shutdown by five seconds.
            signal("CONT", &self.processes());
        }
        self.input = None;
        let _ = self.child.wait();
    }
}

/// The folder with this program of PostgreSQL. psql may be installed without a server.
pub fn programs(name: &str) -> PathBuf {
    static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let folders = FOLDERS.get_or_init(|| {
        let config = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().into_iter();
        let config = config.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut versions: Vec<u32> =
            versions.filter_map(|version| version.file_name().to_str()?.parse().ok()).collect();
        versions.sort_unstable_by(|one, other| other.cmp(one));
        let versions = versions.iter().map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
        let path = std::env::var_os("PATH").unwrap_or_default();
        config.chain(versions).chain(std::env::split_paths(&path)).collect()
    });
    let found = folders.iter().find(|folder| folder.join(name).is_file());
    found.expect("PostgreSQL is needed for the tests and is not installed: run tests/run, which installs it").clone()
}

fn psql(url: &str, sql: &str) -> Result<String, String> {
    let mut command = Command::new(programs("psql").join("psql"));
    command.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Not a port of the kernel's choice: it also gives those to clients, which may hold the port when a killed server
/// wants it back, or even connect to themselves while it is down.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| 16384 + (random() % 16384) as u16);
    ports.find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()).unwrap()
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Sends a signal to those processes that still exist.
fn signal(name: &str, processes: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(format!("-{name}")).args(processes.iter().map(u32::to_string)).stderr(Stdio::null());
    command.status().unwrap();
}

/// The state letter of a process, and its parent. `None` if it has ended.
fn state(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before these fields may contain any character.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.parse().ok()?;
    if matches!(state, 'Z' | 'X') { None } else { Some((state, fields.next()?.parse().ok()?)) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

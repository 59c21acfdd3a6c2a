//! The lifetime of a server that depends on its parent process or on the command it was started for.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::app::Client;
use crate::program::{Program, contactd, fails};

/// Time after which a test fails, far longer than it needs.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);
const SERVE: [&str; 6] = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"];

fn serve(flags: &[&str]) -> Command {
    contactd(&[&SERVE, flags].concat())
}

fn exec(flags: &[&str], script: &str) -> Command {
    contactd(&[&["exec"], flags, &["--", "sh", "-c", script]].concat())
}

fn is_running(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
}

#[track_caller]
fn assert_ends(pid: &str) {
    let started = Instant::now();
    while is_running(pid) {
        assert!(started.elapsed() < TEST_TIMEOUT, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn exec_runs_a_command_with_its_own_server_and_exits_with_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script = format!(
        "curl -s -o {} -w '%{{http_code}}' -H 'Authorization: Bearer ann' \
         -H 'Content-Type: application/json' -d '{{\"givenName\": \"Ann\"}}' $CONTACTD_URL/v1.0/me/contacts; \
         printf ' %s' \"${{CONTACTD_CONTROL_URL#$CONTACTD_URL}}\"; exit 7",
        seen.display()
    );
    // Environment variables of another server are not passed on.
    let mut command = exec(&[], &script);
    command.env("CONTACTD_DATABASE", folder.path().join("mine.db")).env("CONTACTD_LISTEN", "127.0.0.1:1");
    let output = command.output().unwrap();
    let (out, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), out.as_str()), (Some(7), "201 /_contactd"), "{log}");
    assert!(std::fs::read_to_string(seen).unwrap().contains("\"givenName\":\"Ann\""));
    assert!(!folder.path().join("mine.db").exists());
    // The log has only the command's own output and one line of the server.
    assert!(log.starts_with("contactd listening on http://127.0.0.1:") && log.lines().count() == 1, "{log}");
    for (script, code) in [("true", 0), ("kill -TERM $$", 128 + 15)] {
        assert_eq!(fails(exec(&[], script)).0, code, "{script}");
    }
    for (program, code) in [("/no/such/program", 127), ("/", 126)] {
        let (status, text) = fails(contactd(&["exec", "--", program]));
        assert!(status == code && text.contains(&format!("contactd: {program}: ")), "{status} {text}");
    }
    let (status, text) = fails(contactd(&["exec", "--stop-with-stdin", "--", "true"]));
    assert!(status == 1 && text.contains("--stop-with-stdin"), "{text}");
    assert_eq!(fails(contactd(&["exec"])).0, 2);
}

#[test]
fn exec_makes_the_command_trust_its_tls_server() {
    let folder = tempfile::tempdir().unwrap();
    let script = "test \"$SSL_CERT_FILE\" = \"$NODE_EXTRA_CA_CERTS\" -a \"$SSL_CERT_FILE\" = \"$REQUESTS_CA_BUNDLE\" && \
                  curl -s -o /dev/null -w '%{http_code}' --cacert \"$SSL_CERT_FILE\" -H 'Authorization: Bearer ann' $CONTACTD_URL/me";
    let mut command = exec(&["--tls"], script);
    command.env("XDG_DATA_HOME", folder.path());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn exec_forwards_signals_to_the_command_and_leaves_no_process() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let mut child = exec(&[], "echo $$; exec sleep 1000").spawn().unwrap();
        let mut command = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut command).unwrap();
        let command = command.trim();
        assert!(is_running(command));
        let server = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &server]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(128 + number), "{signal}");
        assert_ends(command);
    }
}

#[test]
fn a_server_stops_when_its_standard_input_ends() {
    let mut command = serve(&["--stop-with-stdin"]);
    command.stdin(Stdio::piped());
    let mut server = Program::start(command);
    let ann = server.user("ann");
    assert_eq!(ann.get("/me").status, 200);
    drop(server.child.stdin.take());
    assert_eq!(server.ended(TEST_TIMEOUT).code(), Some(0), "{}", server.log());
    // The system closes the pipe however the parent ends.
    let script = "
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
print(child.pid, child.stderr.readline().split('//')[1].strip(), flush=True)
time.sleep(1000)
";
    let mut parent = Command::new("python3");
    parent.args(["-c", script, env!("CARGO_BIN_EXE_contactd")]).args(SERVE).arg("--stop-with-stdin");
    let mut parent = parent.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (pid, address) = line.trim().split_once(' ').unwrap();
    // With an open connection.
    let ann = Client::new(address, "ann");
    assert_eq!(ann.get("/me").status, 200);
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert_ends(pid);
    assert!(ann.try_send("GET", "/me", None).is_err());
}

#[test]
fn a_file_has_the_address_of_the_server_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready");
    std::fs::write(&file, "http://127.0.0.1:1\n").unwrap();
    let mut server = Program::start(serve(&["--ready-file", file.to_str().unwrap()]));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", server.origin));
    server.signal("TERM");
    assert_eq!(server.ended(TEST_TIMEOUT).code(), Some(0));
    let remaining: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(remaining.is_empty(), "{remaining:?}");
    let nowhere = Path::new("/no/such/folder/ready");
    let (code, text) = fails(serve(&["--ready-file", nowhere.to_str().unwrap()]));
    assert_eq!(code, 1);
    assert!(text.starts_with("contactd: --ready-file ") && text.contains("folder"), "{text}");
}

#[test]
fn a_test_server_prints_only_its_address_by_default() {
    for (flags, is_quiet) in [(&[][..], true), (&["--log-level", "info"], false)] {
        let mut server = Program::start(serve(flags));
        assert_eq!(server.user("ann").post("/me/contacts", "{}").status, 201);
        server.signal("TERM");
        assert_eq!(server.ended(TEST_TIMEOUT).code(), Some(0));
        assert_eq!(server.log() == format!("contactd listening on {}\n", server.origin), is_quiet, "{}", server.log());
    }
}

#[test]
fn a_server_stops_if_its_standard_input_has_already_ended() {
    let mut child = serve(&["--stop-with-stdin"]).spawn().unwrap();
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(log.starts_with("contactd listening on "), "{log}");
}

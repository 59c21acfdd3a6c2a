//! Readiness of the real program: what makes it unready, and how a server stops behind a load balancer.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::app::SEED_REQUEST;
use crate::program::{Place, Program, contactd, fails, serve_dev};
use crate::receiver::until;

const STOP: Duration = Duration::from_mins(1);

/// Runs `contactd health`. Returns its exit status and message.
fn health(server: &Program) -> (i32, String) {
    let output = contactd(&["health", "--ready", "--listen", &server.address]).output().unwrap();
    let message = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.code().unwrap(), String::from_utf8(message).unwrap())
}

#[test]
fn the_command_says_whether_a_server_is_ready_and_why_not() {
    let place = Place::new();
    let mut server = Program::start(serve_dev(&place.database()));
    assert_eq!(health(&server), (0, format!("{} is ready\n", server.address)));
    fs::rename(place.database(), place.file("away.db")).unwrap();
    until(|| health(&server).0 == 1);
    let (_, message) = health(&server);
    assert!(message.starts_with(&format!("contactd: {}: responded with 503: ", server.address)), "{message}");
    assert!(message.contains("disk the database file was removed under the running server"), "{message}");
    fs::rename(place.file("away.db"), place.database()).unwrap();
    until(|| health(&server).0 == 0);
    server.signal("TERM");
    server.ended(STOP);
    assert_eq!(health(&server).0, 2);
}

#[test]
fn a_server_with_a_blocked_writer_is_not_ready() {
    let place = Place::new();
    let server = Program::start(serve_dev(&place.database()));
    let ann = server.user("ann");
    ann.post("/me/contacts/$ref", SEED_REQUEST);
    // Another process holds the write lock, and the writer waits for it.
    let other = rusqlite::Connection::open(place.database()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Acquire) {
                server.user("ann").post("/me/contacts", "{}");
            }
        });
        until(|| server.user("").get("/readyz").text().contains("[-]writer does not respond within a second"));
        other.execute_batch("rollback").unwrap();
        until(|| server.user("").get("/readyz").status == 200);
        end.store(true, Ordering::Release);
    });
}

/// A load balancer polls and sends each request on a new connection until the server says that it is not ready. With
/// the delay none of them is refused.
#[test]
fn behind_a_load_balancer_no_request_is_refused_while_the_server_stops() {
    let place = Place::new();
    let mut command = serve_dev(&place.database());
    command.args(["--drain-delay", "5"]);
    let mut server = Program::start(command);
    let is_ready = AtomicBool::new(true);
    let created = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = 0;
                    while is_ready.load(Ordering::Acquire) {
                        assert_eq!(server.user("ann").post("/me/contacts/$ref", SEED_REQUEST).status, 201);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        server.signal("TERM");
        let signalled = Instant::now();
        until(|| server.user("").get("/readyz").text().contains("[-]shutdown is stopping"));
        assert_eq!(server.user("").get("/livez").status, 200);
        // The load balancer notices it after a while.
        std::thread::sleep(Duration::from_secs(1).saturating_sub(signalled.elapsed()));
        is_ready.store(false, Ordering::Release);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<i32>()
    });
    assert!(created > 3, "{created}");
    // A second signal ends the delay.
    server.signal("TERM");
    assert_eq!(server.ended(STOP).code(), Some(0));
    let kept = contactd(&["check", "--database", place.database().to_str().unwrap()]);
    assert_eq!(fails(kept).0, 0);
}

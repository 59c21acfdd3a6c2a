//! Several processes on one PostgreSQL server, standbys, and a failing primary, all real. Time budget: 60 seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::{Answer, Client, SEED_REQUEST};
use crate::both::following::Follower;
use crate::postgres::{Postgres, Schema};
use crate::program::{Program, contactd};
use crate::storm::Answers;

fn serve(database: &str, more: &[&str]) -> Program {
    let arguments = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", database];
    Program::start(contactd(&[&arguments[..], more].concat()))
}

fn titles(client: &Client) -> Vec<String> {
    let list = client.get("/me/contacts?$top=1000").json(200);
    list["value"].as_array().unwrap().iter().map(|contact| contact["title"].as_str().unwrap_or("").to_owned()).collect()
}

/// Asserts that the change log has every change once, and the last change of every contact.
fn assert_exact(schema: &Schema) {
    let gaps = "
select count(*) from mailboxes m
where seq <> (select count(*) from changes c where c.mailbox = m.id) or seq <> (select max(seq) from changes c where c.mailbox = m.id)";
    assert_eq!(schema.query(gaps), "0");
    assert_logged(schema);
}

/// Asserts that the change log has the last change of every contact.
fn assert_logged(schema: &Schema) {
    let unlogged = "
select count(*) from contacts c where not exists (
    select from changes l where l.mailbox = c.mailbox and l.seq = c.version and l.contact_id = c.id
        and l.removed = (c.deleted_date_time is not null))";
    assert_eq!(schema.query(unlogged), "0");
}

#[test]
fn two_processes_lose_no_update_and_log_one_sequence_of_changes() {
    let schema = Postgres::shared().schema();
    let servers = [serve(&schema.url, &[]), serve(&schema.url, &[])];
    let ann = servers[0].user("ann");
    let counter = ann.post("/me/contacts", json!({"title": "0"})).id();
    let kept: Vec<_> = (0..25).map(|i| ann.post("/me/contacts", json!({"title": format!("kept {i}")})).id()).collect();
    let path = format!("/me/contacts/{counter}");
    let writing = AtomicUsize::new(8);
    let (created, walks) = std::thread::scope(|scope| {
        let (servers, path, writing) = (&servers, path.as_str(), &writing);
        let writers: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || {
                    let created = write(servers, path, thread);
                    writing.fetch_sub(1, Ordering::SeqCst);
                    created
                })
            })
            .collect();
        // Meanwhile delta and next links are followed, alternating between the processes.
        scope.spawn(move || {
            let mut follower = Follower::new(&servers[0].user("ann"), "/me/contacts");
            for round in 1.. {
                let last = writing.load(Ordering::SeqCst) == 0;
                follower.round(3);
                if last {
                    break;
                }
                follower.client = servers[round % 2].user("ann");
            }
            follower.check();
        });
        let mut walks = 0;
        while walks < 3 || writing.load(Ordering::SeqCst) > 0 {
            let mut next = Some("/me/contacts?$top=7".to_owned());
            let mut found = Vec::new();
            for page in 0.. {
                let Some(path) = next else { break };
                let client = servers[(walks + page) % 2].user("ann");
                let body = client.get(path.split_once("/me").map_or("", |(host, _)| &path[host.len()..])).json(200);
                let ids =
                    body["value"].as_array().unwrap().iter().map(|contact| contact["id"].as_str().unwrap().to_owned());
                found.extend(ids);
                next = body.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            }
            let distinct: BTreeSet<_> = found.iter().collect();
            assert_eq!(distinct.len(), found.len(), "none comes twice");
            assert!(kept.iter().all(|id| distinct.contains(id)), "none that was there throughout is left out");
            walks += 1;
        }
        let created: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        (created, walks)
    });
    assert!(walks >= 3);
    let lists = [0, 1].map(|server: usize| {
        let list = servers[server].user("ann").get("/me/contacts?$top=1000").body;
        String::from_utf8(list).unwrap().replace(&servers[server].address, "HOST")
    });
    assert_eq!(lists[0], lists[1]);
    assert_eq!(ann.get(&path).json(200)["title"], "80");
    let titles: Vec<_> = titles(&ann).into_iter().filter(|title| title.starts_with("new")).collect();
    let found: BTreeSet<_> = titles.iter().collect();
    assert_eq!(found.len(), titles.len());
    assert_eq!(found, created.iter().collect());
    assert_eq!(schema.query("select count(*) from users"), "1");
    assert_exact(&schema);
}

/// The work of one writer: ten increments of the counter with `If-Match`, and contacts that are created and deleted.
fn write(servers: &[Program; 2], counter: &str, thread: usize) -> Vec<String> {
    let mut kept = Vec::new();
    for i in 0..10 {
        loop {
            let read = servers[(thread + i) % 2].user("ann").get(counter);
            let next: i64 = read.json(200)["title"].as_str().unwrap().parse::<i64>().unwrap() + 1;
            let other = servers[(thread + i + 1) % 2].user("ann").with("If-Match", &read.header("etag"));
            let written = other.patch(counter, json!({"title": next.to_string()}));
            if written.status == 200 {
                assert_eq!(written.json(200)["title"], next.to_string());
                break;
            }
            assert_eq!(written.error().0, 412);
        }
        let title = format!("new {thread}-{i}");
        let client = servers[(thread + i) % 2].user("ann");
        let id =
            client.post("/me/contacts", json!({"title": title, "parentFolderId": format!("folder {}", i % 3)})).id();
        let other = servers[(thread + i + 1) % 2].user("ann");
        assert_eq!(
            other.get(&format!("/me/contacts/{id}")).json(200)["title"],
            title,
            "what is answered here is read there"
        );
        if i % 2 == 0 {
            kept.push(title);
        } else {
            other.delete(&format!("/me/contacts/{id}")).empty(204);
            assert_eq!(client.get(&format!("/me/contacts/{id}")).status, 404);
        }
    }
    kept
}

#[test]
fn a_killed_process_leaves_complete_contacts_and_the_other_process_continues() {
    let schema = Postgres::shared().schema();
    let mut dying = serve(&schema.url, &[]);
    let living = serve(&schema.url, &[]);
    let dead = AtomicBool::new(false);
    let answered: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let (ann, dead) = (if client % 2 == 0 { dying.user("ann") } else { living.user("ann") }, &dead);
                scope.spawn(move || {
                    let mut answered = Vec::new();
                    let mut after = 0;
                    while after < 10 {
                        match ann.try_send("POST", "/me/contacts/$ref", Some(SEED_REQUEST.into())) {
                            Ok(answer) => answered.push(answer.id()),
                            Err(error) => {
                                assert!(client % 2 == 0 && dead.load(Ordering::SeqCst), "{error}");
                                break;
                            }
                        }
                        after += usize::from(dead.load(Ordering::SeqCst));
                    }
                    answered
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(400));
        dead.store(true, Ordering::SeqCst);
        dying.child.kill().unwrap();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let ann = living.user("ann");
    assert!(answered.iter().all(|id| ann.get(&format!("/me/contacts/{id}")).status == 200));
    let contacts = schema.query("select count(*) from contacts");
    for table in ["emails", "phones", "addresses", "websites", "flags", "categories", "im_addresses", "children"] {
        assert_eq!(schema.query(&format!("select count(*) from {table}")), contacts, "half a contact in {table}");
    }
    assert_exact(&schema);
}

#[test]
fn lists_come_from_a_standby_only_if_it_has_the_clients_own_writes() {
    let primary = Postgres::start(&[]);
    let mut standby = primary.standby("reader", &[]);
    let schema = primary.schema();
    let server = serve(&schema.url, &["--database-read", &schema.on(&primary, &standby).url]);
    let ann = server.user("ann");
    // Only lists read this table on the standby.
    let pages = "select coalesce(sum(seq_scan + idx_scan), 0) from pg_stat_user_tables where relname = 'contacts'";
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !done() {
            assert!(started.elapsed() < Duration::from_mins(1), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let old = ann.post("/me/contacts", json!({"title": "old"})).header("contactd-position");
    wait("no list came from the standby", &|| {
        assert_eq!(titles(&ann), ["old"]);
        standby.query(pages) != "0"
    });

    // While the standby is frozen, reads see the client's own writes from the primary.
    standby.query("select pg_wal_replay_pause()");
    wait("it does not pause", &|| standby.query("select pg_get_wal_replay_pause_state()") == "paused");
    let new = ann.post("/me/contacts", json!({"title": "new"})).header("contactd-position");
    assert_eq!(titles(&ann), ["old", "new"]);
    // A client that sends its position does not need the primary.
    assert_eq!(titles(&ann.with("Contactd-Position", &old)), ["old"]);
    assert_eq!(titles(&ann.with("Contactd-Position", &new)), ["old", "new"]);
    // Neither does a mailbox that the standby does not have yet.
    assert_eq!(server.user("bob").post("/me/contacts", json!({"title": "his"})).status, 201);
    assert_eq!(titles(&server.user("bob")), ["his"]);
    standby.query("select pg_wal_replay_resume()");
    wait("it does not go on", &|| titles(&ann.with("Contactd-Position", &old)).len() == 2);

    // The standby crashes, restarts and hangs. No request fails.
    let stop = AtomicBool::new(false);
    let lists = Answers::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(titles(&ann), ["old", "new"]);
                    lists.add();
                }
            });
        }
        // The readers end with the test's thread, even if it panics.
        let _stop = Stop(&stop);
        lists.wait_for(10, Duration::from_millis(300));
        standby.kill();
        lists.wait_for(20, Duration::from_millis(500));
        standby.restart();
        wait("it is not read again", &|| standby.query(pages) != "0");
        standby.freeze();
        lists.wait_for(50, Duration::from_millis(4_500));
        standby.thaw();
    });
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// Stops the clients when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What happens to the primary.
#[derive(Debug, Clone, Copy)]
enum Failure {
    /// It crashes, and its synchronous standby takes its place.
    KilledAndReplaced,
    /// It is shut down, and its synchronous standby takes its place.
    StoppedAndReplaced,
    /// It crashes and restarts.
    KilledAndRestarted,
}

#[test]
fn after_a_crash_of_the_primary_no_acknowledged_contact_is_lost_or_duplicated() {
    survive(Failure::KilledAndReplaced);
}

#[test]
fn after_a_shutdown_of_the_primary_no_acknowledged_contact_is_lost_or_duplicated() {
    survive(Failure::StoppedAndReplaced);
}

#[test]
fn a_primary_that_crashes_and_restarts_loses_and_duplicates_nothing() {
    survive(Failure::KilledAndRestarted);
}

fn survive(failure: Failure) {
    let mut primary = Postgres::start(&[("synchronous_standby_names", "*")]);
    let standby = primary.standby("heir", &[]);
    let schema = primary.schema();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}/", primary.port(), standby.port());
    let database = schema.url.replace(&format!("127.0.0.1:{}/", primary.port()), &hosts);
    let servers = [serve(&database, &[]), serve(&database, &[])];
    let server = &servers[0];
    let end = AtomicBool::new(false);
    let kept: [Answers; 3] = Default::default();
    let client_states: Vec<ClientState> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..9)
            .map(|i| {
                // Both processes write to each mailbox.
                let client = servers[i / 3 % 2].user(["ann", "bob", "cy"][i % 3]);
                let (kept, end) = (&kept[i % 3], &end);
                scope.spawn(move || storm(&client, i, kept, end))
            })
            .collect();
        let stop = Stop(&end);
        for kept in &kept {
            kept.wait_for(15, Duration::from_millis(200));
        }
        match failure {
            Failure::KilledAndReplaced | Failure::KilledAndRestarted => primary.kill(),
            Failure::StoppedAndReplaced => primary.stop(),
        }
        std::thread::sleep(Duration::from_millis(700));
        // Meanwhile the server answers 503 at once, and keeps running.
        for refused in [server.user("").get("/healthz"), server.user("dan").post("/me/contacts", "{}")] {
            assert_eq!((refused.error().0, refused.header("retry-after").as_str()), (503, "1"));
        }
        match failure {
            Failure::KilledAndRestarted => primary.restart(),
            _ => standby.promote(),
        }
        for kept in &kept {
            kept.wait_for(31, Duration::from_millis(500));
        }
        drop(stop);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(server.user("").get("/healthz").status, 200);
    let survivor =
        schema.on(&primary, if matches!(failure, Failure::KilledAndRestarted) { &primary } else { &standby });
    for (i, user) in ["ann", "bob", "cy"].into_iter().enumerate() {
        let expected: BTreeMap<_, _> = client_states.iter().skip(i).step_by(3).flat_map(Clone::clone).collect();
        let mut found = BTreeMap::new();
        let mut next = Some("/me/contacts?$top=500".to_owned());
        while let Some(path) = next {
            let page = server.user(user).get(&path).json(200);
            for contact in page["value"].as_array().unwrap() {
                let text = |name: &str| contact[name].as_str().unwrap().to_owned();
                let title = text("title");
                assert_eq!(contact["phones"].as_array().map(Vec::len), Some(2));
                assert_eq!(found.insert(title.clone(), (text("id"), text("jobTitle"))), None, "{title} is there twice");
            }
            next = page.get("@odata.nextLink").map(|link: &Value| link.as_str().unwrap().to_owned());
        }
        assert_eq!(found, expected, "{failure:?}");
    }
    let doubled = survivor.query("select count(*) from extensions e join contacts c on c.id = e.contact_id");
    assert_eq!(doubled, survivor.query("select count(*) from contacts"));
    assert_logged(&survivor);
    for server in &servers {
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
}

/// What a client knows is stored, by title: id and job title.
type ClientState = BTreeMap<String, (String, String)>;

/// Creates, changes and deletes contacts until `end`. Each call is repeated until it is answered.
fn storm(client: &Client, number: usize, kept: &Answers, end: &AtomicBool) -> ClientState {
    let mut acknowledged = ClientState::default();
    for i in 0.. {
        let title = format!("{number}-{i}");
        let body = json!({"title": title, "jobTitle": "new", "phones": [{"number": "1"}, {"number": "2"}]});
        let id = call_until_answered(client, "POST", "/me/contacts", Some(&body), 201).id();
        let path = format!("/me/contacts/{id}");
        let mut job = "new";
        if i % 3 == 1 {
            call_until_answered(client, "PATCH", &path, Some(&json!({"jobTitle": "changed"})), 200);
            job = "changed";
        }
        // The change log does not show it; a second try would be refused.
        call_until_answered(client, "POST", &format!("{path}/extensions"), Some(&json!({"extensionName": "a.b"})), 201);
        if i % 3 == 2 {
            call_until_answered(client, "DELETE", &path, None, 204);
        } else {
            acknowledged.insert(title, (id, job.to_owned()));
            kept.add();
        }
        if end.load(Ordering::SeqCst) {
            break;
        }
    }
    acknowledged
}

/// Repeats a call until the answer is not 503. With 503 nothing was written, so a retry duplicates nothing.
fn call_until_answered(client: &Client, method: &str, path: &str, body: Option<&Value>, status: u16) -> Answer {
    let started = Instant::now();
    loop {
        let answer = client.send(method, path, body.map(|body| body.to_string().into_bytes()));
        if answer.status != 503 {
            assert_eq!(answer.status, status, "{method}: {}", String::from_utf8_lossy(&answer.body));
            return answer;
        }
        assert_eq!(answer.error(), (503, "serviceNotAvailable".into(), String::new()));
        assert_eq!(answer.header("retry-after"), "1");
        assert!(started.elapsed() < Duration::from_mins(1), "still refused");
        std::thread::sleep(Duration::from_millis(50));
    }
}

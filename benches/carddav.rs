//! CardDAV beside the Graph API on the same server, on SQLite: `cargo bench --bench carddav`.
//!
//! PUT of new cards beside creates of the same contact; a sync after one change, and the first sync and a listing, of 1,000
//! contacts and of 100,000, with the memory that the large ones take; a multiget of 100 beside a JSON list of 100; and creates
//! with and without the index that syncs use. All kinds take turns, and the result is the ratio within a round.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;

use std::path::Path;
use std::time::{Duration, Instant};

use contactd::domain::contact::Text;
use contactd::domain::handling::Handling;
use contactd::domain::user::UserName;
use contactd::graph::json::contact::read::{Purpose, read};
use contactd::json::Json;
use contactd::odata::shape::Shape;
use contactd::store::{Database, Options, Store};
use load::figures::Figures;
use load::{BODY, Client, Server, by_library, median, together};

const ROUNDS: usize = 5;
/// Duration of one kind in a round.
const SPAN: Duration = Duration::from_millis(1_500);
const CONNECTIONS: [usize; 3] = [1, 16, 64];
const SIZES: [usize; 2] = [1_000, 100_000];
const PAGE: usize = 100;
const BOOK: &str = "/dav/addressbooks/ann/contacts/";
const SPACES: &str = "xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:carddav\"";

/// The contact of `BODY` as a card.
fn card(uid: &str) -> String {
    [
        "BEGIN:VCARD",
        "VERSION:3.0",
        &format!("UID:{uid}"),
        "FN:Ann Lee",
        "N:Lee;Ann;;;",
        "TITLE:Engineer",
        "ORG:Acme",
        "BDAY:1974-07-22",
        "EMAIL;TYPE=WORK:ann@example.org",
        "EMAIL;TYPE=HOME:ann@example.com",
        "TEL;TYPE=WORK:+1 732 555 0102",
        "TEL;TYPE=CELL:+1 732 555 0103",
        "ADR;TYPE=HOME:;;1 Elm;Oslo;;0150;Norway",
        "URL:https://example.org/ann",
        "END:VCARD",
        "",
    ]
    .join("\r\n")
}

/// Stores this many contacts like `BODY`, each with a name of its own.
fn fill(database: &Database, size: usize) {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(database, Options::default()).await.unwrap();
        let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
        let body = Json::read(BODY.as_bytes()).unwrap();
        let patch = read(Shape::Beta, body, Handling::Lenient, Purpose::Create).unwrap();
        for from in (0..size).step_by(500) {
            let named = |i| {
                let mut patch = patch.clone();
                patch.texts[Text::DisplayName as usize] = Some(Some(format!("Person {i}")));
                patch
            };
            store.insert_many(mailbox, (from..from + 500).map(named).collect()).await.unwrap();
        }
        store.close().await;
    });
}

/// A client of one server that sends whole requests.
struct Caller {
    agent: ureq::Agent,
    server: Server,
}

impl Caller {
    fn new(database: &Path) -> Self {
        let server = Server::start(database.to_str().unwrap(), &["ann"]);
        Self { agent: ureq::Agent::config_builder().allow_non_standard_methods(true).build().new_agent(), server }
    }

    fn ask(&self, method: &str, path: &str, depth: &str, kind: &str, body: &str) -> String {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server.address))
            .header("Authorization", "Bearer ann")
            .header("Content-Type", kind)
            .header("Depth", depth);
        let answer = if body.is_empty() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body.to_owned()).unwrap())
        };
        answer.unwrap().into_body().into_with_config().limit(1 << 30).read_to_string().unwrap()
    }

    /// The changes since a token, or all cards.
    fn sync(&self, token: &str) -> String {
        let body = format!(
            "<D:sync-collection {SPACES}><D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level>\
             <D:prop><D:getetag/></D:prop></D:sync-collection>"
        );
        self.ask("REPORT", BOOK, "0", "application/xml", &body)
    }

    fn list(&self) -> String {
        let body = format!("<D:propfind {SPACES}><D:prop><D:getetag/></D:prop></D:propfind>");
        self.ask("PROPFIND", BOOK, "1", "application/xml", &body)
    }

    fn multiget(&self, hrefs: &[&str]) -> String {
        let hrefs = hrefs.iter().map(|href| format!("<D:href>{href}</D:href>")).collect::<Vec<_>>().concat();
        let body = format!(
            "<C:addressbook-multiget {SPACES}><D:prop><D:getetag/><C:address-data/></D:prop>{hrefs}</C:addressbook-multiget>"
        );
        self.ask("REPORT", BOOK, "0", "application/xml", &body)
    }
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    text.split_once(from).unwrap().1.split_once(to).unwrap().0
}

/// The addresses of the cards in an answer.
fn hrefs(text: &str) -> Vec<&str> {
    let hrefs = text.split("<D:href>").skip(1).map(|rest| rest.split_once('<').unwrap().0);
    hrefs.filter(|href| href.len() > BOOK.len()).collect()
}

/// The duration in microseconds.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let done = work();
    (started.elapsed().as_secs_f64() * 1e6, done)
}

struct Report {
    figures: Figures,
}

impl Report {
    fn add(&mut self, name: &str, unit: &str, rounds: &[f64], beside: (&str, &[f64])) {
        let ratios = rounds.iter().zip(beside.1).map(|(own, other)| own / other).collect();
        let values = (median(rounds.to_vec()), median(beside.1.to_vec()));
        println!("{name:<52}{:>11.1} {unit:<9}{:>7.2}  {} ({:.1})", values.0, median(ratios), beside.0, values.1);
        self.figures.add(name, unit, rounds, beside);
    }
}

/// Each client has more cards than it can put in a round.
fn puts(address: &str, round: usize, connections: usize, i: usize) -> Client {
    let request = |n: usize| {
        let name = format!("r{round}-{connections}-{i}-{n}");
        let card = card(&name);
        let head = format!("PUT {BOOK}{name}.vcf HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann");
        format!("{head}\r\nContent-Type: text/vcard\r\nContent-Length: {}\r\n\r\n{card}", card.len()).into_bytes()
    };
    Client::in_turn(address, (0..40_000 / connections.min(16)).map(request).collect())
}

fn writes(folder: &Path, report: &mut Report) {
    let mut rates = CONNECTIONS.map(|_| [Vec::new(), Vec::new()]);
    for round in 0..ROUNDS {
        let database = folder.join(format!("writes{round}.db"));
        let server = Server::start(database.to_str().unwrap(), &["ann"]);
        for (connections, [creates, cards]) in CONNECTIONS.into_iter().zip(&mut rates) {
            creates.push(together(SPAN, connections, |_| Client::creates(&server.address, "ann")));
            cards.push(together(SPAN, connections, |i| puts(&server.address, round, connections, i)));
        }
    }
    for (connections, [creates, cards]) in CONNECTIONS.iter().zip(&rates) {
        report.add(&format!("PUT of a new card, connections: {connections}"), "/s", cards, ("Graph creates", creates));
    }
}

fn reads(folder: &Path, report: &mut Report) {
    let callers = SIZES.map(|size| {
        let database = folder.join(format!("reads{size}.db"));
        fill(&Database::File(database.clone()), size);
        Caller::new(&database)
    });
    let kinds = || SIZES.map(|_| Vec::new());
    let (mut after, mut first, mut lists, mut gets) = (kinds(), kinds(), kinds(), kinds());
    let (mut multiget, mut page) = (Vec::new(), Vec::new());
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        for (at, caller) in callers.iter().enumerate() {
            let idle = caller.server.resident();
            let (micros, all) = timed(|| caller.sync(""));
            let found = hrefs(&all);
            let cards = f64::from(u32::try_from(found.len()).unwrap());
            assert_eq!(found.len(), SIZES[at] + round * 20);
            first[at].push(micros / cards);
            let (micros, listed) = timed(|| caller.list());
            assert_eq!(hrefs(&listed).len(), found.len());
            lists[at].push(micros / cards);
            if round == 0 {
                memory.push((caller.server.peak() - idle) / f64::from(1 << 20));
            }
            let mut token = between(&all, "<D:sync-token>", "</D:sync-token>").to_owned();
            for _ in 0..20 {
                caller.ask("POST", "/me/contacts", "0", "application/json", BODY);
                let (micros, changes) = timed(|| caller.sync(&token));
                assert_eq!(hrefs(&changes).len(), 1);
                between(&changes, "<D:sync-token>", "</D:sync-token>").clone_into(&mut token);
                after[at].push(micros);
                let (micros, texts) = timed(|| caller.multiget(&found[..PAGE]));
                assert_eq!(texts.matches("BEGIN:VCARD").count(), PAGE);
                gets[at].push(micros);
            }
        }
        for _ in 0..20 {
            let (micros, list) = timed(|| callers[1].ask("GET", "/me/contacts?$top=100", "0", "application/json", ""));
            assert_eq!(list.matches("\"id\":").count(), PAGE);
            page.push(micros);
        }
    }
    multiget.append(&mut gets[1]);
    report.add("a sync after one change, of 100,000", "µs", &after[1], ("of 1,000", &after[0]));
    report.add("the first sync of 100,000, each card", "µs", &first[1], ("of 1,000", &first[0]));
    report.add("PROPFIND of 100,000 cards, each card", "µs", &lists[1], ("of 1,000", &lists[0]));
    report.add("a multiget of 100 cards", "µs", &multiget, ("a JSON list of 100", &page));
    report.add("memory of these reads of 100,000", "MiB", &memory[1..], ("of 1,000", &memory[..1]));
}

/// Creates by the library with and without the index of syncs.
fn index(folder: &Path, report: &mut Report) {
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (with, rates) in [true, false].into_iter().zip(&mut rates) {
            let path = folder.join(format!("index-{with}{round}.db"));
            fill(&Database::File(path.clone()), 1_000);
            if !with {
                let connection = rusqlite::Connection::open(&path).unwrap();
                connection.execute("drop index changes_by_folder", []).unwrap();
            }
            rates.push(by_library(SPAN, &path, true));
        }
    }
    let [with, without] = rates;
    report.add("creates by the library with the index of syncs", "/s", &with, ("without", &without));
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut report = Report { figures: Figures::new("carddav", "CardDAV beside the Graph API") };
    println!("over HTTP, medians of {ROUNDS} interleaved rounds, and the ratio to what stands behind it");
    writes(folder.path(), &mut report);
    reads(folder.path(), &mut report);
    index(folder.path(), &mut report);
    report.figures.keep();
}

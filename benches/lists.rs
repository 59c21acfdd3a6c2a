//! Cost of the lists and look-ups that clients ask for as a mailbox grows: `cargo bench --bench lists`, with `-- postgres` on
//! PostgreSQL, with numbers for other sizes (`-- 1000 20000`), and with `CONTACTD_BENCH_MILLION=1` for a million contacts too.
//!
//! Two thirds of a mailbox are in the default folder and the rest is in another, and ten contacts are to be found among all. Each
//! kind is asked without a prefix (all folders), under `/v1.0` (the default folder), and in the other folder. The sizes take turns, a
//! few calls each. The result is the ratio to the smallest size. The 20th percentile is compared, because other load on the machine
//! slows some calls down. The last kinds read or sort all contacts, for comparison.
//!
//! At the end, what the indexes and counters of all this cost a create, beside a database without them: over HTTP, and by the library.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;
#[path = "../tests/api/postgres.rs"]
mod postgres;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::contact::{Address, Email, Phone, Text};
use contactd::domain::user::UserName;
use contactd::store::{Database, Options, Store};
use load::figures::Figures;
use load::{Client, Server, median};
use postgres::Postgres;

/// Maximum and minimum number of turns of each kind and size, and calls per turn.
const TURNS: usize = 30;
const MIN_TURNS: usize = 5;
const CALLS: usize = 4;
/// Time after which a kind has no more turns.
const MAX_KIND_TIME: Duration = Duration::from_millis(1_500);
/// Number of contacts to find.
const NEEDLES: usize = 10;
/// Number of contacts in one transaction.
const CHUNK: usize = 500;
const OTHER: &str = "Other";
/// The indexes that only the lists measured here need.
const INDEXES: [&str; 7] = [
    "contacts_by_surname",
    "contacts_by_company",
    "contacts_by_file_as",
    "contacts_by_creation",
    "contacts_by_given_name",
    "contacts_by_nick_name",
    "phones_by_number",
];

/// A list that is measured: its name, what follows the path of the contacts, and whether a page in the middle is too.
struct Kind(&'static str, &'static str, bool);

const KINDS: [Kind; 26] = [
    Kind("a page of 100", "?$top=100", true),
    Kind("by displayName", "?$top=100&$orderby=displayName", true),
    Kind("by displayName desc", "?$top=100&$orderby=displayName%20desc", true),
    Kind("by surname,givenName", "?$top=100&$orderby=surname,givenName", true),
    Kind("the same, desc", "?$top=100&$orderby=surname%20desc,givenName%20desc", true),
    Kind("by companyName", "?$top=100&$orderby=companyName", true),
    Kind("by fileAs", "?$top=100&$orderby=fileAs", true),
    Kind("by createdDateTime desc", "?$top=100&$orderby=createdDateTime%20desc", true),
    Kind("by lastModifiedDateTime desc", "?$top=100&$orderby=lastModifiedDateTime%20desc", true),
    Kind("startswith(displayName), by it", "?$filter=startswith(displayName,'needle')&$orderby=displayName", false),
    Kind("surname eq", "?$filter=surname%20eq%20'needle'", false),
    Kind("givenName eq", "?$filter=givenName%20eq%20'needle'", false),
    Kind("companyName eq", "?$filter=companyName%20eq%20'needle'", false),
    Kind("nickName eq", "?$filter=nickName%20eq%20'needle'", false),
    Kind("/$count", "/$count", false),
    Kind("a list with $count=true", "?$count=true", false),
    Kind("a category that few have", "?$top=20&$filter=categories/any(c:c%20eq%20'Needle')", false),
    Kind("a phone number", "?$filter={phones}/any(p:{number}%20eq%20'(555)%20010-0000')", false),
    Kind("an address", "?$filter=emailAddresses/any(e:e/address%20eq%20'needle.0@example.org')", false),
    Kind(
        "one of many with an address",
        "?$top=1&$filter=emailAddresses/any(e:e/address%20eq%20'all@example.org')",
        false,
    ),
    Kind("$search of two words", "?$search=%22needle%20oslo%22", false),
    Kind("$search of an address", "?$search=%22needle.0@example.org%22", false),
    Kind("changed since, none", "?$filter=lastModifiedDateTime%20ge%202999-01-01T00:00:00Z", false),
    Kind("read: contains(displayName)", "?$filter=contains(displayName,'needle')", false),
    Kind("read: length(surname) gt 99", "?$filter=length(surname)%20gt%2099", false),
    Kind("sorted: by jobTitle", "?$top=100&$orderby=jobTitle", false),
];

/// The scopes: their names, and the paths of their contacts.
const SCOPES: [(&str, &str); 3] =
    [("no prefix", "/me/contacts"), ("/v1.0", "/v1.0/me/contacts"), ("a folder", "/me/contactFolders/Other/contacts")];

/// The `i`th contact of `size`.
fn contact(i: usize, size: usize) -> ContactPatch {
    let is_needle = i.is_multiple_of(size / NEEDLES);
    // The order of names differs from the order of creation.
    let mixed = i.wrapping_mul(7_919) % size;
    let name = if is_needle { format!("Needle {i}") } else { format!("Person {mixed:07}") };
    let city = ["Oslo", "Lund", "Turku", "Riga"][i % 4];
    let address = |text: String| Email { address: Some(text), ..Email::default() };
    let mut emails = vec![address(name.replace(' ', ".") + "@example.org")];
    if i % 10 < 7 {
        emails.push(address("all@example.org".to_owned()));
    }
    let number = format!("555 01{} {:04}", i / 10_000, i % 10_000);
    let mut patch = ContactPatch {
        emails: Some(emails),
        phones: Some(vec![Phone { kind: Some("business".to_owned()), number: Some(number) }]),
        addresses: Some(vec![Address { city: Some(city.to_owned()), ..Address::default() }]),
        categories: Some(vec![if is_needle { "Needle" } else { "Hay" }.to_owned()]),
        parent_folder_id: i.is_multiple_of(3).then(|| OTHER.to_owned()),
        ..ContactPatch::default()
    };
    let one_of =
        |word: &str, count: usize| if is_needle { "Needle".to_owned() } else { format!("{word} {}", mixed % count) };
    for (text, value) in [
        (Text::DisplayName, name),
        (Text::Surname, one_of("Surname", 1_000)),
        (Text::GivenName, one_of("Given", 5_000)),
        (Text::CompanyName, one_of("Company", 1_000)),
        (Text::NickName, one_of("Nick", 20_000)),
        (Text::FileAs, one_of("File", 50_000)),
    ] {
        patch.texts[text as usize] = Some(Some(value));
    }
    patch
}

fn fill(database: &Database, size: usize) {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(database, Options::default()).await.unwrap();
        let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
        let started = Instant::now();
        for from in (0..size).step_by(CHUNK) {
            let new = (from..(from + CHUNK).min(size)).map(|i| contact(i, size)).collect();
            store.insert_many(mailbox, new).await.unwrap();
        }
        store.close().await;
        eprintln!("{size} contacts stored in {:.0?}", started.elapsed());
    });
}

/// 20th percentile.
fn percentile_20(micros: &[f64]) -> f64 {
    let mut sorted = micros.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 5]
}

/// The address of a list: of a kind, in a scope, and of a page in the middle of a mailbox if a server is given.
fn target(kind: &Kind, scope: (&str, &str), middle: Option<(&Server, usize)>) -> String {
    let (phones, number) = if scope.0 == "/v1.0" { ("businessPhones", "p") } else { ("phones", "p/number") };
    let options = kind.1.replace("{phones}", phones).replace("{number}", number);
    let target = format!("{}{options}", scope.1);
    let Some((server, size)) = middle else { return target };
    // Each scope has a third of the mailbox or more, so that two pages of 100 follow what is left out.
    let answer = Client::gets(&server.address, "ann", &format!("{target}&$skip={}", size / 8)).body();
    let link = answer.split("@odata.nextLink\":\"").nth(1).unwrap().split('"').next().unwrap();
    format!("/{}", link.splitn(4, '/').nth(3).unwrap())
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 100_000];
        if std::env::var_os("CONTACTD_BENCH_MILLION").is_some() {
            sizes.push(1_000_000);
        }
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let on_postgres = arguments.iter().any(|argument| argument == "postgres").then(Postgres::shared);
    let schemas: Vec<_> = sizes.iter().filter_map(|_| Some(on_postgres?.schema())).collect();
    let place = |i: usize| match schemas.get(i) {
        Some(schema) => schema.url.clone(),
        None => folder.path().join(format!("{i}.db")).to_str().unwrap().to_owned(),
    };
    for (i, size) in sizes.iter().enumerate() {
        fill(&place(i).parse().unwrap(), *size);
    }
    for schema in &schemas {
        schema.query("vacuum analyze");
    }
    let servers: Vec<_> = (0..sizes.len()).map(|i| Server::start(&place(i), &["ann"])).collect();
    let mut figures = match on_postgres {
        None => {
            Figures::new("lists", "Growth with the mailbox, SQLite, microseconds beside the smallest; less is better")
        }
        Some(_) => Figures::new("lists-postgres", "The same on PostgreSQL"),
    };
    let beside = format!("of {}", sizes[0]);
    println!("20th percentile of calls over HTTP, in microseconds, and the ratio to the first size");
    print!("{:<46}", "contacts in the mailbox");
    for size in &sizes {
        print!("{size:>18}");
    }
    println!();
    for kind in &KINDS {
        for scope in SCOPES {
            for is_middle in [false, true].into_iter().filter(|is_middle| kind.2 || !is_middle) {
                let targets: Vec<_> = servers
                    .iter()
                    .zip(&sizes)
                    .map(|(server, size)| target(kind, scope, is_middle.then_some((server, *size))))
                    .collect();
                let micros = measured(kind, scope, is_middle, &servers, &targets);
                // The report has one row of each kind and size.
                if scope == SCOPES[0] && !is_middle {
                    for (size, value) in sizes.iter().zip(&micros).skip(1) {
                        figures.add(&format!("{}, of {size}", kind.0), "µs", &[*value], (&beside, &micros[..1]));
                    }
                }
            }
        }
    }
    figures.keep();
    drop(servers);
    if on_postgres.is_none() {
        creates_over_http(folder.path());
        creates(folder.path());
    }
}

/// Prints a row, and returns the 20th percentile of each size.
fn measured(kind: &Kind, scope: (&str, &str), is_middle: bool, servers: &[Server], targets: &[String]) -> Vec<f64> {
    let mut micros = vec![Vec::new(); servers.len()];
    let begun = Instant::now();
    for turn in 0..TURNS {
        if turn >= MIN_TURNS && begun.elapsed() > MAX_KIND_TIME {
            break;
        }
        for ((server, target), micros) in servers.iter().zip(targets).zip(&mut micros) {
            let mut client = Client::gets(&server.address, "ann", target);
            for _ in 0..CALLS {
                let started = Instant::now();
                client.call();
                micros.push(started.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let micros: Vec<_> = micros.iter().map(|of_size| percentile_20(of_size)).collect();
    let columns = micros.iter().map(|value| format!("{value:>11.0}{:>7.2}", value / micros[0]));
    let name = format!("{}, {}{}", kind.0, scope.0, if is_middle { ", middle" } else { "" });
    println!("{name:<46}{}", columns.collect::<String>());
    micros
}

/// The JSON of the `i`th contact, under `/v1.0`.
fn body(i: usize) -> String {
    let mixed = i.wrapping_mul(7_919) % 1_000_003;
    format!(
        concat!(
            r#"{{"displayName":"Person {mixed:07}","surname":"Surname {surname}","givenName":"Given {given}","companyName":"Company {surname}","#,
            r#""nickName":"Nick {nick}","fileAs":"File {file}","emailAddresses":[{{"address":"person.{mixed:07}@example.org"}}],"#,
            r#""businessPhones":["555 01{phone:08}"],"businessAddress":{{"city":"Oslo"}},"categories":["Hay"]}}"#
        ),
        mixed = mixed,
        surname = mixed % 1_000,
        given = mixed % 5_000,
        nick = mixed % 20_000,
        file = mixed % 50_000,
        phone = i,
    )
}

/// Drops the indexes that only the lists and look-ups need.
fn drop_indexes(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    for index in INDEXES {
        connection.execute(&format!("drop index {index}"), []).unwrap();
    }
}

/// Creates over HTTP by 64 connections in a mailbox of 20,000 contacts, with and without the indexes: the server's processor time and
/// the rate.
fn creates_over_http(folder: &Path) {
    const ROUNDS: usize = 5;
    const SPAN: Duration = Duration::from_secs(2);
    let servers = [true, false].map(|with| {
        let path = folder.join(format!("http-{with}.db"));
        fill(&Database::File(path.clone()), 20_000);
        if !with {
            drop_indexes(&path);
        }
        Server::start(path.to_str().unwrap(), &["ann"])
    });
    let number = AtomicUsize::new(0);
    let (mut processor, mut rates) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for _ in 0..ROUNDS {
        for ((server, processor), rates) in servers.iter().zip(&mut processor).zip(&mut rates) {
            let (begun, started) = (server.processor(), Instant::now());
            let calls = counted_creates(server, SPAN, &number);
            rates.push(calls / started.elapsed().as_secs_f64());
            processor.push((server.processor() - begun) / calls);
        }
    }
    let [with, without] = processor.map(median);
    let [rate_with, rate_without] = rates.map(median);
    println!(
        "\ncreates over HTTP, 64 connections, median of {ROUNDS} interleaved rounds: the server's microseconds, and a second"
    );
    println!(
        "without the indexes of lists and look-ups     {without:>11.1}{:>7.2}{rate_without:>11.0}{:>7.2}",
        1.0, 1.0
    );
    let (ratio, slower) = (with / without, rate_with / rate_without);
    println!("with them                                     {with:>11.1}{ratio:>7.2}{rate_with:>11.0}{slower:>7.2}");
}

/// Creates by 64 connections, each of another contact.
fn counted_creates(server: &Server, span: Duration, number: &AtomicUsize) -> f64 {
    const PATH: &str = "/v1.0/me/contacts";
    let started = Instant::now();
    let work = || {
        let mut client = Client::posts(&server.address, "ann", PATH, "");
        let mut calls = 0_u32;
        while started.elapsed() < span {
            client.post_next("ann", PATH, &body(number.fetch_add(1, Ordering::Relaxed)));
            client.call();
            calls += 1;
        }
        f64::from(calls)
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..64).map(|_| scope.spawn(work)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

/// Creates by the library, as many as wait for one commit under load, with and without the indexes.
fn creates(folder: &Path) {
    const COUNT: usize = 10_000;
    let one = |round: usize, with: bool| {
        let path = folder.join(format!("creates-{round}-{with}.db"));
        actix_web::rt::System::new().block_on(async {
            let database = Database::File(path.clone());
            Store::open(&database, Options::default()).await.unwrap().close().await;
            if !with {
                drop_indexes(&path);
            }
            let store = Store::open(&database, Options::default()).await.unwrap();
            let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
            let started = Instant::now();
            for from in (0..COUNT).step_by(64) {
                let all = (from..from + 64).map(|i| store.insert(mailbox, contact(i, COUNT)));
                for made in futures_util::future::join_all(all).await {
                    made.unwrap();
                }
            }
            let micros = started.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(COUNT).unwrap());
            store.close().await;
            micros
        })
    };
    let (mut with, mut without, mut counter) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..5 {
        with.push(one(round, true));
        without.push(one(round, false));
        let connection = rusqlite::Connection::open(folder.join(format!("creates-{round}-true.db"))).unwrap();
        let text = "update folders set contacts = contacts + 1 where mailbox = 1 and id = 'contacts'";
        let mut update = connection.prepare(text).unwrap();
        connection.execute_batch("begin").unwrap();
        let started = Instant::now();
        for _ in 0..COUNT {
            update.execute([]).unwrap();
        }
        counter.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(COUNT).unwrap()));
        connection.execute_batch("rollback").unwrap();
    }
    let (with, without, counter) = (median(with), median(without), median(counter));
    println!("\nmicroseconds of a create, 64 waiting, median of 5 interleaved rounds of {COUNT}");
    println!("without the indexes of lists and look-ups     {without:>11.1}{:>7.2}", 1.0);
    println!("with them                                     {with:>11.1}{:>7.2}", with / without);
    println!("the counter's part of it                      {counter:>11.1}{:>7.2}", counter / without);
}

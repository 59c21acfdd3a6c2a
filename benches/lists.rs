//! Cost of lists and look-ups as a mailbox grows: `cargo bench --bench lists`, with `-- postgres` on PostgreSQL, and with
//! numbers for other sizes (`-- 1000 20000`).
//!
//! Each mailbox has ten contacts to find among all others. The sizes take turns, a few calls each. The result is the ratio
//! to the smallest size: it stays near 1 if an index is used. The 20th percentile is compared, because other load on the
//! machine slows some calls down. The last kinds scan or sort all contacts, for comparison.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;
#[path = "../tests/api/postgres.rs"]
mod postgres;

use std::time::{Duration, Instant};

use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::contact::{Address, Email, Phone, Text};
use contactd::domain::query::cursor::{Anchor, Cursor};
use contactd::domain::user::UserName;
use contactd::odata::page::PageToken;
use contactd::store::{Database, Options, Store};
use load::figures::Figures;
use load::{Client, Server};
use postgres::Postgres;

/// Maximum and minimum number of turns of each kind and size, and calls per turn.
const TURNS: usize = 40;
const MIN_TURNS: usize = 7;
const CALLS: usize = 5;
/// Total time after which a kind has no more turns.
const ENOUGH: Duration = Duration::from_secs(6);
/// Number of contacts to find.
const NEEDLES: usize = 10;
/// Number of contacts in one transaction.
const CHUNK: usize = 500;

/// The `i`th contact of `size`.
fn contact(i: usize, size: usize) -> ContactPatch {
    let is_needle = i.is_multiple_of(size / NEEDLES);
    let name = if is_needle { format!("Needle {i}") } else { format!("Person {i}") };
    let city = ["Oslo", "Lund", "Turku", "Riga"][i % 4];
    let mut patch = ContactPatch {
        emails: Some(vec![Email { address: Some(name.replace(' ', ".") + "@example.org"), ..Email::default() }]),
        phones: Some(vec![Phone {
            number: Some(format!("+1 732 {:03} {:04}", i / 10_000, i % 10_000)),
            ..Phone::default()
        }]),
        addresses: Some(vec![Address { city: Some(city.to_owned()), ..Address::default() }]),
        categories: Some(vec![if is_needle { "Needle" } else { "Hay" }.to_owned()]),
        ..ContactPatch::default()
    };
    patch.texts[Text::DisplayName as usize] = Some(Some(name));
    patch.texts[Text::CompanyName as usize] = Some(Some(format!("Company {}", i % 1_000)));
    patch
}

/// Fills a mailbox. Returns the token of the page in its middle.
fn fill(database: &Database, size: usize) -> String {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(database, Options::default()).await.unwrap();
        let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
        let (started, mut middle) = (Instant::now(), None);
        for from in (0..size).step_by(CHUNK) {
            let new = (from..(from + CHUNK).min(size)).map(|i| contact(i, size)).collect();
            let stored = store.insert_many(mailbox, new).await.unwrap();
            if from >= size / 2 {
                middle.get_or_insert(stored[0].id);
            }
        }
        store.close().await;
        eprintln!("{size} contacts stored in {:.0?}", started.elapsed());
        let shown = vec![Anchor { id: middle.unwrap(), hash: 0 }];
        PageToken { after: Cursor { shown, keys: Vec::new() }, size: 100 }.print()
    })
}

/// 20th percentile.
fn percentile_20(micros: &[f64]) -> f64 {
    let mut sorted = micros.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 5]
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 100_000, 1_000_000];
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let on_postgres = arguments.iter().any(|argument| argument == "postgres").then(Postgres::shared);
    let schemas: Vec<_> = sizes.iter().filter_map(|_| Some(on_postgres?.schema())).collect();
    let place = |i: usize| match schemas.get(i) {
        Some(schema) => schema.url.clone(),
        None => folder.path().join(format!("{i}.db")).to_str().unwrap().to_owned(),
    };
    let tokens: Vec<_> = sizes.iter().enumerate().map(|(i, size)| fill(&place(i).parse().unwrap(), *size)).collect();
    for schema in &schemas {
        schema.query("vacuum analyze");
    }
    let servers: Vec<_> = (0..sizes.len()).map(|i| Server::start(&place(i))).collect();
    let kinds: [(&str, &str); 12] = [
        ("the first page of 100", "$top=100"),
        ("a page of 100 in the middle", "$top=100&$skiptoken="),
        ("an e-mail address", "$filter=emailAddresses/any(e:e/address%20eq%20'needle.0@example.org')"),
        ("the beginning of an address", "$filter=emailAddresses/any(e:startswith(e/address,'needle.'))"),
        ("the beginning of a name", "$filter=startswith(displayName,'needle')"),
        ("a category", "$filter=categories/any(c:c%20eq%20'Needle')"),
        ("changed since, none", "$filter=lastModifiedDateTime%20ge%202999-01-01T00:00:00Z"),
        ("search of a word", "$search=%22needle%22"),
        ("search of an address", "$search=%22needle.0@example.org%22"),
        ("search of two words, one common", "$search=%22needle%20oslo%22"),
        ("a part of a name, read through", "$filter=contains(displayName,'needle')"),
        ("a page of 100 sorted by name", "$top=100&$orderby=displayName"),
    ];
    let mut micros = vec![vec![Vec::new(); sizes.len()]; kinds.len()];
    let mut spent = vec![Duration::ZERO; kinds.len()];
    for turn in 0..TURNS {
        for (((_, query), micros), spent) in kinds.iter().zip(&mut micros).zip(&mut spent) {
            if turn >= MIN_TURNS && *spent > ENOUGH {
                continue;
            }
            for ((server, token), micros) in servers.iter().zip(&tokens).zip(micros) {
                let token = if query.ends_with("$skiptoken=") { token.as_str() } else { "" };
                let mut client = Client::lists(&server.address, "ann", &format!("{query}{token}"));
                for _ in 0..CALLS {
                    let started = Instant::now();
                    client.call();
                    micros.push(started.elapsed().as_secs_f64() * 1e6);
                    *spent += started.elapsed();
                }
            }
        }
    }
    println!(
        "20th percentile of up to {} calls over HTTP, in microseconds, and the ratio to the first size",
        TURNS * CALLS
    );
    print!("{:<34}", "contacts in the mailbox");
    for size in &sizes {
        print!("{size:>18}");
    }
    println!();
    let mut figures =
        Figures::new("lists", "Growth with the mailbox, microseconds beside the smallest; less is better");
    for ((name, _), micros) in kinds.iter().zip(micros) {
        for (size, of_size) in sizes.iter().zip(&micros).skip(1) {
            let (value, first) = (percentile_20(of_size), percentile_20(&micros[0]));
            let beside = format!("of {}", sizes[0]);
            figures.add(&format!("{name}, of {size}"), "µs", &[value], (&beside, &[first]));
        }
        let columns = micros.iter().map(|of_size| {
            let (micros, first) = (percentile_20(of_size), percentile_20(&micros[0]));
            format!("{micros:>11.0}{:>7.2}", micros / first)
        });
        println!("{name:<34}{}", columns.collect::<String>());
    }
    figures.keep();
}

//! Checks the search index: the words of every contact are computed again and compared with it.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::words;
use crate::store::db::check::MAX_FAULTS;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::query::search;
use crate::store::tables::contacts;

/// Number of contacts that are compared at once.
const CHUNK: i64 = 100;

/// A checksum over the words of each contact in SQLite's index: of the last letters, the field and the position of each.
const SUMS: &str = "
create virtual table temp.found_words using fts5vocab(main, words, instance);
create temp table found_sums (row integer primary key, words int, total int);
insert into found_sums select doc, count(*), sum(
    length(term) * 7 + offset * 131 + substr(col, 2) * 8191
    + unicode(substr(term, -1)) * 31 + coalesce(unicode(substr(term, -2, 1)), 0) * 37
    + coalesce(unicode(substr(term, -3, 1)), 0) * 41 + coalesce(unicode(substr(term, -4, 1)), 0) * 43)
from temp.found_words group by doc";

pub(super) async fn check(session: &mut Session, faults: &mut Vec<String>) -> Result<(), Error> {
    session.script_on_sqlite(SUMS).await?;
    let text = Statement::per_engine(
        "
select 'search: the index has words of number ' || row || ', which is of no contact' from temp.found_sums
where row not in (select s.row from searched s join contacts c on c.mailbox = s.mailbox and c.id = s.contact_id) limit $1",
        "select '' where false limit $1",
    );
    for row in session.rows(text.bind(MAX_FAULTS)).await? {
        faults.push(row.get(0)?);
    }
    let (mut last, mut wrong) = ((0, Uuid::nil()), 0);
    loop {
        let chunk = contacts::next_of_any_mailbox(session, last, CHUNK).await?;
        let Some((mailbox, contact)) = chunk.last() else { return Ok(()) };
        last = (*mailbox, contact.id);
        let mut expected = HashMap::new();
        let (mut sums, mut vectors) = (Vec::new(), Vec::new());
        for (mailbox, contact) in &chunk {
            let words = words::of_contact(&contact.properties);
            let id = contact.id.as_simple().to_string();
            let [all, places] = search::vectors(*mailbox, &words);
            vectors.push(json!([mailbox, id, all, places]));
            let (count, total) = sum(&search::texts(*mailbox, &words));
            sums.push(json!([mailbox, id, count, total]));
            expected.insert(contact.id, *mailbox);
        }
        let (sums, vectors) = (json!(sums).to_string(), json!(vectors).to_string());
        for row in session.rows(differing(sums, vectors)).await? {
            wrong += 1;
            let id: Uuid = row.get(0)?;
            let mailbox = expected.get(&id).copied().unwrap_or_default();
            if wrong <= MAX_FAULTS {
                faults.push(format!("search: contact {id} of mailbox {mailbox} is not found by its own words"));
            }
        }
    }
}

/// The contacts whose words differ from the index.
fn differing(sums: String, vectors: String) -> Statement<'static> {
    let in_sums = Sql::new(
        "
select c.id from json_each(",
    )
    .value(sums)
    .text(
        ") e join contacts c on c.mailbox = e.value ->> 0 and c.id = unhex(e.value ->> 1)
    left join searched s on s.mailbox = c.mailbox and s.contact_id = c.id
    left join temp.found_sums f on f.row = s.row
where s.row is null or coalesce(f.words, 0) <> e.value ->> 2 or coalesce(f.total, 0) <> e.value ->> 3",
    );
    let in_vectors = Sql::new("select (e.value ->> 1)::uuid from jsonb_array_elements(").value(vectors).text(
        "::text::jsonb) as e (value)
    left join words w on w.mailbox = (e.value ->> 0)::bigint and w.contact_id = (e.value ->> 1)::uuid
where coalesce(w.words, '') <> (e.value ->> 2)::tsvector or coalesce(w.places, '') <> (e.value ->> 3)::tsvector",
    );
    Sql::engine_specific(in_sums, in_vectors).into()
}

/// The number of words in the texts of a contact's fields, and their checksum as in [`SUMS`].
fn sum(texts: &[String]) -> (i64, i64) {
    let (mut count, mut total) = (0, 0);
    for (field, text) in (0..).zip(texts) {
        let words = text.split(' ').filter(|word| !word.is_empty());
        for (offset, word) in (0..).zip(words) {
            let from_end = |n| word.chars().rev().nth(n).map_or(0, |c| i64::from(u32::from(c)));
            let length = i64::try_from(word.chars().count()).unwrap_or_default();
            count += 1;
            total += length * 7 + offset * 131 + field * 8191;
            total += from_end(0) * 31 + from_end(1) * 37 + from_end(2) * 41 + from_end(3) * 43;
        }
    }
    (count, total)
}

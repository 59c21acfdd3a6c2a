//! The limits of the machine: the same rows written and read directly with rusqlite, and an actix server that answers a
//! constant.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use actix_web::{App, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use contactd::domain::user::UserName;
use contactd::store::{Database, Options, Store};
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use uuid::Uuid;

use crate::load::{Server, processor};

/// Number of contacts in a transaction.
const AT_ONCE: usize = 500;
/// The tables of a contact.
const TABLES: [&str; 6] = ["contacts", "emails", "phones", "addresses", "websites", "flags"];
/// The columns of a contact that an answer shows.
const TEXTS: usize = 22;

/// The contact, and its rows.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    /// The contact of the seed, or the small one.
    pub(crate) seed: bool,
    /// Every row and index, or only the tables of a contact without an index.
    pub(crate) all: bool,
}

/// Processor time of a create with rusqlite, in microseconds: prepared statements, 500 contacts in a transaction, synced.
pub(crate) fn create(folder: &Path, rows: Rows, transactions: usize) -> f64 {
    let file = tempfile::Builder::new().suffix(".db").tempfile_in(folder).unwrap();
    let source = folder.join(format!("{}-source.db", file.path().display()));
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(&Database::File(source.clone()), Options::default()).await.unwrap();
        store.user(&UserName::parse("ann").unwrap()).await.unwrap();
        store.close().await;
    });
    let connection = Connection::open(if rows.all { &source } else { file.path() }).unwrap();
    let setup = "pragma journal_mode=wal; pragma synchronous=full; pragma temp_store=memory; pragma foreign_keys=";
    connection.execute_batch(&format!("{setup}{}", rows.all)).unwrap();
    if !rows.all {
        connection.execute("attach ?1 as source", [source.to_str()]).unwrap();
        for table in TABLES {
            let sql: String = connection
                .query_row("select sql from source.sqlite_master where name = ?1", [table], |row| row.get(0))
                .unwrap();
            connection.execute_batch(&sql).unwrap();
        }
        connection.execute_batch("detach source").unwrap();
    }
    let before = processor("self");
    insert(&connection, rows, transactions);
    let spent = processor("self") - before;
    drop(connection);
    let _ = std::fs::remove_file(source);
    spent / (transactions * AT_ONCE) as f64
}

fn insert(connection: &Connection, Rows { seed, all }: Rows, transactions: usize) {
    let prepare = |sql: &str| connection.prepare(sql).unwrap();
    let mut contact = prepare(
        "insert into contacts (mailbox, id, parent_folder_id, version, created_date_time, last_modified_date_time, size,
            display_name_derived, display_name, given_name, surname, job_title, company_name, birthday, birthday_instant,
            display_name_key, given_name_key, surname_key, company_name_key)
         values (1, ?1, 'contacts', ?2, ?3, ?3, 400, true, 'Ann Lee', 'Ann', 'Lee', ?4, ?5, ?6, ?7, 'ann lee', 'ann',
            'lee', ?8)",
    );
    let mut email = prepare(
        "insert into emails (mailbox, contact_id, pos, name, address, address_key, type)
         values (1, ?1, ?2, ?3, ?4, ?4, ?5)",
    );
    let mut phone = prepare("insert into phones (mailbox, contact_id, pos, type, number) values (1, ?1, ?2, ?3, ?4)");
    let mut address = prepare(
        "insert into addresses (mailbox, contact_id, pos, type, street, city, country_or_region, postal_code)
         values (1, ?1, 0, 'home', '1 Elm', 'Oslo', 'Norway', '0150')",
    );
    let mut website = prepare(
        "insert into websites (mailbox, contact_id, pos, type, address)
         values (1, ?1, 0, 'blog', 'https://example.org/ann')",
    );
    let mut flag = prepare(
        "insert into flags (mailbox, contact_id, flag_status, start_date_time, start_time_zone)
         values (1, ?1, 'flagged', '2024-01-01T00:00:00', 'UTC')",
    );
    let mut others = all.then(|| Others::prepare(connection, seed));
    let mut version = 0;
    for _ in 0..transactions {
        connection.execute_batch("begin immediate").unwrap();
        for _ in 0..AT_ONCE {
            version += 1;
            let now = 1_700_000_000_000_000 + version;
            let id = Uuid::now_v7();
            let key = id.as_bytes().as_slice();
            let seq = others.as_mut().map_or(version, |others| others.begin(key, now));
            if seed {
                let birthday = ("1974-07-22T00:00:00Z", 143_683_200_000_000_i64);
                contact.execute(params![key, seq, now, "Engineer", "Acme", birthday.0, birthday.1, "acme"]).unwrap();
            } else {
                contact
                    .execute(params![
                        key,
                        seq,
                        now,
                        None::<&str>,
                        None::<&str>,
                        None::<&str>,
                        None::<i64>,
                        None::<&str>
                    ])
                    .unwrap();
            }
            email.execute(params![key, 0, "Ann Lee", "ann@example.org", "work"]).unwrap();
            phone.execute(params![key, 0, "business", "+1 732 555 0102"]).unwrap();
            if seed {
                email.execute(params![key, 1, "Ann", "ann@example.com", "personal"]).unwrap();
                phone.execute(params![key, 1, "mobile", "+1 732 555 0103"]).unwrap();
                address.execute(params![key]).unwrap();
                website.execute(params![key]).unwrap();
                flag.execute(params![key]).unwrap();
            }
            if let Some(others) = &mut others {
                others.end(id, now);
            }
        }
        connection.execute_batch("commit").unwrap();
    }
}

/// The other rows of a create: the change log, the counters, the search words.
struct Others<'c> {
    bump: rusqlite::Statement<'c>,
    change: rusqlite::Statement<'c>,
    searched: rusqlite::Statement<'c>,
    words: rusqlite::Statement<'c>,
    audit: rusqlite::Statement<'c>,
}

impl<'c> Others<'c> {
    fn prepare(connection: &'c Connection, seed: bool) -> Self {
        let prepare = |sql: &str| connection.prepare(sql).unwrap();
        let words = if seed {
            "insert into words (rowid, f0, f1, f2, f3, f4, f5, f6, f15) values (last_insert_rowid(), '1xann 1xlee',
                '1xann', '1xlee', '1xann 1xexample 1xorg 0 1xann 1xlee 0 1xann 1xexample 1xcom 0 1xann',
                '1x17325550102 1x7325550102 1x5550102 1x0102 0 1x17325550103 1x7325550103 1x5550103 1x0103', '1xacme',
                '1xengineer', '1x1 1xelm 0 1xoslo 0 1xnorway 0 1x0150')"
        } else {
            "insert into words (rowid, f0, f1, f2, f3, f4) values (last_insert_rowid(), '1xann 1xlee', '1xann',
                '1xlee', '1xann 1xexample 1xorg 0 1xann 1xlee', '1x17325550102 1x7325550102 1x5550102 1x0102')"
        };
        Self {
            bump: prepare(
                "update mailboxes set seq = seq + 1, contacts = contacts + 1, bytes = bytes + 400 where id = 1
                 returning seq",
            ),
            change: prepare(
                "insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
                 values (1, ?1, 'contacts', ?2, false, ?3)",
            ),
            searched: prepare("insert into searched (mailbox, contact_id) values (1, ?1)"),
            words: prepare(words),
            audit: prepare(
                "insert into audit (mailbox, id, audit_date_time, actor, address, request_id, action, item)
                 values (1, ?1, ?2, 'ann', '127.0.0.1', ?3, 'POST /{user}/contacts', ?4)",
            ),
        }
    }

    fn begin(&mut self, key: &[u8], now: i64) -> i64 {
        let seq: i64 = self.bump.query_row([], |row| row.get(0)).unwrap();
        self.change.execute(params![seq, key, now]).unwrap();
        seq
    }

    fn end(&mut self, id: Uuid, now: i64) {
        self.searched.execute(params![id.as_bytes().as_slice()]).unwrap();
        self.words.execute([]).unwrap();
        let (own, request) = (Uuid::now_v7(), Uuid::now_v7());
        let ids = params![own.as_bytes().as_slice(), now, request.as_bytes().as_slice(), id.to_string()];
        self.audit.execute(ids).unwrap();
    }
}

/// Processor time of a page of 100 by hand in microseconds, and its size in bytes: the rows of a mailbox's first contacts,
/// and their JSON by serde.
pub(crate) fn page(database: &Path, mailbox: i64, times: usize) -> (f64, usize) {
    let connection = Connection::open(database).unwrap();
    let mut pages = Pages::prepare(&connection);
    let mut size = pages.json(mailbox).len();
    let before = processor("self");
    for _ in 0..times {
        size = pages.json(mailbox).len();
    }
    ((processor("self") - before) / times as f64, size)
}

struct Pages<'c> {
    contacts: rusqlite::Statement<'c>,
    children: [rusqlite::Statement<'c>; 5],
}

#[derive(Serialize)]
struct Page {
    value: Vec<Contact>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contact {
    #[serde(rename = "@odata.etag")]
    etag: String,
    id: Uuid,
    created_date_time: String,
    last_modified_date_time: String,
    change_key: String,
    parent_folder_id: String,
    display_name_derived: bool,
    birthday: Option<String>,
    texts: [Option<String>; TEXTS],
    children: [Vec<Vec<Option<String>>>; 5],
}

impl<'c> Pages<'c> {
    fn prepare(connection: &'c Connection) -> Self {
        let prepare = |sql: &str| connection.prepare(sql).unwrap();
        Self {
            contacts: prepare(
                "select id, created_date_time, last_modified_date_time, version, parent_folder_id,
                    display_name_derived, birthday, file_as, display_name, given_name, initials, middle_name, nick_name,
                    surname, title, yomi_given_name, yomi_surname, yomi_company_name, generation, job_title,
                    company_name, department, office_location, profession, assistant_name, manager, spouse_name,
                    personal_notes, gender
                 from contacts where mailbox = ?1 and deleted_date_time is null order by id limit 100",
            ),
            children: [
                "name, address, type, other_label from emails",
                "type, number from phones",
                "type, post_office_box, street, city, state, country_or_region, postal_code from addresses",
                "type, address, display_name from websites",
                "flag_status, completed_date_time, completed_time_zone, due_date_time, due_time_zone, start_date_time,
                    start_time_zone from flags",
            ]
            .map(|columns_and_table| {
                prepare(&format!(
                    "select contact_id, {columns_and_table} where mailbox = ?1 and contact_id between ?2 and ?3 order by contact_id"
                ))
            }),
        }
    }

    fn json(&mut self, mailbox: i64) -> String {
        let contacts = self.contacts.query_map([mailbox], contact).unwrap();
        let mut value: Vec<_> = contacts.map(Result::unwrap).collect();
        let at: HashMap<_, _> = value.iter().enumerate().map(|(i, contact)| (contact.id, i)).collect();
        let (first, last) = (value[0].id.into_bytes(), value[value.len() - 1].id.into_bytes());
        for (i, children) in self.children.iter_mut().enumerate() {
            let columns = children.column_count();
            let mut rows = children.query(params![mailbox, first.as_slice(), last.as_slice()]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let id = Uuid::from_slice(row.get_ref_unwrap(0).as_blob().unwrap()).unwrap();
                let members = (1..columns).map(|column| row.get_unwrap(column)).collect();
                value[at[&id]].children[i].push(members);
            }
        }
        serde_json::to_string(&Page { value }).unwrap()
    }
}

fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    let (modified, version): (i64, i64) = (row.get(2)?, row.get(3)?);
    let time = |micros| DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let change_key = STANDARD.encode([modified.to_be_bytes(), version.to_be_bytes()].concat());
    let mut texts = [const { None }; TEXTS];
    for (i, text) in texts.iter_mut().enumerate() {
        *text = row.get(7 + i)?;
    }
    Ok(Contact {
        etag: format!("W/\"{change_key}\""),
        id: Uuid::from_slice(row.get_ref(0)?.as_blob()?).unwrap(),
        created_date_time: time(row.get(1)?),
        last_modified_date_time: time(modified),
        change_key,
        parent_folder_id: row.get(4)?,
        display_name_derived: row.get(5)?,
        birthday: row.get(6)?,
        texts,
        children: Default::default(),
    })
}

/// Starts this program again as a server that answers with so many bytes.
pub(crate) fn hello(size: usize) -> Server {
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program).args(["--hello", &size.to_string()]).stderr(Stdio::piped()).spawn().unwrap();
    Server::of(child)
}

/// That server.
pub(crate) fn serve_hello(size: usize) {
    actix_web::rt::System::new().block_on(async {
        let body = web::Bytes::from(vec![b'x'; size]);
        let answer = move || {
            let body = body.clone();
            async move { actix_web::HttpResponse::Ok().content_type("application/json").body(body) }
        };
        let app = move || App::new().route("/", web::get().to(answer.clone()));
        let server = HttpServer::new(app).bind("127.0.0.1:0").unwrap();
        eprintln!("hello listening on http://{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}

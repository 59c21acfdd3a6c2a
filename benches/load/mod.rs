//! Shared by the benches: the program in a process of its own, a client that is a bare socket (an HTTP library would
//! add its own cost), and the plain loops for comparison.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part of it")]

pub mod figures;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contactd::domain::handling::Handling;
use contactd::domain::scopes::Scopes;
use contactd::domain::user::{Principal, UserName};
use contactd::graph::json::contact::read::{Purpose, read};
use contactd::json::Json;
use contactd::odata::shape::Shape;
use contactd::store::{Actor, Database, NewToken, Options, Store};
use futures_util::future::join_all;
use rusqlite::{Connection, params};
use uuid::Uuid;

/// One contact: two e-mails, two phones, an address, a website and a flag.
pub const BODY: &str = r##"{"@odata.type":"#microsoft.graph.contact","givenName":"Ann","surname":"Lee","jobTitle":"Engineer","companyName":"Acme","birthday":"1974-07-22T00:00:00Z","emailAddresses":[{"address":"ann@example.org","name":"Ann Lee","type":"work"},{"address":"ann@example.com","name":"Ann","type":"personal"}],"phones":[{"type":"business","number":"+1 732 555 0102"},{"type":"mobile","number":"+1 732 555 0103"}],"postalAddresses":[{"type":"home","street":"1 Elm","city":"Oslo","countryOrRegion":"Norway","postalCode":"0150"}],"websites":[{"type":"blog","address":"https://example.org/ann"}],"flag":{"flagStatus":"flagged","startDateTime":{"dateTime":"2024-01-01T00:00:00","timeZone":"UTC"}}}"##;

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs `work` for the span. Returns the rate per second.
pub fn rate(span: Duration, mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut done = 0_u32;
    while started.elapsed() < span {
        work();
        done += 1;
    }
    f64::from(done) / started.elapsed().as_secs_f64()
}

/// Writes the rows of one create of `BODY` with rusqlite.
pub fn plain_sqlite(span: Duration, database: &Path) -> f64 {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(&Database::File(database.into()), Options::default()).await.unwrap();
        store.user(&contactd::domain::user::UserName::parse("ann").unwrap()).await.unwrap();
        store.close().await;
    });
    let connection = Connection::open(database).unwrap();
    connection
        .execute_batch(
            "pragma journal_mode=wal; pragma synchronous=full; pragma foreign_keys=on; pragma temp_store=memory",
        )
        .unwrap();
    let prepare = |sql: &str| connection.prepare(sql).unwrap();
    let mut begin = prepare("begin immediate");
    let mut commit = prepare("commit");
    let mut bump = prepare("update mailboxes set seq = seq + 1 where id = 1 returning seq");
    let mut change = prepare(
        "insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time) values (1, ?1, 'contacts', ?2, false, ?3)",
    );
    let mut contact = prepare(
        "insert into contacts (mailbox, id, parent_folder_id, version, created_date_time, last_modified_date_time, size,
            display_name_derived, display_name, given_name, surname, job_title, company_name, birthday, birthday_instant,
            display_name_key, given_name_key, surname_key, company_name_key)
         values (1, ?1, 'contacts', ?2, ?3, ?3, 400, true, 'Ann Lee', 'Ann', 'Lee', 'Engineer', 'Acme',
            '1974-07-22T00:00:00Z', 143683200000000, 'ann lee', 'ann', 'lee', 'acme')",
    );
    let mut email = prepare("insert into emails values (1, ?1, ?2, ?3, ?4, ?4, ?5, null)");
    let mut phone = prepare("insert into phones values (1, ?1, ?2, ?3, ?4, ?4)");
    let mut address =
        prepare("insert into addresses values (1, ?1, 0, 'home', null, '1 Elm', 'Oslo', null, 'Norway', '0150')");
    let mut website = prepare("insert into websites values (1, ?1, 0, 'blog', 'https://example.org/ann', null)");
    let mut flag =
        prepare("insert into flags values (1, ?1, 'flagged', null, null, null, null, '2024-01-01T00:00:00', 'UTC')");
    let mut searched = prepare("insert into searched (mailbox, contact_id) values (1, ?1)");
    let mut words = prepare(
        "insert into words (rowid, f0, f1, f2, f3, f4, f5, f6, f15) values (last_insert_rowid(), '1xann 1xlee', '1xann',
            '1xlee', '1xann 1xexample 1xorg 0 1xann 1xlee 0 1xann 1xexample 1xcom 0 1xann',
            '1x17325550102 1x7325550102 1x5550102 1x0102 0 1x17325550103 1x7325550103 1x5550103 1x0103', '1xacme',
            '1xengineer', '1x1 1xelm 0 1xoslo 0 1xnorway 0 1x0150')",
    );
    let mut now = 0_i64;
    rate(span, || {
        now += 1;
        let id = Uuid::now_v7();
        let id = id.as_bytes().as_slice();
        begin.execute([]).unwrap();
        let seq: i64 = bump.query_row([], |row| row.get(0)).unwrap();
        change.execute(params![seq, id, now]).unwrap();
        contact.execute(params![id, seq, now]).unwrap();
        email.execute(params![id, 0, "Ann Lee", "ann@example.org", "work"]).unwrap();
        email.execute(params![id, 1, "Ann", "ann@example.com", "personal"]).unwrap();
        phone.execute(params![id, 0, "business", "+1 732 555 0102"]).unwrap();
        phone.execute(params![id, 1, "mobile", "+1 732 555 0103"]).unwrap();
        address.execute(params![id]).unwrap();
        website.execute(params![id]).unwrap();
        flag.execute(params![id]).unwrap();
        searched.execute(params![id]).unwrap();
        words.execute([]).unwrap();
        commit.execute([]).unwrap();
    })
}

/// The same by the library, 16 at a time: by the program itself, or on behalf of a user with a stored token.
pub fn by_library(span: Duration, database: &Path, guarded: bool) -> f64 {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(&Database::File(database.into()), Options::default()).await.unwrap();
        let ann = UserName::parse("ann").unwrap();
        let mailbox = store.user(&ann).await.unwrap().mailbox;
        let token = NewToken {
            bearer: Principal::User(ann),
            digest: "0".repeat(64),
            name: None,
            scopes: Scopes::all(false),
            expires: None,
        };
        let token = store.create_token(token).await.unwrap().id;
        let actor = Actor {
            name: "ann".to_owned(),
            token: Some(token),
            user: Some(mailbox),
            mailbox: Some(mailbox),
            address: Some("127.0.0.1".to_owned()),
            request: Some(token),
            action: "POST /{user}/contacts".to_owned(),
            ..Actor::default()
        };
        let acting = if guarded { store.with_actor(actor) } else { store.clone() };
        let body = Json::read(BODY.as_bytes()).unwrap();
        let patch = read(Shape::Beta, body, Handling::Lenient, Purpose::Create).unwrap();
        let started = Instant::now();
        let one = async || {
            let mut done = 0_u32;
            while started.elapsed() < span {
                acting.insert(mailbox, patch.clone()).await.unwrap();
                done += 1;
            }
            done
        };
        let done: u32 = join_all((0..16).map(|_| one())).await.into_iter().sum();
        let rate = f64::from(done) / started.elapsed().as_secs_f64();
        store.close().await;
        rate
    })
}

/// The same with the PostgreSQL driver: prepared statements on one connection, one transaction per contact.
pub fn plain_postgres(span: Duration, url: &str) -> f64 {
    use sqlx::{Connection as _, Executor as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&url.parse().unwrap(), Options::default()).await.unwrap();
        let mailbox = store.user(&contactd::domain::user::UserName::parse("ann").unwrap()).await.unwrap().mailbox;
        store.close().await;
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        let started = Instant::now();
        let mut done = 0_u32;
        while started.elapsed() < span {
            let id = Uuid::now_v7();
            let mut transaction = connection.begin().await.unwrap();
            let bump = sqlx::query_scalar("update mailboxes set seq = seq + 1 where id = $1 returning seq").bind(mailbox);
            let seq: i64 = bump.fetch_one(&mut *transaction).await.unwrap();
            for text in [
                "insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time) values ($3, $2, 'contacts', $1, false, 0)",
                "insert into contacts (mailbox, id, parent_folder_id, version, created_date_time, last_modified_date_time,
                    size, display_name_derived, display_name, given_name, surname, job_title, company_name, birthday,
                    birthday_instant, display_name_key, given_name_key, surname_key, company_name_key)
                 values ($3, $1, 'contacts', $2, 0, 0, 400, true, 'Ann Lee', 'Ann', 'Lee', 'Engineer', 'Acme',
                    '1974-07-22T00:00:00Z', 143683200000000, 'ann lee', 'ann', 'lee', 'acme')",
                "insert into emails values
                    ($3, $1, $2 * 0, 'Ann Lee', 'ann@example.org', 'ann@example.org', 'work', null),
                    ($3, $1, 1, 'Ann', 'ann@example.com', 'ann@example.com', 'personal', null)",
                "insert into phones values
                    ($3, $1, $2 * 0, 'business', '+1 732 555 0102', '17325550102'),
                    ($3, $1, 1, 'mobile', '+1 732 555 0103', '17325550103')",
                "insert into addresses values
                    ($3, $1, $2 * 0, 'home', null, '1 Elm', 'Oslo', null, 'Norway', '0150')",
                "insert into websites values ($3, $1, $2 * 0, 'blog', 'https://example.org/ann', null)",
                "insert into flags select $3, $1, 'flagged', null, null, null, null, '2024-01-01T00:00:00', 'UTC'
                 where $2 > 0",
                "insert into words select $3, $1,
                    '1xann 1xlee 1xexample 1xorg 1xcom 1x17325550102 1x7325550102 1x5550102 1x0102 1x17325550103
                     1x7325550103 1x5550103 1x0103 1xacme 1xengineer 1x1 1xelm 1xoslo 1xnorway 1x0150'::tsvector,
                    '0xann:1 0xlee:2 1xann:1 2xlee:1 3xann:1,5,9,13 3xexample:2,10 3xorg:3 3xlee:6 3xcom:11
                     4x17325550102:1 4x7325550102:2 4x5550102:3 4x0102:4 4x17325550103:6 4x7325550103:7 4x5550103:8
                     4x0103:9 5xacme:1 6xengineer:1 15x1:1 15xelm:2 15xoslo:4 15xnorway:6 15x0150:8'::tsvector
                 where $2 > 0",
            ] {
                transaction.execute(sqlx::query(text).bind(id).bind(seq).bind(mailbox)).await.unwrap();
            }
            transaction.commit().await.unwrap();
            done += 1;
        }
        f64::from(done) / started.elapsed().as_secs_f64()
    })
}

/// A running contactd; killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Starts a server for tests on a database, given as for `--database`. It keeps a journal of its requests.
    pub fn for_tests(database: &str) -> Self {
        Self::spawn(Self::command(database).arg("--dev"))
    }

    /// Starts it as it serves people, for these users: the name of each is also the token.
    pub fn start(database: &str, users: &[&str]) -> Self {
        let tokens: Vec<_> = users.iter().map(|user| format!("{user}={user}")).collect();
        Self::spawn(Self::command(database).env("CONTACTD_TOKENS", tokens.join(",")))
    }

    /// `CONTACTD_PROGRAM` names another build, to compare with.
    fn command(database: &str) -> Command {
        let program = std::env::var("CONTACTD_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_contactd").to_owned());
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "off", "--database", database]);
        command
    }

    fn spawn(command: &mut Command) -> Self {
        Self::of(command.stderr(Stdio::piped()).spawn().unwrap())
    }

    /// A program that prints its address in the same way.
    pub fn of(mut child: Child) -> Self {
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().split_once(" listening on http://").unwrap().1.to_owned();
        Self { child, address }
    }

    /// The processor time that it has used, in microseconds.
    pub fn processor(&self) -> f64 {
        processor(&self.child.id().to_string())
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it has had, in bytes.
    pub fn peak(&self) -> f64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1_024.0
    }
}

/// The processor time of a process, `self` or its number, in microseconds: of its user and of the kernel, in clock ticks of
/// 10 milliseconds.
pub fn processor(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name, in parentheses, may have spaces.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10_000.0
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends requests on this many connections at once. Returns their number. `client` creates a connection by its number.
pub fn counted(span: Duration, connections: usize, client: impl Fn(usize) -> Client) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|i| {
                let mut client = client(i);
                scope.spawn(move || {
                    let mut calls = 0_u32;
                    while started.elapsed() < span {
                        client.call();
                        calls += 1;
                    }
                    f64::from(calls)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

/// The rate of requests per second on this many connections. `client` creates a connection by its number.
pub fn together(span: Duration, connections: usize, client: impl Fn(usize) -> Client) -> f64 {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|i| {
                let mut client = client(i);
                scope.spawn(move || {
                    rate(span, || {
                        client.call();
                    })
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

/// A connection that repeats its requests in turn.
pub struct Client {
    stream: TcpStream,
    requests: Vec<Vec<u8>>,
    /// How many it has sent.
    sent: usize,
    expected: &'static str,
    answer: Vec<u8>,
}

impl Client {
    /// One that creates contacts.
    pub fn creates(address: &str, user: &str) -> Self {
        Self::posts(address, user, "/me/contacts", BODY)
    }

    /// One that creates contacts of these users in turn.
    pub fn creates_in_turn(address: &str, users: &[String]) -> Self {
        Self::in_turn(address, users.iter().map(|user| post(user, "/me/contacts", BODY).into_bytes()).collect())
    }

    /// One that sends these requests in turn, each of which creates something.
    pub fn in_turn(address: &str, requests: Vec<Vec<u8>>) -> Self {
        Self { requests, ..Self::connect(address, String::new(), "HTTP/1.1 201 ") }
    }

    /// One that reads a page of 100.
    pub fn reads(address: &str, user: &str) -> Self {
        Self::lists(address, user, "$top=100")
    }

    /// One that reads a list with these options.
    pub fn lists(address: &str, user: &str, options: &str) -> Self {
        let head = format!("GET /me/contacts?{options} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {user}");
        Self::connect(address, format!("{head}\r\n\r\n"), "HTTP/1.1 200 ")
    }

    /// One that sends any request without a body; `path` begins with `/`.
    pub fn gets(address: &str, user: &str, path: &str) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {user}");
        Self::connect(address, format!("{head}\r\n\r\n"), "HTTP/1.1 200 ")
    }

    /// One that repeats the POST of a JSON body.
    pub fn posts(address: &str, user: &str, path: &str, body: &str) -> Self {
        Self::connect(address, post(user, path, body), "HTTP/1.1 201 ")
    }

    /// Makes it post this from now on.
    pub fn post_next(&mut self, user: &str, path: &str, body: &str) {
        self.requests = vec![post(user, path, body).into_bytes()];
    }

    /// The body of an answer.
    pub fn body(&mut self) -> String {
        self.call();
        let text = String::from_utf8_lossy(&self.answer);
        let text = text.split_once("\r\n\r\n").unwrap().1;
        text.trim_end_matches('\0').to_owned()
    }

    fn connect(address: &str, request: String, expected: &'static str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, requests: vec![request.into_bytes()], sent: 0, expected, answer: vec![0; 1 << 20] }
    }

    /// Sends the request and returns the body of the answer.
    pub fn call(&mut self) -> &[u8] {
        self.stream.write_all(&self.requests[self.sent % self.requests.len()]).unwrap();
        self.sent += 1;
        let mut read = 0;
        let (mut body, mut whole) = (0, usize::MAX);
        while read < whole {
            read += self.stream.read(&mut self.answer[read..]).unwrap();
            let text = &self.answer[..read];
            if whole == usize::MAX
                && let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n")
            {
                let head = std::str::from_utf8(&text[..end]).unwrap();
                assert!(head.starts_with(self.expected), "{head}");
                let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
                body = end + 4;
                whole = body + length.parse::<usize>().unwrap();
            }
        }
        &self.answer[body..read]
    }
}

fn post(user: &str, path: &str, body: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {user}");
    let length = body.len();
    format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

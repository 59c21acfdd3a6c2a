//! Slow, flooding and idle clients against the real program. Other clients are still served. The client of the last two tests is
//! a separate process, so that its files do not count for the server. Budgets are in CONTRIBUTING.md.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::both::pictures::{gif, photo_of, put};
use crate::program::{Program, contactd};
use crate::wire::content_length;

const SECOND: Duration = Duration::from_secs(1);
/// Time after which a test fails, far longer than it needs.
const TEST_TIMEOUT: Duration = Duration::from_mins(2);
const GET: &str = "GET /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\n";

fn start(arguments: &[&str]) -> Program {
    let command_line = [
        "serve",
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--database",
        ":memory:",
        "--log-format",
        "json",
        "--log-level",
        "info",
    ];
    Program::start(contactd(&[&command_line, arguments].concat()))
}

/// Timeout in seconds of the impatient server for a head, a body, the next request, and a client that reads. Ordinary requests take
/// a second on a busy machine.
const SERVER_TIMEOUT: u32 = 4;

/// Starts a server with short timeouts.
fn start_impatient() -> Program {
    let patience = SERVER_TIMEOUT.to_string();
    start(&["--request-timeout", &patience, "--keep-alive", &patience])
}

fn connect(server: &Program) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    stream
}

/// Whether the other end has closed a connection. Adds what it has sent to `received`.
fn is_closed(stream: &mut TcpStream, received: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => true,
        Ok(read) => {
            received.extend_from_slice(&buffer[..read]);
            false
        }
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Slowly sends bytes on each connection until all are closed, while others are served. Returns what each received.
fn send_slowly(server: &Program, mut streams: Vec<TcpStream>, byte: u8) -> Vec<String> {
    let mut received = vec![Vec::new(); streams.len()];
    let mut open: Vec<_> = (0..streams.len()).collect();
    let started = Instant::now();
    while !open.is_empty() {
        assert!(started.elapsed() < TEST_TIMEOUT, "{} are still open", open.len());
        open.retain(|i| !(streams[*i].write_all(&[byte]).is_err() || is_closed(&mut streams[*i], &mut received[*i])));
        assert_serves(server);
        std::thread::sleep(Duration::from_millis(50));
    }
    received.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

#[track_caller]
fn assert_serves(server: &Program) {
    let bob = server.user("bob");
    bob.post("/me/contacts", json!({"surname": "x"})).json(201);
    bob.get("/me/contacts?$top=1").json(200);
}

#[test]
fn heads_that_dawdle_are_given_up_and_others_are_served() {
    let server = start_impatient();
    let mut streams: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    for stream in &mut streams {
        stream.write_all(b"GET /me HTTP/1.1\r\nHost: ").unwrap();
    }
    for answer in send_slowly(&server, streams, b'x') {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[test]
fn heads_behind_the_first_that_dawdle_are_given_up_as_well() {
    let server = start_impatient();
    let mut streams: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    for stream in &mut streams {
        write!(stream, "{GET}\r\nGET /me HTTP/1.1\r\nHost: ").unwrap();
    }
    for answer in send_slowly(&server, streams, b'x') {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

#[test]
fn bodies_that_dawdle_are_given_up_and_nothing_of_them_is_stored() {
    let server = start_impatient();
    let mut streams: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    for stream in &mut streams {
        let head = "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json";
        write!(stream, "{head}\r\nContent-Length: 4000\r\n\r\n{{").unwrap();
    }
    for answer in send_slowly(&server, streams, b' ') {
        assert!(answer.contains("HTTP/1.1 408 ") && answer.contains("RequestTimeout"), "{answer}");
    }
    assert_eq!(server.user("ann").get("/me/contacts").json(200)["value"], json!([]));
}

/// How a client reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// It reads nothing for a long time.
    Nothing,
    /// It reads a little at a time.
    Little,
    /// It reads everything, with pauses.
    All,
}

/// Requests a large answer twice, since the system buffers up to 4 MiB. Returns the number of bytes received before the
/// server closed the connection, or somewhat more than `size`.
fn take(server: &Program, path: &str, size: usize, how: Reading) -> usize {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    if how != Reading::All {
        // The socket buffers are small, so most of the answer waits in the server.
        socket.set_recv_buffer_size(4096).unwrap();
    }
    socket.connect(&server.address.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\n\r\n");
    stream.write_all(request.repeat(2).as_bytes()).unwrap();
    let (mut buffer, pause) = match how {
        Reading::Nothing => {
            std::thread::sleep(4 * SERVER_TIMEOUT * SECOND);
            (vec![0; 64 << 10], Duration::ZERO)
        }
        // The client reads less than 64 KiB within the time limit.
        Reading::Little => (vec![0; 128], Duration::from_millis(10)),
        Reading::All => (vec![0; 64 << 10], Duration::from_millis(50)),
    };
    let (mut received, started) = (0, Instant::now());
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        received += read;
        if received > size {
            break;
        }
        assert!(started.elapsed() < TEST_TIMEOUT, "it is still served after {received} bytes");
        std::thread::sleep(pause);
    }
    received
}

#[test]
fn an_answer_that_nobody_takes_is_given_up_and_holds_nothing_meanwhile() {
    let server = start_impatient();
    let ann = server.user("ann");
    let photo = photo_of(&ann);
    let picture = gif(1, 1, 4 << 20, 7);
    put(&ann, &photo, &picture).json(200);
    std::thread::scope(|scope| {
        // More than the number of database connections.
        let clients: Vec<_> = (0..12)
            .map(|i| {
                let how = [Reading::Nothing, Reading::Little, Reading::All][i % 3];
                let path = if i % 2 == 0 { format!("{photo}/$value") } else { "/me/contacts/$export".to_owned() };
                let (server, size) = (&server, 2 * picture.len());
                scope.spawn(move || (how, take(server, &path, size, how)))
            })
            .collect();
        while clients.iter().any(|client| !client.is_finished()) {
            assert_serves(&server);
        }
        for client in clients {
            let (how, received) = client.join().unwrap();
            // A client that reads steadily is served, however long it takes.
            assert_eq!(received > 2 * picture.len(), how == Reading::All, "{how:?}: {received}");
        }
    });
    assert_eq!(ann.get(&format!("{photo}/$value")).body, picture);
}

/// Requests a large list and reads only the head of the answer. Returns its status and length.
fn ask_for_large(server: &Program, token: &str) -> (u16, usize, TcpStream) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    write!(stream, "GET /users/ann/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
        .unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(char::from(byte[0]).to_ascii_lowercase());
    }
    (head[9..12].parse().unwrap(), content_length(&head).unwrap(), stream)
}

#[test]
fn so_much_of_a_tokens_answers_is_in_memory_and_what_is_small_is_always_served() {
    const MIB: usize = 1 << 20;
    let server = start(&["--request-timeout", "600", "--max-buffered", "56", "--max-buffered-each", "32"]);
    let (ann, bob) = (server.user("ann"), server.user("bob"));
    let notes = json!({"personalNotes": "x".repeat(MIB)});
    for _ in 0..4 {
        ann.post("/me/contacts", &notes).json(201);
    }
    let mut held = Vec::new();
    // The number of answers, and the bytes that count for the limit: those after the first 64 KiB of an answer.
    let mut ask_until = |token: &str, refused: u16| {
        let (mut answered, mut size) = (0, 0);
        loop {
            let (status, length, stream) = ask_for_large(&server, token);
            held.push(stream);
            if status != 200 {
                assert_eq!(status, refused);
                return (answered, size);
            }
            (answered, size) = (answered + 1, length - (64 << 10));
        }
    };
    let (of_a, size) = ask_until("app:a", 429);
    assert!(of_a == 32 * MIB / size && size > 2 * MIB, "{of_a} of {size}");
    // Large bodies and batches are refused too. Small requests are served.
    let app = server.user("app:a");
    let refused = app.post("/users/ann/contacts", &notes);
    assert_eq!(refused.error(), (429, "TooManyRequests".into(), String::new()));
    assert!(refused.message().starts_with("The bodies and responses of this token"), "{}", refused.message());
    let step = json!({"requests": [{"id": "1", "method": "GET", "url": "/users/ann/contacts"}]});
    assert_eq!(app.post("/$batch", step).json(200)["responses"][0]["status"], 429);
    app.post("/users/ann/contacts", json!({"surname": "z"})).json(201);
    app.get("/users/ann/contacts?$select=id").json(200);
    // Other callers have their own limit, until the server's total is used up.
    assert_eq!(ask_until("app:b", 503).0, (56 * MIB - of_a * size) / size);
    bob.post("/me/contacts", json!({"surname": "z"})).json(201);
    bob.get("/me/contacts").json(200);
    assert_eq!(bob.post("/me/contacts", &notes).error().0, 503);
    drop(held);
    let started = Instant::now();
    while app.get("/users/ann/contacts").status != 200 {
        assert!(started.elapsed() < TEST_TIMEOUT);
    }
    bob.post("/me/contacts", &notes).json(201);
    assert_eq!(bob.get("/me/contacts/$count").body, b"2");
    assert_eq!(ann.get("/me/contacts/$count").body, b"5");
}

/// Sends bytes, possibly too many. Returns the status of the answer, or 0.
fn status_of(server: &Program, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    // The request may be refused before it is sent completely.
    let _ = stream.write_all(bytes);
    let mut answer = [0; 12];
    let _ = stream.read_exact(&mut answer);
    String::from_utf8_lossy(&answer[9..]).parse().unwrap_or(0)
}

#[test]
fn heads_have_so_many_lines_and_bytes_and_no_more() {
    let server = start(&[]);
    let lines = |count: usize| format!("{GET}{}\r\n", "X-Flood: y\r\n".repeat(count - 2));
    let line = |bytes: usize| format!("{GET}X-Flood: {}\r\n\r\n", "y".repeat(bytes));
    let path = |bytes: usize| {
        let rest = "HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\n\r\n";
        format!("GET /me?x={} {rest}", "y".repeat(bytes - "/me?x=".len()))
    };
    for (what, request, expected) in [
        ("96 lines", lines(96), 200),
        ("97 lines", lines(97), 431),
        ("10,000 lines", lines(10_000), 431),
        ("a line of 100,000 bytes", line(100_000), 200),
        ("a head of more than 128 KiB", line(140_000), 431),
        ("an address of 61,374 bytes", path(61_374), 200),
        ("an address that links could not repeat", path(65_534), 400),
        ("an address of more than 65,534 bytes", path(65_535), 400),
    ] {
        assert_eq!(status_of(&server, request.as_bytes()), expected, "{what}");
        assert_serves(&server);
    }
    // A flood that never ends is cut off.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    let sent = (0..100_000).take_while(|i| write!(stream, "X-Flood-{i}: {}\r\n", "y".repeat(100)).is_ok()).count();
    assert!(sent < 100_000);
    assert_serves(&server);
}

/// A script that holds idle connections from several addresses of the loopback network, within its own limit of
/// open files. It prints their number, and after each line of input the number of closed ones.
const HOLDER_SCRIPT: &str = r#"
import resource, socket, sys
host, port = sys.argv[1].split(":")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for i in range(min(int(sys.argv[2]), hard - 50)):
    one = socket.socket()
    one.bind(("127.0.1.%d" % (1 + i % int(sys.argv[3])), 0))
    one.connect((host, int(port)))
    one.setblocking(False)
    held.append(one)
print(len(held), flush=True)
def closed(one):
    try:
        return one.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
for line in sys.stdin:
    print(sum(map(closed, held)), flush=True)
"#;

struct Holder {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    held: usize,
}

impl Holder {
    fn start(server: &Program, connections: usize, addresses: usize) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", HOLDER_SCRIPT, &server.address, &connections.to_string(), &addresses.to_string()]);
        let child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{error}: tests/run installs Python"));
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut holder = Self { child, input, output, held: 0 };
        holder.held = holder.number();
        holder
    }

    fn number(&mut self) -> usize {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    fn closed(&mut self) -> usize {
        self.input.write_all(b"\n").unwrap();
        self.number()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The maximum number of connections in a server's log.
fn max_connections(server: &Program) -> usize {
    loop {
        for line in server.log().lines().filter(|line| line.starts_with('{')) {
            let event: Value = serde_json::from_str(line).unwrap();
            if let Some(max_connections) = event["connections"].as_u64() {
                return usize::try_from(max_connections).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn as_many_idle_connections_as_there_are_files_for_keep_nobody_out() {
    let server = start(&["--request-timeout", "600"]);
    let max_connections = max_connections(&server);
    let mut holder = Holder::start(&server, max_connections, 100);
    println!("hostile: {} idle connections of {max_connections} that the server takes", holder.held);
    for _ in 0..20 {
        assert_serves(&server);
    }
    // For each new connection only the one that was idle for longest is closed.
    let closed = holder.closed();
    let room = max_connections - holder.held;
    assert!(closed + room >= 1 && closed <= 60, "{closed}");
    // More idle connections close each other.
    let second_holder = Holder::start(&server, 100, 100);
    assert_serves(&server);
    let started = Instant::now();
    while holder.closed() + room < second_holder.held {
        assert!(started.elapsed() < TEST_TIMEOUT, "{}", holder.closed());
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// Sends a request on an open connection, and returns the status.
fn status_on(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(br#"{"status":"ok"}"#) {
        match stream.read(&mut byte) {
            Ok(1) => answer.extend_from_slice(&byte),
            _ => break,
        }
    }
    String::from_utf8_lossy(&answer).chars().skip(9).take(3).collect()
}

#[test]
fn one_address_has_its_share_of_the_connections_and_takes_none_from_others() {
    let server = start(&["--request-timeout", "600", "--max-connections-address", "50"]);
    // Idle for longer than all of the others.
    let mut quiet = TcpStream::connect(&server.address).unwrap();
    assert_eq!(status_on(&mut quiet), "200");
    let mut holder = Holder::start(&server, 1_000, 1);
    let started = Instant::now();
    while holder.closed() < holder.held - 50 {
        assert!(started.elapsed() < TEST_TIMEOUT, "{}", holder.closed());
    }
    assert_eq!(holder.closed(), holder.held - 50);
    assert_eq!(status_on(&mut quiet), "200");
}

#[test]
fn a_connection_more_than_all_that_are_at_work_is_closed_and_taken_when_one_ends() {
    let server = start(&["--max-connections", "16", "--max-connections-address", "16"]);
    let mut working: Vec<_> = (0..16).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    for stream in &mut working {
        let head = "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json";
        write!(stream, "{head}\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        // The interim answer shows that the request is being served.
        stream.read_exact(&mut [0; 25]).unwrap();
    }
    assert_eq!(status_on(&mut TcpStream::connect(&server.address).unwrap()), "");
    for stream in &mut working {
        stream.write_all(b"{}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    drop(working);
    let started = Instant::now();
    while status_on(&mut TcpStream::connect(&server.address).unwrap()) != "200" {
        assert!(started.elapsed() < TEST_TIMEOUT);
    }
}

//! A receiver of notifications: a small HTTP server that confirms subscriptions, answers as the test says, and remembers
//! what it got.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

use crate::wire::read_message;

/// How it answers.
#[derive(Clone)]
pub enum Behaviour {
    /// It confirms subscriptions and accepts notifications.
    Accepts,
    /// It confirms subscriptions, but answers notifications with this status.
    Refuses(u16),
    /// It confirms subscriptions, but does not answer notifications.
    Silent,
    /// It answers everything with this text. `TOKEN` is replaced by the token as sent, and `DECODED` by the decoded one.
    AnswersWith(String),
}

/// A request it got.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    pub path: String,
    pub head: String,
    pub body: String,
}

pub struct Receiver {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    got: Mutex<Vec<ReceivedRequest>>,
    ended: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

impl Receiver {
    pub fn new() -> Self {
        Self::start(0, None)
    }

    /// On the port of an earlier receiver.
    pub fn at(port: u16) -> Self {
        Self::start(port, None)
    }

    /// With TLS as `localhost`, with a certificate of the authority in [`ca_file`].
    pub fn with_tls() -> Self {
        let certificate = CertificateDer::from_pem_file(tls("receiver.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(tls("receiver.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Self::start(0, Some(Arc::new(config.with_single_cert(vec![certificate], key).unwrap())))
    }

    fn start(port: u16, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (behaviour, got) = (Mutex::new(Behaviour::Accepts), Mutex::default());
        let shared = Arc::new(Shared { behaviour, got, ended: AtomicBool::new(false), tls });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::SeqCst) {
                    break;
                }
                let (serving, stream) = (Arc::clone(&serving), stream.unwrap());
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn set(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// All requests so far, including validation requests.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.got.lock().unwrap().clone()
    }

    /// The bodies of requests to a path.
    pub fn bodies(&self, path: &str) -> Vec<Value> {
        let received = self.requests().into_iter().filter(|got| got.path == path && !got.body.is_empty());
        received.map(|got| serde_json::from_str(&got.body).unwrap()).collect()
    }

    /// The notifications sent to a path.
    pub fn notifications(&self, path: &str) -> Vec<Value> {
        self.bodies(path).iter().flat_map(|body| body["value"].as_array().unwrap().clone()).collect()
    }

    /// Waits for this many notifications, and asserts that there are no more.
    #[track_caller]
    pub fn wait(&self, path: &str, count: usize) -> Vec<Value> {
        until(|| self.notifications(path).len() >= count);
        let notifications = self.notifications(path);
        assert_eq!(notifications.len(), count, "{notifications:#?}");
        notifications
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) {
        match &self.tls {
            None => self.converse(stream),
            Some(tls) => self.converse(StreamOwned::new(ServerConnection::new(Arc::clone(tls)).unwrap(), stream)),
        }
    }

    fn converse(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        let Ok((head, body)) = read_message(&mut reader) else { return };
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let token = path.split_once("validationToken=").map_or("", |(_, token)| token).to_owned();
        let body = String::from_utf8(body).unwrap();
        self.got.lock().unwrap().push(ReceivedRequest { path, head, body });
        let decoded = decode(&token);
        let confirmed = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{decoded}",
            decoded.len()
        );
        let answer = match self.behaviour.lock().unwrap().clone() {
            Behaviour::AnswersWith(text) => text.replace("TOKEN", &token).replace("DECODED", &decoded),
            _ if !token.is_empty() => confirmed,
            Behaviour::Accepts => "HTTP/1.1 202 Accepted\r\n\r\n".to_owned(),
            Behaviour::Refuses(status) => format!("HTTP/1.1 {status} No\r\n\r\n"),
            Behaviour::Silent => {
                // Until the other side closes the connection.
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        let mut stream = reader.into_inner();
        let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
    }
}

/// Decodes a token from a query.
fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap().to_owned();
    for part in parts {
        decoded.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        decoded.push_str(&part[2..]);
    }
    decoded
}

fn tls(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(file)
}

/// The authority of [`Receiver::with_tls`].
pub fn ca_file() -> PathBuf {
    tls("ca.pem")
}

/// Waits until a condition is true.
#[track_caller]
pub fn until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_mins(2), "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

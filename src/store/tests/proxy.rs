//! A proxy that cuts the connection to a server at a chosen message.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What is lost with the connection.
#[derive(Clone, Copy)]
pub(super) enum CutPoint {
    /// The message: the server never receives it.
    Request,
    /// Its answer: the server has executed the statement.
    Answer,
}

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) port: u16,
    state: Arc<ProxyState>,
    /// The turn of the test, until the last clone is dropped.
    _turn: Arc<LossTurn>,
}

struct ProxyState {
    cut: Mutex<CutPoint>,
    /// How many messages still pass; below 0 all do.
    passing: AtomicI64,
    cuts: AtomicUsize,
    /// Whether new connections are closed at once.
    refuses: AtomicBool,
    /// How many messages have come.
    messages: AtomicUsize,
    /// A hook after the cut, before the client notices it.
    after_cut: Mutex<Option<AfterCut>>,
}

type AfterCut = Box<dyn FnOnce() + Send>;

/// Separates tests that lose connections from a test that counts the outcomes of lost commits: the counters are those of
/// the process.
pub(super) struct LossTurn {
    _shared: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

static LOSSES: RwLock<()> = RwLock::const_new(());

impl LossTurn {
    /// The turn of a test that only loses connections.
    pub(super) async fn shared() -> Self {
        Self { _shared: Some(LOSSES.read().await), _alone: None }
    }

    /// The turn of a test that counts.
    pub(super) async fn alone() -> Self {
        Self { _shared: None, _alone: Some(LOSSES.write().await) }
    }
}

impl Proxy {
    pub(super) fn to(server: u16, turn: LossTurn) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = ProxyState {
            cut: Mutex::new(CutPoint::Request),
            passing: AtomicI64::new(-1),
            cuts: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
            messages: AtomicUsize::new(0),
            after_cut: Mutex::new(None),
        };
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, state: Arc::new(state), _turn: Arc::new(turn) };
        let state = Arc::clone(&proxy.state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if state.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let state = Arc::clone(&state);
                std::thread::spawn(move || state.serve(&client, &server));
            }
        });
        proxy
    }

    /// Cuts the connection of the message that comes after so many.
    pub(super) fn cut(&self, cut: CutPoint, after: i64) {
        *self.state.cut.lock().unwrap() = cut;
        self.state.passing.store(after, Ordering::SeqCst);
    }

    /// Closes new connections from now on.
    pub(super) fn refuse(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
    }

    /// Sets the hook for the next cut.
    pub(super) fn after_cut(&self, work: impl FnOnce() + Send + 'static) {
        *self.state.after_cut.lock().unwrap() = Some(Box::new(work));
    }

    /// How many messages the client has sent.
    pub(super) fn messages(&self) -> usize {
        self.state.messages.load(Ordering::SeqCst)
    }

    /// How many connections were cut.
    pub(super) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl ProxyState {
    /// The client sends whole messages and waits for their answer, so what is read at once is a message.
    fn serve(&self, mut client: &TcpStream, mut server: &TcpStream) {
        let mut buffer = vec![0; 1 << 20];
        let (discards_answers, (answered, answer)) = (&AtomicBool::new(false), mpsc::channel());
        std::thread::scope(|scope| {
            let answers = scope.spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(read @ 1..) = (&*server).read(&mut buffer) {
                    let bytes = &buffer[..read];
                    if discards_answers.load(Ordering::SeqCst) {
                        // ReadyForQuery, the end of every answer.
                        if read > 5 && bytes[read - 6..].starts_with(b"Z\0\0\0\x05") {
                            let _ = answered.send(());
                        }
                    } else if (&*client).write_all(bytes).is_err() {
                        break;
                    }
                }
            });
            while let Ok(read @ 1..) = client.read(&mut buffer) {
                self.messages.fetch_add(1, Ordering::SeqCst);
                if self.passing.load(Ordering::SeqCst) >= 0 && self.passing.fetch_sub(1, Ordering::SeqCst) == 0 {
                    self.cuts.fetch_add(1, Ordering::SeqCst);
                    if matches!(*self.cut.lock().unwrap(), CutPoint::Answer) {
                        // The answer is discarded. The client sees the loss only after the server has answered.
                        discards_answers.store(true, Ordering::SeqCst);
                        server.write_all(&buffer[..read]).unwrap();
                        let _ = answer.recv_timeout(Duration::from_secs(10));
                    }
                    // The server rolls an open transaction back, so that its locks are released.
                    let _ = server.shutdown(Shutdown::Both);
                    if let Some(after_cut) = self.after_cut.lock().unwrap().take() {
                        after_cut();
                    }
                    break;
                }
                if server.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
            answers.join().unwrap();
        });
    }
}

//! Clients that write while a test fails the server under them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many answers the clients of a storm have had. A test waits for a number of them and not only for a time, so that
/// it proves as much on a busy machine as on an idle one.
#[derive(Default)]
pub struct Answers(AtomicUsize);

impl Answers {
    /// One more has come.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until at least this many have come in all, and no shorter than this time.
    pub fn wait_for(&self, number: usize, least: Duration) {
        let started = Instant::now();
        std::thread::sleep(least);
        while self.0.load(Ordering::SeqCst) < number {
            assert!(started.elapsed() < Duration::from_mins(1), "{:?} answers in a minute, not {number}", self.0);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

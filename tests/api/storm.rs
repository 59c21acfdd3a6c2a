//! Clients that write while a test makes the server fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The number of answers that the clients have received. A test waits for a number and not only for a time, so that
/// it proves as much on a busy machine as on an idle one.
#[derive(Default)]
pub struct Answers(AtomicUsize);

impl Answers {
    /// Counts one more answer.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for at least this many answers and at least this time.
    pub fn wait_for(&self, number: usize, least: Duration) {
        let started = Instant::now();
        std::thread::sleep(least);
        while self.0.load(Ordering::SeqCst) < number {
            assert!(started.elapsed() < Duration::from_mins(1), "{:?} answers in a minute, not {number}", self.0);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

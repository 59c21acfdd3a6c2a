//! Notifications to systemd (sd_notify(3)): the server starts, is ready, stops, and is not stuck.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::http::Readiness;

/// The socket of the service manager, if there is one.
#[derive(Clone)]
pub(crate) struct Manager(Option<SocketAddr>);

/// Interval of checks whether the database is open.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Interval at which a long start asks for more time, and the time it asks for.
const EXTEND_INTERVAL: Duration = Duration::from_secs(10);
const EXTENSION_MICROS: u64 = 60_000_000;

impl Manager {
    /// The socket in `$NOTIFY_SOCKET`: a path, or an abstract name after `@`.
    pub(crate) fn find() -> Self {
        let named = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        Self(named.and_then(|name| {
            match name.as_bytes().strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(&name),
            }
            .ok()
        }))
    }

    /// Sends a text. Errors are ignored.
    pub(crate) fn send(&self, text: &str) {
        if let Some(address) = &self.0
            && let Ok(socket) = UnixDatagram::unbound()
        {
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }

    /// Asks for more time until the server is ready, because an upgrade of the schema may take long. Then reports
    /// regularly that the server is not stuck, if the manager asks for it. Never returns.
    pub(crate) async fn watch(self, readiness: Readiness) {
        if self.0.is_none() {
            return;
        }
        self.send("STATUS=Opening the database");
        let mut extended: Option<Instant> = None;
        while readiness.store().is_none() {
            if extended.is_none_or(|last| last.elapsed() > EXTEND_INTERVAL) {
                self.send(&format!("EXTEND_TIMEOUT_USEC={EXTENSION_MICROS}"));
                extended = Some(Instant::now());
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        let micros =
            std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
        let Some(every) = micros.map(|micros: u64| Duration::from_micros(micros) / 3) else { return };
        loop {
            if let Some(store) = readiness.store()
                && store.answers(every).await
            {
                self.send("WATCHDOG=1");
            }
            tokio::time::sleep(every).await;
        }
    }
}

//! TLS for clients: reads the certificate from files and serves it. After a pair is replaced, new connections get the
//! new certificate; open connections continue.

mod dev_cert;
mod files;

pub use crate::http::tls::dev_cert::{DevCertArgs as DevCert, run as dev_cert};
pub use crate::http::tls::files::Pair;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::thread;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::http::tls::files::FileStamps;
use crate::metrics::list::CERTIFICATE_EXPIRY;

/// How often the files are checked for a change. They are read once they are the same in two checks in a row, because a
/// certificate and its key are written one after the other.
const PERIOD: Duration = Duration::from_millis(500);
/// Number of TLS sessions that clients can resume without a full handshake.
const SESSIONS: usize = 1_024;

/// Options of `contactd serve` for TLS.
#[derive(Debug, Args)]
pub struct Flags {
    /// Certificate for https, in PEM: the certificate followed by its intermediates; read again when it or its key
    /// changes
    #[arg(long, env = "CONTACTD_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Key of --tls-cert, in PEM, not encrypted
    #[arg(long, env = "CONTACTD_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// With --dev: serve https with the certificate of `contactd dev-cert`, which is created if missing
    #[arg(long, env = "CONTACTD_TLS", value_parser = FalseyValueParser::new())]
    pub tls: bool,

    /// Folder of the certificate of --tls; by default $XDG_DATA_HOME/contactd or ~/.local/share/contactd
    #[arg(long, env = "CONTACTD_DEV_CERT_DIR", value_name = "DIR")]
    pub dev_cert_dir: Option<PathBuf>,
}

impl Flags {
    /// The certificate to serve with, or none for plain HTTP.
    ///
    /// # Errors
    /// One line that names the flag and the file.
    pub fn open(&self, is_dev: bool) -> Result<Option<Tls>, String> {
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            return Tls::open(Pair::new(("--tls-cert", cert), ("--tls-key", key))).map(Some);
        }
        if self.tls_cert.is_some() || self.tls_key.is_some() {
            return Err("set both --tls-cert and --tls-key, or neither".to_owned());
        }
        match (self.tls, is_dev) {
            (false, _) => Ok(None),
            (true, false) => Err(
                "--tls uses a development certificate and needs --dev; name your own certificate with --tls-cert and \
                     --tls-key"
                    .to_owned(),
            ),
            (true, true) => {
                let files = dev_cert::make("--dev-cert-dir", self.dev_cert_dir.as_deref())?;
                let tls = Tls::open(files.pair())?;
                Ok(Some(Tls { authority: Some(files.authority.into()), ..tls }))
            }
        }
    }
}

/// A certificate that is served. Cheap to clone; while a clone exists, a thread watches its files.
#[derive(Debug, Clone)]
pub struct Tls {
    live: Arc<LiveCertificate>,
    authority: Option<Arc<Path>>,
}

#[derive(Debug)]
struct LiveCertificate {
    pair: Pair,
    served: RwLock<Served>,
}

/// The certificate of new connections.
#[derive(Debug)]
struct Served {
    key: Arc<CertifiedKey>,
    /// Sessions belong to this certificate: a resumed handshake shows no certificate, so a new certificate drops them.
    sessions: Arc<ServerSessionMemoryCache>,
}

impl Served {
    fn new(key: CertifiedKey) -> Self {
        if let Some(end) = key.cert.first().and_then(files::expiry) {
            CERTIFICATE_EXPIRY.set(end);
        }
        Self { key: Arc::new(key), sessions: ServerSessionMemoryCache::new(SESSIONS) }
    }
}

impl Tls {
    /// Reads a pair, and again whenever it changes. A changed pair that cannot be served is logged, and the old one
    /// stays.
    ///
    /// # Errors
    /// One line that names the flag and the file.
    pub fn open(pair: Pair) -> Result<Self, String> {
        let state = pair.state();
        let live = Arc::new(LiveCertificate { served: RwLock::new(Served::new(pair.read()?)), pair });
        let served = Arc::downgrade(&live);
        let watcher = thread::Builder::new().name("certificate".to_owned()).spawn(move || watch(&served, state));
        watcher.map_err(|error| error.to_string())?;
        Ok(Self { live, authority: None })
    }

    /// The certificate authority of a development certificate, which clients do not trust by default.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// TLS 1.2 and 1.3, without client certificates. The HTTP server adds the ALPN protocol, which is only HTTP/1.1.
    ///
    /// # Errors
    /// None are known: the provider has both versions.
    pub fn config(&self) -> Result<ServerConfig, String> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let mut config =
            config.with_no_client_auth().with_cert_resolver(Arc::clone(&self.live) as Arc<dyn ResolvesServerCert>);
        config.session_storage = Arc::clone(&self.live) as Arc<dyn StoresServerSessions>;
        Ok(config)
    }
}

impl LiveCertificate {
    fn sessions(&self) -> Arc<ServerSessionMemoryCache> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner).sessions)
    }
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl StoresServerSessions for LiveCertificate {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.sessions().put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions().get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions().take(key)
    }

    fn can_cache(&self) -> bool {
        self.sessions().can_cache()
    }
}

/// Watches the files while they are served. It compares their metadata. File notifications were rejected: they miss a
/// symbolic link to a folder that is switched, which is how containers and ACME clients replace certificates.
fn watch(live: &Weak<LiveCertificate>, mut known: FileStamps) {
    let mut previous = known;
    loop {
        thread::sleep(PERIOD);
        let Some(live) = live.upgrade() else { return };
        let now = live.pair.state();
        let has_settled = now == previous;
        previous = now;
        if now == known || !has_settled {
            continue;
        }
        known = now;
        match live.pair.read() {
            Ok(key) => {
                *live.served.write().unwrap_or_else(PoisonError::into_inner) = Served::new(key);
                tracing::info!("the certificate has changed; new connections get the new one");
            }
            Err(reason) => {
                tracing::warn!(reason, "the certificate has changed and cannot be used; the old one stays in use");
            }
        }
    }
}

//! Listeners: TCP addresses and Unix sockets. An address is bound before the database is opened, and accepts
//! connections only once the server can answer them.

use std::ffi::c_int;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that may wait to be accepted, if the system allows it. The standard library uses 128.
const BACKLOG: c_int = 1_024;
/// Attempts to find a port that is free on several addresses.
const MAX_TRIES: usize = 32;
/// Mode of a Unix socket: only its owner and group can connect.
const MODE: u32 = 0o660;

/// A value of `--listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A host (`None` for all addresses of the machine) and a port.
    Port(Option<String>, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err("expected a path after unix:") } else { Ok(Self::Unix(path.into())) };
        }
        let expected = "expected ADDR:PORT, :PORT for all addresses, or unix:PATH";
        let (host, port) = text.rsplit_once(':').ok_or(expected)?;
        let port = port.parse().map_err(|_| expected)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self::Port((!host.is_empty()).then(|| host.to_owned()), port))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(host, port) => {
                let host = host.as_deref().unwrap_or_default();
                if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// The addresses of the host; none for a Unix socket.
    ///
    /// # Errors
    /// The host has no address.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, Error> {
        let Self::Port(host, port) = self else { return Ok(Vec::new()) };
        let both = |v4: Ipv4Addr, v6: Ipv6Addr| vec![(v4, *port).into(), (v6, *port).into()];
        match host.as_deref() {
            None => Ok(both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)),
            // Not from /etc/hosts, which in containers often lacks one of the two.
            Some(host) if host.eq_ignore_ascii_case("localhost") => Ok(both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)),
            Some(host) => Ok((host, *port).to_socket_addrs()?.collect()),
        }
    }
}

/// A bound address. It accepts no connections yet; to a Unix socket clients can connect, and wait.
#[derive(Debug)]
pub(crate) struct BoundAddress {
    socket: Socket,
    pub(crate) at: ListenAddress,
}

/// The address of a listener.
#[derive(Debug)]
pub(crate) enum ListenAddress {
    Address(SocketAddr),
    File(SocketFile),
}

/// A socket that accepts connections.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a Unix socket, and its device and inode. Dropping this removes the file, if it is still the same one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    pub(crate) path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl BoundAddress {
    /// Whether only this machine can reach it.
    pub(crate) fn is_local(&self) -> bool {
        match &self.at {
            ListenAddress::Address(address) => address.ip().is_loopback(),
            ListenAddress::File(_) => true,
        }
    }

    /// Starts to accept connections. The file of a Unix socket is in the second value.
    ///
    /// # Errors
    /// Those of the system, for instance if another process listens there by now.
    pub(crate) fn listen(self) -> Result<(Listener, ListenAddress), Error> {
        match &self.at {
            ListenAddress::Address(_) => {
                self.socket.listen(BACKLOG)?;
                Ok((Listener::Tcp(self.socket.into()), self.at))
            }
            ListenAddress::File(_) => Ok((Listener::Unix(self.socket.into()), self.at)),
        }
    }
}

/// Binds all of these addresses, or none.
///
/// # Errors
/// One line that names the first address that cannot be bound.
pub(crate) fn bind(places: &[Listen]) -> Result<Vec<BoundAddress>, String> {
    let mut bound: Vec<BoundAddress> = Vec::new();
    for place in places {
        let reason = |error: Error| format!("--listen {place}: {error}");
        match place {
            Listen::Unix(path) => bound.push(bind_file(path).map_err(reason)?),
            Listen::Port(_, port) => {
                let addresses = place.addresses().map_err(reason)?;
                let mut more = bind_addresses(&addresses, &bound);
                for _ in 0..MAX_TRIES {
                    match &more {
                        // The port is free on one address and used on another.
                        Err(error) if *port == 0 && error.kind() == ErrorKind::AddrInUse => {}
                        _ => break,
                    }
                    more = bind_addresses(&addresses, &bound);
                }
                bound.extend(more.map_err(reason)?);
            }
        }
    }
    if bound.is_empty() { Err("--listen names no address".to_owned()) } else { Ok(bound) }
}

/// Binds the addresses of one host on one port. Addresses that this machine does not have, such as IPv6, are skipped if
/// it has another one.
fn bind_addresses(addresses: &[SocketAddr], already_bound: &[BoundAddress]) -> Result<Vec<BoundAddress>, Error> {
    let mut bound: Vec<BoundAddress> = Vec::new();
    let mut missing = Some(Error::new(ErrorKind::AddrNotAvailable, "the name has no address"));
    for address in addresses {
        let mut address = *address;
        if let Some(BoundAddress { at: ListenAddress::Address(first), .. }) = bound.first() {
            address.set_port(first.port());
        }
        let is_bound = |matches_address: &dyn Fn(&SocketAddr) -> bool| {
            already_bound
                .iter()
                .chain(&bound)
                .any(|bound| matches!(&bound.at, ListenAddress::Address(address) if matches_address(address)))
        };
        if is_bound(&|other| *other == address) {
            missing = None;
            continue;
        }
        let has_ipv4_listener = is_bound(&|other| other.is_ipv4() && other.port() == address.port());
        match bind_address(address, has_ipv4_listener) {
            Ok(socket) => bound.push(socket),
            Err(error) if is_unavailable(&error) => missing = missing.map(|_| error),
            Err(error) => return Err(error),
        }
    }
    missing.filter(|_| bound.is_empty()).map_or(Ok(bound), Err)
}

fn is_unavailable(error: &Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

fn bind_address(address: SocketAddr, has_ipv4_listener: bool) -> Result<BoundAddress, Error> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Otherwise connections of a server that has just ended would block the address.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && has_ipv4_listener {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(BoundAddress { socket, at: ListenAddress::Address(address) })
}

/// Creates a Unix socket, and replaces one on which no process listens. It listens at once: other processes would take
/// a socket that does not listen for a stale one.
fn bind_file(path: &Path) -> Result<BoundAddress, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // If several processes start at once, one creates the socket and the others find it.
    let _lock = File::open(folder).and_then(|folder| folder.lock().map(|()| folder));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Error::new(ErrorKind::AlreadyExists, "it already exists and is not a socket"));
        }
        Ok(_) if is_served(path)? => return Err(Error::new(ErrorKind::AddrInUse, "another process listens there")),
        Ok(_) => fs::remove_file(path)?,
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) };
    // Before it listens: until then no client can connect, so the first mode does not matter.
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    Ok(BoundAddress { socket, at: ListenAddress::File(file) })
}

fn is_served(path: &Path) -> Result<bool, Error> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Connecting to a server whose queue is full would block.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_values_are_parsed() {
        let port = |host: Option<&str>, port| Ok(Listen::Port(host.map(str::to_owned), port));
        for (text, expected) in [
            ("127.0.0.1:8080", port(Some("127.0.0.1"), 8080)),
            ("[::1]:0", port(Some("::1"), 0)),
            ("localhost:80", port(Some("localhost"), 80)),
            (":8080", port(None, 8080)),
            ("unix:/run/a.sock", Ok(Listen::Unix("/run/a.sock".into()))),
            ("unix:///run/a.sock", Ok(Listen::Unix("/run/a.sock".into()))),
            ("unix:a.sock", Ok(Listen::Unix("a.sock".into()))),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for bad in ["", "8080", "nonsense", "127.0.0.1", "host:", "host:70000", "unix:", "unix://"] {
            assert!(bad.parse::<Listen>().unwrap_err().starts_with("expected "), "{bad}");
        }
        assert_eq!("[::1]:80".parse::<Listen>().unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn an_address_is_bound_once_and_accepts_connections_only_after_listen() {
        let bound = bind(&["localhost:0".parse().unwrap()]).unwrap();
        let addresses: Vec<_> = bound
            .iter()
            .map(|bound| match &bound.at {
                ListenAddress::Address(address) => *address,
                ListenAddress::File(file) => panic!("{file:?}"),
            })
            .collect();
        assert!(
            bound.iter().all(BoundAddress::is_local)
                && addresses.iter().all(|address| address.port() == addresses[0].port())
        );
        assert_eq!(addresses[0].ip(), Ipv4Addr::LOCALHOST);
        assert!(std::net::TcpStream::connect(addresses[0]).is_err());
        let listening: Vec<_> = bound.into_iter().map(|bound| bound.listen().unwrap()).collect();
        assert_eq!(listening.len(), addresses.len());
        let taken = format!("127.0.0.1:{}", addresses[0].port());
        assert!(
            bind(&[taken.parse().unwrap()]).unwrap_err().starts_with(&format!("--listen {taken}: Address already"))
        );
    }

    #[test]
    fn only_a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let place = [Listen::Unix(path.clone())];
        drop(UnixListener::bind(&path).unwrap());
        let first = bind(&place).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(bind(&place).unwrap_err().contains("another process listens there"));
        drop(first);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert!(bind(&place).unwrap_err().contains("is not a socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_socket_of_another_process_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let bound = bind(&[Listen::Unix(path.clone())]).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
    }
}

//! TLS towards clients: versions, refusals, and certificates that change. Also `contactd dev-cert`.

use std::fs;
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion, crypto::ring,
};

use crate::program::{Program, contactd, fails};
use crate::receiver::until;
use crate::wire::read_message;

/// A folder that `contactd dev-cert` filled, and what it printed.
pub struct DevCert {
    folder: TempDir,
    printed: String,
}

impl DevCert {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = contactd(&["dev-cert", "--dir", folder.path().to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { folder, printed: String::from_utf8(output.stdout).unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `serve --dev --tls` with this certificate.
    pub fn serve(&self) -> Program {
        let folder = self.folder.path().to_str().unwrap();
        let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:", "--tls"];
        Program::start(contactd(&[&serve[..], &["--dev-cert-dir", folder]].concat()))
    }

    /// A connection to it.
    pub fn stream(&self, server: &Program) -> StreamOwned<ClientConnection, TcpStream> {
        connect(server, &Arc::new(trusting(self, ALL_VERSIONS))).unwrap().into_inner()
    }

    /// The printed line with this beginning.
    #[track_caller]
    pub fn line(&self, start: &str) -> &str {
        self.printed.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}"))
    }
}

/// A client that trusts one authority.
fn trusting(dev: &DevCert, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dev.file("dev-ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    config.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth()
}

type Connection = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// Connects and completes the handshake.
fn connect(server: &Program, config: &Arc<ClientConfig>) -> std::io::Result<Connection> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = TcpStream::connect(&server.address)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    session.complete_io(&mut stream)?;
    Ok(BufReader::new(StreamOwned::new(session, stream)))
}

/// One request and its answer, head and body; the connection is kept.
fn ask(connection: &mut Connection, request: &str, body: &str) -> std::io::Result<String> {
    let head = "Host: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json";
    let length = body.len();
    write!(connection.get_mut(), "{request} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let (head, body) = read_message(connection)?;
    Ok(head + &String::from_utf8(body).unwrap())
}

/// Whether a new connection sees a certificate of this authority.
fn is_of(server: &Program, dev: &DevCert) -> bool {
    connect(server, &Arc::new(trusting(dev, ALL_VERSIONS))).is_ok()
}

/// A server with a copy of a pair, which a test can change.
fn serve_copy(folder: &TempDir, dev: &DevCert) -> Program {
    let [cert, key] = copied(folder);
    fs::copy(dev.file("dev.pem"), &cert).unwrap();
    fs::copy(dev.file("dev.key"), &key).unwrap();
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:", "--log-level", "info"];
    let mut command = contactd(&serve);
    command.env("CONTACTD_TLS_CERT", cert).env("CONTACTD_TLS_KEY", key);
    Program::start(command)
}

fn copied(folder: &TempDir) -> [PathBuf; 2] {
    [folder.path().join("cert.pem"), folder.path().join("key.pem")]
}

#[test]
fn both_versions_of_tls_are_spoken_with_http_1_and_links_begin_with_https() {
    let dev = DevCert::new();
    let server = dev.serve();
    assert_eq!(server.origin, format!("https://{}", server.address));
    for (versions, version) in [
        ([&TLS12].as_slice(), ProtocolVersion::TLSv1_2),
        (&[&TLS13], ProtocolVersion::TLSv1_3),
        (ALL_VERSIONS, ProtocolVersion::TLSv1_3),
    ] {
        let mut config = trusting(&dev, versions);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut connection = connect(&server, &Arc::new(config)).unwrap();
        let session = &connection.get_ref().conn;
        assert_eq!(session.protocol_version(), Some(version));
        assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
        let created = ask(&mut connection, "POST /me/contacts", "{}").unwrap();
        assert!(created.starts_with("HTTP/1.1 201 Created\r\n"), "{created}");
        let location = created.split("location: ").nth(1).unwrap().lines().next().unwrap();
        assert!(location.starts_with("https://localhost/users('ann')/contacts('"), "{created}");
        let list = ask(&mut connection, "GET /v1.0/me/contacts?$top=1&$skip=0", "").unwrap();
        assert!(list.contains(r#"{"@odata.context":"https://localhost/v1.0/$metadata"#), "{list}");
    }
    let list = ask(
        &mut connect(&server, &Arc::new(trusting(&dev, ALL_VERSIONS))).unwrap(),
        "GET /v1.0/me/contacts?$top=1",
        "",
    );
    assert!(list.unwrap().contains(r#""@odata.nextLink":"https://localhost/v1.0/me/contacts?"#));
    let mut config = trusting(&dev, ALL_VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let refused = connect(&server, &Arc::new(config)).err().unwrap();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn a_new_certificate_is_served_without_a_restart_and_connections_go_on() {
    let (old, new) = (DevCert::new(), DevCert::new());
    let folder = tempfile::tempdir().unwrap();
    let server = serve_copy(&folder, &old);
    let config = Arc::new(trusting(&old, ALL_VERSIONS));
    let mut kept = connect(&server, &config).unwrap();
    let created = ask(&mut kept, "POST /me/contacts", "{}").unwrap();
    assert!(created.starts_with("HTTP/1.1 201 "), "{created}");
    // Sessions are resumed.
    assert_eq!(connect(&server, &config).unwrap().get_ref().conn.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(is_of(&server, &old) && !is_of(&server, &new));
    let [cert, key] = copied(&folder);
    fs::copy(new.file("dev.pem"), &cert).unwrap();
    fs::copy(new.file("dev.key"), &key).unwrap();
    until(|| is_of(&server, &new));
    assert!(!is_of(&server, &old));
    assert!(ask(&mut kept, "GET /me/contacts", "").unwrap().starts_with("HTTP/1.1 200 "));
    // The session of the old certificate is not resumed either; a resumed one would show no certificate.
    assert!(connect(&server, &config).is_err());
    assert!(server.log().contains("the certificate has changed; new connections get the new one"), "{}", server.log());
}

#[test]
fn a_certificate_that_is_replaced_by_a_symbolic_link_is_served() {
    let (old, new) = (DevCert::new(), DevCert::new());
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("live");
    std::os::unix::fs::symlink(old.folder.path(), &link).unwrap();
    let mut command = contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]);
    command.arg("--tls-cert").arg(link.join("dev.pem")).arg("--tls-key").arg(link.join("dev.key"));
    let server = Program::start(command);
    assert!(is_of(&server, &old));
    let next = folder.path().join("next");
    std::os::unix::fs::symlink(new.folder.path(), &next).unwrap();
    fs::rename(next, link).unwrap();
    until(|| is_of(&server, &new));
}

#[test]
fn an_invalid_new_certificate_causes_a_warning_and_the_old_one_stays() {
    let (old, new) = (DevCert::new(), DevCert::new());
    let folder = tempfile::tempdir().unwrap();
    let server = serve_copy(&folder, &old);
    let [cert, key] = copied(&folder);
    let pem = fs::read_to_string(new.file("dev.pem")).unwrap();
    let remove: &dyn Fn() = &|| fs::remove_file(&cert).unwrap();
    let half: &dyn Fn() = &|| fs::write(&cert, &pem[..pem.len() / 2]).unwrap();
    let empty: &dyn Fn() = &|| fs::write(&cert, "").unwrap();
    let other: &dyn Fn() = &|| fs::write(&cert, &pem).unwrap();
    for (change, reason) in [
        (remove, "cert.pem: No such file"),
        (half, "cert.pem: not valid PEM"),
        (empty, "cert.pem: no PEM certificate in it"),
        (other, "key.pem: not the key of the first certificate in --tls-cert "),
    ] {
        change();
        until(|| server.log().contains(reason));
        assert!(is_of(&server, &old) && !is_of(&server, &new), "{reason}");
    }
    let warnings = |log: &str| log.lines().filter(|line| line.contains("cannot be used; the old one stays")).count();
    assert_eq!(warnings(&server.log()), 4, "each state is told once: {}", server.log());
    fs::copy(new.file("dev.key"), &key).unwrap();
    until(|| is_of(&server, &new));
    assert_eq!(warnings(&server.log()), 4);
}

#[test]
fn an_invalid_certificate_at_startup_prints_one_line_with_flag_and_file() {
    let (dev, other) = (DevCert::new(), DevCert::new());
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &Path| file.to_str().unwrap().to_owned();
    let (cert, key) = (path(&dev.file("dev.pem")), path(&dev.file("dev.key")));
    let none = path(&folder.path().join("none"));
    let noise = path(&folder.path().join("noise"));
    fs::write(&noise, "-----BEGIN NOISE-----\n").unwrap();
    let encrypted = path(&folder.path().join("encrypted"));
    fs::write(&encrypted, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .unwrap();
    let strange = path(&folder.path().join("strange"));
    fs::write(&strange, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let file = path(&dev.file("dev.pem"));
    for (arguments, reason) in [
        (vec!["--tls-cert", &none, "--tls-key", &key], format!("--tls-cert {none}: No such file or directory")),
        (vec!["--tls-cert", &cert, "--tls-key", &none], format!("--tls-key {none}: No such file or directory")),
        (vec!["--tls-cert", &noise, "--tls-key", &key], format!("--tls-cert {noise}: not valid PEM")),
        (vec!["--tls-cert", &key, "--tls-key", &key], format!("--tls-cert {key}: no PEM certificate in it")),
        (
            vec!["--tls-cert", &cert, "--tls-key", &cert],
            format!("--tls-key {cert}: no unencrypted PEM private key in it"),
        ),
        (
            vec!["--tls-cert", &cert, "--tls-key", &encrypted],
            format!("--tls-key {encrypted}: no unencrypted PEM private key in it"),
        ),
        (
            vec!["--tls-cert", &strange, "--tls-key", &key],
            format!("--tls-cert {strange}: the certificate cannot be served"),
        ),
        (
            vec!["--tls-cert", &cert, "--tls-key", other.file("dev.key").to_str().unwrap()],
            format!("dev.key: not the key of the first certificate in --tls-cert {cert}"),
        ),
        (vec!["--tls", "--dev-cert-dir", &file], format!("--dev-cert-dir {file}: ")),
    ] {
        let mut command = contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--log-level", "off"]);
        command.args(&arguments).current_dir(folder.path());
        let (code, text) = fails(command);
        assert!(code == 1 && text.starts_with("contactd: ") && text.lines().count() == 1, "{arguments:?}: {text}");
        assert!(text.contains(&reason), "{arguments:?}: {text}");
        assert!(!folder.path().join("contacts.db").exists());
    }
    let mut command = contactd(&["serve", "--tls"]);
    command.env("CONTACTD_TOKENS", "ann=s3cret").current_dir(folder.path());
    let (code, text) = fails(command);
    assert!(code == 1 && text.contains("--tls uses a development certificate and needs --dev"), "{text}");
    for (one, other) in [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")] {
        let (code, text) = fails(contactd(&["serve", "--dev", one, &cert]));
        assert!(code == 2 && text.contains(other), "{text}");
    }
    let mut homeless = contactd(&["dev-cert"]);
    homeless.env_remove("HOME").env_remove("XDG_DATA_HOME");
    let (code, text) = fails(homeless);
    assert!(code == 1 && text == "contactd: --dir names no folder, and XDG_DATA_HOME and HOME are not set\n", "{text}");
}

#[test]
fn clients_that_connect_and_say_nothing_keep_nobody_out() {
    let dev = DevCert::new();
    let server = dev.serve();
    // More than the HTTP library's default limit of concurrent handshakes, which may take longer than `ask` waits.
    let idle: Vec<_> = (0..600).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    for _ in 0..8 {
        let mut connection = connect(&server, &Arc::new(trusting(&dev, ALL_VERSIONS))).unwrap();
        assert!(ask(&mut connection, "GET /me", "").unwrap().starts_with("HTTP/1.1 200 "));
    }
    drop(idle);
}

#[test]
fn tls_connections_have_the_same_limits() {
    let dev = DevCert::new();
    let (folder, config) = (dev.folder.path().to_str().unwrap(), Arc::new(trusting(&dev, ALL_VERSIONS)));
    let serve =
        ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:", "--tls", "--dev-cert-dir", folder];
    let server = Program::start(contactd(&[&serve[..], &["--max-connections-address", "2"]].concat()));
    let mut first = connect(&server, &config).unwrap();
    assert!(ask(&mut first, "GET /me", "").unwrap().starts_with("HTTP/1.1 200 "));
    let mut others = [connect(&server, &config).unwrap(), connect(&server, &config).unwrap()];
    // The connection that was idle for longest is closed for a new one.
    for other in &mut others {
        assert!(ask(other, "GET /me", "").unwrap().starts_with("HTTP/1.1 200 "));
    }
    assert!(ask(&mut first, "GET /me", "").is_err());
}

#[test]
fn who_speaks_no_tls_or_an_old_one_is_told_nothing() {
    let dev = DevCert::new();
    let server = dev.serve();
    let answered = |sent: &[u8]| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(sent).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    // A fatal alert (record type 21, a version, two bytes) and no ServerHello.
    let is_alert = |answer: &[u8]| matches!(answer, [21, 3, _, 0, 2, 2, _]);
    let answer = answered(b"GET /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\n\r\n");
    assert!(is_alert(&answer), "{answer:?}");
    for version in [0, 1, 2] {
        // A ClientHello of SSL 3.0, TLS 1.0 and 1.1: random bytes, no session, two cipher suites, no compression.
        let hello = [&[3, version][..], &[7; 32], &[0, 0, 4, 0xc0, 0x14, 0, 0x35, 1, 0]].concat();
        let message = [&[1, 0, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat();
        let record = [&[22, 3, version, 0, u8::try_from(message.len()).unwrap()][..], &message].concat();
        let answer = answered(&record);
        assert!(is_alert(&answer), "3.{version}: {answer:?}");
    }
}

#[test]
fn health_detects_a_tls_server() {
    let dev = DevCert::new();
    let mut server = dev.serve();
    let address = server.address.clone();
    let health = ["health", "--listen", &address];
    assert_eq!(fails(contactd(&health)), (0, String::new()));
    server.signal("TERM");
    server.ended(Duration::from_mins(1));
    let (code, text) = fails(contactd(&health));
    assert!(code == 2 && text.starts_with("contactd: "), "{text}");
}

#[test]
fn the_first_start_names_the_https_address() {
    let dev = DevCert::new();
    let folder = tempfile::tempdir().unwrap();
    let mut command = contactd(&["serve", "--listen", "127.0.0.1:0"]);
    command.arg("--tls-cert").arg(dev.file("dev.pem")).arg("--tls-key").arg(dev.file("dev.key"));
    command.current_dir(folder.path());
    let server = Program::start(command);
    let command_line = format!("curl -i '{}/me/contacts/$ref'", server.origin);
    assert!(server.origin.starts_with("https://") && server.log().contains(&command_line), "{}", server.log());
}

#[test]
fn the_lines_of_dev_cert_make_curl_trust_the_server() {
    let dev = DevCert::new();
    let server = dev.serve();
    for (start, host) in [
        ("curl --cacert ", server.address.replace("127.0.0.1", "localhost")),
        (
            &format!("curl --cacert {} --connect-to", dev.file("dev-ca.pem").display()),
            "graph.microsoft.com/v1.0".to_owned(),
        ),
    ] {
        let port = server.address.rsplit(':').next().unwrap();
        let line = dev.line(start).replace("localhost:8080", &format!("localhost:{port}"));
        let output = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        let body: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}: {output:?}"));
        let context = format!("https://{host}/$metadata#users('ann')/contacts");
        assert_eq!(body, json!({"@odata.context": context, "value": []}));
    }
    // Without these lines no client trusts the server.
    let stranger = Command::new("curl").arg(format!("https://{}/healthz", server.address)).output().unwrap();
    assert!(!stranger.status.success() && stranger.stdout.is_empty(), "{stranger:?}");
}

#[test]
fn dev_cert_creates_an_authority_once_and_so_does_serve() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("contactd/dev-ca.pem");
    let with_home = |arguments: &[&str]| {
        let mut command = contactd(arguments);
        command.env("XDG_DATA_HOME", folder.path()).current_dir(folder.path());
        command
    };
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"];
    let server = Program::start({
        let mut command = with_home(&serve);
        command.env("CONTACTD_TLS", "true").env("CONTACTD_LOG_LEVEL", "off");
        command
    });
    assert_eq!(server.log(), format!("contactd listening on https://{}\n", server.address));
    let made = fs::read(&authority).unwrap();
    let output = with_home(&["dev-cert"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains(&format!("\nexport NODE_EXTRA_CA_CERTS={}\n", authority.display())), "{printed}");
    assert!(printed.contains("\ncontactd serve --dev --tls\n"), "{printed}");
    assert_eq!(fs::read(&authority).unwrap(), made);
    // The printed path is absolute and quoted for a shell.
    let output = with_home(&["dev-cert", "--dir", "it's mine"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let quoted = format!("'{}/it'\\''s mine", fs::canonicalize(folder.path()).unwrap().display());
    assert!(printed.contains(&format!("\ncontactd serve --dev --tls --dev-cert-dir {quoted}'\n")), "{printed}");
    for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        assert!(printed.contains(&format!("\nexport {variable}={quoted}/dev-ca.pem'\n")), "{printed}");
    }
}

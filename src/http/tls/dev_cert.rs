//! `contactd dev-cert`: creates a certificate authority for development, and a certificate for the names of this
//! machine and of Graph.
//!
//! The authority is constrained to these names, so that trusting it does not endanger other sites. The files in the
//! folder are kept if a client that trusts the authority would accept the certificate for all names, now and in 30
//! days.

use std::fmt::Display;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier as _;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::clock;
use crate::http::tls::Pair;

/// Names of the certificate.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "graph.microsoft.com"];
const DAY: i64 = 24 * 60 * 60;
/// Validity of the certificate. Browsers accept at most 398 days.
const LEAF_DAYS: i64 = 397;
/// The certificate is replaced if fewer days are left.
const MIN_REMAINING_DAYS: i64 = 30;
/// Validity of the authority, long enough that clients never need to trust a new one.
const AUTHORITY_DAYS: i64 = 30 * 365;

/// Options of `contactd dev-cert`.
#[derive(Debug, Args)]
#[command(after_help = "\
The authority is constrained to localhost, 127.0.0.1, ::1 and graph.microsoft.com. It is created once, so that clients \
continue to trust it. The certificate is replaced when fewer than 30 days are left. `contactd serve --dev --tls` uses \
it.")]
pub struct DevCertArgs {
    /// Folder for the files; by default $XDG_DATA_HOME/contactd or ~/.local/share/contactd
    #[arg(long, env = "CONTACTD_DEV_CERT_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Print the paths of the files and the names of the certificate as JSON
    #[arg(long)]
    pub json: bool,
}

/// The files of a folder, with the flag that named it.
pub(crate) struct CertFiles {
    pub(crate) authority: PathBuf,
    authority_key: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    lock: PathBuf,
    folder: PathBuf,
    flag: &'static str,
}

impl CertFiles {
    fn of(folder: PathBuf, flag: &'static str) -> Self {
        let file = |name| folder.join(name);
        Self {
            authority: file("dev-ca.pem"),
            authority_key: file("dev-ca.key"),
            cert: file("dev.pem"),
            key: file("dev.key"),
            lock: file("dev.lock"),
            folder,
            flag,
        }
    }

    /// The certificate and the key to serve with.
    pub(crate) fn pair(&self) -> Pair {
        Pair::new((self.flag, &self.cert), (self.flag, &self.key))
    }

    fn wrong(&self, path: &Path, what: impl Display) -> String {
        format!("{} {}: {what}", self.flag, path.display())
    }
}

/// Creates missing files, and prints how clients trust the authority, or where the files are.
///
/// # Errors
/// One line that names the folder or the file.
pub fn run(arguments: &DevCertArgs) -> Result<(), String> {
    let files = make("--dir", arguments.dir.as_deref())?;
    let output = if arguments.json {
        let path = |path: &Path| path.display().to_string();
        let (authority, certificate, key) = (path(&files.authority), path(&files.cert), path(&files.key));
        let output = json!({"authority": authority, "certificate": certificate, "key": key, "names": NAMES});
        format!("{output}\n")
    } else {
        trust_instructions(&files.authority, arguments.dir.as_ref().map(|_| files.folder.as_path()))
    };
    // A closed output is not an error.
    let _ = std::io::stdout().write_all(output.as_bytes());
    Ok(())
}

/// The authority and a certificate that is valid for at least 30 days; missing files are created.
///
/// # Errors
/// One line that names the flag, the folder or the file.
pub(crate) fn make(flag: &'static str, folder: Option<&Path>) -> Result<CertFiles, String> {
    let default_folder = || {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
        data.map(|data| data.join("contactd"))
    };
    let folder = folder.map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
    let folder = folder
        .or_else(default_folder)
        .ok_or_else(|| format!("{flag} names no folder, and XDG_DATA_HOME and HOME are not set"))?;
    let files = CertFiles::of(folder, flag);
    make_at(&files, clock::now() / 1_000_000)?;
    Ok(files)
}

/// Creates missing files as of a time in seconds since 1970.
fn make_at(files: &CertFiles, now: i64) -> Result<(), String> {
    let folder = &files.folder;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| files.wrong(folder, error))?;
    // If several processes start at once, one creates the files and the others find them.
    let lock = File::options().create(true).truncate(false).write(true).open(&files.lock);
    let _lock = lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(|error| files.wrong(&files.lock, error))?;
    let later = now + MIN_REMAINING_DAYS * DAY;
    if is_trusted(files, now) && is_trusted(files, later) && files.pair().read().is_ok() {
        return Ok(());
    }
    let authority = match (read(files, &files.authority)?, read(files, &files.authority_key)?) {
        (None, _) => new_authority(files, now)?,
        (Some(_), Some(key)) => KeyPair::from_pem(&key).map_err(|error| files.wrong(&files.authority_key, error))?,
        (Some(_), None) => {
            let reason = "its key, dev-ca.key, is missing: remove it to get a new authority";
            return Err(files.wrong(&files.authority, reason));
        }
    };
    new_certificate(files, &authority, now)?;
    if is_trusted(files, now) {
        return Ok(());
    }
    let reason = "it does not belong to dev-ca.key: remove both to get a new authority";
    Err(files.wrong(&files.authority, reason))
}

/// Whether a client that trusts the authority would accept the certificate for all its names at this time.
fn is_trusted(files: &CertFiles, at: i64) -> bool {
    let check = || {
        let certificate = CertificateDer::from_pem_file(&files.cert).ok()?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&files.authority).ok()?).ok()?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).ok()?));
        NAMES.iter().try_for_each(|name| {
            let name = ServerName::try_from(*name).ok()?;
            verifier.verify_server_cert(&certificate, &[], &name, &[], at).ok().map(drop)
        })
    };
    check().is_some()
}

fn new_authority(files: &CertFiles, now: i64) -> Result<KeyPair, String> {
    let wrong = |error| files.wrong(&files.authority, error);
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = authority(&key, now).and_then(|params| params.self_signed(&key)).map_err(wrong)?;
    // The certificate is written last: if it exists, its key exists too.
    write(files, &files.authority_key, &key.serialize_pem(), 0o600)?;
    write(files, &files.authority, &certificate.pem(), 0o644)?;
    Ok(key)
}

/// The parameters of the authority. All but its times are derived from the key, so that its certificate is not parsed.
fn authority(key: &KeyPair, now: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(key.public_key_raw()).into();
    let name = format!("contactd development authority {:08x}", u32::from_be_bytes([a, b, c, d]));
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (time(now - DAY), time(now + AUTHORITY_DAYS * DAY));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let subtree = |name: &&str| match name.parse::<IpAddr>() {
        Ok(ip) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(ip, if ip.is_ipv4() { 32 } else { 128 })),
        Err(_) => GeneralSubtree::DnsName((*name).to_owned()),
    };
    let permitted_subtrees = NAMES.iter().map(subtree).collect();
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    Ok(params)
}

fn new_certificate(files: &CertFiles, authority_key: &KeyPair, now: i64) -> Result<(), String> {
    let make = || {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, NAMES[0]);
        (params.not_before, params.not_after) = (time(now - DAY), time(now + LEAF_DAYS * DAY - DAY));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let authority = authority(authority_key, now)?;
        let certificate = params.signed_by(&key, &Issuer::from_params(&authority, authority_key))?;
        Ok((key, certificate))
    };
    let (key, certificate) = make().map_err(|error: rcgen::Error| files.wrong(&files.cert, error))?;
    write(files, &files.key, &key.serialize_pem(), 0o600)?;
    write(files, &files.cert, &certificate.pem(), 0o644)
}

fn time(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn read(files: &CertFiles, path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(files.wrong(path, error)),
    }
}

/// Writes a file atomically, with this mode from the start.
fn write(files: &CertFiles, path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let written = tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(&files.folder);
    let written = written.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    });
    written.map_err(|error| files.wrong(path, error))
}

/// Instructions as shell lines.
fn trust_instructions(authority: &Path, folder: Option<&Path>) -> String {
    let ca = quoted(authority);
    let folder = folder.map(|folder| format!(" --dev-cert-dir {}", quoted(folder))).unwrap_or_default();
    let names = NAMES.join(", ");
    format!(
        "\
# The authority is in {ca}, constrained to {names}.
# Serve with its certificate:
contactd serve --dev --tls{folder}

# Trust it in curl:
curl --cacert {ca} -H 'Authorization: Bearer ann' https://localhost:8080/me/contacts
# in Node, in addition to the public authorities:
export NODE_EXTRA_CA_CERTS={ca}
# in Python, instead of the public authorities (the second variable is for requests):
export SSL_CERT_FILE={ca}
export REQUESTS_CA_BUNDLE={ca}

# Send requests for graph.microsoft.com to contactd: in curl by a flag,
curl --cacert {ca} --connect-to graph.microsoft.com:443:localhost:8080 -H 'Authorization: Bearer ann' \
https://graph.microsoft.com/v1.0/me/contacts
# elsewhere by a line in /etc/hosts, with contactd on port 443 (--listen 127.0.0.1:443):
# 127.0.0.1 graph.microsoft.com
"
    )
}

/// A path, quoted for a shell if needed.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn files(folder: &tempfile::TempDir) -> CertFiles {
        CertFiles::of(folder.path().join("new/folder"), "--dir")
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_authority_is_kept_and_its_certificate_is_renewed_before_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        make_at(&files, NOW).unwrap();
        let (authority, certificate) = (text(&files.authority), text(&files.cert));
        for (path, mode) in [
            (&files.authority, 0o644),
            (&files.authority_key, 0o600),
            (&files.cert, 0o644),
            (&files.key, 0o600),
            (&files.folder, 0o700),
        ] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
        }
        // Valid for 396 days from now, of which 30 must be left.
        let last = NOW + (LEAF_DAYS - 1 - MIN_REMAINING_DAYS) * DAY;
        make_at(&files, last - 1).unwrap();
        assert_eq!(text(&files.cert), certificate);
        make_at(&files, last + 1).unwrap();
        assert_ne!(text(&files.cert), certificate);
        assert_eq!(text(&files.authority), authority);
        assert!(!is_trusted(&files, last - 2 * DAY) && is_trusted(&files, last + 300 * DAY));
        assert!(files.pair().read().is_ok());
    }

    #[test]
    fn broken_files_are_replaced_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        make_at(&files, NOW).unwrap();
        let authority = text(&files.authority);
        for path in [&files.cert, &files.key] {
            for content in [None, Some("")] {
                content.map_or_else(|| fs::remove_file(path).unwrap(), |text| fs::write(path, text).unwrap());
                make_at(&files, NOW).unwrap();
                assert!(is_trusted(&files, NOW) && files.pair().read().is_ok());
            }
        }
        assert_eq!(text(&files.authority), authority);
        // A key of another authority, and none.
        fs::write(&files.authority_key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        fs::remove_file(&files.cert).unwrap();
        let reason = make_at(&files, NOW).unwrap_err();
        assert!(reason.starts_with("--dir ") && reason.contains("dev-ca.pem: it does not belong to dev-ca.key"));
        fs::remove_file(&files.authority_key).unwrap();
        fs::remove_file(&files.cert).unwrap();
        assert!(make_at(&files, NOW).unwrap_err().contains("dev-ca.pem: its key, dev-ca.key, is missing"));
        assert_eq!(text(&files.authority), authority);
        fs::remove_file(&files.authority).unwrap();
        make_at(&files, NOW).unwrap();
        assert!(is_trusted(&files, NOW) && text(&files.authority) != authority);
    }

    #[test]
    fn the_authority_is_constrained_to_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        make_at(&files, NOW).unwrap();
        let authority_key = KeyPair::from_pem(&text(&files.authority_key)).unwrap();
        let signed = |name: &str| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.not_before, params.not_after) = (time(NOW - DAY), time(NOW + DAY));
            let issuer = authority(&authority_key, NOW).unwrap();
            let key = KeyPair::generate().unwrap();
            params.signed_by(&key, &Issuer::from_params(&issuer, &authority_key)).unwrap()
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&files.authority).unwrap()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(NOW.unsigned_abs()));
        for (name, is_accepted) in [
            ("graph.microsoft.com", true),
            ("127.0.0.1", true),
            ("login.microsoftonline.com", false),
            ("microsoft.com", false),
            ("example.org", false),
            ("127.0.0.2", false),
            ("::2", false),
        ] {
            let (certificate, server) = (signed(name), ServerName::try_from(name).unwrap());
            let answer = verifier.verify_server_cert(certificate.der(), &[], &server, &[], at);
            assert_eq!(answer.is_ok(), is_accepted, "{name}: {answer:?}");
        }
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(
            quoted(Path::new("/home/ann/.local/share/contactd/dev-ca.pem")),
            "/home/ann/.local/share/contactd/dev-ca.pem"
        );
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}

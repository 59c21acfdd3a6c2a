//! A certificate and its key in files.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use yasna::{BERReaderSeq, Tag, parse_der};

use crate::permission;

/// The files of a certificate and its key, with the flags that named them.
#[derive(Debug, Clone)]
pub struct Pair {
    cert: FlaggedFile,
    key: FlaggedFile,
}

#[derive(Debug, Clone)]
struct FlaggedFile {
    flag: &'static str,
    path: PathBuf,
}

impl FlaggedFile {
    fn wrong(&self, what: impl Display) -> String {
        format!("{} {}: {what}", self.flag, self.path.display())
    }

    fn unreadable(&self, error: &PemError) -> String {
        match error {
            PemError::Io(error) => format!("{} {}", self.flag, permission::reason(&self.path, error)),
            _ => self.wrong(format_args!("not valid PEM: {error}")),
        }
    }
}

/// Identifies a version of a file: device, inode, size, and the times of the last change of content and of metadata.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));
/// The stamps of both files; `None` for a file that is missing.
pub(crate) type FileStamps = [Option<Stamp>; 2];

impl Pair {
    /// A pair of files, each with the flag that named it.
    pub fn new(cert: (&'static str, &Path), key: (&'static str, &Path)) -> Self {
        let file = |(flag, path): (&'static str, &Path)| FlaggedFile { flag, path: path.to_owned() };
        Self { cert: file(cert), key: file(key) }
    }

    pub(crate) fn state(&self) -> FileStamps {
        [&self.cert, &self.key].map(|named| {
            let file = fs::metadata(&named.path).ok()?;
            let (content, rights) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
            Some((file.dev(), file.ino(), file.size(), content, rights))
        })
    }

    /// Reads both.
    ///
    /// # Errors
    /// One line that names the flag and the file: it cannot be read, lacks the certificate or key, or the key is not
    /// the certificate's.
    pub(crate) fn read(&self) -> Result<CertifiedKey, String> {
        let chain = CertificateDer::pem_file_iter(&self.cert.path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| self.cert.unreadable(&error))?;
        if chain.is_empty() {
            return Err(self.cert.wrong("no PEM certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key.path).map_err(|error| match error {
            PemError::NoItemsFound => self.key.wrong("no unencrypted PEM private key in it"),
            error => self.key.unreadable(&error),
        })?;
        let provider = ring::default_provider();
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|error| self.key.wrong(format_args!("the key cannot be used: {error}")))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => {
                let (flag, cert) = (self.cert.flag, self.cert.path.display());
                Err(self.key.wrong(format_args!("not the key of the first certificate in {flag} {cert}")))
            }
            Err(error) => Err(self.cert.wrong(format_args!("the certificate cannot be served: {error}"))),
        }
    }
}

/// When a certificate expires, as Unix time: `notAfter` of RFC 5280, section 4.1.2.5. `None` if it is not a
/// certificate.
#[allow(clippy::redundant_closure_for_method_calls, reason = "a method is not general enough in its lifetimes")]
pub(crate) fn expiry(certificate: &CertificateDer<'_>) -> Option<i64> {
    let rest = |reader: &mut BERReaderSeq<'_, '_>| {
        while reader.read_optional(|reader| reader.read_der())?.is_some() {}
        Ok(())
    };
    let end = parse_der(certificate, |reader| {
        reader.read_sequence(|certificate| {
            let end = certificate.next().read_sequence(|signed| {
                signed.read_optional(|version| version.read_tagged(Tag::context(0), |reader| reader.read_der()))?;
                // The serial number, the algorithm, and the issuer.
                for _ in 0..3 {
                    signed.next().read_der()?;
                }
                let end = signed.next().read_sequence(|validity| {
                    validity.next().read_der()?;
                    validity.next().read_der()
                })?;
                rest(signed)?;
                Ok(end)
            })?;
            rest(certificate)?;
            Ok(end)
        })
    });
    let end = end.ok()?;
    // Until 2049 a year has two digits.
    let short = parse_der(&end, |reader| Ok(reader.read_utctime()?.datetime().unix_timestamp()));
    let long = || parse_der(&end, |reader| Ok(reader.read_generalized_time()?.datetime().unix_timestamp()));
    short.or_else(|_| long()).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_expiry_of_a_certificate_is_read() {
        for (year, expected) in [(2031, 1_927_324_800), (2061, 2_874_096_000)] {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 1, 28);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(expiry(certificate.der()), Some(expected), "{year}");
        }
        assert_eq!(expiry(&CertificateDer::from_slice(b"no certificate")), None);
    }
}

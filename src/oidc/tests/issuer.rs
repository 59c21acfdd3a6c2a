//! An issuer for tests: its keys, its tokens, and a server whose answers tests set.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A pair of keys.
pub(super) enum SigningPair {
    Rsa(RsaKeyPair),
    Es(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningPair {
    pub(super) fn rsa() -> Self {
        let pem = include_bytes!("../../../tests/oidc/rsa.key");
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap())
    }

    pub(super) fn es() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::Es(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap())
    }

    pub(super) fn ed() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Es(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// The public half, as a key set has it.
    pub(super) fn public(&self, id: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "use": "sig", "kid": id, "n": base64(public.n), "e": base64(public.e)})
            }
            Self::Es(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256",
                       "x": base64(&point[1..33]), "y": base64(&point[33..])})
            }
            Self::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": base64(pair.public_key())}),
        }
    }

    pub(super) fn sign(&self, message: &str) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Es(pair) => pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        }
    }

    /// A token with these texts as its header and claims.
    pub(super) fn token(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64(header), base64(claims));
        let signature = self.sign(&signed);
        format!("{signed}.{}", base64(signature))
    }

    /// A token with an ordinary header.
    pub(super) fn issue(&self, id: &str, claims: &Value) -> String {
        self.token(&json!({"alg": self.algorithm(), "kid": id, "typ": "at+jwt"}).to_string(), &claims.to_string())
    }
}

/// A server on this machine.
pub(super) struct IssuerServer {
    pub(super) url: String,
    pub(super) answers: Arc<Mutex<IssuerAnswers>>,
}

/// The answers of an [`IssuerServer`].
#[derive(Clone)]
pub(super) struct IssuerAnswers {
    pub(super) document: Value,
    pub(super) keys: String,
    /// The status of all answers.
    pub(super) status: u16,
    pub(super) delay: Duration,
    /// How many requests for the document there were.
    pub(super) document_requests: usize,
}

impl IssuerServer {
    pub(super) fn new(keys: &[Value]) -> Self {
        Self::start(keys, "http://127.0.0.1", None)
    }

    /// By https, with a certificate of the authority in `tests/tls/ca.pem`.
    pub(super) fn with_tls(keys: &[Value]) -> Self {
        let certificate = CertificateDer::from_pem_file("tests/tls/receiver.pem").unwrap();
        let key = PrivateKeyDer::from_pem_file("tests/tls/receiver.key").unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        Self::start(keys, "https://localhost", Some(Arc::new(config)))
    }

    fn start(keys: &[Value], origin: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{origin}:{}/tenant/", listener.local_addr().unwrap().port());
        let document = json!({"issuer": url, "jwks_uri": format!("{url}keys")});
        let keys = json!({"keys": keys}).to_string();
        let answers = IssuerAnswers { document, keys, status: 200, delay: Duration::ZERO, document_requests: 0 };
        let answers = Arc::new(Mutex::new(answers));
        let server = Self { url, answers: Arc::clone(&answers) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answers, tls) = (stream.unwrap(), Arc::clone(&answers), tls.clone());
                // The client may have disconnected.
                std::thread::spawn(move || match tls {
                    None => drop(answer(stream, &answers)),
                    Some(tls) => drop(answer(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), &answers)),
                });
            }
        });
        server
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut IssuerAnswers)) {
        change(&mut self.answers.lock().unwrap());
    }

    pub(super) fn keys(&self, keys: &[Value]) {
        self.set(|answers| answers.keys = json!({"keys": keys}).to_string());
    }

    pub(super) fn document_requests(&self) -> usize {
        self.answers.lock().unwrap().document_requests
    }
}

fn answer(stream: impl Read + Write, answers: &Mutex<IssuerAnswers>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request_line = String::new();
    reader.read_line(&mut request_line)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body, delay) = {
        let mut answers = answers.lock().unwrap();
        let body = match request_line.split(' ').nth(1).unwrap_or_default() {
            "/tenant/.well-known/openid-configuration" => {
                answers.document_requests += 1;
                answers.document.to_string()
            }
            "/tenant/keys" | "/moved" => answers.keys.clone(),
            _ => String::new(),
        };
        (answers.status, body, answers.delay)
    };
    std::thread::sleep(delay);
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {status} x\r\nLocation: /moved\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    stream.flush()
}

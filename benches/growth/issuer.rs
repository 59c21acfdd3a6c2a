//! An identity provider with one key, so that claims behind a valid signature are measured too.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(crate) const AUDIENCE: &str = "contactd";

pub(crate) static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::start);

pub(crate) struct Issuer {
    pub(crate) url: String,
    key: Ed25519KeyPair,
}

impl Issuer {
    /// Serves its documents on a thread until the program ends.
    fn start() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let public = URL_SAFE_NO_PAD.encode(key.public_key());
        let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": public}]});
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
                let asks_for_keys = head.first().is_some_and(|line| line.contains("/keys"));
                let body = if asks_for_keys { &keys } else { &document }.to_string();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
                let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
            }
        });
        Self { url, key }
    }

    /// A token that is refused only at the last check, so that it is read again each time.
    pub(crate) fn token(&self, name: &str, claim: Value) -> String {
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "exp": 4_000_000_000_u32, "sub": "x", "oid": "x", "idtyp": "app",
            "scp": "Contacts.Read", "preferred_username": "x",
        });
        claims[name] = claim;
        let encode = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", encode(json!({"alg": "EdDSA", "kid": "1", "typ": "at+jwt"})), encode(claims));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

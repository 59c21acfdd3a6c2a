//! The signing keys of an issuer (RFC 7517), and the verification of signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::oidc::token::{Algorithm, UnverifiedToken};

/// Most keys of an issuer.
const MAX_KEYS: usize = 100;

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<PublicKey>);

/// A key for exactly one algorithm, so that a token cannot choose another one for it.
#[derive(Debug)]
pub(super) struct PublicKey {
    id: Option<String>,
    public: KeyMaterial,
    /// Hash of the key, to recognize it in a later set.
    pub(super) fingerprint: [u8; 32],
}

#[derive(Debug)]
enum KeyMaterial {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a key set. Unusable keys (for encryption, other algorithms, too weak) are skipped, as RFC 7517 requires.
    ///
    /// # Errors
    /// It is not a key set, or has too many keys.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct JwkSet {
            keys: Vec<Value>,
        }
        let set: JwkSet = serde_json::from_slice(bytes).map_err(|error| format!("its key set: {error}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("its key set has more than {MAX_KEYS} keys"));
        }
        Ok(Self(set.keys.iter().filter_map(PublicKey::read).collect()))
    }

    /// Whether a key has the token's key id. A token without a key id does not cause a new fetch.
    pub(super) fn knows(&self, token: &UnverifiedToken<'_>) -> bool {
        token.key_id.is_none() || self.0.iter().any(|key| key.id == token.key_id)
    }

    pub(super) fn has(&self, fingerprint: &[u8; 32]) -> bool {
        self.0.iter().any(|key| key.fingerprint == *fingerprint)
    }

    /// The key that signed a token. If the token has no key id, there must be exactly one key of its algorithm.
    pub(super) fn signer(&self, token: &UnverifiedToken<'_>) -> Option<&PublicKey> {
        let mut candidates = self
            .0
            .iter()
            .filter(|key| key.algorithm() == token.algorithm && (token.key_id.is_none() || key.id == token.key_id));
        match (&token.key_id, candidates.next(), candidates.next()) {
            (None, Some(only), None) => Some(only).filter(|key| key.has_signed(token)),
            (None, ..) => None,
            (Some(_), first, second) => {
                first.into_iter().chain(second).chain(candidates).find(|key| key.has_signed(token))
            }
        }
    }
}

impl PublicKey {
    fn read(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let signs = jwk.get("use").is_none_or(|purpose| purpose == "sig");
        let verifies = jwk.get("key_ops").is_none_or(|operations| {
            operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
        });
        // A key that is published with its private part is not secret.
        if !signs || !verifies || jwk.get("d").is_some() {
            return None;
        }
        let public = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let n = without_zeros(bytes("n")?);
                // A weak key would fail at each signature; skipping it makes that the same as a missing key.
                (256..=1_024).contains(&n.len()).then_some(())?;
                KeyMaterial::Rsa { n, e: without_zeros(bytes("e")?) }
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                (x.len() == 32 && y.len() == 32)
                    .then(|| KeyMaterial::P256([&[4], x.as_slice(), y.as_slice()].concat()))?
            }
            ("OKP", Some("Ed25519")) => KeyMaterial::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        let fingerprint = match &public {
            KeyMaterial::Rsa { n, e } => Sha256::new().chain_update("RSA").chain_update(n).chain_update(e),
            KeyMaterial::P256(point) => Sha256::new().chain_update("P-256").chain_update(point),
            KeyMaterial::Ed25519(point) => Sha256::new().chain_update("Ed25519").chain_update(point),
        };
        let key = Self { id: text("kid").map(str::to_owned), public, fingerprint: fingerprint.finalize().into() };
        let matches_algorithm =
            jwk.get("alg").is_none_or(|name| name.as_str().and_then(Algorithm::parse) == Some(key.algorithm()));
        matches_algorithm.then_some(key)
    }

    fn algorithm(&self) -> Algorithm {
        match self.public {
            KeyMaterial::Rsa { .. } => Algorithm::Rs256,
            KeyMaterial::P256(_) => Algorithm::Es256,
            KeyMaterial::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn has_signed(&self, token: &UnverifiedToken<'_>) -> bool {
        let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        let checked = match &self.public {
            KeyMaterial::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            KeyMaterial::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            KeyMaterial::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
        };
        checked.is_ok()
    }
}

/// Strips leading zeros, which some issuers send.
fn without_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

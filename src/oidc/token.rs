//! Parses a token strictly. What a token must not contain (RFC 8725) is refused before any key is used, and the header only
//! chooses among the issuer's own keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::domain::plain;
use crate::domain::user::Trusted;
use crate::json::Json;
use crate::oidc::Verified;

/// Longest token, in bytes; those of Entra have about 2 KiB.
pub(super) const MAX_TOKEN: usize = 16 << 10;
/// Deepest nesting of header and claims.
const MAX_DEPTH: usize = 16;
/// Tolerated difference between the issuer's clock and ours, in seconds.
pub(super) const SKEW: i64 = 60;
/// The reason for which an expired token is refused.
pub(crate) const EXPIRED: &str = "it has expired";
/// The last accepted Unix second, in the year 9999.
const MAX_TIME: i64 = 253_402_300_799;
/// Longest subject, in characters (OpenID Connect Core, section 2), and longest displayed name.
const MAX_NAME: usize = 255;
/// Types of access tokens (RFC 9068, section 2.1; `JWT` is older). Other types, like `logout+jwt`, are signed with the same
/// keys but mean something else.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];
/// Claims with a name for people; the first one present is used.
const NAMES: [&str; 3] = ["preferred_username", "upn", "email"];
/// Claims that only a user's token has.
const PERSONAL: [&str; 6] = ["preferred_username", "upn", "unique_name", "email", "given_name", "family_name"];
/// Header members that are refused: extensions that must be understood, and those that change how the rest is read.
const UNSUPPORTED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// Accepted signature algorithms. There is no code for `none` or for shared secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// Parses a registered name; RFC 9864 calls the EdDSA used here `Ed25519`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A parsed token whose signature has not been verified.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// The signed part.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl<'a> UnverifiedToken<'a> {
    /// # Errors
    /// The reason, for the log.
    pub(super) fn read(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > MAX_TOKEN {
            return Err("it is too long");
        }
        let (signed, signature) = text.rsplit_once('.').ok_or("it has no parts")?;
        let (header, claims) = signed.split_once('.').ok_or("it does not have three parts")?;
        let header = object(header)?;
        if UNSUPPORTED.iter().any(|name| header.contains_key(*name)) {
            return Err("its header has an unsupported extension");
        }
        let typ = optional_text(&header, "typ")?;
        if typ.is_some_and(|typ| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ))) {
            return Err("it is of another type");
        }
        let algorithm =
            optional_text(&header, "alg")?.and_then(Algorithm::parse).ok_or("its algorithm is not accepted")?;
        let key_id = optional_text(&header, "kid")?.map(str::to_owned);
        Ok(Self { algorithm, key_id, signed, signature: decode(signature)?, claims: object(claims)? })
    }

    /// The claims, if issuer, audience and times match; `now` is in Unix seconds.
    ///
    /// # Errors
    /// The reason, for the log.
    pub(super) fn claims(&self, expected: &Expected<'_>, now: i64) -> Result<Verified, &'static str> {
        let Expected { issuer, audiences, name_claim } = *expected;
        let text = |name| optional_text(&self.claims, name);
        if text("iss")? != Some(issuer) {
            return Err("it is of another issuer");
        }
        let token_audiences = words(&self.claims, "aud", false)?;
        if !token_audiences.iter().any(|audience| audiences.iter().any(|ours| ours == audience)) {
            return Err("it is for another audience");
        }
        // Bound to a key that the bearer would have to prove (RFC 7800). Accepting it without the proof would make theft
        // useful.
        if self.claims.contains_key("cnf") {
            return Err("it is bound to a key");
        }
        let expires = time(&self.claims, "exp")?.ok_or("it has no expiration time")?;
        if expires + SKEW <= now {
            return Err(EXPIRED);
        }
        let issued = time(&self.claims, "iat")?;
        if time(&self.claims, "nbf")?.is_some_and(|begin| begin - SKEW > now)
            || issued.is_some_and(|issued| issued - SKEW > now)
        {
            return Err("it is not valid yet");
        }
        let subject = text("sub")?.filter(|subject| is_name(subject)).ok_or("it has no subject")?;
        let mut delegated_scopes = words(&self.claims, "scp", true)?;
        delegated_scopes.extend(words(&self.claims, "scope", true)?);
        let roles = words(&self.claims, "roles", false)?;
        let is_application = self.belongs_to_application(subject, &roles)?;
        let display_text =
            |name| self.claims.get(name).and_then(Value::as_str).map(str::trim).filter(|text| is_name(text));
        let trusted = name_claim.filter(|claim| self.is_trustworthy(claim)).and_then(|claim| {
            let name = display_text(claim)?.to_owned();
            Some(Trusted { claim: claim.to_owned(), name })
        });
        let claimed_name = NAMES.into_iter().find_map(display_text);
        Ok(Verified {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            scopes: if is_application { roles } else { delegated_scopes },
            is_application,
            display_name: display_text("name").map(str::to_owned),
            claimed_name: claimed_name.map(str::to_owned),
            trusted,
            issued: issued.unwrap_or(now),
            expires,
        })
    }

    /// Whether the token belongs to an application itself. Its claims must not contradict each other, since an application
    /// opens all mailboxes.
    ///
    /// # Errors
    /// They contradict each other.
    fn belongs_to_application(&self, subject: &str, roles: &[String]) -> Result<bool, &'static str> {
        let has = |name: &&str| self.claims.contains_key(*name);
        // Even an empty scope shows that a user delegated the token.
        let is_delegated = has(&"scp") || has(&"scope");
        match optional_text(&self.claims, "idtyp")? {
            Some("app") if has(&"scp") => Err("it claims to be both of an application and delegated"),
            Some(kind) => Ok(kind == "app"),
            None => Ok(!is_delegated && !roles.is_empty() && !PERSONAL.iter().any(has) && self.is_client(subject)),
        }
    }

    /// Whether the subject is the client itself: its client id (RFC 9068, section 2.2), or its object id in Entra. Roles
    /// alone are not enough: users have roles too, and their identity tokens have no scopes.
    fn is_client(&self, subject: &str) -> bool {
        let same = |name: &&str| self.claims.get(*name).and_then(Value::as_str) == Some(subject);
        ["oid", "client_id", "azp", "appid"].iter().any(same)
    }

    /// Whether the issuer vouches for a claim. Users often choose their e-mail address, so it counts only when verified.
    fn is_trustworthy(&self, claim: &str) -> bool {
        let is_mail = claim.to_ascii_lowercase().contains("mail");
        !is_mail || self.claims.get("email_verified") == Some(&Value::Bool(true))
    }
}

/// The claims that a token must contain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// The issuer's name.
    pub(super) issuer: &'a str,
    /// Accepted audiences.
    pub(super) audiences: &'a [String],
    /// The trusted name claim.
    pub(super) name_claim: Option<&'a str>,
}

/// Whether a text can be stored and shown.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_NAME && plain::is_plain(text)
}

fn decode(part: &str) -> Result<Vec<u8>, &'static str> {
    // Strict: no padding and no extra bits, so that a token has one spelling.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part is not base64url")
}

fn object(part: &str) -> Result<Map<String, Value>, &'static str> {
    let bytes = decode(part)?;
    // Duplicate members (ignoring case) are refused: two readers of one token could each see another value.
    let read = Json::read(&bytes).map_err(|_| "a part cannot be read as JSON")?;
    if !is_shallow(&read, MAX_DEPTH) {
        return Err("a part is nested too deeply");
    }
    serde_json::from_slice(&bytes).map_err(|_| "a part is not an object")
}

fn is_shallow(value: &Json, depth: usize) -> bool {
    match value {
        Json::Array(values) => depth > 0 && values.iter().all(|value| is_shallow(value, depth - 1)),
        Json::Object(members) => depth > 0 && members.iter().all(|(_, value)| is_shallow(value, depth - 1)),
        _ => true,
    }
}

/// A text member. A member of another type is an error, since treating it as absent would skip a check.
fn optional_text<'v>(object: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, &'static str> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("a claim is not a string"),
    }
}

/// Unix seconds, possibly with a fraction.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, &'static str> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit becomes the nearest, and is then refused")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    match seconds {
        Some(seconds) if (0..=MAX_TIME).contains(&seconds) => Ok(Some(seconds)),
        _ => Err("a time is invalid"),
    }
}

/// A list of texts, or one text; `split` splits one text at spaces.
fn words(claims: &Map<String, Value>, name: &str, split: bool) -> Result<Vec<String>, &'static str> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a list has an entry that is not a string");
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if split => Ok(text.split_ascii_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(values)) => values.iter().map(text).collect(),
        Some(value) => Ok(vec![text(value)?]),
    }
}

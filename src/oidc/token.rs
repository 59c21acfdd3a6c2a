//! The text of a token, read strictly. What it must not be (RFC 8725) is refused before any key is looked at, and nothing of
//! its header chooses more than which of the issuer's own keys is tried.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::domain::plain;
use crate::domain::user::Trusted;
use crate::odata::json::Json;
use crate::oidc::Verified;

/// Longest token, in bytes; one of Entra's has some 2 KiB.
pub(super) const MAX_TOKEN: usize = 16 << 10;
/// Deepest nesting of header and claims.
const MAX_DEPTH: usize = 16;
/// How far the issuer's clock and ours may be apart, in seconds.
pub(super) const SKEW: i64 = 60;
/// The last second that is a time, of the year 9999.
const MAX_TIME: i64 = 253_402_300_799;
/// Longest subject, in characters (OpenID Connect Core, section 2), and longest name that is shown.
const MAX_NAME: usize = 255;
/// Types of tokens that give access (RFC 9068, section 2.1; `JWT` is what was written before). Those of others, like
/// `logout+jwt`, are signed by the same keys and mean something else.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];
/// Where a token may have what its issuer calls a user to people, the first that is there.
const NAMES: [&str; 3] = ["preferred_username", "upn", "email"];
/// What only a user's token has, in Entra as elsewhere.
const PERSONAL: [&str; 6] = ["preferred_username", "upn", "unique_name", "email", "given_name", "family_name"];
/// What a header may not have: extensions that must be understood, and what changes how the rest is read.
const UNSUPPORTED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// How a token may be signed: by a private key only. There is no code for `none`, nor for a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// By its registered name; `Ed25519` is what RFC 9864 calls the one EdDSA there is here.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A token of which nothing is proved yet.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// What was signed.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl<'a> UnverifiedToken<'a> {
    /// # Errors
    /// Why it is none, for the log.
    pub(super) fn read(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > MAX_TOKEN {
            return Err("it is too long");
        }
        let (signed, signature) = text.rsplit_once('.').ok_or("it has no parts")?;
        let (header, claims) = signed.split_once('.').ok_or("it has no three parts")?;
        let header = object(header)?;
        if UNSUPPORTED.iter().any(|name| header.contains_key(*name)) {
            return Err("its header asks for what is not understood");
        }
        let typ = optional_text(&header, "typ")?;
        if typ.is_some_and(|typ| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ))) {
            return Err("it is of another type");
        }
        let algorithm =
            optional_text(&header, "alg")?.and_then(Algorithm::parse).ok_or("its algorithm is not taken")?;
        let key_id = optional_text(&header, "kid")?.map(str::to_owned);
        Ok(Self { algorithm, key_id, signed, signature: decode(signature)?, claims: object(claims)? })
    }

    /// What it claims, if it is for us, now: `now` is in Unix seconds.
    ///
    /// # Errors
    /// Why not, for the log.
    pub(super) fn claims(&self, expected: &Expected<'_>, now: i64) -> Result<Verified, &'static str> {
        let Expected { issuer, audiences, name_claim } = *expected;
        let text = |name| optional_text(&self.claims, name);
        if text("iss")? != Some(issuer) {
            return Err("it is of another issuer");
        }
        let meant = words(&self.claims, "aud", false)?;
        if !meant.iter().any(|audience| audiences.iter().any(|ours| ours == audience)) {
            return Err("it is for another audience");
        }
        // Bound to a key that its bearer would have to show (RFC 7800): without that it may be stolen.
        if self.claims.contains_key("cnf") {
            return Err("it is bound to a key");
        }
        let expires = time(&self.claims, "exp")?.ok_or("it has no end")?;
        if expires + SKEW <= now {
            return Err("it has expired");
        }
        let issued = time(&self.claims, "iat")?;
        if time(&self.claims, "nbf")?.is_some_and(|begin| begin - SKEW > now)
            || issued.is_some_and(|issued| issued - SKEW > now)
        {
            return Err("it is of the future");
        }
        let subject = text("sub")?.filter(|subject| is_name(subject)).ok_or("it has no subject")?;
        let mut granted = words(&self.claims, "scp", true)?;
        granted.extend(words(&self.claims, "scope", true)?);
        let roles = words(&self.claims, "roles", false)?;
        let is_application = self.is_of_application(subject, &roles)?;
        let shown = |name| self.claims.get(name).and_then(Value::as_str).map(str::trim).filter(|text| is_name(text));
        let trusted = name_claim.filter(|claim| self.vouches_for(claim)).and_then(|claim| {
            let name = shown(claim)?.to_owned();
            Some(Trusted { claim: claim.to_owned(), name })
        });
        let claimed_name = NAMES.into_iter().find_map(shown);
        Ok(Verified {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            scopes: if is_application { roles } else { granted },
            is_application,
            display_name: shown("name").map(str::to_owned),
            claimed_name: claimed_name.map(str::to_owned),
            trusted,
            issued: issued.unwrap_or(now),
            expires,
        })
    }

    /// Whether an application speaks for itself. What a token says of that must agree: an application opens all mailboxes.
    ///
    /// # Errors
    /// It says both.
    fn is_of_application(&self, subject: &str, roles: &[String]) -> Result<bool, &'static str> {
        let has = |name: &&str| self.claims.contains_key(*name);
        // Even an empty one: only a token that somebody delegated has it.
        let delegated = has(&"scp") || has(&"scope");
        match optional_text(&self.claims, "idtyp")? {
            Some("app") if has(&"scp") => Err("it is an application's and delegated"),
            Some(kind) => Ok(kind == "app"),
            None => Ok(!delegated && !roles.is_empty() && !PERSONAL.iter().any(has) && self.is_of_client(subject)),
        }
    }

    /// Whether the subject is the client itself: its own id (RFC 9068, section 2.2), or in Entra its object's. Roles alone
    /// would not tell: a user has some too, and an identity token of a user has no scopes beside them.
    fn is_of_client(&self, subject: &str) -> bool {
        let same = |name: &&str| self.claims.get(*name).and_then(Value::as_str) == Some(subject);
        ["oid", "client_id", "azp", "appid"].iter().any(same)
    }

    /// Whether the issuer stands by what it says in a claim. E-mail addresses are often of the user's own choice, until they are
    /// verified.
    fn vouches_for(&self, claim: &str) -> bool {
        let is_mail = claim.to_ascii_lowercase().contains("mail");
        !is_mail || self.claims.get("email_verified") == Some(&Value::Bool(true))
    }
}

/// What a token must say to be for us.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// The issuer's name.
    pub(super) issuer: &'a str,
    /// For whom: one of these.
    pub(super) audiences: &'a [String],
    /// The claim whose names are trusted.
    pub(super) name_claim: Option<&'a str>,
}

/// A text that can be kept and shown.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_NAME && plain::is_plain(text)
}

fn decode(part: &str) -> Result<Vec<u8>, &'static str> {
    // Strict: no padding, no bits left over, so that a token has one spelling.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part is not base64url")
}

fn object(part: &str) -> Result<Map<String, Value>, &'static str> {
    let bytes = decode(part)?;
    // A member twice, in whatever case, is refused here: two readers of one token could each take another.
    let read = Json::read(&bytes).map_err(|_| "a part cannot be read as JSON")?;
    if !is_shallow(&read, MAX_DEPTH) {
        return Err("a part is nested too deeply");
    }
    serde_json::from_slice(&bytes).map_err(|_| "a part is no object")
}

fn is_shallow(value: &Json, depth: usize) -> bool {
    match value {
        Json::Array(values) => depth > 0 && values.iter().all(|value| is_shallow(value, depth - 1)),
        Json::Object(members) => depth > 0 && members.iter().all(|(_, value)| is_shallow(value, depth - 1)),
        _ => true,
    }
}

/// A text where there is one. What is of another type is not taken for absent: a check would then be left out.
fn optional_text<'v>(object: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, &'static str> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("a text is of another type"),
    }
}

/// Unix seconds, which may be broken.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, &'static str> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit becomes the nearest, and is then refused")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    match seconds {
        Some(seconds) if (0..=MAX_TIME).contains(&seconds) => Ok(Some(seconds)),
        _ => Err("a time is none"),
    }
}

/// Texts: one, or an array of them; `split` where one text has them separated by blanks.
fn words(claims: &Map<String, Value>, name: &str, split: bool) -> Result<Vec<String>, &'static str> {
    let of = |value: &Value| value.as_str().map(str::to_owned).ok_or("a list is not of texts");
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if split => Ok(text.split_ascii_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(values)) => values.iter().map(of).collect(),
        Some(value) => Ok(vec![of(value)?]),
    }
}

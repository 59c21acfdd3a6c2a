//! Authentication: from the credential of a request to its caller.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use actix_web::http::header::{self, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::clock;
use crate::domain::error::Error;
use crate::domain::scopes::Scopes;
use crate::domain::secret::{self, Digest};
use crate::domain::user::{self, EXPECTED_NAME, Identity, Principal, Trusted, User, UserName};
use crate::metrics::list::{AUTH, Auth, Credential as Kind};
use crate::oidc::{self, Provider, Unverified, Verified};
use crate::percent::percent_decode;
use crate::store::{Bearer, Store, TokenFacts};

/// Maximum number of tokens whose facts are cached.
const MAX_REMEMBERED: usize = 10_000;
/// Interval at which the use of a token is recorded, in microseconds.
const RECORD_INTERVAL: i64 = 10 * 60 * 1_000_000;

/// A scheme of the `Authorization` header (RFC 9110, section 11.1). A front end names those that it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750
    Bearer,
    /// RFC 7617, with a token as the password.
    Basic,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }
}

/// The credential of a request.
#[derive(Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// A token.
    Bearer(&'a str),
    /// A user and a token of theirs, as sent: in base64, with a colon between them.
    Basic(&'a str),
}

impl<'a> Credential<'a> {
    /// The credential of a request, if it is of one of these schemes.
    pub(crate) fn read(headers: &'a HeaderMap, schemes: &[Scheme]) -> Option<Self> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (sent, rest) = value.trim().split_once(' ')?;
        match schemes.iter().find(|scheme| scheme.name().eq_ignore_ascii_case(sent))? {
            Scheme::Bearer => Some(Self::Bearer(rest.trim())),
            Scheme::Basic => Some(Self::Basic(rest.trim())),
        }
    }

    /// The key by which limits count it.
    pub(crate) fn digest(self) -> Digest {
        match self {
            Self::Bearer(token) => secret::digest(token),
            Self::Basic(sent) => secret::digest(&basic(sent).map(|(_, token)| token).unwrap_or_default()),
        }
    }
}

/// The user and the password of Basic.
fn basic(sent: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(sent).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// Whether a caller is the user of this name, as Basic sends it: iOS sends it percent-encoded, once.
fn is_called(caller: &Caller, name: &str) -> bool {
    let Who::User(user) = &caller.who else { return false };
    let has_name = |name: &str| user.is_called(name) || user.mail.eq_ignore_ascii_case(name);
    has_name(name) || percent_decode(name).is_some_and(|name| has_name(&name))
}

/// A caller and the scopes of their token. The store checks whether both are still valid when it does something
/// ([`crate::store::Actor`]).
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) scopes: Scopes,
    /// The id of a stored token.
    pub(crate) token: Option<Uuid>,
    /// The key by which limits count the caller, if it is not the token: an identity provider issues new tokens to the
    /// same caller all the time.
    pub(crate) limit_key: Option<Digest>,
}

/// The bearer of a token.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    User(User),
    /// An application of this name.
    App(String),
}

impl Caller {
    /// The name in the audit log and in subscriptions.
    pub(crate) fn name(&self) -> String {
        match &self.who {
            Who::User(user) => user.id.clone(),
            Who::App(name) => format!("app:{name}"),
        }
    }
}

/// The tokens that are accepted besides those in the store, and the identity provider if there is one.
#[derive(Clone)]
pub struct Access(Arc<KnownTokens>, Option<Provider>);

enum KnownTokens {
    /// Development: every well-formed name is its own token.
    Names,
    Tokens {
        named: RwLock<OperatorTokens>,
        stored: Mutex<HashMap<Digest, CachedFacts>>,
    },
}

/// The tokens that the operator names outside of the database.
struct OperatorTokens {
    /// By SHA-256, so that neither memory nor timing reveals a secret.
    principals: HashMap<Digest, Principal>,
    /// The users that have a token, by key.
    users: HashMap<String, UserName>,
}

/// The cached facts of a stored token.
struct CachedFacts {
    facts: TokenFacts,
    /// When its use was last recorded, in UTC microseconds.
    used: i64,
}

/// Whether a secret begins and ends with the same kind of quotes, as in a file for a shell.
fn is_quoted(secret: &str) -> bool {
    let quotes = ["\"", "'", "`"];
    secret.len() > 1 && quotes.iter().any(|quote| secret.starts_with(quote) && secret.ends_with(quote))
}

impl Access {
    /// For tests and first steps: the token `NAME` is the user of that name, `app:NAME` an application. Every caller is
    /// accepted; see [`crate::http::Settings::hosts`].
    pub fn development() -> Self {
        Self(Arc::new(KnownTokens::Names), None)
    }

    /// The tokens in the store and no others.
    pub fn stored() -> Self {
        Self::with_tokens(HashMap::new(), HashMap::new())
    }

    fn with_tokens(principals: HashMap<Digest, Principal>, users: HashMap<String, UserName>) -> Self {
        let named = RwLock::new(OperatorTokens { principals, users });
        Self(Arc::new(KnownTokens::Tokens { named, stored: Mutex::default() }), None)
    }

    /// Replaces the operator's tokens by those of a text, also in clones.
    ///
    /// # Errors
    /// As [`Access::tokens`]. Nothing is changed then, nor if no token is left: the file may be in the middle of being
    /// written.
    pub(crate) fn reload_tokens(&self, text: &str) -> Result<(), String> {
        let KnownTokens::Tokens { named, .. } = &*self.0 else { return Ok(()) };
        let mut named = named.write().unwrap_or_else(PoisonError::into_inner);
        if named.principals.is_empty() && text.trim().is_empty() {
            return Ok(());
        }
        let new = Self::tokens(text)?;
        if let KnownTokens::Tokens { named: new, .. } = &*new.0 {
            let mut new = new.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *named, &mut *new);
        }
        Ok(())
    }

    /// Reads `name=secret` entries, separated by commas or line ends; `app:name=secret` is an application. Blank
    /// entries and lines that begin with `#` are skipped. A name may have several secrets.
    ///
    /// # Errors
    /// One line that names the entry (never the secret): no `=`, an invalid name, a secret that is empty or has
    /// characters that no header can carry, a secret used twice, or no entry at all.
    pub fn tokens(text: &str) -> Result<Self, String> {
        let mut principals = HashMap::new();
        let mut users = HashMap::new();
        let text = text.replace('\u{feff}', "");
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let entries = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
        for (i, entry) in entries.enumerate() {
            let Some((name, secret)) = entry.split_once('=') else {
                return Err(format!("token {}: no '=', expected name=secret", i + 1));
            };
            let Some(principal) = Principal::parse(name) else {
                let expected = format!("{EXPECTED_NAME}; or app: and such a name");
                // Not shown: it may be part of the secret if the name is missing.
                return Err(format!("token {}: no name before the '=', expected {expected}", i + 1));
            };
            if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(format!("token {} ({name}): the secret must be of visible ASCII characters", i + 1));
            }
            if is_quoted(secret) {
                tracing::warn!(
                    "token {} ({name}): the quotes around the secret are a part of it; leave them out if that is not meant",
                    i + 1
                );
            }
            if let Principal::User(user) = &principal {
                users.entry(user.key()).or_insert_with(|| user.clone());
            }
            if principals.insert(secret::digest(secret), principal).is_some() {
                return Err(format!("token {} ({name}): its secret is given twice", i + 1));
            }
        }
        if principals.is_empty() {
            return Err("no token is given".to_owned());
        }
        Ok(Self::with_tokens(principals, users))
    }

    /// Accepts the tokens of an identity provider too; ignored in development.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        Self(self.0, Some(provider))
    }

    /// The issuer whose claim is trusted for user names, and the claim.
    pub fn trusted_claim(&self) -> Option<(String, String)> {
        self.1.as_ref().and_then(Provider::trusted)
    }

    /// The caller of a credential. A token that is not known here is looked up in the store. With a `turn`, it is
    /// looked up once that is acquired.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] without a known credential, [`Error::Denied`] for one that permits nothing here,
    /// [`Error::Unavailable`] if the identity provider is needed and cannot be reached, and those of the database.
    pub(crate) async fn caller(
        &self,
        store: &Store,
        credential: Option<Credential<'_>>,
        turn: Option<&Semaphore>,
    ) -> Result<Caller, Error> {
        let (mut kind, mut result) = (Kind::Stored, Auth::Unknown);
        let found = self.find_caller(store, credential, turn, &mut kind, &mut result).await;
        // Without a credential nothing was checked.
        if credential.is_some() {
            AUTH.increment(
                kind,
                match &found {
                    Ok(_) => Auth::Ok,
                    Err(Error::Unauthorized) => result,
                    Err(Error::Denied(_)) => Auth::Denied,
                    Err(_) => Auth::Failed,
                },
            );
        }
        found
    }

    /// The same. It also sets the kind of the credential, and the reason if it is refused.
    async fn find_caller(
        &self,
        store: &Store,
        credential: Option<Credential<'_>>,
        turn: Option<&Semaphore>,
        kind: &mut Kind,
        result: &mut Auth,
    ) -> Result<Caller, Error> {
        match credential.ok_or(Error::Unauthorized)? {
            Credential::Bearer(token) => self.bearer(store, token, turn, kind, result).await,
            Credential::Basic(sent) => {
                let (name, token) = basic(sent).ok_or(Error::Unauthorized)?;
                let caller = self.bearer(store, &token, turn, kind, result).await?;
                if is_called(&caller, &name) { Ok(caller) } else { Err(Error::Unauthorized) }
            }
        }
    }

    /// The bearer of a token.
    async fn bearer(
        &self,
        store: &Store,
        token: &str,
        turn: Option<&Semaphore>,
        kind: &mut Kind,
        result: &mut Auth,
    ) -> Result<Caller, Error> {
        let (named_tokens, stored) = match &*self.0 {
            KnownTokens::Names => {
                *kind = Kind::Dev;
                return caller_of_principal(store, developer(token).ok_or(Error::Unauthorized)?).await;
            }
            KnownTokens::Tokens { named, stored } => (named, stored),
        };
        let digest = secret::digest(token);
        let principal = {
            let named = named_tokens.read().unwrap_or_else(PoisonError::into_inner);
            named.principals.get(&digest).cloned()
        };
        if let Some(principal) = principal {
            *kind = Kind::Named;
            return caller_of_principal(store, principal).await;
        }
        if let Some(provider) = self.1.as_ref().filter(|_| oidc::is_token(token)) {
            *kind = Kind::Provider;
            return self.of_provider(store, &verified(provider, token, result).await?).await;
        }
        let remembered = cached_facts(stored, &digest);
        let facts = if let Some(facts) = remembered {
            facts
        } else {
            let _turn = match turn {
                Some(turn) => turn.acquire().await.ok(),
                None => None,
            };
            store.token_by_digest(&secret::hex(&digest)).await?.map_err(|why| {
                *result = why;
                Error::Unauthorized
            })?
        };
        if facts.expires.is_some_and(|end| end <= clock::now()) {
            *result = Auth::Expired;
            return Err(Error::Unauthorized);
        }
        if is_use_due(stored, digest, &facts) {
            let (store, id) = (store.clone(), facts.id);
            // The request does not wait for it; a lost record does no harm.
            actix_web::rt::spawn(async move { store.record_token_use(id).await });
        }
        let who = match facts.bearer {
            Bearer::User(user) => Who::User(user),
            Bearer::App(name) => Who::App(name),
        };
        Ok(Caller { who, scopes: facts.scopes, token: Some(facts.id), limit_key: None })
    }

    /// The bearer of an identity provider's token. Creates the user if there is none.
    async fn of_provider(&self, store: &Store, verified: &Verified) -> Result<Caller, Error> {
        let names = verified.scopes.iter().map(String::as_str);
        let scopes = Scopes::from_known_names(names, verified.is_application);
        // Before a user is created: the provider may know many people who have no access here.
        if scopes == Scopes::default() {
            return Err(Error::Denied("The token has no scope that this server knows, such as Contacts.Read."));
        }
        let limit_key = Some(secret::digest(&format!("{}#{}", verified.issuer, verified.subject)));
        if verified.is_application {
            // The `#` keeps it apart from names that the operator gives to applications.
            let who = Who::App(format!("{}#{}", verified.issuer, verified.subject));
            return Ok(Caller { who, scopes, token: None, limit_key });
        }
        let is_reserved = |name: &str| UserName::of_address(name).is_some_and(|name| self.named_user(&name).is_some());
        // A name that the operator has given, and an id, take precedence.
        let is_usable = |trusted: &&Trusted| user::is_assignable(&trusted.name) && !is_reserved(&trusted.name);
        let identity = Identity {
            issuer: verified.issuer.clone(),
            subject: verified.subject.clone(),
            claimed_name: verified.claimed_name.clone(),
            trusted: verified.trusted.as_ref().filter(is_usable).cloned(),
            display_name: verified.display_name.clone(),
            issued: verified.issued.saturating_mul(1_000_000),
        };
        let user = store.user_of_identity(&identity).await?;
        Ok(Caller { who: Who::User(user), scopes, token: None, limit_key })
    }

    /// The user of this name as the operator spells it, if its mailbox is created at first use.
    pub(crate) fn named_user(&self, user: &UserName) -> Option<UserName> {
        match &*self.0 {
            KnownTokens::Names => Some(user.clone()),
            KnownTokens::Tokens { named, .. } => {
                named.read().unwrap_or_else(PoisonError::into_inner).users.get(&user.key()).cloned()
            }
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

/// The bearer of a development token: a name of 1 to 64 of A-Z a-z 0-9 . _ @ -, a subset of user names.
fn developer(token: &str) -> Option<Principal> {
    let name = token.strip_prefix("app:").unwrap_or(token);
    let is_name = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b));
    is_name.then(|| Principal::parse(token)).flatten()
}

async fn verified(provider: &Provider, token: &str, result: &mut Auth) -> Result<Verified, Error> {
    provider.verify(token).await.map_err(|unverified| match unverified {
        Unverified::Refused(reason) => {
            if reason == oidc::EXPIRED {
                *result = Auth::Expired;
            }
            tracing::debug!(reason, "a token of the identity provider was rejected");
            Error::Unauthorized
        }
        Unverified::Unavailable(_) => Error::unavailable(unverified),
    })
}

/// The caller of a token of the operator's, or of development, which has all scopes.
async fn caller_of_principal(store: &Store, principal: Principal) -> Result<Caller, Error> {
    Ok(match principal {
        Principal::User(name) => {
            let who = Who::User(store.user(&name).await?);
            Caller { who, scopes: Scopes::all(false), token: None, limit_key: None }
        }
        Principal::App(name) => {
            let who = Who::App(name.as_str().to_owned());
            Caller { who, scopes: Scopes::all(true), token: None, limit_key: None }
        }
    })
}

fn cached_facts(stored: &Mutex<HashMap<Digest, CachedFacts>>, digest: &Digest) -> Option<TokenFacts> {
    let stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
    stored.get(digest).map(|stored| stored.facts.clone())
}

/// Caches a token. Returns whether its use is due to be recorded.
fn is_use_due(stored: &Mutex<HashMap<Digest, CachedFacts>>, digest: Digest, facts: &TokenFacts) -> bool {
    let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
    if stored.len() >= MAX_REMEMBERED && !stored.contains_key(&digest) {
        stored.clear();
    }
    let now = clock::now();
    let entry = stored.entry(digest).or_insert_with(|| CachedFacts { facts: facts.clone(), used: 0 });
    let due = now - entry.used >= RECORD_INTERVAL;
    if due {
        entry.used = now;
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(access: &Access, authorization: &str) -> Option<Principal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        let Credential::Bearer(token) = Credential::read(&headers, &[Scheme::Bearer])? else { return None };
        match &*access.0 {
            KnownTokens::Names => developer(token),
            KnownTokens::Tokens { named, .. } => named.read().unwrap().principals.get(&secret::digest(token)).cloned(),
        }
    }

    #[test]
    fn tokens_are_read_from_commas_and_lines() {
        let access = Access::tokens("ann=s1=x, bob=s2\n# nobody=s3\n\napp:sync=s4\nann=s5\n").unwrap();
        let ann = Principal::parse("ann");
        assert_eq!(principal(&access, "Bearer s1=x"), ann);
        assert_eq!(principal(&access, "bearer  s5 "), ann);
        assert_eq!(principal(&access, "Bearer s4"), Principal::parse("app:sync"));
        for bad in ["Bearer s3", "Bearer ann", "Bearer", "Basic s2", "s2", ""] {
            assert_eq!(principal(&access, bad), None, "{bad}");
        }
    }

    #[test]
    fn quotes_around_a_secret_are_a_part_of_it() {
        let access = Access::tokens("ann=\"s1\"").unwrap();
        assert_eq!(principal(&access, "Bearer \"s1\""), Principal::parse("ann"));
        assert_eq!(principal(&access, "Bearer s1"), None);
        for (secret, quoted) in [("\"s\"", true), ("'s'", true), ("\"s'", false), ("\"", false), ("s", false)] {
            assert_eq!(is_quoted(secret), quoted, "{secret}");
        }
    }

    #[test]
    fn errors_name_the_entry_without_its_secret() {
        for (text, why) in [
            ("", "no token is given"),
            ("ann=s1,hunter2", "token 2: no '='"),
            ("hunter 2=", "no name before the '='"),
            ("ann=", "(ann): the secret must be"),
            ("ann=hunter 2", "(ann): the secret must be"),
            ("ann=hunter2,bob=hunter2", "(bob): its secret is given twice"),
        ] {
            let error = Access::tokens(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter"), "{error}");
        }
    }
}

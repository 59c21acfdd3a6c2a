//! The token endpoint for Microsoft's identity libraries, over TLS only. A `ClientSecretCredential` of the Azure SDKs
//! gets the token of an application here. No secret is checked, because a server with this endpoint accepts every
//! caller. Users cannot sign in (docs/testing.md, "Tokens of the Azure SDKs").

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clock;
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::user::Principal;
use crate::http::answer::Answer;
use crate::http::{Api, RequestIds, origin};
use crate::percent::{form_decode, percent_decode};
use crate::testkit::control::{KitService, admit, options, receive};

/// The token endpoint.
const TOKEN: &str = "oauth2/v2.0/token";
/// The discovery document (OpenID Connect Discovery 1.0, section 4).
const CONFIGURATION: &str = "v2.0/.well-known/openid-configuration";
/// The signing keys: an empty list, because tokens are not signed.
const KEYS: &str = "discovery/v2.0/keys";
/// Instance discovery: clients ask it about authorities that they do not know.
const INSTANCE: &str = "discovery/instance";

/// The paths below a tenant.
pub(crate) const TENANT: &[&str] = &[TOKEN, CONFIGURATION, KEYS, INSTANCE];

/// Maximum size of a form in bytes.
const MAX_FORM: usize = 64 << 10;
/// Lifetime of a token in the answer, in seconds, as Entra's. The token does not really expire.
const EXPIRES_IN: u32 = 3_599;

/// Serves the paths of an authority for every tenant.
pub(crate) struct Tokens;

impl KitService for Tokens {
    async fn answer(
        self: &Arc<Self>,
        request: &HttpRequest,
        payload: &mut web::Payload,
        api: &Api,
    ) -> Result<Answer, Error> {
        let (mount, path) = admit(request, api)?;
        let path = path.trim_start_matches('/');
        let (tenant, subpath) = path.split_once('/').unwrap_or((path, ""));
        let root = origin::root(request, &api.settings.origin, mount);
        let tenant = percent_decode(tenant).filter(|tenant| is_tenant(tenant));
        let tenant = tenant.ok_or_else(|| Error::NoSegment(path.to_owned()))?;
        let is_path = |path: &str| path.eq_ignore_ascii_case(subpath);
        let (expected, needs_post) = if is_path(TOKEN) { ("POST", true) } else { ("GET", false) };
        if request.method() != if needs_post { Method::POST } else { Method::GET } {
            return Err(Error::MethodNotAllowed(vec![expected]));
        }
        if is_path(TOKEN) {
            let form = receive(payload, MAX_FORM).await?;
            return token(request, &form);
        }
        let document = if is_path(CONFIGURATION) {
            configuration(&root, &tenant)
        } else if is_path(INSTANCE) {
            instance(&root, &options(request.uri().query().unwrap_or_default())?)
        } else {
            json!({"keys": []})
        };
        Answer::json(200, &document)
    }
}

/// An id or a domain, as in Entra.
fn is_tenant(tenant: &str) -> bool {
    (1..=253).contains(&tenant.len()) && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// The metadata of a tenant. The libraries require `authorization_endpoint`, but users cannot sign in, so nothing
/// answers there.
fn configuration(root: &str, tenant: &str) -> Value {
    let url = |path: &str| format!("{root}/{tenant}/{path}");
    json!({
        "issuer": url("v2.0"),
        "authorization_endpoint": url("oauth2/v2.0/authorize"),
        "token_endpoint": url(TOKEN),
        "jwks_uri": url(KEYS),
        "end_session_endpoint": url("oauth2/v2.0/logout"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["https://graph.microsoft.com/.default"],
    })
}

/// Instance metadata: this server is an authority without aliases.
fn instance(root: &str, options: &BTreeMap<String, String>) -> Value {
    let inspected = options.get("authorization_endpoint").and_then(|url| url.split('/').nth(3));
    let tenant = inspected.filter(|tenant| is_tenant(tenant)).unwrap_or("common");
    let host = root.split_once("://").map_or(root, |(_, host)| host);
    json!({
        "tenant_discovery_endpoint": format!("{root}/{tenant}/{CONFIGURATION}"),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
}

/// A refused token request: the error of OAuth (RFC 6749, section 5.2), its status, and Entra's number and words.
struct TokenError(&'static str, u16, u32, String);

/// The answer to a request for a token.
fn token(request: &HttpRequest, form: &[u8]) -> Result<Answer, Error> {
    let answer = match client(request, form) {
        Ok(id) => Answer::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": EXPIRES_IN, "ext_expires_in": EXPIRES_IN, "access_token": format!("app:{id}")}),
        ),
        Err(TokenError(error, status, number, words)) => {
            let ids = RequestIds::of(request.headers());
            let date = date::print(clock::now());
            Answer::json(
                status,
                &json!({
                    "error": error,
                    "error_description": format!("AADSTS{number}: {words} Trace ID: {} Correlation ID: {} Timestamp: {date}", ids.request, ids.client),
                    "error_codes": [number],
                    "timestamp": date,
                    "trace_id": ids.request,
                    "correlation_id": ids.client,
                }),
            )
        }
    };
    answer?.header("Pragma", "no-cache")
}

/// The id of the application.
fn client(request: &HttpRequest, form: &[u8]) -> Result<String, TokenError> {
    let invalid = |number, words: &str| TokenError("invalid_request", 400, number, words.to_owned());
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.unwrap_or_default().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(invalid(900_144, "The body must be a form: application/x-www-form-urlencoded."));
    }
    let form = std::str::from_utf8(form).ok().and_then(|form| options(form).ok());
    let mut form =
        form.ok_or_else(|| invalid(900_144, "The body must be a form in UTF-8 with each parameter once."))?;
    if let Some((id, secret)) = basic(request) {
        form.insert("client_id".to_owned(), id);
        form.insert("client_secret".to_owned(), secret);
    }
    let required = |name: &str| {
        let value = form.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| {
            invalid(900_144, &format!("The request body must contain the following parameter: '{name}'."))
        })
    };
    let grant = required("grant_type")?;
    if grant != "client_credentials" {
        let words = format!(
            "The grant '{grant}' is not supported: only client_credentials is, because there is no sign-in for users."
        );
        return Err(TokenError("unsupported_grant_type", 400, 70_003, words));
    }
    let id = required("client_id")?;
    required("scope")?;
    if !form.contains_key("client_secret") && !form.contains_key("client_assertion") {
        let words = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(TokenError("invalid_client", 401, 7_000_218, words.to_owned()));
    }
    if Principal::parse(&format!("app:{id}")).is_none() {
        let words =
            format!("Application with identifier '{id}' was not found: an id must be a valid name of a contactd user.");
        return Err(TokenError("unauthorized_client", 400, 700_016, words));
    }
    Ok(id.clone())
}

/// The id and the secret in `Authorization` (RFC 6749, section 2.3.1).
fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':').filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    Some((form_decode(id)?, form_decode(secret)?))
}

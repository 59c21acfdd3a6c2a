//! How long keys and tokens are cached, and what happens when the issuer fails.

use crate::oidc::tests::issuer::IssuerServer;
use crate::oidc::tests::*;

const MINUTE: Duration = Duration::from_mins(1);

fn times(fresh: Duration, stale: Duration, pause: Duration) -> KeyTimes {
    KeyTimes { fresh, stale, pause }
}

fn provider(server: &IssuerServer, times: KeyTimes) -> Provider {
    let audiences = vec!["api://contactd".to_owned()];
    Provider::new(OidcSettings { issuer: server.url.clone(), audiences, times, ..OidcSettings::default() }).unwrap()
}

fn claims(server: &IssuerServer, subject: &str) -> Value {
    let now = clock::now() / 1_000_000;
    with(&[
        ("iss", json!(server.url)),
        ("sub", json!(subject)),
        ("iat", json!(now)),
        ("nbf", json!(now)),
        ("exp", json!(now + 600)),
    ])
}

const REFUSED: Unverified = Unverified::Refused("no key of the issuer signed it");
const UNAVAILABLE: Unverified = Unverified::Unavailable("the issuer's keys are unavailable");

#[tokio::test]
async fn concurrent_requests_fetch_keys_once() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    server.set(|answers| answers.delay = Duration::from_millis(100));
    let provider = provider(&server, times(MINUTE, MINUTE, MINUTE));
    assert_eq!(server.document_requests(), 0);
    let tokens: Vec<_> = (0..20).map(|i| pair.issue("k", &claims(&server, &format!("s{i}")))).collect();
    let verified = futures_util::future::join_all(tokens.iter().map(|token| provider.verify(token))).await;
    for (i, verified) in verified.into_iter().enumerate() {
        assert_eq!(verified.unwrap().subject, format!("s{i}"));
    }
    assert_eq!(server.document_requests(), 1);
}

#[tokio::test]
async fn a_client_that_disconnects_does_not_cancel_the_fetch() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    server.set(|answers| answers.delay = Duration::from_millis(100));
    let provider = provider(&server, times(MINUTE, MINUTE, MINUTE));
    let token = pair.issue("k", &claims(&server, "s"));
    let timed_out = tokio::time::timeout(Duration::from_millis(20), provider.verify(&token)).await;
    assert!(timed_out.is_err());
    assert!(provider.verify(&token).await.is_ok());
    assert_eq!(server.document_requests(), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_and_a_withdrawn_key_invalidates_its_tokens() {
    let (old, new) = (SigningPair::ed(), SigningPair::es());
    let server = IssuerServer::new(&[old.public("old")]);
    let provider = provider(&server, times(MINUTE, MINUTE, Duration::ZERO));
    let (first, second) = (old.issue("old", &claims(&server, "s")), new.issue("new", &claims(&server, "s")));
    assert!(provider.verify(&first).await.is_ok());
    assert_eq!(provider.verify(&second).await, Err(REFUSED));
    server.keys(&[new.public("new")]);
    // It is cached, and its key is not known to be withdrawn.
    assert!(provider.verify(&first).await.is_ok());
    assert!(provider.verify(&second).await.is_ok());
    assert_eq!(provider.verify(&first).await, Err(REFUSED));
    assert!(provider.0.state().verified.len() == 1);
}

#[tokio::test]
async fn a_withdrawn_key_invalidates_its_tokens_when_keys_are_no_longer_fresh() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    let provider = provider(&server, times(Duration::from_millis(50), MINUTE, Duration::ZERO));
    let token = pair.issue("k", &claims(&server, "s"));
    assert!(provider.verify(&token).await.is_ok());
    // The same name for another key.
    server.keys(&[SigningPair::ed().public("k")]);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(provider.verify(&token).await, Err(REFUSED));
}

#[tokio::test]
async fn invalid_tokens_cause_few_requests_to_the_issuer() {
    let (pair, foreign) = (SigningPair::ed(), SigningPair::ed());
    let server = IssuerServer::new(&[pair.public("k")]);
    let provider = provider(&server, times(MINUTE, MINUTE, MINUTE));
    assert!(provider.verify(&pair.issue("k", &claims(&server, "s"))).await.is_ok());
    for i in 0..50 {
        let unknown = foreign.issue(&format!("unknown{i}"), &claims(&server, "s"));
        assert_eq!(provider.verify(&unknown).await, Err(REFUSED));
        assert!(matches!(provider.verify(&format!("a.b.{i}")).await, Err(Unverified::Refused(_))));
    }
    assert_eq!(server.document_requests(), 1);
    // The same without cached keys. Tokens for another audience cause no request at all.
    let (server, pair) = (IssuerServer::new(&[]), SigningPair::ed());
    server.set(|answers| answers.status = 500);
    let provider = self::provider(&server, times(MINUTE, MINUTE, MINUTE));
    for (name, value) in [("aud", json!("x")), ("iss", json!("x")), ("exp", json!(1))] {
        let mut claims = claims(&server, "s");
        claims[name] = value;
        assert!(matches!(provider.verify(&pair.issue("k", &claims)).await, Err(Unverified::Refused(_))));
    }
    assert_eq!(server.document_requests(), 0);
    for _ in 0..50 {
        assert_eq!(provider.verify(&pair.issue("k", &claims(&server, "s"))).await, Err(UNAVAILABLE));
    }
    assert_eq!(server.document_requests(), 1);
}

#[tokio::test]
async fn keys_are_used_until_they_are_stale_when_the_issuer_fails() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    let (fresh, stale) = (Duration::from_millis(50), Duration::from_millis(600));
    let provider = provider(&server, times(fresh, stale, Duration::ZERO));
    let token = pair.issue("k", &claims(&server, "s"));
    assert!(provider.verify(&token).await.is_ok());
    server.set(|answers| answers.status = 503);
    tokio::time::sleep(fresh).await;
    assert!(provider.verify(&token).await.is_ok());
    assert!(provider.verify(&pair.issue("k", &claims(&server, "t"))).await.is_ok());
    assert!(server.document_requests() > 1);
    tokio::time::sleep(stale).await;
    assert_eq!(provider.verify(&token).await, Err(UNAVAILABLE));
    server.set(|answers| answers.status = 200);
    // A verification during a fetch waits for its result, which may still be the earlier failure.
    let mut verified = provider.verify(&token).await;
    if verified.is_err() {
        verified = provider.verify(&token).await;
    }
    assert!(verified.is_ok());
}

#[tokio::test]
async fn requests_do_not_wait_for_a_failing_issuer_while_keys_are_cached() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    let provider = provider(&server, times(Duration::ZERO, MINUTE, Duration::ZERO));
    let token = pair.issue("k", &claims(&server, "s"));
    assert!(provider.verify(&token).await.is_ok());
    server.set(|answers| answers.status = 500);
    assert!(provider.verify(&token).await.is_ok());
    server.set(|answers| answers.delay = MINUTE);
    let in_time = tokio::time::timeout(Duration::from_secs(4), async {
        for _ in 0..20 {
            assert!(provider.verify(&token).await.is_ok());
        }
    });
    assert!(in_time.await.is_ok());
}

type IssuerChange = Box<dyn Fn(&mut issuer::IssuerAnswers)>;

#[tokio::test]
async fn wrong_answers_of_an_issuer_give_no_keys() {
    let pair = SigningPair::ed();
    let huge = format!(r#"{{"keys": [], "x": "{}"}}"#, "x".repeat(600 << 10));
    let changes: [(&str, IssuerChange); 12] = [
        ("another issuer", Box::new(|answers| answers.document["issuer"] = json!("https://evil.example/"))),
        ("no issuer", Box::new(|answers| answers.document = json!({"jwks_uri": "http://127.0.0.1/"}))),
        (
            "its name without the slash",
            Box::new(|answers| {
                answers.document["issuer"] = json!(answers.document["issuer"].as_str().unwrap().trim_end_matches('/'));
            }),
        ),
        ("no key set URL", Box::new(|answers| answers.document["jwks_uri"] = json!(1))),
        (
            "a key set URL that is not http",
            Box::new(|answers| answers.document["jwks_uri"] = json!("file:///etc/passwd")),
        ),
        (
            "a key set URL elsewhere by http",
            Box::new(|answers| answers.document["jwks_uri"] = json!("http://192.0.2.1/keys")),
        ),
        ("a redirect", Box::new(|answers| answers.status = 302)),
        ("an error", Box::new(|answers| answers.status = 500)),
        ("another status", Box::new(|answers| answers.status = 204)),
        ("no JSON", Box::new(|answers| answers.keys = "<html>".into())),
        ("too many keys", Box::new(|answers| answers.keys = json!({"keys": vec![json!({}); 101]}).to_string())),
        ("too much", Box::new(move |answers| answers.keys.clone_from(&huge))),
    ];
    for (what, change) in changes {
        let server = IssuerServer::new(&[pair.public("k")]);
        server.set(|answers| change(answers));
        let provider = provider(&server, KeyTimes::default());
        let verified = provider.verify(&pair.issue("k", &claims(&server, "s"))).await;
        assert_eq!(verified, Err(UNAVAILABLE), "{what}");
    }
    // A key set without usable keys verifies nothing.
    let server = IssuerServer::new(&[json!({"kty": "oct", "k": "x", "kid": "k"})]);
    let verified = provider(&server, KeyTimes::default()).verify(&pair.issue("k", &claims(&server, "s"))).await;
    assert_eq!(verified, Err(REFUSED));
}

#[tokio::test]
async fn keys_are_fetched_by_tls_from_a_trusted_certificate() {
    let pair = SigningPair::ed();
    let server = IssuerServer::with_tls(&[pair.public("k")]);
    let token = pair.issue("k", &claims(&server, "s"));
    let settings = |ca_file: Option<&str>| OidcSettings {
        issuer: server.url.clone(),
        audiences: vec!["api://contactd".to_owned()],
        ca_file: ca_file.map(PathBuf::from),
        ..OidcSettings::default()
    };
    let trusting = Provider::new(settings(Some("tests/tls/ca.pem"))).unwrap();
    assert_eq!(trusting.verify(&token).await.unwrap().subject, "s");
    assert_eq!(Provider::new(settings(None)).unwrap().verify(&token).await, Err(UNAVAILABLE));
    // An https document must not name an http key set.
    server.set(|answers| answers.document["jwks_uri"] = json!("http://127.0.0.1:1/keys"));
    let redirected = Provider::new(settings(Some("tests/tls/ca.pem"))).unwrap();
    assert_eq!(redirected.verify(&token).await, Err(UNAVAILABLE));
}

#[tokio::test]
async fn an_issuer_that_is_unreachable_or_silent_times_out() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[]);
    server.set(|answers| answers.delay = MINUTE);
    let waiting = provider(&server, KeyTimes::default());
    let token = pair.issue("k", &claims(&server, "s"));
    assert_eq!(tokio::time::timeout(Duration::from_mins(2), waiting.verify(&token)).await, Ok(Err(UNAVAILABLE)));
    let closed_address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed_address}");
    let mut claims = claims(&server, "s");
    claims["iss"] = json!(url);
    let audiences = vec!["api://contactd".to_owned()];
    let unreachable = Provider::new(OidcSettings { issuer: url, audiences, ..OidcSettings::default() }).unwrap();
    assert_eq!(unreachable.verify(&pair.issue("k", &claims)).await, Err(UNAVAILABLE));
}

#[tokio::test]
async fn a_cached_token_expires_at_its_expiration_time() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    let provider = provider(&server, KeyTimes::default());
    let mut claims = claims(&server, "s");
    claims["exp"] = json!(clock::now() / 1_000_000 - SKEW + 2);
    let token = pair.issue("k", &claims);
    assert!(provider.verify(&token).await.is_ok());
    let (digest, now) = (Sha256::digest(&token).into(), clock::now() / 1_000_000);
    assert!(provider.0.state().cached(&digest, now).is_some());
    assert!(provider.0.state().cached(&digest, now + 2).is_none());
    // The cache is bounded, and expired tokens are removed first.
    let add = |i: usize, expires| {
        let verified = Verified { expires, ..provider.0.state().verified[&digest].verified.clone() };
        let key = provider.0.state().verified[&digest].key;
        provider.0.state().cache(Sha256::digest(i.to_string()).into(), VerifiedToken { verified, key }, now);
    };
    for i in 0..MAX_CACHED_TOKENS {
        add(i, now - SKEW);
    }
    assert_eq!(provider.0.state().verified.len(), 2);
    for i in 0..MAX_CACHED_TOKENS {
        add(i, now + 100);
        if provider.0.state().verified.len() < 100 {
            break;
        }
    }
    assert!(provider.0.state().verified.len() <= MAX_CACHED_TOKENS);
}

//! How long keys and tokens last, and what an issuer may do meanwhile.

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
async fn keys_are_asked_for_once_however_many_wait() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    server.set(|says| says.delay = Duration::from_millis(100));
    let provider = provider(&server, times(MINUTE, MINUTE, MINUTE));
    assert_eq!(server.asked(), 0);
    let tokens: Vec<_> = (0..20).map(|i| pair.issue("k", &claims(&server, &format!("s{i}")))).collect();
    let verified = futures_util::future::join_all(tokens.iter().map(|token| provider.verify(token))).await;
    for (i, verified) in verified.into_iter().enumerate() {
        assert_eq!(verified.unwrap().subject, format!("s{i}"));
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_undo_what_it_began() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    server.set(|says| says.delay = Duration::from_millis(100));
    let provider = provider(&server, times(MINUTE, MINUTE, MINUTE));
    let token = pair.issue("k", &claims(&server, "s"));
    let gone = tokio::time::timeout(Duration::from_millis(20), provider.verify(&token)).await;
    assert!(gone.is_err());
    assert!(provider.verify(&token).await.is_ok());
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_asked_for_and_a_withdrawn_one_ends_its_tokens() {
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
async fn a_withdrawn_key_ends_its_tokens_when_keys_are_no_longer_fresh() {
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
async fn strangers_cannot_make_us_hammer_the_issuer() {
    let (pair, theirs) = (SigningPair::ed(), SigningPair::ed());
    let server = IssuerServer::new(&[pair.public("k")]);
    let provider = provider(&server, times(MINUTE, MINUTE, MINUTE));
    assert!(provider.verify(&pair.issue("k", &claims(&server, "s"))).await.is_ok());
    for i in 0..50 {
        let unknown = theirs.issue(&format!("unknown{i}"), &claims(&server, "s"));
        assert_eq!(provider.verify(&unknown).await, Err(REFUSED));
        assert!(matches!(provider.verify(&format!("a.b.{i}")).await, Err(Unverified::Refused(_))));
    }
    assert_eq!(server.asked(), 1);
    // Nor without keys, nor by what is not even meant for us.
    let (server, pair) = (IssuerServer::new(&[]), SigningPair::ed());
    server.set(|says| says.status = 500);
    let provider = self::provider(&server, times(MINUTE, MINUTE, MINUTE));
    for (name, value) in [("aud", json!("x")), ("iss", json!("x")), ("exp", json!(1))] {
        let mut claims = claims(&server, "s");
        claims[name] = value;
        assert!(matches!(provider.verify(&pair.issue("k", &claims)).await, Err(Unverified::Refused(_))));
    }
    assert_eq!(server.asked(), 0);
    for _ in 0..50 {
        assert_eq!(provider.verify(&pair.issue("k", &claims(&server, "s"))).await, Err(UNAVAILABLE));
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn keys_serve_on_for_a_while_when_the_issuer_fails() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    let (fresh, stale) = (Duration::from_millis(50), Duration::from_millis(600));
    let provider = provider(&server, times(fresh, stale, Duration::ZERO));
    let token = pair.issue("k", &claims(&server, "s"));
    assert!(provider.verify(&token).await.is_ok());
    server.set(|says| says.status = 503);
    tokio::time::sleep(fresh).await;
    assert!(provider.verify(&token).await.is_ok());
    assert!(provider.verify(&pair.issue("k", &claims(&server, "t"))).await.is_ok());
    assert!(server.asked() > 1);
    tokio::time::sleep(stale).await;
    assert_eq!(provider.verify(&token).await, Err(UNAVAILABLE));
    server.set(|says| says.status = 200);
    // Whoever asks while it is asked waits for that answer, which may still be the old one.
    let mut verified = provider.verify(&token).await;
    if verified.is_err() {
        verified = provider.verify(&token).await;
    }
    assert!(verified.is_ok());
}

#[tokio::test]
async fn nobody_waits_for_an_issuer_that_fails_while_there_are_keys() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    let provider = provider(&server, times(Duration::ZERO, MINUTE, Duration::ZERO));
    let token = pair.issue("k", &claims(&server, "s"));
    assert!(provider.verify(&token).await.is_ok());
    server.set(|says| says.status = 500);
    assert!(provider.verify(&token).await.is_ok());
    server.set(|says| says.delay = MINUTE);
    let soon = tokio::time::timeout(Duration::from_secs(4), async {
        for _ in 0..20 {
            assert!(provider.verify(&token).await.is_ok());
        }
    });
    assert!(soon.await.is_ok());
}

type IssuerChange = Box<dyn Fn(&mut issuer::Says)>;

#[tokio::test]
async fn what_an_issuer_says_wrong_gives_no_keys() {
    let pair = SigningPair::ed();
    let huge = format!(r#"{{"keys": [], "x": "{}"}}"#, "x".repeat(600 << 10));
    let changes: [(&str, IssuerChange); 12] = [
        ("another issuer", Box::new(|says| says.document["issuer"] = json!("https://evil.example/"))),
        ("no issuer", Box::new(|says| says.document = json!({"jwks_uri": "http://127.0.0.1/"}))),
        (
            "its name without the slash",
            Box::new(|says| {
                says.document["issuer"] = json!(says.document["issuer"].as_str().unwrap().trim_end_matches('/'));
            }),
        ),
        ("no place", Box::new(|says| says.document["jwks_uri"] = json!(1))),
        ("a place that is none", Box::new(|says| says.document["jwks_uri"] = json!("file:///etc/passwd"))),
        ("a place elsewhere by http", Box::new(|says| says.document["jwks_uri"] = json!("http://192.0.2.1/keys"))),
        ("a redirect", Box::new(|says| says.status = 302)),
        ("an error", Box::new(|says| says.status = 500)),
        ("another status", Box::new(|says| says.status = 204)),
        ("no JSON", Box::new(|says| says.keys = "<html>".into())),
        ("too many keys", Box::new(|says| says.keys = json!({"keys": vec![json!({}); 101]}).to_string())),
        ("too much", Box::new(move |says| says.keys.clone_from(&huge))),
    ];
    for (what, change) in changes {
        let server = IssuerServer::new(&[pair.public("k")]);
        server.set(|says| change(says));
        let provider = provider(&server, KeyTimes::default());
        let verified = provider.verify(&pair.issue("k", &claims(&server, "s"))).await;
        assert_eq!(verified, Err(UNAVAILABLE), "{what}");
    }
    // One whose keys are of no use has none to use.
    let server = IssuerServer::new(&[json!({"kty": "oct", "k": "x", "kid": "k"})]);
    let verified = provider(&server, KeyTimes::default()).verify(&pair.issue("k", &claims(&server, "s"))).await;
    assert_eq!(verified, Err(REFUSED));
}

#[tokio::test]
async fn keys_are_had_by_tls_from_whom_an_authority_vouches_for() {
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
    // Whoever has TLS does not lead to where there is none.
    server.set(|says| says.document["jwks_uri"] = json!("http://127.0.0.1:1/keys"));
    let led = Provider::new(settings(Some("tests/tls/ca.pem"))).unwrap();
    assert_eq!(led.verify(&token).await, Err(UNAVAILABLE));
}

#[tokio::test]
async fn an_issuer_that_is_not_there_or_says_nothing_is_given_up() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[]);
    server.set(|says| says.delay = MINUTE);
    let waiting = provider(&server, KeyTimes::default());
    let token = pair.issue("k", &claims(&server, "s"));
    assert_eq!(tokio::time::timeout(Duration::from_mins(2), waiting.verify(&token)).await, Ok(Err(UNAVAILABLE)));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let mut claims = claims(&server, "s");
    claims["iss"] = json!(url);
    let audiences = vec!["api://contactd".to_owned()];
    let gone = Provider::new(OidcSettings { issuer: url, audiences, ..OidcSettings::default() }).unwrap();
    assert_eq!(gone.verify(&pair.issue("k", &claims)).await, Err(UNAVAILABLE));
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_says() {
    let pair = SigningPair::ed();
    let server = IssuerServer::new(&[pair.public("k")]);
    let provider = provider(&server, KeyTimes::default());
    let mut claims = claims(&server, "s");
    claims["exp"] = json!(clock::now() / 1_000_000 - SKEW + 2);
    let token = pair.issue("k", &claims);
    assert!(provider.verify(&token).await.is_ok());
    let (digest, now) = (Sha256::digest(&token).into(), clock::now() / 1_000_000);
    assert!(provider.0.state().remembered(&digest, now).is_some());
    assert!(provider.0.state().remembered(&digest, now + 2).is_none());
    // Few are kept, and those that ended go first.
    let known = |i: usize, expires| {
        let verified = Verified { expires, ..provider.0.state().verified[&digest].verified.clone() };
        let key = provider.0.state().verified[&digest].key;
        provider.0.state().remember(Sha256::digest(i.to_string()).into(), VerifiedToken { verified, key }, now);
    };
    for i in 0..MAX_REMEMBERED {
        known(i, now - SKEW);
    }
    assert_eq!(provider.0.state().verified.len(), 2);
    for i in 0..MAX_REMEMBERED {
        known(i, now + 100);
        if provider.0.state().verified.len() < 100 {
            break;
        }
    }
    assert!(provider.0.state().verified.len() <= MAX_REMEMBERED);
}

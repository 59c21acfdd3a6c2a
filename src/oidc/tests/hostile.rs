//! Tokens that an attacker forges.

use proptest::prelude::*;
use ring::hmac;

use crate::oidc::tests::*;

/// The reason for which a token with this header and these claims is refused. The issuer's own key signs it.
fn refused(pair: &SigningPair, header: &str, claims: &str) -> &'static str {
    let token = pair.token(header, claims);
    read(&token, &set(&[pair.public("k")])).expect_err(header)
}

#[test]
fn a_token_that_is_not_signed_is_refused() {
    let (pair, claims) = (SigningPair::rsa(), user().to_string());
    let keys = set(&[pair.public("k")]);
    for algorithm in ["none", "None", "NONE", "nOnE", "", "RS256", "HS256"] {
        let header = json!({"alg": algorithm, "kid": "k"}).to_string();
        let signed = format!("{}.{}", base64(header), base64(&claims));
        for token in [format!("{signed}."), signed.clone(), format!("{signed}.AA"), format!("{signed}..")] {
            assert!(read(&token, &keys).is_err(), "{token}");
        }
    }
}

#[test]
fn a_public_key_is_not_accepted_as_a_shared_secret() {
    let (pair, claims) = (SigningPair::rsa(), user().to_string());
    let key = pair.public("k");
    let keys = set(std::slice::from_ref(&key));
    let n = key["n"].as_str().unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{n}\n-----END PUBLIC KEY-----\n");
    for secret in [n.as_bytes(), &URL_SAFE.decode(n).unwrap(), key.to_string().as_bytes(), pem.as_bytes(), b""] {
        for algorithm in ["HS256", "RS256", "ES256", "EdDSA"] {
            let header = json!({"alg": algorithm, "kid": "k"}).to_string();
            let signed = format!("{}.{}", base64(header), base64(&claims));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            assert!(read(&format!("{signed}.{}", base64(tag)), &keys).is_err(), "{algorithm}");
        }
    }
    // A shared secret in the key set is not used either.
    let shared = json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": base64("secret")});
    assert!(set(&[shared]).signer(&UnverifiedToken::read(&pair.issue("k", &user())).unwrap()).is_none());
}

#[test]
fn an_empty_or_constant_signature_is_refused() {
    for (pair, length) in [(SigningPair::rsa(), 256), (SigningPair::es(), 64), (SigningPair::ed(), 64)] {
        let header = json!({"alg": pair.algorithm(), "kid": "k"}).to_string();
        let signed = format!("{}.{}", base64(header), base64(user().to_string()));
        for signature in [vec![0; length], vec![255; length], vec![], vec![0; length - 1], vec![0; length + 1]] {
            assert!(read(&format!("{signed}.{}", base64(signature)), &set(&[pair.public("k")])).is_err());
        }
    }
}

#[test]
fn the_key_decides_the_algorithm_not_the_token() {
    for pair in [SigningPair::rsa(), SigningPair::es(), SigningPair::ed()] {
        for algorithm in ["RS256", "ES256", "EdDSA", "Ed25519", "RS384", "PS256", "ES384", "ES256K", "rs256", "HS512"] {
            let is_own = algorithm == pair.algorithm() || algorithm == "Ed25519" && pair.algorithm() == "EdDSA";
            let token = pair.token(&json!({"alg": algorithm, "kid": "k"}).to_string(), &user().to_string());
            assert_eq!(read(&token, &set(&[pair.public("k")])).is_ok(), is_own, "{} {algorithm}", pair.algorithm());
        }
    }
}

#[test]
fn a_key_that_comes_with_the_token_is_not_used() {
    let (own, foreign) = (SigningPair::ed(), SigningPair::ed());
    let keys = set(&[own.public("k")]);
    for id in ["k", "theirs", "../../dev/null", "' or 1=1 --"] {
        let header = json!({
            "alg": "EdDSA", "kid": id, "jwk": foreign.public(id), "jku": "http://127.0.0.1:1/keys",
            "x5u": "http://127.0.0.1:1/chain", "x5c": ["MIIB"],
        });
        assert_eq!(read(&foreign.token(&header.to_string(), &user().to_string()), &keys), Err("no key signed it"));
    }
    // With the issuer's own signature they change nothing.
    let header = json!({"alg": "EdDSA", "kid": "k", "jwk": foreign.public("k"), "jku": "x", "x5t": "y"});
    assert!(read(&own.token(&header.to_string(), &user().to_string()), &keys).is_ok());
}

#[test]
fn unsupported_header_members_are_refused() {
    let (pair, claims) = (SigningPair::ed(), user().to_string());
    for header in [
        r#"{"alg":"EdDSA","kid":"k","crit":["exp"]}"#,
        r#"{"alg":"EdDSA","kid":"k","crit":[]}"#,
        r#"{"alg":"EdDSA","kid":"k","crit":null}"#,
        r#"{"alg":"EdDSA","kid":"k","b64":false}"#,
        r#"{"alg":"EdDSA","kid":"k","zip":"DEF"}"#,
        r#"{"alg":"EdDSA","kid":"k","enc":"A128GCM"}"#,
        r#"{"alg":"EdDSA","kid":"k","typ":"logout+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"k","typ":"dpop+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"k","typ":["JWT"]}"#,
        r#"{"alg":["EdDSA"],"kid":"k"}"#,
        r#"{"alg":null,"kid":"k"}"#,
        r#"{"kid":"k"}"#,
        r#"{"alg":"EdDSA","kid":1}"#,
        r#"{"alg":"EdDSA","kid":null}"#,
        r#"{"alg":"none","alg":"EdDSA","kid":"k"}"#,
        r#"{"alg":"EdDSA","Alg":"none","kid":"k"}"#,
        r#"{"alg":"EdDSA","kid":"k"} "x""#,
        r#"["EdDSA"]"#,
        r#""EdDSA""#,
        "",
        "\u{feff}{\"alg\":\"EdDSA\",\"kid\":\"k\"}",
    ] {
        refused(&pair, header, &claims);
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        let token = pair.token(&json!({"alg": "EdDSA", "kid": "k", "typ": typ}).to_string(), &claims);
        assert!(read(&token, &set(&[pair.public("k")])).is_ok(), "{typ}");
    }
}

#[test]
fn repeated_claims_are_refused() {
    let (pair, claims) = (SigningPair::ed(), user().to_string());
    let header = r#"{"alg":"EdDSA","kid":"k"}"#;
    let rest = claims.strip_prefix('{').unwrap();
    for more in
        [r#""sub":"root""#, r#""aud":"api://contactd""#, r#""s\u0075b":"root""#, r#""SUB":"root""#, r#""x":1,"x":2"#]
    {
        assert_eq!(refused(&pair, header, &format!("{{{more},{rest}")), "a part cannot be read as JSON", "{more}");
    }
}

#[test]
fn tokens_that_are_too_long_or_nested_too_deeply_are_refused() {
    let (pair, header) = (SigningPair::ed(), r#"{"alg":"EdDSA","kid":"k"}"#);
    let keys = set(&[pair.public("k")]);
    let padded = |bytes: usize| pair.issue("k", &with(&[("x", json!("x".repeat(bytes)))]));
    assert!(read(&padded(11_000), &keys).is_ok());
    let (fits, long) = (padded(11_000), padded(12_500));
    assert!(fits.len() <= token::MAX_TOKEN && long.len() > token::MAX_TOKEN);
    assert_eq!(read(&long, &keys), Err("it is too long"));
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let claims = |depth| user().to_string().replacen('{', &format!("{{\"x\":{},", deep(depth)), 1);
    assert!(read(&pair.token(header, &claims(15)), &keys).is_ok());
    assert_eq!(refused(&pair, header, &claims(16)), "a part is nested too deeply");
    for depth in [127, 128, 5_000] {
        refused(&pair, header, &claims(depth));
        let deep = format!(r#"{{"alg":"EdDSA","kid":"k","x":{}}}"#, deep(depth));
        refused(&pair, &deep, &user().to_string());
    }
}

#[test]
fn each_part_has_exactly_one_encoding() {
    let pair = SigningPair::ed();
    let (keys, token) = (set(&[pair.public("k")]), pair.issue("k", &user()));
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    for variant in [
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}."),
        format!(".{header}.{claims}.{signature}"),
        format!("{header}.{claims}. {signature}"),
        format!("{header}.{claims}.{signature}\n"),
        format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")),
        format!("{header}.{}.{claims}.{signature}", base64("{}")),
        format!("{header}.{claims}"),
        header.to_owned(),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
    ] {
        assert!(variant == token || read(&variant, &keys).is_err(), "{variant}");
    }
    // 64 bytes have 86 characters. Only two bits of the last one are used.
    let last = signature.chars().last().unwrap();
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars().filter(|c| *c != last) {
        let variant = format!("{}{other}", &token[..token.len() - 1]);
        assert!(read(&variant, &keys).is_err(), "{variant}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_refused_without_a_panic(text in "[A-Za-z0-9_.-]{0,200}|\\PC{0,80}") {
        prop_assert!(read(&text, &set(&[SigningPair::ed().public("k")])).is_err());
        let _ = is_token(&text);
    }

    #[test]
    fn a_token_that_is_cut_or_changed_anywhere_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        for pair in [SigningPair::es(), SigningPair::ed()] {
            let (keys, token) = (set(&[pair.public("k")]), pair.issue("k", &user()));
            let at = at.index(token.len());
            prop_assert!(read(&token[..at], &keys).is_err());
            prop_assert!(at == 0 || read(&token[at..], &keys).is_err());
            let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            prop_assert!(changed == token || read(&changed, &keys).is_err(), "{}", changed);
        }
    }

    #[test]
    fn a_signature_with_a_flipped_bit_is_refused(bit in 0usize..8, at in any::<prop::sample::Index>()) {
        for pair in [SigningPair::rsa(), SigningPair::es(), SigningPair::ed()] {
            let (keys, token) = (set(&[pair.public("k")]), pair.issue("k", &user()));
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let mut signature = URL_SAFE.decode(signature).unwrap();
            let at = at.index(signature.len());
            signature[at] ^= 1 << bit;
            let token = format!("{signed}.{}", base64(signature));
            prop_assert!(read(&token, &keys).is_err());
        }
    }

    #[test]
    fn only_the_issuers_signature_counts_for_any_header(
        name in "alg|kid|typ|crit|jwk|jku|x5u|x5c|cty|[a-z]{1,8}",
        value in prop_oneof![
            Just(json!(null)), Just(json!(true)), any::<i64>().prop_map(|n| json!(n)),
            "\\PC{0,12}".prop_map(|text| json!(text)), "RS256|ES256|EdDSA|HS256|none|k".prop_map(|text| json!(text)),
            Just(json!([{"kty": "OKP"}])), Just(json!({"k": []})),
        ],
    ) {
        let (own, foreign) = (SigningPair::ed(), SigningPair::ed());
        let mut header = json!({"alg": "EdDSA", "kid": "k"});
        header[name] = value;
        let keys = set(&[own.public("k"), SigningPair::rsa().public("r")]);
        prop_assert!(read(&foreign.token(&header.to_string(), &user().to_string()), &keys).is_err());
        // If the token is accepted, its claims are the signed ones.
        if let Ok(verified) = read(&own.token(&header.to_string(), &user().to_string()), &keys) {
            prop_assert_eq!(verified.subject, "AAAA-bbb");
        }
    }

    #[test]
    fn any_key_in_a_set_is_read_or_skipped(
        kty in "RSA|EC|OKP|oct|\\PC{0,3}", crv in "P-256|Ed25519|", length in 0usize..600, byte in any::<u8>(),
    ) {
        let part = base64(vec![byte; length]);
        let key = json!({"kty": kty, "crv": crv, "kid": "k", "n": part, "e": base64([byte]), "x": part, "y": part, "k": part});
        let keys = set(&[key]);
        for pair in [SigningPair::rsa(), SigningPair::es(), SigningPair::ed()] {
            prop_assert!(read(&pair.issue("k", &user()), &keys).is_err());
        }
    }
}

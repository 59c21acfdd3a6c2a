mod hostile;
mod issuer;
mod lasting;

use serde_json::{Value, json};

use crate::oidc::tests::issuer::{SigningPair, base64};
use crate::oidc::token::UnverifiedToken;
use crate::oidc::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as URL_SAFE;

const ISSUER: &str = "https://login.example.org/tenant/v2.0";
const NOW: i64 = 1_700_000_000;

/// The claims of a user's token, as Entra writes them.
fn user() -> Value {
    json!({
        "iss": ISSUER, "aud": "api://contactd", "sub": "AAAA-bbb", "oid": "0000-1", "azp": "client",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 3_600, "scp": "Contacts.Read Contacts.ReadWrite",
        "roles": ["Reader"], "name": "Ann Lee", "preferred_username": "ann@example.org",
    })
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut claims = user();
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    claims
}

fn without(names: &[&str]) -> Value {
    let mut claims = user();
    for name in names {
        claims.as_object_mut().unwrap().remove(*name);
    }
    claims
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

/// The claims of a token, verified with these keys.
fn read(text: &str, keys: &KeySet) -> Result<Verified, &'static str> {
    trusting(None, text, keys)
}

/// The same with a trusted name claim.
fn trusting(name_claim: Option<&str>, text: &str, keys: &KeySet) -> Result<Verified, &'static str> {
    let token = UnverifiedToken::read(text)?;
    let audiences = ["other".to_owned(), "api://contactd".to_owned()];
    let verified = token.claims(&Expected { issuer: ISSUER, audiences: &audiences, name_claim }, NOW)?;
    keys.signer(&token).ok_or("no key signed it")?;
    Ok(verified)
}

#[test]
fn tokens_of_three_algorithms_are_read() {
    for pair in [SigningPair::rsa(), SigningPair::es(), SigningPair::ed()] {
        let keys = set(&[SigningPair::es().public("other"), pair.public("k1"), SigningPair::ed().public("another")]);
        let verified = read(&pair.issue("k1", &user()), &keys).unwrap();
        let expected = Verified {
            issuer: ISSUER.into(),
            subject: "AAAA-bbb".into(),
            scopes: vec!["Contacts.Read".into(), "Contacts.ReadWrite".into()],
            is_application: false,
            display_name: Some("Ann Lee".into()),
            claimed_name: Some("ann@example.org".into()),
            trusted: None,
            issued: NOW - 10,
            expires: NOW + 3_600,
        };
        assert_eq!(verified, expected, "{}", pair.algorithm());
    }
}

#[test]
fn applications_and_users_are_distinguished() {
    let pair = SigningPair::ed();
    let keys = set(&[pair.public("k")]);
    let roles = json!(["Contacts.Read"]);
    let no = Value::Null;
    // The values of `idtyp`, `scp`, `scope`, `roles` and `sub`; whether it is an application, and its scopes.
    let cases = [
        ([json!("app"), no.clone(), no.clone(), roles.clone(), json!("x")], true, vec!["Contacts.Read"]),
        ([json!("app"), no.clone(), no.clone(), no.clone(), json!("x")], true, vec![]),
        ([json!("user"), no.clone(), no.clone(), roles.clone(), json!("client")], false, vec![]),
        // Entra without the optional claim: the subject is the object's own id.
        ([no.clone(), no.clone(), no.clone(), roles.clone(), json!("0000-1")], true, vec!["Contacts.Read"]),
        // RFC 9068: it is the client's id.
        ([no.clone(), no.clone(), no.clone(), roles.clone(), json!("client")], true, vec!["Contacts.Read"]),
        // A user's identity token has roles and no scopes. It must not open all mailboxes.
        ([no.clone(), no.clone(), no.clone(), roles.clone(), json!("x")], false, vec![]),
        ([no.clone(), json!("a b"), no.clone(), roles.clone(), json!("client")], false, vec!["a", "b"]),
        ([no.clone(), no.clone(), json!(" a  b "), no.clone(), json!("client")], false, vec!["a", "b"]),
        ([no.clone(), json!(["a"]), json!("b"), no.clone(), json!("x")], false, vec!["a", "b"]),
        ([no.clone(), no.clone(), no.clone(), no.clone(), json!("client")], false, vec![]),
    ];
    for ([idtyp, scp, scope, roles, sub], is_application, scopes) in cases {
        let mut claims = without(&["scp", "roles", "preferred_username"]);
        for (name, value) in [("idtyp", idtyp), ("scp", scp), ("scope", scope), ("roles", roles), ("sub", sub)] {
            if !value.is_null() {
                claims[name] = value;
            }
        }
        let verified = read(&pair.issue("k", &claims), &keys).unwrap();
        assert_eq!(verified.is_application, is_application, "{claims}");
        assert_eq!(verified.scopes, scopes, "{claims}");
    }
}

#[test]
fn a_delegated_or_personal_token_is_not_an_applications() {
    let pair = SigningPair::ed();
    let keys = set(&[pair.public("k")]);
    let mut application_claims = without(&["scp", "preferred_username"]);
    application_claims["sub"] = application_claims["oid"].clone();
    assert!(read(&pair.issue("k", &application_claims), &keys).unwrap().is_application);
    for (name, value) in [
        ("scp", json!("")),
        ("scp", json!(" ")),
        ("scp", json!([])),
        ("scope", json!("")),
        ("roles", json!([])),
        ("preferred_username", json!("ann@example.org")),
        ("upn", json!("ann@example.org")),
        ("unique_name", json!("ann@example.org")),
        ("email", json!("")),
        ("given_name", json!("Ann")),
        ("family_name", json!("Lee")),
        ("idtyp", json!("user")),
        ("idtyp", json!("")),
        ("idtyp", json!("App")),
    ] {
        let mut claims = application_claims.clone();
        claims[name] = value;
        let verified = read(&pair.issue("k", &claims), &keys).unwrap();
        assert_eq!((verified.is_application, verified.scopes), (false, vec![]), "{claims}");
    }
    for (name, value) in [("scp", json!(null)), ("roles", json!(null)), ("idtyp", json!(null))] {
        let mut claims = application_claims.clone();
        claims[name] = value;
        assert!(read(&pair.issue("k", &claims), &keys).is_err(), "{claims}");
    }
    // Contradictory claims.
    for scp in ["", "Contacts.Read"] {
        let mut claims = application_claims.clone();
        claims["idtyp"] = json!("app");
        claims["scp"] = json!(scp);
        assert_eq!(read(&pair.issue("k", &claims), &keys), Err("it claims to be both of an application and delegated"));
    }
}

#[test]
fn a_token_is_valid_within_its_times_with_a_minute_of_tolerance() {
    let pair = SigningPair::ed();
    let keys = set(&[pair.public("k")]);
    for (name, value, is_valid) in [
        ("exp", json!(NOW - 59), true),
        ("exp", json!(NOW - 60), false),
        ("exp", json!(1_699_999_941.5), true),
        ("nbf", json!(NOW + 60), true),
        ("nbf", json!(NOW + 61), false),
        ("iat", json!(NOW + 60), true),
        ("iat", json!(NOW + 61), false),
        ("exp", json!((NOW + 60).to_string()), false),
        ("exp", json!(null), false),
        ("exp", json!(1e300), false),
        ("exp", json!(-1), false),
        ("nbf", json!("0"), false),
        ("nbf", json!(null), false),
        ("iat", json!([NOW]), false),
    ] {
        let claims = with(&[(name, value)]);
        assert_eq!(read(&pair.issue("k", &claims), &keys).is_ok(), is_valid, "{claims}");
    }
    assert!(read(&pair.issue("k", &without(&["nbf", "iat"])), &keys).is_ok());
    assert_eq!(read(&pair.issue("k", &without(&["exp"])), &keys), Err("it has no expiration time"));
}

#[test]
fn a_token_needs_this_issuer_this_audience_and_a_subject() {
    let pair = SigningPair::ed();
    let keys = set(&[pair.public("k")]);
    for (name, value, is_valid) in [
        ("iss", json!(format!("{ISSUER}/")), false),
        ("iss", json!(ISSUER.to_uppercase()), false),
        ("iss", json!([ISSUER]), false),
        ("iss", json!(null), false),
        ("aud", json!(["x", "other"]), true),
        ("aud", json!(["x", "y"]), false),
        ("aud", json!([]), false),
        ("aud", json!("API://contactd"), false),
        ("aud", json!("api://contactd other"), false),
        ("aud", json!({"api://contactd": 1}), false),
        ("aud", json!(["api://contactd", 1]), false),
        ("sub", json!(""), false),
        ("sub", json!(1), false),
        ("sub", json!("a\nb"), false),
        ("sub", json!("é".repeat(255)), true),
        ("sub", json!("e".repeat(256)), false),
        ("scp", json!(1), false),
        ("scp", json!([1]), false),
        ("roles", json!({"a": 1}), false),
        ("idtyp", json!(true), false),
        // The bearer would have to prove possession of a key, which is not supported.
        ("cnf", json!({"jkt": "x"}), false),
        // Used for display only, so a wrong type is ignored.
        ("name", json!(["x"]), true),
        ("preferred_username", json!(1), true),
    ] {
        let claims = with(&[(name, value)]);
        assert_eq!(read(&pair.issue("k", &claims), &keys).is_ok(), is_valid, "{claims}");
    }
    for name in ["iss", "aud", "sub"] {
        assert!(read(&pair.issue("k", &without(&[name])), &keys).is_err(), "{name}");
    }
}

#[test]
fn a_name_is_shown_as_the_issuer_has_it() {
    let pair = SigningPair::ed();
    let keys = set(&[pair.public("k")]);
    let mut claims = without(&["name", "preferred_username"]);
    let name = |claims: &Value| read(&pair.issue("k", claims), &keys).unwrap().claimed_name;
    assert_eq!(name(&claims), None);
    claims["email"] = json!("mail");
    assert_eq!(name(&claims).as_deref(), Some("mail"));
    claims["upn"] = json!("upn");
    assert_eq!(name(&claims).as_deref(), Some("upn"));
    for invalid in [json!(" "), json!("a\u{7}"), json!("x".repeat(256)), json!({})] {
        claims["preferred_username"] = invalid;
        assert_eq!(name(&claims).as_deref(), Some("upn"));
    }
    claims["preferred_username"] = json!(" ann ");
    assert_eq!(name(&claims).as_deref(), Some("ann"));
}

#[test]
fn only_the_configured_claim_is_trusted_and_addresses_only_if_verified() {
    let pair = SigningPair::ed();
    let keys = set(&[pair.public("k")]);
    let name = |claim: &str, claims: &Value| {
        let trusted = trusting(Some(claim), &pair.issue("k", claims), &keys).unwrap().trusted;
        trusted.map(|trusted| (trusted.claim, trusted.name))
    };
    let trusted = |claim: &str, name: &str| Some((claim.to_owned(), name.to_owned()));
    let claims = with(&[("upn", json!(" boss@corp.example ")), ("email", json!("boss@corp.example"))]);
    assert_eq!(name("upn", &claims), trusted("upn", "boss@corp.example"));
    assert_eq!(name("preferred_username", &claims), trusted("preferred_username", "ann@example.org"));
    assert_eq!(name("UPN", &claims), None);
    for invalid in [json!(1), json!(["x"]), json!(""), json!("a\nb"), json!("a\u{202e}b")] {
        assert_eq!(name("upn", &with(&[("upn", invalid)])), None);
    }
    for (verified, is_trusted) in
        [(json!(true), true), (json!(false), false), (json!("true"), false), (json!(1), false), (Value::Null, false)]
    {
        let mut claims = with(&[("email", json!("boss@corp.example")), ("mail", json!("boss@corp.example"))]);
        if !verified.is_null() {
            claims["email_verified"] = verified;
        }
        for claim in ["email", "mail"] {
            assert_eq!(name(claim, &claims), trusted(claim, "boss@corp.example").filter(|_| is_trusted), "{claims}");
        }
        assert_eq!(name("preferred_username", &claims), trusted("preferred_username", "ann@example.org"));
    }
}

#[test]
fn keys_of_another_use_or_algorithm_are_not_used() {
    let (rsa, es, ed) = (SigningPair::rsa(), SigningPair::es(), SigningPair::ed());
    let changed = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    let short = base64([1; 31]);
    for (pair, key) in [
        (&rsa, changed(rsa.public("k"), "use", json!("enc"))),
        (&rsa, changed(rsa.public("k"), "alg", json!("RS512"))),
        (&rsa, changed(rsa.public("k"), "alg", json!("PS256"))),
        (&rsa, changed(rsa.public("k"), "alg", json!(1))),
        (&rsa, changed(rsa.public("k"), "key_ops", json!(["encrypt"]))),
        (&rsa, changed(rsa.public("k"), "key_ops", json!("verify"))),
        (&rsa, changed(rsa.public("k"), "n", json!(base64([255; 128])))),
        (&rsa, changed(rsa.public("k"), "n", json!("?"))),
        (&rsa, changed(rsa.public("k"), "e", json!(base64([1])))),
        (&rsa, changed(rsa.public("k"), "d", json!("AQ"))),
        (&rsa, changed(rsa.public("k"), "kty", json!("oct"))),
        (&rsa, changed(rsa.public("k"), "kid", json!("other"))),
        (&es, changed(es.public("k"), "crv", json!("P-384"))),
        (&es, changed(es.public("k"), "x", json!(short))),
        (&es, changed(es.public("k"), "x", json!(base64([7; 32])))),
        (&ed, changed(ed.public("k"), "crv", json!("X25519"))),
        // Short ones make some libraries panic.
        (&ed, changed(ed.public("k"), "x", json!(short))),
        (&ed, changed(ed.public("k"), "x", json!(""))),
        (&ed, json!("k")),
        (&ed, json!({"kid": "k"})),
    ] {
        assert_eq!(read(&pair.issue("k", &user()), &set(std::slice::from_ref(&key))), Err("no key signed it"), "{key}");
    }
    let zero = base64([&[0][..], &URL_SAFE.decode(rsa.public("k")["n"].as_str().unwrap()).unwrap()].concat());
    for (pair, key) in [
        (&rsa, changed(rsa.public("k"), "n", json!(zero))),
        (&rsa, changed(rsa.public("k"), "alg", json!("RS256"))),
        (&rsa, changed(rsa.public("k"), "key_ops", json!(["verify"]))),
        (&ed, changed(ed.public("k"), "alg", json!("Ed25519"))),
    ] {
        assert!(read(&pair.issue("k", &user()), &set(std::slice::from_ref(&key))).is_ok(), "{key}");
    }
}

#[test]
fn without_a_key_id_the_only_key_of_the_algorithm_is_used() {
    let (one, two, rsa) = (SigningPair::ed(), SigningPair::ed(), SigningPair::rsa());
    let token = one.token(r#"{"alg":"EdDSA"}"#, &user().to_string());
    assert!(read(&token, &set(&[rsa.public("r"), one.public("k")])).is_ok());
    assert!(read(&token, &set(&[one.public("k"), two.public("l")])).is_err());
    assert!(read(&token, &set(&[])).is_err());
    // Two keys with the same id: the one that signed the token is used.
    assert!(read(&one.issue("k", &user()), &set(&[two.public("k"), rsa.public("k"), one.public("k")])).is_ok());
}

#[test]
fn an_invalid_key_set_is_reported() {
    let many = json!({"keys": vec![json!({}); 101]}).to_string();
    for (bytes, why) in [
        ("", "its key set: EOF"),
        ("[]", "its key set"),
        ("{}", "missing field `keys`"),
        (r#"{"keys": 1}"#, "its key set: invalid type"),
        (&many, "more than 100 keys"),
    ] {
        assert!(KeySet::read(bytes.as_bytes()).unwrap_err().contains(why), "{bytes}");
    }
}

#[test]
fn an_issuer_is_by_https_or_on_this_machine() {
    let new = |issuer: &str, audiences: &[&str]| {
        let audiences = audiences.iter().map(|text| (*text).to_owned()).collect();
        Provider::new(OidcSettings { issuer: issuer.to_owned(), audiences, ..OidcSettings::default() }).map(drop)
    };
    for issuer in [ISSUER, "https://a.example", "http://localhost:3000", "http://127.0.0.2/x/", "http://[::1]:80/"] {
        assert_eq!(new(issuer, &["a"]), Ok(()), "{issuer}");
    }
    for issuer in [
        "",
        "a.example",
        "http://a.example",
        "http://10.0.0.1",
        "http://localhost.a.example",
        "ftp://a.example",
        "https://a.example/?tenant=x",
        "https://a.example/#x",
        "https://u@a.example/",
    ] {
        assert!(new(issuer, &["a"]).unwrap_err().starts_with("--oidc-issuer names "), "{issuer}");
    }
    assert!(new(ISSUER, &[]).unwrap_err().contains("--oidc-audience"));
    assert!(new(ISSUER, &[""]).unwrap_err().contains("--oidc-audience"));
    let settings = OidcSettings { issuer: ISSUER.into(), audiences: vec!["a".into()], ..OidcSettings::default() };
    let opened = Provider::new(OidcSettings { ca_file: Some("/nowhere".into()), ..settings });
    assert!(opened.unwrap_err().starts_with("--ca-file /nowhere: "));
}

//! Every parser of client input, on generated and damaged input, compared with an invariant or another
//! parser. The numbers of cases are fixed; the parsers' own modules have more such tests. Requests over
//! a socket go to one server, which must neither fail nor stop.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use contactd::domain::handling::Handling;
use contactd::domain::photo::{MAX_PIXELS, MAX_SIDE, Picture};
use contactd::http::authenticate::Access;
use contactd::http::conditional;
use contactd::json::Json;
use contactd::odata::address::Address;
use contactd::odata::filter::{Aliases, Model, filter, order};
use contactd::odata::prefer::Prefer;
use contactd::odata::query::Query;
use contactd::odata::search;
use contactd::percent::percent_encode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use crate::app::{SEED_REQUEST, Setup, TestApp};
use crate::both::pictures;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() }
}

/// Damage to a text or a picture: bytes changed, inserted, removed or doubled, or the end cut off.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let change = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), select(b"\"'\\{}[](),:;%&=/$@ \t\r\n\0\xff0e-+.".to_vec()))
            .prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), 1_usize..20).prop_map(|(at, count)| Damage::Remove(at, count)),
        (any::<Index>(), 1_usize..40).prop_map(|(at, count)| Damage::Repeat(at, count)),
        any::<Index>().prop_map(Damage::Cut),
    ];
    vec(change, 1..6)
}

fn damaged(bytes: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damage {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Damage::Repeat(at, count) => {
                let at = at.index(bytes.len());
                let again = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, again);
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes
}

fn damaged_text(text: &str, damage: &[Damage]) -> String {
    String::from_utf8_lossy(&damaged(text.as_bytes(), damage)).into_owned()
}

// Paths.

const PATHS: [&str; 13] = [
    "/me",
    "/users/ann@example.org/contacts/$ref",
    "/me/contacts/01a209e8-4e17-741e-824e-693ba24680db/photo/$value",
    "/beta/me/contactFolders/a/childFolders/b/contacts/delta",
    "/v1.0/users/x/outlook/masterCategories/$count",
    "/me/deletedContacts/1/restore",
    "/subscriptions/1/deliveries",
    "/$batch",
    "/$metadata",
    "/openapi.json",
    "/me/contactFolders/a/permanentDelete",
    "/users/$count",
    "/me/translateExchangeIds",
];

/// An equivalent spelling of a path: words in another case, any byte escaped, slashes doubled.
fn respelled(path: &str, turns: &[bool]) -> String {
    let mut turns = turns.iter().copied().cycle();
    let mut turn = || turns.next().unwrap_or_default();
    let words = ["me", "users", "contacts", "beta", "v1.0", "contactFolders", "childFolders", "photo", "outlook"];
    let mut spelled = String::new();
    for segment in path.split('/').skip(1) {
        spelled.push_str(if turn() { "//" } else { "/" });
        let upper = words.contains(&segment) && turn();
        for byte in if upper { segment.to_uppercase() } else { segment.to_owned() }.bytes() {
            if turn() {
                write!(spelled, "%{byte:02x}").unwrap();
            } else {
                spelled.push(char::from(byte));
            }
        }
    }
    spelled
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn equivalent_spellings_of_a_path_are_parsed_alike(path in select(PATHS.to_vec()), turns in vec(any::<bool>(), 1..80)) {
        let spelled = respelled(path, &turns);
        prop_assert_eq!(Address::parse(&spelled).unwrap(), Address::parse(path).unwrap(), "{}", spelled);
    }

    #[test]
    fn a_damaged_path_is_parsed_or_refused(path in select(PATHS.to_vec()), turns in vec(any::<bool>(), 1..9), damage in damage()) {
        let damaged = damaged_text(&respelled(path, &turns), &damage);
        let slashes = format!("{}//", damaged.replace('/', "///"));
        prop_assert_eq!(Address::parse(&damaged).ok(), Address::parse(&slashes).ok());
    }
}

// JSON, compared with serde_json's own tree.

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec(("[aA\\PC]{0,3}", inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A value in a form that both parsers share: numbers as in serde_json, members without order.
#[derive(Debug, PartialEq)]
enum Seen {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Seen>),
    Object(BTreeMap<String, Seen>),
}

fn of_json(json: Json) -> Seen {
    match json {
        Json::Null => Seen::Null,
        Json::Bool(value) => Seen::Bool(value),
        Json::Number(text) => Seen::Number(serde_json::from_str::<Value>(&text).unwrap().to_string()),
        Json::Text(text) => Seen::Text(text),
        Json::Array(values) => Seen::Array(values.into_iter().map(of_json).collect()),
        Json::Object(members) => {
            Seen::Object(members.into_iter().map(|(name, value)| (name, of_json(value))).collect())
        }
    }
}

fn of_value(value: Value) -> Seen {
    match value {
        Value::Null => Seen::Null,
        Value::Bool(value) => Seen::Bool(value),
        Value::Number(number) => Seen::Number(number.to_string()),
        Value::String(text) => Seen::Text(text),
        Value::Array(values) => Seen::Array(values.into_iter().map(of_value).collect()),
        Value::Object(members) => {
            Seen::Object(members.into_iter().map(|(name, value)| (name, of_value(value))).collect())
        }
    }
}

/// Both parsers accept the same JSON, except what ours refuses on purpose.
fn assert_read_alike(bytes: &[u8]) -> Result<(), TestCaseError> {
    match (Json::read(bytes), serde_json::from_slice::<Value>(bytes)) {
        (Ok(ours), Ok(theirs)) => prop_assert_eq!(of_json(ours), of_value(theirs)),
        // Our parser keeps numbers that do not fit into 64 bits.
        (Ok(ours), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{:?}: {}", ours, error),
        (Err(why), Ok(_)) => {
            let is_intended =
                ["is repeated", "NUL", "more than 50000 values"].iter().any(|reason| why.contains(reason));
            prop_assert!(is_intended, "{}", why);
        }
        (Err(why), Err(_)) => prop_assert!(!why.is_empty()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn valid_json_is_parsed_as_by_serde_json(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        assert_read_alike(&text.unwrap())?;
    }

    #[test]
    fn what_is_hardly_json_is_refused_where_serde_json_refuses_it(value in json(), damage in damage()) {
        assert_read_alike(&damaged(&serde_json::to_vec(&value).unwrap(), &damage))?;
    }

    #[test]
    fn the_damaged_example_is_refused_at_the_position_where_serde_json_refuses_it(damage in damage()) {
        assert_read_alike(&damaged(SEED_REQUEST.as_bytes(), &damage))?;
    }
}

// Query strings, filters, searches.

const FILTERS: [&str; 8] = [
    "surname eq 'O''Neil' and not (givenName ne null)",
    "emailAddresses/any(e:e/address eq 'x@y' or startswith(e/name,'A'))",
    "emailAddresses/all(a:phones/any(p:contains(a/address,p/number)))",
    "birthday ge 1974-01-01T00:00:00+02:00 and year(birthday) lt 2000",
    "length(concat(trim(surname),'x')) add 1 mul 2 sub -3 div 4 mod 5 gt -1",
    "surname in ('A','B',null) or categories/any(c:c eq 'VIP')",
    "flag/flagStatus eq 'flagged' and imAddresses/$count gt 1",
    "((((id eq '01a209e8-4e17-741e-824e-693ba24680db'))))",
];

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn a_damaged_filter_is_read_or_refused_in_the_filters_name(text in select(FILTERS.to_vec()), damage in damage()) {
        let text = damaged_text(text, &damage);
        for (model, handling) in [(Model::Beta, Handling::Lenient), (Model::V1, Handling::Strict)] {
            if let Err(error) = filter(&text, &Aliases::default(), model, handling) {
                let contactd::domain::error::Error::Invalid(problems) = error else { panic!("{text}: {error}") };
                prop_assert!(problems.iter().all(|problem| problem.target == "$filter"), "{:?}", problems);
            }
            let _ = order(&text, &Aliases::default(), model, handling);
        }
        let _ = search::parse(&text);
    }

    #[test]
    fn a_next_link_repeats_the_options_of_its_query(
        text in select(FILTERS.to_vec()), top in 1_i64..2_000, extra in "[a-zé{}\"]{0,5}", damage in vec(damage(), 0..2),
    ) {
        let query = format!(
            "$filter={}&%24top={top}&$skip=3&$count=true&@p='{extra}'&mine={extra}&$orderby=surname+desc",
            percent_encode(text)
        );
        let text = damage.first().map_or(query.clone(), |damage| damaged_text(&query, damage));
        if let Ok(asked) = Query::parse(&text) {
            let link = asked.with_token("token");
            let next = Query::parse(&link);
            prop_assert!(next.is_ok(), "{}: {:?}", link, next);
            let next = next.unwrap();
            prop_assert_eq!((next.skip, next.skip_token.as_deref()), (None, Some("token")));
            prop_assert_eq!(
                (&next.filter, &next.order_by, next.top, next.count, &next.aliases, &next.search),
                (&asked.filter, &asked.order_by, asked.top, asked.count, &asked.aliases, &asked.search)
            );
            prop_assert!(link.is_ascii());
        } else {
            prop_assert!(!damage.is_empty(), "{}", query);
        }
    }
}

// Headers.

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn known_preferences_are_found_among_unknown_ones(
        noise in vec("[a-z]{1,5}(=[a-z0-9]{0,4}|=\"[a-z, ;=]{0,9}\")?(; ?[a-z]{1,3}=[a-z]{0,3})?", 0..5),
        strict in any::<bool>(), minimal in any::<bool>(), size in 1_i64..100_000, at in any::<Index>(),
    ) {
        let preferences = [
            if strict { "HANDLING=strict" } else { "handling=\"lenient\"" },
            if minimal { "Return=minimal;x=y" } else { "return = representation" },
            &format!("odata.maxpagesize={size}"),
        ];
        let mut preference_list: Vec<&str> = noise.iter().map(String::as_str).collect();
        let at = at.index(preference_list.len() + 1);
        preference_list.splice(at..at, preferences);
        let read = Prefer::parse(&preference_list.join(" , "));
        prop_assert_eq!(read.handling, Some(if strict { Handling::Strict } else { Handling::Lenient }));
        prop_assert_eq!((read.minimal, read.max_page_size), (Some(minimal), Some(size)));
    }

    #[test]
    fn damaged_preferences_are_ignored(damage in damage()) {
        let header = "handling=strict, return=minimal; x=\"a,b\", odata.maxpagesize=50, IdType=\"ImmutableId\"";
        Prefer::parse(&damaged_text(header, &damage));
    }

    #[test]
    fn an_etag_matches_exactly_the_lists_that_contain_it(
        tags in vec("[!#-+\\--~]{0,12}", 1..6), weak in vec(any::<bool>(), 6), commas in vec(select(vec![",", " ,, ", ",\t"]), 6),
        other in "[!#-+\\--~]{0,12}",
    ) {
        let mut list = String::new();
        for ((tag, weak), comma) in tags.iter().zip(&weak).zip(&commas) {
            write!(list, "{}\"{tag}\"{comma}", if *weak { "W/" } else { "" }).unwrap();
        }
        let expected = conditional::parse(Some(&list), None).unwrap();
        for tag in &tags {
            prop_assert!(expected.check(tag).is_ok(), "{} in {}", tag, list);
        }
        prop_assert_eq!(expected.check(&other).is_ok(), tags.contains(&other), "{} in {}", other, list);
        let known = conditional::parse(None, Some(&list)).unwrap();
        prop_assert_eq!(known.unchanged(&other), tags.contains(&other));
    }
}

// Pictures.

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn a_damaged_picture_is_refused_or_has_a_size_within_the_limits(
        picture in select(pictures::WHOLE.to_vec()), damage in damage(),
    ) {
        let bytes = damaged(picture, &damage);
        if let Ok(Picture { width, height, .. }) = Picture::recognize(&bytes) {
            prop_assert!((1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height));
            prop_assert!(u64::from(width) * u64::from(height) <= MAX_PIXELS);
        }
    }
}

// Tokens.

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn errors_in_a_list_of_tokens_reveal_no_token(
        names in vec("(app:)?[a-z]{1,8}", 1..6), secrets in vec("[A-Z0-9]{12,20}", 6), damage in vec(damage(), 0..2),
    ) {
        let entries: Vec<_> = names.iter().zip(&secrets).map(|(name, secret)| format!("{name}={secret}")).collect();
        let token_list = entries.join("\n");
        let text = damage.first().map_or(token_list.clone(), |damage| damaged_text(&token_list, damage));
        match Access::tokens(&text) {
            Ok(access) => prop_assert_eq!(format!("{access:?}"), "Access"),
            Err(why) => {
                prop_assert!(!damage.is_empty(), "{}: {}", token_list, why);
                // Not even a part of a secret.
                let is_revealed = |secret: &String| secret.as_bytes().windows(8).any(|part| why.as_bytes().windows(8).any(|w| w == part));
                prop_assert!(!secrets.iter().any(is_revealed), "{}", why);
            }
        }
    }
}

/// The server that all heads are sent to.
static SERVER: LazyLock<TestApp> = LazyLock::new(|| {
    let access = Access::tokens("ann=secret-of-ann\napp:sync=secret-of-sync").unwrap();
    TestApp::with(Setup { access: Some(access), ..Setup::default() })
});

/// Sends bytes on a new connection, and returns the whole answer.
fn raw(bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(&SERVER.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The status of the first answer, if anything was answered.
fn status(answer: &[u8]) -> Option<u16> {
    // With `Expect: 100-continue` an interim answer comes first.
    let answer = answer.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(answer);
    let text = String::from_utf8_lossy(answer.get(..12)?).into_owned();
    // A damaged head may use HTTP/1.0, and is answered in it.
    assert!(text.starts_with("HTTP/1.1 ") || text.starts_with("HTTP/1.0 "), "{text}");
    text[9..].parse().ok()
}

/// A header value that HTTP allows. The HTTP layer refuses all others.
fn legal(value: Vec<u8>) -> Vec<u8> {
    value.into_iter().filter(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f).collect()
}

/// Whether an Authorization header is ann's, parsed by the specification and independently of the server.
fn opens(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    if !text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return false;
    }
    let text = text.trim();
    let Some(at) = text.find(' ') else { return false };
    text[..at].eq_ignore_ascii_case("bearer") && text[at..].trim() == "secret-of-ann"
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_damaged_token_opens_nothing(
        scheme in select(vec!["Bearer", "bearer", "BEARER", "Basic", "Bearer\t", ""]),
        blanks in select(vec![" ", "  ", "\t", ""]), damage in vec(damage(), 0..2),
    ) {
        let whole = format!("{scheme}{blanks}secret-of-ann");
        let value = damage.first().map_or(whole.clone().into_bytes(), |damage| damaged(whole.as_bytes(), damage));
        let value = legal(value);
        let head = b"GET /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: ";
        let answer = raw(&[head, value.as_slice(), b"\r\n\r\n"].concat());
        let expected = if opens(&value) { 200 } else { 401 };
        prop_assert_eq!(status(&answer), Some(expected), "{:?}", String::from_utf8_lossy(&value));
    }

    #[test]
    fn whatever_head_is_sent_is_answered_and_never_by_a_failure(
        method in select(vec!["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "get", "X"]),
        path in select(PATHS.to_vec()), turns in vec(any::<bool>(), 1..9),
        query in select(vec!["", "?$filter=surname%20eq%20'x'", "?$search=\"a b\"&$top=5", "?$expand=contacts($top=1)", "?$skiptoken=AAAA", "?$deltatoken=x"]),
        header in select(vec![
            "Prefer: handling=strict, odata.maxpagesize=5", "If-Match: W/\"AAZg9rNxCXcAAAAAAAAAAw==\", \"x\"", "If-None-Match: *",
            "Range: bytes=0-10,20-30,-5", "If-Range: \"x\"", "Accept: application/json;odata.metadata=none, */*;q=0.1",
            "Content-Type: application/json; charset=utf-8", "Content-Encoding: gzip", "Idempotency-Key: 5f", "Contactd-Position: 7",
            "client-request-id: 0", "Expect: 100-continue", "Transfer-Encoding: chunked", "Content-Length: 2", "X-Forwarded-For: 10.0.0.1",
        ]),
        body in select(vec!["", "{}", "2\r\n{}\r\n0\r\n\r\n", "{\"requests\":[]}"]),
        damage in vec(damage(), 0..2),
    ) {
        let target = format!("{}{query}", respelled(path, &turns));
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret-of-ann\r\n{header}\r\nConnection: close\r\n\r\n{body}"
        );
        let bytes = damage.first().map_or(head.clone().into_bytes(), |damage| damaged(head.as_bytes(), damage));
        let answer = raw(&bytes);
        if let Some(status) = status(&answer) {
            prop_assert!((200..500).contains(&status) || status == 501, "{}", String::from_utf8_lossy(&answer));
        }
        // The server still serves others.
        let answer = raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        prop_assert_eq!(status(&answer), Some(200));
    }
}

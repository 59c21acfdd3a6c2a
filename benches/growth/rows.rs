//! The inputs: one row for each parser, and for each way to make it expensive.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::SECRET;
use super::issuer::{AUDIENCE, ISSUER};

/// A request for each size.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The largest size: the limit, or a little more if the parser reads a larger input before it refuses it.
    pub(crate) most: usize,
    pub(crate) of: Box<dyn Fn(usize) -> Vec<u8>>,
}

fn row(name: &'static str, most: usize, of: impl Fn(usize) -> Vec<u8> + 'static) -> Row {
    Row { name, most, of: Box::new(of) }
}

fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn own(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    request(line, &format!("Authorization: Bearer {SECRET}\r\n{headers}"), body)
}

/// A list with these options, as they would be typed.
fn list(path: &str, options: &str) -> Vec<u8> {
    let encoded = options.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'$'
            | b'&'
            | b'='
            | b'@'
            | b'\''
            | b'('
            | b')'
            | b','
            | b'/'
            | b':'
            | b';'
            | b'-'
            | b'.'
            | b'*' => text.push(byte.into()),
            _ => write!(text, "%{byte:02X}").unwrap(),
        }
        text
    });
    own(&format!("GET {path}?{encoded}"), "", b"")
}

fn contacts(options: &str) -> Vec<u8> {
    list("/v1.0/me/contacts", options)
}

fn with_header(name: &str, value: &str) -> Vec<u8> {
    own("GET /v1.0/me/contacts/$count", &format!("{name}: {value}\r\n"), b"")
}

const JSON: &str = "Content-Type: application/json\r\n";

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    own(&format!("POST {path}"), &format!("{JSON}{headers}"), body.as_bytes())
}

/// A contact with this member, and with a member that is refused, so that nothing is stored.
fn refused(member: &str) -> Vec<u8> {
    post("/v1.0/me/contacts", "", &format!("{{{member},\"surname\":1}}"))
}

fn joined(count: usize, separator: &str, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(separator)
}

/// A token with this claim and a valid signature.
fn signed(name: &str, claim: Value) -> Vec<u8> {
    request("GET /v1.0/me", &format!("Authorization: Bearer {}\r\n", ISSUER.token(name, claim)), b"")
}

fn repeated(text: &str, size: usize) -> String {
    text.repeat(size / text.len())
}

const MANY: usize = 49_900;
/// The bytes that fit into a body beside its other parts.
const BODY: usize = (4 << 20) - (1 << 10);
/// The bytes that fit into an address beside its path.
const QUERY: usize = 61_000;
const FILTER: usize = 8 << 10;
/// Size of one header line; the others are short.
const HEADER: usize = 100 << 10;

pub(crate) fn rows() -> Vec<Row> {
    [
        bodies(),
        other_bodies(),
        batches(),
        packed(),
        queries(),
        filters(),
        deep_filters(),
        expansions(),
        heads(),
        photos(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn bodies() -> Vec<Row> {
    let members = |count| joined(count, ",", |i| format!("\"m{i}\":1"));
    let nested = |open: &'static str| move |size| refused(&format!("\"a\":{}", repeated(open, size)));
    vec![
        row("body: unknown members", MANY, move |n| refused(&members(n))),
        row("body: unknown members, strict", MANY, move |n| {
            post("/v1.0/me/contacts", "Prefer: handling=strict\r\n", &format!("{{{}}}", members(n)))
        }),
        row("body: annotations", MANY, |n| refused(&joined(n, ",", |i| format!("\"m{i}@odata.type\":\"x\"")))),
        row("body: one member again and again", MANY, |n| refused(&joined(n, ",", |_| "\"m\":1".into()))),
        row("body: arrays in arrays", BODY, nested("[")),
        row("body: objects in objects", BODY, nested("{\"a\":")),
        row("body: a long text", BODY, |n| refused(&format!("\"personalNotes\":\"{}\"", repeated("x", n)))),
        row("body: escapes", BODY, |n| refused(&format!("\"personalNotes\":\"{}\"", repeated("\\u00e9", n)))),
        row("body: a long name of a member", BODY, |n| refused(&format!("\"{}\":1", repeated("x", n)))),
        row("body: numbers", MANY, |n| refused(&format!("\"a\":[{}]", joined(n, ",", |i| i.to_string())))),
        row("body: a long number", BODY, |n| refused(&format!("\"a\":{}", repeated("1", n)))),
        row("body: blanks", BODY, |n| refused(&format!("\"a\":{}1", repeated(" ", n)))),
        row("body: entries of a collection", 12_000, |n| {
            refused(&format!("\"emailAddresses\":[{}]", joined(n, ",", |i| format!("{{\"address\":\"a{i}@b.c\"}}"))))
        }),
        row("body: wrong entries of a collection", MANY, |n| {
            refused(&format!("\"emailAddresses\":[{}]", joined(n, ",", |_| "1".into())))
        }),
        row("body: categories", MANY, |n| {
            refused(&format!("\"categories\":[{}]", joined(n, ",", |i| format!("\"c{i}\""))))
        }),
        row("body: extended properties", 16_000, |n| {
            let one = |i| format!("{{\"id\":\"String 0x{:x}\",\"value\":\"x\"}}", 0x4000 + i);
            refused(&format!("\"singleValueExtendedProperties\":[{}]", joined(n, ",", one)))
        }),
        row("body: values of an extended property", MANY - 10, |n| {
            let values = joined(n, ",", |_| "\"x\"".into());
            let one = format!("{{\"id\":\"StringArray 0x4001\",\"value\":[{values}]}}");
            refused(&format!("\"multiValueExtendedProperties\":[{one}]"))
        }),
        row("body: words of notes", 1 << 20, |n| notes(&joined(n / 8, " ", |i| format!("w{i:06}")))),
        row("body: marks of notes", (1 << 20) - 2, |n| notes(&format!("e{}", "\u{301}\u{323}".repeat(n / 2)))),
        row("body: digits of phones", 100, |n| {
            let digits = "1234567890".repeat(400);
            let phones = joined(n, ",", |_| format!("{{\"type\":\"home\",\"number\":\"{digits}\"}}"));
            post("/me/contacts", "", &format!("{{\"phones\":[{phones}]}}"))
        }),
    ]
}

/// A contact that is created, so that its search words are computed.
fn notes(text: &str) -> Vec<u8> {
    post("/v1.0/me/contacts", "Prefer: return=minimal\r\n", &json!({"personalNotes": text}).to_string())
}

fn other_bodies() -> Vec<Row> {
    let to = |path: &'static str, member: &'static str, around: [&'static str; 2]| {
        move |n: usize| {
            post(path, "", &format!("{{\"{member}\":{}{}{},\"id\":1}}", around[0], repeated("x", n), around[1]))
        }
    };
    let text = ["\"", "\""];
    let absent = "/v1.0/me/contacts/0198c0de-0000-7000-8000-000000000000";
    vec![
        row("extension: members", MANY, move |n| {
            let members = joined(n, ",", |i| format!("\"m{i}\":{i}"));
            post(&format!("{absent}/extensions"), "", &format!("{{\"extensionName\":\"a.b\",{members}}}"))
        }),
        row("extension: a long text", BODY, move |n| {
            let long = repeated("\\n", n);
            post(&format!("{absent}/extensions"), "", &format!("{{\"extensionName\":\"a.b\",\"m\":\"{long}\"}}"))
        }),
        row("folder: a long name", BODY, to("/v1.0/me/contactFolders", "displayName", text)),
        row("category: a long name", BODY, to("/v1.0/me/outlook/masterCategories", "displayName", text)),
        row("subscription: a long resource", BODY, to("/v1.0/subscriptions", "resource", text)),
        row("subscription: a long url", BODY, to("/v1.0/subscriptions", "notificationUrl", ["\"https://", "\""])),
        row("share: a long name", BODY, to("/v1.0/me/contactPermissions", "emailAddress", ["{\"address\":\"", "\"}"])),
        row("ids to translate", MANY, |n| {
            let ids = joined(n, ",", |i| format!("\"{i}\""));
            let types = "\"sourceIdType\":\"restId\",\"targetIdType\":\"entryId\"";
            post("/v1.0/me/translateExchangeIds", "", &format!("{{\"inputIds\":[{ids}],{types}}}"))
        }),
    ]
}

fn batch(steps: &[Value]) -> Vec<u8> {
    post("/v1.0/$batch", "", &json!({"requests": steps}).to_string())
}

fn gets(url: &str) -> Vec<u8> {
    batch(&(0..20).map(|id| json!({"id": id.to_string(), "method": "GET", "url": url})).collect::<Vec<_>>())
}

fn batches() -> Vec<Row> {
    let steps = |n: usize| (0..n).map(|id| json!({"id": id.to_string(), "method": "GET", "url": "/me"}));
    vec![
        row("batch: steps", 12_000, move |n| batch(&steps(n).collect::<Vec<_>>())),
        row("batch: ids that are waited for", MANY - 100, move |n| {
            let mut steps = steps(20).collect::<Vec<_>>();
            steps[19]["dependsOn"] = (0..n).map(|i| (i % 19).to_string()).collect();
            batch(&steps)
        }),
        row("batch: headers of a step", 10_000, |n| {
            let headers = (0..n).map(|i| (format!("h{i}"), json!("x"))).collect::<serde_json::Map<_, _>>();
            batch(&[json!({"id": "1", "method": "GET", "url": "/me", "headers": headers})])
        }),
        row("batch: a body of a step", BODY - 1_000, |n| {
            let body = json!({"personalNotes": repeated("x", n), "surname": 1});
            batch(&[json!({"id": "1", "method": "POST", "url": "/me/contacts", "body": body,
                "headers": {"Content-Type": "application/json"}})])
        }),
        row("batch: a long url", BODY, |n| batch(&[json!({"id": "1", "method": "GET", "url": repeated("/x", n)})])),
        row("batch: long urls", 262_000 / 20, |n| gets(&format!("/me?{}", repeated("a&", n - 10)))),
        row("batch: long urls, to encode", 262_000 / 20, |n| gets(&format!("/me?a={}", repeated("é", n - 10)))),
        row("batch: long filters", FILTER, |n| gets(&format!("/me/contacts?$filter={}", either(n)))),
        row("batch: deep filters", 50, |n| gets(&format!("/me/contacts?$filter={}", wide_and_deep(n)))),
        row("batch: filters of lambdas", FILTER, |n| gets(&format!("/me/contacts?$filter={}", lambdas(n)))),
        row("batch: lists of values", FILTER, |n| gets(&format!("/me/contacts?$filter={}", one_of(n)))),
        row("batch: expansions", FILTER, |n| {
            gets(&format!("/me/contactFolders?$expand=contacts($filter={})", either(n - 50)))
        }),
        row("batch: sorts", FILTER, |n| gets(&format!("/me/contacts?$orderby={}", sorts(n)))),
        row("batch: searches", 2_000, |n| gets(&format!("/me/contacts?$search={}", repeated("ab ", n.min(95))))),
    ]
}

fn packed() -> Vec<Row> {
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let send = |body: &[u8]| own("POST /v1.0/me/contacts", &format!("{JSON}Content-Encoding: gzip\r\n"), body);
    vec![
        row("gzip: empty members", 200_000, move |n| send(&gzip(b"").repeat(n))),
        row("gzip: blanks", 4 << 20, move |n| send(&gzip(&vec![b' '; n]))),
        row("gzip: more than is taken", 256 << 20, move |n| send(&gzip(&vec![b' '; n]))),
    ]
}

fn queries() -> Vec<Row> {
    let token = |name: &'static str| move |n: usize| contacts(&format!("{name}={}", repeated("A", n)));
    vec![
        row("query: separators", QUERY, |n| contacts(&repeated("&", n))),
        row("query: options", 100, |n| contacts(&joined(n, "&", |i| format!("o{i}={}", "x".repeat(600))))),
        row("query: too many options", QUERY / 8, |n| contacts(&joined(n, "&", |i| format!("o{i}=x")))),
        row("query: aliases", 100, |n| contacts(&joined(n, "&", |i| format!("@a{i}='x'")))),
        row("query: too many aliases", QUERY / 8, |n| contacts(&joined(n, "&", |i| format!("@{i}=x")))),
        row("query: one alias again and again", QUERY / 8, |n| contacts(&joined(n, "&", |_| "@a=x".into()))),
        row("query: to decode", QUERY, |n| contacts(&format!("a={}", repeated("é", n / 3)))),
        row("$select: names", 6_000, |n| contacts(&format!("$select={}", joined(n, ",", |_| "surname".into())))),
        row("$select: members", 200, |n| {
            contacts(&format!("$select={}", joined(n, ",", |i| format!("homeAddress/{}", ["city", "street"][i % 2]))))
        }),
        row("$select: nothing", QUERY, |n| contacts(&format!("$select={}", repeated(",", n)))),
        row("$search: words", 2_000, |n| contacts(&format!("$search={}", repeated("abc ", n)))),
        row("$search: a long word", 2_000, |n| contacts(&format!("$search={}", repeated("a", n)))),
        row("$search: NOT", 2_000, |n| contacts(&format!("$search={}x", repeated("NOT ", n)))),
        row("$search: parentheses", 2_000, |n| contacts(&format!("$search={}x", repeated("(", n)))),
        row("$search: OR", 32, |n| contacts(&format!("$search={}", joined(n, " OR ", |i| format!("w{i}"))))),
        row("$orderby: long keys", FILTER, |n| contacts(&format!("$orderby={}", sorts(n)))),
        row("$orderby: keys", FILTER, |n| contacts(&format!("$orderby={}", joined(n / 8, ",", |_| "surname".into())))),
        row("$skiptoken", QUERY, token("$skiptoken")),
        row("$deltatoken", QUERY, |n| list("/v1.0/me/contacts/delta", &format!("$deltatoken={}", repeated("A", n)))),
        row("$deltatoken, signed", QUERY, |n| {
            list("/v1.0/me/contacts/delta", &format!("$deltatoken={}.{}", repeated("A", n), "A".repeat(43)))
        }),
        row("$format", QUERY, token("$format")),
    ]
}

/// `surname eq 'a' or …`, of as many parts as fit and are taken.
fn either(size: usize) -> String {
    joined((size / 17).min(330), " or ", |i| format!("title eq '{}'", i % 10))
}

fn one_of(size: usize) -> String {
    format!("title in ({})", joined((size / 4).min(990), ",", |i| format!("'{}'", i % 10)))
}

fn lambdas(size: usize) -> String {
    let one = "emailAddresses/any(a:a/address eq 'x')";
    joined((size / (one.len() + 4)).min(240), " or ", |_| one.into())
}

fn sorts(size: usize) -> String {
    let key = |_| format!("concat(surname,'{}')", "x".repeat((size / 8).saturating_sub(20)));
    joined(8, ",", key)
}

/// As deep as is asked, and as many parts as are taken.
fn wide_and_deep(depth: usize) -> String {
    let level = "concat(";
    let arguments = depth.saturating_sub(3);
    let one = format!("{}surname{}", level.repeat(arguments), ",'x')".repeat(arguments));
    joined(900 / (3 * arguments + 3), " or ", |_| format!("{one} eq 'x'"))
}

fn filters() -> Vec<Row> {
    let filter = |text: fn(usize) -> String| move |n| contacts(&format!("$filter={}", text(n)));
    vec![
        row("$filter: or", FILTER, filter(either)),
        row("$filter: and", FILTER, filter(|n| either(n).replace(" or ", " and "))),
        row("$filter: in", FILTER, filter(one_of)),
        row("$filter: in, of ids", FILTER, filter(|n| format!("id in ({})", joined(n / 4, ",", |_| "'a'".into())))),
        row(
            "$filter: in, by what is long",
            FILTER,
            filter(|n| {
                let values = joined((n / 8).min(450), ",", |_| "'a'".into());
                format!("concat(surname,'{}') in ({values})", "x".repeat(n / 2 - 40))
            }),
        ),
        row(
            "$filter: in, by arithmetic",
            480,
            filter(|n| {
                let values = joined(n, ",", |_| "1".into());
                format!("length(surname) in ({values})")
            }),
        ),
        row("$filter: a long text", FILTER, filter(|n| format!("surname eq '{}'", "x".repeat(n - 20)))),
        row("$filter: quotes", FILTER, filter(|n| format!("surname eq '{}'", "''".repeat(n / 2 - 20)))),
        row("$filter: a long name", FILTER, filter(|n| format!("{} eq 1", "x".repeat(n - 20)))),
        row("$filter: a long number", FILTER, filter(|n| format!("length(surname) eq {}", "1".repeat(n - 30)))),
        row("$filter: blanks", FILTER, filter(|n| format!("surname{}eq 'x'", " ".repeat(n - 20)))),
        row("$filter: lambdas", FILTER, filter(lambdas)),
        row("$filter: a long path", FILTER, filter(|n| format!("{} eq 1", repeated("a/", n - 20) + "a"))),
        row("$filter: a sum", FILTER, filter(|n| format!("length(surname){} eq 1", " add 1".repeat(n / 6 - 10)))),
        row("$filter: unknown names", FILTER, filter(|n| joined(n / 16, " or ", |i| format!("surnam{i} eq '1'")))),
        row("$filter: a long alias", 8_000, |n| {
            let text = joined(8, " or ", |_| "surname eq @a".into());
            contacts(&format!("$filter={text}&@a='{}'", "x".repeat(n)))
        }),
        row("$filter: an alias again and again", 330, |n| {
            let text = joined(n, " or ", |_| "surname eq @a".into());
            contacts(&format!("$filter={text}&@a='{}'", "x".repeat(190)))
        }),
        row("$filter: of folders", FILTER, |n| {
            let text = either(n).replace("title", "displayName");
            list("/v1.0/me/contactFolders", &format!("$filter={text}"))
        }),
    ]
}

fn deep_filters() -> Vec<Row> {
    let filter = |text: fn(usize) -> String| move |n| contacts(&format!("$filter={}", text(n)));
    vec![
        row("$filter: parentheses", FILTER, filter(|n| format!("{}true", "(".repeat(n - 10)))),
        row("$filter: parentheses that are taken", 48, filter(|n| format!("{}true{}", "(".repeat(n), ")".repeat(n)))),
        row("$filter: not", FILTER, filter(|n| format!("{}true", repeated("not ", n - 10)))),
        row("$filter: minus", FILTER, filter(|n| format!("{}1 eq 1", "-".repeat(n - 10)))),
        row(
            "$filter: functions in functions",
            48,
            filter(|n| format!("{}surname{} eq 'x'", "concat('x',".repeat(n), ")".repeat(n))),
        ),
        row("$filter: functions in functions, wide", 50, filter(wide_and_deep)),
        row(
            "$filter: substrings in substrings",
            45,
            filter(|n| {
                let one = |_| format!("{}surname{} eq 'x'", "substring(".repeat(n), ",1)".repeat(n));
                joined(900 / (2 * n + 3), " or ", one)
            }),
        ),
        row(
            "$filter: dates of dates",
            48,
            filter(|n| joined(n * 3, " or ", |_| "year(birthday) eq month(birthday)".into())),
        ),
        row("$filter: equal to equal", 48, filter(|n| format!("{}true{}", "(true eq ".repeat(n), ")".repeat(n)))),
        row(
            "$filter: lambdas in lambdas",
            60,
            filter(|n| {
                let inner = joined(n, " or ", |_| "b/address eq a/address".into());
                format!("emailAddresses/any(a:emailAddresses/any(b:{inner}))")
            }),
        ),
    ]
}

fn expansions() -> Vec<Row> {
    let folders = |text: fn(usize) -> String| move |n| list("/v1.0/me/contactFolders", &format!("$expand={}", text(n)));
    vec![
        row("$expand: a long filter", FILTER, folders(|n| format!("contacts($filter={})", either(n - 100)))),
        row(
            "$expand: two long filters",
            FILTER,
            folders(|n| {
                let filter = either(n / 2 - 100);
                format!("contacts($filter={filter}),childFolders($filter={})", filter.replace("title", "displayName"))
            }),
        ),
        row("$expand: names", FILTER, folders(|n| repeated("contacts,", n) + "x")),
        row("$expand: options", FILTER, folders(|n| format!("contacts({})", repeated("$top=1;", n - 20)))),
        row("$expand: parentheses", FILTER, folders(|n| format!("contacts{}", "(".repeat(n - 20)))),
        row("$expand: quotes", FILTER, folders(|n| format!("contacts($filter={})", "'".repeat(n - 50)))),
        row("$expand: with aliases", 100, |n| {
            let aliases = joined(n, "&", |i| format!("@a{i}='{}'", "x".repeat(70)));
            list("/v1.0/me/contactFolders", &format!("$expand=contacts($top=1),childFolders($top=1)&{aliases}"))
        }),
    ]
}

fn heads() -> Vec<Row> {
    let header = |name: &'static str, one: &'static str| move |n| with_header(name, &repeated(one, n));
    let path = |before: &'static str, one: &'static str| {
        move |n| own(&format!("GET /v1.0/me{before}{}", repeated(one, n)), "", b"")
    };
    let jwt = |header: Value, claims: &str| {
        let [header, claims] = [header.to_string().as_str(), claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let token = format!("{header}.{claims}.{}", "A".repeat(86));
        request("GET /v1.0/me", &format!("Authorization: Bearer {token}\r\n"), b"")
    };
    let known = || json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "1"});
    let bearer = |one: &'static str| {
        move |n| request("GET /v1.0/me", &format!("Authorization: Bearer {}\r\n", repeated(one, n)), b"")
    };
    let mut all_rows = vec![
        row("path: segments", QUERY, path("", "/a")),
        row("path: slashes", QUERY, path("", "/")),
        row("path: escapes", QUERY, path("/contacts/", "%C3%A9")),
        row("path: a key", QUERY, path("/contacts('", "''")),
        row("path: folders", QUERY, path("/contactFolders/a", "/childFolders/a")),
        row("bearer token", HEADER, bearer("x")),
        row("bearer token of full stops", HEADER, bearer(".")),
        row("JWT: claims", 1_500, move |n| jwt(known(), &format!("{{{}}}", joined(n, ",", |i| format!("\"{i}\":1"))))),
        row("JWT: deep claims", 12_000, move |n| jwt(known(), &format!("{{\"a\":{}", repeated("[", n)))),
        row("JWT: a long text", 12_000, move |n| jwt(known(), &format!("{{\"scp\":\"{}\"}}", repeated("a ", n)))),
        row("JWT: header", 1_500, move |n| {
            jwt((0..n).map(|i| (format!("h{i}"), json!(1))).collect::<serde_json::Map<_, _>>().into(), "{}")
        }),
        row("JWT: too long", HEADER * 3 / 4, move |n| jwt(known(), &repeated("x", n))),
        row("JWT, signed: members", 2_400, |n| signed("x", vec![json!({"a": 1}); n / 3].into())),
        row("JWT, signed: scopes", 11_000, |n| signed("scp", repeated("a ", n).into())),
        row("JWT, signed: roles", 2_500, |n| signed("roles", vec!["a"; n].into())),
        row("JWT, signed: audiences", 2_500, |n| signed("aud", [vec!["a"; n], vec![AUDIENCE]].concat().into())),
        row("header lines", 90, |n| {
            own("GET /v1.0/me", &(0..n).fold(String::new(), |headers, i| headers + &format!("Prefer: a{i}=1\r\n")), b"")
        }),
    ];
    for (name, header_name, one) in [
        ("Prefer", "Prefer", "a=b;c=d,"),
        ("Prefer: quotes", "Prefer", "\","),
        ("If-Match", "If-Match", "W/\"x\","),
        ("If-None-Match: commas", "If-None-Match", ","),
        ("Accept", "Accept", "text/html;q=0.5;a=b,"),
        ("Accept: json", "Accept", "application/json;odata.metadata=none,"),
        ("Accept-Encoding", "Accept-Encoding", "gzip;q=0.5,"),
        ("X-Forwarded-For", "X-Forwarded-For", "10.0.0.1,"),
        ("Forwarded", "Forwarded", "for=\"[::1]\";proto=http,"),
        ("Idempotency-Key", "Idempotency-Key", "x"),
        ("Contactd-Position", "Contactd-Position", "1"),
        ("client-request-id", "client-request-id", "x"),
        ("Content-Type", "Content-Type", "application/json;"),
        ("Origin", "Origin", "http://a "),
        ("Cookie", "Cookie", "a=b; "),
    ] {
        all_rows.push(row(name, HEADER, header(header_name, one)));
    }
    all_rows
}

fn photos() -> Vec<Row> {
    let put = |before: &'static [u8], one: &'static [u8]| {
        move |n: usize| {
            let path = "PUT /v1.0/me/contacts/0198c0de-0000-7000-8000-000000000000/photo/$value";
            own(path, "Content-Type: image/jpeg\r\n", &[before, &one.repeat(n / one.len())].concat())
        }
    };
    let webp = b"RIFF\x00\x00\x40\x00WEBPVP8X";
    vec![
        row("photo: segments of JPEG", BODY, put(b"\xff\xd8", b"\xff\xe1\x00\x02")),
        row("photo: fill of JPEG", BODY, put(b"\xff\xd8", b"\xff")),
        row("photo: PNG", BODY, put(b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00tEXt\x00\x00\x00\x00")),
        row("photo: GIF", BODY, put(b"GIF89a\x01\x00\x01\x00\x00\x00\x00", b"!\xfe\x00")),
        row("photo: WebP", BODY, put(webp, b"\x00\x00\x00\x00")),
    ]
}

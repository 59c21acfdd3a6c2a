//! Queries of every kind of test, compared with a slow implementation of RFC 6352, section 10.5, that is independent of the
//! program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use unicode_normalization::UnicodeNormalization as _;

use super::{BOOK, all, basic, card, contacts, propfind, put, report};
use crate::app::{Client, TestApp};

/// Number of generated queries.
const QUERIES: usize = 240;

const CARDS: [&str; 10] = [
    "FN:Ada\r\nN:Lovelace;Ada;;;\r\nEMAIL;TYPE=work,internet:ada@example.org\r\n",
    "FN:ada\r\nN:;;;;\r\nEMAIL;TYPE=work;TYPE=pref:ADA@EXAMPLE.ORG\r\nEMAIL:other@example.net\r\n",
    "FN:\u{c4}d\u{e4}\r\nN:x\\;y;Z\\,z;;;\r\nNICKNAME:one,two\r\n",
    "FN:A\u{308}da\r\nN:;;;;\r\nitem1.EMAIL;TYPE=\"home,voice\":ada@example.org\r\nitem1.X-ABLabel:Home\r\n",
    "FN:Bea\r\nN:;Bea;;;\r\nTEL;WORK;CELL:+1 555\r\nTEL;TYPE=home:+1 666\r\n",
    "FN:Bea\r\nN:;Bea;;;\r\nNOTE:first\\nsecond\\, third\r\nX-ODD;X-P=\"a;b\":ada\r\n",
    "FN:Cleo\r\nN:;;;;\r\nEMAIL:cleo@example.org\r\nITEM2.EMAIL;TYPE=HOME:ada@other.example\r\nx-odd:ADA\r\n",
    "FN:Stra\u{df}e\r\nN:;;;;\r\nNICKNAME:\r\nNOTE:long \r\n folded a\r\n da\r\n",
    "FN:x\r\nN:;;;;\r\nTEL;TYPE=cell;X-P=q:ada\r\nTEL;TYPE=work:bea\r\n",
    "FN:\r\nN:;;;;\r\n",
];

/// A repeatable pseudo-random generator.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.below(some.len())]
    }
}

struct Text {
    collation: &'static str,
    kind: &'static str,
    negated: bool,
    wanted: &'static str,
}

enum Test {
    Text(Text),
    /// A test whether a parameter exists, or whether its value matches.
    Parameter(&'static str, bool),
    ParameterText(&'static str, Text),
}

struct Property {
    name: &'static str,
    all_of: bool,
    not_defined: bool,
    tests: Vec<Test>,
}

struct Query {
    all_of: bool,
    properties: Vec<Property>,
}

fn text(numbers: &mut Random) -> Text {
    Text {
        collation: numbers.of(&["", "i;unicode-casemap", "i;ascii-casemap", "i;octet"]),
        kind: numbers.of(&["", "equals", "contains", "starts-with", "ends-with"]),
        negated: numbers.below(4) == 0,
        wanted: numbers.of(&[
            "ada",
            "Ada",
            "\u{e4}",
            "\u{c4}D",
            "a\u{308}",
            "example.org",
            "work",
            "home",
            "a",
            "",
            ",",
            ";",
            "first\nsecond",
            "STRASSE",
            "stra\u{df}e",
            "x;y",
            "a;b",
        ]),
    }
}

fn query(numbers: &mut Random) -> Query {
    let properties = (0..=numbers.below(3)).map(|_| {
        let not_defined = numbers.below(7) == 0;
        let tests = (0..if not_defined { 0 } else { numbers.below(4) }).map(|_| {
            let name = numbers.of(&["TYPE", "type", "X-P", "PREF"]);
            match numbers.below(5) {
                0..3 => Test::Text(text(numbers)),
                3 => Test::Parameter(name, numbers.below(2) == 0),
                _ => Test::ParameterText(name, text(numbers)),
            }
        });
        let tests: Vec<_> = tests.collect();
        let name = if numbers.below(3) > 0 {
            numbers.of(&[
                "FN",
                "fn",
                "N",
                "EMAIL",
                "item1.EMAIL",
                "ITEM2.email",
                "item9.EMAIL",
                "TEL",
                "NICKNAME",
                "NOTE",
                "X-ODD",
                "X-NONE",
            ])
        } else {
            numbers.of(&[
                "UID",
                "ORG",
                "ADR",
                "URL",
                "IMPP",
                "BDAY",
                "REV",
                "CATEGORIES",
                "X-ABLabel",
                "X-ABRELATEDNAMES",
                "PHOTO",
                "KIND",
            ])
        };
        // The texts of pictures are not searched.
        let tests = if name == "PHOTO" {
            tests.into_iter().filter(|test| !matches!(test, Test::Text(_))).collect()
        } else {
            tests
        };
        Property { name, all_of: numbers.below(2) == 0, not_defined, tests }
    });
    let properties = properties.collect();
    Query { all_of: numbers.below(2) == 0, properties }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

impl Text {
    fn xml(&self) -> String {
        let attribute =
            |name: &str, value: &str| if value.is_empty() { String::new() } else { format!(" {name}=\"{value}\"") };
        let attributes = attribute("collation", self.collation) + &attribute("match-type", self.kind);
        let negated = attribute("negate-condition", if self.negated { "yes" } else { "" });
        format!("<C:text-match{attributes}{negated}>{}</C:text-match>", escaped(self.wanted))
    }

    fn fits(&self, value: &str) -> bool {
        let fold = |text: &str| match self.collation {
            "i;octet" => text.to_owned(),
            "i;ascii-casemap" => text.to_ascii_lowercase(),
            _ => text.nfd().collect::<String>().to_lowercase().nfd().collect(),
        };
        let (value, text) = (fold(value), fold(self.wanted));
        let fits = match self.kind {
            "equals" => value == text,
            "starts-with" => value.starts_with(&text),
            "ends-with" => value.ends_with(&text),
            _ => value.contains(&text),
        };
        fits != self.negated
    }
}

impl Query {
    fn xml(&self) -> String {
        let mode = |all_of: bool| if all_of { "allof" } else { "anyof" };
        let properties = self.properties.iter().map(|property| {
            let tests = property.tests.iter().map(|asked| match asked {
                Test::Text(text) => text.xml(),
                Test::Parameter(name, true) => format!("<C:param-filter name=\"{name}\"/>"),
                Test::Parameter(name, false) => {
                    format!("<C:param-filter name=\"{name}\"><C:is-not-defined/></C:param-filter>")
                }
                Test::ParameterText(name, text) => {
                    format!("<C:param-filter name=\"{name}\">{}</C:param-filter>", text.xml())
                }
            });
            let inside =
                if property.not_defined { "<C:is-not-defined/>".to_owned() } else { tests.collect::<String>() };
            let (name, mode) = (property.name, mode(property.all_of));
            format!("<C:prop-filter name=\"{name}\" test=\"{mode}\">{inside}</C:prop-filter>")
        });
        format!("<C:filter test=\"{}\">{}</C:filter>", mode(self.all_of), properties.collect::<String>())
    }

    /// Whether a card matches, line by line.
    fn fits(&self, card: &str) -> bool {
        let unfolded = card.replace("\r\n ", "");
        let lines: Vec<Line> = unfolded.lines().map(Line::of).collect();
        let fits = |property: &Property| {
            let (group, name) = property.name.split_once('.').map_or((None, property.name), |(g, n)| (Some(g), n));
            let is_matching = |line: &&Line| {
                line.name.eq_ignore_ascii_case(name)
                    && group.is_none_or(|group| group.eq_ignore_ascii_case(&line.group))
            };
            let mut matching = lines.iter().filter(is_matching);
            if property.not_defined {
                return matching.next().is_none();
            }
            matching.any(|line| {
                let mut tests = property.tests.iter().map(|test| line.fits(test));
                property.tests.is_empty()
                    || if property.all_of { tests.all(|fits| fits) } else { tests.any(|fits| fits) }
            })
        };
        let mut properties = self.properties.iter().map(fits);
        if self.all_of { properties.all(|fits| fits) } else { properties.any(|fits| fits) }
    }
}

/// A parsed line of a card. Its parameters have no colon.
struct Line {
    group: String,
    name: String,
    /// The parameters: names in upper case with single values.
    parameters: Vec<(String, String)>,
    value: String,
}

impl Line {
    fn of(line: &str) -> Self {
        let (head, value) = line.split_once(':').unwrap();
        let mut quoted = false;
        let parts: Vec<String> = head
            .split(|c: char| {
                quoted ^= c == '"';
                c == ';' && !quoted
            })
            .map(|part| part.replace('"', ""))
            .collect();
        let (group, name) = parts[0].split_once('.').unwrap_or(("", &parts[0]));
        let mut parameters = Vec::new();
        for part in &parts[1..] {
            let (name, values) = part.split_once('=').unwrap_or(("TYPE", part));
            parameters.extend(values.split(',').map(|value| (name.to_uppercase(), value.to_owned())));
        }
        let value = value.replace("\\n", "\n").replace("\\,", ",").replace("\\;", ";");
        Self { group: group.to_owned(), name: name.to_owned(), parameters, value }
    }

    fn fits(&self, asked: &Test) -> bool {
        let values = |name: &str| {
            let name = name.to_uppercase();
            self.parameters.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value.as_str())
        };
        match asked {
            Test::Text(text) => text.fits(&self.value),
            Test::Parameter(name, is_there) => values(name).next().is_some() == *is_there,
            Test::ParameterText(name, text) => values(name).any(|value| text.fits(value)),
        }
    }
}

/// Sends queries and compares the results with these cards: names, and the result of GET.
fn compare(ann: &Client, cards: &[(String, String)], seed: u64) {
    let mut numbers = Random(seed);
    let (mut none, mut every) = (0, 0);
    for _ in 0..QUERIES {
        let query = query(&mut numbers);
        let xml = query.xml();
        let answer = report(ann, BOOK, "C:addressbook-query", &format!("<D:prop><D:getetag/></D:prop>{xml}"));
        assert_eq!(answer.status, 207, "{xml}: {}", answer.text());
        let hrefs = all(&answer.text(), "<D:href>", "</D:href>");
        let mut found: Vec<_> = hrefs.iter().map(|href| href.rsplit('/').next().unwrap().to_owned()).collect();
        found.sort();
        let expected: Vec<_> =
            cards.iter().filter(|(_, card)| query.fits(card)).map(|(name, _)| name.clone()).collect();
        assert_eq!(found, expected, "{xml}");
        none += usize::from(expected.is_empty());
        every += usize::from(expected.len() == cards.len());
    }
    // The queries are selective.
    assert!(none < QUERIES / 3 * 2 && every < QUERIES / 3, "{none} find nothing, {every} find all");
}

/// The names and the texts of all cards, by name.
fn all_cards(ann: &Client) -> Vec<(String, String)> {
    let listed = propfind(ann, BOOK, "1", "<D:getetag/>").text();
    let names = all(&listed, "<D:href>", "</D:href>")
        .into_iter()
        .filter_map(|href| href.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned));
    let mut cards: Vec<_> = names.map(|name| (name.clone(), ann.get(&format!("{BOOK}{name}")).text())).collect();
    cards.sort();
    cards
}

fn put_all(ann: &Client) {
    for (n, lines) in CARDS.iter().enumerate() {
        let (path, card) = (format!("{BOOK}{n}.vcf"), card(&n.to_string(), lines));
        assert_eq!(put(ann, &path, &[], &card).status, 201, "{card}");
        assert_eq!(ann.get(&path).text(), card);
    }
}

#[test]
fn generated_queries_agree_with_a_plain_evaluation_over_all_cards() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    put_all(&ann);
    let cards = all_cards(&ann);
    assert_eq!(cards.len(), CARDS.len());
    compare(&ann, &cards, 6352);
}

/// Contacts that have no card, contacts changed since their card was stored, photos and groups.
#[test]
fn generated_queries_match_contacts_without_a_stored_card_by_their_rendered_card() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    put_all(&ann);
    let group =
        card("g", "FN:Ada's\r\nN:;;;;\r\nX-ADDRESSBOOKSERVER-KIND:group\r\nX-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1\r\n");
    assert_eq!(put(&ann, &format!("{BOOK}group.vcf"), &[], &group).status, 201);
    let photo = STANDARD.encode(b"GIF89a\x01\0\x01\0\0\0\0");
    let pictured = card("p", &format!("FN:Ada\r\nN:;;;;\r\nPHOTO;ENCODING=b;TYPE=GIF:{photo}\r\n"));
    assert_eq!(put(&ann, &format!("{BOOK}pictured.vcf"), &[], &pictured).status, 201);
    let stored = contacts(&graph);
    assert_eq!(stored.len(), CARDS.len() + 1);
    // Half of the stored cards are older than their contacts.
    for contact in stored.iter().step_by(2) {
        let path = format!("/v1.0/me/contacts/{}", contact["id"].as_str().unwrap());
        let change = json!({"nickName": "ada, the first", "companyName": "work; home"});
        assert_eq!(graph.patch(&path, &change).status, 200);
    }
    for body in [
        json!({"displayName": "Ada", "emailAddresses": [{"address": "ada@example.org", "name": "Ada"}]}),
        json!({"givenName": "ada", "surname": "x;y", "categories": ["ada", "a,b"], "businessPhones": ["+1 555"]}),
        json!({"displayName": "", "emailAddresses": [{"address": "ADA@example.org"}]}),
        json!({"displayName": "", "mobilePhone": "ada"}),
        json!({"displayName": "Stra\u{df}e", "personalNotes": "first\nsecond", "nickName": "\u{c4}da", "children": ["ada"]}),
        json!({"displayName": "\u{c4}d\u{e4}", "spouseName": "Ada", "birthday": "1990-05-06T00:00:00Z",
            "homeAddress": {"city": "ada", "street": "a;b"}, "businessHomePage": "https://example.org/ada",
            "imAddresses": ["sip:ada@example.org", "ada"], "companyName": "work", "assistantName": "home"}),
        json!({}),
    ] {
        assert_eq!(graph.post("/v1.0/me/contacts", &body).status, 201, "{body}");
    }
    let last = contacts(&graph).last().unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1.0/me/contacts/{last}/photo/$value");
    let photo = STANDARD.decode(&photo).unwrap();
    assert_eq!(graph.with("Content-Type", "image/gif").send("PUT", &path, Some(photo)).status, 200);
    let cards = all_cards(&ann);
    assert_eq!(cards.len(), CARDS.len() + 2 + 7);
    compare(&ann, &cards, 6352);
    compare(&ann, &cards, 2426);
}

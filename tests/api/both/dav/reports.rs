//! Reports: many cards at once, in the requested version.

use super::{ADA, BOOK, all, ask, basic, card, multiget, put, report};
use crate::app::TestApp;

#[test]
fn a_multiget_answers_each_href_once_in_request_order() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    for name in ["a", "b", "\u{fc} &"] {
        let path = format!("{BOOK}{}.vcf", contactd::percent::percent_encode(name));
        assert_eq!(put(&ann, &path, &[], &card(name, ADA)).status, 201);
    }
    let hrefs = [
        "/dav/addressbooks/ann/contacts/b.vcf",
        "/dav/addressbooks/ann/contacts/none.vcf",
        "http://other.example/dav/addressbooks/ann@localhost/contacts/a.vcf",
        "/dav/addressbooks/ann/contacts/b.vcf",
        "/dav/addressbooks/bob/contacts/a.vcf",
        "/dav/addressbooks/ann/contacts/%c3%bc%20%26.vcf",
        "/dav/addressbooks/ann/contacts/",
        "/dav/addressbooks/ann/contacts/../../bob/contacts/a.vcf",
        "%00",
        "nonsense",
    ];
    for path in [BOOK, "/dav/addressbooks/ann/"] {
        let text = multiget(&ann, path, "<C:address-data/>", &hrefs).text();
        let found: Vec<_> = super::all(&text, "<D:response>", "</D:response>");
        let found: Vec<_> = found
            .iter()
            .map(|response| {
                let status = if response.contains("<C:address-data>") { "" } else { " 404" };
                super::between(response, "<D:href>", "</D:href>") + status
            })
            .collect();
        let expected = [
            "/dav/addressbooks/ann/contacts/b.vcf",
            "/dav/addressbooks/ann/contacts/none.vcf 404",
            "/dav/addressbooks/ann/contacts/a.vcf",
            "/dav/addressbooks/bob/contacts/a.vcf 404",
            "/dav/addressbooks/ann/contacts/%C3%BC%20%26.vcf",
            "/dav/addressbooks/ann/contacts/ 404",
            "/dav/addressbooks/ann/contacts/../../bob/contacts/a.vcf 404",
            "%00 404",
            "nonsense 404",
        ];
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(multiget(&ann, BOOK, "", &[]).status, 400);
    let card_path = format!("{BOOK}a.vcf");
    let text = multiget(&ann, &card_path, "", &[&card_path, &format!("{BOOK}b.vcf")]).text();
    assert!(text.contains("200 OK") && text.contains("b.vcf</D:href><D:status>HTTP/1.1 404"), "{text}");
}

#[test]
fn a_multiget_accepts_the_default_folder_in_any_letter_case() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let (path, other) = (format!("{BOOK}a.vcf"), BOOK.replace("contacts", "Contacts"));
    assert_eq!(put(&ann, &path, &[], &card("a", ADA)).status, 201);
    let hrefs = [format!("{other}a.vcf"), format!("{other}b.vcf")];
    let hrefs: Vec<_> = hrefs.iter().map(String::as_str).collect();
    for place in [BOOK, other.as_str(), "/dav/addressbooks/ann/"] {
        let text = multiget(&ann, place, "", &hrefs).text();
        assert_eq!(all(&text, "<D:href>", "</D:href>"), [path.as_str(), hrefs[1]], "{place}");
        assert_eq!(text.matches("404 Not Found").count(), 1, "{place}: {text}");
    }
}

#[test]
fn reports_return_vcard_3_0_unless_4_0_is_requested() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let four = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:urn:uuid:4\r\nFN:Ada\r\nN:;Ada;;;\r\nBDAY:--1210\r\nTEL;VALUE=uri;PREF=1:tel:+1-2\r\nEND:VCARD\r\n";
    let path = format!("{BOOK}4.vcf");
    assert_eq!(put(&ann, &path, &[], four).status, 201);
    assert_eq!(ann.get(&path).text(), four);
    let data = |attributes: &str| {
        let answer = multiget(&ann, BOOK, &format!("<C:address-data {attributes}/>"), &[&path]);
        (answer.status, answer.text())
    };
    let (status, three) = data("");
    assert_eq!(status, 207);
    assert!(three.contains("VERSION:3.0&#13;") && three.contains("1604-12-10"), "{three}");
    // vdirsyncer writes the attribute in another case.
    let (_, four_again) = data("Content-Type=\"text/vcard\" version=\"4.0\"");
    let inside = super::between(&four_again, "<C:address-data>", "</C:address-data>").replace("&#13;", "\r");
    assert_eq!(inside, four);
    for attributes in ["version=\"2.1\"", "content-type=\"text/calendar\""] {
        let (status, text) = data(attributes);
        assert!(status == 403 && text.contains("C:supported-address-data"), "{text}");
    }
}

#[test]
fn unsupported_reports_are_refused() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    for (path, root) in [
        (BOOK, "D:version-tree"),
        (BOOK, "D:principal-property-search"),
        ("/dav/addressbooks/ann/", "D:sync-collection"),
    ] {
        let answer = report(&ann, path, root, "<D:prop/>");
        assert!(answer.status == 403 && answer.text().contains("<D:supported-report/>"), "{}", answer.text());
    }
    assert_eq!(ask(&ann, "REPORT", BOOK, &[], "").status, 403);
    assert_eq!(ask(&ann, "REPORT", BOOK, &[], "<a").status, 400);
    assert_eq!(ask(&ann, "REPORT", BOOK, &[("Content-Type", "application/json")], "{}").status, 415);
}

#[test]
fn a_query_returns_the_requested_parts_and_marks_truncation() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    for (name, mail) in [("ada", "ada@example.org"), ("bea", "bea@example.net"), ("cleo", "cleo@example.org")] {
        put(&ann, &format!("{BOOK}{name}.vcf"), &[], &card(name, &format!("{ADA}EMAIL:{mail}\r\n")));
    }
    let query = |path: &str, data: &str, rest: &str| {
        let answer = report(&ann, path, "C:addressbook-query", &format!("<D:prop><D:getetag/>{data}</D:prop>{rest}"));
        assert_eq!(answer.status, 207, "{}", answer.text());
        let text = answer.text();
        let hrefs = super::all(&text, "<D:response><D:href>", "</D:href>");
        (hrefs.iter().map(|href| href.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>(), text)
    };
    let org = "<C:filter><C:prop-filter name=\"EMAIL\"><C:text-match match-type=\"ends-with\">EXAMPLE.ORG</C:text-match></C:prop-filter></C:filter>";
    assert_eq!(query(BOOK, "", "").0, ["ada.vcf", "bea.vcf", "cleo.vcf"]);
    for path in [BOOK, "/dav/addressbooks/ann/"] {
        assert_eq!(query(path, "", org).0, ["ada.vcf", "cleo.vcf"], "{path}");
    }
    assert_eq!(query(&format!("{BOOK}bea.vcf"), "", org).0, Vec::<String>::new());
    let (found, text) = query(BOOK, "<C:address-data><C:prop name=\"EMAIL\"/></C:address-data>", org);
    assert_eq!(found.len(), 2);
    assert!(text.contains("EMAIL:ada@example.org&#13;") && !text.contains("Lovelace"), "{text}");
    let (found, text) = query(BOOK, "", &format!("{org}<C:limit><C:nresults>1</C:nresults></C:limit>"));
    assert!(found == ["ada.vcf", ""] && text.contains("507 Insufficient Storage"), "{text}");
    let filter_with_limit =
        "<C:filter><C:prop-filter name=\"FN\"/></C:filter><C:limit><C:nresults>3</C:nresults></C:limit>";
    assert_eq!(query(BOOK, "", filter_with_limit).0.len(), 3);
    let foreign = "<filter xmlns=\"urn:ietf:params:xml:ns:caldav\"/>";
    assert_eq!(report(&ann, BOOK, "C:addressbook-query", foreign).status, 400);
}

#[test]
fn expand_property_follows_hrefs_two_levels_deep() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let inside = "<D:property name=\"displayname\"/><D:property name=\"addressbook-home-set\" namespace=\"urn:ietf:params:xml:ns:carddav\">\
                  <D:property name=\"resourcetype\"/><D:property name=\"nothing\"/></D:property>";
    let text = report(&ann, "/dav/principals/ann/", "D:expand-property", inside).text();
    assert!(text.contains("<C:addressbook-home-set><D:response><D:href>/dav/addressbooks/ann/</D:href>"), "{text}");
    assert!(text.contains("<D:displayname>ann</D:displayname>") && text.contains("<D:nothing/>"), "{text}");
    assert_eq!(report(&ann, BOOK, "D:expand-property", inside).status, 403);
}

//! Cards are returned byte for byte, Graph and CardDAV use the same contact, and each refusal names its precondition element.

use serde_json::{Value, json};

use super::{ADA, BOOK, all, ask, basic, between, card, contacts, propfind, put};
use crate::app::TestApp;
use crate::both::concurrency::at_once;
use crate::both::pictures::gif;

const UNUSUAL_CARD: &str = "BEGIN:VCARD\r\nversion:3.0\r\nPRODID:-//x//y\r\nUID:9F3C\r\nitem1.TEL;type=CELL;type=pref:+1 2\r\n\
item1.X-ABLabel:_$!<Mobile>!$_\r\nFN:Ada Lovelace\r\nn:Lovelace;Ada;;;\r\nX-ODD;X-P=\"a;b\":e\\,f\r\n g\r\nNOTE:caf\u{e9} \u{1f600}\r\n\
BDAY;X-APPLE-OMIT-YEAR=1604:1604-12-10\r\nREV:2020-01-01T00:00:00Z\r\nEND:VCARD\r\n";

#[test]
fn a_card_is_returned_byte_for_byte_under_a_strong_etag() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let path = format!("{BOOK}9F3C.vcf");
    let made = put(&ann, &path, &[("If-None-Match", "*")], UNUSUAL_CARD);
    assert_eq!(made.status, 201, "{}", made.text());
    let tag = made.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let got = ann.get(&path);
    assert_eq!((got.text().as_str(), got.header("etag")), (UNUSUAL_CARD, tag.clone()));
    assert_eq!(got.header("content-type"), "text/vcard; charset=utf-8");
    assert_eq!(ask(&ann, "HEAD", &path, &[], "").header("etag"), tag);
    assert_eq!(ask(&ann, "GET", &path, &[("If-None-Match", &tag)], "").status, 304);
    assert_eq!(put(&ann, &path, &[("If-None-Match", "*")], UNUSUAL_CARD).status, 412);
    // A PUT of the same card writes nothing.
    let seq = app.count("select seq from mailboxes");
    let same = put(&ann, &path, &[("If-Match", &tag)], UNUSUAL_CARD);
    assert_eq!((same.status, same.header("etag")), (204, tag.clone()));
    assert_eq!(app.count("select seq from mailboxes"), seq);
    let contact = &contacts(&app.user("ann"))[0];
    assert_eq!(contact["displayName"], "Ada Lovelace");
    assert_eq!(contact["mobilePhone"], "+1 2");
    assert_eq!(contact["personalNotes"], "caf\u{e9} \u{1f600}");
    let changed = UNUSUAL_CARD.replace("+1 2", "+3 4");
    let answer = put(&ann, &path, &[("If-Match", &tag)], &changed);
    assert_eq!(answer.status, 204);
    assert_ne!(answer.header("etag"), tag);
    assert_eq!(put(&ann, &path, &[("If-Match", &tag)], UNUSUAL_CARD).status, 412);
    assert_eq!(contacts(&app.user("ann"))[0]["mobilePhone"], "+3 4");
    // An ETag as proxies change it.
    let weak = format!("W/{}", answer.header("etag").replace('"', "").replace(".1", ".1-gzip"));
    assert_eq!(put(&ann, &path, &[("If-Match", &weak)], UNUSUAL_CARD).status, 204);
    // Without a condition the last one wins: Thunderbird and Evolution send none.
    assert_eq!(put(&ann, &path, &[], &changed).status, 204);
}

#[test]
fn concurrent_puts_create_each_card_once_and_audit_each_write() {
    let app = TestApp::new();
    // Eight clients PUT the same ten cards, and each ten of its own: no condition, as Thunderbird and Evolution.
    let statuses: Vec<(usize, u16)> = at_once(8, |i| {
        let ann = basic(&app, "ann");
        let put_pair = |j: usize| {
            let lines = format!("{ADA}X-CLIENT:{i}\r\n");
            let own = put(&ann, &format!("{BOOK}{i}-{j}.vcf"), &[], &card(&format!("{i}-{j}"), &lines));
            assert_eq!((own.status, own.header("etag").is_empty()), (201, false), "{}", own.text());
            (j, put(&ann, &format!("{BOOK}{j}.vcf"), &[], &card(&format!("uid-{j}"), &lines)).status)
        };
        (0..10).map(put_pair).collect::<Vec<_>>()
    })
    .concat();
    for j in 0..10 {
        let of_card = |wanted| statuses.iter().filter(|(card, status)| (*card, *status) == (j, wanted)).count();
        assert_eq!((of_card(201), of_card(204)), (1, 7), "{j}: {statuses:?}");
    }
    assert_eq!(contacts(&app.user("ann")).len(), 90);
    assert_eq!(app.count("select count(*) from cards where deleted_date_time is null"), 90);
    assert_eq!(app.count("select count(*) from audit where action like 'PUT%'"), 160);
    assert_eq!(app.count("select count(*) from changes"), app.count("select sum(seq) from mailboxes"));
    // A new card with the UID of another is refused, and names it.
    let ann = basic(&app, "ann");
    let refused = put(&ann, &format!("{BOOK}other.vcf"), &[], &card("UID-3", ADA));
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains(&format!("<D:href>{BOOK}3.vcf</D:href>")), "{}", refused.text());
}

#[test]
fn a_graph_change_rewrites_only_its_line_and_a_put_keeps_properties_that_no_card_has() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let path = format!("{BOOK}9F3C.vcf");
    put(&ann, &path, &[], UNUSUAL_CARD);
    let id = contacts(&graph)[0]["id"].as_str().unwrap().to_owned();
    let before = ann.get(&path).header("etag");
    let changes =
        json!({"jobTitle": "Countess", "flag": {"flagStatus": "flagged"}, "isFavorite": true, "initials": "AL"});
    graph.patch(&format!("/me/contacts/{id}"), changes).json(200);
    let got = ann.get(&path);
    assert_ne!(got.header("etag"), before);
    let text = got.text();
    assert!(text.contains("TITLE:Countess\r\n"), "{text}");
    let kept = |line: &&str| !line.starts_with("REV") && !line.starts_with("END");
    for line in UNUSUAL_CARD.split("\r\n").filter(kept) {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    // The phone sends it back with another note, and without the lines that it does not know.
    let sent = text.replace("caf\u{e9} \u{1f600}", "tea");
    assert_eq!(put(&ann, &path, &[("If-Match", &got.header("etag"))], &sent).status, 204);
    let contact = graph.get(&format!("/me/contacts/{id}")).json(200);
    assert_eq!(contact["personalNotes"], "tea");
    assert_eq!(
        (&contact["jobTitle"], &contact["isFavorite"], &contact["initials"]),
        (&json!("Countess"), &json!(true), &json!("AL"))
    );
    assert_eq!(contact["flag"]["flagStatus"], "flagged");
    graph.patch(&format!("/me/contacts/{id}"), json!({"jobTitle": null})).json(200);
    assert!(!ann.get(&path).text().contains("TITLE"));
}

#[test]
fn a_contact_created_by_graph_is_a_card_named_by_its_id() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let id = graph.post("/v1.0/me/contacts", json!({"givenName": "Grace", "surname": "Hopper"})).id();
    let path = format!("{BOOK}{id}.vcf");
    let got = ann.get(&path);
    assert!(
        got.text().contains("FN:Grace Hopper\r\n") && got.text().contains(&format!("UID:{id}\r\n")),
        "{}",
        got.text()
    );
    let four = ask(&ann, "GET", &path, &[("Accept", "text/vcard; version=4.0")], "");
    assert!(four.text().contains("VERSION:4.0\r\n"));
    assert_eq!(
        (four.header("content-type"), four.header("etag")),
        ("text/vcard; charset=utf-8; version=4.0".into(), got.header("etag"))
    );
    assert_eq!(ask(&ann, "GET", &path, &[("Accept", "text/html")], "").status, 406);
    let sent = got.text().replace("Grace", "Grace Brewster");
    assert_eq!(put(&ann, &path, &[("If-Match", &got.header("etag"))], &sent).status, 204);
    let contact = graph.get(&format!("/v1.0/me/contacts/{id}")).json(200);
    assert_eq!(contact["givenName"], "Grace Brewster");
    assert_eq!(ann.get(&path).text(), sent);
}

#[test]
fn a_refused_put_names_the_precondition_and_stores_nothing() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let first = format!("{BOOK}a.vcf");
    put(&ann, &first, &[], &card("A", ADA));
    let before = app.sql("select seq from mailboxes");
    let path = format!("{BOOK}b.vcf");
    let complete_card = card("B", ADA);
    let large = card("B", &format!("NOTE:{}\r\n", "x".repeat(8 << 20)));
    for (path, headers, body, status, element) in [
        (
            path.as_str(),
            vec![("Content-Type", "text/calendar")],
            complete_card.as_str(),
            403,
            "C:supported-address-data",
        ),
        (&path, vec![("Content-Type", "text/vcard; charset=latin1")], &complete_card, 403, "C:valid-address-data"),
        (&path, vec![("Content-Range", "bytes 0-1/2")], &complete_card, 400, ""),
        (&path, vec![], &complete_card.replace("3.0", "2.1"), 403, "C:supported-address-data"),
        (&path, vec![("Content-Type", "text/vcard")], "nonsense", 403, "C:valid-address-data"),
        (&path, vec![], &(complete_card.clone() + &complete_card), 403, "C:valid-address-data"),
        (&path, vec![], &large, 403, "C:max-resource-size"),
        (&path, vec![("If-Match", "*")], &complete_card, 412, ""),
        (&path, vec![("If-Match", "\"x\"")], &complete_card, 412, ""),
        (&path, vec![("If", "(<data:,x>)")], &complete_card, 412, ""),
        (&path, vec![("If", "nonsense")], &complete_card, 400, ""),
        (&first, vec![("If-None-Match", "*")], &complete_card, 412, ""),
        (&first, vec![], &complete_card, 403, "C:no-uid-conflict"),
        (&path, vec![], &card("urn:uuid:a", ADA), 403, "C:no-uid-conflict"),
        ("/dav/addressbooks/ann/nowhere/b.vcf", vec![], &complete_card, 409, ""),
        ("/dav/addressbooks/ann/contacts/a%2Fb", vec![], &complete_card, 403, ""),
        ("/dav/addressbooks/ann/contacts/%01", vec![], &complete_card, 403, ""),
        ("/dav/addressbooks/ann/contacts/..", vec![], &complete_card, 404, ""),
    ] {
        let answer = put(&ann, path, &headers, body);
        if path.ends_with("..") {
            // The client removes it.
            continue;
        }
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.text());
        assert!(element.is_empty() || answer.text().contains(&format!("<{element}")), "{element}: {}", answer.text());
        if element == "C:no-uid-conflict" {
            assert_eq!(between(&answer.text(), "<D:href>", "</D:href>"), first);
        }
        assert!(!answer.headers.contains_key("etag"));
    }
    assert_eq!(app.sql("select seq from mailboxes"), before);
    // The same UID may be in another book: that is how clients move.
    let id = app.user("ann").post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    assert_eq!(put(&ann, &format!("/dav/addressbooks/ann/{id}/a.vcf"), &[], &card("A", ADA)).status, 201);
}

#[test]
fn a_long_uid_is_kept_and_compared() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    // Without repetitions, since a database may compress the values of an index.
    let digits = |i: u32| format!("{:08x}", i.wrapping_mul(2_654_435_761));
    let uid = (0..1_000).map(digits).collect::<Vec<_>>().concat();
    let path = format!("{BOOK}long.vcf");
    let text = card(&uid, ADA);
    assert_eq!(put(&ann, &path, &[], &text).status, 201);
    assert_eq!(ann.get(&path).text(), text);
    let other = put(&ann, &format!("{BOOK}other.vcf"), &[], &card(&uid.to_uppercase(), ADA));
    assert!(other.status == 403 && other.text().contains("<C:no-uid-conflict"), "{}", other.text());
    assert_eq!(put(&ann, &format!("{BOOK}other.vcf"), &[], &card(&format!("{uid}0"), ADA)).status, 201);
}

#[test]
fn an_incomplete_card_is_completed_and_an_invalid_value_does_not_refuse_it() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let bare = "BEGIN:VCARD\r\nVERSION:3.0\r\nEMAIL:x@example.org\r\nEND:VCARD\r\n";
    let path = format!("{BOOK}bare.vcf");
    let made = put(&ann, &path, &[], bare);
    assert_eq!((made.status, made.headers.contains_key("etag")), (201, false));
    let text = ann.get(&path).text();
    assert!(text.contains("FN:x@example.org\r\n") && text.contains("UID:") && text.contains("N:;;;;\r\n"), "{text}");
    let again = put(&ann, &path, &[("Prefer", "return=representation")], bare);
    assert_eq!((again.status, again.header("preference-applied").as_str()), (200, "return=representation"));
    assert_eq!(between(&again.text(), "UID:", "\r\n"), between(&text, "UID:", "\r\n"), "it keeps its UID");
    let odd = card(
        "odd",
        &format!(
            "{ADA}BDAY:1980-02-31\r\nPHOTO;ENCODING=b:!!!\r\nPHOTO;VALUE=uri:https://example.org/a.jpg\r\nTITLE:{}\r\n{}",
            "x".repeat(5_000),
            "EMAIL:a@b.example\r\n".repeat(150)
        ),
    );
    let path = format!("{BOOK}odd.vcf");
    let made = put(&ann, &path, &[], &odd);
    assert_eq!(made.status, 201, "{}", made.text());
    let got = ann.get(&path);
    assert_eq!((got.text(), got.header("etag")), (odd, made.header("etag")));
}

#[test]
fn a_value_over_a_limit_stays_in_the_card_and_the_contact_keeps_what_it_had() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let path = format!("{BOOK}a.vcf");
    let with = |lines: &str| card("A", &format!("{ADA}{lines}"));
    let tel = "TEL;TYPE=CELL:1\r\n";
    put(
        &ann,
        &path,
        &[],
        &with(&format!("TITLE:Countess\r\nNOTE:n\r\nEMAIL:a@x.example\r\nEMAIL:b@x.example\r\n{tel}")),
    );
    let contact = || contacts(&graph).remove(0);
    let before = contact();
    let id = before["id"].as_str().unwrap().to_owned();
    let (long, note) = ("x".repeat(5_000), "y".repeat(3 << 20));
    let over_limit =
        with(&format!("TITLE:{long}\r\nNOTE:{note}\r\nEMAIL:{long}@x.example\r\nEMAIL:b@x.example\r\n{tel}"));
    let changed = put(&ann, &path, &[], &over_limit);
    assert_eq!((changed.status, changed.headers.contains_key("etag")), (204, true), "{}", changed.text());
    assert_eq!(ann.get(&path).text(), over_limit);
    for name in ["jobTitle", "personalNotes", "emailAddresses", "mobilePhone", "surname"] {
        assert_eq!(contact()[name], before[name], "{name}");
    }
    // Another change of the card changes only its own line, and a change by Graph removes nothing from the card.
    assert_eq!(put(&ann, &path, &[], &over_limit.replace("CELL:1", "CELL:2")).status, 204);
    assert_eq!((&contact()["mobilePhone"], &contact()["jobTitle"]), (&json!("2"), &json!("Countess")));
    graph.patch(&format!("/v1.0/me/contacts/{id}"), json!({"department": "D"})).json(200);
    let unfolded = ann.get(&path).text().replace("\r\n ", "");
    for line in [
        &format!("TITLE:{long}"),
        "TITLE:Countess",
        &format!("NOTE:{note}"),
        &format!(":{long}@x.example"),
        ":a@x.example",
    ] {
        assert!(unfolded.contains(&format!("{line}\r\n")), "{}", &line[..line.len().min(40)]);
    }
    // A value within the limit reaches the contact again, and a removed one is removed.
    let short = with("TITLE:Baroness\r\nEMAIL:b@x.example\r\n");
    assert_eq!(put(&ann, &path, &[], &short).status, 204);
    let now = contact();
    assert_eq!((&now["jobTitle"], &now["personalNotes"]), (&json!("Baroness"), &json!("")));
    assert_eq!(now["emailAddresses"].as_array().unwrap().len(), 1);
    put(&ann, &path, &[], &with(&format!("TITLE:{long}\r\nEMAIL:{long}@x.example\r\n")));
    assert_eq!((&contact()["jobTitle"], &contact()["emailAddresses"]), (&json!("Baroness"), &now["emailAddresses"]));
    put(&ann, &path, &[], &with(""));
    assert_eq!((&contact()["jobTitle"], &contact()["emailAddresses"]), (&Value::Null, &json!([])));
}

#[test]
fn a_card_with_a_duplicate_uid_is_served_and_exported_with_a_unique_uid() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let other = graph.post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    put(&ann, &format!("{BOOK}a.vcf"), &[], &card("A", &format!("{ADA}X-ODD:first\r\n")));
    put(&ann, &format!("/dav/addressbooks/ann/{other}/a.vcf"), &[], &card("A", &format!("{ADA}X-ODD:second\r\n")));
    let inside = graph.get(&format!("/v1.0/me/contactFolders/{other}/contacts")).json(200);
    let id = inside["value"][0]["id"].as_str().unwrap().to_owned();
    graph.patch(&format!("/me/contacts/{id}"), json!({"parentFolderId": "contacts"})).json(200);
    let shown = ann.get(&format!("{BOOK}{id}.vcf")).text();
    assert!(shown.contains(&format!("UID:{id}\r\n")) && shown.contains("X-ODD:second\r\n"), "{shown}");
    let exported = graph.get("/me/contacts/$export").text();
    let mut uids = all(&exported, "UID:", "\r\n");
    uids.sort();
    let mut expected = vec!["A".to_owned(), id];
    expected.sort();
    assert_eq!(uids, expected, "{exported}");
}

#[test]
fn a_deleted_card_is_in_the_trash_and_comes_back_with_its_lines() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let path = format!("{BOOK}9F3C.vcf");
    let tag = put(&ann, &path, &[], UNUSUAL_CARD).header("etag");
    let id = contacts(&graph)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&ann, "DELETE", &path, &[("If-Match", "\"x\"")], "").status, 412);
    ask(&ann, "DELETE", &path, &[("If-Match", &tag)], "").empty(204);
    assert_eq!((ann.get(&path).status, ask(&ann, "DELETE", &path, &[], "").status), (404, 404));
    graph.get(&format!("/me/deletedContacts/{id}")).json(200);
    // Name and UID are free at once.
    assert_eq!(put(&ann, &path, &[("If-None-Match", "*")], UNUSUAL_CARD).status, 201);
    graph.post(&format!("/me/deletedContacts/{id}/restore"), "{}").json(200);
    let other = format!("{BOOK}{id}.vcf");
    let text = ann.get(&other).text();
    assert!(text.contains("X-ODD;X-P=\"a;b\":e\\,f\r\n g\r\n") && text.contains(&format!("UID:{id}\r\n")), "{text}");
    assert_eq!(ann.get(&path).text(), UNUSUAL_CARD);
}

#[test]
fn a_photo_is_the_same_in_graph_and_carddav() {
    use base64::Engine as _;
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let path = format!("{BOOK}p.vcf");
    let encoded = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let first = gif(1, 1, 40_000, 1);
    let sent = card("p", &format!("{ADA}PHOTO;ENCODING=b;TYPE=GIF:{}\r\n", encoded(&first)));
    let made = put(&ann, &path, &[], &sent);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(ann.get(&path).text(), sent);
    let id = contacts(&graph)[0]["id"].as_str().unwrap().to_owned();
    let photo = format!("/me/contacts/{id}/photo/$value");
    assert_eq!(graph.get(&photo).body, first);
    // It is stored once.
    assert!(app.count("select sum(length(text)) from card_texts") < 1_000);
    let second = gif(2, 2, 3_000, 2);
    graph.send("PUT", &photo, Some(second.clone())).json(200);
    let got = ann.get(&path);
    assert_ne!(got.header("etag"), made.header("etag"));
    let unfolded = got.text().replace("\r\n ", "");
    assert!(unfolded.contains(&encoded(&second)) && !unfolded.contains(&encoded(&first)[..500]));
    graph.delete(&photo).empty(204);
    assert!(!ann.get(&path).text().contains("PHOTO"));
    assert_eq!(put(&ann, &path, &[], &sent).status, 204);
    assert_eq!(graph.get(&photo).body, first);
    assert_eq!(put(&ann, &path, &[], &card("p", ADA)).status, 204);
    assert_eq!(graph.get(&photo).status, 404);
}

#[test]
fn cards_are_moved_and_copied_by_the_rules_of_litmus() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let other = graph.post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let (a, b) = (format!("{BOOK}a.vcf"), format!("{BOOK}b.vcf"));
    let target = format!("/dav/addressbooks/ann/{other}/a.vcf");
    put(&ann, &a, &[], &card("A", ADA));
    put(&ann, &b, &[], &card("B", ADA));
    let send = |method: &str, from: &str, to: &str, overwrite: &str| {
        let answer = ask(&ann, method, from, &[("Destination", to), ("Overwrite", overwrite)], "");
        (answer.status, answer.text())
    };
    assert_eq!(ask(&ann, "MOVE", &a, &[], "").status, 400);
    assert_eq!(send("MOVE", &a, &a, "T").0, 403);
    assert_eq!(send("COPY", &format!("{BOOK}none.vcf"), &target, "T").0, 404);
    assert_eq!(send("COPY", &a, "/dav/addressbooks/ann/nowhere/a.vcf", "T").0, 409);
    assert_eq!(send("COPY", &a, "/dav/addressbooks/bob/contacts/a.vcf", "T").0, 403);
    assert_eq!(send("MOVE", BOOK, "/dav/addressbooks/ann/x/", "T").0, 403);
    let within = send("COPY", &a, &format!("{BOOK}c.vcf"), "T");
    assert!(within.0 == 403 && within.1.contains("C:no-uid-conflict"), "{within:?}");
    let onto = send("MOVE", &a, &b, "T");
    assert!(onto.0 == 403 && onto.1.contains("C:no-uid-conflict"), "{onto:?}");
    assert_eq!(send("MOVE", &a, &b, "F").0, 412);
    // Another host name may be this server.
    assert_eq!(send("COPY", &a, &format!("https://proxy.example{target}"), "F").0, 201);
    assert_eq!(send("COPY", &a, &target, "F").0, 412);
    assert_eq!(send("COPY", &a, &target, "T").0, 204);
    assert_eq!((ann.get(&a).status, ann.get(&target).text()), (200, card("A", ADA)));
    assert_eq!(send("MOVE", &a, &format!("{BOOK}renamed.vcf"), "T").0, 201);
    assert_eq!((ann.get(&a).status, ann.get(&format!("{BOOK}renamed.vcf")).text()), (404, card("A", ADA)));
    assert_eq!(send("MOVE", &b, &format!("/dav/addressbooks/ann/{other}/b.vcf"), "T").0, 201);
    assert_eq!(graph.get(&format!("/me/contactFolders/{other}/contacts/$count")).body, b"2");
    // A contact of Graph, without a card yet.
    let id = graph.post("/me/contacts", "{}").id();
    assert_eq!(send("MOVE", &format!("{BOOK}{id}.vcf"), &format!("{BOOK}g.vcf"), "T").0, 201);
    assert_eq!((ann.get(&format!("{BOOK}{id}.vcf")).status, ann.get(&format!("{BOOK}g.vcf")).status), (404, 200));
}

#[test]
fn a_propfind_of_one_card_is_answered() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let path = format!("{BOOK}a.vcf");
    let tag = put(&ann, &path, &[], &card("A", ADA)).header("etag");
    let text = propfind(
        &ann,
        &path,
        "0",
        "<D:getetag/><D:getcontenttype/><D:displayname/><D:getcontentlength/><C:address-data/>",
    )
    .text();
    assert_eq!(between(&text, "<D:getetag>", "</D:getetag>"), tag);
    assert_eq!(between(&text, "<D:getcontenttype>", "</D:getcontenttype>"), "text/vcard; charset=utf-8");
    assert_eq!(between(&text, "<D:displayname>", "</D:displayname>"), "Ada Lovelace");
    assert_eq!(between(&text, "<D:getcontentlength>", "</D:getcontentlength>"), card("A", ADA).len().to_string());
    assert!(text.contains("<D:prop><C:address-data/></D:prop><D:status>HTTP/1.1 404 Not Found"), "{text}");
}

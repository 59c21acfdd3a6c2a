//! Peculiarities of real files, one test each.

use contactd::vcard::record::{Fate, Record};
use serde_json::{Value, json};

use crate::round::record;
use crate::shape;

fn card(version: &str, lines: &str) -> Record {
    record(&format!("BEGIN:VCARD\r\nVERSION:{version}\r\n{lines}\r\nEND:VCARD\r\n"))
}

fn assert_value(version: &str, lines: &str, name: &str, expected: &Value) {
    let found = shape::created(card(version, lines).patch);
    assert_eq!(found.get(name), Some(expected), "{lines}\n{found}");
}

#[test]
fn values_are_read_as_the_writing_program_means_them() {
    for (version, lines, name, expected) in [
        // A soft line break and a fold at once: the blank is text, unless a character would break.
        ("2.1", "NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=\r\n =B3", "personalNotes", json!("г")),
        ("2.1", "NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\n b", "personalNotes", json!("a b")),
        ("2.1", "NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\n\r\nTEL:1", "personalNotes", json!("a")),
        ("2.1", "NOTE:C:\\temp\\new\\; \\, \\: \\\\", "personalNotes", json!("C:\\temp\\new; , : \\")),
        ("2.1", "N;ENCODING=QUOTED-PRINTABLE:A=3BB;C", "surname", json!("A;B")),
        (
            "2.1",
            "ADR;HOME:;;12, Mill Lane;Town",
            "postalAddresses",
            json!([{"type": "home", "street": "12, Mill Lane", "city": "Town"}]),
        ),
        ("2.1", "NOTE:long\r\n  line", "personalNotes", json!("long  line")),
        ("2.1", "CATEGORIES:a;b", "categories", json!(["a", "b"])),
        ("2.1", "SOUND;X-IRMC-N;CHARSET=SHIFT_JIS:\u{ff94}\u{ff8f};\u{ff80}", "yomiSurname", json!("ﾔﾏ")),
        ("3.0", "NOTE:long\r\n  line", "personalNotes", json!("long line")),
        ("3.0", "N:Richter,James", "surname", json!("Richter James")),
        (
            "3.0",
            "ADR;TYPE=HOME:;;12, Mill Lane;Town",
            "postalAddresses",
            json!([{"type": "home", "street": "12, Mill Lane", "city": "Town"}]),
        ),
        ("3.0", "TITLE:Head; of all, really", "jobTitle", json!("Head; of all, really")),
        ("3.0", "TEL:205246\\;\\;\\,", "phones", json!([{"type": "other", "number": "205246;;,"}])),
        ("3.0", "TEL;CELL=:1", "phones", json!([{"type": "mobile", "number": "1"}])),
        ("3.0", "TEL;TYPE=CELL:tel:+49%20171", "phones", json!([{"type": "mobile", "number": "+49 171"}])),
        (
            "3.0",
            "TEL;VALUE=uri:tel:+1-555;ext=5;isub=2",
            "phones",
            json!([{"type": "other", "number": "+1-555 ext. 5;isub=2"}]),
        ),
        (
            "3.0",
            "ADR;LABEL=ABC\\nTown\\:;;ABC;Town",
            "postalAddresses",
            json!([{"type": "other", "street": "ABC", "city": "Town"}]),
        ),
        (
            "4.0",
            "ADR;LABEL=\"1 Road^nTown\":;;;;;;",
            "postalAddresses",
            json!([{"type": "other", "street": "1 Road\nTown"}]),
        ),
        (
            "3.0",
            "LABEL;TYPE=HOME:1 Road\\nTown",
            "postalAddresses",
            json!([{"type": "home", "street": "1 Road\nTown"}]),
        ),
    ] {
        assert_value(version, lines, name, &expected);
    }
}

#[test]
fn values_of_many_programs_are_read_alike() {
    for (version, lines, name, expected) in [
        // A raw line break in a value.
        ("3.0", "FN:Ann\r\n\r\nLee", "displayName", json!("Ann Lee")),
        ("3.0", "NOTE:one\r\nand two: a colon\r\n\r\nthree", "personalNotes", json!("one\nand two: a colon\n\nthree")),
        ("4.0\r\n 1", "BDAY:19800229", "birthday", json!("1980-02-29T11:59:00Z")),
        ("4.0", "IMPP;X-SERVICE-TYPE=Telegram:ann", "imAddresses", json!(["telegram:ann"])),
        ("3.0", "IMPP;X-SERVICE-TYPE=Skype;TYPE=HOME:x-apple:ann", "imAddresses", json!(["skype:ann"])),
        ("3.0", "IMPP;X-SERVICE-TYPE=AIM:aim:ann\r\nX-AIM:ann", "imAddresses", json!(["aim:ann"])),
        ("3.0", "X-JABBER:a\r\nX-QQ:1\r\nX-MS-IMADDRESS:b", "imAddresses", json!(["xmpp:a", "qq:1", "b"])),
        (
            "3.0",
            "EMAIL:mailto:a@example.org",
            "emailAddresses",
            json!([{"name": "a@example.org", "address": "a@example.org"}]),
        ),
        (
            "3.0",
            "item1.EMAIL:a\r\nITEM1.X-ABLABEL:_$!<Home>!$_",
            "emailAddresses",
            json!([{"name": "a", "address": "a", "type": "personal"}]),
        ),
        (
            "3.0",
            "item1.URL:http://a\r\nitem1.X-ABLabel:_$!<HomePage>!$_",
            "websites",
            json!([{"type": "home", "address": "http://a"}]),
        ),
        ("3.0", "X-WAB-GENDER:1", "gender", json!("Female")),
        ("4.0", "GENDER:;Enby", "gender", json!("Enby")),
        ("3.0", "item1.X-ABDATE:2004-05-01\r\nitem1.X-ABLabel:Anniversary", "weddingAnniversary", json!("2004-05-01")),
        ("4.0", "RELATED;TYPE=child:Ann\r\nRELATED;TYPE=child;VALUE=text:Bea:x", "children", json!(["Ann", "Bea:x"])),
        ("3.0", "CATEGORIES:* myContacts,* Choir,starred,Choir", "categories", json!(["Choir"])),
        ("3.0", "CATEGORIES:* starred", "isFavorite", json!(true)),
    ] {
        assert_value(version, lines, name, &expected);
    }
}

#[test]
fn each_property_has_an_outcome_and_unread_parts_are_reported() {
    for (line, name, fate) in [
        ("X-NEW;A=\"b:c\":d", "X-NEW", Fate::Aside(None)),
        ("X-ABLabel:lost", "X-ABLABEL", Fate::Aside(None)),
        ("item1.X-ABADR:gb\r\nitem1.X-ABLabel:lost", "X-ABLABEL", Fate::Aside(None)),
        ("RELATED:urn:uuid:1", "RELATED", Fate::Aside(None)),
        ("BDAY:1985-04", "BDAY", Fate::Aside(None)),
        ("BDAY;VALUE=text:19850401", "BDAY", Fate::Aside(None)),
        ("PHOTO;VALUE=uri:http://127.0.0.1/x.jpg", "PHOTO", Fate::Aside(None)),
        ("KIND:org", "KIND", Fate::Aside(None)),
        ("NICKNAME:a,b", "NICKNAME", Fate::Partial),
        ("ORG:a;b;c", "ORG", Fate::Partial),
        ("ADR;GEO=\"geo:1,2\":;;a", "ADR", Fate::Partial),
        ("GENDER:M;man", "GENDER", Fate::Partial),
        ("TEL;TYPE=MAIN:1", "TEL", Fate::Partial),
        ("KIND:individual", "KIND", Fate::Ignored("says nothing")),
        ("TEL:", "TEL", Fate::Ignored("says nothing")),
        ("PRODID:x", "PRODID", Fate::Ignored("says nothing")),
    ] {
        let record = card("4.0", &format!("FN:x\r\n{line}"));
        let found: Vec<_> = record.outcomes.iter().filter(|outcome| outcome.name == name).collect();
        assert_eq!(found.first().map(|outcome| outcome.fate), Some(fate), "{line}");
        let lines = record.card.as_deref().unwrap().lines().count();
        assert_eq!(record.outcomes.len(), lines - 3, "{line}");
        assert!(record.card.unwrap().contains(line.split("\r\n").next().unwrap()), "{line}");
    }
}

#[test]
fn a_2_1_card_is_stored_as_3_0() {
    let lines = "N;CHARSET=windows-1252;ENCODING=QUOTED-PRINTABLE:M=FCller;J=F6rg\r\nTEL;CELL;PREF:1\r\nKEY;X509;ENCODING=BASE64:\r\n AAEC\r\n AwQF\r\n\r\nX-NEW;CHARSET=UTF-8:a;b\\c\r\nNOTE;ENCODING=8BIT:C:\\new";
    let expected = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Müller;Jörg\r\nTEL;TYPE=CELL;TYPE=PREF:1\r\nKEY;TYPE=X509;ENCODING=b:AAECAwQF\r\nX-NEW:a;b\\c\r\nNOTE:C:\\\\new\r\nEND:VCARD\r\n";
    assert_eq!(card("2.1", lines).card.as_deref(), Some(expected));
}

#[test]
fn an_end_inside_a_value_ends_no_card_and_is_not_kept() {
    let lines = "N:A;B\r\nEN\r\n D:VCARD\r\n\u{1}BEGIN:VCARD\r\nITEM1.END:VCARD\r\nNOTE:x\\nEND:VCARD";
    let record = card("3.0", lines);
    assert_eq!(record.junk_lines, 3);
    let expected = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:A;B\r\nNOTE:x\\nEND:VCARD\r\nEND:VCARD\r\n";
    assert_eq!(record.card.as_deref(), Some(expected));
}

//! Bodies and cards that are expensive to process, and paths of other users.

use super::{ADA, BOOK, ask, basic, card, put};
use crate::app::TestApp;

#[test]
fn a_hostile_body_is_refused_and_the_server_goes_on() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let entities =
        "<!DOCTYPE a [<!ENTITY b \"xxxxxxxx\"><!ENTITY c \"&b;&b;&b;&b;\">]><propfind xmlns=\"DAV:\">&c;</propfind>";
    let deep = ["<a>".repeat(200_000), "</a>".repeat(200_000)].concat();
    let wide = format!("<propfind xmlns=\"DAV:\"><prop>{}</prop></propfind>", "<a/>".repeat(500_000));
    let names = format!("<a {}/>", (0..20_000).map(|i| format!("xmlns:n{i}='u{i}'")).collect::<Vec<_>>().join(" "));
    for method in ["PROPFIND", "REPORT", "PROPPATCH"] {
        for body in [entities, &deep, &wide, &names, "<a>&#0;</a>", "\u{1}"] {
            let answer = ask(&ann, method, BOOK, &[("Depth", "0")], body);
            assert_eq!(answer.status, 400, "{method} {}: {}", &body[..body.len().min(40)], answer.text());
        }
        let answer = ask(&ann, method, BOOK, &[("Depth", "0")], &format!("<a>{}</a>", "x".repeat(4 << 20)));
        assert_eq!(answer.status, 413, "{method}");
    }
    let names = |count: usize| (0..count).map(|i| format!("<D:p{i}/>")).collect::<Vec<_>>().concat();
    assert_eq!(super::propfind(&ann, BOOK, "1", &names(200)).status, 207);
    assert_eq!(super::propfind(&ann, BOOK, "1", &names(201)).status, 400);
    let hrefs: String = (0..10_000).map(|i| format!("<D:href>{BOOK}{i}</D:href>")).collect::<Vec<_>>().concat();
    let answer = super::report(&ann, BOOK, "C:addressbook-multiget", &hrefs);
    assert_eq!((answer.status, answer.text().matches("404 Not Found").count()), (207, 10_000));
}

#[test]
fn stored_cards_can_always_be_served() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let lines = [
        "X-A:]]>&amp;<b>\r\n",
        "NOTE:\u{85}\u{2028}\u{feff}\u{1f600}\r\n",
        "N:;;;;;;;;;;;;;;;;;;;;\r\n",
        "ADR:\r\nADR:;;;;;;;;;;;;;;;;;;;;;;;;;\r\n",
        "TEL;TYPE=\"a,b:TEL\r\n",
        "item1.X-ABLabel:\r\nitem1.X-ABLabel:x\r\nitem1.item2.EMAIL:y\r\n",
        "CATEGORIES:,,,\\,,\r\n",
        "BDAY:0000-00-00\r\nBDAY:99999999\r\nANNIVERSARY:--0230\r\n",
        "PHOTO:data:image/gif;base64\\,R0lGODlh\r\n",
        "UID:x\r\n",
        "X-LONG:  \r\n \r\n\t\r\n",
    ];
    for (number, line) in lines.into_iter().enumerate() {
        let sent = card(&format!("u{number}"), &format!("{ADA}{line}"));
        let path = format!("{BOOK}{number}.vcf");
        let made = put(&ann, &path, &[], &sent);
        assert_eq!(made.status, 201, "{line}: {}", made.text());
        assert_eq!(ann.get(&path).text(), sent, "{line}");
        for version in ["3.0", "4.0"] {
            let text =
                super::multiget(&ann, BOOK, &format!("<C:address-data version=\"{version}\"/>"), &[&path]).text();
            assert!(text.contains("END:VCARD"), "{line}: {text}");
        }
    }
    let patched = super::contacts(&app.user("ann"));
    assert_eq!(patched.len(), lines.len());
    for contact in patched {
        let path = format!("/me/contacts/{}", contact["id"].as_str().unwrap());
        app.user("ann").patch(&path, "{\"nickName\":\"n\",\"personalNotes\":\"p\"}").json(200);
    }
    for number in 0..lines.len() {
        let got = ann.get(&format!("{BOOK}{number}.vcf"));
        assert!(got.status == 200 && got.text().contains("NICKNAME:n"), "{number}: {}", got.text());
    }
}

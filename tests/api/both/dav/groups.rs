//! Groups are cards of their own: no contact, nothing of Graph.

use super::{ADA, BOOK, ask, basic, card, contacts, put, sync};
use crate::app::TestApp;

const GROUP: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:G\r\nFN:Family\r\nN:Family;;;;\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n\
X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:nobody\r\nEND:VCARD\r\n";

#[test]
fn a_group_is_a_card_and_no_contact() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let delta = graph.get("/me/contacts/delta").json(200)["@odata.deltaLink"].as_str().unwrap().to_owned();
    let (_, _, begun) = sync(&ann, BOOK, "");
    let path = format!("{BOOK}g.vcf");
    let made = put(&ann, &path, &[], GROUP);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!((ann.get(&path).text().as_str(), ann.get(&path).header("etag")), (GROUP, made.header("etag")));
    assert_eq!(contacts(&graph).len(), 0);
    assert_eq!(graph.get(&delta).json(200)["value"].as_array().unwrap().len(), 0);
    let (there, gone, token) = sync(&ann, BOOK, &begun);
    assert_eq!((there, gone.len()), (vec![(path.clone(), made.header("etag"))], 0));
    let four = ask(&ann, "GET", &path, &[("Accept", "text/vcard;version=4.0")], "").text();
    assert!(four.contains("KIND:group\r\n") && four.contains("MEMBER:urn:uuid:nobody\r\n"), "{four}");
    assert_eq!(put(&ann, &path, &[], &GROUP.replace("Family", "Friends")).status, 204);
    for (name, body) in [("g.vcf", card("G", ADA)), ("g.vcf", GROUP.replace("UID:G", "UID:H"))] {
        assert_eq!(put(&ann, &format!("{BOOK}{name}"), &[], &body).status, 403);
    }
    put(&ann, &format!("{BOOK}a.vcf"), &[], &card("A", ADA));
    let turned = put(&ann, &format!("{BOOK}a.vcf"), &[], &GROUP.replace("UID:G", "UID:A"));
    assert!(turned.status == 403 && turned.text().contains("C:valid-address-data"), "{}", turned.text());
    ask(&ann, "DELETE", &path, &[], "").empty(204);
    let (there, gone, _) = sync(&ann, BOOK, &token);
    assert_eq!((there.len(), gone), (1, vec![path]));
}

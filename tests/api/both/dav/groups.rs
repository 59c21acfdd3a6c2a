//! Groups are separate cards. They are not contacts, and Graph does not show them.

use contactd::domain::import::Undone;
use serde_json::json;
use uuid::Uuid;

use super::{ADA, BOOK, all, ask, basic, card, contacts, put, sync};
use crate::app::{Client, TestApp};
use crate::both::corpus::import;

const GROUP: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:G\r\nFN:Family\r\nN:Family;;;;\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n\
X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:nobody\r\nEND:VCARD\r\n";

#[test]
fn a_group_card_is_stored_as_a_card_and_not_as_a_contact() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let delta = graph.get("/me/contacts/delta").json(200)["@odata.deltaLink"].as_str().unwrap().to_owned();
    let (_, _, token_before) = sync(&ann, BOOK, "");
    let path = format!("{BOOK}g.vcf");
    let made = put(&ann, &path, &[], GROUP);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!((ann.get(&path).text().as_str(), ann.get(&path).header("etag")), (GROUP, made.header("etag")));
    assert_eq!(contacts(&graph).len(), 0);
    assert_eq!(graph.get(&delta).json(200)["value"].as_array().unwrap().len(), 0);
    let (changed, gone, token) = sync(&ann, BOOK, &token_before);
    assert_eq!((changed, gone.len()), (vec![(path.clone(), made.header("etag"))], 0));
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
    let (changed, gone, _) = sync(&ann, BOOK, &token);
    assert_eq!((changed.len(), gone), (1, vec![path]));
}

/// The group cards and the other cards of an address book.
fn cards_of(client: &Client, book: &str) -> (Vec<String>, Vec<String>) {
    let (listed, ..) = sync(client, book, "");
    let texts = listed.iter().map(|(href, _)| client.get(href).text());
    texts.partition(|text| text.contains("KIND:group"))
}

#[test]
fn an_imported_group_is_a_category_of_its_members_and_a_stored_card() {
    const IMPORT: &str = "/me/contacts/$import";
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let group = GROUP.replace("nobody", "A").replace("END:", "X-ODD:g\r\nEND:");
    let file = card("A", &format!("{ADA}X-ODD:a\r\n")) + &group;
    let (_, last) = import(&graph, IMPORT, file.as_bytes());
    assert_eq!((&last["counts"]["created"], &last["counts"]["groups"]), (&json!(1), &json!(1)));
    assert_eq!(contacts(&graph)[0]["categories"], json!(["Family"]));
    let (groups, others) = cards_of(&ann, BOOK);
    assert_eq!(groups, std::slice::from_ref(&group));
    assert!(others[0].contains("CATEGORIES:Family\r\n") && others[0].contains("X-ODD:a\r\n"), "{others:?}");
    // The same again changes nothing.
    let before = app.sql("select seq from mailboxes");
    let (_, again) = import(&graph, IMPORT, file.as_bytes());
    assert_eq!((&again["counts"]["unchanged"], app.sql("select seq from mailboxes")), (&json!(1), before));
    // It is exported completely in both versions, unless contacts are selected.
    let exported = graph.get("/me/contacts/$export").text();
    assert!(exported.ends_with(&group), "{exported}");
    let four = graph.get("/me/contacts/$export?format=vcard4").text();
    assert!(four.contains("\r\nKIND:group\r\nMEMBER:urn:uuid:A\r\nX-ODD:g\r\n"), "{four}");
    assert!(!graph.get("/me/contacts/$export?$search=Ada").text().contains("KIND:group"));
    let (bob, bobs_graph) = (basic(&app, "bob"), app.user("bob"));
    import(&bobs_graph, IMPORT, exported.as_bytes());
    assert_eq!(contacts(&bobs_graph)[0]["categories"], json!(["Family"]));
    assert_eq!(cards_of(&bob, "/dav/addressbooks/bob/contacts/").0, [group]);
    // A client's group is exported too.
    put(&ann, &format!("{BOOK}h.vcf"), &[], &GROUP.replace("UID:G", "UID:H"));
    assert_eq!(all(&graph.get("/me/contacts/$export").text(), "KIND:", "\r\n"), ["group", "group"]);
}

#[test]
fn undoing_an_import_undoes_its_groups() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let nameless = GROUP.replace("UID:G\r\n", "").replace("Family", "Friends");
    let file = |group: &str| card("A", ADA) + group + &nameless;
    let run = |file: &str| {
        let (_, last) = import(&graph, "/me/contacts/$import", file.as_bytes());
        last["import"].as_str().unwrap().parse::<Uuid>().unwrap()
    };
    let first = run(&file(GROUP));
    let mut kept = cards_of(&ann, BOOK).0;
    kept.sort();
    assert!(kept.len() == 2 && kept.iter().all(|group| group.contains("\r\nUID:")), "{kept:?}");
    let second = run(&file(&GROUP.replace("nobody", "A")));
    assert_eq!(contacts(&graph)[0]["categories"], json!(["Family"]));
    let undo = |run: Uuid| {
        let mailbox = app.count("select mailbox from users where id = 'ann'");
        let done = app.beside(async |store| store.undo_import(mailbox, run, Uuid::nil()).await.unwrap());
        done.into_iter().map(|(_, undone)| undone).collect::<Vec<_>>()
    };
    assert_eq!(undo(second), [Undone::Restored, Undone::Restored]);
    assert_eq!(contacts(&graph)[0]["categories"], json!([]));
    let mut restored = cards_of(&ann, BOOK).0;
    restored.sort();
    assert_eq!(restored, kept);
    // The second import and its undo have changed these since.
    assert_eq!(undo(first).iter().filter(|undone| **undone == Undone::Removed).count(), 1);
    assert_eq!(cards_of(&ann, BOOK).0.len(), 1);
}

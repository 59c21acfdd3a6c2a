//! Sync tokens: a client that knows only names, ETags and tokens ends with the server's state.

use std::collections::BTreeMap;

use contactd::domain::contact::Text;
use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::user::UserName;
use serde_json::json;

use super::{ADA, BOOK, NAMESPACES, ask, basic, card, contacts, parse, propfind, put, report, sync, with_basic};
use crate::app::{Client, TestApp};
use crate::both::pictures::gif;
use crate::program::{Place, Program, contactd, serve_dev};

/// A round with more cards than are read from the database at once.
#[test]
fn a_long_sync_round_names_each_card_once() {
    const CARDS: usize = 1_100;
    let app = TestApp::new();
    let (ann, user) = (basic(&app, "ann"), app.user("ann"));
    let (_, _, token_before) = sync(&ann, BOOK, "");
    let file: String = (0..CARDS).map(|n| card(&format!("long-{n}"), ADA)).collect();
    let import = user.with("Content-Type", "text/vcard").send("POST", "/me/contacts/$import", Some(file.into_bytes()));
    assert_eq!(import.status, 200);
    let (changed, gone, token) = sync(&ann, BOOK, &token_before);
    let tags: BTreeMap<_, _> = changed.iter().cloned().collect();
    assert_eq!((changed.len(), tags.len(), gone.len()), (CARDS, CARDS, 0));
    let (listed, _, _) = sync(&ann, BOOK, "");
    assert_eq!(listed.into_iter().collect::<BTreeMap<_, _>>(), tags);
    let stored = user.get("/me/contacts?$top=1000&$select=id").json(200)["value"].as_array().unwrap().clone();
    assert_eq!(stored.len(), 1_000);
    for block in stored.chunks(20) {
        let steps: Vec<_> = block
            .iter()
            .map(|contact| json!({"id": contact["id"], "method": "DELETE", "url": format!("/me/contacts/{}", contact["id"].as_str().unwrap())}))
            .collect();
        user.post("/$batch", json!({"requests": steps})).json(200);
    }
    let (changed, gone, next) = sync(&ann, BOOK, &token);
    let gone_once: std::collections::BTreeSet<_> = gone.iter().collect();
    assert_eq!((changed.len(), gone.len(), gone_once.len()), (0, stored.len(), stored.len()));
    assert!(gone.iter().all(|href| tags.contains_key(href)));
    let (changed, gone, _) = sync(&ann, BOOK, &next);
    assert_eq!((changed, gone), (Vec::new(), Vec::new()));
}

fn page(
    client: &Client,
    path: &str,
    token: &str,
    limit: usize,
) -> (String, Vec<(String, String)>, Vec<String>, String) {
    let inside = format!(
        "<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:limit><D:nresults>{limit}</D:nresults></D:limit>\
         <D:prop><D:getetag/></D:prop>"
    );
    let text = report(client, path, "D:sync-collection", &inside).text();
    let (changed, gone, token) = parse(&text);
    (text, changed, gone, token)
}

#[test]
fn each_change_is_reported_once_and_only_in_its_address_book() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let other = graph.post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let other_book = format!("/dav/addressbooks/ann/{other}/");
    let (_, _, of_other) = sync(&ann, &other_book, "");
    let (changed_cards, _, token) = sync(&ann, BOOK, "");
    assert!(
        changed_cards.is_empty() && token.starts_with("data:,") && token.contains(|c: char| c.is_ascii_alphabetic())
    );
    let path = format!("{BOOK}a.vcf");
    let tag = put(&ann, &path, &[], &card("A", ADA)).header("etag");
    let (changed, gone, next) = sync(&ann, BOOK, &token);
    assert_eq!((changed, gone), (vec![(path.clone(), tag)], vec![]));
    assert_eq!(sync(&ann, BOOK, &next), (vec![], vec![], next.clone()), "nothing has changed, nor the token");
    assert_eq!(sync(&ann, &other_book, &of_other), (vec![], vec![], of_other.clone()));
    let ctag = |path: &str| {
        super::between(&propfind(&ann, path, "0", "<CS:getctag/>").text(), "<CS:getctag>", "</CS:getctag>")
    };
    assert_eq!((ctag(BOOK), ctag(&other_book)), (next.clone(), of_other.clone()));
    // Created and deleted within a token's time.
    put(&ann, &format!("{BOOK}brief.vcf"), &[], &card("brief", ADA));
    ask(&ann, "DELETE", &format!("{BOOK}brief.vcf"), &[], "").empty(204);
    let (changed, gone, next) = sync(&ann, BOOK, &next);
    assert_eq!((changed, gone), (vec![], vec![format!("{BOOK}brief.vcf")]));
    // Graph moves it.
    let id = contacts(&graph)[0]["id"].as_str().unwrap().to_owned();
    graph.patch(&format!("/me/contacts/{id}"), json!({"parentFolderId": other})).json(200);
    let (changed, gone, _) = sync(&ann, BOOK, &next);
    assert!(changed.is_empty() && gone.contains(&path), "{gone:?}");
    let (changed, gone, of_other) = sync(&ann, &other_book, &of_other);
    assert_eq!((changed[0].0.clone(), gone.len()), (format!("{other_book}a.vcf"), 0));
    graph.delete(&format!("/me/contacts/{id}/photo")).empty(204);
    assert_eq!(sync(&ann, &other_book, &of_other).0.len(), 0);
    graph.delete(&format!("/me/contactFolders/{other}")).empty(204);
    assert_eq!(
        report(&ann, &other_book, "D:sync-collection", &format!("<D:sync-token>{of_other}</D:sync-token><D:prop/>"))
            .status,
        404
    );
}

#[test]
fn photo_and_card_only_changes_are_reported_to_carddav_and_not_to_graph() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let path = format!("{BOOK}a.vcf");
    put(&ann, &path, &[], &card("A", ADA));
    let id = contacts(&graph)[0]["id"].as_str().unwrap().to_owned();
    let delta = graph.get("/me/contacts/delta").json(200)["@odata.deltaLink"].as_str().unwrap().to_owned();
    let (_, _, mut token) = sync(&ann, BOOK, "");
    let before = graph.get(&format!("/me/contacts/{id}")).header("etag");
    for step in 0..4 {
        match step {
            0 => drop(graph.send("PUT", &format!("/me/contacts/{id}/photo/$value"), Some(gif(1, 1, 50, 1))).json(200)),
            1 => drop(graph.delete(&format!("/me/contacts/{id}/photo")).empty(204)),
            2 => assert_eq!(put(&ann, &path, &[], &card("A", &format!("{ADA}X-LINE:1\r\n"))).status, 204),
            _ => assert_eq!(ask(&ann, "MOVE", &path, &[("Destination", &format!("{BOOK}b.vcf"))], "").status, 201),
        }
        let (changed, gone, next) = sync(&ann, BOOK, &token);
        assert_eq!((changed.len(), gone.len()), (1, usize::from(step == 3)), "{step}: {changed:?} {gone:?}");
        token = next;
        assert_eq!(graph.get(&delta).json(200)["value"].as_array().unwrap().len(), 0, "{step}");
    }
    assert_eq!(graph.get(&format!("/me/contacts/{id}")).header("etag"), before);
}

#[test]
fn sync_pages_of_any_size_report_everything_and_their_tokens_follow_the_last_change() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    for i in 0..7 {
        put(&ann, &format!("{BOOK}{i}.vcf"), &[], &card(&format!("{i}"), ADA));
    }
    let (_, _, initial_token) = sync(&ann, BOOK, "");
    for i in 0..3 {
        ask(&ann, "DELETE", &format!("{BOOK}{i}.vcf"), &[], "").empty(204);
    }
    graph.post("/me/contacts", "{}").json(201);
    put(&ann, &format!("{BOOK}4.vcf"), &[], &card("4", &format!("{ADA}NOTE:x\r\n")));
    let (changed_cards, gone, last) = sync(&ann, BOOK, &initial_token);
    let initial_cards = sync(&ann, BOOK, "").0;
    for limit in 1..9 {
        for (token, expected) in [(initial_token.as_str(), (&changed_cards, gone.len())), ("", (&initial_cards, 0))] {
            let (mut reported, mut missed, mut token) = (BTreeMap::new(), Vec::new(), token.to_owned());
            loop {
                let (text, changed, gone, next) = page(&ann, BOOK, &token, limit);
                assert!(changed.len() + gone.len() <= limit, "{text}");
                reported.extend(changed);
                missed.extend(gone);
                token = next;
                if !text.contains("507 Insufficient Storage") {
                    break;
                }
                assert!(text.contains(&format!("<D:href>{BOOK}</D:href><D:status>HTTP/1.1 507")), "{text}");
            }
            assert_eq!(reported, expected.0.iter().cloned().collect::<BTreeMap<_, _>>(), "{limit}");
            // An initial sync may also report deleted cards.
            assert!(missed.len() >= expected.1, "{limit}: {missed:?}");
            assert_eq!(sync(&ann, BOOK, &token).2, last, "{limit}");
        }
    }
}

#[test]
fn an_invalid_sync_token_is_refused_with_the_status_that_each_client_expects() {
    let app = TestApp::new();
    let (ann, bob) = (basic(&app, "ann"), basic(&app, "bob"));
    let other = app.user("ann").post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let elsewhere = sync(&ann, &format!("/dav/addressbooks/ann/{other}/"), "").2;
    let bobs = sync(&bob, "/dav/addressbooks/bob/contacts/", "").2;
    let own = sync(&ann, BOOK, "").2;
    let forged = own.replace(|c: char| c.is_ascii_uppercase(), "A");
    for token in [elsewhere.as_str(), &bobs, &forged, "data:,nonsense", "1", "http://example.org/ns/sync/1", "0"] {
        let inside = format!("<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:prop/>");
        let body = format!("<D:sync-collection {NAMESPACES}>{inside}</D:sync-collection>");
        let answer = ask(&ann, "REPORT", BOOK, &[("Depth", "1")], &body);
        assert!(answer.status == 403 && answer.text().contains("<D:valid-sync-token/>"), "{token}: {}", answer.text());
        // Thunderbird starts a new sync only on 400.
        let thunderbird = ann.with("User-Agent", "Mozilla/5.0 (X11; rv:153.0) Gecko/20100101 Thunderbird/153.0");
        let answer = ask(&thunderbird, "REPORT", BOOK, &[("Depth", "1")], &body);
        assert!(answer.status == 400 && answer.text().contains("<D:valid-sync-token/>"), "{token}: {}", answer.text());
    }
    for inside in [
        "<D:sync-level>2</D:sync-level>",
        "<D:limit><D:nresults>0</D:nresults></D:limit>",
        "<D:limit><D:nresults>x</D:nresults></D:limit>",
    ] {
        assert_eq!(report(&ann, BOOK, "D:sync-collection", inside).status, 400, "{inside}");
    }
}

#[test]
fn a_sync_token_older_than_the_log_still_works() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    for i in 0..4 {
        put(&ann, &format!("{BOOK}{i}.vcf"), &[], &card(&format!("{i}"), ADA));
    }
    let (_, _, token) = sync(&ann, BOOK, "");
    ask(&ann, "DELETE", &format!("{BOOK}1.vcf"), &[], "").empty(204);
    put(&ann, &format!("{BOOK}2.vcf"), &[], &card("2", &format!("{ADA}NOTE:x\r\n")));
    let id = graph.post("/me/contacts", "{}").id();
    let fresh = sync(&ann, BOOK, &token);
    // A hundred days later the log has only removals, and the last entry of each folder.
    let day = 86_400_000_000_i64;
    app.sql(&format!("update changes set changed_date_time = changed_date_time - 100 * {day}"));
    app.sql(&format!("update contacts set last_modified_date_time = last_modified_date_time - 100 * {day}"));
    app.sql(&format!("update cards set last_modified_date_time = last_modified_date_time - 100 * {day}"));
    let (_, _, token) = {
        // Tokens contain the times of log entries, which have just changed.
        let (text, _, _, continuation) = page(&ann, BOOK, "", 4);
        assert!(text.contains("507") || !continuation.is_empty());
        sync(&ann, BOOK, "")
    };
    put(&ann, &format!("{BOOK}3.vcf"), &[], &card("3", &format!("{ADA}NOTE:y\r\n")));
    graph.delete(&format!("/me/contacts/{id}")).empty(204);
    let app = app.restarted_with(crate::app::Setup {
        options: contactd::store::Options {
            keep_changes: Some(std::time::Duration::from_hours(24 * 90)),
            ..Default::default()
        },
        ..Default::default()
    });
    let ann = basic(&app, "ann");
    crate::receiver::until(|| app.count("select count(*) from changes where not kept") <= 3);
    let (changed, gone, _) = sync(&ann, BOOK, &token);
    assert_eq!(changed.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), [format!("{BOOK}3.vcf")]);
    assert_eq!(gone, [format!("{BOOK}{id}.vcf")]);
    assert_eq!(fresh.0.len(), 2);
}

/// The client's state: names and ETags.
type Known = BTreeMap<String, String>;

#[test]
fn a_syncing_client_ends_with_the_servers_state() {
    let mut app = TestApp::new();
    let other = app.user("ann").post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let books = [BOOK.to_owned(), format!("/dav/addressbooks/ann/{other}/")];
    let mut known: [(Known, String); 2] = Default::default();
    // A linear congruential generator, for a repeatable sequence.
    let mut state = 17_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..40 {
        let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
        for _ in 0..next(6) {
            let book = &books[usize::try_from(next(2)).unwrap()];
            let name = format!("{book}{}.vcf", next(5));
            let other_name = format!("{}{}.vcf", books[usize::try_from(next(2)).unwrap()], next(5));
            let stored_contacts = contacts(&graph);
            let random_contact = (!stored_contacts.is_empty()).then(|| {
                stored_contacts[usize::try_from(next(stored_contacts.len() as u64)).unwrap()]["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            });
            let path = random_contact.map(|id| format!("/me/contacts/{id}")).unwrap_or_default();
            match next(13) {
                0..=2 => {
                    drop(put(&ann, &name, &[], &card(&format!("{}", next(8)), &format!("{ADA}NOTE:{}\r\n", next(99)))));
                }
                3 => drop(ask(&ann, "DELETE", &name, &[], "")),
                4 => drop(ask(&ann, "MOVE", &name, &[("Destination", &other_name)], "")),
                5 if !path.is_empty() => drop(graph.patch(&path, json!({"jobTitle": next(99).to_string()}))),
                6 if !path.is_empty() => {
                    drop(graph.send("PUT", &format!("{path}/photo/$value"), Some(gif(1, 1, 50, 1))));
                }
                7 if !path.is_empty() => {
                    let folder = if next(2) == 0 { "contacts" } else { other.as_str() };
                    drop(graph.patch(&path, json!({"parentFolderId": folder})));
                }
                8 if !path.is_empty() => drop(graph.delete(&path)),
                9 => {
                    let deleted = graph.get("/me/deletedContacts?$select=id").json(200);
                    let Some(first) = deleted["value"].as_array().unwrap().first() else { continue };
                    let id = first["id"].as_str().unwrap();
                    let how = if next(3) == 0 { "permanentDelete" } else { "restore" };
                    drop(graph.post(&format!("/me/deletedContacts/{id}/{how}"), "{}"));
                }
                10 => {
                    let cards: Vec<_> = (0..next(4))
                        .map(|_| card(&format!("{}", next(8)), &format!("{ADA}NOTE:{}\r\n", next(9))))
                        .collect();
                    let group = card("group", &format!("FN:g{}\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n", next(3)));
                    let folder = if next(2) == 0 { "contacts" } else { other.as_str() };
                    let path = format!("/me/contactFolders/{folder}/contacts/$import");
                    let answer = graph.send("POST", &path, Some((cards.concat() + &group).into_bytes()));
                    assert_eq!(answer.status, 200);
                }
                // Another process, which has the same database open.
                11 => app.beside(async |store| {
                    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
                    let mut titled = ContactPatch::default();
                    titled.texts[Text::JobTitle as usize] = Some(Some(next(99).to_string()));
                    store.insert(mailbox, titled).await.unwrap();
                }),
                _ => drop(graph.post(
                    "/me/contacts",
                    json!({"parentFolderId": if next(2) == 0 { "contacts" } else { other.as_str() }}),
                )),
            }
        }
        if round % 13 == 12 {
            app = app.restarted();
        }
        let ann = basic(&app, "ann");
        for (book, (known, token)) in books.iter().zip(&mut known) {
            if next(3) == 0 {
                continue;
            }
            let limit = usize::try_from(next(4) + 1).unwrap();
            loop {
                let (text, changed, gone, after) = page(&ann, book, token, limit);
                for path in gone {
                    known.remove(&path);
                }
                known.extend(changed);
                *token = after;
                if !text.contains("507 Insufficient Storage") {
                    break;
                }
            }
            let listed = propfind(&ann, book, "1", "<D:getetag/>").text();
            let listed: Known = parse(&(listed + "<D:sync-token></D:sync-token>"))
                .0
                .into_iter()
                .filter(|(path, _)| path != book)
                .collect();
            assert_eq!(*known, listed, "round {round}, {book}");
        }
    }
}

#[test]
fn after_a_restore_of_the_database_clients_must_start_a_new_sync() {
    let place = Place::new();
    let run = |arguments: &[&str]| assert!(contactd(arguments).output().unwrap().status.success(), "{arguments:?}");
    let (database, copy) = (place.database(), place.file("copy.db"));
    let (database_text, copy_text) = (database.to_str().unwrap(), copy.to_str().unwrap());
    let server = Program::start(serve_dev(&database));
    let ann = with_basic(&server.user(""), "ann", "ann");
    put(&ann, &format!("{BOOK}a.vcf"), &[], &card("A", ADA));
    let (_, _, before) = sync(&ann, BOOK, "");
    run(&["backup", "--database", database_text, "--to", copy_text]);
    put(&ann, &format!("{BOOK}b.vcf"), &[], &card("B", ADA));
    let (_, _, behind) = sync(&ann, BOOK, &before);
    drop(server);
    run(&["restore", "--from", copy_text, "--database", database_text]);
    let server = Program::start(serve_dev(&database));
    let ann = with_basic(&server.user(""), "ann", "ann");
    // This token belongs to changes that the restore removed, so it is invalid. The earlier token is still valid.
    let inside = format!("<D:sync-token>{behind}</D:sync-token><D:sync-level>1</D:sync-level><D:prop/>");
    let answer = report(&ann, BOOK, "D:sync-collection", &inside);
    assert!(answer.status == 403 && answer.text().contains("<D:valid-sync-token/>"), "{}", answer.text());
    assert_eq!(sync(&ann, BOOK, &before), (Vec::new(), Vec::new(), before.clone()));
    let (changed, gone, token) = sync(&ann, BOOK, "");
    assert_eq!((changed.len(), changed[0].0.clone(), gone.len()), (1, format!("{BOOK}a.vcf"), 0));
    put(&ann, &format!("{BOOK}c.vcf"), &[], &card("C", ADA));
    assert_eq!(sync(&ann, BOOK, &token).0[0].0, format!("{BOOK}c.vcf"));
}

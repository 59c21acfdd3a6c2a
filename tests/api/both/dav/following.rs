//! Sync tokens: a client that knows nothing but names, tags and tokens ends with what the server has.

use std::collections::BTreeMap;

use contactd::domain::contact::Text;
use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::user::UserName;
use serde_json::json;

use super::{ADA, BOOK, SPACES, ask, basic, card, contacts, parse, propfind, put, report, sync, with_basic};
use crate::app::{Client, TestApp};
use crate::both::pictures::gif;
use crate::program::{Place, Program, contactd, serve_dev};

/// A round with more cards than are read at once.
#[test]
fn a_long_round_names_each_card_once() {
    const CARDS: usize = 1_100;
    let app = TestApp::new();
    let (ann, user) = (basic(&app, "ann"), app.user("ann"));
    let (_, _, begun) = sync(&ann, BOOK, "");
    let file: String = (0..CARDS).map(|n| card(&format!("long-{n}"), ADA)).collect();
    let import = user.with("Content-Type", "text/vcard").send("POST", "/me/contacts/$import", Some(file.into_bytes()));
    assert_eq!(import.status, 200);
    let (there, gone, token) = sync(&ann, BOOK, &begun);
    let tags: BTreeMap<_, _> = there.iter().cloned().collect();
    assert_eq!((there.len(), tags.len(), gone.len()), (CARDS, CARDS, 0));
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
    let (there, gone, next) = sync(&ann, BOOK, &token);
    let gone_once: std::collections::BTreeSet<_> = gone.iter().collect();
    assert_eq!((there.len(), gone.len(), gone_once.len()), (0, stored.len(), stored.len()));
    assert!(gone.iter().all(|href| tags.contains_key(href)));
    let (there, gone, _) = sync(&ann, BOOK, &next);
    assert_eq!((there, gone), (Vec::new(), Vec::new()));
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
    let (there, gone, token) = parse(&text);
    (text, there, gone, token)
}

#[test]
fn each_change_is_told_once_and_only_in_its_own_book() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let other = graph.post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let there = format!("/dav/addressbooks/ann/{other}/");
    let (_, _, of_other) = sync(&ann, &there, "");
    let (all, _, token) = sync(&ann, BOOK, "");
    assert!(all.is_empty() && token.starts_with("data:,") && token.contains(|c: char| c.is_ascii_alphabetic()));
    let path = format!("{BOOK}a.vcf");
    let tag = put(&ann, &path, &[], &card("A", ADA)).header("etag");
    let (changed, gone, next) = sync(&ann, BOOK, &token);
    assert_eq!((changed, gone), (vec![(path.clone(), tag)], vec![]));
    assert_eq!(sync(&ann, BOOK, &next), (vec![], vec![], next.clone()), "nothing has changed, nor the token");
    assert_eq!(sync(&ann, &there, &of_other), (vec![], vec![], of_other.clone()));
    let ctag = |path: &str| {
        super::between(&propfind(&ann, path, "0", "<CS:getctag/>").text(), "<CS:getctag>", "</CS:getctag>")
    };
    assert_eq!((ctag(BOOK), ctag(&there)), (next.clone(), of_other.clone()));
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
    let (changed, gone, of_other) = sync(&ann, &there, &of_other);
    assert_eq!((changed[0].0.clone(), gone.len()), (format!("{there}a.vcf"), 0));
    graph.delete(&format!("/me/contacts/{id}/photo")).empty(204);
    assert_eq!(sync(&ann, &there, &of_other).0.len(), 0);
    graph.delete(&format!("/me/contactFolders/{other}")).empty(204);
    assert_eq!(
        report(&ann, &there, "D:sync-collection", &format!("<D:sync-token>{of_other}</D:sync-token><D:prop/>")).status,
        404
    );
}

#[test]
fn a_photo_and_a_line_of_the_card_are_told_here_and_not_to_graph() {
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
fn pages_of_any_size_tell_everything_and_stand_behind_the_last_told() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    for i in 0..7 {
        put(&ann, &format!("{BOOK}{i}.vcf"), &[], &card(&format!("{i}"), ADA));
    }
    let (_, _, begun) = sync(&ann, BOOK, "");
    for i in 0..3 {
        ask(&ann, "DELETE", &format!("{BOOK}{i}.vcf"), &[], "").empty(204);
    }
    graph.post("/me/contacts", "{}").json(201);
    put(&ann, &format!("{BOOK}4.vcf"), &[], &card("4", &format!("{ADA}NOTE:x\r\n")));
    let (all, gone, last) = sync(&ann, BOOK, &begun);
    let whole = sync(&ann, BOOK, "").0;
    for limit in 1..9 {
        for (token, expected) in [(begun.as_str(), (&all, gone.len())), ("", (&whole, 0))] {
            let (mut told, mut missed, mut token) = (BTreeMap::new(), Vec::new(), token.to_owned());
            loop {
                let (text, there, gone, next) = page(&ann, BOOK, &token, limit);
                assert!(there.len() + gone.len() <= limit, "{text}");
                told.extend(there);
                missed.extend(gone);
                token = next;
                if !text.contains("507 Insufficient Storage") {
                    break;
                }
                assert!(text.contains(&format!("<D:href>{BOOK}</D:href><D:status>HTTP/1.1 507")), "{text}");
            }
            assert_eq!(told, expected.0.iter().cloned().collect::<BTreeMap<_, _>>(), "{limit}");
            // Which of them were never there does not matter to whom begins.
            assert!(missed.len() >= expected.1, "{limit}: {missed:?}");
            assert_eq!(sync(&ann, BOOK, &token).2, last, "{limit}");
        }
    }
}

#[test]
fn a_token_of_anything_else_is_refused_in_the_way_each_client_understands() {
    let app = TestApp::new();
    let (ann, bob) = (basic(&app, "ann"), basic(&app, "bob"));
    let other = app.user("ann").post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let elsewhere = sync(&ann, &format!("/dav/addressbooks/ann/{other}/"), "").2;
    let bobs = sync(&bob, "/dav/addressbooks/bob/contacts/", "").2;
    let own = sync(&ann, BOOK, "").2;
    let forged = own.replace(|c: char| c.is_ascii_uppercase(), "A");
    for token in [elsewhere.as_str(), &bobs, &forged, "data:,nonsense", "1", "http://example.org/ns/sync/1", "0"] {
        let inside = format!("<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:prop/>");
        let body = format!("<D:sync-collection {SPACES}>{inside}</D:sync-collection>");
        let answer = ask(&ann, "REPORT", BOOK, &[("Depth", "1")], &body);
        assert!(answer.status == 403 && answer.text().contains("<D:valid-sync-token/>"), "{token}: {}", answer.text());
        // It begins anew on 400 only.
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
fn a_token_leads_on_where_the_log_no_longer_does() {
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
    // A hundred days later the log has only what was removed, and the last of each folder.
    let day = 86_400_000_000_i64;
    app.sql(&format!("update changes set changed_date_time = changed_date_time - 100 * {day}"));
    app.sql(&format!("update contacts set last_modified_date_time = last_modified_date_time - 100 * {day}"));
    app.sql(&format!("update cards set last_modified_date_time = last_modified_date_time - 100 * {day}"));
    let (_, _, token) = {
        // Tokens have the times of entries in them, which have just changed.
        let (text, _, _, begun) = page(&ann, BOOK, "", 4);
        assert!(text.contains("507") || !begun.is_empty());
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

/// What the client knows: names and tags.
type Known = BTreeMap<String, String>;

#[test]
fn a_follower_ends_with_what_the_server_has_whatever_was_done() {
    let mut app = TestApp::new();
    let other = app.user("ann").post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let books = [BOOK.to_owned(), format!("/dav/addressbooks/ann/{other}/")];
    let mut known: [(Known, String); 2] = Default::default();
    // A fixed sequence: a linear congruence is random enough, and the same each time.
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
            let all = contacts(&graph);
            let some = (!all.is_empty())
                .then(|| all[usize::try_from(next(all.len() as u64)).unwrap()]["id"].as_str().unwrap().to_owned());
            let path = some.map(|id| format!("/me/contacts/{id}")).unwrap_or_default();
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
                let (text, there, gone, after) = page(&ann, book, token, limit);
                for path in gone {
                    known.remove(&path);
                }
                known.extend(there);
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
fn who_follows_a_database_that_was_restored_is_told_to_begin_anew() {
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
    // What this token knows never was, in the history that goes on; the one before it leads on.
    let inside = format!("<D:sync-token>{behind}</D:sync-token><D:sync-level>1</D:sync-level><D:prop/>");
    let answer = report(&ann, BOOK, "D:sync-collection", &inside);
    assert!(answer.status == 403 && answer.text().contains("<D:valid-sync-token/>"), "{}", answer.text());
    assert_eq!(sync(&ann, BOOK, &before), (Vec::new(), Vec::new(), before.clone()));
    let (there, gone, token) = sync(&ann, BOOK, "");
    assert_eq!((there.len(), there[0].0.clone(), gone.len()), (1, format!("{BOOK}a.vcf"), 0));
    put(&ann, &format!("{BOOK}c.vcf"), &[], &card("C", ADA));
    assert_eq!(sync(&ann, BOOK, &token).0[0].0, format!("{BOOK}c.vcf"));
}

//! Every call of CardDAV by every kind of caller. Shares, tokens and scopes mean the same as in Graph.

use contactd::domain::scopes::Scopes;

use super::{ADA, BOOK, ask, card, propfind, put, with_basic};
use crate::app::{Answer, Client};
use crate::both::rights::{SHARED, app, name, secret_of, token, user};

/// One mark for each kind of answer: served, 401, 403, 404.
fn mark(answer: &Answer) -> char {
    match answer.status {
        401 => '1',
        403 => '3',
        404 => '4',
        200..=299 => '+',
        _ => '?',
    }
}

const CALLERS: [&str; 11] = [
    "nobody",
    "ann, revoked",
    "ann, expired",
    "ann, Contacts.Read",
    "ann, Contacts.ReadWrite",
    "bob, another",
    "carl, shared to read",
    "dora, shared to write",
    "dora, but Contacts.ReadWrite",
    "erik, disabled, shared to write",
    "an application",
];

/// Method, path, headers, body, and the expected marks of the callers.
type CallCase<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

const TOKEN: &str = "111++++++13";
const READ: &str = "111++4++413";
const WRITE: &str = "1113+43+413";

#[test]
fn every_carddav_call_is_answered_to_every_caller_as_listed() {
    let app = app();
    let stranger = app.user("");
    let callers: Vec<Client> = app.beside(async |store| {
        let owner = user(store, "ann").await;
        for (id, shared) in [("bob", None), ("carl", Some(false)), ("dora", Some(true)), ("erik", Some(true))] {
            let with = user(store, id).await;
            if let Some(can_write) = shared {
                store.share(owner.mailbox, with, can_write).await.unwrap();
            }
        }
        let usual = Scopes::default_for(false).to_string();
        let client_of = async |bearer: &str, scopes: &str| {
            let secret = secret_of(store, bearer, scopes).await;
            with_basic(&stranger, bearer, &secret)
        };
        let (revoked, secret) = token(store, "ann", &usual, None).await;
        store.revoke_token(revoked.id).await.unwrap();
        let expired = token(store, "ann", &usual, Some(1)).await.1;
        let erik = client_of("erik", SHARED).await;
        store.disable_user(&name("erik"), true).await.unwrap();
        let application = secret_of(store, "app:sync", "Contacts.ReadWrite").await;
        vec![
            stranger.clone(),
            with_basic(&stranger, "ann", &secret),
            with_basic(&stranger, "ann", &expired),
            client_of("ann", "Contacts.Read").await,
            client_of("ann", "Contacts.ReadWrite").await,
            client_of("bob", &usual).await,
            client_of("carl", SHARED).await,
            client_of("dora", SHARED).await,
            client_of("dora", "Contacts.ReadWrite").await,
            erik,
            app.user(&application),
        ]
    });
    let ann = &callers[4];
    let find = "<propfind xmlns=\"DAV:\"><prop><getetag/></prop></propfind>";
    let change = "<propertyupdate xmlns=\"DAV:\"><set><prop><x xmlns=\"urn:x\"/></prop></set></propertyupdate>";
    let get = format!(
        "<m:addressbook-multiget xmlns:m=\"urn:ietf:params:xml:ns:carddav\" xmlns:D=\"DAV:\"><D:prop/><D:href>{BOOK}a.vcf</D:href></m:addressbook-multiget>"
    );
    let (home, one, other) = ("/dav/addressbooks/ann/", format!("{BOOK}a.vcf"), "/dav/addressbooks/ann/other/");
    let complete_card = card("A", ADA);
    let target = format!("{other}a.vcf");
    let to = [("Destination", target.as_str())];
    let zero = [("Depth", "0")];
    let calls: Vec<CallCase> = vec![
        ("OPTIONS", "/dav/", &[], "", TOKEN),
        ("PROPFIND", "/dav/", &zero, find, TOKEN),
        ("PROPFIND", "/", &zero, find, TOKEN),
        ("OPTIONS", "/dav/principals/ann/", &[], "", READ),
        ("PROPFIND", "/dav/principals/ann/", &zero, find, READ),
        ("OPTIONS", home, &[], "", READ),
        ("GET", home, &[], "", READ),
        ("HEAD", home, &[], "", READ),
        ("PROPFIND", home, &zero, find, READ),
        ("PROPPATCH", home, &[], change, WRITE),
        ("REPORT", home, &[], &get, READ),
        ("OPTIONS", BOOK, &[], "", READ),
        ("GET", BOOK, &[], "", READ),
        ("HEAD", BOOK, &[], "", READ),
        ("PROPFIND", BOOK, &[("Depth", "1")], find, READ),
        ("PROPPATCH", BOOK, &[], change, WRITE),
        ("REPORT", BOOK, &[], &get, READ),
        ("MKCOL", "/dav/addressbooks/ann/new/", &[], "", WRITE),
        ("DELETE", other, &[], "", WRITE),
        ("OPTIONS", &one, &[], "", READ),
        ("GET", &one, &[], "", READ),
        ("HEAD", &one, &[], "", READ),
        ("PUT", &one, &[], &complete_card, WRITE),
        ("PROPFIND", &one, &zero, find, READ),
        ("REPORT", &one, &[], &get, READ),
        ("COPY", &one, &to, "", WRITE),
        ("MOVE", &one, &to, "", WRITE),
        ("DELETE", &one, &[], "", WRITE),
    ];
    for (method, path, headers, body, expected) in calls {
        let marks: String = callers
            .iter()
            .map(|caller| {
                // Each name finds the same user.
                ask(ann, "MKCOL", other, &[], "");
                ask(ann, "DELETE", "/dav/addressbooks/ann/new/", &[], "");
                ask(ann, "DELETE", &target, &[], "");
                put(ann, &one, &[], &complete_card);
                let before = app.sql("select sum(seq) from mailboxes");
                let answer = ask(caller, method, path, headers, body);
                let mark = mark(&answer);
                if mark != '+' {
                    assert_eq!(app.sql("select sum(seq) from mailboxes"), before, "{method} {path} changed something");
                    assert!(!answer.text().contains("Lovelace"), "{method} {path} tells something");
                }
                if mark == '3' && expected == WRITE && !answer.text().contains("application") {
                    assert!(answer.text().contains("<D:need-privileges>"), "{method} {path}: {}", answer.text());
                }
                mark
            })
            .collect();
        assert_eq!(marks, expected, "{method} {path}: {CALLERS:?}");
    }
}

#[test]
fn privileges_show_the_callers_rights_and_the_log_names_the_caller() {
    let app = app();
    let stranger = app.user("");
    let (reads, writes, id) = app.beside(async |store| {
        user(store, "ann").await;
        let (made, secret) = token(store, "ann", "Contacts.ReadWrite", None).await;
        let reads = secret_of(store, "ann", "Contacts.Read").await;
        (with_basic(&stranger, "ann", &reads), with_basic(&stranger, "ann", &secret), made.id)
    });
    let privileges = |client: &Client| propfind(client, BOOK, "0", "<D:current-user-privilege-set/>").text();
    assert!(privileges(&writes).contains("<D:write/>") && !privileges(&reads).contains("<D:write/>"));
    assert_eq!(put(&writes, &format!("{BOOK}a.vcf"), &[], &card("A", ADA)).status, 201);
    let actions = app.sql("select action from audit order by id desc");
    assert_eq!(actions.lines().next(), Some("PUT /dav/addressbooks/{user}/{folder}/{card}"), "{actions}");
    app.beside(async |store| store.revoke_token(id).await.unwrap());
    assert_eq!(put(&writes, &format!("{BOOK}b.vcf"), &[], &card("B", ADA)).status, 401);
}

#[test]
fn shared_mailboxes_are_address_books_in_the_callers_home() {
    let app = app();
    let nobody = app.user("");
    let (ann, carl, dora, alone) = app.beside(async |store| {
        let owner = user(store, "ann").await;
        for (id, can_write) in [("carl", false), ("dora", true)] {
            let with = user(store, id).await;
            store.share(owner.mailbox, with, can_write).await.unwrap();
        }
        let client_of =
            async |bearer: &str, scopes: &str| with_basic(&nobody, bearer, &secret_of(store, bearer, scopes).await);
        (
            client_of("ann", SHARED).await,
            client_of("carl", SHARED).await,
            client_of("dora", SHARED).await,
            client_of("dora", "Contacts.ReadWrite").await,
        )
    });
    put(&ann, &format!("{BOOK}a.vcf"), &[], &card("A", ADA));
    let properties = "<D:displayname/><D:current-user-privilege-set/>";
    let home = |client: &Client, name: &str| {
        let text = propfind(client, &format!("/dav/addressbooks/{name}/"), "1", properties).text();
        super::all(&text, "<D:response>", "</D:response>")
    };
    for (client, name, may_write) in [(&carl, "carl", false), (&dora, "dora", true)] {
        let books = home(client, name);
        assert_eq!(books.len(), 3, "{books:?}");
        let (book, href) = (&books[2], super::between(&books[2], "<D:href>", "</D:href>"));
        assert!(href.starts_with(&format!("/dav/addressbooks/{name}/=")), "{href}");
        assert!(book.contains("<D:displayname>Contacts (ann)</D:displayname>"), "{book}");
        assert_eq!(book.contains("<D:write/>"), may_write, "{book}");
        let (listed, _, token) = super::sync(client, &href, "");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].0, format!("{href}a.vcf"));
        let text = super::multiget(client, &href, "<C:address-data/>", &[&listed[0].0]).text();
        assert!(text.contains("Lovelace"), "{text}");
        let answer = put(client, &format!("{href}{name}.vcf"), &[], &card(name, ADA));
        assert_eq!(answer.status, if may_write { 201 } else { 403 }, "{}", answer.text());
        assert_eq!(super::sync(client, &href, &token).0.len(), usize::from(may_write));
        let stranger = if may_write { &carl } else { &dora };
        assert_eq!(propfind(stranger, &href, "0", properties).status, 404, "it is in another's home");
    }
    assert_eq!(home(&alone, "dora").len(), 2);
    assert_eq!(home(&ann, "ann").len(), 2);
}

//! Discovery of address books, and the methods of each path.

use super::{BOOK, ask, basic, between, propfind, with_basic};
use crate::app::{Setup, TestApp};
use contactd::http::Settings;
use contactd::{DavSettings, FrontEndSettings};

#[test]
fn a_first_sync_follows_the_steps_that_clients_expect() {
    let app = TestApp::new();
    let (stranger, ann) = (app.user(""), basic(&app, "ann"));
    for method in ["PROPFIND", "GET", "OPTIONS", "REPORT"] {
        let answer = ask(&stranger, method, "/.well-known/carddav", &[], "");
        assert_eq!((answer.status, answer.header("location").as_str()), (301, "/dav/"), "{method}");
    }
    let body = "<propfind xmlns=\"DAV:\"><prop><current-user-principal/><resourcetype/></prop></propfind>";
    let answer = ask(&stranger, "PROPFIND", "/dav/", &[("Depth", "0")], body);
    assert_eq!(answer.status, 401);
    let challenges: Vec<_> =
        answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(challenges, ["Basic realm=\"contactd\", charset=\"UTF-8\"", "Bearer"]);
    assert!(answer.text().contains("<D:error"), "{}", answer.text());
    for path in ["/dav/", "/dav", "/"] {
        let answer = ask(&ann, "PROPFIND", path, &[("Depth", "0")], body);
        assert_eq!(answer.status, 207, "{}", answer.text());
        assert_eq!(answer.header("dav"), "1, 3, addressbook, extended-mkcol");
        assert_eq!(answer.header("content-type"), "application/xml; charset=utf-8");
        let principal = between(&answer.text(), "<D:current-user-principal><D:href>", "</D:href>");
        assert_eq!(principal, "/dav/principals/ann/");
    }
    let options = ask(&ann, "OPTIONS", "/dav/principals/ann/", &[], "");
    assert_eq!((options.status, options.header("dav").as_str()), (200, "1, 3, addressbook, extended-mkcol"));
    assert_eq!(options.header("allow"), "OPTIONS, PROPFIND, REPORT");
    let answer = propfind(&ann, "/dav/principals/ann/", "0", "<C:addressbook-home-set/>").text();
    assert_eq!(between(&answer, "<C:addressbook-home-set><D:href>", "</D:href>"), "/dav/addressbooks/ann/");
    app.user("ann").post("/me/contactFolders", "{\"displayName\":\"Aunts\"}").json(201);
    let properties = "<D:resourcetype/><D:displayname/><CS:getctag/><D:sync-token/><D:current-user-privilege-set/>\
                  <D:supported-report-set/><C:supported-address-data/><D:unknown/>";
    let text = propfind(&ann, "/dav/addressbooks/ann/", "1", properties).text();
    let responses = super::all(&text, "<D:response>", "</D:response>");
    let hrefs: Vec<_> = responses.iter().map(|response| between(response, "<D:href>", "</D:href>")).collect();
    // The home first, then the default address book, whatever the names of the others.
    assert_eq!(hrefs[..2], ["/dav/addressbooks/ann/", BOOK]);
    assert_eq!(hrefs.len(), 3);
    for part in [
        "<D:resourcetype><D:collection/><C:addressbook/></D:resourcetype>",
        "<D:displayname>Contacts</D:displayname>",
        "<CS:getctag>data:,",
        "<D:sync-token>data:,",
        "<D:privilege><D:write-content/></D:privilege>",
        "<D:report><D:sync-collection/></D:report>",
        "<C:address-data-type content-type=\"text/vcard\" version=\"3.0\"/>",
        "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat><D:propstat><D:prop><D:unknown/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status>",
    ] {
        assert!(responses[1].contains(part), "{part} is not in {}", responses[1]);
    }
    assert!(responses[0].contains("<D:resourcetype><D:collection/></D:resourcetype>"), "{}", responses[0]);
}

#[test]
fn every_carddav_path_offers_exactly_the_documented_methods() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    app.user("ann").post("/me/contacts", "{}");
    let name = super::contacts(&app.user("ann"))[0]["id"].as_str().unwrap().to_owned();
    let card = format!("{BOOK}{name}.vcf");
    for (path, allow) in [
        ("/", "OPTIONS, PROPFIND, GET, HEAD"),
        ("/dav/", "OPTIONS, PROPFIND"),
        ("/dav/principals/", "OPTIONS, PROPFIND"),
        ("/dav/addressbooks/ann/", "OPTIONS, GET, HEAD, PROPFIND, PROPPATCH, REPORT"),
        (BOOK, "OPTIONS, GET, HEAD, PROPFIND, REPORT, PROPPATCH, MKCOL, COPY, MOVE, DELETE"),
        (&card, "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, REPORT"),
    ] {
        let answer = ask(&ann, "OPTIONS", path, &[], "");
        assert_eq!((answer.status, answer.header("allow").as_str()), (200, allow), "{path}");
        assert_eq!(ask(&app.user(""), "OPTIONS", path, &[], "").status, 401, "{path}");
    }
    for (method, path, status) in [
        ("LOCK", BOOK, 405),
        ("POST", BOOK, 405),
        ("PUT", BOOK, 405),
        ("MKCALENDAR", BOOK, 405),
        ("PATCH", card.as_str(), 405),
        ("FROB", BOOK, 501),
        ("PROPFIND", "/dav/nowhere/", 404),
        ("PROPFIND", "/dav/addressbooks/ann/nowhere/", 404),
        ("PROPFIND", "/dav/addressbooks/bob/", 404),
        ("GET", "/dav/addressbooks/ann/contacts/nothing.vcf", 404),
        ("DELETE", "/dav/addressbooks/ann/contacts/nothing.vcf", 404),
        ("GET", "/dav/addressbooks/ann/%zz/", 400),
    ] {
        let answer = ask(&ann, method, path, &[("Depth", "0")], "");
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.text().contains("urn:contactd:error"), "{method} {path}");
        assert_eq!(status == 405, answer.headers.contains_key("allow"), "{method} {path}");
    }
    for path in ["/dav/addressbooks/ann/", BOOK] {
        let page = ann.get(path);
        assert_eq!((page.status, page.header("content-type").as_str()), (200, "text/plain; charset=utf-8"));
        assert!(page.headers.contains_key("etag"));
    }
}

#[test]
fn a_user_signs_in_with_each_name_and_only_with_their_own_token() {
    let app = TestApp::new();
    let status = |user: &str, password: &str| {
        let client = with_basic(&app.user(""), user, password);
        propfind(&client, "/dav/", "0", "<D:resourcetype/>").status
    };
    for name in ["ann", "ANN@localhost", "ann%40localhost"] {
        assert_eq!(status(name, "ann"), 207, "{name}");
    }
    for (user, password) in [("bob", "ann"), ("", "ann"), ("ann", ""), ("ann", "app:ann"), ("app:ann", "app:ann")] {
        assert_eq!(status(user, password), 401, "{user}:{password}");
    }
    for sent in ["Basic", "Basic !", "Basic YW5u", "Digest x"] {
        let client = app.user("").with("Authorization", sent);
        assert_eq!(propfind(&client, "/dav/", "0", "<D:resourcetype/>").status, 401, "{sent}");
    }
    // A bearer token is accepted too. An application has no home.
    assert_eq!(propfind(&app.user("ann"), "/dav/", "0", "<D:resourcetype/>").status, 207);
    assert_eq!(propfind(&app.user("app:sync"), "/dav/", "0", "<D:resourcetype/>").status, 403);
    // The Graph API accepts no passwords.
    assert_eq!(basic(&app, "ann").get("/me/contacts").status, 401);
}

#[test]
fn basic_authentication_is_refused_without_encryption() {
    let forwarded = |plain_basic| {
        let limits = contactd::http::Limits { forwarded: true, ..Default::default() };
        let origin = contactd::http::Origin::Forwarded;
        let settings = Settings { limits, origin, ..Settings::default() };
        let carddav = Some(DavSettings { plain_basic });
        let front_ends = FrontEndSettings { carddav, ..FrontEndSettings::default() };
        TestApp::with(Setup { settings, front_ends, ..Setup::default() })
    };
    let app = forwarded(false);
    let far = |app: &TestApp, scheme: &str, name: &str| {
        let client = if name.is_empty() { app.user("") } else { basic(app, name) };
        client.with("X-Forwarded-For", "192.0.2.1").with("X-Forwarded-Proto", scheme)
    };
    for name in ["", "ann"] {
        let answer = propfind(&far(&app, "http", name), "/dav/", "0", "<D:resourcetype/>");
        assert_eq!(answer.status, 403, "{name}");
        assert!(!answer.headers.contains_key("www-authenticate"));
        assert!(answer.text().contains("--allow-plain-basic"), "{}", answer.text());
    }
    assert_eq!(propfind(&far(&app, "https", "ann"), "/dav/", "0", "<D:resourcetype/>").status, 207);
    assert_eq!(propfind(&far(&app, "https", ""), "/dav/", "0", "<D:resourcetype/>").status, 401);
    let bearer = app.user("ann").with("X-Forwarded-For", "192.0.2.1");
    assert_eq!(propfind(&bearer, "/dav/", "0", "<D:resourcetype/>").status, 207);
    let redirect = ask(&far(&app, "http", ""), "GET", "/.well-known/carddav", &[], "");
    assert_eq!(redirect.status, 301);
    let open = forwarded(true);
    assert_eq!(propfind(&far(&open, "http", "ann"), "/dav/", "0", "<D:resourcetype/>").status, 207);
}

#[test]
fn hrefs_start_with_the_public_prefix() {
    let origin = contactd::http::Origin::Public("https://a.example/graph".to_owned());
    let app = TestApp::with(Setup { settings: Settings { origin, ..Settings::default() }, ..Setup::default() });
    let ann = basic(&app, "ann");
    assert_eq!(ask(&ann, "GET", "/.well-known/carddav", &[], "").header("location"), "/graph/dav/");
    for path in ["/dav/", "/graph/dav/"] {
        let text = propfind(&ann, path, "0", "<D:current-user-principal/>").text();
        assert_eq!(between(&text, "<D:current-user-principal><D:href>", "</D:href>"), "/graph/dav/principals/ann/");
    }
    super::put(&ann, "/graph/dav/addressbooks/ann/contacts/a.vcf", &[], &super::card("a", super::ADA));
    let hrefs = ["/graph/dav/addressbooks/ann/contacts/a.vcf", "/dav/addressbooks/ann/contacts/a.vcf"];
    for href in hrefs {
        let text = super::multiget(&ann, "/graph/dav/addressbooks/ann/contacts/", "", &[href]).text();
        assert!(text.contains("<D:href>/graph/dav/addressbooks/ann/contacts/a.vcf</D:href><D:propstat>"), "{text}");
    }
}

#[test]
fn carddav_can_be_switched_off() {
    let front_ends = FrontEndSettings { carddav: None, ..FrontEndSettings::default() };
    let app = TestApp::with(Setup { front_ends, ..Setup::default() });
    for (method, path) in [("PROPFIND", "/dav/"), ("GET", "/.well-known/carddav"), ("PROPFIND", "/")] {
        let answer = ask(&basic(&app, "ann"), method, path, &[("Depth", "0")], "");
        assert!([401, 404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
        assert!(!answer.headers.contains_key("dav"));
    }
}

#[test]
fn an_allowed_origin_may_call_carddav() {
    let cors = vec!["https://app.example.org".parse().unwrap()];
    let app = TestApp::with(Setup { settings: Settings { cors, ..Settings::default() }, ..Setup::default() });
    let page = app.user("").with("Origin", "https://app.example.org");
    let preflight = page.with("Access-Control-Request-Method", "PROPFIND");
    let preflight = preflight.with("Access-Control-Request-Headers", "Depth, If-Match, Authorization");
    let answer = ask(&preflight, "OPTIONS", BOOK, &[], "");
    assert_eq!(answer.status, 204);
    assert!(answer.header("access-control-allow-methods").contains("PROPFIND"));
    assert_eq!(answer.header("access-control-allow-headers"), "depth, if-match, authorization");
    // Thunderbird sends an origin of its own with every request.
    let other = basic(&app, "ann").with("Origin", "moz-extension://x");
    let answer = propfind(&other, "/dav/", "0", "<D:resourcetype/>");
    assert!(answer.status == 207 && !answer.headers.contains_key("access-control-allow-origin"));
}

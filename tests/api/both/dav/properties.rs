//! Properties and collections, by the checks of litmus.

use super::{BOOK, NAMESPACES, ask, basic, propfind};
use crate::app::{Answer, Client, TestApp};

fn proppatch(client: &Client, path: &str, inside: &str) -> Answer {
    let body = format!("<D:propertyupdate {NAMESPACES} xmlns:x=\"urn:x\">{inside}</D:propertyupdate>");
    ask(client, "PROPPATCH", path, &[], &body)
}

fn set(property: &str) -> String {
    format!("<D:set><D:prop>{property}</D:prop></D:set>")
}

fn remove(property: &str) -> String {
    format!("<D:remove><D:prop>{property}</D:prop></D:remove>")
}

#[test]
fn client_properties_of_an_address_book_are_returned_unchanged() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let odd = "<x:color xml:lang=\"de\" x:a=\"1\">#f00 ]]&gt; \u{1f600}<x:in y=\"2\"/></x:color>";
    for (inside, expected) in [
        (set(odd), "\u{1f600}"),
        (set("<x:color>blue</x:color>"), ">blue<"),
        (set("<none xmlns=\"\">void</none>"), ">void<"),
        (set("<C:addressbook-description>Of &amp; work</C:addressbook-description>"), "Of &amp; work"),
        (remove("<x:never/>"), ""),
        // In their order, so that the last one counts.
        (remove("<x:color/>") + &set("<x:color>green</x:color>"), ">green<"),
    ] {
        let answer = proppatch(&ann, BOOK, &inside);
        assert!(
            answer.status == 207 && answer.text().contains("200 OK") && !answer.text().contains("40"),
            "{}",
            answer.text()
        );
        let text =
            propfind(&ann, BOOK, "0", "<C:addressbook-description/><x:color xmlns:x=\"urn:x\"/><none xmlns=\"\"/>")
                .text();
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    let all_properties = ask(&ann, "PROPFIND", BOOK, &[("Depth", "0")], "").text();
    assert!(
        all_properties.contains(">green<")
            && all_properties.contains(">void<")
            && all_properties.contains("<D:resourcetype>"),
        "{all_properties}"
    );
    let names =
        ask(&ann, "PROPFIND", BOOK, &[("Depth", "0")], "<propfind xmlns=\"DAV:\"><propname/></propfind>").text();
    assert!(names.contains("color") && !names.contains("green"), "{names}");
    // The home accepts this property, because Apple's Contacts fails if it cannot set it.
    let me = "<CS:me-card><D:href>/dav/addressbooks/ann/contacts/me.vcf</D:href></CS:me-card>";
    assert!(proppatch(&ann, "/dav/addressbooks/ann/", &set(me)).text().contains("200 OK"));
    assert!(propfind(&ann, "/dav/addressbooks/ann/", "0", "<CS:me-card/>").text().contains("me.vcf"));
    assert_eq!(
        ask(
            &ann,
            "PROPPATCH",
            BOOK,
            &[("Prefer", "return=minimal")],
            &format!("<D:propertyupdate {NAMESPACES}>{}</D:propertyupdate>", set("<x xmlns=\"urn:y\"/>"))
        )
        .status,
        204
    );
}

#[test]
fn a_proppatch_is_atomic() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    let other = app.user("ann").post("/me/contactFolders", "{\"displayName\":\"Other\"}").id();
    let path = format!("/dav/addressbooks/ann/{other}/");
    let answer = proppatch(&ann, &path, &(set("<x:a>1</x:a>") + &set("<D:getetag>x</D:getetag>"))).text();
    assert!(
        answer.contains("<D:prop><X:a xmlns:X=\"urn:x\"/></D:prop><D:status>HTTP/1.1 424 Failed Dependency"),
        "{answer}"
    );
    assert!(answer.contains("403 Forbidden</D:status><D:error><D:cannot-modify-protected-property/>"), "{answer}");
    assert!(propfind(&ann, &path, "0", "<x:a xmlns:x=\"urn:x\"/>").text().contains("404 Not Found"));
    assert!(proppatch(&ann, BOOK, &set("<D:displayname>x</D:displayname>")).text().contains("403 Forbidden"));
    assert!(proppatch(&ann, &path, &set("<D:displayname> </D:displayname>")).text().contains("409 Conflict"));
    assert!(proppatch(&ann, &path, &set("<D:displayname>Renamed</D:displayname>")).text().contains("200 OK"));
    assert_eq!(app.user("ann").get(&format!("/me/contactFolders/{other}")).json(200)["displayName"], "Renamed");
    let large = set(&format!("<x:a>{}</x:a>", "y".repeat(5_000)));
    assert!(proppatch(&ann, &path, &large).text().contains("507 Insufficient Storage"));
    let too_many: String = (0..51).map(|i| set(&format!("<x:a{i}/>"))).collect::<Vec<_>>().concat();
    assert!(proppatch(&ann, &path, &too_many).text().contains("507 Insufficient Storage"));
    assert_eq!(app.count("select count(*) from dav_properties"), 0);
    for body in ["<a/>", "<D:propertyupdate xmlns:D=\"DAV:\"/>", "<D:propertyupdate", ""] {
        assert_eq!(ask(&ann, "PROPPATCH", &path, &[], body).status, 400, "{body}");
    }
}

#[test]
fn address_books_are_created_and_deleted() {
    let app = TestApp::new();
    let (ann, graph) = (basic(&app, "ann"), app.user("ann"));
    let home = "/dav/addressbooks/ann/";
    let mkcol = |name: &str, inside: &str| {
        let body =
            if inside.is_empty() { String::new() } else { format!("<D:mkcol {NAMESPACES}>{}</D:mkcol>", set(inside)) };
        ask(&ann, "MKCOL", &format!("{home}{name}"), &[], &body)
    };
    let kind = "<D:resourcetype><D:collection/><C:addressbook/></D:resourcetype>";
    let made = mkcol(
        "friends/",
        &format!(
            "{kind}<D:displayname>Friends</D:displayname><C:addressbook-description>Mine</C:addressbook-description>"
        ),
    );
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(graph.get("/me/contactFolders/friends").json(200)["displayName"], "Friends");
    assert_eq!(mkcol("plain", "").status, 201);
    assert_eq!(graph.get("/me/contactFolders/plain").json(200)["displayName"], "plain");
    for (name, inside, status) in [
        ("plain", "", 405),
        ("contacts", "", 405),
        ("Contacts", "", 405),
        ("other", "<D:displayname>FRIENDS</D:displayname>", 409),
        ("=x", "", 404),
        ("a%2Fb", "", 403),
        ("nowhere/x", "", 409),
        ("plain/x", "", 403),
        ("calendar", "<D:resourcetype><D:collection/></D:resourcetype>", 403),
        ("bad", &format!("{kind}<D:getetag>x</D:getetag>"), 424),
    ] {
        let answer = mkcol(name, inside);
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    assert_eq!(ask(&ann, "MKCOL", &format!("{home}odd"), &[], "<a/>").status, 415);
    assert_eq!(ask(&ann, "MKCOL", &format!("{home}odd"), &[("Content-Type", "text/plain")], "x").status, 415);
    let inner = graph.post("/me/contactFolders/friends/childFolders", "{\"displayName\":\"Near\"}").id();
    let description = propfind(&ann, &format!("{home}{inner}/"), "0", "<C:addressbook-description/>").text();
    assert!(description.contains(">Friends / Near<"), "{description}");
    let delete =
        |name: &str, depth: &str| ask(&ann, "DELETE", &format!("{home}{name}"), &[("Depth", depth)], "").status;
    assert_eq!(delete("plain", "0"), 400);
    assert_eq!(delete("contacts", "infinity"), 403);
    assert_eq!(delete("friends", "infinity"), 403);
    assert_eq!(
        (delete(&inner, "infinity"), delete("friends", "infinity"), delete("friends", "infinity")),
        (204, 204, 404)
    );
    // Properties of a deleted address book are not inherited by a new one with the same name.
    assert_eq!(mkcol("friends", "").status, 201);
    assert!(propfind(&ann, &format!("{home}friends/"), "0", "<C:addressbook-description/>").text().contains("404"));
}

#[test]
fn a_propfind_of_infinite_depth_or_with_invalid_xml_is_refused() {
    let app = TestApp::new();
    let ann = basic(&app, "ann");
    for depth in ["infinity", ""] {
        let headers = [("Depth", depth)];
        let headers = if depth.is_empty() { &[][..] } else { &headers[..] };
        let answer = ask(&ann, "PROPFIND", BOOK, headers, "");
        assert!(answer.status == 403 && answer.text().contains("<D:propfind-finite-depth/>"), "{}", answer.text());
    }
    for body in [
        "<propfind",
        "<x/>",
        "<propfind xmlns:p=\"\"/>",
        "<D:propfind xmlns:D=\"DAV:\"><D:prop/><D:allprop/></D:propfind>",
    ] {
        assert_eq!(ask(&ann, "PROPFIND", BOOK, &[("Depth", "0")], body).status, 400, "{body}");
    }
    assert_eq!(ask(&ann, "PROPFIND", BOOK, &[("Depth", "2")], "").status, 400);
    let minimal = ask(
        &ann,
        "PROPFIND",
        BOOK,
        &[("Depth", "0"), ("Prefer", "return=minimal")],
        &format!("<D:propfind {NAMESPACES}><D:prop><D:getetag/><x/></D:prop></D:propfind>"),
    );
    assert!(!minimal.text().contains("404") && minimal.header("preference-applied") == "return=minimal");
    let without =
        ask(&ann, "PROPFIND", "/dav/addressbooks/ann/", &[("Depth", "1"), ("Prefer", "depth-noroot")], "").text();
    assert_eq!(super::all(&without, "<D:response>", "</D:response>").len(), 1);
}

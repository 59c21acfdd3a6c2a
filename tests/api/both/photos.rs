//! Photos of contacts: owners, paths, preconditions and deletion.

use serde_json::{Value, json};

use super::pictures::{CHUNK, GIF, GONE, PNG, assert_error, assert_is, gif, photo_of, put, value};
use crate::app::{Answer, Client, TestApp, V1_JSON};

#[test]
fn photo_metadata_has_the_form_of_the_shape() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    let etag = put(&ann, &format!("/me/contacts/{id}/photo"), &gif(240, 180, 100, 0)).header("etag");
    for (prefix, media) in [("", "application/json"), ("/beta", "application/json"), ("/v1.0", V1_JSON)] {
        for owner in ["/me", "/users/ann", "/users('ann')"] {
            let answer = ann.get(&format!("{prefix}{owner}/contacts('{id}')/photo"));
            let context =
                format!("http://{}{prefix}/$metadata#users('ann')/contacts('{id}')/photo/$entity", app.address);
            let expected = json!({"@odata.context": context, "@odata.mediaContentType": "image/gif",
                "@odata.mediaEtag": etag, "id": "240X180", "width": 240, "height": 180});
            assert_eq!(answer.json(200), expected);
            assert_eq!((answer.header("content-type").as_str(), &answer.header("etag")), (media, &etag));
            assert!(answer.body.starts_with(b"{\"@odata.context\""));
        }
        let bare =
            ann.with("Accept", "application/json;odata.metadata=none").get(&format!("{prefix}/me/contacts/{id}/photo"));
        assert_eq!(
            serde_json::from_slice::<Value>(&bare.body).unwrap(),
            json!({"id": "240X180", "width": 240, "height": 180})
        );
    }
    let mut quoted = ann.get(&format!("/users/ANN@localhost/contacts/{id}/photo")).json(200);
    let context = quoted["@odata.context"].take();
    assert!(context.as_str().unwrap().contains("users('ANN%40localhost')"), "{context}");
}

#[test]
fn a_photo_read_with_the_current_etag_gets_304() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    let etag = put(&ann, &photo, PNG).header("etag");
    let bytes = format!("{photo}/$value");
    for path in [&photo, &bytes] {
        for tag in [etag.as_str(), etag.trim_start_matches("W/"), "*"] {
            let answer = ann.with("If-None-Match", tag).get(path);
            assert_eq!(answer.empty(304).header("etag"), etag, "{path}");
        }
        assert_eq!(ann.with("If-None-Match", "\"x\"").get(path).status, 200);
    }
    assert_eq!(ann.with("If-None-Match", &etag).get(&bytes).header("cache-control"), "private, no-cache");
    // The same bytes again are a new write.
    assert_ne!(put(&ann, &photo, PNG).header("etag"), etag);
    assert_eq!(ann.with("If-None-Match", &etag).get(&bytes).status, 200);
    assert_error(&ann.with("If-None-Match", "*").get(&photo_of(&ann)), GONE);
}

#[test]
fn a_photo_write_with_if_match_needs_the_current_etag() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    let bytes = format!("{photo}/$value");
    let stale = (412, "ErrorIrresolvableConflict");
    // There is no photo yet.
    for tag in ["*", "\"x\""] {
        let client = ann.with("If-Match", tag);
        assert_error(&put(&client, &photo, PNG), stale);
        assert_error(&put(&client, &photo, b""), stale);
        assert_error(&client.delete(&photo), stale);
    }
    assert_eq!(app.count("select count(*) from photos"), 0);
    let first = put(&ann.with("If-None-Match", "*"), &photo, PNG);
    assert_eq!(first.status, 200);
    let second = put(&ann.with("If-Match", &first.header("etag")), &photo, GIF);
    assert_eq!(second.status, 200);
    for (name, tag) in [
        ("If-Match", first.header("etag")),
        ("If-None-Match", second.header("etag")),
        ("If-None-Match", "*".to_owned()),
    ] {
        let client = ann.with(name, &tag);
        assert_error(&put(&client, &photo, PNG), stale);
        assert_error(&client.send("PATCH", &bytes, Some(PNG.to_vec())), stale);
        assert_error(&put(&client, &photo, b""), stale);
        assert_error(&client.delete(&photo), stale);
        assert_error(&client.delete(&bytes), stale);
    }
    assert_is(&value(&ann, &photo), GIF, "image/gif");
    // The contact's own ETag is independent.
    let contact = ann.get(photo.trim_end_matches("/photo")).header("etag");
    assert_error(&put(&ann.with("If-Match", &contact), &photo, PNG), stale);
    ann.with("If-Match", &second.header("etag")).delete(&photo).empty(204);
    let anew = put(&ann.with("If-None-Match", "*"), &photo, PNG);
    assert_eq!(anew.status, 200);
    assert_error(&put(&ann.with("If-Match", &second.header("etag")), &photo, GIF), stale);
}

#[test]
fn a_photo_is_deleted_by_every_documented_call() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    let bytes = format!("{photo}/$value");
    let before = ann.get(photo.trim_end_matches("/photo")).body;
    for (method, path, body) in [
        ("DELETE", &photo, None),
        ("DELETE", &bytes, None),
        ("PUT", &bytes, Some(Vec::new())),
        ("PATCH", &bytes, Some(Vec::new())),
    ] {
        assert_eq!(put(&ann, &photo, &gif(1, 1, CHUNK + 1, 0)).status, 200);
        ann.send(method, path, body).empty(204);
        assert_error(&ann.get(&photo), GONE);
        assert_error(&ann.get(&bytes), GONE);
        assert_eq!(app.count("select count(*) from photo_chunks"), 0, "{method} {path}");
        // The photo is absent already.
        let position = app.count("select max(seq) from mailboxes");
        for path in [&photo, &bytes] {
            ann.delete(path).empty(204);
        }
        put(&ann, &photo, b"").empty(204);
        assert_eq!(app.count("select max(seq) from mailboxes"), position, "nothing is written");
        assert_eq!(ann.get(photo.trim_end_matches("/photo")).body, before);
    }
    // Without the contact it is 404.
    let contact = photo.trim_end_matches("/photo");
    ann.delete(contact).empty(204);
    let unknown = "/me/contacts/01890000-0000-7000-8000-000000000000/photo".to_owned();
    for path in [&photo, &bytes, &unknown] {
        assert_error(&ann.delete(path), GONE);
    }
    let photo = photo_of(&ann);
    let bytes = format!("{photo}/$value");
    // Graph cannot delete a photo except by an empty PUT.
    let strict = ann.with("Prefer", "handling=strict");
    put(&ann, &photo, PNG);
    for (path, allow) in [(&photo, "GET"), (&bytes, "GET, PUT, PATCH")] {
        let refused = strict.delete(path);
        assert_error(&refused, (405, "methodNotAllowed"));
        assert_eq!(refused.header("allow"), allow);
    }
    assert_is(&value(&ann, &photo), PNG, "image/png");
    put(&strict, &photo, b"").empty(204);
    assert_error(&ann.get(&photo), GONE);
}

#[test]
fn return_minimal_is_honoured_for_photos() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    for method in ["PUT", "PATCH"] {
        let answer = ann.with("Prefer", "return=minimal").send(method, &format!("{photo}/$value"), Some(PNG.to_vec()));
        answer.empty(204);
        assert_eq!(answer.header("preference-applied"), "return=minimal");
        assert_eq!(answer.header("etag"), ann.get(&photo).header("etag"));
    }
}

#[test]
fn a_photo_write_does_not_change_its_contact() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    let contact = photo.trim_end_matches("/photo");
    let (before, list) = (ann.get(contact).body, ann.get("/me/contacts").body);
    let logged = "select count(*), max(seq) from changes where not of_card";
    let log = app.sql(logged);
    let position = |answer: &Answer| answer.header("contactd-position").parse::<i64>().unwrap();
    let (first, second) = (put(&ann, &photo, PNG), put(&ann, &photo, GIF));
    let removed = ann.delete(&photo);
    assert_eq!(ann.get(contact).body, before);
    assert_eq!(ann.get("/me/contacts").body, list);
    assert_eq!(app.sql(logged), log);
    // Each photo write has a change number that no contact has.
    assert_eq!([position(&second), position(&removed)], [position(&first) + 1, position(&first) + 2]);
    let patched = ann.patch(contact, json!({"title": "y"}));
    assert_eq!(position(&patched), position(&first) + 3);
    let list = ann.with("Contactd-Position", &position(&removed).to_string()).get("/me/contacts");
    assert_eq!(list.json(200)["value"][0]["title"], "y");
}

#[test]
fn a_photo_is_found_at_every_path_of_its_contact() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let folder = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let below = ann.post(&format!("/me/contactFolders/{folder}/childFolders"), json!({"displayName": "Old"})).id();
    let id = ann.post(&format!("/me/contactFolders/{folder}/contacts"), "{}").id();
    let everywhere = format!("/me/contacts/{id}/photo");
    let inside = format!("/me/contactFolders/{folder}/contacts/{id}/photo");
    let elsewhere = format!("/me/contactFolders/{folder}/childFolders/{below}/contacts/{id}/photo");
    assert_eq!(put(&ann, &inside, PNG).status, 200);
    for path in [&everywhere, &inside] {
        assert_is(&value(&ann, path), PNG, "image/png");
        assert_eq!(ann.get(path).json(200), ann.get(&everywhere).json(200));
    }
    for client in [&ann, &ann.with("If-Match", "*")] {
        for path in [&elsewhere, &inside.replace(&folder, "contacts"), &inside.replace(&folder, "nowhere")] {
            assert_error(&client.get(path), GONE);
            assert_error(&value(client, path), GONE);
            assert_error(&put(client, path, GIF), GONE);
            assert_error(&put(client, path, b""), GONE);
            assert_error(&client.delete(path), GONE);
        }
    }
    ann.patch(&format!("/me/contacts/{id}"), json!({"parentFolderId": below}));
    assert_is(&value(&ann, &elsewhere), PNG, "image/png");
    assert_error(&ann.get(&inside), GONE);
    ann.delete(&elsewhere).empty(204);
    assert_error(&ann.get(&everywhere), GONE);
}

#[test]
fn nobody_sees_the_photo_of_another_or_of_a_contact_that_is_gone() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let photo = photo_of(&ann);
    put(&ann, &photo, PNG);
    bob.get("/me");
    let every = |client: &Client, path: &str| {
        let bytes = format!("{path}/$value");
        [
            client.get(path),
            client.get(&bytes),
            client.send("PUT", &bytes, Some(GIF.to_vec())),
            client.send("PATCH", &bytes, Some(GIF.to_vec())),
            client.send("PUT", &bytes, Some(Vec::new())),
            client.delete(path),
            client.delete(&bytes),
        ]
    };
    let unknown = "/me/contacts/01890000-0000-7000-8000-000000000000/photo";
    for (client, path, refusal) in [
        (&bob, photo.as_str(), GONE),
        (&bob, &photo.replace("/me", "/users/ann"), (404, "Request_ResourceNotFound")),
        (&ann, unknown, GONE),
        (&ann, "/me/contacts/NO-ID/photo", (400, "ErrorInvalidIdMalformed")),
        (&app.user(""), &photo, (401, "InvalidAuthenticationToken")),
        (&app.user("app:sync"), &photo, (400, "BadRequest")),
    ] {
        for answer in every(client, path) {
            assert_error(&answer, refusal);
        }
    }
    assert_is(&value(&ann, &photo), PNG, "image/png");
    let other_path = photo.replace("/me", "/users/ann");
    assert_is(&value(&app.user("app:sync"), &other_path), PNG, "image/png");

    ann.delete(photo.trim_end_matches("/photo")).empty(204);
    for answer in every(&ann, &photo) {
        assert_error(&answer, GONE);
    }
    // The deleted contact keeps its photo.
    assert_eq!(app.sql("select count(*), count(deleted_date_time) from photos"), "1|0");
    assert_eq!(app.count("select count(*) from photo_chunks"), 1);
}

#[test]
fn a_photo_survives_a_restart() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let (photo, large) = (photo_of(&ann), gif(320, 200, 3 * CHUNK, 9));
    let etag = put(&ann, &photo, &large).header("etag");
    let app = app.restarted();
    let ann = app.user("ann");
    assert_is(&value(&ann, &photo), &large, "image/gif");
    assert_eq!(ann.get(&photo).header("etag"), etag);
}

#[test]
fn head_describes_a_photo_without_its_bytes() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    put(&ann, &photo, &gif(1, 1, 5 * CHUNK / 2, 0));
    for path in [&photo, &format!("{photo}/$value")] {
        // On one connection, so that bytes of the first answer cannot be read as the second.
        for _ in 0..3 {
            let (head, get) = (ann.send("HEAD", path, None), ann.get(path));
            assert_eq!((head.status, head.body.len()), (200, 0));
            for name in ["content-length", "content-type", "etag", "x-content-type-options", "content-disposition"] {
                assert_eq!(head.header(name), get.header(name), "{name}");
            }
            assert_eq!(head.header("content-length"), get.body.len().to_string());
        }
    }
}

#[test]
fn a_photo_that_is_replaced_during_reads_is_never_mixed() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    let write = |filled| put(&ann, &photo, &gif(1, 1, 3 << 20, filled)).header("etag");
    let mut etags = vec![write(0)];
    let read: Vec<(String, Vec<u8>)> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (client, path) = (app.user("ann"), format!("{photo}/$value"));
                // An answer whose photo cannot be read completely is cut off.
                let read_photo = move |_| client.try_send("GET", &path, None).ok().map(|a| (a.header("etag"), a.body));
                scope.spawn(move || (0..8).filter_map(read_photo).collect::<Vec<_>>())
            })
            .collect();
        etags.extend((1..12).map(write));
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    for (etag, bytes) in read {
        let filled = u8::try_from(etags.iter().position(|known| *known == etag).unwrap()).unwrap();
        assert!(bytes == gif(1, 1, 3 << 20, filled), "{etag}");
    }
    assert_is(&value(&ann, &photo), &gif(1, 1, 3 << 20, 11), "image/gif");
}

#[test]
fn no_other_path_or_method_of_a_photo_is_offered() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    put(&ann, &photo, PNG);
    let bytes = format!("{photo}/$value");
    for (method, path, allow) in [
        ("PUT", &photo, "GET, DELETE"),
        ("PATCH", &photo, "GET, DELETE"),
        ("POST", &photo, "GET, DELETE"),
        ("POST", &bytes, "GET, PUT, PATCH, DELETE"),
    ] {
        let answer = ann.send(method, path, Some(GIF.to_vec()));
        assert_error(&answer, (405, "methodNotAllowed"));
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    for (path, segment) in [("s", "photos"), ("s/48x48/$value", "photos"), ("/48x48", "48x48"), ("/$value/x", "x")] {
        let answer = ann.get(&format!("{photo}{path}"));
        assert_error(&answer, (404, "ResourceNotFound"));
        assert_eq!(answer.message(), format!("Resource not found for the segment '{segment}'."));
    }
    for option in ["$select=width", "$top=1", "$nope=1"] {
        for path in [&photo, &bytes] {
            assert_eq!(ann.get(&format!("{path}?{option}")).error().0, 400, "{option}");
        }
    }
    assert_is(&ann.get(&format!("{bytes}?mine=1")), PNG, "image/png");
}

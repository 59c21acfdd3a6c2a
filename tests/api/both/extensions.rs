//! Open extensions are returned as they were written.

use serde_json::{Value, json};

use super::pictures::assert_error;
use crate::app::{Answer, Client, TestApp, V1_JSON};

pub const NOT_FOUND: (u16, &str) = (404, "ErrorItemNotFound");

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// An answer as text, without the context URL and the version.
pub fn bare(client: &Client, path: &str) -> String {
    text(&client.with("Accept", "application/json;odata.metadata=none").get(path))
}

pub fn contact(client: &Client) -> String {
    format!("/me/contacts/{}", client.post("/me/contacts", "{}").id())
}

pub fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|extension| extension["extensionName"].as_str().unwrap()).collect()
}

#[test]
fn an_extension_is_created_read_changed_and_deleted_by_every_path() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let id = ann.post(&format!("/me/contactFolders/{work}/contacts"), "{}").id();
    let before = ann.get(&format!("/me/contacts/{id}")).json(200);
    for (prefix, media) in [("", "application/json"), ("/beta", "application/json"), ("/v1.0", V1_JSON)] {
        for owner in ["/me".to_owned(), format!("/users/ann/contactFolders/{work}")] {
            let path = format!("{prefix}{owner}/contacts/{id}/extensions");
            let body = json!({"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": "Com.Example.a",
                "theme": "dark", "sizes": [1, null, "x", true], "gone": null, "theme@odata.type": "#String", "id": "mine"});
            let created = ann.post(&path, body);
            let root = format!("http://{}{prefix}", app.address);
            let full = "microsoft.graph.openTypeExtension.Com.Example.a";
            let expected = json!({
                "@odata.context": format!("{root}/$metadata#users('ann')/contacts('{id}')/extensions/$entity"),
                "@odata.etag": created.header("etag"), "@odata.type": "#microsoft.graph.openTypeExtension",
                "id": full, "extensionName": "Com.Example.a", "theme": "dark", "sizes": [1, null, "x", true],
            });
            assert_eq!(created.json(201), expected);
            assert!(created.body.starts_with(b"{\"@odata.context\""));
            assert_eq!(created.header("content-type"), media);
            let location = format!("{root}/users('ann')/contacts('{id}')/extensions('{full}')");
            assert_eq!(created.header("location"), location);
            for name in [
                "/Com.Example.a",
                "('Com.Example.a')",
                "/microsoft.graph.openTypeExtension.Com.Example.a",
                "('MICROSOFT.OutlookServices.OpenTypeExtension.Com.Example.a')",
            ] {
                let read = ann.get(&format!("{path}{name}"));
                assert_eq!((read.json(200), read.header("etag")), (expected.clone(), created.header("etag")), "{name}");
            }
            assert_eq!(ann.get(&location).json(200)["id"], full);
            let same = ann.with("If-None-Match", &created.header("etag")).get(&format!("{path}/Com.Example.a"));
            same.empty(304);
            let mut list = ann.get(&format!("{path}?$count=true")).json(200);
            let context = list["@odata.context"].take();
            assert_eq!(context, format!("{root}/$metadata#users('ann')/contacts('{id}')/extensions"));
            let mut extension = expected.clone();
            extension.as_object_mut().unwrap().remove("@odata.context");
            assert_eq!((&list["value"], &list["@odata.count"]), (&json!([extension]), &json!(1)));
            let change = json!({"theme": null, "SIZES": 7, "new": false, "extensionName": full});
            let changed = ann.patch(&format!("{path}/{full}"), change);
            let mut after = expected.clone();
            after["@odata.etag"] = json!(changed.header("etag"));
            for name in ["theme", "sizes"] {
                after.as_object_mut().unwrap().remove(name);
            }
            after["SIZES"] = json!(7);
            after["new"] = json!(false);
            assert_eq!(changed.json(200), after);
            assert_ne!(changed.header("etag"), created.header("etag"));
            assert_eq!(
                bare(&ann, &format!("{path}/Com.Example.a")),
                format!(r#"{{"id":"{full}","extensionName":"Com.Example.a","SIZES":7,"new":false}}"#)
            );
            // An empty PATCH changes nothing.
            let tag = changed.header("etag");
            assert_eq!(ann.patch(&format!("{path}/Com.Example.a"), "{}").header("etag"), tag);
            let minimal = ann.with("Prefer", "return=minimal").patch(&format!("{path}/Com.Example.a"), r#"{"a":1}"#);
            minimal.empty(204);
            assert_eq!(minimal.header("preference-applied"), "return=minimal");
            ann.delete(&format!("{path}('{full}')")).empty(204);
            assert_error(&ann.get(&format!("{path}/Com.Example.a")), NOT_FOUND);
            assert_error(&ann.delete(&format!("{path}/Com.Example.a")), NOT_FOUND);
            assert_error(&ann.patch(&format!("{path}/Com.Example.a"), "{}"), NOT_FOUND);
            assert_eq!(ann.get(&path).json(200)["value"], json!([]));
        }
    }
    // None of this changes the contact.
    assert_eq!(ann.get(&format!("/me/contacts/{id}")).json(200), before);
    assert_eq!(app.count("select count(*) from extension_members"), 0);
    assert_eq!(app.count("select count(*) from changes where contact_id is not null"), 1);
}

#[test]
fn what_is_put_in_comes_back_to_the_byte() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let path = format!("{}/extensions", contact(&ann));
    let members = r#""big":12345678901234567890.10,"huge":1e400,"zero":-0.0,"one":1.00,"list":[1E+2,"1e400",-0,null,true],"t":"é\u001f\\\"😀 ","__proto__":{"constructor":[{}]},"a b":"","é":0.1000000000000000055511151231257827"#;
    let answer = ann.post(&path, format!("{{\"extensionName\":\"x\",{members}}}"));
    assert_eq!(answer.status, 201);
    let complete_extension = format!(r#"{{"id":"microsoft.graph.openTypeExtension.x","extensionName":"x",{members}}}"#);
    assert!(text(&answer).ends_with(&format!(",{members}}}")), "{}", text(&answer));
    assert_eq!(bare(&ann, &format!("{path}/x")), complete_extension);
    ann.patch(&format!("{path}/x"), r#"{"later":1.0e-999}"#);
    let changed_extension = complete_extension.strip_suffix('}').unwrap().to_owned() + r#","later":1.0e-999}"#;
    assert_eq!(bare(&ann, &format!("{path}/x")), changed_extension);
    let contact = path.trim_end_matches("/extensions");
    assert!(
        bare(&ann, &format!("{contact}?$expand=extensions"))
            .ends_with(&format!(r#""extensions":[{changed_extension}]}}"#))
    );
    assert!(bare(&ann, "/me/contacts?$expand=extensions").contains(&changed_extension));
    // Inline, and in a batch.
    let inline = format!(r#"{{"extensions":[{{"extensionName":"y",{members}}}]}}"#);
    assert!(text(&ann.post("/me/contacts", &inline)).contains(members));
    let step = |id: &str, method: &str, url: &str, body: &str| {
        format!(
            r#"{{"id":"{id}","method":"{method}","url":"{url}","headers":{{"Content-Type":"application/json"}},"body":{body}}}"#
        )
    };
    let steps = [
        step("1", "POST", "/me/contacts", &inline),
        step("2", "POST", &path, &format!("{{\"extensionName\":\"z\",{members}}}")),
        step("3", "PATCH", &format!("{path}/z"), r#"{"n":9e99999}"#),
    ];
    let answers = text(&ann.post("/$batch", format!("{{\"requests\":[{}]}}", steps.join(","))));
    assert_eq!(answers.matches(members).count(), 3, "{answers}");
    assert!(answers.contains(r#""n":9e99999"#), "{answers}");
    // The same after a restart.
    let app = app.restarted();
    assert_eq!(bare(&app.user("ann"), &format!("{path}/x")), changed_extension);
}

#[test]
fn a_new_contact_may_come_with_extensions() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let extension =
        |name: &str| json!({"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": name, "n": 1});
    let below = format!("/me/contactFolders/{work}/contacts");
    for (prefix, path) in
        [("", "/me/contacts"), ("/v1.0", "/me/contacts"), ("", "/me/contacts/$ref"), ("/v1.0", &below), ("", &below)]
    {
        let body = json!({"surname": "Lee", "Extensions": [extension("b"), extension("microsoft.graph.openTypeExtension.a")],
            "extensions@odata.context": "x"});
        let created = ann.post(&format!("{prefix}{path}"), &body);
        let (shown, id) = (created.json(201), created.id());
        assert_eq!(names(&shown["extensions"]), ["b", "a"]);
        let metadata = format!("http://{}{prefix}/$metadata#users('ann')/contacts", app.address);
        assert_eq!(shown["@odata.context"], format!("{metadata}(extensions())/$entity"));
        assert_eq!(shown["extensions@odata.context"], format!("{metadata}('{id}')/extensions"));
        let etag = &shown["extensions"][0]["@odata.etag"];
        assert_eq!(*etag, created.header("etag"), "they are of the contact's own write");
        assert_eq!(ann.get(&format!("{prefix}/me/contacts/{id}?$expand=extensions")).json(200), shown);
        // They are shown only with `$expand`.
        assert!(ann.get(&format!("{prefix}/me/contacts/{id}")).json(200).get("extensions").is_none());
        // With a key, and again.
        let with_key = ann.with("Idempotency-Key", &format!("{prefix}{path}"));
        let first = with_key.post(&format!("{prefix}{path}"), &body);
        assert_eq!(names(&first.json(201)["extensions"]), ["b", "a"]);
        let again = with_key.post(&format!("{prefix}{path}"), &body);
        assert_eq!((again.status, &again.body), (201, &first.body));
        let minimal = ann.with("Prefer", "return=minimal").post(&format!("{prefix}{path}"), &body);
        minimal.empty(204);
    }
    assert_eq!(app.count("select count(*) from contacts"), 15);
    assert_eq!(app.count("select count(*) from extensions"), 30);
    // One change each, as without extensions.
    assert_eq!(app.count("select count(*) from changes where contact_id is not null"), 15);
    // Together with other creates in the same commit, of which one is refused.
    let step = |id: usize, body: Value| {
        json!({"id": id.to_string(), "method": "POST", "url": "/me/contacts",
            "headers": {"Content-Type": "application/json"}, "body": body})
    };
    let steps: Vec<_> = (0..20)
        .map(|i| match i {
            3 => step(i, json!({"extensions": [{"n": 1}]})),
            i if i % 2 == 0 => step(i, json!({"surname": format!("s{i}")})),
            i => step(i, json!({"surname": format!("s{i}"), "extensions": [extension("org.x")]})),
        })
        .collect();
    let answers = ann.post("/$batch", json!({"requests": steps})).json(200);
    for (i, answer) in answers["responses"].as_array().unwrap().iter().enumerate() {
        assert_eq!(answer["status"], if i == 3 { 400 } else { 201 }, "{answer}");
        assert_eq!(answer["body"].get("extensions").is_some(), i % 2 == 1 && i != 3, "{answer}");
    }
    assert_eq!(app.count("select count(*) from extensions"), 39);
}

#[test]
fn an_invalid_extension_is_refused_and_nothing_is_stored() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let contact_path = contact(&ann);
    let path = format!("{contact_path}/extensions");
    let long = "x".repeat(129);
    let members_over_limit = (0..101).map(|i| format!("\"m{i}\":1")).collect::<Vec<_>>().join(",");
    let large = "x".repeat(64 << 10);
    let (read, limit) = ("RequestBodyRead", "ErrorPropertyValidationFailure");
    for (body, code, target) in [
        ("{}".to_owned(), read, "extensionName"),
        (r#"{"extensionName":null}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":7}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":""}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"a b"}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"a/b"}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"é"}"#.to_owned(), read, "extensionName"),
        (r#"{"extensionName":"$count"}"#.to_owned(), read, "extensionName"),
        (format!(r#"{{"extensionName":"{long}"}}"#), read, "extensionName"),
        (format!(r#"{{"extensionName":"a","{long}":1}}"#), limit, "LONG"),
        (r#"{"extensionName":"a","":1}"#.to_owned(), limit, ""),
        (format!(r#"{{"extensionName":"a",{members_over_limit}}}"#), limit, ""),
        (format!(r#"{{"extensionName":"a","m":"{large}"}}"#), limit, ""),
        (r#"{"extensionName":"a","n":1,"N":2}"#.to_owned(), "UnableToDeserializePostBody", ""),
        (r#"{"extensionName":"a","n":01}"#.to_owned(), "UnableToDeserializePostBody", ""),
        (r#"{"extensionName":"a","n":"\u0000"}"#.to_owned(), "UnableToDeserializePostBody", ""),
        (r#"{"extensionName":"a","n":NaN}"#.to_owned(), "UnableToDeserializePostBody", ""),
        ("[]".to_owned(), read, ""),
        ("7".to_owned(), read, ""),
    ] {
        let shown = body.get(..60).unwrap_or(&body);
        let (status, found, at) = ann.post(&path, &body).error();
        assert_eq!((status, found.as_str()), (400, code), "{shown}");
        let is_long = target == "LONG" && at.starts_with("xxx") && at.len() < 80;
        assert!(at == target || is_long, "{shown}: {at}");
        if code != "UnableToDeserializePostBody" && body != "7" && body != "[]" {
            // The same inline, with its position.
            let (status, found, at) = ann.post("/me/contacts", format!("{{\"extensions\":[{body}]}}")).error();
            assert_eq!((status, found.as_str()), (400, code), "{shown}");
            assert!(at.starts_with("extensions/0") && (at.ends_with(target) || is_long), "{shown}: {at}");
        }
    }
    for (body, target) in [
        (json!({"extensions": {}}), "extensions"),
        (json!({"extensions": [7]}), "extensions/0"),
        (
            json!({"extensions": [{"extensionName": "a"}, {"extensionName": "microsoft.graph.openTypeExtension.a"}]}),
            "extensions/1/extensionName",
        ),
        (json!({"extensions": vec![json!({"extensionName": "a"}); 101]}), "extensions"),
        (
            json!({"extensions": (0..17).map(|i| json!({"extensionName": format!("a{i}"), "m": "x".repeat(65_000)})).collect::<Vec<_>>()}),
            "extensions",
        ),
    ] {
        let (status, _, at) = ann.post("/me/contacts", &body).error();
        assert_eq!((status, at.as_str()), (400, target));
    }
    // Extensions of an existing contact are written by their own paths.
    let (status, code, at) = ann.patch(&contact_path, json!({"extensions": [{"extensionName": "a"}]})).error();
    assert_eq!((status, code.as_str(), at.as_str()), (400, read, "extensions"));
    assert_eq!(ann.patch(&contact_path, json!({"extensions": [], "title": "x"})).status, 200);
    assert_eq!(app.sql("select (select count(*) from contacts), (select count(*) from extensions)"), "1|0");

    assert_eq!(ann.post(&path, r#"{"extensionName":"a"}"#).status, 201);
    for again in ["a", "Microsoft.OutlookServices.OpenTypeExtension.a"] {
        assert_error(&ann.post(&path, json!({"extensionName": again})), (409, "nameAlreadyExists"));
    }
    assert_eq!(ann.post(&path, r#"{"extensionName":"A"}"#).status, 201, "names are of exact case, as ids are");
    let renamed = ann.patch(&format!("{path}/a"), json!({"extensionName": "b", "n": 1})).error();
    assert_eq!(renamed, (400, "ErrorInvalidPropertySet".into(), "extensionName".into()));
    assert_error(&ann.patch(&format!("{path}/a"), format!("{{{members_over_limit}}}")), (400, limit));
    for (method, at, allow) in [
        ("PUT", path.clone(), "GET, POST"),
        ("DELETE", path.clone(), "GET, POST"),
        ("PUT", format!("{path}/a"), "GET, PATCH, DELETE"),
    ] {
        let answer = ann.send(method, &at, Some(b"{}".to_vec()));
        assert_error(&answer, (405, "methodNotAllowed"));
        assert_eq!(answer.header("allow"), allow);
    }
    assert_error(&ann.with("Content-Type", "text/plain").post(&path, "{}"), (415, "notSupported"));
    for option in ["$top=1", "$skip=1", "$orderby=id", "$select=id", "$expand=x", "$search=x", "$skiptoken=x"] {
        let refused = ann.get(&format!("{path}?{option}")).error();
        assert_eq!((refused.0, refused.1.as_str()), (400, "BadRequest"), "{option}");
    }
    assert_eq!(
        ann.get(&format!("{path}?$filter=id+eq+'a'+or+id+in+('x','A')")).json(200)["value"].as_array().unwrap().len(),
        2
    );
    assert_eq!(ann.get(&format!("{path}?$filter=extensionName+ne+'a'")).error().0, 400);
    assert_eq!(ann.get(&format!("{path}/a?$select=id")).error().0, 400);
    assert_eq!(bare(&ann, &format!("{path}/a")), r#"{"id":"microsoft.graph.openTypeExtension.a","extensionName":"a"}"#);
}

#[test]
fn strict_handling_accepts_what_graph_accepts() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Prefer", "handling=strict");
    let path = format!("{}/extensions", contact(&ann));
    let body = json!({"extensionName": "a", "ok_1": [1, "x", null], "deep": {"x": 1}, "deeper": [[1]], "a b": 1});
    let refused = ann.post(&path, &body).json(400);
    let targets = |refused: &Value| {
        let details = refused["error"]["details"].as_array().unwrap().iter();
        details.map(|detail| detail["target"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(targets(&refused), ["a b", "deep", "deeper"]);
    let inline = ann.post("/me/contacts", json!({"extensions": [body]})).json(400);
    assert_eq!(targets(&inline), ["extensions/0/a b", "extensions/0/deep", "extensions/0/deeper"]);
    assert_eq!(ann.post(&path, json!({"extensionName": "a", "ok_1": [1, "x", null]})).status, 201);
    assert_eq!(
        ann.patch(&format!("{path}/a"), json!({"deep": {}})).error(),
        (400, "RequestBodyRead".into(), "deep".into())
    );
    // One relationship in a request, and a filter on ids.
    let contact = path.trim_end_matches("/extensions");
    for at in ["/me/contacts", contact] {
        let both = ann.get(&format!("{at}?$expand=extensions,singleValueExtendedProperties"));
        assert_eq!(both.error(), (400, "BadRequest".into(), "$expand".into()));
        assert_eq!(ann.get(&format!("{at}?$expand=extensions($filter=id+eq+'a')")).status, 200);
    }
    let found = ann.get("/me/contacts?$filter=extensions/any(f:f/id+eq+'a')").json(200);
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
    assert_eq!(app.count("select count(*) from extensions"), 1);
}

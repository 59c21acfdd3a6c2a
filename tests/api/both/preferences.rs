//! `Prefer: return=` on every call that writes.

use serde_json::json;

use super::pictures::JPEG;
use super::subscriptions::{start, terms};
use crate::app::{Answer, Client};
use crate::receiver::Receiver;

/// A call, and its status without a preference.
struct Write {
    method: &'static str,
    path: String,
    body: Vec<u8>,
    status: u16,
    has_etag: bool,
}

fn write(method: &'static str, path: impl Into<String>, body: impl ToString, status: u16) -> Write {
    Write { method, path: path.into(), body: body.to_string().into_bytes(), status, has_etag: true }
}

/// All writing calls, on new objects.
fn writes(ann: &Client, receiver: &Receiver, round: usize) -> Vec<Write> {
    let id = ann.post("/me/contacts", "{}").id();
    let contact = format!("/me/contacts/{id}");
    let photo = format!("{contact}/photo/$value");
    let folder = format!(
        "/me/contactFolders/{}",
        ann.post("/me/contactFolders", json!({"displayName": round.to_string()})).id()
    );
    let category = ann.post("/me/outlook/masterCategories", json!({"displayName": round.to_string()})).id();
    let extension = json!({"extensionName": "a.b", "x": 1});
    ann.post(&format!("{contact}/extensions"), &extension).id();
    let subscription = ann.post("/subscriptions", terms("me/contacts", &receiver.url("/"))).id();
    let deleted = ann.post("/me/contacts", "{}").id();
    ann.delete(&format!("/me/contacts/{deleted}")).empty(204);
    let share = json!({"role": "read", "emailAddress": {"address": "bob"}});
    let named = |kind: &str| json!({"displayName": format!("{kind} {round}")});
    let none = |write| Write { has_etag: false, ..write };
    vec![
        write("POST", "/me/contacts", "{}", 201),
        write("POST", "/v1.0/me/contacts/$ref", "{}", 201),
        write("POST", format!("{folder}/contacts"), "{}", 201),
        write("POST", format!("/beta{folder}/contacts/$ref"), "{}", 201),
        write("POST", "/me/contactFolders", named("a"), 201),
        write("POST", format!("/v1.0{folder}/childFolders"), named("b"), 201),
        write("POST", "/me/outlook/masterCategories", named("c"), 201),
        write("POST", format!("/me/contacts/{}/extensions", ann.post("/me/contacts", "{}").id()), extension, 201),
        none(write("POST", "/users/ann/contactPermissions", share, 201)),
        none(write("POST", "/subscriptions", terms("me/contacts", &receiver.url("/")), 201)),
        write("PATCH", &contact, json!({"title": "x"}), 200),
        write("PATCH", &folder, named("d"), 200),
        write("PATCH", format!("/me/outlook/masterCategories/{category}"), json!({"color": "preset1"}), 200),
        write("PATCH", format!("{contact}/extensions/a.b"), json!({"x": 2}), 200),
        none(write("PATCH", "/users/ann/contactPermissions/bob", json!({"role": "write"}), 200)),
        none(write(
            "PATCH",
            format!("/subscriptions/{subscription}"),
            json!({"notificationUrl": receiver.url("/other")}),
            200,
        )),
        Write { body: JPEG.to_vec(), ..write("PUT", &photo, "", 200) },
        Write { body: JPEG.to_vec(), ..write("PATCH", &photo, "", 200) },
        write("POST", format!("/me/deletedContacts/{deleted}/restore"), "", 200),
        // Calls without a body in the answer.
        none(write("POST", "/me/contacts/$ref", json!({"@odata.id": contact}), 204)),
        none(write("POST", format!("/subscriptions/{subscription}/reauthorize"), "", 204)),
        none(write("POST", format!("{contact}/permanentDelete"), "", 204)),
    ]
}

fn send(client: &Client, Write { method, path, body, .. }: &Write) -> Answer {
    let client = if body == JPEG { client.with("Content-Type", "image/jpeg") } else { client.clone() };
    client.send(method, path, Some(body.clone()))
}

#[test]
fn every_write_honours_the_return_preferences() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    app.user("bob").get("/me").json(200);
    for (round, preferred) in ["", "return=representation", "return=minimal"].into_iter().enumerate() {
        for call in writes(&ann, &receiver, round) {
            // Sharing is for applications.
            let client = app.user(if call.path.starts_with("/users") { "app:sync" } else { "ann" });
            let client = if preferred.is_empty() { client } else { client.with("Prefer", preferred) };
            let answer = send(&client, &call);
            let description = format!("{} {}: {preferred}", call.method, call.path);
            let shows = call.status != 204 && preferred != "return=minimal";
            assert_eq!(answer.status, if shows { call.status } else { 204 }, "{description}: {answer:?}");
            assert_eq!(answer.body.is_empty(), !shows, "{description}");
            assert_eq!(answer.header("etag").starts_with("W/\""), call.has_etag, "{description}");
            // `Location` names what was created; the entity id does too if the answer has no body.
            let (location, entity) = (answer.header("location"), answer.header("odata-entityid"));
            assert_eq!(location.is_empty(), call.status != 201, "{description}");
            assert_eq!(entity, if shows { String::new() } else { location.clone() }, "{description}");
            if !location.is_empty() {
                assert_eq!(ann.get(&location).status, 200, "{description}");
            }
            let applied = answer.header("preference-applied");
            match (preferred, call.status) {
                ("return=minimal", 200 | 201) => assert_eq!(applied, "return=minimal", "{description}"),
                ("return=representation", 200 | 201) => assert_eq!(applied, "return=representation", "{description}"),
                // The answer has no body in any case.
                (_, _) => {
                    assert!(applied.is_empty() || applied == "return=minimal" && preferred == applied, "{description}");
                }
            }
        }
    }
}

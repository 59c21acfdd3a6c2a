//! A walk through every call of the API, each successful. The answers can be compared with those of another walk.
//! A complete walk shows that everything can be read and written.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::app::{Answer, Client};
use crate::both::pictures::gif;

/// A call, as docs/graph.md names it, and its answer.
pub type Stop = (String, Answer);

struct Walker {
    client: Client,
    stops: Vec<Stop>,
}

const ROOT: &str = "/v1.0/me";
const CARD: &str =
    "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:walk-1\r\nFN:Walter Walker\r\nN:Walker;Walter;;;\r\nEND:VCARD\r\n";

impl Walker {
    #[track_caller]
    fn sent(&mut self, client: &Client, call: &str, path: &str, body: Option<Vec<u8>>) -> Answer {
        let method = call.split(' ').next().unwrap();
        let answer = client.send(method, path, body);
        let text = String::from_utf8_lossy(&answer.body);
        assert!((200..300).contains(&answer.status), "{call} at {path}: {} {text}", answer.status);
        self.stops.push((call.to_owned(), answer.clone()));
        answer
    }

    /// A call without a body.
    #[track_caller]
    fn call(&mut self, call: &str, path: &str) -> Value {
        let answer = self.sent(&self.client.clone(), call, path, None);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// One with a body of JSON. Returns the id in the answer.
    #[track_caller]
    fn call_with_body(&mut self, call: &str, path: &str, body: &Value) -> String {
        let answer = self.sent(&self.client.clone(), call, path, Some(body.to_string().into_bytes()));
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        answer["id"].as_str().unwrap_or_default().to_owned()
    }

    /// The calls of contacts below one path. Returns one of the contacts.
    fn contacts(&mut self, named: &str, at: &str) -> String {
        let call = |method: &str, path: &str| format!("{method} {named}{path}");
        let made = json!({"givenName": "Ann", "surname": "Lee", "emailAddresses": [{"address": "ann@example.org"}],
            "businessPhones": ["+1 555 0100"], "homeAddress": {"city": "Köln"}, "birthday": "1980-05-31",
            "categories": ["Walk"], "personalNotes": "x"});
        let id = self.call_with_body(&call("POST", "/contacts"), &format!("{at}/contacts"), &made);
        let beta = at.replace("/v1.0", "");
        let other = self.call_with_body(
            &call("POST", "/contacts/$ref"),
            &format!("{beta}/contacts/$ref"),
            &json!({"givenName": "Bea"}),
        );
        for (path, spelled) in [
            ("/contacts", "contacts?$top=1&$orderby=givenName"),
            ("/contacts/$ref", "contacts/$ref"),
            ("/contacts/$count", "contacts/$count"),
            ("/contacts/delta", "contacts/delta"),
            ("/contacts/$export", "contacts/$export?format=vcard4"),
            ("/contacts/{id}", &format!("contacts/{id}?$expand=extensions")),
        ] {
            self.call(&call("GET", path), &format!("{at}/{spelled}"));
        }
        self.call_with_body(
            &call("PATCH", "/contacts/{id}"),
            &format!("{at}/contacts/{id}"),
            &json!({"surname": "May"}),
        );
        let cards = self.client.with("Content-Type", "text/vcard");
        self.sent(&cards, &call("POST", "/contacts/$import"), &format!("{at}/contacts/$import"), Some(CARD.into()));
        self.photo(&call, &format!("{at}/contacts/{id}/photo"));
        self.extensions(&call, &format!("{at}/contacts/{id}/extensions"));
        self.call(&call("POST", "/contacts/{id}/permanentDelete"), &format!("{at}/contacts/{other}/permanentDelete"));
        let last =
            self.call_with_body(&call("POST", "/contacts"), &format!("{at}/contacts"), &json!({"givenName": "Cy"}));
        self.call(&call("DELETE", "/contacts/{id}"), &format!("{at}/contacts/{last}"));
        last
    }

    fn photo(&mut self, call: &impl Fn(&str, &str) -> String, at: &str) {
        let picture = self.client.with("Content-Type", "image/gif");
        let value = format!("{at}/$value");
        for method in ["PUT", "PATCH"] {
            self.sent(&picture, &call(method, "/contacts/{id}/photo/$value"), &value, Some(gif(2, 2, 100, 1)));
        }
        self.call(&call("GET", "/contacts/{id}/photo"), at);
        self.call(&call("GET", "/contacts/{id}/photo/$value"), &value);
        self.call(&call("DELETE", "/contacts/{id}/photo"), at);
        self.sent(&picture, &call("PUT", "/contacts/{id}/photo/$value"), &value, Some(gif(2, 2, 100, 2)));
        self.call(&call("DELETE", "/contacts/{id}/photo/$value"), &value);
    }

    fn extensions(&mut self, call: &impl Fn(&str, &str) -> String, at: &str) {
        let (list_call, extension_call) = ("/contacts/{id}/extensions", "/contacts/{id}/extensions/{name}");
        self.call_with_body(&call("POST", list_call), at, &json!({"extensionName": "org.example.a", "mine": 1.50}));
        self.call(&call("GET", list_call), at);
        let at = format!("{at}/org.example.a");
        self.call(&call("GET", extension_call), &at);
        self.call_with_body(&call("PATCH", extension_call), &at, &json!({"more": [true]}));
        self.call(&call("DELETE", extension_call), &at);
    }

    /// The calls of folders. Returns a folder.
    fn folders(&mut self) -> String {
        let list_path = format!("{ROOT}/contactFolders");
        let folder = self.call_with_body("POST …/contactFolders", &list_path, &json!({"displayName": "Walk"}));
        let folder_path = format!("{list_path}/{folder}");
        let child = self.call_with_body(
            "POST …/F/childFolders",
            &format!("{folder_path}/childFolders"),
            &json!({"displayName": "Close"}),
        );
        for (call, path) in [
            ("GET …/contactFolders", list_path.clone()),
            ("GET …/contactFolders/$count", format!("{list_path}/$count")),
            ("GET …/contactFolders/delta", format!("{list_path}/delta")),
            ("GET …/F", format!("{folder_path}?$expand=childFolders")),
            ("GET …/F/childFolders", format!("{folder_path}/childFolders")),
            ("GET …/F/childFolders/$count", format!("{folder_path}/childFolders/$count")),
        ] {
            self.call(call, &path);
        }
        self.call_with_body("PATCH …/F", &folder_path, &json!({"displayName": "Walked"}));
        self.call("POST …/F/permanentDelete", &format!("{folder_path}/childFolders/{child}/permanentDelete"));
        folder_path
    }

    fn categories(&mut self) {
        let list_path = format!("{ROOT}/outlook/masterCategories");
        let id = self.call_with_body(
            "POST …/outlook/masterCategories",
            &list_path,
            &json!({"displayName": "Walk", "color": "preset0"}),
        );
        self.call("GET …/outlook/masterCategories", &list_path);
        self.call("GET …/outlook/masterCategories/$count", &format!("{list_path}/$count"));
        let (one, path) = ("…/outlook/masterCategories/{category}", format!("{list_path}/{id}"));
        self.call(&format!("GET {one}"), &path);
        self.call_with_body(&format!("PATCH {one}"), &path, &json!({"color": "preset1"}));
        self.call(&format!("DELETE {one}"), &path);
    }

    /// The calls of the trash, which contains this contact.
    fn trash(&mut self, id: &str) {
        let list_path = format!("{ROOT}/deletedContacts");
        self.call("GET …/deletedContacts", &list_path);
        self.call("GET …/deletedContacts/$count", &format!("{list_path}/$count"));
        self.call("GET …/deletedContacts/{id}", &format!("{list_path}/{id}"));
        self.call_with_body("POST …/deletedContacts/{id}/restore", &format!("{list_path}/{id}/restore"), &json!({}));
        self.call("DELETE …/contacts/{id}", &format!("{ROOT}/contacts/{id}"));
        self.call("DELETE …/deletedContacts/{id}", &format!("{list_path}/{id}"));
    }

    /// The calls of permissions, by an application.
    fn permissions(&mut self, app: &Client, user: &str, other: &str) {
        let list_path = format!("/v1.0/users/{user}/contactPermissions");
        let permission_path = format!("{list_path}/{other}");
        let named = "…/contactPermissions/{id}";
        let body = json!({"role": "read", "emailAddress": {"address": other}}).to_string().into_bytes();
        self.sent(app, "POST …/contactPermissions", &list_path, Some(body));
        self.sent(app, "GET …/contactPermissions", &list_path, None);
        self.sent(app, &format!("GET {named}"), &permission_path, None);
        self.sent(
            app,
            &format!("PATCH {named}"),
            &permission_path,
            Some(json!({"role": "write"}).to_string().into_bytes()),
        );
        self.sent(app, &format!("DELETE {named}"), &permission_path, None);
    }

    fn subscriptions(&mut self, hook: &str, ends: &str) {
        let list_path = "/v1.0/subscriptions";
        let terms = json!({"changeType": "created,updated", "notificationUrl": hook, "resource": "me/contacts",
            "expirationDateTime": ends, "clientState": "x"});
        let id = self.call_with_body("POST /subscriptions", list_path, &terms);
        self.call("GET /subscriptions", list_path);
        let (named, one) = ("/subscriptions/{subscription}", format!("{list_path}/{id}"));
        self.call(&format!("GET {named}"), &one);
        self.call_with_body(&format!("PATCH {named}"), &one, &json!({"expirationDateTime": ends}));
        self.call(&format!("GET {named}/deliveries"), &format!("{one}/deliveries"));
        self.call(&format!("POST {named}/reauthorize"), &format!("{one}/reauthorize"));
        self.call(&format!("DELETE {named}"), &one);
    }

    fn rest(&mut self, app: &Client) {
        self.call("GET …", ROOT);
        self.sent(app, "GET /users", "/v1.0/users?$select=id", None);
        self.sent(app, "GET /users/$count", "/v1.0/users/$count", None);
        let ids = json!({"inputIds": ["x"], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"});
        self.call_with_body("POST …/translateExchangeIds", &format!("{ROOT}/translateExchangeIds"), &ids);
        let steps = json!({"requests": [
            {"id": "1", "method": "POST", "url": "/me/contacts", "headers": {"Content-Type": "application/json"},
                "body": {"givenName": "Step"}},
            {"id": "2", "method": "GET", "url": "/me/contacts?$select=givenName&$orderby=givenName"}]});
        self.call_with_body("POST /$batch", "/v1.0/$batch", &steps);
        self.call("GET /healthz", "/healthz");
        self.call("GET /", "/v1.0/");
        self.call("GET /$metadata", "/v1.0/$metadata");
        self.call("GET /openapi.json", "/openapi.json");
    }
}

/// Walks as one user. `client` creates clients by token. The other user must exist; `hook` receives notifications, and the
/// subscriptions expire at `ends`.
#[track_caller]
pub fn walk(client: impl Fn(&str) -> Client, user: &str, other: &str, (hook, ends): (&str, &str)) -> Vec<Stop> {
    let app = client("app:walker");
    let mut walker = Walker { client: client(user), stops: Vec::new() };
    walker.categories();
    let folder = walker.folders();
    walker.contacts("…/F", &folder);
    let deleted_id = walker.contacts("…", ROOT);
    walker.trash(&deleted_id);
    walker.permissions(&app, user, other);
    walker.subscriptions(hook, ends);
    walker.rest(&app);
    walker.call("DELETE …/F", &folder);
    walker.stops
}

/// The calls of the walk.
pub fn calls(stops: &[Stop]) -> BTreeSet<String> {
    stops.iter().map(|(call, _)| call.clone()).collect()
}

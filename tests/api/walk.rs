//! A walk through every call of the API, each with success: what it is answered can be compared with another walk, and that it
//! ends well says that everything can be read and written.

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
    fn go(&mut self, call: &str, path: &str) -> Value {
        let answer = self.sent(&self.client.clone(), call, path, None);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// One with a body of JSON. Returns the id in the answer.
    #[track_caller]
    fn tell(&mut self, call: &str, path: &str, body: &Value) -> String {
        let answer = self.sent(&self.client.clone(), call, path, Some(body.to_string().into_bytes()));
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        answer["id"].as_str().unwrap_or_default().to_owned()
    }

    /// The calls of contacts in a place of theirs. Returns one of the contacts.
    fn contacts(&mut self, named: &str, at: &str) -> String {
        let call = |method: &str, path: &str| format!("{method} {named}{path}");
        let made = json!({"givenName": "Ann", "surname": "Lee", "emailAddresses": [{"address": "ann@example.org"}],
            "businessPhones": ["+1 555 0100"], "homeAddress": {"city": "Köln"}, "birthday": "1980-05-31",
            "categories": ["Walk"], "personalNotes": "x"});
        let id = self.tell(&call("POST", "/contacts"), &format!("{at}/contacts"), &made);
        let beta = at.replace("/v1.0", "");
        let other =
            self.tell(&call("POST", "/contacts/$ref"), &format!("{beta}/contacts/$ref"), &json!({"givenName": "Bea"}));
        for (path, spelled) in [
            ("/contacts", "contacts?$top=1&$orderby=givenName"),
            ("/contacts/$ref", "contacts/$ref"),
            ("/contacts/$count", "contacts/$count"),
            ("/contacts/delta", "contacts/delta"),
            ("/contacts/$export", "contacts/$export?format=vcard4"),
            ("/contacts/{id}", &format!("contacts/{id}?$expand=extensions")),
        ] {
            self.go(&call("GET", path), &format!("{at}/{spelled}"));
        }
        self.tell(&call("PATCH", "/contacts/{id}"), &format!("{at}/contacts/{id}"), &json!({"surname": "May"}));
        let cards = self.client.with("Content-Type", "text/vcard");
        self.sent(&cards, &call("POST", "/contacts/$import"), &format!("{at}/contacts/$import"), Some(CARD.into()));
        self.photo(&call, &format!("{at}/contacts/{id}/photo"));
        self.extensions(&call, &format!("{at}/contacts/{id}/extensions"));
        self.go(&call("POST", "/contacts/{id}/permanentDelete"), &format!("{at}/contacts/{other}/permanentDelete"));
        let last = self.tell(&call("POST", "/contacts"), &format!("{at}/contacts"), &json!({"givenName": "Cy"}));
        self.go(&call("DELETE", "/contacts/{id}"), &format!("{at}/contacts/{last}"));
        last
    }

    fn photo(&mut self, call: &impl Fn(&str, &str) -> String, at: &str) {
        let picture = self.client.with("Content-Type", "image/gif");
        let value = format!("{at}/$value");
        for method in ["PUT", "PATCH"] {
            self.sent(&picture, &call(method, "/contacts/{id}/photo/$value"), &value, Some(gif(2, 2, 100, 1)));
        }
        self.go(&call("GET", "/contacts/{id}/photo"), at);
        self.go(&call("GET", "/contacts/{id}/photo/$value"), &value);
        self.go(&call("DELETE", "/contacts/{id}/photo"), at);
        self.sent(&picture, &call("PUT", "/contacts/{id}/photo/$value"), &value, Some(gif(2, 2, 100, 2)));
        self.go(&call("DELETE", "/contacts/{id}/photo/$value"), &value);
    }

    fn extensions(&mut self, call: &impl Fn(&str, &str) -> String, at: &str) {
        let (all, one) = ("/contacts/{id}/extensions", "/contacts/{id}/extensions/{name}");
        self.tell(&call("POST", all), at, &json!({"extensionName": "org.example.a", "mine": 1.50}));
        self.go(&call("GET", all), at);
        let at = format!("{at}/org.example.a");
        self.go(&call("GET", one), &at);
        self.tell(&call("PATCH", one), &at, &json!({"more": [true]}));
        self.go(&call("DELETE", one), &at);
    }

    /// The calls of folders. Returns a folder with a contact's calls in it.
    fn folders(&mut self) -> String {
        let all = format!("{ROOT}/contactFolders");
        let folder = self.tell("POST …/contactFolders", &all, &json!({"displayName": "Walk"}));
        let one = format!("{all}/{folder}");
        let child =
            self.tell("POST …/F/childFolders", &format!("{one}/childFolders"), &json!({"displayName": "Close"}));
        for (call, path) in [
            ("GET …/contactFolders", all.clone()),
            ("GET …/contactFolders/$count", format!("{all}/$count")),
            ("GET …/contactFolders/delta", format!("{all}/delta")),
            ("GET …/F", format!("{one}?$expand=childFolders")),
            ("GET …/F/childFolders", format!("{one}/childFolders")),
            ("GET …/F/childFolders/$count", format!("{one}/childFolders/$count")),
        ] {
            self.go(call, &path);
        }
        self.tell("PATCH …/F", &one, &json!({"displayName": "Walked"}));
        self.go("POST …/F/permanentDelete", &format!("{one}/childFolders/{child}/permanentDelete"));
        one
    }

    fn categories(&mut self) {
        let all = format!("{ROOT}/outlook/masterCategories");
        let id =
            self.tell("POST …/outlook/masterCategories", &all, &json!({"displayName": "Walk", "color": "preset0"}));
        self.go("GET …/outlook/masterCategories", &all);
        self.go("GET …/outlook/masterCategories/$count", &format!("{all}/$count"));
        let (one, path) = ("…/outlook/masterCategories/{category}", format!("{all}/{id}"));
        self.go(&format!("GET {one}"), &path);
        self.tell(&format!("PATCH {one}"), &path, &json!({"color": "preset1"}));
        self.go(&format!("DELETE {one}"), &path);
    }

    /// The calls of the trash, which has this contact.
    fn trash(&mut self, id: &str) {
        let all = format!("{ROOT}/deletedContacts");
        self.go("GET …/deletedContacts", &all);
        self.go("GET …/deletedContacts/$count", &format!("{all}/$count"));
        self.go("GET …/deletedContacts/{id}", &format!("{all}/{id}"));
        self.tell("POST …/deletedContacts/{id}/restore", &format!("{all}/{id}/restore"), &json!({}));
        self.go("DELETE …/contacts/{id}", &format!("{ROOT}/contacts/{id}"));
        self.go("DELETE …/deletedContacts/{id}", &format!("{all}/{id}"));
    }

    /// What others may, as an application sees it.
    fn permissions(&mut self, app: &Client, user: &str, other: &str) {
        let all = format!("/v1.0/users/{user}/contactPermissions");
        let one = format!("{all}/{other}");
        let named = "…/contactPermissions/{id}";
        let body = json!({"role": "read", "emailAddress": {"address": other}}).to_string().into_bytes();
        self.sent(app, "POST …/contactPermissions", &all, Some(body));
        self.sent(app, "GET …/contactPermissions", &all, None);
        self.sent(app, &format!("GET {named}"), &one, None);
        self.sent(app, &format!("PATCH {named}"), &one, Some(json!({"role": "write"}).to_string().into_bytes()));
        self.sent(app, &format!("DELETE {named}"), &one, None);
    }

    fn subscriptions(&mut self, hook: &str, ends: &str) {
        let all = "/v1.0/subscriptions";
        let terms = json!({"changeType": "created,updated", "notificationUrl": hook, "resource": "me/contacts",
            "expirationDateTime": ends, "clientState": "x"});
        let id = self.tell("POST /subscriptions", all, &terms);
        self.go("GET /subscriptions", all);
        let (named, one) = ("/subscriptions/{subscription}", format!("{all}/{id}"));
        self.go(&format!("GET {named}"), &one);
        self.tell(&format!("PATCH {named}"), &one, &json!({"expirationDateTime": ends}));
        self.go(&format!("GET {named}/deliveries"), &format!("{one}/deliveries"));
        self.go(&format!("POST {named}/reauthorize"), &format!("{one}/reauthorize"));
        self.go(&format!("DELETE {named}"), &one);
    }

    fn rest(&mut self, app: &Client) {
        self.go("GET …", ROOT);
        self.sent(app, "GET /users", "/v1.0/users?$select=id", None);
        self.sent(app, "GET /users/$count", "/v1.0/users/$count", None);
        let ids = json!({"inputIds": ["x"], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"});
        self.tell("POST …/translateExchangeIds", &format!("{ROOT}/translateExchangeIds"), &ids);
        let steps = json!({"requests": [
            {"id": "1", "method": "POST", "url": "/me/contacts", "headers": {"Content-Type": "application/json"},
                "body": {"givenName": "Step"}},
            {"id": "2", "method": "GET", "url": "/me/contacts?$select=givenName&$orderby=givenName"}]});
        self.tell("POST /$batch", "/v1.0/$batch", &steps);
        self.go("GET /healthz", "/healthz");
        self.go("GET /", "/v1.0/");
        self.go("GET /$metadata", "/v1.0/$metadata");
        self.go("GET /openapi.json", "/openapi.json");
    }
}

/// Walks as one user. `client` makes clients by token. Another user must be there already; `hook` takes notifications, until
/// subscriptions end.
#[track_caller]
pub fn walk(client: impl Fn(&str) -> Client, user: &str, other: &str, (hook, ends): (&str, &str)) -> Vec<Stop> {
    let app = client("app:walker");
    let mut walker = Walker { client: client(user), stops: Vec::new() };
    walker.categories();
    let folder = walker.folders();
    walker.contacts("…/F", &folder);
    let gone = walker.contacts("…", ROOT);
    walker.trash(&gone);
    walker.permissions(&app, user, other);
    walker.subscriptions(hook, ends);
    walker.rest(&app);
    walker.go("DELETE …/F", &folder);
    walker.stops
}

/// The calls that were walked through.
pub fn calls(stops: &[Stop]) -> BTreeSet<String> {
    stops.iter().map(|(call, _)| call.clone()).collect()
}

//! Every answer is described in `$metadata`: every member by its name, and every context by its path.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::checklist::served_calls;
use super::pictures::PNG;
use super::subscriptions::{set_up, terms};
use crate::app::{Client, TestApp};
use crate::receiver::Receiver;

/// A type of the model.
#[derive(Default)]
struct Type {
    base: Option<String>,
    open: bool,
    members: BTreeMap<String, String>,
}

/// The model, read from its document.
struct Model(BTreeMap<String, Type>);

/// The value of an attribute.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

fn bare(name: &str) -> String {
    name.trim_start_matches('#').trim_start_matches("microsoft.").trim_start_matches("graph.").to_owned()
}

/// The segments of a path. Slashes in parentheses or quotes do not separate.
fn segments(path: &str) -> Vec<&str> {
    let (mut depth, mut quoted) = (0, false);
    let divides = |c: char| {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        c == '/' && depth == 0 && !quoted
    };
    path.split(divides).collect()
}

impl Model {
    fn read(client: &Client, prefix: &str) -> Self {
        let answer = client.get(&format!("{prefix}/$metadata"));
        let text = String::from_utf8(answer.body).unwrap();
        let (mut types, mut at) = (BTreeMap::<String, Type>::new(), String::new());
        for tag in text.split('<').skip(1) {
            let name = || attribute(tag, "Name").unwrap().to_owned();
            match tag.split([' ', '>']).next().unwrap() {
                "EntityType" | "ComplexType" | "EntityContainer" => {
                    at = name();
                    let open = attribute(tag, "OpenType") == Some("true");
                    types.insert(name(), Type { base: attribute(tag, "BaseType").map(bare), open, ..Type::default() });
                }
                "Property" | "NavigationProperty" | "Singleton" => {
                    types.get_mut(&at).unwrap().members.insert(name(), attribute(tag, "Type").unwrap().to_owned());
                }
                "EntitySet" => {
                    let collection_type = format!("Collection({})", attribute(tag, "EntityType").unwrap());
                    types.get_mut(&at).unwrap().members.insert(name(), collection_type);
                }
                _ => {}
            }
        }
        Self(types)
    }

    fn type_of(&self, name: &str) -> &Type {
        self.0.get(name).unwrap_or_else(|| panic!("no type {name}"))
    }

    /// The type of a member of a type or of its base types.
    fn member(&self, type_name: &str, name: &str) -> Option<String> {
        let described = self.type_of(type_name);
        let own = described.members.get(name).cloned();
        own.or_else(|| self.member(described.base.as_deref()?, name))
    }

    /// Checks a value of this type.
    fn check(&self, type_name: &str, value: &Value, place: &str) {
        if let Some(entry_type) = type_name.strip_prefix("Collection(") {
            for entry in value.as_array().unwrap_or_else(|| panic!("{place}: no list")) {
                self.check(entry_type.trim_end_matches(')'), entry, place);
            }
            return;
        }
        let Some(members) = value.as_object() else {
            assert!(!value.is_array(), "{place}: a list");
            return;
        };
        let given_type = members.get("@odata.type").map(|name| bare(name.as_str().unwrap()));
        let type_name = given_type.unwrap_or_else(|| bare(type_name));
        for (name, value) in members {
            if let Some((of_member, annotation)) = name.split_once('@') {
                assert!(annotation.starts_with("odata.") || annotation == "removed", "{place}: {name}");
                assert!(of_member.is_empty() || self.member(&type_name, of_member).is_some(), "{place}: {name}");
                if annotation == "odata.context" && !of_member.is_empty() {
                    self.context(value.as_str().unwrap());
                }
                continue;
            }
            match self.member(&type_name, name) {
                Some(member) => self.check(&member, value, &format!("{place}/{name}")),
                None => assert!(self.type_of(&type_name).open, "{place}: '{name}' is no member of {type_name}"),
            }
        }
    }

    /// The type that a context URL names.
    fn context(&self, context: &str) -> String {
        let path = context.split_once("$metadata#").unwrap_or_else(|| panic!("{context}")).1;
        if let Some(entry_type) = path.strip_prefix("Collection(") {
            let entry_type = entry_type.strip_suffix(')').unwrap();
            assert!(entry_type == "$ref" || self.0.contains_key(&bare(entry_type)), "{context}");
            return format!("Collection({entry_type})");
        }
        let mut at = "GraphService".to_owned();
        let mut type_name = String::new();
        for segment in segments(path) {
            if segment == "$entity" {
                type_name = type_name.trim_start_matches("Collection(").trim_end_matches(')').to_owned();
                continue;
            }
            let name = segment.split('(').next().unwrap();
            type_name =
                self.member(&at, name).unwrap_or_else(|| panic!("{context}: '{name}' is no member type_name {at}"));
            at = bare(type_name.trim_start_matches("Collection(").trim_end_matches(')'));
        }
        type_name
    }

    /// Checks an answer. `type_name` is its type if it has no context.
    fn answer(&self, answer: &Value, type_name: Option<&str>, place: &str) {
        let named = answer.get("@odata.context").map(|context| self.context(context.as_str().unwrap()));
        let type_name = named.as_deref().or(type_name).unwrap_or_else(|| panic!("{place}: of which type? {answer}"));
        let Some(entries) = answer.get("value").filter(|_| type_name.starts_with("Collection(")) else {
            return self.check(type_name, answer, place);
        };
        for name in answer.as_object().unwrap().keys() {
            assert!(name == "value" || name.starts_with("@odata."), "{place}: {name}");
        }
        if type_name == "Collection($ref)" {
            let alone = |entry: &Value| entry.as_object().unwrap().keys().eq(["@odata.id"]);
            assert!(entries.as_array().unwrap().iter().all(alone), "{place}");
        } else {
            assert!(!entries.as_array().unwrap().is_empty(), "{place}: nothing to look at");
            self.check(type_name, entries, place);
        }
    }
}

/// A contact with a value in every property.
fn complete_contact(prefix: &str) -> Value {
    let mut body = json!({
        "displayName": "A", "givenName": "A", "birthday": "1980-05-31", "categories": ["x"], "children": ["x"],
        "imAddresses": ["x"], "emailAddresses": [{"address": "a@example.org"}],
        "extensions": [{"extensionName": "org.example.a", "mine": [1]}],
        "singleValueExtendedProperties": [{"id": "String 0x9", "value": "x"}],
        "multiValueExtendedProperties": [{"id": "StringArray 0x9", "value": ["x"]}],
    });
    let more = if prefix == "/v1.0" {
        json!({"homePhones": ["1"], "businessPhones": ["1"], "mobilePhone": "1", "businessHomePage": "x",
            "homeAddress": {"street": "x", "city": "x", "state": "x", "countryOrRegion": "x", "postalCode": "x"}})
    } else {
        let time = json!({"dateTime": "2026-01-01T00:00:00", "timeZone": "UTC"});
        json!({"phones": [{"type": "home", "number": "1"}], "websites": [{"type": "work", "address": "x", "displayName": "x"}],
            "postalAddresses": [{"type": "home", "postOfficeBox": "x", "street": "x", "city": "x", "state": "x",
                "countryOrRegion": "x", "postalCode": "x"}],
            "flag": {"flagStatus": "flagged", "startDateTime": time, "dueDateTime": time, "completedDateTime": time},
            "weddingAnniversary": "2001-06-30", "gender": "x", "isFavorite": true})
    };
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

const EXPAND: &str = "?$expand=extensions,singleValueExtendedProperties,multiValueExtendedProperties";
const EXPAND_FOLDER: &str = "?$expand=childFolders,contacts,singleValueExtendedProperties,multiValueExtendedProperties";

/// The body of a call, and a suffix of its path.
fn body_of(method: &str, path: &str, prefix: &str, round: usize) -> Option<Value> {
    let named = json!({"displayName": format!("{prefix}{round}"),
        "singleValueExtendedProperties": [{"id": "String 0x9", "value": "x"}],
        "multiValueExtendedProperties": [{"id": "StringArray 0x9", "value": ["x"]}]});
    let end = path.rsplit('/').find(|word| *word != "$ref").unwrap();
    Some(match (method, end) {
        ("POST", "contacts") => complete_contact(prefix),
        ("POST", "contactFolders" | "childFolders") => named,
        ("POST", "extensions") => json!({"extensionName": format!("org.example.b{round}"), "mine": {"x": 1}}),
        ("POST", "contactPermissions") => json!({"role": "read", "emailAddress": {"address": "bob"}}),
        ("POST", "masterCategories") => json!({"displayName": format!("{prefix}{round}"), "color": "preset1"}),
        ("POST", "translateExchangeIds") => {
            json!({"inputIds": ["x"], "sourceIdType": "restId", "targetIdType": "ewsId"})
        }
        ("PATCH", "{id}") if path.contains("contactPermissions") => json!({"role": "write"}),
        ("PATCH", "{id}") => json!({"surname": "x"}),
        ("PATCH", "F") => json!({"displayName": format!("{prefix}p{round}")}),
        ("PATCH", "{name}") => json!({"more": 1}),
        ("PATCH", "{category}") => json!({"color": "preset2"}),
        _ => return None,
    })
}

#[test]
fn all_answers_match_the_odata_metadata() {
    let app = TestApp::with(set_up());
    let receiver = Receiver::new();
    let (ann, sync) = (app.user("ann"), app.user("app:sync"));
    app.user("bob").get("/me").json(200);
    let calls: BTreeSet<_> = served_calls().into_iter().collect();
    let mut looked_at = 0;
    for prefix in ["", "/beta", "/v1.0"] {
        let model = Model::read(&ann, prefix);
        let folder =
            ann.post(&format!("{prefix}/me/contactFolders"), body_of("POST", "/contactFolders", prefix, 0).unwrap());
        let f = format!("contactFolders/{}", folder.id());
        let child =
            ann.post(&format!("{prefix}/me/{f}/childFolders"), body_of("POST", "/contactFolders", prefix, 1).unwrap());
        assert_eq!(child.status, 201);
        let contact = ann.post(&format!("{prefix}/me/{f}/contacts"), complete_contact(prefix)).id();
        ann.post("/me/contacts", complete_contact("")).json(201);
        ann.send("PUT", &format!("/me/contacts/{contact}/photo/$value"), Some(PNG.to_vec())).json(200);
        let category = ann.post("/me/outlook/masterCategories", json!({"displayName": format!("c{prefix}")})).id();
        let gone = ann.post("/me/contacts", complete_contact("")).id();
        let restored = ann.post("/me/contacts", complete_contact("")).id();
        for id in [&gone, &restored] {
            ann.delete(&format!("/me/contacts/{id}")).empty(204);
        }
        sync.post("/users/ann/contactPermissions", json!({"role": "read", "emailAddress": {"address": "bob"}}))
            .json(201);
        let subscription = ann.post(&format!("{prefix}/subscriptions"), terms("me/contacts", &receiver.url("/")));
        model.answer(&subscription.json(201), None, "POST /subscriptions");
        let subscription = subscription.id();
        for (round, (method, path)) in calls.iter().enumerate() {
            // Texts, bytes, files, and calls that are not part of the API.
            if ["$count", "$value", "/healthz", "/openapi.json", "/$metadata", "/$batch", "$import", "$export"]
                .iter()
                .any(|end| path.ends_with(end))
                || ["DELETE", "PUT"].contains(&method.as_str())
                || path == "/subscriptions" && method == "POST"
            {
                continue;
            }
            let permissions = path.contains("contactPermissions");
            let id = match path {
                _ if permissions => "bob",
                _ if path.contains("restore") => &restored,
                _ if path.contains("deleted") => &gone,
                _ => &contact,
            };
            let spelled = path.replace("/F", &format!("/{f}")).replace("{id}", id).replace("{category}", &category);
            let spelled = spelled.replace("{subscription}", &subscription).replace("{name}", "org.example.a");
            let is_users = path.starts_with("/users");
            let client = if permissions || is_users { &sync } else { &ann };
            let spelled = spelled.replace('…', if permissions { "/users/ann" } else { "/me" });
            let place = format!("{method} {prefix}{path}");
            let of_contacts = path.ends_with("ontacts") || path.ends_with("ontacts/{id}");
            let option = match method.as_str() {
                "GET" if of_contacts => EXPAND,
                "GET" if path.ends_with("olders") || path.ends_with("/F") => EXPAND_FOLDER,
                _ => "",
            };
            let answer = match (method.as_str(), body_of(method, path, prefix, round)) {
                ("GET", _) => client.get(&format!("{prefix}{spelled}{option}")),
                ("PATCH", None) if path.starts_with("/subscriptions") => client.patch(
                    &format!("{prefix}{spelled}"),
                    json!({"expirationDateTime": super::subscriptions::after(1800)}),
                ),
                ("POST", None) if path.ends_with("permanentDelete") || path.ends_with("reauthorize") => continue,
                (method, body) => {
                    client.send(method, &format!("{prefix}{spelled}"), body.map(|body| body.to_string().into_bytes()))
                }
            };
            assert!([200, 201].contains(&answer.status), "{place}: {}", String::from_utf8_lossy(&answer.body));
            let answer: Value = serde_json::from_slice(&answer.body).unwrap();
            looked_at += 1;
            if path == "/" {
                let named = |entry: &Value| model.member("GraphService", entry["name"].as_str().unwrap()).is_some();
                assert!(answer["value"].as_array().unwrap().iter().all(named), "{answer}");
            } else if path.ends_with("deliveries") {
                model.check("Collection(graph.notificationDelivery)", &answer["value"], &place);
            } else {
                model.answer(&answer, None, &place);
            }
        }
        sync.delete("/users/ann/contactPermissions/bob").empty(204);
    }
    assert!(looked_at > 100, "{looked_at}");
}

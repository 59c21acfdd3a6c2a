//! Random calls by two users, compared with a model in memory after each call.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};
use crate::expected::{contact, settled};

#[derive(Debug, Clone)]
pub enum Step {
    Create(Value),
    Patch(Index, Value),
    PatchStale(Index, Value),
    Delete(Index),
    Read(Index),
    List(usize),
    /// Sets the members of an extension, which is created if necessary, or deletes it.
    Extend(Index, &'static str, Option<Value>),
}

/// Properties whose value is returned as sent, so that the model can merge them.
fn properties() -> impl Strategy<Value = Value> {
    let text = prop_oneof![Just(Value::Null), "\\PC{0,12}".prop_map(|text| json!(text))];
    let list = proptest::collection::vec("\\PC{0,6}", 0..4).prop_map(|list| json!(list));
    let phone = ("\\PC{0,6}", prop_oneof![Just("home"), Just("pager"), Just("no such type")]);
    let phones = proptest::collection::vec(phone, 0..4).prop_map(|phones| {
        json!(
            phones
                .iter()
                .map(|(n, t)| json!({"@odata.type": "microsoft.graph.phone", "type": t, "number": n}))
                .collect::<Vec<_>>()
        )
    });
    let property = prop_oneof![
        (prop_oneof![Just("jobTitle"), Just("nickName"), Just("gender")], text).prop_map(|(name, value)| (name, value)),
        (prop_oneof![Just("categories"), Just("children"), Just("imAddresses")], list)
            .prop_map(|(name, value)| (name, value)),
        phones.prop_map(|phones| ("phones", phones)),
        any::<bool>().prop_map(|favorite| ("isFavorite", json!(favorite))),
        prop_oneof![Just("contacts"), Just("folder a"), Just("folder b")]
            .prop_map(|folder| ("parentFolderId", json!(folder))),
    ];
    proptest::collection::vec(property, 0..5).prop_map(|members| {
        let mut body = json!({});
        for (name, value) in members {
            body[name] = value;
        }
        body
    })
}

/// Members of an extension; null removes one.
fn members() -> impl Strategy<Value = Value> {
    let value =
        prop_oneof![Just(Value::Null), any::<i64>().prop_map(|n| json!(n)), "\\PC{0,6}".prop_map(|text| json!([text]))];
    let name = prop_oneof![Just("a"), Just("b"), Just("é")];
    proptest::collection::btree_map(name, value, 0..3).prop_map(|members| json!(members))
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => properties().prop_map(Step::Create),
        3 => (any::<Index>(), properties()).prop_map(|(i, p)| Step::Patch(i, p)),
        1 => (any::<Index>(), properties()).prop_map(|(i, p)| Step::PatchStale(i, p)),
        1 => any::<Index>().prop_map(Step::Delete),
        1 => any::<Index>().prop_map(Step::Read),
        1 => (1_usize..5).prop_map(Step::List),
        2 => (any::<Index>(), prop_oneof![Just("org.a"), Just("org.b")], proptest::option::of(members()))
            .prop_map(|(i, name, members)| Step::Extend(i, name, members)),
    ]
}

/// The expected mailbox: id, ETag and contact, in creation order.
#[derive(Default)]
pub struct Model {
    contacts: Vec<(String, String, Value)>,
    deleted: Vec<String>,
    folders: Vec<String>,
    /// The members of the extensions of each contact, by name.
    extensions: BTreeMap<String, BTreeMap<&'static str, Value>>,
}

impl Model {
    fn knows(&self, body: &Value) -> bool {
        body["parentFolderId"]
            .as_str()
            .is_none_or(|id| id == "contacts" || self.folders.iter().any(|known| known == id))
    }

    fn run(&mut self, client: &Client, step: &Step) {
        let path = |id: &str| format!("/me/contacts/{id}");
        match step {
            Step::Create(body) => {
                let answer = client.post("/me/contacts", body);
                let expected = contact(body.clone());
                assert_eq!(settled(answer.json(201)), expected);
                self.folders.extend(body["parentFolderId"].as_str().map(str::to_owned));
                self.contacts.push((answer.id(), answer.header("etag"), expected));
            }
            Step::Patch(at, body) if !self.contacts.is_empty() => {
                let known = self.knows(body);
                let (id, etag, expected) = at.get_mut(&mut self.contacts);
                let answer = client.with("If-Match", etag).patch(&path(id), body);
                if !known {
                    assert_eq!(answer.error().0, 404);
                    return;
                }
                for (name, value) in body.as_object().unwrap() {
                    expected[name] = value.clone();
                }
                assert_eq!(settled(answer.json(200)), *expected);
                assert_eq!(answer.header("etag") == *etag, body.as_object().unwrap().is_empty());
                *etag = answer.header("etag");
            }
            Step::PatchStale(at, body) if !self.contacts.is_empty() => {
                let (id, ..) = at.get(&self.contacts);
                assert_eq!(client.with("If-Match", "W/\"x\"").patch(&path(id), body).error().0, 412);
            }
            Step::Delete(at) if !self.contacts.is_empty() => {
                let (id, ..) = self.contacts.remove(at.index(self.contacts.len()));
                client.delete(&path(&id)).empty(204);
                self.deleted.push(id);
            }
            Step::Read(at) if !self.contacts.is_empty() => {
                let (id, etag, expected) = at.get(&self.contacts);
                let answer = client.get(&path(id));
                assert_eq!((settled(answer.json(200)), answer.header("etag")), (expected.clone(), etag.clone()));
            }
            Step::List(size) => self.compare(client, *size),
            Step::Extend(at, name, members) if !self.contacts.is_empty() => {
                let (id, etag, _) = at.get(&self.contacts);
                let known = self.extensions.entry(id.clone()).or_default();
                change_extension(client, &format!("{}/extensions", path(id)), known, name, members.as_ref());
                assert_eq!(client.get(&path(id)).header("etag"), *etag, "it is no change of the contact");
            }
            Step::Patch(..) | Step::PatchStale(..) | Step::Delete(_) | Step::Read(_) | Step::Extend(..) => {}
        }
    }

    /// Compares the whole mailbox, read in pages of any size.
    pub fn compare(&self, client: &Client, size: usize) {
        let mut found = Vec::new();
        let mut next = Some(format!("/me/contacts?$top={size}"));
        while let Some(path) = next {
            let page = client.get(&path).json(200);
            next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
            for contact in page["value"].as_array().unwrap() {
                let text = |name: &str| contact[name].as_str().unwrap().to_owned();
                found.push((text("id"), text("@odata.etag"), settled(contact.clone())));
            }
        }
        assert_eq!(found, self.contacts);
        let page = client.get("/me/contacts?$top=1000&$select=id&$expand=extensions").json(200);
        for contact in page["value"].as_array().unwrap() {
            let mut shown: Vec<Value> = contact["extensions"].as_array().unwrap().clone();
            shown.sort_by_key(|extension| extension["extensionName"].to_string());
            let bare = |mut extension: Value| {
                let members = extension.as_object_mut().unwrap();
                for name in ["@odata.etag", "@odata.type", "id", "extensionName"] {
                    assert!(members.remove(name).is_some(), "{name}");
                }
                extension
            };
            let expected = self.extensions.get(contact["id"].as_str().unwrap());
            let expected: Vec<_> = expected.into_iter().flat_map(BTreeMap::values).cloned().collect();
            assert_eq!(shown.into_iter().map(bare).collect::<Vec<_>>(), expected);
        }
        for id in &self.deleted {
            assert_eq!(client.get(&format!("/me/contacts/{id}")).error().0, 404);
        }
    }
}

/// Executes a step on the extension with this name and on the model.
fn change_extension(
    client: &Client,
    path: &str,
    known: &mut BTreeMap<&'static str, Value>,
    name: &'static str,
    members: Option<&Value>,
) {
    let extension_path = format!("{path}/{name}");
    let Some(members) = members else {
        let status = if known.remove(name).is_some() { 204 } else { 404 };
        assert_eq!(client.delete(&extension_path).status, status);
        return;
    };
    if let Some(stored) = known.get_mut(name) {
        for (member, value) in members.as_object().unwrap() {
            stored[member] = value.clone();
        }
        stored.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        client.patch(&extension_path, members).json(200);
        return;
    }
    assert_eq!(client.patch(&extension_path, members).status, 404);
    let mut body = members.clone();
    body["extensionName"] = json!(name);
    client.post(path, body).json(201);
    let mut stored = members.clone();
    stored.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    known.insert(name, stored);
}

/// Executes the steps. The second user executes the marked ones.
pub fn run(app: &TestApp, steps: &[(bool, Step)]) -> [Model; 2] {
    let clients = [app.user("ann"), app.user("bob")];
    let mut models = [Model::default(), Model::default()];
    for (bob, step) in steps {
        models[usize::from(*bob)].run(&clients[usize::from(*bob)], step);
    }
    models
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_agree_with_a_model(steps in proptest::collection::vec((any::<bool>(), step()), 1..40)) {
        let app = TestApp::new();
        let models = run(&app, &steps);
        let app = app.restarted();
        for (name, model) in ["ann", "bob"].iter().zip(&models) {
            model.compare(&app.user(name), 7);
        }
    }
}

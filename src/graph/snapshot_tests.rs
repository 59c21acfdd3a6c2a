//! Answers from several reads are of one snapshot. A write before any of the statements of a read is visible in the
//! whole answer or not at all.

// A write is prepared first and done later, in the middle of an answer.
#![allow(clippy::async_yields_async)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::{App, test};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::domain::contact::Contact;
use crate::domain::etag::Preconditions;
use crate::domain::handling::Handling;
use crate::domain::user::UserName;
use crate::graph::json::contact::read::{self, Purpose};
use crate::graph::json::folder;
use crate::http::authenticate::Access;
use crate::http::{Api, Settings};
use crate::json::Json;
use crate::odata::shape::Shape;
use crate::store::Store;
use crate::store::tests::between::{self, Hook};
use crate::store::tests::{Opened, opened};

/// An extended property.
const NAME: &str = "String {00020329-0000-0000-c000-000000000046} Name mark";

fn sent(body: &Value) -> Json {
    Json::read(body.to_string().as_bytes()).unwrap()
}

/// A contact or a folder that has the same mark in two places.
fn marked(name: &str, mark: usize) -> Value {
    json!({ name: mark.to_string(), "singleValueExtendedProperties": [{"id": NAME, "value": mark.to_string()}] })
}

/// Writes to a mailbox.
#[derive(Clone)]
struct Writes {
    store: Store,
    mailbox: i64,
}

impl Writes {
    async fn create(&self, body: Value) -> Contact {
        let mut new = read::read(Shape::V1, sent(&body), Handling::Lenient, Purpose::Create).unwrap();
        new.parent_folder_id = body["parentFolderId"].as_str().map(str::to_owned);
        self.store.insert(self.mailbox, new).await.unwrap()
    }

    async fn change(&self, contact: &Contact, body: Value) {
        let patch = read::read(Shape::V1, sent(&body), Handling::Lenient, Purpose::Update).unwrap();
        self.store.update(self.mailbox, &[], contact.id, patch, Preconditions::default()).await.unwrap();
    }

    async fn folder(&self, name: &str) -> String {
        let new = folder::read(sent(&json!({"displayName": name})), Handling::Lenient).unwrap();
        self.store.create_folder(self.mailbox, &["contacts".to_owned()], new).await.unwrap().id
    }

    async fn delete(&self, contact: &Contact) {
        self.store.delete(self.mailbox, &[], contact.id, Preconditions::default()).await.unwrap();
    }
}

/// A function that sends GET requests to the application.
macro_rules! getter {
    ($o:expr) => {{
        let api = Api::new($o.store.clone(), Access::development(), Settings::default());
        let app = test::init_service(App::new().service(api.service(""))).await;
        async move |caller: &str, path: &str| {
            let authorization = ("Authorization", format!("Bearer {caller}"));
            let peer = "127.0.0.1:1".parse().unwrap();
            let path = path.replace(' ', "%20").replace('"', "%22");
            let request = test::TestRequest::get().uri(&path).peer_addr(peer).insert_header(authorization);
            let response = test::call_service(&app, request.to_request()).await;
            let status = response.status().as_u16();
            let body = test::read_body(response).await;
            (status, serde_json::from_slice::<Value>(&body).unwrap())
        }
    }};
}

fn writes(o: &Opened) -> Writes {
    Writes { store: o.store.clone(), mailbox: o.mailbox }
}

/// Performs the write before the statement with this number of the next read. Returns whether it did.
async fn with_write_before<T>(
    number: usize,
    write: BoxFuture<'static, ()>,
    reading: impl Future<Output = T>,
) -> (T, bool) {
    let (counted, write) = (AtomicUsize::new(0), Arc::new(Mutex::new(Some(write))));
    let pending = Arc::clone(&write);
    let hook: Hook = Arc::new(move || {
        let is_next = counted.fetch_add(1, Ordering::Relaxed) == number;
        if is_next { pending.lock().unwrap().take() } else { None }
    });
    between::set(Some(hook));
    let read = reading.await;
    between::set(None);
    let remaining = write.lock().unwrap().take();
    (read, remaining.is_none())
}

/// Performs the write of `prepare` before each of the statements of a read.
async fn assert_one_snapshot<T: PartialEq + std::fmt::Debug>(
    read: impl AsyncFn() -> T,
    mut prepare: impl AsyncFnMut(usize) -> BoxFuture<'static, ()>,
) {
    for number in 0.. {
        let write = prepare(number).await;
        let before = read().await;
        let (found, written) = with_write_before(number, write, read()).await;
        if !written {
            assert!(number > 1, "it is one statement");
            return;
        }
        let after = read().await;
        assert_ne!(before, after);
        assert!(
            found == before || found == after,
            "statement {number}: {found:?}\nis of two moments:\n{before:?}\n{after:?}"
        );
    }
}

#[actix_web::test]
async fn a_contact_and_its_expansions_are_from_one_snapshot() {
    let o = opened().await;
    let (w, get) = (writes(&o), getter!(o));
    let contact = w.create(marked("givenName", 1_000)).await;
    let expand = format!("$expand=singleValueExtendedProperties($filter=id eq '{NAME}')");
    for path in [
        format!("/v1.0/me/contacts/{}?{expand}", contact.id),
        format!("/v1.0/me/contacts?{expand}"),
        format!("/v1.0/me/contacts?$search=\"example\"&{expand}"),
        "/v1.0/me/contactFolders('contacts')?$expand=contacts".to_string(),
    ] {
        let prepare = async |number| {
            let (w, contact) = (w.clone(), contact.clone());
            Box::pin(async move { w.change(&contact, marked("givenName", number)).await }) as BoxFuture<'static, ()>
        };
        if path.contains("search") {
            w.change(&contact, json!({"surname": "example"})).await;
        }
        assert_one_snapshot(async || get("ann", &path).await, prepare).await;
        w.change(&contact, marked("givenName", 1_000)).await;
    }
}

#[actix_web::test]
async fn a_page_and_its_count_are_from_one_snapshot() {
    let o = opened().await;
    let (w, get) = (writes(&o), getter!(o));
    let folder = w.folder("x").await;
    for path in [
        "/me/contacts?$count=true&$select=id".to_owned(),
        "/me/contacts?$count=true&$search=\"example\"&$select=id".to_owned(),
        format!("/me/contactFolders/{folder}/contacts?$count=true&$select=id"),
    ] {
        let prepare = async |_| {
            let (w, body) = (w.clone(), json!({"givenName": "example", "parentFolderId": folder}));
            Box::pin(async move { drop(w.create(body).await) }) as BoxFuture<'static, ()>
        };
        assert_one_snapshot(async || get("ann", &path).await, prepare).await;
    }
    let store = o.store.clone();
    let prepare = async |number| {
        let (store, name) = (store.clone(), UserName::parse(&format!("user{number}")).unwrap());
        Box::pin(async move { drop(store.add_user(&name, None).await.unwrap()) }) as BoxFuture<'static, ()>
    };
    assert_one_snapshot(async || get("app:sync", "/users?$count=true").await, prepare).await;
}

#[actix_web::test]
async fn folders_and_their_expansions_are_from_one_snapshot() {
    let o = opened().await;
    let (w, get) = (writes(&o), getter!(o));
    let (a, b) = (w.folder("a").await, w.folder("b").await);
    let contact = w.create(json!({"parentFolderId": a})).await;
    // The contact moves, and must be in exactly one of the folders.
    let prepare = async |number: usize| {
        let (w, contact) = (w.clone(), contact.clone());
        let to = if number.is_multiple_of(2) { b.clone() } else { a.clone() };
        Box::pin(async move { w.change(&contact, json!({"parentFolderId": to})).await }) as BoxFuture<'static, ()>
    };
    let path = "/v1.0/me/contactFolders?$expand=contacts($select=id;$count=true)";
    assert_one_snapshot(async || get("ann", path).await, prepare).await;

    let prepare = async |number: usize| {
        let (w, path) = (w.clone(), vec![a.clone()]);
        let patch = folder::read(sent(&marked("displayName", number)), Handling::Lenient).unwrap();
        Box::pin(async move {
            w.store.update_folder(w.mailbox, &path, patch, Preconditions::default()).await.unwrap();
        }) as BoxFuture<'static, ()>
    };
    let path = format!("/v1.0/me/contactFolders/{a}?$expand=singleValueExtendedProperties($filter=id eq '{NAME}')");
    assert_one_snapshot(async || get("ann", &path).await, prepare).await;
}

#[actix_web::test]
async fn a_permanent_delete_is_visible_in_full_or_not_at_all() {
    let o = opened().await;
    let (w, get) = (writes(&o), getter!(o));
    let current: Mutex<String> = Mutex::default();
    let expand = format!("$expand=singleValueExtendedProperties($filter=id eq '{NAME}'),extensions");
    let (list, one) = (format!("/v1.0/me/deletedContacts?{expand}"), format!("/v1.0/me/deletedContacts/ID?{expand}"));
    for path in [list.as_str(), one.as_str(), "/v1.0/me/contacts/ID/extensions"] {
        let prepare = async |number| {
            let mut body = marked("givenName", number);
            body["extensions"] = json!([{"extensionName": "example.mark", "mark": number}]);
            let (w, contact) = (w.clone(), w.create(body).await);
            *current.lock().unwrap() = contact.id.to_string();
            if path.contains("deleted") {
                w.delete(&contact).await;
                return Box::pin(async move {
                    w.store.delete_from_trash(w.mailbox, contact.id, Preconditions::default()).await.unwrap();
                }) as BoxFuture<'static, ()>;
            }
            Box::pin(async move {
                w.store.delete_permanently(w.mailbox, &[], contact.id, Preconditions::default()).await.unwrap();
            })
        };
        let read = async || {
            let path = path.replace("ID", &current.lock().unwrap());
            let (status, body) = get("ann", &path).await;
            // An error contains the ids of the request.
            if status == 200 { (status, body) } else { (status, body["error"]["code"].clone()) }
        };
        assert_one_snapshot(read, prepare).await;
    }
}

#[actix_web::test]
async fn a_delta_page_and_its_link_are_from_one_snapshot() {
    let o = opened().await;
    let (w, get) = (writes(&o), getter!(o));
    let contact = w.create(marked("givenName", 1_000)).await;
    let mut link = "/v1.0/me/contacts/delta".to_owned();
    for number in 0.. {
        w.change(&contact, marked("givenName", 1_000 + number)).await;
        let write = {
            let (w, contact) = (w.clone(), contact.clone());
            Box::pin(async move { w.change(&contact, marked("givenName", number)).await })
        };
        let ((status, page), written) = with_write_before(number, write, get("ann", &link)).await;
        assert_eq!(status, 200, "{page}");
        if !written {
            assert!(number > 2);
            return;
        }
        let next = page["@odata.deltaLink"].as_str().unwrap().split_once("/v1.0").unwrap().1;
        let (_, rest) = get("ann", &format!("/v1.0{next}")).await;
        let names =
            |page: &Value| page["value"].as_array().unwrap().iter().map(|c| c["givenName"].clone()).collect::<Vec<_>>();
        let (old, new) = (json!((1_000 + number).to_string()), json!(number.to_string()));
        let names = (names(&page), names(&rest));
        assert!(
            names == (vec![old], vec![new.clone()]) || names == (vec![new], vec![]),
            "statement {number}: {names:?}"
        );
        link = format!("/v1.0{}", rest["@odata.deltaLink"].as_str().unwrap().split_once("/v1.0").unwrap().1);
    }
}

//! Change notifications and retries. Tests that need a process of their own are in `notifications`.

use chrono::DateTime;
use contactd::http::authenticate::Access;
use serde_json::{Value, json};

use super::pictures::gif;
use super::subscriptions::{after, patient, set_up, start, start_persistent, subscribe, terms, with};
use crate::app::{Answer, Client, Setup, TestApp};
use crate::receiver::{Mood, Receiver, until};

/// What happened to what, in order.
fn told(notifications: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    notifications.iter().map(|told| (text(&told["changeType"]), text(&told["resourceData"]["id"]))).collect()
}

fn changes(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(change, id)| ((*change).to_owned(), (*id).to_owned())).collect()
}

fn deliveries_of(client: &Client, id: &str) -> Vec<Value> {
    client.get(&format!("/subscriptions/{id}/deliveries")).json(200)["value"].as_array().unwrap().clone()
}

fn position(answer: &Answer) -> i64 {
    answer.header("contactd-position").parse().unwrap()
}

/// What a notice names is there, as it says.
fn assert_can_be_read(client: &Client, told: &Value) {
    let path = format!("/v1.0/{}", told["resourceData"]["@odata.id"].as_str().unwrap());
    let read = client.get(&path);
    let etag = told["resourceData"]["@odata.etag"].as_str().unwrap();
    assert_eq!((read.status, read.header("etag").as_str()), (200, etag), "{path}");
}

#[test]
fn every_change_is_told_once_and_in_order() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let before = ann.post("/me/contacts", json!({"title": "before"})).id();
    let folder = ann.post("/me/contactFolders", json!({"displayName": "It's a folder"})).id();
    let all = subscribe(&ann, "me/contacts", &receiver.url("/all"));
    subscribe(&ann, &format!("users/ann/contactFolders('{folder}')/contacts"), &receiver.url("/folder"));
    subscribe(&ann, "me/contactFolders/contacts/contacts", &receiver.url("/default"));
    subscribe(&ann, "me/contactFolders", &receiver.url("/folders"));
    let deleted = with(terms("me/contacts", &receiver.url("/deleted")), "changeType", json!("deleted"));
    ann.post("/subscriptions", deleted).json(201);

    let created = ann.post("/me/contacts", json!({"title": "one"}));
    let one = created.id();
    let path = format!("/me/contacts/{one}");
    ann.patch(&path, json!({"title": "two"}));
    ann.patch(&path, "{}");
    let photo =
        ann.with("Content-Type", "image/gif").send("PUT", &format!("{path}/photo/$value"), Some(gif(1, 1, 100, 0)));
    assert_eq!(photo.status, 200);
    let moved = ann.patch(&path, json!({"parentFolderId": folder}));
    ann.patch(&format!("/me/contacts/{before}"), json!({"title": "after"}));
    let inside = ann.post(&format!("/me/contactFolders/{folder}/contacts"), "{}").id();
    ann.patch(&path, json!({"title": "three", "parentFolderId": "contacts"}));
    let last = ann.delete(&path);
    let named = ann.post("/me/contacts", json!({"parentFolderId": "a('b')"})).id();
    ann.patch(&format!("/me/contactFolders/{folder}"), json!({"displayName": "renamed"}));
    ann.delete(&format!("/me/contactFolders/{folder}"));

    let all_told = receiver.wait("/all", 9);
    let (one, before, inside, named) = (one.as_str(), before.as_str(), inside.as_str(), named.as_str());
    assert_eq!(
        told(&all_told),
        changes(&[
            ("created", one),
            ("updated", one),
            ("updated", one),
            ("updated", before),
            ("created", inside),
            ("updated", one),
            ("deleted", one),
            ("created", named),
            ("deleted", inside),
        ])
    );
    assert_eq!(
        told(&receiver.wait("/folder", 4)),
        changes(&[("created", one), ("created", inside), ("deleted", one), ("deleted", inside)])
    );
    assert_eq!(
        told(&receiver.wait("/default", 6)),
        changes(&[
            ("created", one),
            ("updated", one),
            ("deleted", one),
            ("updated", before),
            ("created", one),
            ("deleted", one)
        ])
    );
    let of_folders = receiver.wait("/folders", 3);
    assert_eq!(told(&of_folders), changes(&[("created", "a('b')"), ("updated", &folder), ("deleted", &folder)]));
    assert_eq!(told(&receiver.wait("/deleted", 2)), changes(&[("deleted", one), ("deleted", inside)]));

    // The whole of some.
    let terms = ann.get(&format!("/subscriptions/{all}")).json(200);
    assert_eq!(
        all_told[0],
        json!({
            "id": format!("{all}-{}", position(&created)), "subscriptionId": all, "clientState": "secret",
            "subscriptionExpirationDateTime": terms["expirationDateTime"], "changeType": "created",
            "resource": format!("Users/ann/Contacts/{one}"), "tenantId": "00000000-0000-0000-0000-000000000000",
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Contact", "@odata.id": format!("Users/ann/Contacts/{one}"),
                "@odata.etag": created.header("etag"), "id": one,
            },
        })
    );
    assert_eq!(all_told[2]["resourceData"]["@odata.etag"], moved.header("etag"));
    assert_eq!(all_told[6]["id"], format!("{all}-{}", position(&last)));
    assert_eq!(of_folders[0]["resourceData"]["@odata.type"], "#Microsoft.Graph.ContactFolder");
    for told in [&all_told[3], &of_folders[0]] {
        assert_can_be_read(&ann, told);
    }
    let head = receiver.got().into_iter().find(|got| got.path == "/all").unwrap().head.to_lowercase();
    assert!(
        head.contains("content-type: application/json") && head.contains(&format!("host: 127.0.0.1:{}", receiver.port))
    );
}

#[test]
fn a_contact_that_is_gone_for_good_is_told_as_the_log_has_it() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    receiver.set(Mood::Refuses(500));
    subscribe(&ann, "me/contacts", &receiver.url("/"));
    let id = ann.post("/me/contacts", "{}").id();
    ann.patch(&format!("/me/contacts/{id}"), json!({"title": "x"}));
    ann.delete(&format!("/me/contacts/{id}"));
    app.sql("delete from contacts");
    receiver.set(Mood::Well);
    let expected = changes(&[("created", &id), ("updated", &id), ("deleted", &id)]);
    until(|| told(&receiver.notifications("/")).ends_with(&expected));
}

#[test]
fn a_contact_that_is_restored_is_told_as_created() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    subscribe(&ann, "me/contacts", &receiver.url("/all"));
    subscribe(&ann, "me/contactFolders/contacts/contacts", &receiver.url("/folder"));
    ann.delete(&format!("/me/contacts/{id}")).empty(204);
    ann.post(&format!("/me/deletedContacts/{id}/restore"), "").json(200);
    ann.patch(&format!("/me/contacts/{id}"), json!({"title": "x"})).json(200);
    for path in ["/all", "/folder"] {
        let expected = changes(&[("deleted", &id), ("created", &id), ("updated", &id)]);
        assert_eq!(told(&receiver.wait(path, 3)), expected, "{path}");
    }
}

#[test]
fn a_folder_that_is_made_anew_is_told_as_created_each_time() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    receiver.set(Mood::Silent);
    subscribe(&ann, "me/contactFolders", &receiver.url("/"));
    for _ in 0..2 {
        ann.post("/me/contacts", json!({"parentFolderId": "f"}));
        ann.patch("/me/contactFolders/f", json!({"displayName": "g"}));
        ann.delete("/me/contactFolders/f").empty(204);
    }
    receiver.set(Mood::Well);
    let expected = changes(&[("created", "f"), ("updated", "f"), ("deleted", "f")].repeat(2));
    until(|| told(&receiver.notifications("/")).ends_with(&expected));
}

#[test]
fn what_is_not_accepted_is_told_again_until_it_is() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    let id = subscribe(&ann, "me/contacts", &receiver.url("/"));
    receiver.set(Mood::Refuses(500));
    let created = ann.post("/me/contacts", "{}");
    until(|| receiver.bodies("/").len() >= 3);
    receiver.set(Mood::Refuses(302));
    let seen = receiver.bodies("/").len();
    until(|| receiver.bodies("/").len() > seen);
    receiver.set(Mood::Silent);
    let seen = receiver.bodies("/").len();
    until(|| receiver.bodies("/").len() > seen);
    // Others are told meanwhile.
    let other = Receiver::new();
    subscribe(&ann, "me/contacts", &other.url("/"));
    let second = ann.post("/me/contacts", "{}");
    other.wait("/", 1);
    receiver.set(Mood::Well);
    let accepted = |delivery: &Value| delivery["status"] == 202;
    until(|| deliveries_of(&ann, &id).iter().any(accepted));
    let attempts = deliveries_of(&ann, &id);
    let (last, failed) = attempts.split_last().unwrap();
    let (first, second) = (position(&created), position(&second));
    assert_eq!(
        *last,
        json!({
            "attemptDateTime": last["attemptDateTime"], "about": "notifications", "attempt": failed.len() + 1,
            "notifications": 2, "firstChange": first, "lastChange": second, "status": 202, "error": null,
        })
    );
    assert!(DateTime::parse_from_rfc3339(last["attemptDateTime"].as_str().unwrap()).is_ok());
    for (i, delivery) in failed.iter().enumerate() {
        assert_eq!((&delivery["attempt"], &delivery["firstChange"]), (&json!(i + 1), &json!(first)));
        assert_eq!(delivery["status"].is_null(), delivery["error"].is_string(), "{delivery}");
    }
    for status in [json!(500), json!(302), Value::Null] {
        assert!(failed.iter().any(|delivery| delivery["status"] == status), "{status}");
    }
    assert!(
        failed.iter().any(|delivery| delivery["error"].as_str().is_some_and(|error| error.contains("within 800 ms")))
    );
    // The rest of the answer is not read.
    receiver.set(Mood::Says("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nx".to_owned()));
    ann.post("/me/contacts", "{}");
    let statuses = || deliveries_of(&ann, &id).iter().map(|delivery| delivery["status"].clone()).collect::<Vec<_>>();
    until(|| statuses().ends_with(&[json!(202), json!(200)]));
}

#[test]
fn a_receiver_that_was_away_misses_nothing_and_the_last_hundred_attempts_are_kept() {
    // On a busy machine a receiver takes longer to answer 100 notices than one in a hurry waits.
    let receiver = Receiver::new();
    let app = patient();
    let ann = app.user("ann");
    let id = subscribe(&ann, "me/contacts", &receiver.url("/"));
    let port = receiver.port;
    drop(receiver);
    let made: Vec<_> = (0..150).map(|_| ann.post("/me/contacts", "{}").id()).collect();
    until(|| deliveries_of(&ann, &id).len() > 2);
    let receiver = Receiver::at(port);
    let expected: Vec<_> = made.iter().map(|id| ("created".to_owned(), id.clone())).collect();
    assert_eq!(told(&receiver.wait("/", 150)), expected);
    assert!(receiver.bodies("/").iter().all(|body| body["value"].as_array().unwrap().len() <= 100));
    for more in 1..=110 {
        ann.post("/me/contacts", "{}");
        until(|| receiver.notifications("/").len() == 150 + more);
    }
    until(|| deliveries_of(&ann, &id).len() == 100);
    assert_eq!(app.count("select count(*) from deliveries"), 100);
}

#[test]
fn what_was_given_up_is_told_as_missed() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let life = Receiver::new();
    let terms = with(terms("me/contacts", &receiver.url("/")), "lifecycleNotificationUrl", json!(life.url("/life")));
    let id = ann.post("/subscriptions", terms).id();
    let unheard = subscribe(&ann, "me/contacts", &receiver.url("/unheard"));
    receiver.set(Mood::Refuses(503));
    ann.post("/me/contacts", "{}");
    // The first attempt of its own is refused too.
    life.set(Mood::Refuses(500));
    until(|| !life.bodies("/life").is_empty());
    life.set(Mood::Well);
    until(|| {
        deliveries_of(&ann, &id).iter().any(|delivery| delivery["about"] == "missed" && delivery["status"] == 202)
    });
    let deliveries = deliveries_of(&ann, &id);
    let attempts: Vec<_> = deliveries.iter().filter(|delivery| delivery["about"] == "notifications").collect();
    assert_eq!(attempts.len(), 10, "ten attempts, and then no more: {attempts:?}");
    assert_eq!(attempts[9]["attempt"], 10);
    let terms = ann.get(&format!("/subscriptions/{id}")).json(200);
    assert_eq!(
        life.notifications("/life").last().unwrap(),
        &json!({
            "subscriptionId": id, "subscriptionExpirationDateTime": terms["expirationDateTime"], "clientState": "secret",
            "lifecycleEvent": "missed", "tenantId": "00000000-0000-0000-0000-000000000000",
        })
    );
    // A subscription without lifecycle notifications ends without one.
    let given_up =
        |told: &[Value]| told.len() == 10 && told.iter().all(|delivery| delivery["about"] == "notifications");
    until(|| given_up(&deliveries_of(&ann, &unheard)));
    // It goes on with what comes.
    let before = receiver.notifications("/").len();
    receiver.set(Mood::Well);
    let new = ann.post("/me/contacts", "{}").id();
    receiver.wait("/", before + 1);
    assert_eq!(told(&receiver.notifications("/")[before..]), changes(&[("created", &new)]));
    until(|| told(&receiver.notifications("/unheard")).last() == Some(&("created".to_owned(), new.clone())));
}

#[test]
fn a_subscription_ends_and_says_so_before_and_after() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let brief =
        with(terms("me/contacts", &receiver.url("/")), "lifecycleNotificationUrl", json!(receiver.url("/life")));
    let id = ann.post("/subscriptions", with(brief, "expirationDateTime", json!(after(3)))).id();
    let events = || {
        let told = receiver.notifications("/life");
        told.iter().map(|told| told["lifecycleEvent"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until(|| events() == ["reauthorizationRequired"]);
    let path = format!("/subscriptions/{id}");
    // A renewal that is short as well is told of again.
    ann.patch(&path, json!({"expirationDateTime": after(4)})).json(200);
    until(|| events() == ["reauthorizationRequired"; 2]);
    until(|| events().len() == 3);
    assert_eq!(events()[2], "subscriptionRemoved");
    assert_eq!(ann.get(&path).error().0, 404);
    until(|| app.count("select count(*) from subscriptions") == 0);
    ann.post("/me/contacts", "{}");
    assert_eq!(app.count("select count(*) from deliveries"), 0);
    let quiet = subscribe(&ann, "me/contacts", &receiver.url("/other"));
    ann.post("/me/contacts", "{}");
    receiver.wait("/other", 1);
    assert_eq!(receiver.notifications("/"), Vec::<Value>::new());
    until(|| deliveries_of(&ann, &quiet).len() == 1);
}

#[test]
fn a_server_that_is_started_again_goes_on_where_it_was() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    let id = subscribe(&ann, "me/contacts", &receiver.url("/"));
    let one = ann.post("/me/contacts", "{}").id();
    receiver.wait("/", 1);
    receiver.set(Mood::Refuses(500));
    let two = ann.post("/me/contacts", "{}").id();
    // An attempt that the restart cuts off is not recorded.
    until(|| deliveries_of(&ann, &id).len() > 2);
    let app = app.restarted_with(set_up());
    let failed = receiver.bodies("/").len() - 1;
    let ann = app.user("ann");
    let kept = deliveries_of(&ann, &id);
    assert!(kept.len() > 2 && kept[0]["status"] == 202, "{kept:?}");
    receiver.set(Mood::Well);
    until(|| deliveries_of(&ann, &id).last().unwrap()["status"] == 202);
    assert!(deliveries_of(&ann, &id).last().unwrap()["attempt"].as_u64().unwrap() > 2, "attempts are counted on");
    let three = ann.post("/me/contacts", "{}").id();
    until(|| told(&receiver.notifications("/")).last() == Some(&("created".to_owned(), three.clone())));
    let all = told(&receiver.notifications("/"));
    assert!(all.len() > failed);
    let mut without_repeats = all.clone();
    without_repeats.dedup();
    assert_eq!(without_repeats, changes(&[("created", &one), ("created", &two), ("created", &three)]));
}

#[test]
fn what_is_told_of_a_user_with_an_apostrophe_or_a_hash_leads_to_the_contact() {
    // The name is also the secret: development tokens allow fewer characters.
    let tokens = "o'brien@example.org=o'brien@example.org,ann_x.org#EXT#@example.org=ann_x.org#EXT#@example.org";
    let app = TestApp::with(Setup { access: Some(Access::tokens(tokens).unwrap()), ..set_up() });
    let receiver = Receiver::new();
    for (i, (name, user)) in [
        ("o'brien@example.org", "o%27brien@example.org"),
        ("ann_x.org#EXT#@example.org", "ann_x.org%23EXT%23@example.org"),
    ]
    .into_iter()
    .enumerate()
    {
        let (client, hook) = (app.user(name), format!("/{i}"));
        let resource = format!("users('{}')/contacts", user.replace("%27", "%27%27"));
        let subscription = client.post("/subscriptions", terms(&resource, &receiver.url(&hook))).json(201);
        assert_eq!(subscription["resource"], resource);
        let id = client.post("/me/contacts", json!({"title": name})).id();
        let told = &receiver.wait(&hook, 1)[0];
        assert_eq!(told["resource"], format!("Users/{user}/Contacts/{id}"));
        assert_eq!(told["resourceData"]["@odata.id"], told["resource"]);
        let path = format!("/{}", told["resource"].as_str().unwrap());
        assert_eq!(client.get(&path).json(200)["title"], name, "{path}");
    }
}

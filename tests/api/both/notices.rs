//! Change notifications and retries. Tests that need a process of their own are in `notifications`.

use chrono::DateTime;
use contactd::http::authenticate::Access;
use serde_json::{Value, json};

use super::pictures::gif;
use super::subscriptions::{after, patient, set_up, start, start_persistent, subscribe, terms, with};
use crate::app::{Answer, Client, Setup, TestApp};
use crate::receiver::{Behaviour, Receiver, until};

/// Pairs of change type and id, in order.
fn types_and_ids(notifications: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    notifications
        .iter()
        .map(|notification| (text(&notification["changeType"]), text(&notification["resourceData"]["id"])))
        .collect()
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

/// Asserts that the object of a notification can be read.
fn assert_can_be_read(client: &Client, notification: &Value) {
    let path = format!("/v1.0/{}", notification["resourceData"]["@odata.id"].as_str().unwrap());
    let read = client.get(&path);
    let etag = notification["resourceData"]["@odata.etag"].as_str().unwrap();
    assert_eq!((read.status, read.header("etag").as_str()), (200, etag), "{path}");
}

#[test]
fn every_change_is_notified_once_and_in_order() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let before = ann.post("/me/contacts", json!({"title": "before"})).id();
    let folder = ann.post("/me/contactFolders", json!({"displayName": "It's a folder"})).id();
    let subscription = subscribe(&ann, "me/contacts", &receiver.url("/all"));
    subscribe(&ann, &format!("users/ann/contactFolders('{folder}')/contacts"), &receiver.url("/folder"));
    subscribe(&ann, "me/contactFolders/contacts/contacts", &receiver.url("/default"));
    subscribe(&ann, "me/contactFolders", &receiver.url("/folders"));
    let deleted = with(terms("me/contacts", &receiver.url("/deleted")), "changeType", json!("deleted"));
    ann.post("/subscriptions", deleted).json(201);

    let created = ann.post("/me/contacts", json!({"title": "one"}));
    let first_id = created.id();
    let path = format!("/me/contacts/{first_id}");
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

    let all_notifications = receiver.wait("/all", 9);
    let (first_id, before, inside, named) = (first_id.as_str(), before.as_str(), inside.as_str(), named.as_str());
    assert_eq!(
        types_and_ids(&all_notifications),
        changes(&[
            ("created", first_id),
            ("updated", first_id),
            ("updated", first_id),
            ("updated", before),
            ("created", inside),
            ("updated", first_id),
            ("deleted", first_id),
            ("created", named),
            ("deleted", inside),
        ])
    );
    assert_eq!(
        types_and_ids(&receiver.wait("/folder", 4)),
        changes(&[("created", first_id), ("created", inside), ("deleted", first_id), ("deleted", inside)])
    );
    assert_eq!(
        types_and_ids(&receiver.wait("/default", 6)),
        changes(&[
            ("created", first_id),
            ("updated", first_id),
            ("deleted", first_id),
            ("updated", before),
            ("created", first_id),
            ("deleted", first_id)
        ])
    );
    let of_folders = receiver.wait("/folders", 3);
    assert_eq!(
        types_and_ids(&of_folders),
        changes(&[("created", "a('b')"), ("updated", &folder), ("deleted", &folder)])
    );
    assert_eq!(types_and_ids(&receiver.wait("/deleted", 2)), changes(&[("deleted", first_id), ("deleted", inside)]));

    // Some notifications completely.
    let terms = ann.get(&format!("/subscriptions/{subscription}")).json(200);
    assert_eq!(
        all_notifications[0],
        json!({
            "id": format!("{subscription}-{}", position(&created)), "subscriptionId": subscription, "clientState": "secret",
            "subscriptionExpirationDateTime": terms["expirationDateTime"], "changeType": "created",
            "resource": format!("Users/ann/Contacts/{first_id}"), "tenantId": "00000000-0000-0000-0000-000000000000",
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Contact", "@odata.id": format!("Users/ann/Contacts/{first_id}"),
                "@odata.etag": created.header("etag"), "id": first_id,
            },
        })
    );
    assert_eq!(all_notifications[2]["resourceData"]["@odata.etag"], moved.header("etag"));
    assert_eq!(all_notifications[6]["id"], format!("{subscription}-{}", position(&last)));
    assert_eq!(of_folders[0]["resourceData"]["@odata.type"], "#Microsoft.Graph.ContactFolder");
    for notification in [&all_notifications[3], &of_folders[0]] {
        assert_can_be_read(&ann, notification);
    }
    let head = receiver.requests().into_iter().find(|got| got.path == "/all").unwrap().head.to_lowercase();
    assert!(
        head.contains("content-type: application/json") && head.contains(&format!("host: 127.0.0.1:{}", receiver.port))
    );
}

/// Each delivery reads changes. Here more deliveries read than there are connections for reads, while others become due.
#[test]
fn deliveries_to_many_users_do_not_delay_requests() {
    const USERS: usize = 12;
    const CHANGES: usize = 40;
    let (app, receiver) = (start_persistent(), Receiver::new());
    std::thread::scope(|scope| {
        for number in 0..USERS {
            let (app, receiver) = (&app, &receiver);
            scope.spawn(move || {
                let client = app.user(&format!("user{number}"));
                let path = format!("/{number}");
                for _ in 0..4 {
                    subscribe(&client, "me/contacts", &receiver.url(&path));
                }
                for _ in 0..CHANGES {
                    client.post("/me/contacts", json!({"title": "t"})).json(201);
                    client.get("/me/contacts?$top=1").json(200);
                }
                assert_eq!(receiver.wait(&path, 4 * CHANGES).len(), 4 * CHANGES);
            });
        }
    });
}

#[test]
fn a_purged_contact_is_notified_as_logged() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    receiver.set(Behaviour::Refuses(500));
    subscribe(&ann, "me/contacts", &receiver.url("/"));
    let id = ann.post("/me/contacts", "{}").id();
    ann.patch(&format!("/me/contacts/{id}"), json!({"title": "x"}));
    ann.delete(&format!("/me/contacts/{id}"));
    app.sql("delete from contacts");
    receiver.set(Behaviour::Accepts);
    let expected = changes(&[("created", &id), ("updated", &id), ("deleted", &id)]);
    until(|| types_and_ids(&receiver.notifications("/")).ends_with(&expected));
}

#[test]
fn a_restored_contact_is_notified_as_created() {
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
        assert_eq!(types_and_ids(&receiver.wait(path, 3)), expected, "{path}");
    }
}

#[test]
fn a_folder_that_is_created_again_is_notified_as_created_each_time() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    receiver.set(Behaviour::Silent);
    subscribe(&ann, "me/contactFolders", &receiver.url("/"));
    for _ in 0..2 {
        ann.post("/me/contacts", json!({"parentFolderId": "f"}));
        ann.patch("/me/contactFolders/f", json!({"displayName": "g"}));
        ann.delete("/me/contactFolders/f").empty(204);
    }
    receiver.set(Behaviour::Accepts);
    let expected = changes(&[("created", "f"), ("updated", "f"), ("deleted", "f")].repeat(2));
    until(|| types_and_ids(&receiver.notifications("/")).ends_with(&expected));
}

#[test]
fn a_refused_notification_is_retried_until_accepted() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    let id = subscribe(&ann, "me/contacts", &receiver.url("/"));
    receiver.set(Behaviour::Refuses(500));
    let created = ann.post("/me/contacts", "{}");
    until(|| receiver.bodies("/").len() >= 3);
    receiver.set(Behaviour::Refuses(302));
    let seen = receiver.bodies("/").len();
    until(|| receiver.bodies("/").len() > seen);
    receiver.set(Behaviour::Silent);
    let seen = receiver.bodies("/").len();
    until(|| receiver.bodies("/").len() > seen);
    // Other subscriptions are notified meanwhile.
    let other = Receiver::new();
    subscribe(&ann, "me/contacts", &other.url("/"));
    let second = ann.post("/me/contacts", "{}");
    other.wait("/", 1);
    receiver.set(Behaviour::Accepts);
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
    receiver.set(Behaviour::AnswersWith("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nx".to_owned()));
    ann.post("/me/contacts", "{}");
    let statuses = || deliveries_of(&ann, &id).iter().map(|delivery| delivery["status"].clone()).collect::<Vec<_>>();
    until(|| statuses().ends_with(&[json!(202), json!(200)]));
}

#[test]
fn a_receiver_that_was_offline_misses_nothing_and_the_last_hundred_attempts_are_kept() {
    // On a busy machine a receiver may answer 100 notifications later than the short timeout allows.
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
    assert_eq!(types_and_ids(&receiver.wait("/", 150)), expected);
    assert!(receiver.bodies("/").iter().all(|body| body["value"].as_array().unwrap().len() <= 100));
    for more in 1..=110 {
        ann.post("/me/contacts", "{}");
        until(|| receiver.notifications("/").len() == 150 + more);
    }
    until(|| deliveries_of(&ann, &id).len() == 100);
    assert_eq!(app.count("select count(*) from deliveries"), 100);
}

#[test]
fn abandoned_notifications_are_reported_as_missed() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let life = Receiver::new();
    let terms = with(terms("me/contacts", &receiver.url("/")), "lifecycleNotificationUrl", json!(life.url("/life")));
    let id = ann.post("/subscriptions", terms).id();
    let unheard = subscribe(&ann, "me/contacts", &receiver.url("/unheard"));
    receiver.set(Behaviour::Refuses(503));
    ann.post("/me/contacts", "{}");
    // The first attempt of the lifecycle notification is refused too.
    life.set(Behaviour::Refuses(500));
    until(|| !life.bodies("/life").is_empty());
    life.set(Behaviour::Accepts);
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
    let given_up = |attempts: &[Value]| {
        attempts.len() == 10 && attempts.iter().all(|delivery| delivery["about"] == "notifications")
    };
    until(|| given_up(&deliveries_of(&ann, &unheard)));
    // It continues with new changes.
    let before = receiver.notifications("/").len();
    receiver.set(Behaviour::Accepts);
    let new = ann.post("/me/contacts", "{}").id();
    receiver.wait("/", before + 1);
    assert_eq!(types_and_ids(&receiver.notifications("/")[before..]), changes(&[("created", &new)]));
    until(|| types_and_ids(&receiver.notifications("/unheard")).last() == Some(&("created".to_owned(), new.clone())));
}

#[test]
fn a_subscription_sends_lifecycle_events_before_and_after_it_expires() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let brief =
        with(terms("me/contacts", &receiver.url("/")), "lifecycleNotificationUrl", json!(receiver.url("/life")));
    let id = ann.post("/subscriptions", with(brief, "expirationDateTime", json!(after(3)))).id();
    let events = || {
        let notifications = receiver.notifications("/life");
        notifications
            .iter()
            .map(|notification| notification["lifecycleEvent"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    until(|| events() == ["reauthorizationRequired"]);
    let path = format!("/subscriptions/{id}");
    // A renewal for a short time is announced again.
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
fn a_restarted_server_continues_notifications_where_it_stopped() {
    let (app, receiver) = (start_persistent(), Receiver::new());
    let ann = app.user("ann");
    let id = subscribe(&ann, "me/contacts", &receiver.url("/"));
    let one = ann.post("/me/contacts", "{}").id();
    receiver.wait("/", 1);
    receiver.set(Behaviour::Refuses(500));
    let two = ann.post("/me/contacts", "{}").id();
    // An attempt that the restart interrupts is not recorded.
    until(|| deliveries_of(&ann, &id).len() > 2);
    let app = app.restarted_with(set_up());
    let failed = receiver.bodies("/").len() - 1;
    let ann = app.user("ann");
    let kept = deliveries_of(&ann, &id);
    assert!(kept.len() > 2 && kept[0]["status"] == 202, "{kept:?}");
    receiver.set(Behaviour::Accepts);
    until(|| deliveries_of(&ann, &id).last().unwrap()["status"] == 202);
    assert!(deliveries_of(&ann, &id).last().unwrap()["attempt"].as_u64().unwrap() > 2, "attempts are counted on");
    let three = ann.post("/me/contacts", "{}").id();
    until(|| types_and_ids(&receiver.notifications("/")).last() == Some(&("created".to_owned(), three.clone())));
    let all_changes = types_and_ids(&receiver.notifications("/"));
    assert!(all_changes.len() > failed);
    let mut without_repeats = all_changes.clone();
    without_repeats.dedup();
    assert_eq!(without_repeats, changes(&[("created", &one), ("created", &two), ("created", &three)]));
}

#[test]
fn notified_links_of_users_with_an_apostrophe_or_a_hash_lead_to_the_contact() {
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
        let notification = &receiver.wait(&hook, 1)[0];
        assert_eq!(notification["resource"], format!("Users/{user}/Contacts/{id}"));
        assert_eq!(notification["resourceData"]["@odata.id"], notification["resource"]);
        let path = format!("/{}", notification["resource"].as_str().unwrap());
        assert_eq!(client.get(&path).json(200)["title"], name, "{path}");
    }
}

//! Connections to PostgreSQL that are lost at a chosen message, and what is known of the commit.

use super::proxy::{Cut, Proxy};
use super::*;
use crate::category;
use crate::extension;
use crate::photo::{Format, Picture};
use crate::subscription::{ChangeType, Subject, Subscription, Terms};

/// A store whose way to the server can be cut.
async fn behind_a_proxy() -> (Opened, Proxy) {
    let schema = Postgres::shared().schema();
    let proxy = Proxy::to(Postgres::shared().port());
    let url = schema.url.replace(&format!(":{}/", Postgres::shared().port()), &format!(":{}/", proxy.port));
    let o = Opened::new(url.parse().unwrap(), tempfile::tempdir().unwrap(), Some(schema), Options::default()).await;
    // Whatever is prepared at first use is then prepared.
    o.insert("first").await.unwrap();
    (o, proxy)
}

impl Opened {
    /// A job that is not one statement, so that its commit is a message by itself; it ends by doing `last`.
    pub(super) fn longer(
        &self,
        title: &str,
        last: impl FnOnce() + Send + 'static,
    ) -> LocalBoxFuture<'_, Result<(), Error>> {
        let (mailbox, patch) = (self.mailbox, titled(title));
        self.job(async move |tx| {
            tx.reading().await?;
            contacts::insert(tx, new(mailbox, patch), 10).await?;
            last();
            Ok(())
        })
    }
}

#[actix_web::test]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_answered() {
    let (o, proxy) = behind_a_proxy().await;
    // A create is one message, which commits.
    proxy.cut(Cut::Answer, 0);
    let created = o.store.insert(o.mailbox, titled("lost")).await.unwrap();
    assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);

    // Several in one statement, each with its own number.
    proxy.cut(Cut::Answer, 0);
    let created = o.store.insert_many(o.mailbox, vec![titled("a"), titled("b"), titled("c")]).await.unwrap();
    for contact in &created {
        assert_eq!(o.store.contact(o.mailbox, &[], contact.id).await.unwrap(), *contact);
    }

    // A commit that is a message by itself.
    o.longer("prepares", || ()).await.unwrap();
    let armed = proxy.clone();
    o.longer("longer", move || armed.cut(Cut::Answer, 0)).await.unwrap();
    assert_eq!(o.titles().await, ["first", "lost", "a", "b", "c", "prepares", "longer"]);
    assert_eq!(proxy.cuts(), 3);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_commit_whose_answer_is_lost_is_known_by_what_was_kept_in_it() {
    let (o, proxy) = behind_a_proxy().await;
    let undone = |proxy: Option<Proxy>| {
        let (mailbox, patch) = (o.mailbox, titled("undone"));
        o.job(async move |tx| {
            contacts::insert(tx, new(mailbox, patch), 10).await?;
            // The messages behind this one: back to the savepoint, and the commit.
            if let Some(proxy) = proxy {
                proxy.cut(Cut::Answer, 1);
            }
            Err(Error::Stale)
        })
    };
    for (title, proxy) in [("prepares", None), ("kept", Some(proxy.clone()))] {
        let results = o.in_one_commit(vec![o.longer(title, || ()), undone(proxy)]).await;
        assert!(matches!(results.as_slice(), [Ok(()), Err(Error::Stale)]), "{results:?}");
    }
    assert_eq!(o.titles().await, ["first", "prepares", "kept"]);
    assert_eq!(proxy.cuts(), 1);
}

#[actix_web::test]
async fn a_lost_commit_without_an_entry_in_the_log_is_known_by_its_row() {
    let (o, proxy) = behind_a_proxy().await;
    let mailbox = o.mailbox;
    // Behind the job come the release of its savepoint and the commit. Both are prepared on a connection's first use.
    let lose = async |cut: Cut| {
        o.job(async move |tx| changes::number(tx, mailbox, None).await.map(drop)).await.unwrap();
        let proxy = proxy.clone();
        move || proxy.cut(cut, 1)
    };
    let create = async |name: &str, cut: Cut| {
        let (name, last) = (name.to_owned(), lose(cut).await);
        o.job(async move |tx| categories::create(tx, mailbox, name, "none").await.map(|_| last())).await
    };
    let recolor = async |id, color, cut: Cut| {
        let (patch, last) = (category::Patch { color: Some(color), display_name: None }, lose(cut).await);
        let any = Preconditions::default();
        o.job(async move |tx| categories::update(tx, mailbox, id, patch, &any).await.map(|_| last())).await
    };
    let delete = async |id, cut: Cut| {
        let (any, last) = (Preconditions::default(), lose(cut).await);
        o.job(async move |tx| categories::delete(tx, mailbox, id, &any).await.map(|_| last())).await
    };
    let listed = async || {
        let all = Sorting { size: 100, ..Sorting::default() };
        let listed = o.store.categories(mailbox, None, &all).await.unwrap().value;
        listed.into_iter().map(|c| (c.id, c.display_name, c.color)).collect::<Vec<_>>()
    };
    create("lost", Cut::Answer).await.unwrap();
    let id = listed().await[0].0;
    recolor(id, "preset1", Cut::Answer).await.unwrap();
    // One that did not happen is refused.
    let refused = [
        create("never", Cut::Request).await,
        recolor(id, "preset2", Cut::Request).await,
        delete(id, Cut::Request).await,
    ];
    assert!(refused.iter().all(|refused| matches!(refused, Err(Error::Unavailable(_)))), "{refused:?}");
    assert_eq!(listed().await, [(id, "lost".to_owned(), "preset1".to_owned())]);
    delete(id, Cut::Answer).await.unwrap();
    assert_eq!((listed().await, proxy.cuts()), (vec![], 6));
}

#[actix_web::test]
async fn a_commit_that_never_arrived_is_refused_or_done_once() {
    let (o, proxy) = behind_a_proxy().await;
    // A single statement is tried again, and stored once.
    proxy.cut(Cut::Request, 0);
    let created = o.store.insert(o.mailbox, titled("again")).await.unwrap();
    assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);

    // A transaction is not: its caller is told that nothing was written.
    o.longer("prepares", || ()).await.unwrap();
    let armed = proxy.clone();
    let refused = o.longer("refused", move || armed.cut(Cut::Request, 0)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(o.titles().await, ["first", "again", "prepares"]);
    assert_eq!(proxy.cuts(), 2);
    o.insert("after").await.unwrap();
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_lost_commit_of_a_photo_is_looked_up_although_the_log_has_nothing_of_it() {
    let (o, proxy) = behind_a_proxy().await;
    let id = o.store.contacts(o.mailbox, &first(1), None).await.unwrap().contacts[0].id;
    let (mailbox, expected) = (o.mailbox, Preconditions::default());
    let picture = Picture { format: Format::Gif, width: 1, height: 1 };
    // The messages behind the last: the savepoint's end, and the commit.
    let put = |bytes: &'static [u8], cut: Option<Cut>| {
        let (armed, expected) = (proxy.clone(), expected.clone());
        o.job(async move |tx| {
            photos::put(tx, mailbox, &[], id, picture, bytes, &expected).await?;
            if let Some(cut) = cut {
                armed.cut(cut, 1);
            }
            Ok(())
        })
    };
    let delete = |cut: Cut| {
        let (armed, expected) = (proxy.clone(), expected.clone());
        o.job(async move |tx| {
            assert!(photos::delete(tx, mailbox, &[], id, &expected).await?.is_some());
            armed.cut(cut, 1);
            Ok(())
        })
    };
    let stored = "select string_agg(encode(bytes, 'escape'), ',') from photo_chunks";
    // On each new connection first: what is prepared there is one message less.
    let kept = async || put(b"kept", None).await.unwrap();
    kept().await;
    put(b"lost", Some(Cut::Answer)).await.unwrap();
    assert_eq!(o.query(stored), "lost");
    kept().await;
    let refused = put(b"never arrived", Some(Cut::Request)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    kept().await;
    let refused = delete(Cut::Request).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(o.query(stored), "kept");
    kept().await;
    delete(Cut::Answer).await.unwrap();
    assert_eq!(o.query(stored), "");
    assert_eq!(proxy.cuts(), 4);
}

#[actix_web::test]
async fn a_lost_commit_of_an_extension_is_looked_up_although_the_log_has_nothing_of_it() {
    let (o, proxy) = behind_a_proxy().await;
    let id = o.store.contacts(o.mailbox, &first(1), None).await.unwrap().contacts[0].id;
    let mailbox = o.mailbox;
    // What is done is prepared on the connection first: once it is known there, two messages are behind the job.
    let lose = async |cut: Cut| {
        let any = Preconditions::default();
        o.job(async move |tx| {
            extensions::create(tx, mailbox, &[], id, made("warm")).await?;
            extensions::update(tx, mailbox, &[], (id, "warm"), said("1"), &any).await?;
            extensions::delete(tx, mailbox, &[], (id, "warm"), &any).await.map(drop)
        })
        .await
        .unwrap();
        let proxy = proxy.clone();
        move || proxy.cut(cut, 1)
    };
    let create = async |name: &str, cut: Cut| {
        let (new, last) = (made(name), lose(cut).await);
        o.job(async move |tx| extensions::create(tx, mailbox, &[], id, new).await.map(|_| last())).await
    };
    let update = async |text: &str, cut: Cut| {
        let (patch, last) = (said(text), lose(cut).await);
        let any = Preconditions::default();
        o.job(async move |tx| extensions::update(tx, mailbox, &[], (id, "lost"), patch, &any).await.map(|_| last()))
            .await
    };
    let delete = async |cut: Cut| {
        let (any, last) = (Preconditions::default(), lose(cut).await);
        o.job(async move |tx| extensions::delete(tx, mailbox, &[], (id, "lost"), &any).await.map(|_| last())).await
    };
    let stored = "select string_agg(e.name || '=' || coalesce(m.value, ''), ',') from extensions e
        left join extension_members m on m.contact_id = e.contact_id and m.extension_pos = e.pos";
    create("lost", Cut::Answer).await.unwrap();
    update("2", Cut::Answer).await.unwrap();
    assert_eq!(o.query(stored), "lost=2");
    let refused = [create("never", Cut::Request).await, update("3", Cut::Request).await, delete(Cut::Request).await];
    assert!(refused.iter().all(|refused| matches!(refused, Err(Error::Unavailable(_)))), "{refused:?}");
    assert_eq!(o.query(stored), "lost=2");
    delete(Cut::Answer).await.unwrap();
    assert_eq!((o.query(stored).as_str(), proxy.cuts()), ("", 6));
}

fn made(name: &str) -> extension::New {
    extension::New { name: name.to_owned(), members: Vec::new() }
}

fn said(text: &str) -> extension::Patch {
    extension::Patch { name: None, members: vec![("m".to_owned(), Some(text.to_owned()))] }
}

#[actix_web::test]
async fn a_connection_lost_inside_a_transaction_leaves_nothing_of_it() {
    let (o, proxy) = behind_a_proxy().await;
    for message in 0..4 {
        let armed = proxy.clone();
        let (mailbox, patch) = (o.mailbox, titled("no"));
        let lost = o.job(async move |tx| {
            tx.reading().await?;
            armed.cut(Cut::Answer, message);
            tx.open_savepoint().await?;
            contacts::insert(tx, new(mailbox, patch.clone()), 10).await?;
            contacts::insert(tx, new(mailbox, patch), 10).await?;
            Err(Error::Stale)
        });
        let results = o.in_one_commit(vec![lost, o.insert("neighbour")]).await;
        assert!(results.iter().all(Result::is_err), "{results:?}");
    }
    assert_eq!(o.titles().await, ["first"]);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_lost_commit_of_a_subscription_is_looked_up_although_it_takes_no_number() {
    let (o, proxy) = behind_a_proxy().await;
    let subscription = || Subscription {
        token: None,
        mailbox: o.mailbox,
        id: Tx::new_id(),
        creator: "ann".to_owned(),
        subject: Subject::Contacts,
        terms: Terms {
            resource: "me/contacts".to_owned(),
            change_types: vec![ChangeType::Created],
            notification_url: "https://example.org/".to_owned(),
            lifecycle_notification_url: None,
            client_state: None,
            tls_version: "v1_2".to_owned(),
            expiration_date_time: i64::MAX,
        },
    };
    let insert = |cut: Option<Cut>| {
        let (armed, new) = (proxy.clone(), subscription());
        o.job(async move |tx| {
            subscriptions::insert(tx, &new).await?;
            if let Some(cut) = cut {
                armed.cut(cut, 1);
            }
            Ok(())
        })
    };
    for (cut, stored) in [(Cut::Answer, "2"), (Cut::Request, "3")] {
        // On each new connection first: what is prepared there is one message less.
        insert(None).await.unwrap();
        let inserted = insert(Some(cut)).await;
        assert_eq!(inserted.is_ok(), matches!(cut, Cut::Answer), "{inserted:?}");
        assert!(inserted.is_ok() || matches!(inserted, Err(Error::Unavailable(_))), "{inserted:?}");
        assert_eq!(o.query("select count(*) from subscriptions"), stored);
    }
    assert_eq!(proxy.cuts(), 2);
}

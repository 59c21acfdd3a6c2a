//! Connections to PostgreSQL that are lost at a chosen message, and the outcome of the commit.

use crate::store::tests::counted::sample;
use crate::store::tests::proxy::{CutPoint, LossTurn, Proxy};
use crate::store::tests::*;

/// A store whose connection to the server can be cut.
pub(super) async fn behind_a_proxy() -> (Opened, Proxy) {
    connected(LossTurn::shared().await).await
}

/// The same for a test that counts the outcomes of lost commits: no other test loses connections at the same time.
async fn counting() -> (Opened, Proxy) {
    connected(LossTurn::alone().await).await
}

async fn connected(turn: LossTurn) -> (Opened, Proxy) {
    let schema = Postgres::shared().schema();
    let proxy = Proxy::to(Postgres::shared().port(), turn);
    let url = schema.url.replace(&format!(":{}/", Postgres::shared().port()), &format!(":{}/", proxy.port));
    let o = Opened::new(url.parse().unwrap(), tempfile::tempdir().unwrap(), Some(schema), Options::default()).await;
    // Prepares all statements.
    o.insert("first").await.unwrap();
    (o, proxy)
}

/// The outcomes of lost commits so far, by the metric that counts them.
fn outcomes(metric: &str) -> [(&'static str, u64); 3] {
    ["found", "absent", "unknown"].map(|result| (result, sample(&format!("{metric}{{result=\"{result}\"}}"))))
}

/// The same since then.
fn since(metric: &str, before: [(&'static str, u64); 3]) -> [(&'static str, u64); 3] {
    let now = outcomes(metric);
    std::array::from_fn(|i| (now[i].0, now[i].1 - before[i].1))
}

impl Opened {
    /// A job of several statements, so that its commit is a separate message. `last` runs at its end.
    pub(super) fn multi_statement_job(
        &self,
        title: &str,
        last: impl FnOnce() + Send + 'static,
    ) -> LocalBoxFuture<'_, Result<(), Error>> {
        let (mailbox, patch) = (self.mailbox, titled(title));
        self.job(async move |tx| {
            tx.reader().await?;
            new_contacts::insert(tx, new(mailbox, patch), 10).await?;
            // The next message is the commit, and not the release of the savepoint.
            tx.keep().await?;
            last();
            Ok(())
        })
    }
}

#[actix_web::test]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_answered() {
    let (o, proxy) = counting().await;
    let lookups = "contactd_postgres_commit_lookups_total";
    let before = outcomes(lookups);
    // A create is one message, which commits.
    proxy.cut(CutPoint::Answer, 0);
    let created = o.store.insert(o.mailbox, titled("lost")).await.unwrap();
    assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);

    // Several in one statement, each with its own number. The connection is a new one, on which the first create prepares it.
    o.insert("prepares").await.unwrap();
    proxy.cut(CutPoint::Answer, 0);
    let created = o.store.insert_many(o.mailbox, vec![titled("a"), titled("b"), titled("c")]).await.unwrap();
    for contact in &created {
        assert_eq!(o.store.contact(o.mailbox, &[], contact.id).await.unwrap(), *contact);
    }

    // A commit in a separate message.
    o.multi_statement_job("prepares", || ()).await.unwrap();
    let cutting_proxy = proxy.clone();
    o.multi_statement_job("longer", move || cutting_proxy.cut(CutPoint::Answer, 0)).await.unwrap();
    assert_eq!(o.titles().await, ["first", "lost", "prepares", "a", "b", "c", "prepares", "longer"]);
    assert_eq!(proxy.cuts(), 3);
    assert_eq!(since(lookups, before), [("found", 3), ("absent", 0), ("unknown", 0)]);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_lost_commit_is_proved_by_the_other_jobs_of_its_batch() {
    let (o, proxy) = behind_a_proxy().await;
    let undone = |proxy: Option<Proxy>| {
        let (mailbox, patch) = (o.mailbox, titled("undone"));
        o.job(async move |tx| {
            new_contacts::insert(tx, new(mailbox, patch), 10).await?;
            // The messages after this one: the rollback to the savepoint, and the commit.
            if let Some(proxy) = proxy {
                proxy.cut(CutPoint::Answer, 1);
            }
            Err(Error::Stale)
        })
    };
    for (title, proxy) in [("prepares", None), ("kept", Some(proxy.clone()))] {
        let results = o.in_one_commit(vec![o.multi_statement_job(title, || ()), undone(proxy)]).await;
        assert!(matches!(results.as_slice(), [Ok(()), Err(Error::Stale)]), "{results:?}");
    }
    assert_eq!(o.titles().await, ["first", "prepares", "kept"]);
    assert_eq!(proxy.cuts(), 1);
}

#[actix_web::test]
async fn a_commit_that_never_arrived_is_refused_or_done_once() {
    let (o, proxy) = counting().await;
    let lookups = "contactd_postgres_commit_lookups_total";
    let before = outcomes(lookups);
    // A single statement is tried again, and stored once.
    proxy.cut(CutPoint::Request, 0);
    let created = o.store.insert(o.mailbox, titled("again")).await.unwrap();
    assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);

    // A transaction is not retried: its caller gets the error that nothing was written.
    o.multi_statement_job("prepares", || ()).await.unwrap();
    let cutting_proxy = proxy.clone();
    let refused = o.multi_statement_job("refused", move || cutting_proxy.cut(CutPoint::Request, 0)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(o.titles().await, ["first", "again", "prepares"]);
    assert_eq!(proxy.cuts(), 2);
    assert_eq!(since(lookups, before), [("found", 0), ("absent", 2), ("unknown", 0)]);
    o.insert("after").await.unwrap();
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_commit_whose_outcome_is_not_found_before_the_store_closes_is_unknown() {
    let (o, proxy) = counting().await;
    let lookups = "contactd_postgres_commit_lookups_total";
    let before = outcomes(lookups);
    // From the cut on, no server can be reached.
    let unreachable = proxy.clone();
    proxy.after_cut(move || unreachable.refuse());
    proxy.cut(CutPoint::Answer, 0);
    let cut = async {
        while proxy.cuts() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // The caller leaves, as at the end of a drain, and the store does not wait for longer.
    tokio::select! {
        lost = o.insert("lost") => panic!("{lost:?}"),
        () = cut => {}
    }
    o.store.close().await;
    assert_eq!(since(lookups, before), [("found", 0), ("absent", 0), ("unknown", 1)]);
    assert_eq!(o.query("select count(*) from contacts"), "2");
}

#[actix_web::test]
async fn a_connection_lost_inside_a_transaction_leaves_nothing_of_it() {
    let (o, proxy) = behind_a_proxy().await;
    for message in 0..4 {
        let cutting_proxy = proxy.clone();
        let (mailbox, patch) = (o.mailbox, titled("no"));
        let lost = o.job(async move |tx| {
            tx.reader().await?;
            cutting_proxy.cut(CutPoint::Answer, message);
            tx.open_savepoint().await?;
            new_contacts::insert(tx, new(mailbox, patch.clone()), 10).await?;
            new_contacts::insert(tx, new(mailbox, patch), 10).await?;
            Err(Error::Stale)
        });
        let results = o.in_one_commit(vec![lost, o.insert("neighbour")]).await;
        assert!(results.iter().all(Result::is_err), "{results:?}");
    }
    assert_eq!(o.titles().await, ["first"]);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

//! Turns at the read connections, and reads whose caller has left.

use std::future::poll_fn;
use std::task::Poll;

use crate::store::tests::*;

impl Opened {
    fn with_actor(&self, name: &str, mailbox: i64) -> Store {
        self.store.with_actor(Actor { name: name.to_owned(), mailbox: Some(mailbox), ..Actor::default() })
    }

    async fn mailbox_of(&self, name: &str) -> i64 {
        self.store.user(&UserName::parse(name).unwrap()).await.unwrap().mailbox
    }
}

/// A query that does not end.
const ENDLESS: (&str, &str) = (
    "with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) from n",
    "select max(a.i + b.i) from generate_series(1, 1000000) as a (i), generate_series(1, 1000000) as b (i)",
);

async fn endless(session: &mut Session) -> Result<(), Error> {
    session.row(Statement::per_engine(ENDLESS.0, ENDLESS.1)).await.map(drop)
}

/// Polls a future for a while, and then drops it.
async fn begin_and_leave<T>(reading: impl Future<Output = T>) {
    assert!(tokio::time::timeout(Duration::from_millis(50), reading).await.is_err());
}

/// A read of another caller.
async fn serves_others(o: &Opened, name: &str, mailbox: i64, contact: Uuid) {
    let other = o.with_actor(name, mailbox);
    other.check_access().await.unwrap();
    o.store.check().await.unwrap();
    assert_eq!(other.contact(mailbox, &[], contact).await.unwrap().id, contact);
    assert_eq!(other.contacts(mailbox, &first(10), None).await.unwrap().contacts.len(), 1);
    assert_eq!(other.count(mailbox, &first(10), None).await.unwrap(), 1);
}

#[actix_web::test]
async fn a_caller_with_many_mailboxes_leaves_turns_to_others_and_reads_by_key_need_no_turn() {
    let o = opened().await;
    let created = o.store.insert(o.mailbox, titled("a")).await.unwrap();
    let mut mailboxes = Vec::new();
    for name in ["bob", "cid", "dan", "eve"] {
        mailboxes.push(o.mailbox_of(name).await);
    }
    let stores: Vec<_> = mailboxes.iter().map(|mailbox| (o.with_actor("app:sync", *mailbox), *mailbox)).collect();
    let never_ends = async |_: &mut Session| std::future::pending::<Result<(), Error>>().await;
    let expensive_reads =
        stores.iter().cycle().take(16).map(|(store, mailbox)| store.read_expensive(Some(*mailbox), never_ends));
    let mut reads = Box::pin(join_all(expensive_reads));
    let mut others = Box::pin(async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        serves_others(&o, "app:other", o.mailbox, created.id).await;
        // The same caller can read by key.
        assert_eq!(o.with_actor("app:sync", o.mailbox).contact(o.mailbox, &[], created.id).await.unwrap(), created);
    });
    poll_fn(|context| {
        assert!(reads.as_mut().poll(context).is_pending(), "no read ends");
        others.as_mut().poll(context)
    })
    .await;
}

#[actix_web::test]
async fn a_dropped_read_keeps_its_turn_until_the_statement_has_ended() {
    let o = opened_with(Options { query_timeout: Duration::from_secs(3), ..Options::default() }).await;
    let created = o.store.insert(o.mailbox, titled("a")).await.unwrap();
    let bob = o.mailbox_of("bob").await;
    let store = o.with_actor("bob", bob);
    for _ in 0..12 {
        begin_and_leave(store.read_expensive(Some(bob), endless)).await;
    }
    serves_others(&o, "ann", o.mailbox, created.id).await;
    // All dropped reads have ended, or end at their time limit.
    assert!(store.contacts(bob, &first(10), None).await.unwrap().contacts.is_empty());
}

#[actix_web::test]
async fn a_read_over_its_time_limit_is_inefficient_and_the_connection_stays_usable() {
    let o = opened_with(Options { query_timeout: Duration::from_millis(300), ..Options::default() }).await;
    for _ in 0..8 {
        assert!(matches!(o.store.read(endless).await, Err(Error::Inefficient)));
    }
    assert_eq!(o.count("select count(*) from contacts").await, 0);
}

#[actix_web::test]
async fn a_read_that_an_operator_cancels_is_not_inefficient() {
    let (o, name) = postgres::named(Options::default()).await;
    let mut read = Box::pin(o.store.read(endless));
    let stop = format!(
        "select count(pg_cancel_backend(pid)) from pg_stat_activity
where application_name = '{name}' and state = 'active' and query like '%generate_series%'"
    );
    let ended = poll_fn(|context| match read.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended),
        Poll::Pending => {
            o.query(&stop);
            context.waker().wake_by_ref();
            Poll::Pending
        }
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(Error::Unavailable(_))), "{ended:?}");
    assert_eq!(o.count("select count(*) from contacts").await, 0);
}

#[actix_web::test]
async fn health_and_readiness_do_not_wait_for_connections_that_reads_use_up() {
    let o = opened().await;
    let never_ends = async |_: &mut Session| std::future::pending::<Result<(), Error>>().await;
    // All connections, including those reserved for essential reads.
    let held = join_all((0..16).map(|_| o.store.read_essential(never_ends)));
    let checks = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        o.store.check().await.unwrap();
        o.store.readiness().await
    };
    tokio::select! {
        _ = held => panic!("they never end"),
        found = checks => assert!(found.iter().all(|finding| finding.found.is_ok()), "{found:?}"),
    }
}

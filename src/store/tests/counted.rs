//! Metrics of events inside the store: the storage fails, or a caller leaves. Other tests of the process may increment the
//! same counters.

use crate::store::tests::*;

/// The value of a sample.
pub(super) fn sample(name: &str) -> u64 {
    let text = crate::metrics::render("none");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("there is no {name}")).parse().unwrap()
}

#[actix_web::test]
async fn writes_that_panic_and_those_whose_caller_has_left_are_counted() {
    let o = opened_on_file(Options::default()).await;
    let counters =
        || ["panicked", "gave_up"].map(|result| sample(&format!("contactd_store_writes_total{{result=\"{result}\"}}")));
    let before = counters();
    let leaves = Box::pin(async {
        let _ = tokio::time::timeout(Duration::from_millis(5), o.job(async |_| Ok(()))).await;
        Ok(())
    });
    let results = o.in_one_commit(vec![leaves, o.insert("stays")]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(counters()[1] > before[1]);
    let panics = o.job(async move |_| panic!("on purpose")).await;
    assert!(matches!(panics, Err(Error::Internal(_))), "{panics:?}");
    // The caller of a write that panics learns it before the writer does.
    let started = std::time::Instant::now();
    while counters()[0] == before[0] {
        assert!(started.elapsed() < Duration::from_mins(1), "the panic is not counted");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[actix_web::test]
async fn an_error_of_a_read_only_database_is_counted_as_other() {
    let o = opened_on_file(Options::default()).await;
    let other_errors = || sample("contactd_store_errors_total{kind=\"other\"}");
    let (before, mailbox) = (other_errors(), o.mailbox);
    let refused = o.job(async move |tx| {
        tx.reader().await?.rows(Statement::new("pragma query_only = on")).await?;
        new_contacts::insert(tx, new(mailbox, titled("refused")), 10).await.map(drop)
    });
    let refused = refused.await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(other_errors() > before);
    // The writer has a new connection.
    o.insert("after").await.unwrap();
    assert_eq!(o.titles().await, ["after"]);
}

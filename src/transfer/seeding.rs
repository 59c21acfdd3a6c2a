//! Made-up contacts into a mailbox, committed by hundreds.

use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::import::MAX_BATCH;
use crate::seed::Generator;
use crate::store::Store;

/// Creates the first `count` contacts of a generator. `on_progress` is called with the number of contacts of each commit. Returns their ids.
///
/// # Errors
/// As [`Store::insert_many`]. What was committed before stays.
pub async fn fill(
    store: &Store,
    mailbox: i64,
    generator: &Generator,
    count: u64,
    mut on_progress: impl FnMut(u64),
) -> Result<Vec<Uuid>, Error> {
    let (mut ids, mut next) = (Vec::new(), 0);
    while next < count {
        let end = count.min(next + MAX_BATCH as u64);
        let new = (next..end).map(|number| (generator.contact(number), generator.photo(number)));
        ids.extend(store.insert_many_with_photos(mailbox, new.collect()).await?);
        on_progress(end - next);
        next = end;
    }
    Ok(ids)
}

//! Tests of the store itself, such as failures inside a shared commit. Modules `both` run on SQLite, or with
//! TEST_ENGINE=postgres on PostgreSQL; `tests/run` does both.

mod awkward;
pub(crate) mod between;
mod books;
mod both;
mod cards;
mod constants;
mod counted;
mod counts;
mod emptying;
mod filters;
mod identities;
mod imports;
mod keys;
mod lost;
mod numbers;
mod orders;
mod plans;
mod postgres;
mod proxy;
mod readers;
mod ready_made;
mod renewed;
mod restoring;
mod search;
#[path = "../../../tests/api/postgres.rs"]
mod servers;
mod sqlite;
mod trash;
mod unlogged;
mod walks;

use crate::store::db::{engine, statement};
use crate::store::write::{procedures, rows};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};
use servers::{Postgres, Schema};
use tokio::sync::Notify;

use crate::domain::contact::{Email, Phone, Text};
use crate::store::db::statement::Statement;
use crate::store::write::tx::Tx;
use crate::store::*;

/// A store, and the location of its data.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) mailbox: i64,
    database: Database,
    folder: tempfile::TempDir,
    schema: Option<Schema>,
}

/// Opens a store on the engine of this run.
pub(crate) async fn opened() -> Opened {
    opened_with(Options::default()).await
}

async fn opened_with(options: Options) -> Opened {
    match std::env::var("TEST_ENGINE").as_deref() {
        Ok("postgres") => opened_in_schema(Postgres::shared().schema(), options).await,
        Ok(other) => panic!("TEST_ENGINE={other}: expected postgres, or nothing for SQLite"),
        Err(_) => opened_on_file(options).await,
    }
}

async fn opened_on_file(options: Options) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::File(folder.path().join("contacts.db"));
    Opened::new(database, folder, None, options).await
}

async fn opened_in_schema(schema: Schema, options: Options) -> Opened {
    let database = schema.url.parse().unwrap();
    Opened::new(database, tempfile::tempdir().unwrap(), Some(schema), options).await
}

fn titled(title: &str) -> ContactPatch {
    let mut patch = ContactPatch { phones: Some(vec![Phone::default(); 3]), ..ContactPatch::default() };
    patch.texts[Text::Title as usize] = Some(Some(title.to_owned()));
    patch
}

/// The first contacts in creation order.
fn first(size: u16) -> Listing {
    Listing { size, ..Listing::default() }
}

/// A new folder.
fn named(name: &str) -> FolderPatch {
    FolderPatch { display_name: Some(name.to_owned()), ..FolderPatch::default() }
}

fn new(mailbox: i64, patch: ContactPatch) -> Vec<New> {
    vec![New::of(mailbox, patch)]
}

impl Opened {
    async fn new(database: Database, folder: tempfile::TempDir, schema: Option<Schema>, options: Options) -> Self {
        let store = Store::open(&database, options).await.unwrap();
        let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
        Self { store, mailbox, database, folder, schema }
    }

    async fn titles(&self) -> Vec<String> {
        let page = self.store.contacts(self.mailbox, &first(1_000), None).await.unwrap();
        page.contacts.iter().map(|c| c.properties.text(Text::Title).unwrap_or_default().to_owned()).collect()
    }

    async fn row(&self, sql: &'static str) -> engine::Row {
        let read = async |session: &mut Session| session.row(Statement::new(sql)).await;
        self.store.read(read).await.unwrap().unwrap()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.row(sql).await.get(0).unwrap()
    }

    fn insert(&self, title: &str) -> LocalBoxFuture<'_, Result<(), Error>> {
        let new = titled(title);
        Box::pin(async move { self.store.insert(self.mailbox, new).await.map(drop) })
    }

    /// Runs a job.
    fn job<F>(&self, work: F) -> LocalBoxFuture<'_, Result<(), Error>>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<(), Error> + Send + 'static,
    {
        Box::pin(self.store.write(Some(self.mailbox), work))
    }

    /// Gives the planner statistics of many rows that were just inserted. Only this store's tables are analyzed: `analyze`
    /// without tables waits for the transactions of the tests beside this one.
    async fn settle(&self) {
        let settle = async |tx: &mut Tx| {
            tx.execute(Statement::per_engine("select 1", "select gin_clean_pending_list('words_by_word')")).await?;
            let analyze = "do $$ declare t text; begin
    for t in select tablename from pg_tables where schemaname = current_schema() loop
        execute format('analyze %I', t);
    end loop;
end $$";
            tx.execute(Statement::per_engine("select 1", analyze)).await
        };
        self.job(settle).await.unwrap();
    }

    /// Blocks the writer until all jobs wait, so that they share the next commit.
    async fn in_one_commit(&self, jobs: Vec<LocalBoxFuture<'_, Result<(), Error>>>) -> Vec<Result<(), Error>> {
        let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (Arc::clone(&running), Arc::clone(&go));
        let hold = self.job(async move |_| {
            tell.notify_one();
            wait.notified().await;
            Ok(())
        });
        let jobs = async {
            running.notified().await;
            let release = async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                go.notify_one();
            };
            // One poll queues the job.
            futures_util::join!(join_all(jobs), release).0
        };
        let (hold, results) = futures_util::join!(hold, jobs);
        hold.unwrap();
        results
    }
}

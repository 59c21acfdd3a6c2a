//! refinery over our own connection: its drivers are off, so that one driver speaks to the database. A whole upgrade
//! is one transaction; several processes may start at once, and one of them does it.

use std::future::Future;
use std::path::Path;

use refinery::{Migration, Runner};
use refinery_core::error::Kind;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqlSafeStr};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::engine::sqlite_options;

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Why a database cannot be opened, as one line for its operator.
pub(super) type Reason = String;

/// Brings a SQLite file's schema up to date, creating the file if need be.
pub(super) async fn sqlite(path: &Path) -> Result<(), Reason> {
    run(path, &embedded::migrations::runner()).await
}

/// Foreign keys are off on this connection, because a migration that rebuilds a table would otherwise delete the
/// rows that refer to it; they are checked before the commit.
async fn run(path: &Path, runner: &Runner) -> Result<(), Reason> {
    let options = sqlite_options(path).create_if_missing(true).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| error.to_string())?;
    let done = upgrade(&mut connection, runner).await;
    let closed = connection.close().await.map_err(|error| error.to_string());
    done.and(closed)
}

async fn upgrade(connection: &mut SqliteConnection, runner: &Runner) -> Result<(), Reason> {
    let reason = |error: sqlx::Error| error.to_string();
    let mut transaction = connection.begin_with("begin immediate".into_sql_str()).await.map_err(reason)?;
    if foreign(&mut transaction).await.map_err(reason)? {
        return Err("it is the database of another program".to_owned());
    }
    let applied = runner.run_async(&mut Adaptor(&mut transaction)).await.map_err(|error| match error.kind() {
        Kind::MissingVersion(newer) => {
            let newest = runner.get_migrations().iter().map(Migration::version).max().unwrap_or_default();
            format!("its schema has version {}, this contactd knows {newest}: use a newer contactd", newer.version())
        }
        Kind::DivergentVersion(..) => format!("its schema is not one of contactd's: {error}"),
        Kind::Connection(what, cause) => format!("{what}: {cause}"),
        _ => error.to_string(),
    })?;
    let broken = transaction.fetch_optional("pragma foreign_key_check").await.map_err(reason)?;
    if broken.is_some() {
        return Err("rows refer to rows that do not exist".to_owned());
    }
    transaction.commit().await.map_err(reason)?;
    for migration in applied.applied_migrations() {
        tracing::info!(%migration, "schema upgraded");
    }
    Ok(())
}

/// Whether the file has tables and never had a migration of ours.
async fn foreign(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let text = "select count(*), count(*) filter (where name = 'refinery_schema_history') from sqlite_master";
    let row = connection.fetch_one(text).await?;
    Ok(row.try_get::<i64, _>(0)? > 0 && row.try_get::<i64, _>(1)? == 0)
}

/// refinery's view of a connection that is already inside the one transaction.
struct Adaptor<'c>(&'c mut SqliteConnection);

impl AsyncTransaction for Adaptor<'_> {
    type Error = sqlx::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(&'a mut self, texts: T) -> Result<usize, sqlx::Error> {
        let mut count = 0;
        for text in texts {
            self.0.execute(sqlx::raw_sql(AssertSqlSafe(text))).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Adaptor<'_> {
    fn query<'a>(&'a mut self, text: &'a str) -> impl Future<Output = Result<Vec<Migration>, sqlx::Error>> + Send + 'a {
        async move {
            let rows = self.0.fetch_all(sqlx::raw_sql(AssertSqlSafe(text))).await?;
            rows.iter()
                .map(|row| {
                    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
                    let applied: String = row.try_get(2)?;
                    let applied = OffsetDateTime::parse(&applied, &Rfc3339).map_err(|error| decode(error.into()))?;
                    let checksum: String = row.try_get(3)?;
                    let checksum = checksum.parse().map_err(|error: std::num::ParseIntError| decode(error.into()))?;
                    Ok(Migration::applied(row.try_get(0)?, row.try_get(1)?, applied, checksum))
                })
                .collect()
        }
    }
}

impl AsyncMigrate for Adaptor<'_> {}

//! `contactd audit`: what an operator is told of who did what.

use std::time::Duration;

use clap::Args;

use crate::cli::admin::{At, ago, called, period, print, reason, time, with};
use crate::domain::error::Error;
use crate::store::{Deeds, Store};

/// `contactd audit`
#[derive(Debug, Args)]
pub struct Audit {
    #[command(flatten)]
    at: At,
    /// Only what this user, this app:NAME, or operator did; removed:NAME is whoever had the name before
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only what was done to this user's mailbox; removed:NAME is that of whoever had the name before
    #[arg(long, value_parser = called, value_name = "NAME")]
    of: Option<String>,
    /// Only what was done to the contact, or whatever else has this id
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// Only the last part of the time, like 7d or 12h
    #[arg(long, value_parser = period, value_name = "TIME")]
    last: Option<Duration>,
    /// At most so many entries, the latest ones
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000), value_name = "N")]
    limit: i64,
}

/// # Errors
/// One line.
pub async fn run(config: Audit) -> Result<(), String> {
    with(&config.at, async |store: &Store| {
        let since = ago(config.last);
        let which = Deeds { actor: config.by, owner: config.of, item: config.item, since };
        let deeds = store.deeds(&which, config.limit).await.map_err(|error| match error {
            Error::UnknownUser(name) => format!("there is no user '{name}', and the log knows of none who was removed"),
            error => reason(error),
        })?;
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let rows = deeds.into_iter().map(|deed| {
            let (time, token) = (time(Some(deed.time)), deed.token.map(|id| id.to_string()));
            let (request, mailbox) = (deed.request.map(|id| id.to_string()), or_none(deed.mailbox));
            [
                time,
                deed.actor,
                or_none(deed.address),
                deed.action,
                mailbox,
                or_none(deed.item),
                or_none(token),
                or_none(request),
            ]
        });
        let rows: Vec<_> = rows.collect();
        print([["TIME", "BY", "ADDRESS", "DID", "OF", "ITEM", "TOKEN", "REQUEST"]]);
        print(rows.iter().map(|row| row.iter().map(String::as_str)));
        Ok(())
    })
    .await
}

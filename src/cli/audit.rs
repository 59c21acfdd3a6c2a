//! `contactd audit`: prints the audit log.

use std::time::Duration;

use clap::Args;

use crate::cli::arguments::{AnyDatabase, any_name, period};
use crate::cli::output::{ago, print_rows, reason, time};
use crate::domain::error::Error;
use crate::store::{AuditQuery, Store};

/// `contactd audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    at: AnyDatabase,
    /// Only entries by this user, by app:NAME, or by operator; removed:NAME is a removed user who had the name
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only entries about this user's mailbox; removed:NAME is a removed user who had the name
    #[arg(long, value_parser = any_name, value_name = "NAME")]
    of: Option<String>,
    /// Only entries about the contact, or another item, with this id
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// Only entries of this last period, like 7d or 12h
    #[arg(long, value_parser = period, value_name = "TIME")]
    last: Option<Duration>,
    /// Maximum number of entries; the newest are printed
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000), value_name = "N")]
    limit: i64,
}

/// Runs `contactd audit`.
///
/// # Errors
/// One line that says why.
pub async fn run(config: AuditArgs) -> Result<(), String> {
    config
        .at
        .with_store(async |store: &Store| {
            let since = ago(config.last);
            let which = AuditQuery { actor: config.by, owner: config.of, item: config.item, since };
            let entries = store.audit_entries(&which, config.limit).await.map_err(|error| match error {
                Error::UnknownUser(name) => {
                    format!("there is no user '{name}', and the log has no removed user with that name")
                }
                error => reason(error),
            })?;
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let rows = entries.into_iter().map(|entry| {
                let (time, token) = (time(Some(entry.time)), entry.token.map(|id| id.to_string()));
                let (request, mailbox) = (entry.request.map(|id| id.to_string()), or_none(entry.mailbox));
                [
                    time,
                    entry.actor,
                    or_none(entry.address),
                    entry.action,
                    mailbox,
                    or_none(entry.item),
                    or_none(token),
                    or_none(request),
                ]
            });
            let rows: Vec<_> = rows.collect();
            print_rows([["TIME", "BY", "ADDRESS", "ACTION", "MAILBOX", "ITEM", "TOKEN", "REQUEST"]]);
            print_rows(rows.iter().map(|row| row.iter().map(String::as_str)));
            Ok(())
        })
        .await
}

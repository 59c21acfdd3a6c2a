//! `contactd audit`: prints the audit log.

use std::time::Duration;

use clap::Args;

use crate::cli::arguments::{AnyDatabase, any_name, period};
use crate::cli::output::{Form, ago, reason, time};
use crate::cli::to_json;
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

    #[command(flatten)]
    form: Form,
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
            let query = AuditQuery { actor: config.by, owner: config.of, item: config.item, since };
            let entries = store.audit_entries(&query, config.limit).await.map_err(|error| match error {
                Error::UnknownUser(name) => {
                    format!("there is no user '{name}', and the log has no removed user with that name")
                }
                error => reason(error),
            })?;
            let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
            let rows = entries.iter().map(|entry| {
                let (token, request) = (entry.token.map(|id| id.to_string()), entry.request.map(|id| id.to_string()));
                let fields = vec![
                    time(Some(entry.time)),
                    entry.actor.clone(),
                    or_none(entry.address.as_deref()),
                    entry.action.clone(),
                    or_none(entry.mailbox.as_deref()),
                    or_none(entry.item.as_deref()),
                    or_none(token.as_deref()),
                    or_none(request.as_deref()),
                ];
                (fields, to_json::audit(entry))
            });
            let heads = ["TIME", "BY", "ADDRESS", "ACTION", "MAILBOX", "ITEM", "TOKEN", "REQUEST"];
            config.form.print_list(&heads, &rows.collect::<Vec<_>>());
            Ok(())
        })
        .await
}

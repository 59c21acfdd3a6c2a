//! Users, tokens and other rows as the JSON that commands print.

use serde_json::{Value, json};

use crate::cli::output::json_time;
use crate::clock;
use crate::domain::import::Run;
use crate::domain::user::User;
use crate::store::{Account, AuditEntry, Share, Token};

/// A user.
pub(crate) fn user(user: &User) -> Value {
    json!({"id": user.id, "principalName": user.user_principal_name, "displayName": user.display_name})
}

/// A user, and one more property.
pub(crate) fn user_with(user: &User, name: &str, value: impl Into<Value>) -> Value {
    let mut shown = self::user(user);
    shown[name] = value.into();
    shown
}

/// A user with all that the operator knows of them.
pub(crate) fn account(account: &Account) -> Value {
    let identities = account.identities.iter().map(|known| {
        json!({
            "provider": known.issuer,
            "subject": known.subject,
            "claimedName": known.claimed_name,
            "bound": known.bound,
        })
    });
    let mut shown = user_with(&account.user, "created", json_time(Some(account.created)));
    shown["disabled"] = account.disabled.is_some().into();
    shown["identities"] = identities.collect();
    shown
}

/// The state of a token: valid, expired or revoked.
pub(crate) fn state(token: &Token) -> &'static str {
    match (token.revoked, token.expires) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= clock::now() => "expired",
        (None, _) => "valid",
    }
}

/// A token, without its secret.
pub(crate) fn token(token: &Token) -> Value {
    json!({
        "id": token.id,
        "bearer": token.bearer,
        "name": token.name,
        "scopes": token.scopes.split(' ').collect::<Vec<_>>(),
        "state": state(token),
        "created": json_time(Some(token.created)),
        "expires": json_time(token.expires),
        "used": json_time(token.last_used),
    })
}

/// A share of somebody's mailbox.
pub(crate) fn share(owner: &User, share: &Share) -> Value {
    json!({"of": owner.id, "with": share.user.id, "write": share.can_write})
}

/// An entry of the audit log.
pub(crate) fn audit(entry: &AuditEntry) -> Value {
    json!({
        "time": json_time(Some(entry.time)),
        "by": entry.actor,
        "address": entry.address,
        "action": entry.action,
        "mailbox": entry.mailbox,
        "item": entry.item,
        "token": entry.token,
        "request": entry.request,
    })
}

/// How far an import is.
pub(crate) fn import_state(run: &Run) -> &'static str {
    match (run.undone, run.finished) {
        (Some(_), _) => "undone",
        (None, Some(_)) => "finished",
        (None, None) => "interrupted",
    }
}

/// An import, into the mailbox of a user.
pub(crate) fn import(run: &Run, user: Option<&str>) -> Value {
    json!({
        "id": run.id,
        "started": json_time(Some(run.started)),
        "user": user,
        "file": run.source.name,
        "format": run.source.format,
        "created": run.counts.created,
        "updated": run.counts.updated,
        "unchanged": run.counts.unchanged,
        "refused": run.counts.refused,
        "state": import_state(run),
    })
}

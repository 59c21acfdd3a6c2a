//! `…/contacts/delta` and `…/contactFolders/delta`: changes since the last request of a client.

use serde::Serialize;

use crate::clock;
use crate::domain::contact::DEFAULT_FOLDER;
use crate::domain::error::{Error, Kind};
use crate::domain::handling::Handling;
use crate::domain::sync::SyncState;
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::json::contact::select::Selection;
use crate::graph::json::contact::write::ContactJson;
use crate::graph::json::folder::{self, FolderJson};
use crate::http::answer::Answer;
use crate::odata::delta::{DEFAULT_SIZE, DeltaToken};
use crate::odata::entity;
use crate::odata::page::MAX_SIZE;
use crate::odata::query::Query;
use crate::odata::shape::Shape;
use crate::percent::percent_encode;
use crate::store::{Change, Delta, DeltaScope, RemovalReason};

/// `GET …/contacts/delta`, of a folder, or of the contacts that the mailbox lists.
pub(crate) async fn contacts(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let folder = match path {
        [] => (call.shape() == Shape::V1).then(|| DEFAULT_FOLDER.to_owned()),
        path => path.last().cloned(),
    };
    let (request, delta) = DeltaRequest::page(call, mailbox, path, DeltaScope::Contacts(folder)).await?;
    let select = request.select.as_deref().map_or(Ok(None), |text| Selection::parse(text, call.shape()))?;
    let (shape, annotated, select) = (call.shape(), call.annotated, select.as_ref());
    // The beta shape has the type in every contact anyway.
    let kind = (annotated && shape == Shape::V1).then_some("#microsoft.graph.contact");
    let value = delta.changes.iter().filter_map(|change| match change {
        Change::Contact(contact) => Some(DeltaEntry::Present {
            kind,
            json: ContactJson { contact, shape, select, context: None, context_prefix: None, annotated },
        }),
        change => removed_entry(change, annotated.then_some("#microsoft.graph.contact")),
    });
    request.answer(call, &delta, "contact", value.collect::<Vec<_>>())
}

/// `GET …/contactFolders/delta`, of folders at any depth; in the beta shape including the default folder.
pub(crate) async fn folders(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let (request, delta) =
        DeltaRequest::page(call, mailbox, &[], DeltaScope::Folders(call.shape() == Shape::Beta)).await?;
    let select = request
        .select
        .as_deref()
        .map_or(Ok(None), |text| entity::select(text, "contactFolder", folder::properties(call.shape())))?;
    let (shape, annotated, select) = (call.shape(), call.annotated, select.as_deref());
    let kind = annotated.then_some("#microsoft.graph.contactFolder");
    let value = delta.changes.iter().filter_map(|change| match change {
        Change::Folder(folder) => {
            let json = FolderJson { folder, shape, select, expansions: &[], context: None, annotated };
            Some(DeltaEntry::Present { kind, json })
        }
        change => removed_entry(change, kind),
    });
    request.answer(call, &delta, "contactFolder", value.collect::<Vec<_>>())
}

/// One request for changes.
struct DeltaRequest {
    scope: DeltaScope,
    scope_hash: [u8; 8],
    epoch: [u8; 8],
    size: u16,
    select: Option<String>,
    since: DeltaStart,
    /// The time of the state that `since` continues from: changes since then must not have been purged.
    issued: i64,
}

enum DeltaStart {
    Start,
    /// Only a token for the current state.
    Latest,
    Continue(SyncState),
}

impl DeltaRequest {
    /// Reads a request and its page.
    ///
    /// # Errors
    /// Those of [`DeltaRequest::read`] and of the store; [`Error::OutOfSync`] has the link to start over.
    async fn page(
        call: &Call<'_>,
        mailbox: &Mailbox,
        path: &[String],
        scope: DeltaScope,
    ) -> Result<(Self, Delta), Error> {
        let query = Query::parse_for_delta(call.query)?;
        let selected = query.select.as_deref().map_or(Ok(None), |text| canonical_select(call, &scope, text))?;
        let page = async {
            let request = Self::read(call, mailbox, scope, query, selected.clone())?;
            let delta = request.delta(call, mailbox, path).await?;
            Ok((request, delta))
        };
        page.await.map_err(|error| match error {
            Error::OutOfSync(why, _) => Error::OutOfSync(why, restart_link(call, selected)),
            error => error,
        })
    }

    /// Reads the options, or those that the token contains.
    ///
    /// # Errors
    /// 400 for an option that delta does not have and for a token that is invalid or of another list;
    /// [`Error::OutOfSync`].
    fn read(
        call: &Call<'_>,
        mailbox: &Mailbox,
        scope: DeltaScope,
        query: Query,
        selected: Option<String>,
    ) -> Result<Self, Error> {
        if call.handling() == Handling::Strict && query.top.is_some() {
            let message = "'$top' does not apply to delta. Send Prefer: odata.maxpagesize.";
            return Err(Error::invalid(Kind::Query, "$top", message));
        }
        let history = call.api.unguarded.history();
        let (kind, folder): (&[u8], _) = match &scope {
            DeltaScope::Contacts(folder) => (b"contacts", folder.as_deref().unwrap_or_default()),
            DeltaScope::Folders(_) => (b"folders", ""),
        };
        let shape: &[u8] = if call.shape() == Shape::V1 { b"v1" } else { b"beta" };
        // The number of a mailbox depends on the order of users, so it must not be visible if answers must be
        // reproducible.
        let number = mailbox.user.mailbox.to_be_bytes();
        let owner = if clock::seeded().is_some() { mailbox.user.id.as_bytes() } else { &number };
        let scope_hash = DeltaToken::hash(&[kind, shape, owner, folder.as_bytes()]);
        let epoch = DeltaToken::hash(&[history.epoch.as_bytes()]);
        let requested_size = call.prefer.max_page_size.or(query.top);
        let size = |default: u16| {
            u16::try_from(requested_size.unwrap_or(default.into())).unwrap_or(MAX_SIZE).clamp(1, MAX_SIZE)
        };
        let (option, token) = match (query.delta_token, query.skip_token) {
            (Some(_), Some(_)) => {
                let message = "'$deltatoken' and '$skiptoken' cannot be used together. Use links unchanged.";
                return Err(Error::invalid(Kind::Query, "$deltatoken", message));
            }
            (Some(token), None) => ("$deltatoken", token),
            (None, token) => ("$skiptoken", token.unwrap_or_default()),
        };
        if token.is_empty() || token.eq_ignore_ascii_case("latest") {
            let since = if token.is_empty() { DeltaStart::Start } else { DeltaStart::Latest };
            let size = size(DEFAULT_SIZE);
            return Ok(Self { scope, scope_hash, epoch, size, select: selected, since, issued: clock::now() });
        }
        let token = DeltaToken::parse(option, &token, history.key.as_bytes())?;
        if token.scope != scope_hash {
            let message = "The token belongs to another list. Use links unchanged.";
            return Err(Error::invalid(Kind::Query, option, message));
        }
        if token.epoch != epoch {
            return Err(Error::OutOfSync("The token belongs to another history of changes.", String::new()));
        }
        if token.issued < call.api.settings.kept_since() {
            return Err(Error::OutOfSync("The token is too old.", String::new()));
        }
        let token_select = token.select.as_deref().map_or(Ok(None), |text| canonical_select(call, &scope, text))?;
        if query.select.is_some() && selected != token_select {
            let message = "The token already has a '$select'. To change it, start over.";
            return Err(Error::invalid(Kind::Query, "$select", message));
        }
        let since = DeltaStart::Continue(token.progress);
        let (size, issued) = (size(token.size), token.issued);
        Ok(Self { scope, scope_hash, epoch, size, select: token_select, since, issued })
    }

    async fn delta(&self, call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Delta, Error> {
        let (store, mailbox) = (&mailbox.store, mailbox.user.mailbox);
        let since = match &self.since {
            DeltaStart::Start => None,
            DeltaStart::Continue(progress) => Some(progress),
            DeltaStart::Latest => {
                let progress = SyncState::Knows(store.watermark(mailbox, path).await?);
                return Ok(Delta { changes: Vec::new(), progress, more: false });
            }
        };
        store.delta(mailbox, path, &self.scope, since, self.size, call.api.settings.kept_since()).await
    }

    /// Each page has exactly one link: a nextLink, or on the last page a deltaLink.
    fn answer(self, call: &Call<'_>, delta: &Delta, kind: &str, value: Vec<impl Serialize>) -> Result<Answer, Error> {
        let key = call.api.unguarded.history().key.as_bytes();
        let Self { scope_hash, epoch, size, select, since, issued, .. } = self;
        // Only a complete round brings the client to a new state.
        let is_new = matches!(since, DeltaStart::Continue(SyncState::Knows(_))) && !delta.more;
        let issued = if is_new { clock::now() } else { issued };
        let progress = delta.progress.clone();
        let token = DeltaToken { scope: scope_hash, epoch, issued, size, select, progress }.print(key);
        let format = format_option(call);
        let link = |option: &str| format!("{}?{format}{option}={token}", call.own_link());
        Answer::json(
            200,
            &DeltaPage {
                context: call.annotated.then(|| call.link(&format!("/$metadata#Collection({kind})"))),
                next: delta.more.then(|| link("$skiptoken")),
                delta: (!delta.more).then(|| link("$deltatoken")),
                value,
            },
        )
    }
}

/// A `$select` in its shortest form, to fit into a token; `None` if it selects everything.
fn canonical_select(call: &Call<'_>, scope: &DeltaScope, text: &str) -> Result<Option<String>, Error> {
    Ok(match scope {
        DeltaScope::Contacts(_) => Selection::parse(text, call.shape())?.map(|selection| selection.names()),
        DeltaScope::Folders(_) => {
            entity::select(text, "contactFolder", folder::properties(call.shape()))?.map(|names| names.join(","))
        }
    })
}

fn restart_link(call: &Call<'_>, selected: Option<String>) -> String {
    let select = selected.map_or(String::new(), |select| format!("&$select={}", percent_encode(&select)));
    format!("{}?{}$deltatoken={select}", call.own_link(), format_option(call))
}

/// The option that no token contains (`$format`), for a link.
fn format_option(call: &Call<'_>) -> String {
    let format = Query::parse_for_delta(call.query).ok().and_then(|query| query.format);
    format.map_or(String::new(), |format| format!("$format={}&", percent_encode(&format)))
}

#[derive(Serialize)]
struct DeltaPage<T> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink", skip_serializing_if = "Option::is_none")]
    delta: Option<String>,
    value: Vec<T>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DeltaEntry<'a, T> {
    Present {
        #[serde(rename = "@odata.type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
        #[serde(flatten)]
        json: T,
    },
    Gone {
        #[serde(rename = "@odata.type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
        id: &'a str,
        #[serde(rename = "@removed")]
        removed: Removed,
    },
}

#[derive(Serialize)]
struct Removed {
    reason: &'static str,
}

fn removed_entry<'a, T>(change: &'a Change, kind: Option<&'static str>) -> Option<DeltaEntry<'a, T>> {
    let Change::Gone(id, reason) = change else { return None };
    let reason = match reason {
        RemovalReason::Moved => "changed",
        RemovalReason::Deleted => "deleted",
    };
    Some(DeltaEntry::Gone { kind, id, removed: Removed { reason } })
}

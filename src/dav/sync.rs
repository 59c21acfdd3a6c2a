//! `sync-collection` (RFC 6578).

use futures_util::stream::{self, StreamExt as _};

use super::books::CardTarget;
use super::data::AddressData;
use super::error::Fail;
use super::headers::{self, DavPrefer, Depth};
use super::multistatus::{Multistatus, RequestedProperties};
use super::propfind::{Lister, answer, multistatus};
use super::routes::Request;
use super::token;
use super::xml::{DAV, XmlElement};
use crate::clock;
use crate::domain::error::Error;
use crate::http::answer::{Answer, Body};
use crate::store::{BookChanges, ListedCard};

/// Maximum number of responses in an answer without a limit.
const MAX_CHANGES: i64 = 100_000;
/// Maximum number of cards, and of their bytes, with content in the answer. Clients fetch others by multiget.
const MAX_WHOLE: usize = 1_000;
const MAX_WHOLE_BYTES: i64 = 4 << 20;
/// Number of cards whose responses are written at once.
const BLOCK: usize = 500;

/// The request.
struct Round {
    since: Option<String>,
    limit: Option<i64>,
    requested: RequestedProperties,
    data: Option<AddressData>,
}

impl Round {
    fn read(request: &Request<'_>, body: &XmlElement) -> Result<Self, Fail> {
        // The RFC requires 0, but several clients send 1.
        if Depth::read(request.call.head.headers)? == Some(Depth::Infinity) {
            return Err(Fail::bad("A sync-collection must have a Depth of 0."));
        }
        let level = body.child(DAV, "sync-level").map(|level| level.text().trim().to_ascii_lowercase());
        if level.is_some_and(|level| level != "1" && level != "infinite") {
            return Err(Fail::bad("The sync-level must be 1 or infinite."));
        }
        let since = body.child(DAV, "sync-token").map(|token| token.text().trim().to_owned());
        let limit = body.child(DAV, "limit").and_then(|limit| limit.child(DAV, "nresults"));
        let limit = limit.map(|limit| limit.text().trim().parse::<i64>());
        let limit = limit.transpose().ok().filter(|limit| limit.is_none_or(|limit| limit > 0));
        let Some(limit) = limit else { return Err(Fail::bad("The limit's nresults must be a number above 0.")) };
        let since = since.filter(|token| !token.is_empty());
        Ok(Self { since, limit, requested: RequestedProperties::read(body)?, data: AddressData::read(body)? })
    }
}

/// The changes of a book since a token; without one, all its cards.
pub(crate) async fn collection(request: &Request<'_>, body: &XmlElement) -> Result<Answer, Fail> {
    let round = Round::read(request, body)?;
    let prefer = DavPrefer::read(request.call.head.headers);
    let CardTarget { book, href, .. } = CardTarget::find(request).await?;
    let (history, mailbox) = (request.call.api.unguarded.history().clone(), request.mailbox.user.mailbox);
    let since = match &round.since {
        None => None,
        Some(text) => match token::read(&history, mailbox, &book, text, clock::now()) {
            Some(moment) => Some(moment),
            None => return Err(bad_token(request)),
        },
    };
    let lister = Lister::new(request, &book, round.requested, prefer.minimal);
    if since.is_none() && round.limit.is_none() && round.data.is_none() {
        // Changes during the answer are repeated in the next round.
        let begun = Multistatus::new(prefer.minimal).out;
        let token = token::print(&history, mailbox, &book, book.moment);
        let pages = lister.pages(begun, move |_| Multistatus::piece(false).end(Some(&token)));
        return answer(Body::Stream(pages), prefer);
    }
    let limit = round.limit.unwrap_or(MAX_CHANGES).min(MAX_CHANGES);
    let kept_since = request.call.api.settings.kept_since();
    let store = &request.mailbox.store;
    let changes = match store.book_changes(mailbox, &book.folder.id, since, limit, kept_since).await {
        Err(Error::OutOfSync(..)) => return Err(bad_token(request)),
        changes => changes?,
    };
    let token = token::print(&history, mailbox, &book, changes.moment);
    let mut end = Multistatus::piece(false);
    if changes.more {
        end.mark_truncated(&href);
    }
    let (begun, end) = (Multistatus::new(prefer.minimal).out, end.end(Some(&token)));
    let (is_short, is_few) =
        (changes.changed.len().max(changes.removed.len()) <= BLOCK, changes.changed.len() <= MAX_WHOLE);
    // The RFC does not define `address-data` here, but some clients request it.
    let data = round.data.filter(|_| is_few);
    let cards = if is_short || data.is_some() {
        lister.unchanged_since(&changes.changed, changes.last).await?
    } else {
        Vec::new()
    };
    let lister = lister.with_data(data.filter(|_| is_small(&cards)));
    if is_short {
        let responses = lister.write(&cards).await?;
        return multistatus([begun, removed_responses(&lister, &changes.removed), responses, end].concat(), prefer);
    }
    let begun = stream::once(async move { Ok(begun.into_bytes()) });
    let pieces = begun.chain(in_blocks(lister, changes)).chain(stream::once(async move { Ok(end.into_bytes()) }));
    answer(Body::Stream(pieces.boxed_local()), prefer)
}

fn is_small(members: &[ListedCard]) -> bool {
    members.iter().map(|member| member.size).sum::<i64>() <= MAX_WHOLE_BYTES
}

/// The responses of removed cards.
fn removed_responses(lister: &Lister, names: &[String]) -> String {
    let mut piece = Multistatus::piece(false);
    for name in names {
        piece.status(&lister.href(name), 404, "Not Found", "");
    }
    piece.out
}

/// The responses, first those of removed cards. Cards are read block by block, so that only their ids are in memory.
fn in_blocks(lister: Lister, changes: BookChanges) -> crate::store::Chunks {
    let pieces = stream::try_unfold((lister, changes, 0, 0), |(lister, changes, removed, changed)| async move {
        let names = next_block(&changes.removed, removed);
        if !names.is_empty() {
            let (piece, next) = (removed_responses(&lister, names), removed + names.len());
            return Ok(Some((piece.into_bytes(), (lister, changes, next, changed))));
        }
        let ids = next_block(&changes.changed, changed);
        if ids.is_empty() {
            return Ok(None);
        }
        let (piece, next) =
            (lister.write(&lister.unchanged_since(ids, changes.last).await?).await?, changed + ids.len());
        Ok(Some((piece.into_bytes(), (lister, changes, removed, next))))
    });
    pieces.filter(|piece| std::future::ready(!matches!(piece, Ok(bytes) if bytes.is_empty()))).boxed_local()
}

/// At most one block of the items from index `at` on.
fn next_block<T>(all: &[T], at: usize) -> &[T] {
    let rest = all.get(at..).unwrap_or_default();
    &rest[..rest.len().min(BLOCK)]
}

/// The token cannot be continued in this book. Thunderbird starts over on 400 only, all other clients on 403.
fn bad_token(request: &Request<'_>) -> Fail {
    let agent = headers::text(request.call.head.headers, "user-agent").unwrap_or_default();
    let status = if agent.contains("Thunderbird/") { 400 } else { 403 };
    Fail::new(
        status,
        "<D:valid-sync-token/>",
        "The sync token does not belong to this address book, or is too old. Start again with an empty token.",
    )
}

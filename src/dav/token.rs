//! Entity tags and sync tokens. A sync token is like a delta token: signed, and bound to mailbox, folder, and the
//! history of changes. It begins with `data:,`, because some clients read a text of digits as a number.

use crate::domain::etag;
use crate::domain::sync::{SyncState, Watermark};
use crate::odata::delta::DeltaToken;
use crate::store::{Book, History, ListedCard};

/// The version of the rendering of cards. Raise it when unchanged data is rendered differently; all clients then read
/// all cards again.
const RENDERER: &str = "1";
/// Lifetime of a token in microseconds: 400 days.
const LIFETIME: i64 = 400 * 24 * 60 * 60 * 1_000_000;
const SCHEME: &str = "data:,";

/// The entity tag of a card, without quotes.
pub(crate) fn tag(member: &ListedCard) -> String {
    [&etag::token(member.last_modified_date_time, member.version), ".", RENDERER].concat()
}

/// The same in quotes.
pub(crate) fn quoted(tag: &str) -> String {
    ["\"", tag, "\""].concat()
}

fn scope_hash(mailbox: i64, book: &Book) -> [u8; 8] {
    // A folder that is created again with the id of a deleted one is a different folder.
    let (mailbox, created) = (mailbox.to_be_bytes(), book.folder.created_date_time.to_be_bytes());
    DeltaToken::hash(&[b"carddav", &mailbox, book.folder.id.as_bytes(), &created])
}

/// The token for a watermark of a book.
pub(crate) fn print(history: &History, mailbox: i64, book: &Book, moment: Watermark) -> String {
    let token = DeltaToken {
        scope: scope_hash(mailbox, book),
        epoch: DeltaToken::hash(&[history.epoch.as_bytes()]),
        issued: moment.entry.1,
        size: 0,
        select: None,
        progress: SyncState::Knows(moment),
    };
    [SCHEME, &token.print(history.key.as_bytes())].concat()
}

/// The watermark of a token, if it is this book's and not expired.
pub(crate) fn read(history: &History, mailbox: i64, book: &Book, text: &str, now: i64) -> Option<Watermark> {
    let token = DeltaToken::parse("", text.strip_prefix(SCHEME)?, history.key.as_bytes()).ok()?;
    let is_ours =
        token.scope == scope_hash(mailbox, book) && token.epoch == DeltaToken::hash(&[history.epoch.as_bytes()]);
    let SyncState::Knows(moment) = token.progress else { return None };
    // A book without changes since then has lost no entries of the log.
    let is_usable = moment == book.moment || moment == Watermark::default() || moment.entry.1 > now - LIFETIME;
    (is_ours && is_usable).then_some(moment)
}

//! Entity tags and sync tokens. A sync token is what delta tokens are: signed, and bound to mailbox, folder, and the history of
//! changes. It looks like `data:,…`, since some clients take a text of digits for a number.

use crate::domain::etag;
use crate::domain::sync::{SyncState, Watermark};
use crate::odata::delta::DeltaToken;
use crate::store::{Book, History, ListedCard};

/// What the rendering of cards is numbered by. It is raised when unchanged data is rendered otherwise, which makes all clients
/// read all cards again.
const RENDERER: &str = "1";
/// How long a token leads on, in microseconds: 400 days.
const KEPT: i64 = 400 * 24 * 60 * 60 * 1_000_000;
const SCHEME: &str = "data:,";

/// The entity tag of a card, without quotes.
pub(crate) fn tag(member: &ListedCard) -> String {
    [&etag::token(member.last_modified_date_time, member.version), ".", RENDERER].concat()
}

/// The same in quotes.
pub(crate) fn quoted(tag: &str) -> String {
    ["\"", tag, "\""].concat()
}

fn bound(mailbox: i64, book: &Book) -> [u8; 8] {
    // A folder that is created again with the id of a deleted one is another.
    let (mailbox, created) = (mailbox.to_be_bytes(), book.folder.created_date_time.to_be_bytes());
    DeltaToken::bound(&[b"carddav", &mailbox, book.folder.id.as_bytes(), &created])
}

/// The token of a moment of a book.
pub(crate) fn print(history: &History, mailbox: i64, book: &Book, moment: Watermark) -> String {
    let token = DeltaToken {
        of: bound(mailbox, book),
        epoch: DeltaToken::bound(&[history.epoch.as_bytes()]),
        issued: moment.entry.1,
        size: 0,
        select: None,
        progress: SyncState::Knows(moment),
    };
    [SCHEME, &token.print(history.key.as_bytes())].concat()
}

/// The moment of a token, if it is one of this book's that still leads on at this time.
pub(crate) fn read(history: &History, mailbox: i64, book: &Book, text: &str, now: i64) -> Option<Watermark> {
    let token = DeltaToken::parse("", text.strip_prefix(SCHEME)?, history.key.as_bytes()).ok()?;
    let is_ours = token.of == bound(mailbox, book) && token.epoch == DeltaToken::bound(&[history.epoch.as_bytes()]);
    let SyncState::Knows(moment) = token.progress else { return None };
    // A book in which nothing happened for so long has lost nothing.
    let leads_on = moment == book.moment || moment == Watermark::default() || moment.entry.1 > now - KEPT;
    (is_ours && leads_on).then_some(moment)
}

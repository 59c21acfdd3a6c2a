//! `addressbook-query` (RFC 6352, section 8.6). The cards of a book are read page by page and tested, and matches are
//! streamed.

use futures_util::stream::{self, StreamExt as _};

use super::books::CardTarget;
use super::card;
use super::data::AddressData;
use super::error::Fail;
use super::filter::CardFilter;
use super::headers::{DavPrefer, Depth};
use super::multistatus::{Multistatus, RequestedProperties};
use super::propfind::{Lister, PAGE, answer, run_blocking_if_large};
use super::routes::Request;
use super::xml::{CARDDAV, XmlElement};
use crate::domain::error::Error;
use crate::http::answer::{Answer, Body};
use crate::store::ListedCard;

/// Maximum number of cards in an answer.
const MAX_CARDS: usize = 10_000;

/// The remaining part of a query.
struct AddressBookQuery {
    listers: std::vec::IntoIter<Lister>,
    current: Option<Lister>,
    groups: bool,
    after: Option<uuid::Uuid>,
    filter: CardFilter,
    room: usize,
    /// The address that is reported as truncated.
    href: String,
    over: bool,
}

/// The cards that match a filter.
pub(crate) async fn query(request: &Request<'_>, body: &XmlElement) -> Result<Answer, Fail> {
    Depth::read(request.call.head.headers)?;
    let (data, requested) = (AddressData::read(body)?, RequestedProperties::read(body)?);
    let filter = CardFilter::read(body)?;
    let limit = body.child(CARDDAV, "limit").and_then(|limit| limit.child(CARDDAV, "nresults"));
    let limit = limit.map(|limit| limit.text().trim().parse::<usize>());
    let limit = limit.transpose().map_err(|_| Fail::bad("The limit's nresults must be a number."))?;
    let bound = if data.is_some() { MAX_CARDS } else { usize::MAX };
    let prefer = DavPrefer::read(request.call.head.headers);
    let place = &request.call.place;
    let books = if place.folder().is_some() {
        vec![CardTarget::find(request).await?.book]
    } else {
        request.mailbox.store.books(request.mailbox.user.mailbox).await?
    };
    let new = |book| Lister::new(request, &book, requested.clone(), prefer.minimal).with_data(data.clone());
    let listers: Vec<_> = books.into_iter().map(new).collect();
    let begun = Multistatus::new(prefer.minimal).out;
    if let (Some(name), Some(lister)) = (place.name(), listers.first()) {
        let member = lister.store().member(lister.mailbox(), &lister.book().folder.id, name).await?;
        let (piece, _) = fitting(lister, &filter, vec![member], 1).await?;
        let document = [begun, piece, Multistatus::piece(false).end(None)].concat();
        return super::propfind::multistatus(document, prefer);
    }
    let query = AddressBookQuery {
        listers: listers.into_iter(),
        current: None,
        groups: false,
        after: None,
        filter,
        room: limit.unwrap_or(usize::MAX).min(bound),
        href: request.call.hrefs.of(place),
        over: false,
    };
    let pieces = stream::try_unfold(query, |query| async move { query.next().await });
    let end = stream::once(async { Ok(Multistatus::piece(false).end(None).into_bytes()) });
    let pieces = stream::once(async move { Ok(begun.into_bytes()) }).chain(pieces).chain(end);
    answer(Body::Stream(pieces.boxed_local()), prefer)
}

impl AddressBookQuery {
    /// The responses of the next page.
    async fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, Error> {
        if self.over {
            return Ok(None);
        }
        if self.current.is_none() {
            self.current = self.listers.next();
            (self.groups, self.after) = (false, None);
        }
        let Some(lister) = self.current.take() else { return Ok(None) };
        let folder = lister.book().folder.id.clone();
        let page = lister.store().members(lister.mailbox(), &folder, self.groups, self.after, PAGE).await?;
        let (last, is_full) =
            (page.last().map(|member| member.id), i64::try_from(page.len()).is_ok_and(|found| found == PAGE));
        // One card more than the limit shows whether the answer is truncated.
        let (mut piece, found) = fitting(&lister, &self.filter, page, self.room).await?;
        if found > self.room {
            let mut cut = Multistatus::piece(false);
            cut.cut(&self.href);
            piece.push_str(&cut.out);
            self.over = true;
        }
        self.room -= found.min(self.room);
        match (is_full, self.groups) {
            (true, _) => (self.after, self.current) = (last, Some(lister)),
            (false, false) => (self.groups, self.after, self.current) = (true, None, Some(lister)),
            (false, true) => {}
        }
        Ok(Some((piece.into_bytes(), self)))
    }
}

/// The responses of the matching cards, up to `room`, and their number, in which at most one card beyond it counts.
async fn fitting(
    lister: &Lister,
    filter: &CardFilter,
    members: Vec<ListedCard>,
    room: usize,
) -> Result<(String, usize), Error> {
    if filter.is_always_true() {
        let found = members.len().min(room.saturating_add(1));
        let shown = members.get(..found.min(room)).unwrap_or_default();
        return Ok((lister.write(shown).await?, found));
    }
    let (mut fits, mut rest) = (Vec::new(), members.as_slice());
    while !rest.is_empty() && fits.len() <= room {
        let (wholes, read) = lister.store().whole_cards(lister.mailbox(), rest).await?;
        let (tested, behind) = rest.split_at_checked(read.max(1)).unwrap_or((rest, &[]));
        rest = behind;
        let filter = filter.clone();
        let test = move || {
            let fits = wholes.into_iter().filter(|whole| filter.matches(&card::render(whole, None)));
            fits.map(|whole| whole.member).collect::<Vec<_>>()
        };
        fits.extend(run_blocking_if_large(tested, test).await?);
    }
    let found = fits.len().min(room.saturating_add(1));
    fits.truncate(room);
    Ok((lister.write(&fits).await?, found))
}

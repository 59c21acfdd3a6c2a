//! `addressbook-query` (RFC 6352, section 8.6). The cards of a book are read page by page and tested, and matches are
//! streamed.

use std::collections::HashMap;
use std::sync::Arc;

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
use crate::domain::contact::parts::ContactPart;
use crate::domain::error::Error;
use crate::http::answer::{Answer, Body};
use crate::http::blocking::{SHORT, run_blocking};
use crate::store::{ListedCard, TestedCard, TestedContent};
use crate::vcard::write::CardContent;
use crate::vcard::write::named::named;

/// Maximum number of cards in an answer.
const MAX_CARDS: usize = 10_000;

/// The remaining part of a query.
struct AddressBookQuery {
    listers: std::vec::IntoIter<Lister>,
    current: Option<Lister>,
    groups: bool,
    after: Option<uuid::Uuid>,
    filter: Arc<CardFilter>,
    /// The parts of contacts that the filter tests.
    parts: Option<Vec<ContactPart>>,
    remaining: usize,
    /// The address that is reported as truncated.
    href: String,
    is_done: bool,
}

/// The matching cards of a page, and its last card.
struct ReadPage {
    matches: Vec<ListedCard>,
    last: Option<uuid::Uuid>,
    /// Whether the book has no more cards of this kind.
    is_last: bool,
}

/// The cards that match a filter.
pub(crate) async fn query(request: &Request<'_>, body: &XmlElement) -> Result<Answer, Fail> {
    Depth::read(request.call.head.headers)?;
    let (data, requested) = (AddressData::read(body)?, RequestedProperties::read(body)?);
    let filter = Arc::new(CardFilter::read(body)?);
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
        let members = [member];
        let matches =
            if filter.is_always_true() { members.into() } else { rendered(lister, &filter, &members).await? };
        let piece = lister.write(&matches).await?;
        let document = [begun, piece, Multistatus::piece(false).end(None)].concat();
        return super::propfind::multistatus(document, prefer);
    }
    let query = AddressBookQuery {
        listers: listers.into_iter(),
        current: None,
        groups: false,
        after: None,
        parts: filter.parts(),
        filter,
        remaining: limit.unwrap_or(usize::MAX).min(bound),
        href: request.call.hrefs.of(place),
        is_done: false,
    };
    let pieces = stream::try_unfold(query, |query| async move { query.next().await });
    let end = stream::once(async { Ok(Multistatus::piece(false).end(None).into_bytes()) });
    let pieces = stream::once(async move { Ok(begun.into_bytes()) }).chain(pieces).chain(end);
    answer(Body::Stream(pieces.boxed_local()), prefer)
}

impl AddressBookQuery {
    /// The responses of the next page.
    async fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, Error> {
        if self.is_done {
            return Ok(None);
        }
        if self.current.is_none() {
            self.current = self.listers.next();
            (self.groups, self.after) = (false, None);
        }
        let Some(lister) = self.current.take() else { return Ok(None) };
        // One card more than the limit shows whether the answer is truncated.
        let ReadPage { mut matches, last, is_last } = self.page(&lister).await?;
        let found = matches.len();
        matches.truncate(self.remaining);
        let mut piece = lister.write(&matches).await?;
        if found > self.remaining {
            let mut truncation = Multistatus::piece(false);
            truncation.mark_truncated(&self.href);
            piece.push_str(&truncation.out);
            self.is_done = true;
        }
        self.remaining -= found.min(self.remaining);
        match (is_last, self.groups) {
            (false, _) => (self.after, self.current) = (last, Some(lister)),
            (true, false) => (self.groups, self.after, self.current) = (true, None, Some(lister)),
            (true, true) => {}
        }
        Ok(Some((piece.into_bytes(), self)))
    }

    /// The matching cards of the next page.
    async fn page(&self, lister: &Lister) -> Result<ReadPage, Error> {
        let (mailbox, folder) = (lister.mailbox(), &lister.book().folder.id);
        if self.filter.is_always_true() {
            let matches = lister.store().members(mailbox, folder, self.groups, self.after, PAGE).await?;
            let is_last = i64::try_from(matches.len()).is_ok_and(|found| found < PAGE);
            return Ok(ReadPage { last: matches.last().map(|member| member.id), is_last, matches });
        }
        let position = (self.groups, self.after);
        let page = lister.store().tested_cards(mailbox, folder, position, PAGE, self.parts.as_deref()).await?;
        let (page, is_last) = page;
        let last = page.last().map(|card| card.member.id);
        Ok(ReadPage { matches: matching(lister, &self.filter, page).await?, last, is_last })
    }
}

/// The cards of a page that match. A card is rendered only if its lines cannot be found without rendering.
async fn matching(lister: &Lister, filter: &Arc<CardFilter>, page: Vec<TestedCard>) -> Result<Vec<ListedCard>, Error> {
    let bytes: i64 = page.iter().map(|card| card.size).sum();
    let test = {
        let filter = Arc::clone(filter);
        move || {
            let verdicts = page.into_iter().map(|card| (verdict(&filter, &card), card.member));
            verdicts.filter(|(verdict, _)| *verdict != Some(false)).collect::<Vec<_>>()
        }
    };
    let found =
        if usize::try_from(bytes).is_ok_and(|bytes| bytes <= SHORT) { test() } else { run_blocking(test).await? };
    let unrendered: Vec<_> =
        found.iter().filter(|(verdict, _)| verdict.is_none()).map(|(_, member)| member.clone()).collect();
    let rendered = rendered(lister, filter, &unrendered).await?.into_iter();
    let mut rendered: HashMap<_, _> = rendered.map(|member| (member.id, member)).collect();
    let matches = found.into_iter().filter_map(|(verdict, member)| match verdict {
        Some(_) => Some(member),
        None => rendered.remove(&member.id),
    });
    Ok(matches.collect())
}

/// Whether a card matches; `None` if it must be rendered.
fn verdict(filter: &CardFilter, card: &TestedCard) -> Option<bool> {
    match &card.content {
        TestedContent::Text(text) => Some(filter.matches(text)),
        TestedContent::Properties(uid, properties) => {
            let last_modified = Some(card.member.last_modified_date_time);
            let shown = CardContent { properties, uid, photo: None, last_modified };
            named(&shown, filter.names()).map(|lines| filter.matches_lines(&lines))
        }
        TestedContent::Unrendered => None,
    }
}

/// Renders cards, and returns those that match.
async fn rendered(lister: &Lister, filter: &Arc<CardFilter>, members: &[ListedCard]) -> Result<Vec<ListedCard>, Error> {
    let (mut matches, mut rest) = (Vec::new(), members);
    while !rest.is_empty() {
        let (wholes, read) = lister.store().whole_cards(lister.mailbox(), rest).await?;
        let (tested, unread) = rest.split_at_checked(read.max(1)).unwrap_or((rest, &[]));
        rest = unread;
        let filter = Arc::clone(filter);
        let test = move || {
            let matches = wholes.into_iter().filter(|whole| filter.matches(&card::render(whole, None)));
            matches.map(|whole| whole.member).collect::<Vec<_>>()
        };
        matches.extend(run_blocking_if_large(tested, test).await?);
    }
    Ok(matches)
}

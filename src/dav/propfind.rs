//! OPTIONS and PROPFIND (RFC 4918, section 9.1). A list of cards is streamed, so its memory does not grow with its
//! length.

use futures_util::stream::{self, StreamExt as _};

use super::books::{self, CardTarget};
use super::card;
use super::error::Fail;
use super::headers::{DavPrefer, Depth};
use super::href::DavPlace;
use super::multistatus::{Multistatus, RequestedProperties};
use super::properties::{PropertyContext, PropertyOwner};
use super::routes::{Request, allowed};
use super::xml::DAV;
use crate::domain::error::Error;
use crate::domain::user::User;
use crate::http::answer::{Answer, Body};
use crate::http::blocking::{SHORT, run_blocking};
use crate::store::{Book, ListedCard, Store};

/// The supported classes, for OPTIONS and PROPFIND. Locks (class 2) are not supported.
pub(crate) const CLASSES: &str = "1, 3, addressbook, extended-mkcol";
/// Number of cards that are read at once.
pub(crate) const PAGE: i64 = 500;
/// Number of books whose properties set by clients are read at once. They may have 200 KiB each.
const BOOKS: usize = 200;

/// `OPTIONS`
pub(crate) async fn options(request: &Request<'_>) -> Result<Answer, Fail> {
    let allow = allowed(&request.call.place).join(", ");
    let answer = Answer::empty(200)?.header("DAV", CLASSES)?.header("Allow", &allow)?.header("Content-Length", "0")?;
    Ok(answer)
}

/// The request of a PROPFIND.
pub(crate) struct Propfind {
    requested: RequestedProperties,
    depth: Depth,
    prefer: DavPrefer,
}

impl Propfind {
    async fn read(request: &Request<'_>) -> Result<Self, Fail> {
        let headers = request.call.head.headers;
        let depth = match Depth::read(headers)? {
            Some(depth @ (Depth::Zero | Depth::One)) => depth,
            None | Some(Depth::Infinity) => {
                let message = "A PROPFIND must have a Depth of 0 or 1.";
                return Err(Fail::new(403, "<D:propfind-finite-depth/>", message));
            }
        };
        Ok(Self { requested: requested_properties(request).await?, depth, prefer: DavPrefer::read(headers) })
    }

    fn document(&self) -> Multistatus {
        Multistatus::new(self.prefer.minimal)
    }
}

/// The properties that the body of a PROPFIND asks for.
async fn requested_properties(request: &Request<'_>) -> Result<RequestedProperties, Fail> {
    if request.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(RequestedProperties::All(Vec::new()));
    }
    let root = books::xml(request).await?;
    if !root.is(DAV, "propfind") {
        return Err(Fail::bad("The body of a PROPFIND must be a DAV: propfind."));
    }
    Ok(RequestedProperties::read(&root)?)
}

/// The answer with a complete document.
pub(crate) fn multistatus(document: String, prefer: DavPrefer) -> Result<Answer, Fail> {
    answer(Body::Bytes(document.into_bytes()), prefer)
}

/// The answer with a document that may be streamed.
pub(crate) fn answer(body: Body, prefer: DavPrefer) -> Result<Answer, Fail> {
    let answer = Answer { body: Some(body), ..Answer::empty(207)? }.header("DAV", CLASSES)?;
    let answer = answer.header("Content-Type", "application/xml; charset=utf-8")?;
    Ok(match prefer.applied() {
        Some(applied) => answer.header("Preference-Applied", applied)?.header("Vary", "Prefer")?,
        None => answer,
    })
}

/// `PROPFIND` of `/`, `/dav/` and `/dav/principals/`. Children are not listed, because they would be the list of users.
pub(crate) async fn start(request: &Request<'_>) -> Result<Answer, Fail> {
    let find = Propfind::read(request).await?;
    let mut document = find.document();
    let context = property_context(request, request.mailbox.user.mailbox, request.user, &request.mailbox.user, false);
    document.properties(
        &request.call.hrefs.of(&request.call.place),
        &PropertyOwner::Start,
        &find.requested,
        &context,
        None,
    );
    multistatus(document.end(None), find.prefer)
}

/// `PROPFIND` of a principal.
pub(crate) async fn principal(request: &Request<'_>) -> Result<Answer, Fail> {
    let find = Propfind::read(request).await?;
    let owner = &request.mailbox.user;
    let context = property_context(request, owner.mailbox, request.user, owner, false);
    let mut document = find.document();
    let href = request.call.hrefs.of(&DavPlace::Principal(owner.id.clone()));
    document.properties(&href, &PropertyOwner::Principal, &find.requested, &context, None);
    multistatus(document.end(None), find.prefer)
}

/// `PROPFIND` of a home: the home and its address books, the default one first.
pub(crate) async fn home(request: &Request<'_>) -> Result<Answer, Fail> {
    let find = Propfind::read(request).await?;
    let mailbox = request.mailbox;
    let mut document = find.document();
    let kept = books::stored_properties(&mailbox.store, mailbox.user.mailbox, "", &find.requested).await?;
    let context = property_context(request, mailbox.user.mailbox, request.user, &mailbox.user, mailbox.may_write);
    if find.depth == Depth::Zero || !find.prefer.no_root {
        let href = request.call.hrefs.of(&DavPlace::Home(mailbox.user.id.clone()));
        document.properties(&href, &PropertyOwner::Home(&kept), &find.requested, &context, None);
    }
    if find.depth == Depth::One {
        let listed = books::list(request).await?;
        let blocks = listed.chunk_by(|a, b| a.owner.mailbox == b.owner.mailbox).flat_map(|own| own.chunks(BOOKS));
        for block in blocks {
            let kept = books::stored_properties_of(block, &find.requested).await?;
            for listed in block {
                let kept = kept.get(&listed.book.folder.id).map_or(&[][..], Vec::as_slice);
                let context =
                    property_context(request, listed.owner.mailbox, request.user, &listed.owner, listed.may_write);
                document.properties(
                    &listed.href,
                    &PropertyOwner::Book(&listed.book, kept),
                    &find.requested,
                    &context,
                    None,
                );
            }
        }
    }
    multistatus(document.end(None), find.prefer)
}

/// `PROPFIND` of an address book: the book and its cards.
pub(crate) async fn book(request: &Request<'_>) -> Result<Answer, Fail> {
    let find = Propfind::read(request).await?;
    let target = CardTarget::find(request).await?;
    let mailbox = request.mailbox;
    let mut document = find.document();
    if find.depth == Depth::Zero || !find.prefer.no_root {
        let kept =
            books::stored_properties(&mailbox.store, mailbox.user.mailbox, &target.book.folder.id, &find.requested)
                .await?;
        let context = property_context(request, mailbox.user.mailbox, request.user, &mailbox.user, mailbox.may_write);
        document.properties(&target.href, &PropertyOwner::Book(&target.book, &kept), &find.requested, &context, None);
    }
    if find.depth == Depth::Zero {
        return multistatus(document.end(None), find.prefer);
    }
    let lister = Lister::new(request, &target.book, find.requested.clone(), find.prefer.minimal);
    let pages = lister.pages(document.out, |_| Multistatus::piece(false).end(None));
    answer(Body::Stream(pages), find.prefer)
}

/// `PROPFIND` of a card.
pub(crate) async fn card(request: &Request<'_>) -> Result<Answer, Fail> {
    let find = Propfind::read(request).await?;
    let target = CardTarget::find(request).await?;
    let mailbox = request.mailbox;
    let member = mailbox.store.member(mailbox.user.mailbox, &target.book.folder.id, &target.name).await?;
    let lister = Lister::new(request, &target.book, find.requested.clone(), find.prefer.minimal);
    let mut document = find.document();
    document.out.push_str(&lister.write(&[member]).await?);
    multistatus(document.end(None), find.prefer)
}

/// Runs `work` on a blocking thread if the cards are many or large.
pub(crate) async fn run_blocking_if_large<T: Send + 'static>(
    members: &[ListedCard],
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let bytes: i64 = members.iter().map(|member| member.size).sum();
    let is_short = usize::try_from(bytes).is_ok_and(|bytes| bytes <= SHORT);
    if is_short { Ok(work()) } else { run_blocking(work).await }
}

/// The context of property values, besides the resource.
pub(crate) fn property_context<'a>(
    request: &'a Request<'_>,
    mailbox: i64,
    caller: &'a User,
    owner: &'a User,
    may_write: bool,
) -> PropertyContext<'a> {
    let call = request.call;
    PropertyContext { hrefs: &call.hrefs, caller, owner, mailbox, may_write, history: call.api.unguarded.history() }
}

/// Writes the responses of cards. It owns its data, because it outlives the request.
#[derive(Clone)]
pub(crate) struct Lister {
    store: Store,
    caller: User,
    owner: User,
    may_write: bool,
    hrefs: super::href::Hrefs,
    book: Book,
    /// The home and the folder in the addresses.
    home: String,
    folder: String,
    requested: RequestedProperties,
    /// The version and the properties of `address-data`.
    data: Option<super::data::AddressData>,
    minimal: bool,
}

impl Lister {
    pub(crate) fn new(request: &Request<'_>, book: &Book, requested: RequestedProperties, minimal: bool) -> Self {
        let mailbox = request.mailbox;
        let (home, folder) = books::address_ids(request, &book.folder.id);
        Self {
            store: mailbox.store.clone(),
            caller: request.user.clone(),
            owner: mailbox.user.clone(),
            may_write: mailbox.may_write,
            hrefs: request.call.hrefs.clone(),
            book: book.clone(),
            home,
            folder,
            requested,
            data: None,
            minimal,
        }
    }

    /// Adds `address-data` in this form.
    pub(crate) fn with_data(self, data: Option<super::data::AddressData>) -> Self {
        Self { data, ..self }
    }

    /// The address of the card with this name.
    pub(crate) fn href(&self, name: &str) -> String {
        self.hrefs.of(&DavPlace::Card(self.home.clone(), self.folder.clone(), name.to_owned()))
    }

    /// The cards of the book with these ids that have not changed after the mailbox's number `last`.
    pub(crate) async fn unchanged_since(&self, ids: &[uuid::Uuid], last: i64) -> Result<Vec<ListedCard>, Error> {
        self.store.members_until(self.owner.mailbox, &self.book.folder.id, ids, last).await
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn mailbox(&self) -> i64 {
        self.owner.mailbox
    }

    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    fn context(&self) -> PropertyContext<'_> {
        PropertyContext {
            hrefs: &self.hrefs,
            caller: &self.caller,
            owner: &self.owner,
            mailbox: self.owner.mailbox,
            may_write: self.may_write,
            history: self.store.history(),
        }
    }

    /// The responses of some cards. Only what the request asks for is read.
    pub(crate) async fn write(&self, members: &[ListedCard]) -> Result<String, Error> {
        let mut piece = Multistatus::piece(self.minimal);
        let wants_text = self.requested.names(DAV, "getcontentlength");
        if !wants_text && self.data.is_none() {
            for member in members {
                piece.properties(
                    &self.href(&member.name),
                    &PropertyOwner::Card(member, None),
                    &self.requested,
                    &self.context(),
                    None,
                );
            }
            return Ok(piece.out);
        }
        let mut rest = members;
        while !rest.is_empty() {
            let (wholes, read) = self.store.whole_cards(self.owner.mailbox, rest).await?;
            let (shown, unread) = rest.split_at_checked(read.max(1)).unwrap_or((rest, &[]));
            rest = unread;
            let data = self.data.clone();
            let render = move || {
                let rendered = wholes.into_iter().map(|whole| {
                    let text = wants_text.then(|| card::render(&whole, None));
                    let data = data.as_ref().map(|data| data.render(&whole));
                    (whole.member, text, data)
                });
                rendered.collect::<Vec<_>>()
            };
            for (member, text, data) in run_blocking_if_large(shown, render).await? {
                let subject = PropertyOwner::Card(&member, text.as_deref());
                let href = self.href(&member.name);
                piece.properties(&href, &subject, &self.requested, &self.context(), data.as_deref());
            }
        }
        Ok(piece.out)
    }

    /// The body with all cards of the book, page by page, between `beginning` and `end`.
    pub(crate) fn pages(self, beginning: String, end: impl FnOnce(&Self) -> String + 'static) -> crate::store::Chunks {
        /// Contacts first, then groups, then the end.
        enum ListingPosition {
            Contacts(Option<uuid::Uuid>),
            Groups(Option<uuid::Uuid>),
            End,
            Done,
        }
        let state = (self, ListingPosition::Contacts(None), Some(end));
        let rest = stream::try_unfold(state, |(lister, position, mut end)| async move {
            let (groups, after) = match position {
                ListingPosition::Contacts(after) => (false, after),
                ListingPosition::Groups(after) => (true, after),
                ListingPosition::End => {
                    let last = end.take().map(|end| end(&lister)).unwrap_or_default();
                    return Ok(Some((last.into_bytes(), (lister, ListingPosition::Done, end))));
                }
                ListingPosition::Done => return Ok(None),
            };
            let (mailbox, folder) = (lister.owner.mailbox, lister.book.folder.id.clone());
            let page = lister.store.members(mailbox, &folder, groups, after, PAGE).await?;
            let piece = lister.write(&page).await?;
            let last = page.last().map(|member| member.id);
            let is_full = i64::try_from(page.len()).is_ok_and(|found| found == PAGE);
            let next = match (is_full, groups) {
                (true, false) => ListingPosition::Contacts(last),
                (true, true) => ListingPosition::Groups(last),
                (false, false) => ListingPosition::Groups(None),
                (false, true) => ListingPosition::End,
            };
            Ok(Some((piece.into_bytes(), (lister, next, end))))
        });
        let rest = rest.filter(|piece| std::future::ready(!matches!(piece, Ok(bytes) if bytes.is_empty())));
        stream::once(async move { Ok(beginning.into_bytes()) }).chain(rest).boxed_local()
    }
}

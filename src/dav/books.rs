//! Address books: their list, the one that a request names, and their removal.

use std::collections::HashMap;

use super::error::Fail;
use super::headers::{self, Depth};
use super::href::{DavPlace, owned};
use super::multistatus::RequestedProperties;
use super::propfind::CLASSES;
use super::routes::Request;
use super::token;
use super::xml::XmlElement;
use super::xml::read::{MAX_BYTES, read};
use crate::domain::error::Error;
use crate::domain::folder::Folder;
use crate::domain::user::User;
use crate::http::answer::Answer;
use crate::http::authorize::Need;
use crate::http::blocking::{SHORT, run_blocking};
use crate::store::{Book, DavProperty, Store};

/// Maximum number of shared mailboxes that a home lists.
const MAX_SHARED: usize = 100;

/// The XML in the body.
///
/// # Errors
/// 415 for another type, 413 for more than 4 MiB, 400 if it is not XML.
pub(crate) async fn xml(request: &Request<'_>) -> Result<XmlElement, Fail> {
    let media_type = headers::text(request.call.head.headers, "content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(media_type.as_str(), "" | "application/xml" | "text/xml") {
        let message = "The body must be XML, sent as application/xml or text/xml.";
        return Err(Error::UnsupportedMediaType(message.to_owned()).into());
    }
    if request.body.len() > MAX_BYTES {
        return Err(Error::TooLarge(MAX_BYTES).into());
    }
    if request.body.len() <= SHORT {
        return Ok(read(request.body)?);
    }
    let body = request.body.to_vec();
    Ok(run_blocking(move || read(&body)).await??)
}

/// The book that a request names, and the card's name in it.
pub(crate) struct CardTarget {
    pub(crate) book: Book,
    /// The address of the book.
    pub(crate) href: String,
    /// Empty if the request names no card.
    pub(crate) name: String,
}

impl CardTarget {
    /// # Errors
    /// [`Error::NotFound`]
    pub(crate) async fn find(request: &Request<'_>) -> Result<Self, Error> {
        let mailbox = request.mailbox;
        let place = &request.call.place;
        let book = mailbox.store.book(mailbox.user.mailbox, place.folder().unwrap_or_default()).await?;
        let (home, folder) = address_ids(request, &book.folder.id);
        let href = request.call.hrefs.of(&DavPlace::Book(home, folder));
        Ok(Self { book, href, name: place.name().unwrap_or_default().to_owned() })
    }
}

/// The folder that a request names.
///
/// # Errors
/// [`Error::NotFound`]
pub(crate) async fn folder(request: &Request<'_>) -> Result<Folder, Error> {
    let id = request.call.place.folder().unwrap_or_default().to_owned();
    request.mailbox.store.folder(request.mailbox.user.mailbox, &[id]).await
}

/// The home and the folder in the addresses of the answer: as in the request, with ids instead of names.
pub(crate) fn address_ids(request: &Request<'_>, folder: &str) -> (String, String) {
    let owner = &request.mailbox.user.id;
    if request.call.place.shared().is_some() {
        (request.user.id.clone(), owned(owner, folder))
    } else {
        (owner.clone(), folder.to_owned())
    }
}

/// A book in a list.
pub(crate) struct ListedBook {
    /// The store with the caller's rights on the mailbox it is in.
    pub(crate) store: Store,
    pub(crate) owner: User,
    pub(crate) book: Book,
    pub(crate) may_write: bool,
    pub(crate) href: String,
}

/// The books of a home: the default one first, since some clients use one only, then by name, then those of shared
/// mailboxes.
pub(crate) async fn list(request: &Request<'_>) -> Result<Vec<ListedBook>, Error> {
    let mailbox = request.mailbox;
    let hrefs = &request.call.hrefs;
    let own = mailbox.store.books(mailbox.user.mailbox).await?;
    let listed = |book: Book| ListedBook {
        store: mailbox.store.clone(),
        owner: mailbox.user.clone(),
        may_write: mailbox.may_write,
        href: hrefs.of(&DavPlace::Book(mailbox.user.id.clone(), book.folder.id.clone())),
        book,
    };
    let mut books: Vec<_> = sorted(own).into_iter().map(listed).collect();
    if mailbox.user.mailbox == request.user.mailbox && request.caller.scopes.may_read_shared() {
        books.extend(shared(request).await?);
    }
    Ok(books)
}

/// The books of the mailboxes that are shared with the caller.
async fn shared(request: &Request<'_>) -> Result<Vec<ListedBook>, Error> {
    let api = request.call.api;
    let mut books = Vec::new();
    for share in api.unguarded.shared_to(request.user.mailbox).await?.into_iter().take(MAX_SHARED) {
        let actor = super::front_end::actor(request.call, request.caller);
        let mailbox = match api.mailbox(request.caller, Some(&share.user.id), Need::Read, actor).await {
            Ok(mailbox) => mailbox,
            // The share was removed meanwhile.
            Err(Error::UnknownUser(_)) => continue,
            Err(error) => return Err(error),
        };
        for book in sorted(mailbox.store.books(mailbox.user.mailbox).await?) {
            let place = DavPlace::Book(request.user.id.clone(), owned(&mailbox.user.id, &book.folder.id));
            books.push(ListedBook {
                store: mailbox.store.clone(),
                owner: mailbox.user.clone(),
                may_write: mailbox.may_write,
                href: request.call.hrefs.of(&place),
                book,
            });
        }
    }
    Ok(books)
}

fn sorted(mut books: Vec<Book>) -> Vec<Book> {
    books.sort_by_cached_key(|book| {
        (!book.folder.is_default(), book.folder.display_name.to_lowercase(), book.folder.id.clone())
    });
    books
}

/// The properties that clients set on a book or a home, if the request asks for them.
pub(crate) async fn stored_properties(
    store: &Store,
    mailbox: i64,
    folder: &str,
    requested: &RequestedProperties,
) -> Result<Vec<DavProperty>, Error> {
    if requested.may_include_stored() { store.dav_properties(mailbox, folder).await } else { Ok(Vec::new()) }
}

/// The same for listed books of one mailbox, by the folder's id.
pub(crate) async fn stored_properties_of(
    books: &[ListedBook],
    requested: &RequestedProperties,
) -> Result<HashMap<String, Vec<DavProperty>>, Error> {
    let Some(first) = books.first().filter(|_| requested.may_include_stored()) else { return Ok(HashMap::new()) };
    let folders: Vec<_> = books.iter().map(|listed| listed.book.folder.id.clone()).collect();
    first.store.dav_properties_of(first.owner.mailbox, &folders).await
}

/// `GET` of a home or a book: a line for people, without cards.
pub(crate) async fn get(request: &Request<'_>) -> Result<Answer, Fail> {
    let (what, tag) = if request.call.place.folder().is_some() {
        let CardTarget { book, .. } = CardTarget::find(request).await?;
        let mailbox = request.mailbox.user.mailbox;
        let tag = token::print(request.call.api.unguarded.history(), mailbox, &book, book.moment);
        (format!("The address book {}", book.folder.display_name), tag)
    } else {
        (format!("The address books of {}", request.mailbox.user.display_name), "home".to_owned())
    };
    let text = format!("{what}, for CardDAV clients.\n");
    let answer = Answer { body: Some(text.into_bytes().into()), ..Answer::empty(200)? };
    let answer = answer.header("Content-Type", "text/plain; charset=utf-8")?.header("ETag", &token::quoted(&tag))?;
    Ok(answer.header("DAV", CLASSES)?.header("Cache-Control", "no-cache")?)
}

/// `DELETE` of a book, like Graph's `DELETE` of a folder.
pub(crate) async fn delete(request: &Request<'_>) -> Result<Answer, Fail> {
    if matches!(Depth::read(request.call.head.headers)?, Some(Depth::Zero | Depth::One)) {
        return Err(Fail::bad("The Depth for deleting a collection must be infinity or absent."));
    }
    let CardTarget { book, .. } = CardTarget::find(request).await?;
    let mailbox = request.mailbox;
    // The conditions are checked in the transaction that deletes the book.
    let history = request.call.api.unguarded.history().clone();
    let id = mailbox.user.mailbox;
    let expected = headers::preconditions(request.call.head.headers);
    let conditions = headers::If::read(request, "")?;
    let check = move |book: &Book| {
        let tag = token::print(&history, id, book, book.moment);
        expected.check(&tag)?;
        conditions.with_token(&tag).check(Some(&tag))
    };
    if mailbox.store.delete_book(id, &book.folder.id, Box::new(check)).await? {
        return Ok(Answer::empty(204)?);
    }
    Err(Fail::new(403, "", "The folder contains other folders, which are separate address books. Delete those first."))
}

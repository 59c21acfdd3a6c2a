//! REPORT, and `addressbook-multiget` (RFC 6352, section 8.7).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use futures_util::stream::{self, StreamExt as _};

use super::books::{CardTarget, xml};
use super::data::AddressData;
use super::error::Fail;
use super::expand;
use super::headers::DavPrefer;
use super::href::DavPlace;
use super::multistatus::{Multistatus, RequestedProperties};
use super::propfind::{Lister, answer};
use super::query;
use super::routes::Request;
use super::sync;
use super::xml::{CARDDAV, DAV, XmlElement};
use crate::domain::contact::{DEFAULT_FOLDER, is_default_otherwise};
use crate::domain::error::Error;
use crate::http::answer::{Answer, Body};
use crate::http::blocking::run_blocking;
use crate::store::Book;

/// Number of cards that are read at once.
const BLOCK: usize = 200;
/// Maximum number of addresses that are parsed on the event loop itself.
const MAX_INLINE: usize = 1_000;

/// `REPORT`
pub(crate) async fn report(request: &Request<'_>) -> Result<Answer, Fail> {
    let unknown = || Fail::new(403, "<D:supported-report/>", "This report is not supported.");
    if request.body.iter().all(u8::is_ascii_whitespace) {
        return Err(unknown());
    }
    let body = xml(request).await?;
    let is_book = matches!(request.call.place, DavPlace::Book(..));
    if body.is(DAV, "sync-collection") && is_book {
        return sync::collection(request, &body).await;
    }
    if body.is(CARDDAV, "addressbook-multiget") && !matches!(request.call.place, DavPlace::Principal(_)) {
        return multiget(request, &body).await;
    }
    if body.is(DAV, "expand-property") && matches!(request.call.place, DavPlace::Principal(_) | DavPlace::Home(_)) {
        return expand::expand(request, &body).await;
    }
    if body.is(CARDDAV, "addressbook-query") && !matches!(request.call.place, DavPlace::Principal(_)) {
        return query::query(request, &body).await;
    }
    Err(unknown())
}

/// The meaning of one address in a list.
enum ListedHref {
    /// A card: the number of its book, and its name.
    Card(usize, String),
    /// The address names no card below the request's address.
    Nothing,
}

/// The cards at a list of addresses, each once, in the order of the list.
async fn multiget(request: &Request<'_>, body: &XmlElement) -> Result<Answer, Fail> {
    let data = AddressData::read(body)?;
    let requested = RequestedProperties::read(body)?;
    let prefer = DavPrefer::read(request.call.head.headers);
    let mut hrefs = Vec::new();
    let mut seen = HashSet::new();
    for href in body.children().filter(|child| child.is(DAV, "href")) {
        let href = href.text().trim().to_owned();
        if seen.insert(href.clone()) {
            hrefs.push(href);
        }
    }
    if hrefs.is_empty() {
        return Err(Fail::bad("A multiget must list the addresses of cards in DAV: href elements."));
    }
    let (listers, listed) = resolve_hrefs(request, &hrefs, &requested, prefer.minimal).await?;
    let listers: Rc<[_]> = listers.into_iter().map(|lister| lister.with_data(data.clone())).collect();
    let minimal = prefer.minimal;
    let items: Vec<_> = hrefs.into_iter().zip(listed).collect();
    let begun = Multistatus::new(minimal).out;
    let pieces = stream::try_unfold((items, 0), move |(items, at)| {
        let listers = Rc::clone(&listers);
        async move {
            let Some(block) = items.get(at..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
            let block = &block[..block.len().min(BLOCK)];
            let piece = write_block(&listers, block, minimal).await?;
            let next = at + block.len();
            Ok::<_, Error>(Some((piece.into_bytes(), (items, next))))
        }
    });
    let end = stream::once(async { Ok(Multistatus::piece(false).end(None).into_bytes()) });
    let pieces = stream::once(async move { Ok(begun.into_bytes()) }).chain(pieces).chain(end);
    answer(Body::Stream(pieces.boxed_local()), prefer)
}

/// The meaning of each address, and a lister for each book that is named.
async fn resolve_hrefs(
    request: &Request<'_>,
    hrefs: &[String],
    requested: &RequestedProperties,
    minimal: bool,
) -> Result<(Vec<Lister>, Vec<ListedHref>), Fail> {
    let own = &request.call.place;
    let mailbox = request.mailbox;
    let places = places(request, hrefs).await?;
    // All books are read at once, because the addresses may name thousands of folders that do not exist.
    let books = if own.folder().is_some() {
        vec![CardTarget::find(request).await?.book]
    } else {
        mailbox.store.books(mailbox.user.mailbox).await?
    };
    let books: HashMap<&str, &Book> = books.iter().map(|book| (book.folder.id.as_str(), book)).collect();
    let (mut listers, mut numbers) = (Vec::new(), HashMap::new());
    let mut listed = Vec::with_capacity(hrefs.len());
    for place in &places {
        let found = place.as_ref().and_then(|place| {
            let is_owners = place.user().is_some_and(|user| {
                mailbox.user.is_called(user) || own.shared().is_some() && request.user.is_called(user)
            });
            let is_shared = match (place.shared(), own.shared()) {
                (Some(owner), Some(_)) => mailbox.user.is_called(owner),
                (None, None) => true,
                _ => false,
            };
            let is_card = own.name().is_none_or(|own| place.name() == Some(own));
            let folder = place.folder()?;
            let folder = if is_default_otherwise(folder) { DEFAULT_FOLDER } else { folder };
            Some((*books.get(folder)?, place.name()?)).filter(|_| is_owners && is_shared && is_card)
        });
        let Some((book, name)) = found else {
            listed.push(ListedHref::Nothing);
            continue;
        };
        let book_index = *numbers.entry(book.folder.id.as_str()).or_insert_with(|| {
            listers.push(Lister::new(request, book, requested.clone(), minimal));
            listers.len() - 1
        });
        listed.push(ListedHref::Card(book_index, name.to_owned()));
    }
    Ok((listers, listed))
}

/// The places that addresses name.
async fn places(request: &Request<'_>, hrefs: &[String]) -> Result<Vec<Option<DavPlace>>, Error> {
    let reader = request.call.hrefs.clone();
    if hrefs.len() <= MAX_INLINE {
        return Ok(hrefs.iter().map(|href| reader.read(href)).collect());
    }
    let hrefs = hrefs.to_vec();
    run_blocking(move || hrefs.iter().map(|href| reader.read(href)).collect()).await
}

/// The responses of a block of addresses.
async fn write_block(listers: &[Lister], block: &[(String, ListedHref)], minimal: bool) -> Result<String, Error> {
    let mut found = HashMap::new();
    let mut names_by_book: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (_, listed) in block {
        if let ListedHref::Card(at, name) = listed {
            names_by_book.entry(*at).or_default().push(name.clone());
        }
    }
    for (number, names) in names_by_book {
        let Some(lister) = listers.get(number) else { continue };
        for member in lister.store().members_named(lister.mailbox(), &lister.book().folder.id, &names).await? {
            found.insert((number, member.name.clone()), member);
        }
    }
    let mut piece = Multistatus::piece(minimal);
    // Consecutive cards of one book are read together.
    let mut consecutive: (usize, Vec<_>) = (0, Vec::new());
    for (href, listed) in block {
        let member = match listed {
            ListedHref::Card(at, name) => found.remove(&(*at, name.clone())).map(|member| (*at, member)),
            ListedHref::Nothing => None,
        };
        match member {
            Some((at, member)) if at == consecutive.0 || consecutive.1.is_empty() => {
                consecutive.0 = at;
                consecutive.1.push(member);
            }
            other => {
                if let Some(lister) = listers.get(consecutive.0).filter(|_| !consecutive.1.is_empty()) {
                    piece.out.push_str(&lister.write(&consecutive.1).await?);
                }
                consecutive.1.clear();
                match other {
                    Some((at, member)) => consecutive = (at, vec![member]),
                    None => piece.status(href, 404, "Not Found", ""),
                }
            }
        }
    }
    if let Some(lister) = listers.get(consecutive.0).filter(|_| !consecutive.1.is_empty()) {
        piece.out.push_str(&lister.write(&consecutive.1).await?);
    }
    Ok(piece.out)
}

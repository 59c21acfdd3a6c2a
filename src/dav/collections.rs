//! PROPPATCH (RFC 4918, section 9.2) and MKCOL, plain and extended (RFC 5689).

use super::books::{CardTarget, xml};
use super::error::Fail;
use super::headers::{DavPrefer, If};
use super::multistatus::Multistatus;
use super::properties::is_protected;
use super::propfind::{CLASSES, multistatus};
use super::routes::{Request, allowed};
use super::token;
use super::xml::write::{DECLARATION, SPACES, empty, standalone};
use super::xml::{CARDDAV, DAV, XmlElement, XmlName};
use crate::domain::contact::MAX_FOLDER_ID;
use crate::domain::error::Error;
use crate::domain::plain;
use crate::http::answer::Answer;
use crate::store::{Book, DavChanges, MAX_DAV_VALUE};

/// The outcome for one property.
type PropertyResult = Result<(), (u16, &'static str, &'static str)>;

const PROTECTED: PropertyResult = Err((403, "Forbidden", "<D:error><D:cannot-modify-protected-property/></D:error>"));
const BAD_VALUE: PropertyResult = Err((409, "Conflict", ""));
const FULL: PropertyResult = Err((507, "Insufficient Storage", ""));
const DEPENDENT: (u16, &str) = (424, "Failed Dependency");

/// The resource whose properties are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PropertyTarget {
    Home,
    Book { is_default: bool },
    Card,
}

/// The requested changes, in their order, and the outcome of each.
#[derive(Default)]
struct PropertyChanges {
    outcomes: Vec<(XmlName, PropertyResult)>,
    changes: DavChanges,
}

impl PropertyChanges {
    /// Reads the `set` and `remove` elements of a body.
    fn read(body: &XmlElement, target: PropertyTarget) -> Self {
        let mut read = Self::default();
        for update in body.children().filter(|child| &*child.name.space == DAV) {
            let sets = match update.name.local.as_str() {
                "set" => true,
                "remove" => false,
                _ => continue,
            };
            for property in update.children().filter(|child| child.is(DAV, "prop")).flat_map(XmlElement::children) {
                let outcome = read.property(property, sets, target);
                read.outcomes.push((property.name.clone(), outcome));
            }
        }
        read
    }

    fn property(&mut self, property: &XmlElement, sets: bool, target: PropertyTarget) -> PropertyResult {
        let name = &property.name;
        let stored = |value: Option<String>| (name.space.to_string(), name.local.clone(), value);
        match target {
            PropertyTarget::Card => return PROTECTED,
            PropertyTarget::Book { is_default } if name.is(DAV, "displayname") => {
                let text = property.text().trim().to_owned();
                if !sets || is_default {
                    return PROTECTED;
                }
                if text.is_empty() || text.chars().count() > MAX_FOLDER_ID || !plain::is_plain(&text) {
                    return BAD_VALUE;
                }
                self.changes.display_name = Some(text);
                return Ok(());
            }
            PropertyTarget::Book { .. } if name.is(CARDDAV, "addressbook-description") => {
                let text = property.text();
                if text.len() > MAX_DAV_VALUE {
                    return FULL;
                }
                self.changes.properties.push(stored(sets.then_some(text)));
                return Ok(());
            }
            _ => {}
        }
        if is_protected(name) {
            return PROTECTED;
        }
        let value = sets.then(|| standalone(property));
        if value.as_ref().is_some_and(|value| value.len() > MAX_DAV_VALUE) {
            return FULL;
        }
        self.changes.properties.push(stored(value));
        Ok(())
    }

    fn fails(&self) -> bool {
        self.outcomes.iter().any(|(_, outcome)| outcome.is_err())
    }

    /// The outcome of each property, as `propstat` elements.
    fn propstats(&self, document: &mut Multistatus) {
        let fails = self.fails();
        for (name, outcome) in &self.outcomes {
            let mut element = String::new();
            empty(&mut element, name);
            match outcome {
                Ok(()) if fails => document.propstat(&element, DEPENDENT.0, DEPENDENT.1, ""),
                Ok(()) => document.propstat(&element, 200, "OK", ""),
                Err((status, reason, error)) => document.propstat(&element, *status, reason, error),
            }
        }
    }
}

/// `PROPPATCH`: all or nothing.
pub(crate) async fn proppatch(request: &Request<'_>) -> Result<Answer, Fail> {
    let body = xml(request).await?;
    if !body.is(DAV, "propertyupdate") {
        return Err(Fail::bad("The body of a PROPPATCH must be a DAV: propertyupdate."));
    }
    let (mailbox, call) = (request.mailbox, request.call);
    let (history, id) = (call.api.unguarded.history().clone(), mailbox.user.mailbox);
    let (target, folder, tag) = if call.place.folder().is_some() {
        let CardTarget { book, name, .. } = CardTarget::find(request).await?;
        let tag = token::print(&history, id, &book, book.moment);
        if name.is_empty() {
            (PropertyTarget::Book { is_default: book.folder.is_default() }, book.folder.id, tag)
        } else {
            mailbox.store.member(mailbox.user.mailbox, &book.folder.id, &name).await?;
            (PropertyTarget::Card, book.folder.id, tag)
        }
    } else {
        (PropertyTarget::Home, String::new(), String::new())
    };
    let conditions = If::read(request, &tag)?;
    conditions.check(Some(&tag))?;
    let mut changes = PropertyChanges::read(&body, target);
    if changes.outcomes.is_empty() {
        return Err(Fail::bad("The propertyupdate names no property."));
    }
    if !changes.fails() {
        let requested = changes.changes.clone();
        // A book may have changed since it was read, so the conditions are checked again in the transaction.
        let check = move |book: &Book| {
            let tag = token::print(&history, id, book, book.moment);
            conditions.with_token(&tag).check(Some(&tag))
        };
        let check = (!folder.is_empty()).then(|| Box::new(check) as _);
        let outcome = match mailbox.store.change_dav_properties(id, &folder, requested, check).await {
            Ok(()) => Ok(()),
            Err(Error::Quota(_)) => FULL,
            Err(Error::FolderExists) => BAD_VALUE,
            Err(Error::DefaultFolder) => PROTECTED,
            Err(error) => return Err(error.into()),
        };
        if let Err(fault) = outcome {
            // A bad name fails alone; a full store fails all properties.
            let is_name = |name: &XmlName| fault.0 == 507 || name.is(DAV, "displayname");
            for (_, outcome) in changes.outcomes.iter_mut().filter(|(name, _)| is_name(name)) {
                *outcome = Err(fault);
            }
        }
    }
    let prefer = DavPrefer { no_root: false, ..DavPrefer::read(call.head.headers) };
    if prefer.minimal && !changes.fails() {
        return Ok(Answer::empty(204)?.header("Preference-Applied", "return=minimal")?.header("DAV", CLASSES)?);
    }
    let mut document = Multistatus::new(false);
    document.open(&call.hrefs.of(&call.place));
    changes.propstats(&mut document);
    document.out.push_str("</D:response>\n");
    multistatus(document.end(None), DavPrefer { minimal: false, ..prefer })
}

/// `MKCOL`: a new folder, whose id is the last segment of the path.
pub(crate) async fn mkcol(request: &Request<'_>) -> Result<Answer, Fail> {
    let (mailbox, place) = (request.mailbox, &request.call.place);
    let wrong_location =
        || Fail::new(403, "<C:addressbook-collection-location-ok/>", "Address books can only be created in a home.");
    let id = place.folder().unwrap_or_default();
    if place.shared().is_some() {
        return Err(wrong_location());
    }
    if place.name().is_some() {
        let parent = mailbox.store.book(mailbox.user.mailbox, id).await;
        return Err(match parent {
            Ok(_) => wrong_location(),
            Err(Error::NotFound) => Fail::new(409, "", "There is no such address book."),
            Err(error) => error.into(),
        });
    }
    if id.starts_with('=')
        || id.contains('/')
        || id.chars().count() > MAX_FOLDER_ID
        || !plain::is_plain(id)
        || matches!(id, "." | "..")
    {
        return Err(Fail::new(
            403,
            "",
            "An address book cannot have this name: at most 255 characters, no /, and no = at the beginning.",
        ));
    }
    If::read(request, "")?.check(None)?;
    let mut changes = PropertyChanges::default();
    if !request.body.iter().all(u8::is_ascii_whitespace) {
        let body = xml(request).await?;
        if !body.is(DAV, "mkcol") {
            let message = "The body of an extended MKCOL must be a DAV: mkcol.";
            return Err(Error::UnsupportedMediaType(message.to_owned()).into());
        }
        let sets = body.children().filter(|child| child.is(DAV, "set")).flat_map(XmlElement::children);
        let mut types = sets.flat_map(XmlElement::children).filter(|property| property.is(DAV, "resourcetype"));
        if types.any(|kind| kind.child(CARDDAV, "addressbook").is_none() || kind.child(DAV, "collection").is_none()) {
            return Err(Fail::new(403, "<D:valid-resourcetype/>", "Only address books can be created here."));
        }
        changes = PropertyChanges::read(&body, PropertyTarget::Book { is_default: false });
        for (name, outcome) in &mut changes.outcomes {
            if name.is(DAV, "resourcetype") {
                *outcome = Ok(());
            }
        }
    }
    if changes.fails() {
        let mut inside = Multistatus::piece(false);
        changes.propstats(&mut inside);
        let xml = format!("{DECLARATION}<D:mkcol-response{SPACES}>{}</D:mkcol-response>\n", inside.out);
        let answer = Answer { body: Some(xml.into_bytes().into()), ..Answer::empty(424)? };
        return Ok(answer);
    }
    match mailbox.store.make_book(mailbox.user.mailbox, id, changes.changes).await {
        Ok(()) => Ok(Answer::empty(201)?.header("Location", &request.call.hrefs.of(place))?.header("DAV", CLASSES)?),
        Err(Error::FolderExists) => match mailbox.store.book(mailbox.user.mailbox, id).await {
            Ok(_) => {
                Err(Error::MethodNotAllowed(allowed(place).into_iter().filter(|method| *method != "MKCOL").collect())
                    .into())
            }
            Err(_) => Err(Fail::new(409, "", "Another address book has this name.")),
        },
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml::CALENDAR_SERVER;
    use super::*;

    #[test]
    fn properties_of_the_server_are_protected() {
        for (space, local, expected) in [
            (DAV, "getetag", true),
            (DAV, "anything", true),
            (CARDDAV, "supported-address-data", true),
            (CALENDAR_SERVER, "getctag", true),
            (CALENDAR_SERVER, "me-card", false),
            ("http://inf-it.com/ns/ab/", "addressbook-color", false),
            ("", "x", false),
        ] {
            assert_eq!(
                is_protected(&XmlName { space: space.into(), local: local.to_owned() }),
                expected,
                "{space}{local}"
            );
        }
    }
}

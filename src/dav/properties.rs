//! The properties of principals, homes, address books and cards (RFC 4918, 3744, 6352, 6578), as the XML inside their
//! elements.

use std::fmt::Write as _;

use chrono::DateTime;

use super::href::{DavPlace, Hrefs};
use super::token;
use super::xml::write::{empty, text};
use super::xml::{CALENDAR_SERVER, CARDDAV, DAV, XmlName};
use crate::domain::user::User;
use crate::store::{Book, DavProperty, History, ListedCard};

/// Maximum size of a card in bytes: a photo of 4 MiB in base64, and the notes.
pub(crate) const MAX_CARD: usize = 8 << 20;
/// Maximum size of a photo in bytes.
const MAX_PHOTO: usize = 4 << 20;

/// A resource with properties.
pub(crate) enum PropertyOwner<'a> {
    /// `/`, `/dav/` and `/dav/principals/`.
    Start,
    /// A user.
    Principal,
    /// A user's home, with the properties that clients set on it.
    Home(&'a [DavProperty]),
    /// An address book, with the same.
    Book(&'a Book, &'a [DavProperty]),
    /// A card, and its text if the request asks for it.
    Card(&'a ListedCard, Option<&'a str>),
}

/// The context of property values, besides the resource.
pub(crate) struct PropertyContext<'a> {
    pub(crate) hrefs: &'a Hrefs,
    /// The caller.
    pub(crate) caller: &'a User,
    /// The owner of the home or book.
    pub(crate) owner: &'a User,
    /// The mailbox of the resource.
    pub(crate) mailbox: i64,
    /// Whether the caller may write there.
    pub(crate) may_write: bool,
    pub(crate) history: &'a History,
}

const ON_START: u8 = 1;
const ON_PRINCIPAL: u8 = 2;
const ON_HOME: u8 = 4;
const ON_BOOK: u8 = 8;
const ON_CARD: u8 = 16;
const EVERYWHERE: u8 = 31;

/// A live property: namespace, name, the resources that have it, and whether `allprop` includes it.
type LiveProperty = (&'static str, &'static str, u8, bool);

#[rustfmt::skip]
const LIVE: &[LiveProperty] = &[
    (DAV, "resourcetype", EVERYWHERE, true),
    (DAV, "displayname", ON_PRINCIPAL | ON_HOME | ON_BOOK | ON_CARD, true),
    (DAV, "getetag", ON_BOOK | ON_CARD, true),
    (DAV, "getcontenttype", ON_CARD, true),
    (DAV, "getlastmodified", ON_BOOK | ON_CARD, true),
    (DAV, "creationdate", ON_BOOK | ON_CARD, true),
    (DAV, "getcontentlength", ON_CARD, false),
    (DAV, "current-user-principal", EVERYWHERE, false),
    (DAV, "principal-URL", EVERYWHERE, false),
    (DAV, "owner", EVERYWHERE, false),
    (DAV, "principal-collection-set", EVERYWHERE, false),
    (DAV, "current-user-privilege-set", EVERYWHERE, false),
    (DAV, "supported-privilege-set", EVERYWHERE, false),
    (DAV, "acl", ON_HOME | ON_BOOK | ON_CARD, false),
    (DAV, "supported-report-set", ON_PRINCIPAL | ON_HOME | ON_BOOK | ON_CARD, false),
    (DAV, "sync-token", ON_BOOK, false),
    (DAV, "resource-id", ON_CARD, false),
    (DAV, "supportedlock", EVERYWHERE, false),
    (DAV, "lockdiscovery", EVERYWHERE, false),
    (CARDDAV, "addressbook-home-set", ON_START | ON_PRINCIPAL | ON_HOME, false),
    (CARDDAV, "supported-address-data", ON_BOOK, false),
    (CARDDAV, "max-resource-size", ON_HOME | ON_BOOK, false),
    (CARDDAV, "max-image-size", ON_HOME | ON_BOOK, false),
    (CARDDAV, "supported-collation-set", ON_BOOK, false),
    (CARDDAV, "addressbook-description", ON_BOOK, false),
    (CALENDAR_SERVER, "getctag", ON_BOOK, false),
];

/// Whether only the server sets the property.
pub(crate) fn is_protected(name: &XmlName) -> bool {
    let is_live = LIVE.iter().any(|(space, local, ..)| name.is(space, local));
    is_live || matches!(&*name.space, DAV | CARDDAV)
}

impl PropertyOwner<'_> {
    fn kind_bit(&self) -> u8 {
        match self {
            Self::Start => ON_START,
            Self::Principal => ON_PRINCIPAL,
            Self::Home(_) => ON_HOME,
            Self::Book(..) => ON_BOOK,
            Self::Card(..) => ON_CARD,
        }
    }

    fn stored(&self) -> &[DavProperty] {
        match self {
            Self::Home(kept) | Self::Book(_, kept) => kept,
            _ => &[],
        }
    }

    /// The names of all properties, or of those that `allprop` includes.
    pub(crate) fn names(&self, all: bool) -> Vec<XmlName> {
        let live = LIVE.iter().filter(|(_, _, on, in_all)| on & self.kind_bit() != 0 && (all || *in_all));
        let live = live.map(|(space, local, ..)| XmlName { space: (*space).into(), local: (*local).to_owned() });
        let kept = self.stored().iter().filter(|kept| kept.namespace != CARDDAV);
        let kept = kept.map(|kept| XmlName { space: kept.namespace.as_str().into(), local: kept.name.clone() });
        live.chain(kept).collect()
    }

    /// The value of a property; `None` if the resource does not have it.
    pub(crate) fn value(&self, name: &XmlName, context: &PropertyContext<'_>) -> Option<PropertyValue> {
        let live = LIVE.iter().find(|(space, local, on, _)| on & self.kind_bit() != 0 && name.is(space, local));
        let Some((space, local, ..)) = live else {
            let kept = self.stored().iter().find(|kept| kept.name == name.local && kept.namespace == *name.space);
            return kept.map(|kept| PropertyValue::Whole(kept.value.clone()));
        };
        let value = match *space {
            DAV => self.webdav_value(local, context),
            CARDDAV => self.carddav_value(local, context),
            _ => self.ctag(context),
        };
        value.map(PropertyValue::Content)
    }

    fn webdav_value(&self, local: &str, context: &PropertyContext<'_>) -> Option<String> {
        let principal = |user: &User| href(&context.hrefs.of(&DavPlace::Principal(user.id.clone())));
        Some(match local {
            "resourcetype" => match self {
                Self::Start | Self::Home(_) => "<D:collection/>",
                Self::Principal => "<D:collection/><D:principal/>",
                Self::Book(..) => "<D:collection/><C:addressbook/>",
                Self::Card(..) => "",
            }
            .to_owned(),
            "displayname" => escaped(match self {
                Self::Book(book, _) if context.owner.mailbox != context.caller.mailbox => {
                    return Some(escaped(&format!("{} ({})", book.folder.display_name, context.owner.display_name)));
                }
                Self::Book(book, _) => &book.folder.display_name,
                Self::Card(member, _) => member.display_name.as_deref().unwrap_or(&member.name),
                _ => &context.owner.display_name,
            }),
            "getetag" => match self {
                Self::Card(member, _) => escaped(&token::quoted(&token::tag(member))),
                _ => token::quoted(&self.ctag(context)?),
            },
            "getcontenttype" => "text/vcard; charset=utf-8".to_owned(),
            "getcontentlength" => match self {
                Self::Card(_, Some(text)) => text.len().to_string(),
                _ => return None,
            },
            "getlastmodified" => date(self.times()?.1, "%a, %d %b %Y %H:%M:%S GMT")?,
            "creationdate" => date(self.times()?.0, "%Y-%m-%dT%H:%M:%SZ")?,
            "current-user-principal" => principal(context.caller),
            "principal-URL" | "owner" => principal(context.owner),
            "principal-collection-set" => href(&context.hrefs.of(&DavPlace::Principals)),
            "current-user-privilege-set" => {
                privileges(context.may_write && !matches!(self, Self::Start | Self::Principal))
            }
            "supported-privilege-set" => SUPPORTED_PRIVILEGES.to_owned(),
            "acl" => {
                let granted = privileges(context.may_write);
                let who = principal(context.owner);
                format!("<D:ace><D:principal>{who}</D:principal><D:grant>{granted}</D:grant><D:protected/></D:ace>")
            }
            "supported-report-set" => reports(match self {
                Self::Book(..) => &["D:sync-collection", "C:addressbook-multiget", "C:addressbook-query"],
                Self::Home(_) => &["C:addressbook-multiget", "C:addressbook-query", "D:expand-property"],
                Self::Card(..) => &["C:addressbook-multiget", "C:addressbook-query"],
                _ => &["D:expand-property"],
            }),
            "sync-token" => self.ctag(context)?,
            "resource-id" => match self {
                Self::Card(member, _) => href(&format!("urn:uuid:{}", member.id)),
                _ => return None,
            },
            // There are no locks.
            "supportedlock" | "lockdiscovery" => String::new(),
            _ => return None,
        })
    }

    fn carddav_value(&self, local: &str, context: &PropertyContext<'_>) -> Option<String> {
        Some(match local {
            "addressbook-home-set" => {
                let user = if matches!(self, Self::Start) { context.caller } else { context.owner };
                href(&context.hrefs.of(&DavPlace::Home(user.id.clone())))
            }
            "supported-address-data" => SUPPORTED_DATA.to_owned(),
            "max-resource-size" => MAX_CARD.to_string(),
            "max-image-size" => MAX_PHOTO.to_string(),
            "supported-collation-set" => COLLATIONS.to_owned(),
            "addressbook-description" => {
                let Self::Book(book, kept) = self else { return None };
                match kept.iter().find(|kept| kept.namespace == CARDDAV && kept.name == local) {
                    Some(kept) => escaped(&kept.value),
                    None if book.path.is_empty() => return None,
                    // Clients show all books in one list, so a nested book has its path in the name.
                    None => escaped(
                        &[book.path.as_slice(), std::slice::from_ref(&book.folder.display_name)].concat().join(" / "),
                    ),
                }
            }
            _ => return None,
        })
    }

    fn ctag(&self, context: &PropertyContext<'_>) -> Option<String> {
        let Self::Book(book, _) = self else { return None };
        Some(token::print(context.history, context.mailbox, book, book.moment))
    }

    /// The times of creation and last change, in UTC microseconds.
    fn times(&self) -> Option<(i64, i64)> {
        match self {
            Self::Book(book, _) => {
                let changed = book.folder.last_modified_date_time.max(book.moment.entry.1);
                Some((book.folder.created_date_time, changed))
            }
            Self::Card(member, _) => Some((member.created_date_time, member.last_modified_date_time)),
            _ => None,
        }
    }
}

/// The value of a property.
pub(crate) enum PropertyValue {
    /// The content of its element.
    Content(String),
    /// The whole element, as a client sent it.
    Whole(String),
}

/// An element for an address.
pub(crate) fn href(path: &str) -> String {
    format!("<D:href>{}</D:href>", escaped(path))
}

/// Text as XML.
pub(crate) fn escaped(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    text(&mut out, content);
    out
}

fn date(micros: i64, format: &str) -> Option<String> {
    let mut out = String::new();
    write!(out, "{}", DateTime::from_timestamp_micros(micros)?.format(format)).ok()?;
    Some(out)
}

fn reports(names: &[&str]) -> String {
    let mut out = String::new();
    for name in names {
        let _ = write!(out, "<D:supported-report><D:report><{name}/></D:report></D:supported-report>");
    }
    out
}

/// The privileges of the caller, by rights and token.
fn privileges(may_write: bool) -> String {
    let mut out = String::new();
    let writes = ["write", "write-content", "write-properties", "bind", "unbind"];
    let names = ["read", "read-current-user-privilege-set"].into_iter().chain(writes.into_iter().filter(|_| may_write));
    for name in names {
        out.push_str("<D:privilege>");
        empty(&mut out, &XmlName { space: DAV.into(), local: name.to_owned() });
        out.push_str("</D:privilege>");
    }
    out
}

const SUPPORTED_PRIVILEGES: &str = "<D:supported-privilege><D:privilege><D:all/></D:privilege>\
<D:description>Everything</D:description>\
<D:supported-privilege><D:privilege><D:read/></D:privilege><D:description>Read</D:description></D:supported-privilege>\
<D:supported-privilege><D:privilege><D:write/></D:privilege><D:description>Write</D:description></D:supported-privilege>\
</D:supported-privilege>";

const SUPPORTED_DATA: &str = "<C:address-data-type content-type=\"text/vcard\" version=\"3.0\"/>\
<C:address-data-type content-type=\"text/vcard\" version=\"4.0\"/>";

const COLLATIONS: &str = "<C:supported-collation>i;ascii-casemap</C:supported-collation>\
<C:supported-collation>i;octet</C:supported-collation><C:supported-collation>i;unicode-casemap</C:supported-collation>";

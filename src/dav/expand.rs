//! `expand-property` (RFC 3253, section 3.8), which RFC 6352 requires, on principals and homes: for the addresses in a
//! property's value, the answer has properties of the resources that they name.

use super::error::Fail;
use super::headers::DavPrefer;
use super::href::DavPlace;
use super::multistatus::Multistatus;
use super::properties::{PropertyContext, PropertyOwner, PropertyValue};
use super::propfind::{multistatus, property_context};
use super::routes::Request;
use super::xml::write::{element, empty};
use super::xml::{CARDDAV, DAV, XmlElement, XmlName};
use crate::domain::user::User;
use crate::http::answer::Answer;

/// Maximum depth to which addresses are followed.
const MAX_LEVELS: usize = 2;

/// `expand-property`
pub(crate) async fn expand(request: &Request<'_>, body: &XmlElement) -> Result<Answer, Fail> {
    let owner = &request.mailbox.user;
    let property_context = property_context(request, owner.mailbox, request.user, owner, request.mailbox.may_write);
    let is_home = matches!(request.call.place, DavPlace::Home(_));
    let node = ExpandedResource { owner, is_home };
    let mut document = Multistatus::new(false);
    document.out.push_str(&node.response(body, &property_context, 0));
    let prefer = DavPrefer::default();
    std::future::ready(multistatus(document.end(None), prefer)).await
}

/// A principal, or a home.
struct ExpandedResource<'a> {
    owner: &'a User,
    is_home: bool,
}

impl ExpandedResource<'_> {
    /// The response for it, with the properties that nested `property` elements ask for.
    fn response(&self, requested: &XmlElement, property_context: &PropertyContext<'_>, level: usize) -> String {
        let id = self.owner.id.clone();
        let place = if self.is_home { DavPlace::Home(id) } else { DavPlace::Principal(id) };
        let subject = if self.is_home { PropertyOwner::Home(&[]) } else { PropertyOwner::Principal };
        let (mut found, mut missing) = (String::new(), String::new());
        for property in requested.children().filter(|child| child.is(DAV, "property")) {
            let Some(local) = property.attribute("name") else { continue };
            let space = property.attribute("namespace").unwrap_or(DAV);
            let name = XmlName { space: space.into(), local: local.to_owned() };
            let inside = property.children().any(|child| child.is(DAV, "property"));
            let target = self.target(&name, property_context).filter(|_| inside && level < MAX_LEVELS);
            match (target, subject.value(&name, property_context)) {
                (Some(target), _) => {
                    element(&mut found, &name, &target.response(property, property_context, level + 1));
                }
                (None, Some(PropertyValue::Content(content))) => element(&mut found, &name, &content),
                (None, Some(PropertyValue::Whole(whole))) => found.push_str(&whole),
                (None, None) => empty(&mut missing, &name),
            }
        }
        let mut piece = Multistatus::piece(false);
        piece.open(&property_context.hrefs.of(&place));
        if !found.is_empty() || missing.is_empty() {
            piece.propstat(&found, 200, "OK", "");
        }
        if !missing.is_empty() {
            piece.propstat(&missing, 404, "Not Found", "");
        }
        piece.out.push_str("</D:response>\n");
        piece.out
    }

    /// The resource that the address in a property names.
    fn target<'a>(&'a self, name: &XmlName, property_context: &'a PropertyContext<'_>) -> Option<ExpandedResource<'a>> {
        if name.is(CARDDAV, "addressbook-home-set") {
            return Some(ExpandedResource { owner: self.owner, is_home: true });
        }
        if name.is(DAV, "current-user-principal") {
            return Some(ExpandedResource { owner: property_context.caller, is_home: false });
        }
        let is_owner = name.is(DAV, "owner") || name.is(DAV, "principal-URL");
        is_owner.then_some(ExpandedResource { owner: self.owner, is_home: false })
    }
}

//! The card of a contact: the stored one, updated from the contact, or one in our form (docs/carddav.md).

use std::borrow::Cow;

use crate::domain::contact::Text;
use crate::vcard::card::CardText;
use crate::vcard::convert::convert;
use crate::vcard::merge::merge;
use crate::vcard::write::{CardContent, write};
use crate::vcard::{Audience, Version};

/// A stored card.
#[derive(Debug, Clone, Copy)]
pub struct KeptCard<'a> {
    /// Its text, with the photo.
    pub text: &'a str,
    /// Whether the contact has not changed since the text was stored.
    pub contact_current: bool,
    /// Whether the photo has not changed since.
    pub photo_current: bool,
}

/// The card of a contact in a version: by default that of the stored card, else 3.0. If nothing has changed since it
/// was stored, the result equals the stored card. The same input always gives the same card. The work is bounded by the
/// number of lines times the entries of one collection, at most 100.
pub fn render(
    shown: &CardContent<'_>,
    kept: Option<KeptCard<'_>>,
    asked: Option<Version>,
    audience: Audience,
) -> String {
    let Some(kept) = kept else { return write(shown, asked.unwrap_or(Version::V3), audience) };
    let says_more = audience == Audience::Export && has_file_properties(shown);
    let text = if kept.contact_current && kept.photo_current && !says_more {
        Cow::Borrowed(kept.text)
    } else {
        Cow::Owned(merge(&CardText::parse(kept.text), shown, kept.photo_current, audience))
    };
    match asked {
        Some(version) => convert(&text, version),
        None => text.into_owned(),
    }
}

/// Whether a contact has properties that only files show.
fn has_file_properties(shown: &CardContent<'_>) -> bool {
    let properties = shown.properties;
    let text = |text| properties.text(text).is_some_and(|text| !text.is_empty());
    [Text::Initials, Text::OfficeLocation, Text::FileAs, Text::Gender].into_iter().any(text)
        || properties.is_favorite.is_some()
        || properties.flag.is_some()
        || properties.emails.iter().any(|email| email.name != email.address)
}

/// The card without `X-CONTACTD-ASIDE`, in which this program keeps aside data of other formats.
pub fn without_aside(text: &str) -> Cow<'_, str> {
    if !text.contains("X-CONTACTD-ASIDE") {
        return Cow::Borrowed(text);
    }
    let card = CardText::parse(text);
    let lines = card.lines();
    let kept = card.pieces.iter().zip(&lines).filter(|(_, line)| !line.is("X-CONTACTD-ASIDE"));
    Cow::Owned(kept.map(|(piece, _)| piece.raw).collect())
}

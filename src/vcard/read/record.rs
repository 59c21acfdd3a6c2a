//! A card of a file as a record: the contact, the outcome of each property, and the card to store.

use memchr::memchr_iter;

use crate::domain::contact::Text;
use crate::domain::contact::patch::{ContactPatch, derived_name};
use crate::vcard::charset::Fallback;
use crate::vcard::line::Line;
use crate::vcard::read::{CardOrigin, FromLine, Projection};
use crate::vcard::record::{
    Fate, GroupRecord, PropertyOutcome, Record, RecordContent, RecordPhoto, Refusal, SAYS_NOTHING,
};
use crate::vcard::split::{End, RawCard};
use crate::vcard::write::{FOLD, fold};
use crate::vcard::{Version, file, text};

/// Maximum number of bytes that are kept aside for one card.
pub const MAX_ASIDE: usize = 1 << 20;

/// Reads a card of a file, of any version. `fallback` is the code page of values that name none and are not UTF-8
/// ([`file::survey`]).
///
/// The card in the record is in 3.0 (also for 2.1) or 4.0. Google's `myContacts`, `starred` and `* ` are not among its
/// categories, because clients would show them as categories.
pub fn read(card: &RawCard, fallback: &Fallback) -> RecordContent {
    let refused = |reason| RecordContent::Refused(Refusal { reason, detail: None });
    match card.end {
        End::Unterminated => return refused("unterminated"),
        End::TooLarge => return refused("too large"),
        End::Whole | End::NoEnd => {}
    }
    let unfolded = file::unfold(&card.bytes, fallback);
    let mut lines = Vec::with_capacity(memchr_iter(b'\n', unfolded.text.as_bytes()).count());
    lines.extend(unfolded.text.lines().filter_map(Line::parse));
    let mut projection = Projection::of(&lines, CardOrigin::File);
    let text = stored_text(&lines, unfolded.version, &mut projection);
    let mut outcomes = outcomes(&lines, &projection);
    if card.end == End::NoEnd {
        outcomes.push(PropertyOutcome { name: "no END".to_owned(), fate: Fate::Ignored("no END") });
    }
    if projection.is_group {
        let name = projection.texts[Text::DisplayName as usize].take().map(|from| from.value).unwrap_or_default();
        let Projection { members, uid, .. } = projection;
        let uid = uid.map(|from| from.value);
        return RecordContent::Group(Box::new(GroupRecord { name, members, uid, card: Some(text), outcomes }));
    }
    if is_empty(&projection) {
        return refused("empty");
    }
    let photo = projection.photo.take().map(|from| RecordPhoto { bytes: from.value });
    let uid = projection.uid.take().map(|from| from.value);
    let junk_lines = unfolded.junk;
    let patch = projection.into_patch();
    RecordContent::Contact(Box::new(Record { patch, photo, uid, alias: None, outcomes, card: Some(text), junk_lines }))
}

fn outcomes(lines: &[Line<'_>], projection: &Projection) -> Vec<PropertyOutcome> {
    let mut outcomes = Vec::with_capacity(lines.len() + 2);
    for (line, fate) in lines.iter().zip(&projection.fates) {
        let fate = fate.unwrap_or(Fate::Ignored(SAYS_NOTHING));
        outcomes.push(PropertyOutcome { name: line.name.to_ascii_uppercase(), fate });
    }
    if projection.my_contacts {
        let fate = Fate::Ignored("Google's own group of all contacts");
        outcomes.push(PropertyOutcome { name: "myContacts".to_owned(), fate });
    }
    outcomes
}

/// The card to store: every line except lost ones, folded again. Lines above [`MAX_ASIDE`] are lost.
fn stored_text(lines: &[Line<'_>], version: Version, projection: &mut Projection) -> String {
    let mut text = String::with_capacity(lines.iter().map(|line| line.value.len() + line.head.len() + 24).sum());
    text.push_str("BEGIN:VCARD\r\nVERSION:");
    text.push_str(version.name());
    text.push_str("\r\n");
    let mut aside = 0;
    for (i, line) in lines.iter().enumerate() {
        let length = line.value.len() + line.head.len();
        match projection.fates[i] {
            Some(Fate::Lost(_)) => continue,
            Some(Fate::Aside(_)) if aside + length > MAX_ASIDE => {
                projection.fates[i] = Some(Fate::Lost("too much"));
                continue;
            }
            Some(Fate::Aside(_)) => aside += length,
            _ => {}
        }
        let start = text.len();
        if let Some(group) = line.group {
            text.push_str(group);
            text.push('.');
        }
        text.push_str(line.name);
        if !line.head.is_empty() {
            text.push(';');
            text.push_str(line.head);
        }
        text.push(':');
        if projection.adapted.binary_search(&i).is_err() {
            text.push_str(line.value);
        } else if !push_categories(projection, i, &mut text) {
            text.truncate(start);
            continue;
        }
        if text.len() - start <= FOLD {
            text.push_str("\r\n");
        } else {
            let whole = text.split_off(start);
            fold(&whole, &mut text);
        }
    }
    text.push_str("END:VCARD\r\n");
    text
}

/// Appends the categories that the contact has from a line. Returns whether there are any.
fn push_categories(projection: &Projection, line: usize, out: &mut String) -> bool {
    let mut any = false;
    for name in projection.categories.iter().filter(|from| from.line == line) {
        if any {
            out.push(',');
        }
        text::escape(&name.value, out);
        any = true;
    }
    any
}

/// Whether no property of a contact is set. UID, photo and lines that are kept aside do not count.
fn is_empty(projection: &Projection) -> bool {
    let Projection { texts, birthday, wedding_anniversary, is_favorite, flag, .. } = projection;
    let Projection { emails, phones, addresses, websites, im_addresses, children, categories, .. } = projection;
    texts.iter().all(Option::is_none)
        && birthday.is_none()
        && wedding_anniversary.is_none()
        && is_favorite.is_none()
        && flag.is_none()
        && emails.is_empty()
        && phones.is_empty()
        && addresses.is_empty()
        && websites.is_empty()
        && [im_addresses, children, categories].into_iter().all(Vec::is_empty)
}

fn values<T>(entries: Vec<FromLine<T>>) -> Option<Vec<T>> {
    if entries.is_empty() { None } else { Some(entries.into_iter().map(|entry| entry.value).collect()) }
}

impl Projection {
    /// The contact that the card describes. A display name that would be derived is not set, so that it follows later
    /// changes.
    pub fn into_patch(self) -> ContactPatch {
        let text = |text: Text| self.texts[text as usize].as_ref().map(|from| from.value.as_str());
        let email = self.emails.iter().find_map(|from| from.value.address.as_deref());
        let derived = derived_name(text(Text::GivenName), text(Text::Surname), text(Text::CompanyName), email);
        let is_derived = derived.as_deref() == text(Text::DisplayName);
        let mut patch = ContactPatch {
            birthday: self.birthday.map(|from| Some(from.value)),
            wedding_anniversary: self.wedding_anniversary.map(|from| Some(from.value)),
            is_favorite: self.is_favorite.map(|from| Some(from.value)),
            flag: self.flag.map(|from| Some(from.value)),
            categories: values(self.categories),
            im_addresses: values(self.im_addresses),
            children: values(self.children),
            emails: values(self.emails),
            phones: values(self.phones),
            addresses: values(self.addresses),
            websites: values(self.websites),
            ..ContactPatch::default()
        };
        for (to, from) in patch.texts.iter_mut().zip(self.texts) {
            *to = from.map(|from| Some(from.value));
        }
        if is_derived {
            patch.texts[Text::DisplayName as usize] = None;
        }
        patch
    }
}

//! Extended properties with Outlook's well-known tags. They are views on the contact: reading or writing one reads or
//! writes the property (docs/graph.md, "Outlook's tags"). Mail gateways use them.

use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{Complex, Email, Properties, Text};

/// The value of [`View::Class`].
pub const CLASS: &str = "IPM.Contact";
/// The namespace of contact tags above 0x8000.
const ADDRESS_SET: &str = "{00062004-0000-0000-c000-000000000046}";

/// The property a tag stands for. Variants are in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// The item's class: a constant.
    Class,
    /// A plain text property.
    Text(Text),
    /// The number of the n-th phone of a type.
    Phone(&'static str, usize),
    /// A member of the first address of a type, by its position in the type.
    Address(&'static str, usize),
    /// The address of the first website of a type.
    Website(&'static str),
    /// A member of the n-th e-mail address, by its position in the type.
    Email(usize, usize),
    /// The first entry of `imAddresses`.
    Im,
}

const NUMBER: usize = 1;
const NAME: usize = 0;
const ADDRESS: usize = 1;
const POST_OFFICE_BOX: usize = 1;
const STREET: usize = 2;
const CITY: usize = 3;
const STATE: usize = 4;
const COUNTRY: usize = 5;
const POSTAL_CODE: usize = 6;

/// Tags without a namespace ([MS-OXPROPS]).
const TAGS: &[(u32, View)] = &[
    (0x001a, View::Class),
    (0x1000, View::Text(Text::PersonalNotes)),
    (0x3001, View::Text(Text::DisplayName)),
    (0x3a05, View::Text(Text::Generation)),
    (0x3a06, View::Text(Text::GivenName)),
    (0x3a0a, View::Text(Text::Initials)),
    (0x3a11, View::Text(Text::Surname)),
    (0x3a16, View::Text(Text::CompanyName)),
    (0x3a17, View::Text(Text::JobTitle)),
    (0x3a18, View::Text(Text::Department)),
    (0x3a19, View::Text(Text::OfficeLocation)),
    (0x3a30, View::Text(Text::AssistantName)),
    (0x3a44, View::Text(Text::MiddleName)),
    (0x3a45, View::Text(Text::Title)),
    (0x3a46, View::Text(Text::Profession)),
    (0x3a48, View::Text(Text::SpouseName)),
    (0x3a4e, View::Text(Text::Manager)),
    (0x3a4f, View::Text(Text::NickName)),
    (0x3a08, View::Phone("business", 0)),
    (0x3a1b, View::Phone("business", 1)),
    (0x3a09, View::Phone("home", 0)),
    (0x3a2f, View::Phone("home", 1)),
    (0x3a1c, View::Phone("mobile", 0)),
    (0x3a1d, View::Phone("radio", 0)),
    (0x3a1f, View::Phone("other", 0)),
    (0x3a21, View::Phone("pager", 0)),
    (0x3a23, View::Phone("otherFax", 0)),
    (0x3a24, View::Phone("businessFax", 0)),
    (0x3a25, View::Phone("homeFax", 0)),
    (0x3a2e, View::Phone("assistant", 0)),
    (0x3a50, View::Website("home")),
    (0x3a51, View::Website("work")),
    (0x3a59, View::Address("home", CITY)),
    (0x3a5a, View::Address("home", COUNTRY)),
    (0x3a5b, View::Address("home", POSTAL_CODE)),
    (0x3a5c, View::Address("home", STATE)),
    (0x3a5d, View::Address("home", STREET)),
    (0x3a5e, View::Address("home", POST_OFFICE_BOX)),
    (0x3a5f, View::Address("other", CITY)),
    (0x3a60, View::Address("other", COUNTRY)),
    (0x3a61, View::Address("other", POSTAL_CODE)),
    (0x3a62, View::Address("other", STATE)),
    (0x3a63, View::Address("other", STREET)),
    (0x3a64, View::Address("other", POST_OFFICE_BOX)),
];

/// Tags in [`ADDRESS_SET`].
const IDS: &[(u32, View)] = &[
    (0x8005, View::Text(Text::FileAs)),
    (0x802c, View::Text(Text::YomiGivenName)),
    (0x802d, View::Text(Text::YomiSurname)),
    (0x802e, View::Text(Text::YomiCompanyName)),
    (0x8045, View::Address("business", STREET)),
    (0x8046, View::Address("business", CITY)),
    (0x8047, View::Address("business", STATE)),
    (0x8048, View::Address("business", POSTAL_CODE)),
    (0x8049, View::Address("business", COUNTRY)),
    (0x804a, View::Address("business", POST_OFFICE_BOX)),
    (0x8062, View::Im),
    (0x8080, View::Email(0, NAME)),
    (0x8083, View::Email(0, ADDRESS)),
    (0x8090, View::Email(1, NAME)),
    (0x8093, View::Email(1, ADDRESS)),
    (0x80a0, View::Email(2, NAME)),
    (0x80a3, View::Email(2, ADDRESS)),
];

/// The view that an extended property is, by its key ([`crate::domain::extended::PropertyId::key`]).
pub fn view(key: &str) -> Option<View> {
    let rest = key.strip_prefix("string ")?;
    let number = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let found = |table: &[(u32, View)], number| table.iter().find(|(tag, _)| *tag == number).map(|(_, view)| *view);
    if let Some(id) = rest.strip_prefix(ADDRESS_SET) {
        return found(IDS, number(id.strip_prefix(" id ")?)?);
    }
    let tag = number(rest)?;
    // A tag may end with its type: text, in Unicode or not.
    found(TAGS, if matches!(tag & 0xffff, 0x001e | 0x001f) && tag > 0xffff { tag >> 16 } else { tag })
}

impl View {
    /// The value, if there is one.
    pub fn read(self, p: &Properties) -> Option<&str> {
        let text = match self {
            Self::Class => Some(CLASS),
            Self::Text(text) => p.text(text),
            Self::Phone(kind, nth) => nth_of(&p.phones, kind, nth)?.member(NUMBER),
            Self::Address(kind, member) => nth_of(&p.addresses, kind, 0)?.member(member),
            Self::Website(kind) => nth_of(&p.websites, kind, 0)?.member(ADDRESS),
            Self::Email(nth, member) => p.emails.get(nth)?.member(member),
            Self::Im => p.im_addresses.first().map(String::as_str),
        };
        // A property that reads as `""` when it is unset has a value only if it is not empty.
        text.filter(|text| !self.is_never_null() || !text.is_empty())
    }

    /// Whether the property reads as `""` where it is unset.
    pub fn is_never_null(self) -> bool {
        matches!(self, Self::Text(text) if text.unset().is_some())
    }

    /// Longest value, in characters.
    pub fn max(self) -> usize {
        match self {
            Self::Text(text) => text.max(),
            _ => crate::domain::contact::MAX_TEXT,
        }
    }

    /// Whether the rest of the request sets the same property.
    pub(crate) fn is_named_by(self, patch: &ContactPatch) -> bool {
        let slots = patch.slots.as_deref();
        let slot_is_set = |named: &dyn Fn(&crate::domain::contact::slots::Slots) -> bool| slots.is_some_and(named);
        match self {
            Self::Class => false,
            Self::Text(text) => patch.texts[text as usize].is_some(),
            Self::Phone(kind, _) => {
                patch.phones.is_some()
                    || slot_is_set(&|slots| match kind {
                        "business" => slots.business_phones.is_some(),
                        "home" => slots.home_phones.is_some(),
                        "mobile" => slots.mobile_phone.is_some(),
                        _ => false,
                    })
            }
            Self::Address(kind, member) => {
                let at = crate::domain::contact::slots::ADDRESS_KINDS
                    .iter()
                    .position(|known| *known == kind)
                    .unwrap_or_default();
                // The v1.0 shape has no post office box.
                patch.addresses.is_some()
                    || member != POST_OFFICE_BOX
                        && slot_is_set(&|slots| slots.addresses.get(at).is_some_and(Option::is_some))
            }
            Self::Website(kind) => {
                patch.websites.is_some() || kind == "work" && slot_is_set(&|slots| slots.business_home_page.is_some())
            }
            Self::Email(nth, _) => {
                patch.emails.is_some()
                    || slot_is_set(&|slots| {
                        slots.emails.is_some() || slots.ranked_emails.get(nth).is_some_and(Option::is_some)
                    })
            }
            Self::Im => patch.im_addresses.is_some(),
        }
    }

    fn write(self, p: &mut Properties, value: Option<String>) {
        match self {
            // E-mail addresses are written together, by `apply`.
            Self::Class | Self::Email(..) => {}
            Self::Text(text) => p.texts[text as usize] = value,
            Self::Phone(kind, nth) => set(&mut p.phones, kind, nth, NUMBER, value),
            Self::Address(kind, member) => set(&mut p.addresses, kind, 0, member, value),
            Self::Website(kind) => set(&mut p.websites, kind, 0, ADDRESS, value),
            Self::Im => {
                let end = p.im_addresses.len().min(1);
                p.im_addresses.splice(..end, value);
            }
        }
    }
}

/// Writes values sent by tags into the contact.
pub(crate) fn apply(mut sent: Vec<(View, Option<String>)>, p: &mut Properties) {
    sent.sort_by_key(|(view, _)| *view);
    let mut emails: Vec<_> = p.emails.iter().cloned().map(Some).collect();
    for (view, value) in sent {
        match view {
            View::Email(nth, member) => {
                emails.resize_with(emails.len().max(nth + 1), || None);
                set_email(&mut emails[nth], member, value);
            }
            view => view.write(p, value),
        }
    }
    // An address without one before it moves up, as in the v1.0 shape.
    p.emails = emails.into_iter().flatten().collect();
}

fn set_email(slot: &mut Option<Email>, member: usize, value: Option<String>) {
    if value.is_none() && (member == ADDRESS || slot.is_none()) {
        *slot = None;
        return;
    }
    let email = slot.get_or_insert_default();
    if member == ADDRESS && email.name == email.address {
        email.name = None;
    }
    email.set(member, value);
    email.name_by_address();
    if *email == Email::default() {
        *slot = None;
    }
}

/// The type is the first member in all of these.
fn is_kind(entry: &impl Complex, kind: &str) -> bool {
    entry.member(0) == Some(kind)
}

fn nth_of<'p, T: Complex>(entries: &'p [T], kind: &str, nth: usize) -> Option<&'p T> {
    entries.iter().filter(|entry| is_kind(*entry, kind)).nth(nth)
}

/// Sets a member of the n-th entry of a type. An entry that becomes empty stays while another entry of its type follows it;
/// a new one is preceded by empty ones if there are fewer than n.
fn set<T: Complex>(entries: &mut Vec<T>, kind: &'static str, nth: usize, member: usize, value: Option<String>) {
    let mut indexes: Vec<_> = (0..entries.len()).filter(|at| is_kind(&entries[*at], kind)).collect();
    if value.is_some() {
        while indexes.len() <= nth {
            let mut entry = T::default();
            entry.set(0, Some(kind.to_owned()));
            indexes.push(entries.len());
            entries.push(entry);
        }
    }
    let Some(at) = indexes.get(nth).copied() else { return };
    let is_removal = value.is_none();
    entries[at].set(member, value);
    let is_empty = |entry: &T| (1..T::MEMBERS.len()).all(|member| entry.member(member).is_none());
    while is_removal
        && let Some(last) = indexes.pop()
        && is_empty(&entries[last])
    {
        entries.remove(last);
    }
}

/// The value the property would have if only this patch were applied.
pub(crate) fn set_by(patch: &ContactPatch, view: View) -> Option<String> {
    view.read(&patch.clone().into_properties()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::extended::{PropertyId, SingleValue};

    fn view_of(id: &str) -> Option<View> {
        view(&PropertyId::parse::<SingleValue>(id).unwrap().key)
    }

    #[test]
    fn a_tag_is_recognized_in_each_of_its_spellings() {
        for id in ["String 0x3A1C", "string 0x3a1c", "String 0x00003A1C", "String 0x3A1C001F", "String 0x3A1C001E"] {
            assert_eq!(view_of(id), Some(View::Phone("mobile", 0)), "{id}");
        }
        assert_eq!(view_of("String 0x1a"), Some(View::Class));
        assert_eq!(view_of("String {00062004-0000-0000-C000-000000000046} ID 0x8083"), Some(View::Email(0, ADDRESS)));
        for id in [
            "Integer 0x3A1C",
            "String 0x3A1C0003",
            "String 0x8083",
            "String {00062008-0000-0000-C000-000000000046} Id 0x8083",
            "String {00062004-0000-0000-C000-000000000046} Name 0x8083",
            "String 0x10f3",
        ] {
            assert_eq!(view_of(id), None, "{id}");
        }
        for (tag, view) in TAGS {
            assert_eq!(view_of(&format!("String 0x{tag:X}")), Some(*view));
        }
    }

    #[test]
    fn every_view_reads_its_own_writes_and_null_after_their_removal() {
        let views: Vec<_> = TAGS.iter().chain(IDS).map(|(_, view)| *view).filter(|view| *view != View::Class).collect();
        let mut all = Properties::default();
        apply(views.iter().map(|view| (*view, Some(format!("{view:?}")))).collect(), &mut all);
        for view in &views {
            assert_eq!(view.read(&all), Some(format!("{view:?}").as_str()));
            let mut one = all.clone();
            apply(vec![(*view, None)], &mut one);
            match view {
                // Entries after it move up, and a missing name reads as the address.
                View::Email(..) => assert_ne!(view.read(&one), view.read(&all)),
                view => assert_eq!(view.read(&one), None, "{view:?}"),
            }
            let mut alone = Properties::default();
            apply(vec![(*view, Some("x".to_owned()))], &mut alone);
            match view {
                View::Email(1.., _) => assert_eq!(alone.emails.len(), 1),
                view => assert_eq!(view.read(&alone), Some("x"), "{view:?}"),
            }
            apply(vec![(*view, None)], &mut alone);
            assert_eq!(view.read(&alone), None);
        }
        apply(views.iter().map(|view| (*view, None)).collect(), &mut all);
        assert_eq!(all, Properties::default());
    }
}

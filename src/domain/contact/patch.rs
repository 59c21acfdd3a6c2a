//! The changes of a request. A create is a patch on an empty contact, so both take the same path.

use crate::domain::contact::slots::Slots;
use crate::domain::contact::tags::{self, View};
use crate::domain::contact::{Address, Email, Flag, MAX_TEXT, Phone, Properties, Text, Website};
use crate::domain::extended::{ExtendedChanges, ExtendedValue, MultiValue, PropertyId, SingleValue};
use crate::domain::extension::NewExtension;

/// Absent (keep), null (clear) or a value (set). PATCH distinguishes the three.
pub type FieldChange<T> = Option<Option<T>>;

/// The properties a request names, parsed and checked. A collection sent as null is an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name, see Properties")]
pub struct ContactPatch {
    pub texts: [FieldChange<String>; Text::ALL.len()],
    pub birthday: FieldChange<String>,
    pub wedding_anniversary: FieldChange<String>,
    pub is_favorite: FieldChange<bool>,
    pub flag: FieldChange<Flag>,
    pub categories: Option<Vec<String>>,
    pub im_addresses: Option<Vec<String>>,
    pub children: Option<Vec<String>>,
    pub emails: Option<Vec<Email>>,
    pub phones: Option<Vec<Phone>>,
    pub addresses: Option<Vec<Address>>,
    pub websites: Option<Vec<Website>>,
    /// Changes of the collections by v1.0 properties.
    pub slots: Option<Box<Slots>>,
    /// Changes of the collections by Outlook's tags.
    pub tagged: Vec<(View, Option<String>)>,
    /// The folder to put it in; null and `""` are read as `None`.
    pub parent_folder_id: Option<String>,
    /// The first `changeKey` of a new contact.
    pub change_key: Option<String>,
    /// Extensions and extended properties, if any.
    pub added: Option<Box<ContactAdditions>>,
}

/// Extensions and extended properties that are written with a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactAdditions {
    /// Extensions of a new contact, or those that an import sets.
    pub extensions: Vec<NewExtension>,
    /// Extended properties to set or remove.
    pub single_values: ExtendedChanges<SingleValue>,
    /// Extended properties with lists, to set or remove.
    pub multi_values: ExtendedChanges<MultiValue>,
}

impl ContactAdditions {
    /// Size of the values, in bytes.
    pub fn size(&self) -> usize {
        fn values<V: ExtendedValue>(changes: &[(PropertyId, Option<V>)]) -> usize {
            let texts = changes.iter().filter_map(|(_, value)| value.as_ref()).flat_map(ExtendedValue::texts);
            texts.map(String::len).sum()
        }
        let extensions: usize = self.extensions.iter().map(NewExtension::size).sum();
        extensions + values(&self.single_values) + values(&self.multi_values)
    }
}

impl ContactPatch {
    /// All of a contact's properties, as for a new one.
    pub fn of(properties: &Properties) -> Self {
        let p = properties.clone();
        let mut texts = p.texts.map(|text| text.map(Some));
        if p.display_name_derived {
            texts[Text::DisplayName as usize] = None;
        }
        Self {
            texts,
            birthday: p.birthday.map(Some),
            wedding_anniversary: p.wedding_anniversary.map(Some),
            is_favorite: p.is_favorite.map(Some),
            flag: p.flag.map(Some),
            categories: Some(p.categories),
            im_addresses: Some(p.im_addresses),
            children: Some(p.children),
            emails: Some(p.emails),
            phones: Some(p.phones),
            addresses: Some(p.addresses),
            websites: Some(p.websites),
            ..Self::default()
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Applies the changes, and derives `displayName` again unless a client has set it.
    pub fn apply_to(self, properties: &mut Properties) {
        if let Some(name) = &self.texts[Text::DisplayName as usize] {
            properties.display_name_derived = name.is_none();
        }
        for (text, change) in properties.texts.iter_mut().zip(self.texts) {
            set(text, change);
        }
        set(&mut properties.birthday, self.birthday);
        set(&mut properties.wedding_anniversary, self.wedding_anniversary);
        set(&mut properties.is_favorite, self.is_favorite);
        set(&mut properties.flag, self.flag.map(|flag| flag.filter(|flag| !flag.is_unset())));
        set(&mut properties.categories, self.categories);
        set(&mut properties.im_addresses, self.im_addresses);
        set(&mut properties.children, self.children);
        set(&mut properties.emails, self.emails);
        set(&mut properties.phones, self.phones);
        set(&mut properties.addresses, self.addresses);
        set(&mut properties.websites, self.websites);
        if let Some(slots) = self.slots {
            slots.apply_to(properties);
        }
        if !self.tagged.is_empty() {
            tags::apply(self.tagged, properties);
        }

        if properties.display_name_derived {
            let email = properties.emails.iter().find_map(|email| email.address.as_deref().filter(|a| !a.is_empty()));
            let text = |text| properties.text(text);
            let name = derived_name(text(Text::GivenName), text(Text::Surname), text(Text::CompanyName), email);
            properties.texts[Text::DisplayName as usize] = name.map(|name| name.chars().take(MAX_TEXT).collect());
        }
    }

    /// The properties of a new contact.
    pub fn into_properties(self) -> Properties {
        let mut properties = Properties { display_name_derived: true, ..Properties::default() };
        self.apply_to(&mut properties);
        properties
    }
}

fn set<T>(value: &mut T, change: Option<T>) {
    if let Some(change) = change {
        *value = change;
    }
}

/// `givenName surname`, or the one that is set; else the company; else the first e-mail address (docs/graph.md, "Names").
pub(crate) fn derived_name<'a>(
    given: Option<&'a str>,
    surname: Option<&'a str>,
    company: Option<&'a str>,
    email: Option<&'a str>,
) -> Option<String> {
    let set = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
    match (set(given), set(surname)) {
        (Some(given), Some(surname)) => Some([given, " ", surname].concat()),
        (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
        (None, None) => set(company).or_else(|| set(email)).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pairs: &[(Text, Option<&str>)]) -> ContactPatch {
        let mut patch = ContactPatch::default();
        for (text, value) in pairs {
            patch.texts[*text as usize] = Some(value.map(str::to_owned));
        }
        patch
    }

    #[test]
    fn a_name_that_was_never_set_follows_its_parts() {
        let mut contact = texts(&[(Text::GivenName, Some("Ann")), (Text::Surname, Some("Lee"))]).into_properties();
        assert_eq!(contact.text(Text::DisplayName), Some("Ann Lee"));
        texts(&[(Text::Surname, Some("May"))]).apply_to(&mut contact);
        assert_eq!(contact.text(Text::DisplayName), Some("Ann May"));
        texts(&[(Text::DisplayName, Some("Dr. Ann"))]).apply_to(&mut contact);
        texts(&[(Text::Surname, Some("Roe"))]).apply_to(&mut contact);
        assert_eq!(contact.text(Text::DisplayName), Some("Dr. Ann"));
        texts(&[(Text::DisplayName, None)]).apply_to(&mut contact);
        assert_eq!(contact.text(Text::DisplayName), Some("Ann Roe"));
    }

    #[test]
    fn a_name_set_by_hand_stays_even_when_it_equals_the_derived_one() {
        let mut contact = texts(&[(Text::GivenName, Some("Ann"))]).into_properties();
        texts(&[(Text::DisplayName, Some("Ann"))]).apply_to(&mut contact);
        texts(&[(Text::GivenName, Some("Bea"))]).apply_to(&mut contact);
        assert_eq!(contact.text(Text::DisplayName), Some("Ann"));
    }

    #[test]
    fn without_names_the_company_or_the_first_email_is_shown() {
        let mut contact = texts(&[(Text::CompanyName, Some("Acme"))]).into_properties();
        assert_eq!(contact.text(Text::DisplayName), Some("Acme"));
        let emails = vec![Email { address: Some("a@example.org".into()), ..Email::default() }];
        ContactPatch { emails: Some(emails), ..texts(&[(Text::CompanyName, None)]) }.apply_to(&mut contact);
        assert_eq!(contact.text(Text::DisplayName), Some("a@example.org"));
        ContactPatch { emails: Some(vec![]), ..ContactPatch::default() }.apply_to(&mut contact);
        assert_eq!(contact.text(Text::DisplayName), None);
    }
}

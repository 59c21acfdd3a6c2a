//! A contact while its record is read: what was mapped, what is kept aside, and the outcome of each name.

use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{Address, Complex, Email, MAX_ENTRIES, MAX_TEXT, Phone, Properties, Text, Website};
use crate::formats::aside::{self, Aside};
use crate::vcard::read::MAX_ASIDE;
pub(crate) use crate::vcard::read::MAX_PHOTO;
use crate::vcard::record::{Fate, PropertyOutcome, Record, RecordContent, RecordPhoto, Refusal, SAYS_NOTHING};
use crate::vcard::text::{self, Tidy};

/// A contact that is being read.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) patch: ContactPatch,
    pub(crate) photo: Option<RecordPhoto>,
    pub(crate) uid: Option<String>,
    pub(crate) alias: Option<String>,
    /// Texts are not cleaned, because this program wrote the file and every blank is intended.
    pub(crate) exact: bool,
    outcomes: Vec<PropertyOutcome>,
    /// The values that are kept aside, each with the index of its outcome.
    asides: Vec<(Aside, usize)>,
    dialect: &'static str,
}

impl Draft {
    /// An empty draft. Values that are kept aside come back in exports of this dialect.
    pub(crate) fn new(dialect: &'static str) -> Self {
        Self { dialect, ..Self::default() }
    }

    /// Records the outcome of a name.
    pub(crate) fn note(&mut self, name: &str, fate: Fate) {
        self.outcomes.push(PropertyOutcome { name: name.to_owned(), fate });
    }

    /// Keeps a value aside.
    pub(crate) fn keep(&mut self, name: &str, value: &str, why: Option<&'static str>) {
        self.note(name, Fate::Aside(why));
        let aside =
            Aside { dialect: self.dialect.to_owned(), name: name.to_owned(), of: None, value: value.to_owned() };
        self.asides.push((aside, self.outcomes.len() - 1));
    }

    /// Keeps a value aside under a more specific name than that of its outcome.
    pub(crate) fn keep_as(&mut self, name: &str, place: &str, value: &str, why: Option<&'static str>) {
        self.note(name, Fate::Aside(why));
        let aside =
            Aside { dialect: self.dialect.to_owned(), name: place.to_owned(), of: None, value: value.to_owned() };
        self.asides.push((aside, self.outcomes.len() - 1));
    }

    /// Records that a part of a value was mapped, and keeps the rest. `of` is the mapped part: the rest comes back only
    /// as long as that is unchanged.
    pub(crate) fn keep_rest(&mut self, name: &str, rest: &str, of: &str) {
        self.note(name, Fate::Partial);
        self.keep_silently(name, rest, of);
    }

    /// Keeps the rest of a value whose outcome is recorded already.
    pub(crate) fn keep_silently(&mut self, name: &str, rest: &str, of: &str) {
        let (dialect, name, of) = (self.dialect.to_owned(), name.to_owned(), Some(of.to_owned()));
        let aside = Aside { dialect, name, of, value: rest.to_owned() };
        let told = self.outcomes.iter().rposition(|outcome| outcome.name == aside.name);
        self.asides.push((aside, told.unwrap_or(self.outcomes.len().saturating_sub(1))));
    }

    /// Records the outcome of a value, and keeps the value if it was not mapped.
    pub(crate) fn record(&mut self, name: &str, value: &str, fate: Fate) {
        match fate {
            Fate::Aside(why) => self.keep(name, value, why),
            other => self.note(name, other),
        }
    }

    /// The same for one of several values of a name, which has a single outcome: mapped in part if some values were not
    /// mapped.
    pub(crate) fn record_one_of(&mut self, name: &str, value: &str, fate: Fate) {
        let Some(at) = self.outcomes.iter().rposition(|outcome| outcome.name == name) else {
            return self.record(name, value, fate);
        };
        if let Fate::Aside(_) = fate {
            let aside =
                Aside { dialect: self.dialect.to_owned(), name: name.to_owned(), of: None, value: value.to_owned() };
            self.asides.push((aside, at));
        }
        let known = &mut self.outcomes[at].fate;
        *known = match (*known, fate) {
            (Fate::Aside(_), Fate::Mapped) | (Fate::Mapped, Fate::Aside(_)) => Fate::Partial,
            (known, _) => known,
        };
    }

    /// The value of a text property so far.
    pub(crate) fn text_of(&self, text: Text) -> Option<&str> {
        self.patch.texts[text as usize].as_ref()?.as_deref()
    }

    /// A text as it is stored: trimmed, without control characters, and on one line.
    pub(crate) fn clean_line(&self, text: &str) -> String {
        if self.exact { text.to_owned() } else { clean_line(text) }
    }

    /// The same for a property that may have several lines.
    pub(crate) fn clean_lines(&self, text: &str) -> String {
        if self.exact { text.to_owned() } else { clean_lines(text) }
    }

    /// Sets a text property, unless it has another value already.
    pub(crate) fn text(&mut self, text: Text, value: &str) -> Fate {
        let value = match text {
            Text::PersonalNotes => self.clean_lines(value),
            _ => self.clean_line(value),
        };
        if value.is_empty() && !self.exact {
            return Fate::Ignored(SAYS_NOTHING);
        }
        if value.chars().count() > text.max() {
            return Fate::Aside(Some("too long"));
        }
        let known = &mut self.patch.texts[text as usize];
        match known.as_ref().and_then(Option::as_deref) {
            Some(other) if other != value => Fate::Aside(None),
            _ => {
                *known = Some(Some(value));
                Fate::Mapped
            }
        }
    }

    /// Adds an e-mail address; its name is the address if it has none.
    pub(crate) fn email(&mut self, mut email: Email) -> Fate {
        email.name_by_address();
        entry(self.patch.emails.get_or_insert_default(), email)
    }

    /// Adds a phone.
    pub(crate) fn phone(&mut self, kind: &str, number: &str) -> Fate {
        let phone = Phone { kind: Some(kind.to_owned()), number: Some(self.clean_line(number)) };
        entry(self.patch.phones.get_or_insert_default(), phone)
    }

    /// Adds an address.
    pub(crate) fn address(&mut self, address: Address) -> Fate {
        entry(self.patch.addresses.get_or_insert_default(), address)
    }

    /// Adds a website.
    pub(crate) fn website(&mut self, kind: &str, address: &str, name: Option<String>) -> Fate {
        let address = Some(self.clean_line(address));
        let site = Website { kind: Some(kind.to_owned()), address, display_name: name };
        entry(self.patch.websites.get_or_insert_default(), site)
    }

    /// Adds an address of an instant messenger, with the scheme of its service unless it has one.
    pub(crate) fn im(&mut self, scheme: &str, address: &str) -> Fate {
        let address = self.clean_line(address);
        let named =
            scheme.is_empty() || address.get(..=scheme.len()).is_some_and(|start| start == format!("{scheme}:"));
        let address = if named { address } else { format!("{scheme}:{address}") };
        word(self.patch.im_addresses.get_or_insert_default(), address)
    }

    /// Adds a category.
    pub(crate) fn category(&mut self, name: &str) -> Fate {
        let name = self.clean_line(name);
        word(self.patch.categories.get_or_insert_default(), name)
    }

    /// Adds a child.
    pub(crate) fn child(&mut self, name: &str) -> Fate {
        let name = self.clean_line(name);
        let children = self.patch.children.get_or_insert_default();
        match () {
            () if children.len() >= MAX_ENTRIES => Fate::Aside(Some("too many")),
            () if name.chars().count() > MAX_TEXT => Fate::Aside(Some("too long")),
            () => {
                children.push(name);
                Fate::Mapped
            }
        }
    }

    /// Sets the birthday. A day is stored as 11:59 UTC, at which most time zones have the same day.
    pub(crate) fn birthday(&mut self, day: &str) -> Fate {
        let value = format!("{day}T11:59:00Z");
        match &self.patch.birthday {
            Some(Some(other)) if *other != value => Fate::Aside(None),
            _ => {
                self.patch.birthday = Some(Some(value));
                Fate::Mapped
            }
        }
    }

    /// Sets the wedding anniversary.
    pub(crate) fn anniversary(&mut self, day: &str) -> Fate {
        match &self.patch.wedding_anniversary {
            Some(Some(other)) if other != day => Fate::Aside(None),
            _ => {
                self.patch.wedding_anniversary = Some(Some(day.to_owned()));
                Fate::Mapped
            }
        }
    }

    /// The contact, or a refusal if the record has no data.
    pub(crate) fn finish(mut self) -> RecordContent {
        self.empty_collections();
        let Some(properties) = unset_derived_name(&mut self.patch) else {
            return RecordContent::Refused(Refusal { reason: "empty", detail: None });
        };
        let card = self.card(&properties);
        RecordContent::Contact(Box::new(Record {
            patch: self.patch,
            photo: self.photo,
            uid: self.uid,
            alias: self.alias,
            outcomes: self.outcomes,
            card,
            junk_lines: 0,
        }))
    }

    /// A collection without entries stays unset.
    fn empty_collections(&mut self) {
        let patch = &mut self.patch;
        patch.emails.take_if(|entries| entries.is_empty());
        patch.phones.take_if(|entries| entries.is_empty());
        patch.addresses.take_if(|entries| entries.is_empty());
        patch.websites.take_if(|entries| entries.is_empty());
        patch.im_addresses.take_if(|entries| entries.is_empty());
        patch.categories.take_if(|entries| entries.is_empty());
        patch.children.take_if(|entries| entries.is_empty());
    }

    /// The card with the values that are kept aside, within the limit.
    fn card(&mut self, properties: &Properties) -> Option<String> {
        let mut left = MAX_ASIDE;
        let mut kept = Vec::with_capacity(self.asides.len());
        for (aside, at) in std::mem::take(&mut self.asides) {
            match left.checked_sub(aside.size()) {
                Some(rest) => {
                    left = rest;
                    kept.push(aside);
                }
                None => self.outcomes[at].fate = Fate::Lost("too much"),
            }
        }
        (!kept.is_empty()).then(|| aside::card(properties, self.uid.as_deref(), &kept))
    }
}

/// Unsets `displayName` if it equals the derived one, so that it follows the other names. Returns the properties of the
/// new contact; `None` if it has none.
pub(crate) fn unset_derived_name(patch: &mut ContactPatch) -> Option<Properties> {
    let name = patch.texts[Text::DisplayName as usize].take();
    let mut properties = patch.clone().into_properties();
    if let Some(Some(name)) = name
        && properties.text(Text::DisplayName) != Some(name.as_str())
    {
        properties.texts[Text::DisplayName as usize] = Some(name.clone());
        properties.display_name_derived = false;
        patch.texts[Text::DisplayName as usize] = Some(Some(name));
    }
    let said = Properties { display_name_derived: properties.display_name_derived, ..Properties::default() };
    let blank = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    let nothing = properties.texts.iter().all(blank)
        && said == Properties { texts: <[Option<String>; Text::ALL.len()]>::default(), ..properties.clone() };
    (!nothing).then_some(properties)
}

/// Adds an entry to a collection, once.
fn entry<T: Complex + PartialEq>(entries: &mut Vec<T>, entry: T) -> Fate {
    let mut members = (0..T::MEMBERS.len()).filter_map(|i| entry.member(i));
    if members.any(|value| value.len() > MAX_TEXT && value.chars().count() > MAX_TEXT) {
        return Fate::Aside(Some("too long"));
    }
    if entries.contains(&entry) {
        return Fate::Mapped;
    }
    if entries.len() >= MAX_ENTRIES {
        return Fate::Aside(Some("too many"));
    }
    entries.push(entry);
    Fate::Mapped
}

/// Adds a word to a list, once.
fn word(words: &mut Vec<String>, word: String) -> Fate {
    if word.is_empty() {
        return Fate::Ignored(SAYS_NOTHING);
    }
    if word.chars().count() > MAX_TEXT {
        return Fate::Aside(Some("too long"));
    }
    if words.contains(&word) {
        return Fate::Mapped;
    }
    if words.len() >= MAX_ENTRIES {
        return Fate::Aside(Some("too many"));
    }
    words.push(word);
    Fate::Mapped
}

/// A text without control characters and blanks at its ends. Line breaks and tabs become one blank.
pub(crate) fn clean_line(text: &str) -> String {
    text::one_line(text.into(), Tidy::Yes)
}

/// The same for a text that may have several lines.
pub(crate) fn clean_lines(text: &str) -> String {
    text::many_lines(text.into(), Tidy::Yes)
}

//! The words that `$search` finds (docs/graph.md, "Search"), and their positions in a contact.
//!
//! A word is a run of letters and digits after compatibility decomposition (NFKD), without marks, folded. Chinese and
//! Japanese have no spaces between words, so there each character is a word. Search expressions are split by the same rule:
//! "Ann.Lee@" and "ann lee" are both two consecutive words.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::domain::contact::{Address, Complex, Properties, Text};
use crate::domain::fold::fold;

/// Characters of a word that are indexed; the rest is ignored.
const MAX_WORD: usize = 64;
/// Most words of a contact that are indexed. The notes come last.
pub(crate) const MAX_WORDS: usize = 10_000;
/// Most bytes of indexed words of a contact; [`MAX_WORDS`] ordinary words have fewer.
const MAX_BYTES: usize = 512 << 10;
/// Positions of a field: more than there can be words and values.
const PLACES: i64 = 1 << 20;

/// A word and its position. Consecutive words have consecutive positions.
pub(crate) type Word = (String, i64);

/// The fields that are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Text(Text),
    Emails,
    Phones,
    Addresses,
}

impl Field {
    /// All fields, the notes last. Databases store their index here, so the order must not change.
    pub(crate) const ALL: [Self; 17] = [
        Self::Text(Text::DisplayName),
        Self::Text(Text::GivenName),
        Self::Text(Text::Surname),
        Self::Emails,
        Self::Phones,
        Self::Text(Text::CompanyName),
        Self::Text(Text::JobTitle),
        Self::Text(Text::FileAs),
        Self::Text(Text::Initials),
        Self::Text(Text::MiddleName),
        Self::Text(Text::NickName),
        Self::Text(Text::Title),
        Self::Text(Text::YomiGivenName),
        Self::Text(Text::YomiSurname),
        Self::Text(Text::YomiCompanyName),
        Self::Addresses,
        Self::Text(Text::PersonalNotes),
    ];

    /// The field that a property of either shape belongs to.
    pub(crate) fn named(property: &str) -> Option<Self> {
        let is = |name: &&str| name.eq_ignore_ascii_case(property);
        let text = |field: &Self| matches!(field, Self::Text(text) if is(&text.json()));
        if let Some(text) = Self::ALL.into_iter().find(text) {
            return Some(text);
        }
        let lists: [(_, &[&str]); 3] = [
            (Self::Emails, &["emailAddresses", "primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"]),
            (Self::Phones, &["phones", "homePhones", "businessPhones", "mobilePhone"]),
            (Self::Addresses, &["postalAddresses", "homeAddress", "businessAddress", "otherAddress"]),
        ];
        lists.into_iter().find(|(_, names)| names.iter().any(is)).map(|(field, _)| field)
    }

    /// The searchable property names, for error messages.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|field| match field {
            Self::Text(text) => text.json(),
            Self::Emails => "emailAddresses",
            Self::Phones => "phones",
            Self::Addresses => "postalAddresses",
        })
    }

    /// Its index in [`Field::ALL`].
    pub(crate) fn number(self) -> usize {
        Self::ALL.into_iter().position(|field| field == self).unwrap_or_default()
    }

    /// The field of a position, and the position within it.
    pub(crate) fn at(place: i64) -> (i64, i64) {
        (place.div_euclid(PLACES), place.rem_euclid(PLACES))
    }

    /// The positions of its words.
    pub(crate) fn places(self) -> std::ops::Range<i64> {
        let number = i64::try_from(self.number()).unwrap_or_default();
        number * PLACES..(number + 1) * PLACES
    }
}

/// The words of a text, in order.
pub(crate) fn of(text: &str) -> Vec<String> {
    if text.is_ascii() {
        // Most texts have nothing to decompose.
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        return words.map(|word| word[..word.len().min(MAX_WORD)].to_ascii_lowercase()).collect();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        let stands_alone = is_unspaced(c);
        if stands_alone || !c.is_alphanumeric() {
            push_word(&mut words, &mut word);
        }
        if stands_alone {
            words.push(c.to_string());
        } else if c.is_alphanumeric() {
            word.push(c);
        }
    }
    push_word(&mut words, &mut word);
    words
}

fn push_word(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(fold(&cut(word)));
        word.clear();
    }
}

fn cut(word: &str) -> String {
    word.chars().take(MAX_WORD).collect()
}

/// Whether a character belongs to a script without spaces: Han and Kana.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
        && c.is_alphanumeric()
}

/// The digits of a number from the start of each group on, as one word each: `+1 732 555` gives 1732555, 732555 and 555.
pub(crate) fn numbers(groups: &[String]) -> Vec<String> {
    let digits: Vec<_> = groups.iter().filter(|word| is_number(word)).collect();
    // Groups are not empty, so a word needs at most as many groups as it has characters.
    let from = |from| digits.iter().skip(from).take(MAX_WORD).map(|group| group.as_str());
    (0..digits.len()).map(|first| cut(&from(first).collect::<String>())).collect()
}

pub(crate) fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}

/// The words of one value of a contact, and its field.
pub(crate) type FieldWords = (Field, Vec<String>);

/// The words of a contact, in the order of the fields: at most [`MAX_WORDS`] and [`MAX_BYTES`] in total.
pub(crate) fn of_contact(p: &Properties) -> Vec<FieldWords> {
    let mut values = Vec::new();
    for field in Field::ALL {
        let mut add = |words: Vec<String>| values.push((field, words));
        let mut read = |text: Option<&str>| add(text.map(of).unwrap_or_default());
        match field {
            Field::Text(text) => read(p.text(text)),
            Field::Emails => {
                for email in &p.emails {
                    read(email.address.as_deref());
                    // The name is the address if the client gave none.
                    read(email.name.as_deref().filter(|_| email.name != email.address));
                }
            }
            Field::Phones => {
                for groups in p.phones.iter().filter_map(|phone| phone.number.as_deref()).map(of) {
                    add(numbers(&groups));
                    add(groups.into_iter().filter(|word| !is_number(word)).collect());
                }
            }
            Field::Addresses => {
                for address in &p.addresses {
                    // The first member is the type.
                    (1..Address::MEMBERS.len()).for_each(|i| read(address.member(i)));
                }
            }
        }
    }
    let (mut room, mut bytes) = (MAX_WORDS, MAX_BYTES);
    for (_, words) in &mut values {
        let fit = words.iter().take_while(|word| {
            let remaining = (room.checked_sub(1), bytes.checked_sub(word.len()));
            (room, bytes) = (remaining.0.unwrap_or_default(), remaining.1.unwrap_or_default());
            remaining.0.is_some() && remaining.1.is_some()
        });
        let fit = fit.count();
        words.truncate(fit);
    }
    values.retain(|(_, words)| !words.is_empty());
    values
}

/// Words in alphabetical order with their positions. Values are separated by a gap, so that a phrase does not match across
/// two values.
pub(crate) fn places(values: &[FieldWords]) -> Vec<Word> {
    let mut found = Vec::new();
    let mut next = [0; Field::ALL.len()];
    for (field, words) in values {
        let Some(next) = next.get_mut(field.number()) else { continue };
        let places = field.places().start + *next..;
        *next += 1 + i64::try_from(words.len()).unwrap_or_default();
        found.extend(words.iter().cloned().zip(places));
    }
    found.sort_unstable();
    found
}

/// The words of a folder.
pub(crate) fn of_folder(display_name: &str) -> Vec<Word> {
    of(display_name).into_iter().zip(Field::Text(Text::DisplayName).places()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::{Email, Phone};
    use proptest::prelude::*;

    #[test]
    fn words_are_letters_and_digits_without_case_and_marks() {
        for (text, words) in [
            ("Ann.Lee@Example.org", &["ann", "lee", "example", "org"][..]),
            ("  José-María  O'Neil ", &["jose", "maria", "o", "neil"]),
            ("Jose\u{301} ŁÓDŹ Straße ﬁnn", &["jose", "łodz", "straße", "finn"]),
            ("İstanbul ısı", &["istanbul", "ısı"]),
            ("山田 たろう Yamada", &["山", "田", "た", "ろ", "う", "yamada"]),
            ("ガ", &["カ"]),
            ("１２３", &["123"]),
            ("- & _ 😀 ", &[]),
            ("한국", &["\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"]),
        ] {
            assert_eq!(of(text), words, "{text}");
        }
        assert_eq!(of(&"é".repeat(100)), ["e".repeat(MAX_WORD)]);
    }

    #[test]
    fn a_number_is_found_from_each_of_its_groups_on() {
        let number = |text: &str| numbers(&of(text));
        assert_eq!(number("+1 (732) 555-0102"), ["17325550102", "7325550102", "5550102", "0102"]);
        assert_eq!(number("5550102"), ["5550102"]);
        assert_eq!(number("none"), [""; 0]);
    }

    #[test]
    fn values_are_separated_and_duplicates_count_once() {
        let email = |name: &str| Email { name: Some(name.into()), address: Some("a@b".into()), ..Email::default() };
        let phone = Phone { number: Some("12 34 home".into()), ..Phone::default() };
        let p = Properties { emails: vec![email("a@b"), email("B")], phones: vec![phone], ..Properties::default() };
        let (emails, phones) = (Field::Emails.places().start, Field::Phones.places().start);
        let at = |word: &str, place| (word.to_owned(), place);
        let mut expected = [
            at("1234", phones),
            at("34", phones + 1),
            at("a", emails),
            at("a", emails + 3),
            at("b", emails + 1),
            at("b", emails + 4),
            at("b", emails + 6),
            at("home", phones + 3),
        ];
        expected.sort();
        assert_eq!(places(&of_contact(&p)), expected);
    }

    #[test]
    fn long_notes_do_not_displace_a_name() {
        let mut p = Properties::default();
        p.texts[Text::PersonalNotes as usize] = Some("x ".repeat(MAX_WORDS + 5));
        p.texts[Text::Surname as usize] = Some("Lee".into());
        let words = places(&of_contact(&p));
        assert_eq!(words.len(), MAX_WORDS);
        assert!(words.iter().any(|(word, _)| word == "lee"));
        let last = Field::Text(Text::PersonalNotes).places();
        assert!(words.iter().all(|(_, place)| *place < last.end));
    }

    #[test]
    fn properties_of_both_shapes_name_a_field() {
        for (name, field) in [
            ("displayname", Some(Field::Text(Text::DisplayName))),
            ("mobilePhone", Some(Field::Phones)),
            ("HomeAddress", Some(Field::Addresses)),
            ("primaryEmailAddress", Some(Field::Emails)),
            ("department", None),
        ] {
            assert_eq!(Field::named(name), field, "{name}");
        }
        for name in Field::names() {
            assert!(Field::named(name).is_some(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_word_is_one_word(text in "\\PC{0,40}") {
            for word in of(&text) {
                prop_assert_eq!(of(&word), [word]);
            }
        }
    }
}

//! Properties with one value: names, organisation, dates, notes, related people.

use std::borrow::Cow;

use crate::domain::contact::{DateTimeTimeZone, Flag, Text};
use crate::vcard::dates::{CardDate, day_text};
use crate::vcard::labels::{self, Relation};
use crate::vcard::line::Line;
use crate::vcard::read::{ASIDE, CardLines, FromLine, MAPPED, TOO_LONG};
use crate::vcard::record::Fate;
use crate::vcard::text::{many_lines, one_line, split, unescape};

impl<'a> CardLines<'a> {
    /// Reads a property of one value, given its name in upper case. An unknown property is kept aside.
    pub(super) fn single(&mut self, i: usize, line: &Line<'a>, name: &str) -> Option<Fate> {
        use Text as T;
        let text = match name {
            "FN" => T::DisplayName,
            "TITLE" => T::JobTitle,
            "ROLE" | "X-KADDRESSBOOK-X-PROFESSION" => T::Profession,
            "X-PHONETIC-FIRST-NAME" => T::YomiGivenName,
            "X-PHONETIC-LAST-NAME" => T::YomiSurname,
            "X-PHONETIC-ORG" => T::YomiCompanyName,
            "X-FILE-AS" | "X-EVOLUTION-FILE-AS" => T::FileAs,
            "X-EVOLUTION-MANAGER" | "X-MS-MANAGER" | "X-MANAGER" | "X-KADDRESSBOOK-X-MANAGERSNAME" => T::Manager,
            "X-EVOLUTION-ASSISTANT" | "X-MS-ASSISTANT" | "X-ASSISTANT" | "X-KADDRESSBOOK-X-ASSISTANTSNAME" => {
                T::AssistantName
            }
            "X-EVOLUTION-SPOUSE" | "X-MS-SPOUSE" | "X-SPOUSE" | "X-KADDRESSBOOK-X-SPOUSENAME" => T::SpouseName,
            "X-CONTACTD-INITIALS" => T::Initials,
            "X-CONTACTD-OFFICE-LOCATION" => T::OfficeLocation,
            "X-GENDER" => T::Gender,
            _ => return self.special(i, line, name),
        };
        if text == T::DisplayName && line.param("X-CONTACTD-DERIVED").is_some() {
            self.out.derived = true;
            return None;
        }
        let value = one_line(self.unescaped(line), self.tidy);
        self.text(text, i, value)
    }

    fn special(&mut self, i: usize, line: &Line<'a>, name: &str) -> Option<Fate> {
        if line.value.trim().is_empty() && !self.exact {
            return None;
        }
        match name {
            "N" => self.name(i, line),
            "NICKNAME" => self.nickname(i, line),
            "SOUND" => self.sound(i, line),
            "ORG" => self.organisation(i, line),
            "NOTE" => self.note(i, line),
            "BDAY" => self.birthday(i, line),
            "ANNIVERSARY"
            | "X-ANNIVERSARY"
            | "X-EVOLUTION-ANNIVERSARY"
            | "X-MS-ANNIVERSARY"
            | "X-KADDRESSBOOK-X-ANNIVERSARY" => self.anniversary(i, line, line.value),
            "X-ABDATE" if self.label(line).is_some_and(labels::is_anniversary) => self.anniversary(i, line, line.value),
            "X-ABRELATEDNAMES" | "RELATED" => self.related(i, line),
            "X-MS-CHILD" => self.child(i, &unescape(line.value)),
            "X-ANDROID-CUSTOM" => self.android(i, line),
            "GENDER" => self.gender(i, line),
            "X-WAB-GENDER" => self.wab_gender(i, line),
            "X-CONTACTD-FAVORITE" => self.favorite(i, line),
            "X-CONTACTD-FLAG" => self.flag(i, line),
            _ if line.value.trim().is_empty() => None,
            _ => ASIDE,
        }
    }

    /// The value without escapes. In a card that this program wrote, the line breaks are those of the contact.
    pub(super) fn unescaped(&self, line: &Line<'a>) -> Cow<'a, str> {
        let text = unescape(line.value);
        match self.own_param(line, "X-CONTACTD-BREAKS") {
            Some(breaks) => Cow::Owned(with_breaks(&text, &breaks, &mut 0)),
            None => text,
        }
    }

    /// Sets a text, unless it is set or too long.
    pub(super) fn text(&mut self, text: Text, i: usize, value: String) -> Option<Fate> {
        if value.is_empty() {
            return None;
        }
        if self.out.texts[text as usize].is_some() {
            return ASIDE;
        }
        if value.len() > text.max() && value.chars().count() > text.max() {
            self.out.over.texts[text as usize] = true;
            return TOO_LONG;
        }
        self.out.texts[text as usize] = Some(FromLine { line: i, value });
        MAPPED
    }

    /// Sets several texts from one line. A text that is too long stays only in the line.
    fn parts(&mut self, i: usize, parts: impl IntoIterator<Item = (Text, String)>) -> Option<Fate> {
        let mut fate = None;
        for (text, value) in parts {
            fate = match (fate, self.text(text, i, value)) {
                (None, next) => next,
                (fate, None) => fate,
                (Some(Fate::Mapped), MAPPED) => MAPPED,
                (Some(Fate::Aside(reason)), Some(Fate::Aside(_))) => Some(Fate::Aside(reason)),
                _ => Some(Fate::Partial),
            };
        }
        fate
    }

    fn component(&self, line: &Line<'a>, raw: &'a str, at: &mut usize) -> String {
        let text = unescape(raw);
        if let Some(breaks) = self.own_param(line, "X-CONTACTD-BREAKS") {
            return with_breaks(&text, &breaks, at);
        }
        one_line(text, self.tidy)
    }

    fn name(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        use Text as T;
        let mut values: [String; 7] = Default::default();
        let (mut further, mut breaks) = (false, 0);
        for (at, raw) in split(line.value, b';').enumerate() {
            let Some(value) = values.get_mut(at) else {
                further |= !raw.trim().is_empty();
                continue;
            };
            for part in split(raw, b',') {
                let part = self.component(line, part, &mut breaks);
                if !value.is_empty() && !part.is_empty() {
                    value.push(' ');
                }
                value.push_str(&part);
            }
        }
        let [mut surname, given, middle, title, mut generation, second, also] = values;
        append_words(&mut surname, &second);
        append_words(&mut generation, &also);
        if [T::Surname, T::GivenName, T::MiddleName, T::Title, T::Generation]
            .iter()
            .any(|text| self.out.texts[*text as usize].as_ref().is_some_and(|from| self.lines[from.line].is("N")))
        {
            return ASIDE;
        }
        let parts = [
            (T::Surname, surname),
            (T::GivenName, given),
            (T::MiddleName, middle),
            (T::Title, title),
            (T::Generation, generation),
        ];
        let fate = self.parts(i, parts);
        if further { fate.map_or(ASIDE, |_| Some(Fate::Partial)) } else { fate }
    }

    fn nickname(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let mut breaks = 0;
        let mut names = split(line.value, b',').map(|raw| self.component(line, raw, &mut breaks));
        let (first, further) = (names.find(|name| !name.is_empty()), names.any(|name| !name.is_empty()));
        match self.text(Text::NickName, i, first.unwrap_or_default()) {
            MAPPED if further => Some(Fate::Partial),
            fate => fate,
        }
    }

    fn sound(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        if !line.has_type("X-IRMC-N") {
            return ASIDE;
        }
        let mut parts = split(line.value, b';').map(|raw| one_line(unescape(raw), self.tidy));
        let (surname, given) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        self.parts(i, [(Text::YomiSurname, surname), (Text::YomiGivenName, given)])
    }

    fn organisation(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let mut breaks = 0;
        let mut parts = split(line.value, b';').map(|raw| self.component(line, raw, &mut breaks));
        let (company, department) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let further = parts.any(|part| !part.is_empty());
        let taken = [Text::CompanyName, Text::Department].iter().any(|text| self.out.texts[*text as usize].is_some());
        if taken {
            return if further || !(company.is_empty() && department.is_empty()) { ASIDE } else { None };
        }
        let fate = self.parts(i, [(Text::CompanyName, company), (Text::Department, department)]);
        if further { fate.map_or(ASIDE, |_| Some(Fate::Partial)) } else { fate }
    }

    fn note(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let note = many_lines(self.unescaped(line), self.tidy);
        if note.is_empty() {
            return None;
        }
        let length = note.chars().count() + usize::from(self.notes > 0);
        if self.notes + length > Text::PersonalNotes.max() {
            self.out.over.texts[Text::PersonalNotes as usize] = true;
            return TOO_LONG;
        }
        self.notes += length;
        let notes = &mut self.out.texts[Text::PersonalNotes as usize];
        match notes {
            Some(notes) => {
                notes.value.push('\n');
                notes.value.push_str(&note);
            }
            None => *notes = Some(FromLine { line: i, value: note }),
        }
        MAPPED
    }

    fn birthday(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        if self.out.birthday.is_some() {
            return ASIDE;
        }
        let value = match own_value(self.exact, line) {
            Some(value) => value,
            None if line.is_text() => return ASIDE,
            None => match CardDate::read(line.value, line.param("X-APPLE-OMIT-YEAR").as_deref()) {
                Some(when) => when.birthday(),
                None => return ASIDE,
            },
        };
        self.out.birthday = Some(FromLine { line: i, value });
        MAPPED
    }

    fn anniversary(&mut self, i: usize, line: &Line<'a>, value: &str) -> Option<Fate> {
        if self.out.wedding_anniversary.is_some() {
            return ASIDE;
        }
        let value = match own_value(self.exact, line) {
            Some(value) => value,
            None if line.is_text() => return ASIDE,
            None => match CardDate::read(value, line.param("X-APPLE-OMIT-YEAR").as_deref()) {
                Some(when) => day_text(when.day),
                None => return ASIDE,
            },
        };
        self.out.wedding_anniversary = Some(FromLine { line: i, value });
        MAPPED
    }

    fn related(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let is_uri = line.param("VALUE").is_some_and(|value| value.eq_ignore_ascii_case("uri"))
            || (!line.is_text() && line.is("RELATED") && has_scheme(line.value));
        if is_uri {
            return ASIDE;
        }
        let label = self.label(line).filter(|label| !labels::readable(label).is_empty());
        let relation = match label {
            Some(label) => labels::relation(label),
            None => line.types().find_map(labels::relation),
        };
        let value = one_line(self.unescaped(line), self.tidy);
        match relation {
            Some(Relation::Spouse) => self.text(Text::SpouseName, i, value),
            Some(Relation::Manager) => self.text(Text::Manager, i, value),
            Some(Relation::Assistant) => self.text(Text::AssistantName, i, value),
            Some(Relation::Child) => self.child(i, &value),
            None => ASIDE,
        }
    }

    /// `vnd.android.cursor.item/KIND;value;type;label;…`
    fn android(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let mut parts = split(line.value, b';').map(unescape);
        let kind = parts.next().unwrap_or_default();
        let kind = kind.trim().strip_prefix("vnd.android.cursor.item/").unwrap_or_default().to_owned();
        let value = one_line(parts.next().unwrap_or_default(), self.tidy);
        let number = parts.next().unwrap_or_default();
        match (kind.as_str(), number.trim()) {
            ("nickname", _) => self.text(Text::NickName, i, value),
            ("relation", "14") => self.text(Text::SpouseName, i, value),
            ("relation", "7") => self.text(Text::Manager, i, value),
            ("relation", "1") => self.text(Text::AssistantName, i, value),
            ("relation", "3") => self.child(i, &value),
            ("contact_event", "1") => self.anniversary(i, line, &value),
            _ => ASIDE,
        }
    }

    fn gender(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let (sex, text) = match split(line.value, b';').next() {
            Some(sex) if sex.len() < line.value.len() => (sex.trim(), &line.value[sex.len() + 1..]),
            _ => (line.value.trim(), ""),
        };
        let breaks = self.own_param(line, "X-CONTACTD-BREAKS");
        let text = match breaks {
            Some(breaks) => with_breaks(&unescape(text), &breaks, &mut 0),
            None => one_line(unescape(text), self.tidy),
        };
        let word = match sex.to_ascii_uppercase().as_str() {
            "" => return self.text(Text::Gender, i, text),
            "M" => "Male",
            "F" => "Female",
            "O" => "Other",
            "N" => "Not applicable",
            "U" => "Unknown",
            _ => return ASIDE,
        };
        match self.text(Text::Gender, i, word.to_owned()) {
            MAPPED if !text.is_empty() => Some(Fate::Partial),
            fate => fate,
        }
    }

    fn wab_gender(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        match line.value.trim() {
            "1" => self.text(Text::Gender, i, "Female".to_owned()),
            "2" => self.text(Text::Gender, i, "Male".to_owned()),
            _ => ASIDE,
        }
    }

    fn favorite(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let value = match line.value.trim() {
            value if value.eq_ignore_ascii_case("true") => true,
            value if value.eq_ignore_ascii_case("false") => false,
            _ => return ASIDE,
        };
        self.out.is_favorite = Some(FromLine { line: i, value });
        MAPPED
    }

    fn flag(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&unescape(line.value)) else { return ASIDE };
        let time = |name: &str| {
            let member = |member: &str| json.get(name)?.get(member)?.as_str().map(str::to_owned);
            DateTimeTimeZone { date_time: member("dateTime"), time_zone: member("timeZone") }
        };
        let status = json.get("flagStatus").and_then(serde_json::Value::as_str).map(str::to_owned);
        let (completed, due, start) = (time("completedDateTime"), time("dueDateTime"), time("startDateTime"));
        let value = Flag { status, completed, due, start };
        if value == Flag::default() || self.out.flag.is_some() {
            return ASIDE;
        }
        self.out.flag = Some(FromLine { line: i, value });
        MAPPED
    }
}

/// The exact value from our own parameter, for values that the property cannot express.
fn own_value(exact: bool, line: &Line<'_>) -> Option<String> {
    if exact { line.param("X-CONTACTD-VALUE").map(Cow::into_owned) } else { None }
}

/// Whether a text begins with a scheme and has no blank, like an address.
fn has_scheme(text: &str) -> bool {
    scheme(text).is_some() && !text.trim().contains(char::is_whitespace)
}

/// The scheme of an address, without its colon.
pub(crate) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.trim().split_once(':')?;
    let is = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'));
    is.then_some(scheme)
}

/// Appends the words that it does not have yet.
fn append_words(to: &mut String, more: &str) {
    if more.is_empty() {
        return;
    }
    let existing: Vec<String> = to.split_whitespace().map(str::to_owned).collect();
    if more.split_whitespace().any(|word| existing.iter().any(|known| known == word)) {
        return;
    }
    if !to.is_empty() {
        to.push(' ');
    }
    to.push_str(more);
}

/// Restores the line breaks of a text: `r` is CR, `b` CRLF, `n` LF, one letter for each break. The last letter repeats.
/// `at` counts them.
pub(super) fn with_breaks(text: &str, breaks: &str, at: &mut usize) -> String {
    let letters = breaks.as_bytes();
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c != '\n' {
            out.push(c);
            continue;
        }
        out.push_str(match letters.get(*at).or(letters.last()) {
            Some(b'r') => "\r",
            Some(b'b') => "\r\n",
            _ => "\n",
        });
        *at += 1;
    }
    out
}

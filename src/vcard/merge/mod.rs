//! Updates a stored card from its contact. Lines that the contact does not cover, and lines that agree with it, stay
//! the same to the octet. A changed line keeps its group and the parameters that still apply (docs/carddav.md).

mod entries;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::contact::patch::derived_name;
use crate::domain::contact::{Properties, Text};
use crate::vcard::card::CardText;
use crate::vcard::dates;
use crate::vcard::edit::{Edit, Rewrite, fold_as, rewritten};
use crate::vcard::line::Line;
use crate::vcard::read::{CardOrigin, FromLine, Projection, labels_of};
use crate::vcard::write::{CardContent, Class, FreeGroups, NewLine, lines, photo_line, rev, single};
use crate::vcard::{Audience, Version, text};

/// A contact as lines in our form, and what these say.
struct Ours {
    lines: Vec<NewLine>,
    /// The index in `lines` of each line that was projected.
    of: Vec<usize>,
    read_back: Projection,
    /// The contact has no name, so FN shows something else.
    nameless: bool,
}

impl Ours {
    fn of(properties: &Properties, version: Version, audience: Audience, then: &Projection) -> Self {
        let mut new = lines(properties, version, audience);
        if audience == Audience::CardDav && hidden(then) {
            let shown: BTreeSet<Class> = new.iter().map(|line| line.class).collect();
            let known = |line: &NewLine| has(then, line.class) && !shown.contains(&line.class);
            new.extend(lines(properties, version, Audience::Export).into_iter().filter(known));
        }
        let (mut texts, mut of) = (Vec::new(), Vec::new());
        for (i, line) in new.iter().enumerate() {
            let group = line.label.as_ref().map_or_else(String::new, |_| format!("n{i}."));
            texts.push(format!("{group}{}:{}", line.head, line.value));
            of.push(i);
            if let Some(label) = &line.label {
                texts.push(format!("{group}X-ABLabel:{}", text::escaped(label)));
                of.push(i);
            }
        }
        let parsed: Vec<Line<'_>> = texts.iter().filter_map(|text| Line::parse(text)).collect();
        let read_back = Projection::of(&parsed, CardOrigin::CardDav);
        let nameless = single::shown_name(properties).1;
        Self { lines: new, of, read_back, nameless }
    }

    fn line(&self, at: usize) -> Option<&NewLine> {
        self.of.get(at).and_then(|at| self.lines.get(*at))
    }
}

/// The text properties of a class.
fn texts_of(class: Class) -> &'static [Text] {
    use Text as T;
    match class {
        Class::DisplayName => &[T::DisplayName],
        Class::Name => &[T::Surname, T::GivenName, T::MiddleName, T::Title, T::Generation],
        Class::NickName => &[T::NickName],
        Class::YomiGivenName => &[T::YomiGivenName],
        Class::YomiSurname => &[T::YomiSurname],
        Class::YomiCompany => &[T::YomiCompanyName],
        Class::Organisation => &[T::CompanyName, T::Department],
        Class::JobTitle => &[T::JobTitle],
        Class::Profession => &[T::Profession],
        Class::Spouse => &[T::SpouseName],
        Class::Manager => &[T::Manager],
        Class::Assistant => &[T::AssistantName],
        Class::Notes => &[T::PersonalNotes],
        Class::Gender => &[T::Gender],
        Class::FileAs => &[T::FileAs],
        Class::Initials => &[T::Initials],
        Class::OfficeLocation => &[T::OfficeLocation],
        _ => &[],
    }
}

/// The classes whose values are texts.
const TEXTS: [Class; 17] = [
    Class::DisplayName,
    Class::Name,
    Class::NickName,
    Class::YomiGivenName,
    Class::YomiSurname,
    Class::YomiCompany,
    Class::Organisation,
    Class::JobTitle,
    Class::Profession,
    Class::Spouse,
    Class::Manager,
    Class::Assistant,
    Class::Notes,
    Class::Gender,
    Class::FileAs,
    Class::Initials,
    Class::OfficeLocation,
];

/// The name of a card: FN, or the name that other lines imply.
fn implied(then: &Projection) -> Option<String> {
    let text = |text: Text| then.texts[text as usize].as_ref().map(|from| from.value.as_str());
    let email = then.emails.iter().find_map(|from| from.value.address.as_deref());
    let implied = || derived_name(text(Text::GivenName), text(Text::Surname), text(Text::CompanyName), email);
    text(Text::DisplayName).map(str::to_owned).or_else(implied)
}

/// Whether a card has lines of a class that cards for CardDAV do not have by default.
fn has(then: &Projection, class: Class) -> bool {
    match class {
        Class::FileAs | Class::Gender | Class::Initials | Class::OfficeLocation => {
            texts_of(class).iter().any(|text| then.texts[*text as usize].is_some())
        }
        Class::Favorite => then.is_favorite.is_some(),
        Class::Flag => then.flag.is_some(),
        _ => false,
    }
}

fn hidden(then: &Projection) -> bool {
    [Class::FileAs, Class::Gender, Class::Initials, Class::OfficeLocation, Class::Favorite, Class::Flag]
        .into_iter()
        .any(|class| has(then, class))
}

/// The card, updated from the contact. `photo_current` is false if the photo changed since the text was stored.
pub(crate) fn merge(card: &CardText<'_>, shown: &CardContent<'_>, photo_current: bool, audience: Audience) -> String {
    let lines = card.lines();
    let then = Projection::of(&lines, CardOrigin::CardDav);
    let version = card.version();
    let ours = Ours::of(shown.properties, version, audience, &then);
    let mut merger = Merger {
        lines: &lines,
        then: &then,
        ours: &ours,
        version,
        label_of: labels_of(&lines),
        edits: vec![Edit::Keep; lines.len()],
        behind: BTreeMap::new(),
        appended: Vec::new(),
    };
    for class in TEXTS {
        merger.texts(class);
    }
    merger.dates();
    merger.others();
    merger.collections();
    merger.photo(shown.photo, photo_current);
    merger.uid(shown.uid);
    merger.rev(shown.last_modified);
    merger.labels();
    merger.output(card, audience)
}

struct Merger<'a> {
    lines: &'a [Line<'a>],
    then: &'a Projection,
    ours: &'a Ours,
    version: Version,
    /// The line with the label of each group; groups are in lower case.
    label_of: BTreeMap<String, usize>,
    edits: Vec<Edit>,
    /// New lines after a line.
    behind: BTreeMap<usize, Vec<NewLine>>,
    /// New lines before END.
    appended: Vec<NewLine>,
}

impl Merger<'_> {
    fn append(&mut self, line: Option<&NewLine>) {
        self.appended.extend(line.cloned());
    }

    /// Replaces a line with a changed one, or removes it and adds one in our form.
    fn replace(&mut self, at: usize, edited: Option<String>, new: Option<&NewLine>) {
        if let Some(line) = edited {
            self.edits[at] = Edit::Line(line);
        } else {
            self.edits[at] = Edit::Remove;
            self.append(new);
        }
    }

    fn new_line(&self, class: Class) -> Option<&NewLine> {
        self.ours.lines.iter().find(|line| line.class == class)
    }

    fn texts(&mut self, class: Class) {
        let texts = texts_of(class);
        let value = |of: &Projection, text: Text| of.texts[text as usize].as_ref().map(|from| from.value.clone());
        let (then, now) = (self.then, &self.ours.read_back);
        let same = |text: &Text| value(then, *text) == value(now, *text);
        if texts.iter().all(same) || (class == Class::DisplayName && implied(then) == value(now, Text::DisplayName)) {
            return;
        }
        let from = texts.iter().find_map(|text| then.texts[*text as usize].as_ref()).map(|from| from.line);
        if class == Class::DisplayName && from.is_none() && self.ours.nameless {
            return;
        }
        let from = from.or_else(|| match class {
            Class::DisplayName => self.lines.iter().position(|line| line.is("FN")),
            Class::Name => self.lines.iter().position(|line| line.is("N")),
            _ => None,
        });
        let gone = texts.iter().all(|text| now.texts[*text as usize].is_none());
        let new = self.new_line(class).cloned();
        let Some(from) = from else { return self.append(new.as_ref()) };
        if class == Class::Notes {
            self.remove_all(|line, _| line.is("NOTE"), from);
        }
        if class == Class::Name {
            self.remove_all(|line, _| line.is("SORT-STRING"), from);
        }
        if gone {
            self.remove_class(class);
            // A card always has a name, even an empty one.
            if !matches!(class, Class::Name | Class::DisplayName) {
                return;
            }
        }
        let line = &self.lines[from];
        let sound = line.is("SOUND").then(|| {
            let part = |text| value(now, text).map(|text| text::escaped(&text)).unwrap_or_default();
            format!("{};{};;;", part(Text::YomiSurname), part(Text::YomiGivenName))
        });
        let edited = match (&new, sound) {
            (_, Some(value)) => Some(rewritten(line, &[], None, &value)),
            (Some(new), None) => Rewrite { line }.text(class, new),
            (None, None) => None,
        };
        self.replace(from, edited, new.as_ref());
    }

    /// Removes lines except one.
    fn remove_all(&mut self, is: impl Fn(&Line<'_>, usize) -> bool, but: usize) {
        for (i, line) in self.lines.iter().enumerate() {
            let kept_aside = matches!(self.then.fates[i], Some(crate::vcard::record::Fate::Aside(Some(_))));
            if i != but && !kept_aside && is(line, i) {
                self.edits[i] = Edit::Remove;
            }
        }
    }

    /// Removes every line of a class, also one that another line overrides.
    fn remove_class(&mut self, class: Class) {
        let texts = texts_of(class);
        for (i, line) in self.lines.iter().enumerate() {
            if matches!(self.then.fates[i], None | Some(crate::vcard::record::Fate::Lost(_))) {
                continue;
            }
            let label = line.group.and_then(|group| self.label_of.get(&group.to_ascii_lowercase()));
            let label = label.map(|at| &self.lines[*at]);
            let single_line: Vec<Line<'_>> = [Some(line), label].into_iter().flatten().copied().collect();
            let read_back = Projection::of(&single_line, CardOrigin::CardDav);
            let says = match class {
                Class::Birthday => read_back.birthday.is_some(),
                Class::Anniversary => read_back.wedding_anniversary.is_some(),
                _ => texts.iter().any(|text| read_back.texts[*text as usize].is_some()),
            };
            if says {
                self.edits[i] = Edit::Remove;
            }
        }
    }

    fn dates(&mut self) {
        let shown = |from: &Option<FromLine<String>>| from.as_ref().map(|from| from.value.clone());
        let (then, now) = (shown(&self.then.birthday), shown(&self.ours.read_back.birthday));
        let day = |text: &Option<String>| text.as_deref().and_then(dates::shown_day);
        // A card with a time of day keeps it as long as the day is the same.
        let same = then == now || (day(&then).is_some() && day(&then).map(|d| d.0) == day(&now).map(|d| d.0));
        if !same {
            self.date(Class::Birthday, self.then.birthday.as_ref().map(|from| from.line), now.is_none());
        }
        let (then, now) = (shown(&self.then.wedding_anniversary), shown(&self.ours.read_back.wedding_anniversary));
        if then != now {
            let from = self.then.wedding_anniversary.as_ref().map(|from| from.line);
            self.date(Class::Anniversary, from, now.is_none());
        }
    }

    fn date(&mut self, class: Class, from: Option<usize>, gone: bool) {
        let new = self.new_line(class).cloned();
        match (from, new) {
            (Some(_), _) if gone => self.remove_class(class),
            (Some(from), Some(new)) => {
                let line = &self.lines[from];
                self.remove_all(|other, _| other.is(line.name) && line.param("ALTID").is_some(), from);
                self.replace(from, Rewrite { line }.date(&new), Some(&new));
            }
            (_, new) => self.append(new.as_ref()),
        }
    }

    /// Properties that only files have.
    fn others(&mut self) {
        let (then, now) = (self.then, &self.ours.read_back);
        let favorite = |of: &Projection| of.is_favorite.as_ref().map(|from| from.value);
        let flag = |of: &Projection| of.flag.as_ref().map(|from| from.value.clone());
        for (class, same, from) in [
            (Class::Favorite, favorite(then) == favorite(now), then.is_favorite.as_ref().map(|from| from.line)),
            (Class::Flag, flag(then) == flag(now), then.flag.as_ref().map(|from| from.line)),
        ] {
            if !same {
                if let Some(from) = from {
                    self.edits[from] = Edit::Remove;
                }
                let new = self.new_line(class).cloned();
                self.append(new.as_ref());
            }
        }
    }

    fn photo(&mut self, photo: Option<&[u8]>, current: bool) {
        let then = self.then.photo.as_ref();
        let new = photo.map(|photo| photo_line(photo, self.version));
        match (then, new) {
            (Some(then), _) if current && photo == Some(then.value.as_slice()) => {}
            (Some(then), Some(new)) => {
                let edited = Rewrite { line: &self.lines[then.line] }.photo(&new);
                self.edits[then.line] = Edit::Line(edited);
            }
            (None, new) => self.append(new.as_ref()),
            (Some(then), None) => self.edits[then.line] = Edit::Remove,
        }
        if current {
            return;
        }
        // A removed photo may leave a line without a value.
        for (i, line) in self.lines.iter().enumerate().filter(|(_, line)| line.is("PHOTO")) {
            let empty = line.value.trim().is_empty() || line.value.trim_end().ends_with(";base64,");
            if empty && self.edits[i] == Edit::Keep {
                self.edits[i] = Edit::Remove;
            }
        }
    }

    fn uid(&mut self, uid: &str) {
        let key = crate::domain::card::uid_key;
        match &self.then.uid {
            Some(then) if key(&then.value) == key(uid) => {}
            Some(then) => {
                self.edits[then.line] = Edit::Line(format!("UID:{}", text::escaped(uid)));
            }
            None => {
                let line = NewLine::new(Class::DisplayName, "UID", text::escaped(uid));
                self.append(Some(&line));
            }
        }
    }

    fn rev(&mut self, last_modified: Option<i64>) {
        let at = self.lines.iter().position(|line| line.is("REV"));
        if let (Some(at), Some(last_modified)) = (at, last_modified) {
            self.edits[at] = Edit::Line(format!("REV:{}", rev(last_modified)));
        }
    }

    /// Removes the labels of groups without lines.
    fn labels(&mut self) {
        let with = |line: &Line<'_>| line.is("X-ABLABEL") || line.is("X-ABADR");
        let key = |group: &str| group.to_ascii_lowercase();
        let (mut lost, mut left) = (BTreeSet::new(), BTreeSet::new());
        for (line, edit) in self.lines.iter().zip(&self.edits).filter(|(line, _)| !with(line)) {
            let now = match edit {
                Edit::Keep => line.group,
                Edit::Line(line) => Line::parse(line).and_then(|line| line.group),
                Edit::Remove => None,
            };
            left.extend(now.map(key));
            lost.extend(line.group.filter(|_| *edit != Edit::Keep).map(key));
        }
        // Moved lines are among the new ones and have their earlier group.
        let moved = self.behind.values().flatten().filter_map(|line| line.head.split(';').next()?.split_once('.'));
        left.extend(moved.map(|(group, _)| key(group)));
        for (line, edit) in self.lines.iter().zip(&mut self.edits) {
            if with(line) && line.group.is_some_and(|group| lost.contains(&key(group)) && !left.contains(&key(group))) {
                *edit = Edit::Remove;
            }
        }
    }

    fn output(mut self, card: &CardText<'_>, audience: Audience) -> String {
        let line_end = card.line_end();
        let mut groups = FreeGroups::default();
        self.lines.iter().filter_map(|line| line.group).for_each(|group| groups.used(group));
        let end = self.lines.iter().rposition(|line| line.is("END"));
        let mut out = String::with_capacity(card.pieces.iter().map(|piece| piece.raw.len()).sum::<usize>() + 256);
        let push = |lines: &[NewLine], groups: &mut FreeGroups, out: &mut String| {
            let mut folded = String::new();
            for line in lines {
                line.push(groups, audience, &mut folded);
            }
            out.push_str(&if line_end == "\n" { folded.replace("\r\n", "\n") } else { folded });
        };
        self.appended.sort_by_key(|line| line.class);
        for (i, piece) in card.pieces.iter().enumerate() {
            if Some(i) == end {
                push(&self.appended, &mut groups, &mut out);
            }
            match &self.edits[i] {
                Edit::Keep => out.push_str(piece.raw),
                Edit::Remove => {}
                Edit::Line(line) => fold_as(line, line_end, &mut out),
            }
            if let Some(lines) = self.behind.get(&i) {
                push(lines, &mut groups, &mut out);
            }
        }
        if end.is_none() {
            push(&self.appended, &mut groups, &mut out);
        }
        out
    }
}

//! The changes that a PUT of a card makes to its contact: only values that the card showed before and that are different now. Properties
//! that no card shows stay, and so does a value that the card replaces by one above a limit: that stays in the card only
//! (docs/carddav.md).

use crate::domain::contact::patch::{ContactPatch, derived_name};
use crate::domain::contact::{Complex, Email, MAX_ENTRIES, Properties, Text};
use crate::vcard::card::CardText;
use crate::vcard::line::Line;
use crate::vcard::read::{CardOrigin, FromLine, Projection};
use crate::vcard::write::{self, Class, NewLine};
use crate::vcard::{Audience, Version, text};

/// The changes of a PUT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Put {
    /// The properties that change.
    pub patch: ContactPatch,
    /// The photo: `None` if it stays, else the new one or none.
    pub photo: Option<Option<Vec<u8>>>,
}

impl Put {
    /// Whether the contact does not change. The card's text may still have changed.
    pub fn is_empty(&self) -> bool {
        self.patch.is_empty() && self.photo.is_none()
    }
}

/// Reads the card of a CardDAV client, of version 3.0 or 4.0.
pub fn read_card(card: &str) -> Projection {
    Projection::of(&CardText::parse(card).lines(), CardOrigin::CardDav)
}

/// The changes that a PUT of `body` makes to a contact. `shown` is the card that a GET in the body's version returns now.
pub fn put(current: &Properties, shown: &str, body: &str) -> Put {
    let (then, now) = (read_card(shown), read_card(body));
    let mut put = Put::default();
    texts(current, &then, &now, &mut put.patch);
    let changed = |then: &Option<FromLine<String>>, now: &Option<FromLine<String>>| {
        let value = |from: &Option<FromLine<String>>| from.as_ref().map(|from| from.value.clone());
        (value(then) != value(now)).then(|| value(now))
    };
    put.patch.birthday = changed(&then.birthday, &now.birthday);
    put.patch.wedding_anniversary = changed(&then.wedding_anniversary, &now.wedding_anniversary);
    // Properties that only files have are never cleared, because clients drop unknown lines.
    let favorite = |of: &Projection| of.is_favorite.as_ref().map(|from| from.value);
    put.patch.is_favorite = favorite(&now).filter(|now| favorite(&then) != Some(*now)).map(Some);
    let flag = |of: &Projection| of.flag.as_ref().map(|from| from.value.clone());
    put.patch.flag = flag(&now).filter(|now| flag(&then).as_ref() != Some(now)).map(Some);
    collections(current, &then, &now, &mut put.patch);
    let over = now.over.photo;
    let photo = |of: Projection| of.photo.map(|from| from.value);
    let (then, now) = (photo(then), photo(now));
    put.photo = (then != now && !(over && now.is_none())).then_some(now);
    put
}

fn texts(current: &Properties, then: &Projection, now: &Projection, patch: &mut ContactPatch) {
    let value = |of: &'_ Projection, text: Text| of.texts[text as usize].as_ref().map(|from| from.value.clone());
    for text in Text::ALL {
        let is_over = now.over.texts[text as usize];
        if is_over && (text == Text::PersonalNotes || now.texts[text as usize].is_none()) {
            continue;
        }
        let was_over = then.over.texts[text as usize];
        let (then, new) = (value(then, text), value(now, text));
        // The card did not show what the contact kept in place of a value above a limit.
        if then == new && !(was_over && current.text(text) != new.as_deref()) {
            continue;
        }
        patch.texts[text as usize] = match (text, new) {
            // Cards do not show these by default, so a missing line does not clear them.
            (Text::Initials | Text::OfficeLocation, None) => None,
            (Text::DisplayName, new) => {
                let email = now.emails.iter().find_map(|from| from.value.address.as_deref());
                let part = |text: Text| now.texts[text as usize].as_ref().map(|from| from.value.as_str());
                let derived = derived_name(part(Text::GivenName), part(Text::Surname), part(Text::CompanyName), email);
                match new.filter(|name| derived.as_ref() != Some(name)) {
                    None if current.display_name_derived => None,
                    new => Some(new),
                }
            }
            (_, new) => Some(new),
        };
    }
}

fn collections(current: &Properties, then: &Projection, now: &Projection, patch: &mut ContactPatch) {
    // The rows of a collection of entries: its name in a contact and in a projection, what makes its line, and its key.
    macro_rules! rows {
        ($collection:ident, $line:expr, $key:literal, $change:expr) => {
            merged_complex(
                &current.$collection,
                (&then.$collection, then.over.$collection),
                (&now.$collection, now.over.$collection),
                |row| first(read_line($line(row, Version::V3, Audience::CardDav))?.$collection),
                $key,
                $change,
            )
        };
    }
    patch.emails = rows!(emails, write::entries::email_line, "address", change_email);
    patch.phones = rows!(phones, write::entries::phone_line, "number", change);
    patch.addresses = rows!(addresses, write::entries::address_line, "", change);
    patch.websites = rows!(websites, write::entries::website_line, "address", change);
    let replace = |row: &mut String, _: &String, now: &String| row.clone_from(now);
    macro_rules! texts {
        ($collection:ident, $class:expr) => {
            merged(
                &current.$collection,
                (&then.$collection, then.over.$collection),
                (&now.$collection, now.over.$collection),
                |row: &String| text_shown($class, row),
                |_, _| false,
                |_, _| false,
                replace,
            )
        };
    }
    patch.im_addresses = texts!(im_addresses, Class::ImAddresses);
    patch.children = texts!(children, Class::Children);
    patch.categories = texts!(categories, Class::Categories);
}

/// A text entry as a card shows it.
fn text_shown(class: Class, row: &str) -> Option<String> {
    let line = match class {
        Class::ImAddresses => write::entries::im_line(row, Audience::CardDav),
        Class::Children => write::entries::related_line(class, row, Version::V3, Audience::CardDav),
        _ => write::entries::categories_line(&[row], Audience::CardDav)?,
    };
    let said = read_line(Some(line))?;
    first(match class {
        Class::ImAddresses => said.im_addresses,
        Class::Children => said.children,
        _ => said.categories,
    })
}

/// The content of a line in our form.
fn read_line(line: Option<NewLine>) -> Option<Projection> {
    let line = line?;
    let group = if line.label.is_some() { "g." } else { "" };
    let texts = [
        Some(format!("{group}{}:{}", line.head, line.value)),
        line.label.map(|label| format!("g.X-ABLabel:{}", text::escaped(&label))),
    ];
    let lines: Vec<Line<'_>> = texts.iter().flatten().filter_map(|text| Line::parse(text)).collect();
    Some(Projection::of(&lines, CardOrigin::CardDav))
}

fn first<T>(list: Vec<FromLine<T>>) -> Option<T> {
    list.into_iter().next().map(|from| from.value)
}

/// [`merged`] for entries whose key is the member of this name.
fn merged_complex<T: Complex + Clone + PartialEq>(
    current: &[T],
    then: (&Vec<FromLine<T>>, usize),
    now: (&Vec<FromLine<T>>, usize),
    row_shown: impl Fn(&T) -> Option<T>,
    key: &str,
    change: impl Fn(&mut T, &T, &T),
) -> Option<Vec<T>> {
    let member = |name: &str| T::MEMBERS.iter().position(|member| member.json == name);
    let (key, kind) = (member(key), member("type"));
    let same = |a: &T, b: &T, member: Option<usize>| member.is_some_and(|i| a.member(i) == b.member(i));
    merged(current, then, now, row_shown, |a, b| same(a, b, key), |a, b| same(a, b, kind), change)
}

/// The rows of a collection after a PUT, or `None` if they stay. A new entry is matched with an old one if they are
/// equal, else if they have the same key, else by order among similar ones; its row keeps what no card shows. Rows that
/// no card shows stay, at the end, and as many unmatched rows as there are entries above a limit, whose place they may have.
fn merged<T: Clone + PartialEq>(
    current: &[T],
    (then, over_then): (&Vec<FromLine<T>>, usize),
    (now, over): (&Vec<FromLine<T>>, usize),
    row_shown: impl Fn(&T) -> Option<T>,
    same_key: impl Fn(&T, &T) -> bool,
    alike: impl Fn(&T, &T) -> bool,
    change: impl Fn(&mut T, &T, &T),
) -> Option<Vec<T>> {
    let same = then.len() == now.len() && then.iter().zip(now).all(|(then, now)| then.value == now.value);
    if same && over_then <= over {
        return None;
    }
    let mut matched: Vec<Option<usize>> = vec![None; now.len()];
    let mut free = vec![true; then.len()];
    for pass in 0..3 {
        for (now, matched) in now.iter().zip(&mut matched).filter(|(_, matched)| matched.is_none()) {
            let fits = |a: &T, b: &T| match pass {
                0 => a == b,
                1 => same_key(a, b),
                _ => alike(a, b),
            };
            *matched = (0..then.len()).find(|i| free[*i] && fits(&then[*i].value, &now.value));
            if let Some(i) = *matched {
                free[i] = false;
            }
        }
    }
    let shown: Vec<Option<T>> = current.iter().map(row_shown).collect();
    let mut row_free: Vec<bool> = shown.iter().map(Option::is_some).collect();
    let row_of: Vec<Option<usize>> = then
        .iter()
        .map(|then| {
            let at = (0..current.len()).find(|i| row_free[*i] && shown[*i].as_ref() == Some(&then.value))?;
            row_free[at] = false;
            Some(at)
        })
        .collect();
    let taken: Vec<usize> = matched.iter().filter_map(|i| row_of[(*i)?]).collect();
    let mut rows: Vec<T> = Vec::with_capacity(now.len());
    for (now, matched) in now.iter().zip(&matched) {
        let row = matched.and_then(|i| Some((&then[i].value, current[row_of[i]?].clone())));
        rows.push(match row {
            Some((then, mut row)) => {
                change(&mut row, then, &now.value);
                row
            }
            None => now.value.clone(),
        });
    }
    // Two rows with the same text are one entry in a card. The second row stays as long as the first.
    let duplicate = |i: usize| row_free[i] && now.iter().any(|now| shown[i].as_ref() == Some(&now.value));
    let mut room = over.min(MAX_ENTRIES.saturating_sub(rows.len()));
    let mut stays = |i: usize| {
        let is = room > 0 && !taken.contains(&i);
        room -= usize::from(is);
        is
    };
    let kept = (0..current.len()).filter(|i| shown[*i].is_none() || duplicate(*i) || stays(*i));
    rows.extend(kept.map(|i| current[i].clone()));
    // Only the order differs, because rows that stay stand at the end.
    if over > 0 && rows.len() == current.len() && current.iter().all(|row| rows.contains(row)) {
        return None;
    }
    (rows != current).then_some(rows)
}

/// Changes the members of a row that the card changed.
fn change<T: Complex>(row: &mut T, then: &T, now: &T) {
    for i in (0..T::MEMBERS.len()).filter(|i| then.member(*i) != now.member(*i)) {
        row.set(i, now.member(i).map(str::to_owned));
    }
}

/// The same; a name that repeats the address follows it.
fn change_email(row: &mut Email, then: &Email, now: &Email) {
    let name = row.name.clone();
    let by_address = name.is_none() || name == row.address;
    change(row, then, now);
    let named = now.name != now.address && now.name != then.name;
    if !named {
        row.name = if by_address { row.address.clone() } else { name };
    }
}

//! What a PUT of a card changes of its contact: only what the card showed before and says differently now. Properties
//! that no card shows stay (docs/carddav.md).

use std::collections::BTreeMap;

use crate::domain::contact::patch::{ContactPatch, derived_name};
use crate::domain::contact::{Address, Complex, Email, Phone, Properties, Text, Website};
use crate::vcard::card::CardText;
use crate::vcard::line::Line;
use crate::vcard::read::{CardOrigin, FromLine, Projection};
use crate::vcard::record::Fate;
use crate::vcard::write::{self, Class, NewLine};
use crate::vcard::{Audience, Version, text};

/// What a PUT changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Put {
    /// The properties that change.
    pub patch: ContactPatch,
    /// The photo: `None` if it stays, else the new one or none.
    pub photo: Option<Option<Vec<u8>>>,
    /// The properties that are above a limit now and were not before, each with the reason: `too long`, `too many`,
    /// `too large`. The card must be refused then, because the contact would lose data.
    pub over: Vec<(String, &'static str)>,
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

/// What a PUT of `body` changes of a contact. `shown` is the card that a GET in the body's version returns now.
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
    let mut before = BTreeMap::new();
    for one in over(&then, shown) {
        *before.entry(one).or_insert(0_usize) += 1;
    }
    put.over = over(&now, body);
    put.over.retain(|one| match before.get_mut(one) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    let photo = |of: Projection| of.photo.map(|from| from.value);
    let (then, now) = (photo(then), photo(now));
    put.photo = (then != now).then_some(now);
    put
}

/// The properties of a card that are above a limit.
pub fn over(card: &Projection, text: &str) -> Vec<(String, &'static str)> {
    let over = |fate: &Option<Fate>| match fate {
        Some(Fate::Aside(Some(reason)) | Fate::Lost(reason)) => Some(*reason),
        _ => None,
    };
    if !card.fates.iter().any(|fate| over(fate).is_some()) {
        return Vec::new();
    }
    let parsed = CardText::parse(text);
    let lines = parsed.lines();
    let with =
        lines.iter().zip(&card.fates).filter_map(|(line, fate)| Some((line.name.to_ascii_uppercase(), over(fate)?)));
    with.collect()
}

fn texts(current: &Properties, then: &Projection, now: &Projection, patch: &mut ContactPatch) {
    let value = |of: &'_ Projection, text: Text| of.texts[text as usize].as_ref().map(|from| from.value.clone());
    for text in Text::ALL {
        let (then, new) = (value(then, text), value(now, text));
        if then == new {
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
    let (v3, card_dav) = (Version::V3, Audience::CardDav);
    let shown = |row: &Email| first(said(write::entries::email_line(row, v3, card_dav))?.emails);
    patch.emails = merged_complex(&current.emails, &then.emails, &now.emails, shown, "address", change_email);
    let shown = |row: &Phone| first(said(write::entries::phone_line(row, v3, card_dav))?.phones);
    patch.phones = merged_complex(&current.phones, &then.phones, &now.phones, shown, "number", change);
    let shown = |row: &Address| first(said(write::entries::address_line(row, v3, card_dav))?.addresses);
    patch.addresses = merged_complex(&current.addresses, &then.addresses, &now.addresses, shown, "", change);
    let shown = |row: &Website| first(said(write::entries::website_line(row, v3, card_dav))?.websites);
    patch.websites = merged_complex(&current.websites, &then.websites, &now.websites, shown, "address", change);
    let replace = |row: &mut String, _: &String, now: &String| row.clone_from(now);
    let lists = [
        (&current.im_addresses, &then.im_addresses, &now.im_addresses, Class::ImAddresses),
        (&current.children, &then.children, &now.children, Class::Children),
        (&current.categories, &then.categories, &now.categories, Class::Categories),
    ];
    let [ims, children, categories] = lists.map(|(current, then, now, class)| {
        merged(current, then, now, |row: &String| text_shown(class, row), |_, _| false, |_, _| false, replace)
    });
    (patch.im_addresses, patch.children, patch.categories) = (ims, children, categories);
}

/// What a card shows of a text entry.
fn text_shown(class: Class, row: &str) -> Option<String> {
    let line = match class {
        Class::ImAddresses => write::entries::im_line(row, Audience::CardDav),
        Class::Children => write::entries::related_line(class, row, Version::V3, Audience::CardDav),
        _ => write::entries::categories_line(&[row], Audience::CardDav)?,
    };
    let said = said(Some(line))?;
    first(match class {
        Class::ImAddresses => said.im_addresses,
        Class::Children => said.children,
        _ => said.categories,
    })
}

/// The content of a line in our form.
fn said(line: Option<NewLine>) -> Option<Projection> {
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
    then: &[FromLine<T>],
    now: &[FromLine<T>],
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
/// no card shows stay, at the end.
fn merged<T: Clone + PartialEq>(
    current: &[T],
    then: &[FromLine<T>],
    now: &[FromLine<T>],
    row_shown: impl Fn(&T) -> Option<T>,
    same_key: impl Fn(&T, &T) -> bool,
    alike: impl Fn(&T, &T) -> bool,
    change: impl Fn(&mut T, &T, &T),
) -> Option<Vec<T>> {
    if then.len() == now.len() && then.iter().zip(now).all(|(then, now)| then.value == now.value) {
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
    let twin = |i: usize| row_free[i] && now.iter().any(|now| shown[i].as_ref() == Some(&now.value));
    rows.extend((0..current.len()).filter(|i| shown[*i].is_none() || twin(*i)).map(|i| current[i].clone()));
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

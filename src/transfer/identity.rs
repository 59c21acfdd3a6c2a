//! The keys by which contacts of a file are found again, and the hashes that show that nothing has changed
//! (docs/import-export.md, "The same file again").

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::card::uid_key;
use crate::domain::contact::{Complex, Properties, Text, parse_id};
use crate::domain::fold::fold;
use crate::domain::import::{Incoming, IncomingGroup};
use crate::domain::photo::Picture;
use crate::domain::secret;
use crate::vcard::record::{Fate, PropertyOutcome, Record};

/// Maximum length of a key that is stored as it is, in bytes. A longer key is stored as its hash.
const MAX_KEY: usize = 255;

/// The rules for finding contacts in the mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Matching {
    /// Contacts without an identity are found by their first e-mail address.
    pub by_email: bool,
    /// The file's format has no photos.
    pub keeps_photo: bool,
}

/// The stored form of an identity.
pub fn key(uid: &str) -> String {
    let key = uid_key(uid);
    if key.len() <= MAX_KEY { key } else { format!("sha256:{}", secret::hex(&Sha256::digest(key.as_bytes()))) }
}

/// A record as a contact for the store.
pub fn incoming(record: Record, outcomes: &[PropertyOutcome], matching: Matching) -> Incoming {
    let Record { mut patch, photo, uid, card, .. } = record;
    let added = patch.added.take();
    let keeps = outcomes.iter().any(|outcome| matches!(outcome.fate, Fate::Aside(_) | Fate::Partial));
    let properties = patch.into_properties();
    // A photo that the store does not accept stays in the card.
    let photo = photo.and_then(|photo| Some((Picture::recognize(&photo.bytes).ok()?, photo.bytes)));
    let mut hasher = Hasher(Sha256::new());
    hasher.properties(&properties);
    hasher.field("photo", photo.as_ref().map(|(_, bytes)| bytes.as_slice()));
    if let Some(added) = &added {
        hasher.text("added", Some(&format!("{added:?}")));
    }
    let contact = hasher.0.clone().finalize();
    if let Some(card) = &card {
        hasher.card(card);
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.0.finalize()[..16]);
    let uid = uid.filter(|uid| !uid.trim().is_empty());
    let email = || properties.emails.iter().find_map(|email| email.address.as_deref()).map(fold);
    Incoming {
        key: uid.as_deref().map_or_else(|| format!("sha256:{}", secret::hex(&contact)), key),
        id: uid.as_deref().and_then(|uid| parse_id(&uid_key(uid))),
        email: if matching.by_email && uid.is_none() { email() } else { None },
        uid,
        hash,
        properties,
        added,
        photo,
        keeps_photo: matching.keeps_photo,
        card,
        keeps,
    }
}

/// The card of a group as the store takes it. One without a UID gets one that is made from its name, so that it is found again.
pub fn group(uid: Option<String>, name: &str, card: String) -> IncomingGroup {
    if let Some(uid) = uid.filter(|uid| !uid.trim().is_empty()) {
        return IncomingGroup { uid, text: card };
    }
    let digest = Sha256::digest(format!("group:{}", fold(name)).as_bytes());
    let uid = Uuid::from_slice(&digest[..16]).unwrap_or_default().to_string();
    let text = match card.match_indices("\r\n").nth(1) {
        // Behind BEGIN and VERSION.
        Some((at, end)) => {
            let (head, rest) = card.split_at(at + end.len());
            format!("{head}UID:{uid}\r\n{rest}")
        }
        None => card,
    };
    IncomingGroup { uid, text }
}

/// Hashes values with their names, so that a new property does not change the hashes of contacts without it.
struct Hasher(Sha256);

impl Hasher {
    fn field(&mut self, name: &str, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        self.0.update(name.as_bytes());
        self.0.update([0]);
        self.0.update((value.len() as u64).to_le_bytes());
        self.0.update(value);
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        self.field(name, value.map(str::as_bytes));
    }

    fn texts(&mut self, name: &str, values: &[String]) {
        for value in values {
            self.text(name, Some(value));
        }
    }

    fn entries<T: Complex>(&mut self, entries: &[T]) {
        for entry in entries {
            self.text(T::TYPE, Some(""));
            for (i, member) in T::MEMBERS.iter().enumerate() {
                self.text(member.json, entry.member(i));
            }
        }
    }

    fn properties(&mut self, p: &Properties) {
        for text in Text::ALL {
            self.text(text.json(), p.text(text).filter(|_| !(text == Text::DisplayName && p.display_name_derived)));
        }
        self.text("birthday", p.birthday.as_deref());
        self.text("weddingAnniversary", p.wedding_anniversary.as_deref());
        self.text("isFavorite", p.is_favorite.map(|is| if is { "true" } else { "false" }));
        if let Some(flag) = &p.flag {
            self.text("flagStatus", flag.status.as_deref());
            self.entries(&[flag.completed.clone(), flag.due.clone(), flag.start.clone()]);
        }
        self.texts("categories", &p.categories);
        self.texts("imAddresses", &p.im_addresses);
        self.texts("children", &p.children);
        self.entries(&p.emails);
        self.entries(&p.phones);
        self.entries(&p.addresses);
        self.entries(&p.websites);
    }

    /// Hashes the lines of a card, independent of their order, without the identity, which may be spelled differently,
    /// and without lines that say when and by which program it was written.
    fn card(&mut self, card: &str) {
        let mut lines: Vec<&str> = Vec::new();
        let mut start = 0;
        while start < card.len() {
            let mut end = start;
            loop {
                end = card[end..].find('\n').map_or(card.len(), |at| end + at + 1);
                if !card[end..].starts_with([' ', '\t']) {
                    break;
                }
            }
            let line = card[start..end].trim_end();
            let name = line.split([':', ';']).next().unwrap_or_default();
            let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
            if !["UID", "REV", "PRODID"].iter().any(|skipped| name.eq_ignore_ascii_case(skipped)) {
                lines.push(line);
            }
            start = end;
        }
        lines.sort_unstable();
        for line in lines {
            self.text("line", Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::Email;
    use crate::domain::contact::patch::ContactPatch;

    fn record(name: &str, uid: Option<&str>, card: &str) -> Record {
        let mut patch = ContactPatch::default();
        patch.texts[Text::GivenName as usize] = Some(Some(name.to_owned()));
        Record { patch, uid: uid.map(str::to_owned), card: Some(card.to_owned()), ..Record::default() }
    }

    fn of(record: Record) -> Incoming {
        incoming(record, &[], Matching::default())
    }

    #[test]
    fn identities_are_compared_without_scheme_and_case_and_are_short() {
        let uid = "urn:uuid:03A0E51F-d1aa-4385-8a53-e29025acd8af";
        let one = of(record("Ann", Some(uid), ""));
        assert_eq!(one.key, "03a0e51f-d1aa-4385-8a53-e29025acd8af");
        assert_eq!(one.id.unwrap().to_string(), one.key);
        assert_eq!((one.uid.as_deref(), of(record("Ann", Some("x-1"), "")).id), (Some(uid), None));
        assert_eq!(key(&"x".repeat(1_000)).len(), 71);
    }

    #[test]
    fn without_an_identity_a_contact_is_known_by_all_that_it_says() {
        let (one, same, other) =
            (of(record("Ann", None, "")), of(record("Ann", Some(" "), "X:1")), of(record("Bea", None, "")));
        assert_eq!(one.key, same.key);
        assert_ne!(one.key, other.key);
        assert_ne!(one.hash, same.hash);
    }

    #[test]
    fn the_order_of_lines_and_the_time_of_writing_are_no_change() {
        let hash = |card: &str| of(record("Ann", Some("x"), card)).hash;
        let card = hash("BEGIN:VCARD\r\nREV:1\r\nTEL:1\r\n 2\r\nX-A:b\r\nEND:VCARD\r\n");
        assert_eq!(card, hash("BEGIN:VCARD\r\nX-A:b\r\nTEL:1\r\n 2\r\nPRODID:x\r\nitem1.REV:2\r\nEND:VCARD\r\n"));
        assert_ne!(card, hash("BEGIN:VCARD\r\nTEL:1\r\nX-A:b\r\nEND:VCARD\r\n"));
    }

    #[test]
    fn an_address_is_looked_up_only_where_that_is_asked_and_nothing_else_tells() {
        let with = |uid: Option<&str>, by_email| {
            let mut record = record("Ann", uid, "");
            record.patch.emails = Some(vec![Email { address: Some("Ann@Example.org".to_owned()), ..Email::default() }]);
            incoming(record, &[], Matching { by_email, keeps_photo: false }).email
        };
        assert_eq!(with(None, true).as_deref(), Some("ann@example.org"));
        assert_eq!((with(None, false), with(Some("x"), true)), (None, None));
    }
}

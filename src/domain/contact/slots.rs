//! Changes by v1.0 properties, and how they apply to the stored collections. A slot is the first entry of its type; the two
//! lists are all entries of their type. Other entries are left alone.

use crate::domain::contact::patch::FieldChange;
use crate::domain::contact::{Address, Email, Phone, Properties, Website};

/// The slots a request sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub struct Slots {
    pub business_phones: Option<Vec<String>>,
    pub home_phones: Option<Vec<String>>,
    pub mobile_phone: FieldChange<String>,
    /// Home, business, other.
    pub addresses: [FieldChange<Address>; 3],
    pub business_home_page: FieldChange<String>,
    pub emails: Option<Vec<Email>>,
    /// Primary, secondary, tertiary; `emails` wins over them.
    pub ranked_emails: [FieldChange<Email>; 3],
}

/// The types of `Slots::addresses`.
pub const ADDRESS_KINDS: [&str; 3] = ["home", "business", "other"];

impl Slots {
    /// Applies the changes.
    pub fn apply_to(self, properties: &mut Properties) {
        let Properties { phones, addresses, websites, emails, .. } = properties;
        for (kind, numbers) in [("business", self.business_phones), ("home", self.home_phones)] {
            if let Some(numbers) = numbers {
                replace_phones(phones, kind, numbers);
            }
        }
        if let Some(number) = self.mobile_phone {
            set_mobile(phones, number);
        }
        for (kind, change) in ADDRESS_KINDS.into_iter().zip(self.addresses) {
            if let Some(address) = change {
                set_address(addresses, kind, address.unwrap_or_default());
            }
        }
        if let Some(page) = self.business_home_page {
            set_page(websites, page);
        }
        let stored = emails.clone();
        if let Some(sent) = self.emails {
            *emails = sent;
        } else {
            let mut slots: Vec<Option<Email>> = emails.drain(..).map(Some).collect();
            for (i, change) in self.ranked_emails.into_iter().enumerate() {
                if let Some(email) = change {
                    slots.resize_with(slots.len().max(i + 1), || None);
                    slots[i] = email;
                }
            }
            // An address without one before it moves up.
            *emails = slots.into_iter().flatten().collect();
        }
        for email in emails.iter_mut() {
            keep_label(email, &stored);
        }
    }
}

fn is_kind(kind: Option<&String>, expected: &str) -> bool {
    kind.is_some_and(|kind| kind == expected)
}

/// Replaces the numbers of a type in place. Additional ones go after the last of the type.
fn replace_phones(phones: &mut Vec<Phone>, kind: &str, numbers: Vec<String>) {
    let mut numbers = numbers.into_iter();
    let mut end = None;
    let mut kept = Vec::with_capacity(phones.len());
    for mut phone in phones.drain(..) {
        if is_kind(phone.kind.as_ref(), kind) {
            let Some(number) = numbers.next() else { continue };
            phone.number = Some(number);
            end = Some(kept.len() + 1);
        }
        kept.push(phone);
    }
    let end = end.unwrap_or(kept.len());
    let rest = numbers.map(|number| Phone { kind: Some(kind.to_owned()), number: Some(number) });
    kept.splice(end..end, rest.collect::<Vec<_>>());
    *phones = kept;
}

/// Sets the first mobile number. Null removes it and changes the type of the others to `other`, so that null reads back as
/// null and no number is lost.
fn set_mobile(phones: &mut Vec<Phone>, number: Option<String>) {
    let first = phones.iter().position(|phone| is_kind(phone.kind.as_ref(), "mobile"));
    match (first, number) {
        (Some(at), Some(number)) => phones[at].number = Some(number),
        (None, Some(number)) => phones.push(Phone { kind: Some("mobile".to_owned()), number: Some(number) }),
        (Some(at), None) => {
            phones.remove(at);
            for phone in phones.iter_mut().filter(|phone| is_kind(phone.kind.as_ref(), "mobile")) {
                phone.kind = Some("other".to_owned());
            }
        }
        (None, None) => {}
    }
}

/// Sets the first address of a type; its post office box stays, since v1.0 does not show it. An empty address removes the
/// entry, unless the entry was empty to a v1.0 client before.
fn set_address(addresses: &mut Vec<Address>, kind: &str, sent: Address) {
    let first = addresses.iter().position(|address| is_kind(address.kind.as_ref(), kind));
    let visible = |address: &Address| Address { kind: None, post_office_box: None, ..address.clone() };
    let is_empty = sent == Address::default();
    match first {
        Some(at) if is_empty && visible(&addresses[at]) == Address::default() => {}
        Some(at) if is_empty => {
            addresses.remove(at);
            for address in addresses.iter_mut().filter(|address| is_kind(address.kind.as_ref(), kind)) {
                address.kind = Some("unknown".to_owned());
            }
        }
        Some(at) => {
            let stored = &mut addresses[at];
            let post_office_box = stored.post_office_box.take();
            *stored = Address { kind: stored.kind.take(), post_office_box, ..sent };
        }
        None if is_empty => {}
        None => addresses.push(Address { kind: Some(kind.to_owned()), ..sent }),
    }
}

/// Sets the address of the first website of type work.
fn set_page(websites: &mut Vec<Website>, page: Option<String>) {
    let first = websites.iter().position(|site| is_kind(site.kind.as_ref(), "work"));
    match (first, page) {
        (Some(at), Some(page)) => websites[at].address = Some(page),
        (None, Some(page)) => {
            websites.push(Website { kind: Some("work".to_owned()), address: Some(page), display_name: None });
        }
        (Some(at), None) => {
            websites.remove(at);
            for site in websites.iter_mut().filter(|site| is_kind(site.kind.as_ref(), "work")) {
                site.kind = Some("other".to_owned());
            }
        }
        (None, None) => {}
    }
}

/// Keeps type and label if the address was stored before.
fn keep_label(email: &mut Email, stored: &[Email]) {
    let has_same_address = |stored_email: &&Email| match (&stored_email.address, &email.address) {
        (Some(stored_email), Some(sent)) => stored_email.to_lowercase() == sent.to_lowercase(),
        _ => false,
    };
    if email.kind.is_none()
        && email.other_label.is_none()
        && let Some(stored_email) = stored.iter().find(has_same_address)
    {
        email.kind.clone_from(&stored_email.kind);
        email.other_label.clone_from(&stored_email.other_label);
    }
}

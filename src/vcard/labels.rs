//! Maps the types and labels of phones, postal, e-mail and web addresses in cards and files to a contact's types.

/// The letters of a label in lower case, without Apple's `_$!<…>!$_`.
pub fn word(label: &str) -> String {
    label.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A label as a person reads it: without Apple's `_$!<…>!$_`, trimmed.
pub fn readable(label: &str) -> &str {
    let label = label.trim();
    label.strip_prefix("_$!<").and_then(|label| label.strip_suffix(">!$_")).unwrap_or(label)
}

/// A type, and whether it covers everything that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelledType {
    /// The contact's type.
    pub kind: &'static str,
    /// Whether the type covers only a part of what was written.
    pub partial: bool,
}

const fn exact(kind: &'static str) -> LabelledType {
    LabelledType { kind, partial: false }
}

const fn partial(kind: &'static str) -> LabelledType {
    LabelledType { kind, partial: true }
}

/// The type of a phone by its label, if the label is known.
fn phone_label(label: &str) -> Option<LabelledType> {
    Some(match word(label).as_str() {
        "home" => exact("home"),
        "work" | "business" => exact("business"),
        "mobile" | "iphone" | "cell" => exact("mobile"),
        "other" => exact("other"),
        "assistant" | "assistantphone" => exact("assistant"),
        "radio" => exact("radio"),
        "homefax" => exact("homeFax"),
        "workfax" | "businessfax" => exact("businessFax"),
        "otherfax" => exact("otherFax"),
        "pager" => exact("pager"),
        _ => return None,
    })
}

/// The meaning of one TYPE value of a phone. A device ranks above a place, and the highest rank wins.
fn phone_word(kind: &str) -> PhoneWord {
    let is = |name: &str| kind.eq_ignore_ascii_case(name);
    let any = |names: &[&str]| names.iter().any(|name| is(name));
    if is("HOME") {
        PhoneWord::Home
    } else if is("WORK") {
        PhoneWord::Work
    } else if any(&["VOICE", "PREF", "MSG", "TEXT", "OTHER", "INTERNET"]) {
        PhoneWord::Nothing
    } else if any(&["CELL", "MOBILE", "IPHONE", "X-MOBILE", "PCS"]) {
        PhoneWord::Device("mobile", 3)
    } else if is("FAX") {
        PhoneWord::Fax
    } else if is("PAGER") {
        PhoneWord::Device("pager", 4)
    } else if any(&["ASSISTANT", "X-EVOLUTION-ASSISTANT"]) {
        PhoneWord::Device("assistant", 2)
    } else if any(&["RADIO", "X-EVOLUTION-RADIO"]) {
        PhoneWord::Device("radio", 1)
    } else if any(&["CAR", "ISDN", "VIDEO", "BBS", "MODEM", "TEXTPHONE", "MAIN", "COMPANY", "CALLBACK", "TTYTDD"]) {
        PhoneWord::Special
    } else {
        PhoneWord::Unknown
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PhoneWord {
    Nothing,
    Home,
    Work,
    Fax,
    /// A device, and its rank.
    Device(&'static str, u8),
    /// A kind of line without a type in a contact.
    Special,
    Unknown,
}

/// The type of a phone by its types and its label.
pub fn phone<'a>(types: impl Iterator<Item = &'a str>, label: Option<&str>) -> LabelledType {
    let label = label.filter(|label| !readable(label).is_empty());
    if let Some(kind) = label.and_then(phone_label) {
        return kind;
    }
    let words: Vec<PhoneWord> = types.map(phone_word).collect();
    let has = |word: PhoneWord| words.contains(&word);
    let device = words
        .iter()
        .filter_map(|word| if let PhoneWord::Device(kind, rank) = word { Some((rank, *kind)) } else { None });
    let place = words.iter().find_map(|word| match word {
        PhoneWord::Home => Some("home"),
        PhoneWord::Work => Some("business"),
        _ => None,
    });
    let kind = if has(PhoneWord::Fax) {
        exact(if has(PhoneWord::Home) { "homeFax" } else { place.map_or("otherFax", |_| "businessFax") })
    } else if let Some((_, kind)) = device.max_by_key(|(rank, _)| *rank) {
        exact(kind)
    } else if has(PhoneWord::Special) {
        partial("other")
    } else if let Some(place) = place {
        exact(place)
    } else {
        LabelledType { kind: "other", partial: has(PhoneWord::Unknown) }
    };
    if label.is_some() { partial(kind.kind) } else { kind }
}

/// The type of an e-mail address, and its label if that is not a known word.
pub fn email<'a>(types: impl Iterator<Item = &'a str>, label: Option<&str>) -> (Option<LabelledType>, Option<String>) {
    if let Some(label) = label.filter(|label| !readable(label).is_empty()) {
        return match email_label(label) {
            Some(kind) => (Some(exact(kind)), None),
            None => (Some(exact("other")), Some(readable(label).to_owned())),
        };
    }
    let mut types = types;
    let kind = types.find_map(|kind| {
        [("WORK", "work"), ("HOME", "personal"), ("OTHER", "other"), ("X-MAIN", "main")]
            .into_iter()
            .find_map(|(name, known)| kind.eq_ignore_ascii_case(name).then_some(known))
    });
    (kind.map(exact), None)
}

/// The type of an e-mail address by a known label.
fn email_label(label: &str) -> Option<&'static str> {
    Some(match word(label).as_str() {
        "home" | "personal" => "personal",
        "work" | "business" => "work",
        "other" => "other",
        "main" => "main",
        _ => return None,
    })
}

/// The type of a postal address.
pub fn address<'a>(types: impl Iterator<Item = &'a str>, label: Option<&str>) -> LabelledType {
    if let Some(label) = label.filter(|label| !readable(label).is_empty()) {
        return address_label(label).map_or(partial("other"), exact);
    }
    let mut unknown = false;
    for kind in types {
        match kind {
            kind if kind.eq_ignore_ascii_case("HOME") => return exact("home"),
            kind if kind.eq_ignore_ascii_case("WORK") => return exact("business"),
            kind => {
                let known = ["DOM", "INTL", "POSTAL", "PARCEL", "PREF", "OTHER"];
                unknown |= !known.iter().any(|known| kind.eq_ignore_ascii_case(known));
            }
        }
    }
    LabelledType { kind: "other", partial: unknown }
}

/// The type of a postal address by a known label.
pub fn address_label(label: &str) -> Option<&'static str> {
    Some(match word(label).as_str() {
        "home" => "home",
        "work" | "business" => "business",
        "other" => "other",
        _ => return None,
    })
}

/// The type of a web address, and its label if that is not a known word.
pub fn website<'a>(types: impl Iterator<Item = &'a str>, label: Option<&str>) -> (&'static str, Option<String>) {
    if let Some(label) = label.filter(|label| !readable(label).is_empty()) {
        return match website_label(label) {
            Some(kind) => (kind, None),
            None => ("other", Some(readable(label).to_owned())),
        };
    }
    let mut kinds = types.filter_map(|kind| {
        [("HOME", "home"), ("WORK", "work"), ("BLOG", "blog"), ("PROFILE", "profile")]
            .into_iter()
            .find_map(|(name, known)| kind.eq_ignore_ascii_case(name).then_some(known))
    });
    (kinds.next().unwrap_or("other"), None)
}

/// The type of a web address by a known label.
fn website_label(label: &str) -> Option<&'static str> {
    Some(match word(label).as_str() {
        "home" | "homepage" => "home",
        "work" | "business" => "work",
        "blog" => "blog",
        "profile" => "profile",
        "other" => "other",
        _ => return None,
    })
}

/// The relation of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `spouseName`
    Spouse,
    /// `children`
    Child,
    /// `manager`
    Manager,
    /// `assistantName`
    Assistant,
}

/// A relation by its label or type.
pub fn relation(label: &str) -> Option<Relation> {
    Some(match word(label).as_str() {
        "spouse" => Relation::Spouse,
        "child" => Relation::Child,
        "manager" => Relation::Manager,
        "assistant" => Relation::Assistant,
        _ => return None,
    })
}

/// Whether a label says that a date is a wedding anniversary.
pub fn is_anniversary(label: &str) -> bool {
    word(label) == "anniversary"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_has_the_type_of_its_device_first() {
        for (types, label, kind) in [
            ("WORK,CELL", None, exact("mobile")),
            ("work,fax", None, exact("businessFax")),
            ("HOME,WORK,FAX", None, exact("homeFax")),
            ("FAX", None, exact("otherFax")),
            ("PAGER,VOICE", None, exact("pager")),
            ("WORK,HOME", None, exact("business")),
            ("HOME,WORK", None, exact("home")),
            ("IPHONE,pref", None, exact("mobile")),
            ("MAIN", None, partial("other")),
            ("CAR", None, partial("other")),
            ("X-Ferienhaus", None, partial("other")),
            ("X-Ferienhaus,HOME", None, exact("home")),
            ("", None, exact("other")),
            ("VOICE", Some(""), exact("other")),
            ("VOICE", Some("_$!<AssistantPhone>!$_"), exact("assistant")),
            ("CELL", Some("_$!<Work>!$_"), exact("business")),
            ("", Some("Home Fax"), exact("homeFax")),
            ("", Some("home-fax"), exact("homeFax")),
            ("", Some("Ferienhaus"), partial("other")),
            ("CELL", Some("Ferienhaus"), partial("mobile")),
        ] {
            let types = types.split(',').filter(|one| !one.is_empty());
            assert_eq!(phone(types.clone(), label), kind, "{:?} {label:?}", types.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_label_is_a_type_or_a_text() {
        let none = std::iter::empty::<&str>;
        assert_eq!(email(none(), Some("_$!<Home>!$_")), (Some(exact("personal")), None));
        assert_eq!(email(["INTERNET"].into_iter(), None), (None, None));
        assert_eq!(email(["internet", "home"].into_iter(), None), (Some(exact("personal")), None));
        assert_eq!(email(none(), Some(" Verein ")), (Some(exact("other")), Some("Verein".into())));
        assert_eq!(website(none(), Some("_$!<HomePage>!$_")), ("home", None));
        assert_eq!(website(none(), Some("Shop")), ("other", Some("Shop".into())));
        assert_eq!(address(["HOME"].into_iter(), Some("Summer house")), partial("other"));
        assert_eq!(address(["dom", "WORK"].into_iter(), None), exact("business"));
    }
}

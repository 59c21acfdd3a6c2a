//! The `Prefer` header (RFC 7240): several headers or one list, names in any letter case, unknown preferences ignored,
//! the first of two with one name wins.

use crate::domain::handling::Handling;

/// The supported preferences of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `handling=lenient` or `handling=strict`
    pub handling: Option<Handling>,
    /// `return=minimal` is true, `return=representation` is false.
    pub minimal: Option<bool>,
    /// `odata.maxpagesize` or `maxpagesize`, above 0.
    pub max_page_size: Option<i64>,
    /// `IdType="ImmutableId"`; all ids are immutable anyway.
    pub immutable_id: bool,
}

impl Prefer {
    /// Parses all lines of the header, joined by commas. Unreadable parts are ignored, as the RFC requires.
    pub fn parse(value: &str) -> Self {
        let mut prefer = Self::default();
        for preference in split(value, ',') {
            // Parameters follow a semicolon; none is defined for these preferences.
            let Some(preference) = split(preference, ';').next() else { continue };
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            match (name.trim().to_ascii_lowercase().as_str(), value.to_ascii_lowercase().as_str()) {
                ("handling", "lenient") => set_once(&mut prefer.handling, Handling::Lenient),
                ("handling", "strict") => set_once(&mut prefer.handling, Handling::Strict),
                ("return", "minimal") => set_once(&mut prefer.minimal, true),
                ("return", "representation") => set_once(&mut prefer.minimal, false),
                ("idtype", "immutableid") => prefer.immutable_id = true,
                ("odata.maxpagesize" | "maxpagesize", size) => {
                    if let Some(size) = size.parse().ok().filter(|size| *size > 0) {
                        set_once(&mut prefer.max_page_size, size);
                    }
                }
                _ => {}
            }
        }
        prefer
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// Splits outside quoted strings.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_from_lists() {
        let prefer = Prefer::parse(
            "Handling=Strict, foo; return=x, x=\"a,return=minimal\", odata.maxpagesize=7, IdType=\"ImmutableId\"",
        );
        let expected =
            Prefer { handling: Some(Handling::Strict), minimal: None, max_page_size: Some(7), immutable_id: true };
        assert_eq!(prefer, expected);
        assert_eq!(Prefer::parse("return=minimal;a=b, return=representation").minimal, Some(true));
        assert_eq!(Prefer::parse("handling, return=, maxpagesize=-1, \", ="), Prefer::default());
    }
}

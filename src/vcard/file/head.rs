//! The head of a line of a file: name and parameters, of any version.

use encoding_rs::Encoding;

use crate::vcard::charset::{self, Fallback};

/// How a value is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Coding {
    /// As text.
    #[default]
    None,
    /// Quoted-printable.
    Quoted,
    /// Base64.
    Base64,
}

/// A parsed head, as places in its bytes: so that a line is parsed once, however often it grows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    /// Group and name, without blanks around.
    whole: (usize, usize),
    /// The start of the name, after its group.
    name: usize,
    /// The start of the parameters; the end if there are none.
    params: usize,
    pub coding: Coding,
    charset: Option<&'static Encoding>,
    unusual: bool,
}

/// A parsed head.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineHead<'a> {
    /// Group and name.
    whole: &'a [u8],
    /// The name without its group.
    pub name: &'a [u8],
    params: &'a [u8],
    pub coding: Coding,
    pub charset: Option<&'static Encoding>,
    /// It has parameters that vCard 3.0 and 4.0 do not have or write differently.
    unusual: bool,
}

impl Places {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut places = Self::without_params(bytes);
        for (name, value) in (HeadParams { rest: &bytes[places.params..] }) {
            places.note(name, value);
        }
        places
    }

    fn without_params(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|byte| *byte == b';');
        let section = &bytes[..end.unwrap_or(bytes.len())];
        let start = section.len() - section.trim_ascii_start().len();
        let whole = section.trim_ascii();
        let name = whole.iter().rposition(|byte| *byte == b'.').map_or(start, |dot| start + dot + 1);
        let params = end.map_or(bytes.len(), |end| end + 1);
        Self { whole: (start, start + whole.len()), name, params, ..Self::default() }
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        let is = |text: &[u8], word: &str| text.eq_ignore_ascii_case(word.as_bytes());
        if value.is_empty() || name.is_empty() {
            self.unusual = true;
        }
        let coding = if is(name, "ENCODING") { value } else { &[] };
        let bare = if name.is_empty() { value } else { &[] };
        for word in [coding, bare] {
            if is(word, "QUOTED-PRINTABLE") {
                self.coding = Coding::Quoted;
            } else if is(word, "BASE64") || is(word, "B") {
                self.coding = Coding::Base64;
            }
        }
        self.unusual |= !coding.is_empty() && !is(coding, "B");
        if is(name, "CHARSET") {
            self.unusual = true;
            self.charset = std::str::from_utf8(value).ok().and_then(charset::encoding_for_label);
        }
    }

    /// The head in the bytes that it was parsed from.
    pub(super) fn head<'a>(&self, bytes: &'a [u8]) -> LineHead<'a> {
        let (start, end) = self.whole;
        let (whole, name, params) = (&bytes[start..end], &bytes[self.name..end], &bytes[self.params..]);
        LineHead { whole, name, params, coding: self.coding, charset: self.charset, unusual: self.unusual }
    }
}

/// Whether a head begins like a property's.
pub(super) fn is_name(bytes: &[u8]) -> bool {
    Places::without_params(bytes).head(bytes).is_name()
}

impl LineHead<'_> {
    /// Whether the name is valid.
    pub(super) fn is_name(&self) -> bool {
        let is = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
        !self.name.is_empty() && self.name.iter().all(is) && self.whole.iter().all(|byte| is(byte) || *byte == b'.')
    }

    /// Appends it in the form of vCard 3.0 and 4.0.
    pub(super) fn write(&self, fallback: &Fallback, out: &mut String) {
        let mut push = |bytes: &[u8]| {
            let text = fallback.decode(bytes, None);
            out.push_str(&text);
        };
        push(self.whole);
        if !self.unusual {
            if !self.params.is_empty() {
                push(b";");
                push(self.params);
            }
            return;
        }
        for (name, value) in (HeadParams { rest: self.params }) {
            let is = |text: &[u8], words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
            if is(name, &["CHARSET"]) || (value.is_empty() && (name.is_empty() || is(name, &["TYPE"]))) {
                continue;
            }
            let coding =
                is(name, &["ENCODING"]) || (name.is_empty() && is(value, &["QUOTED-PRINTABLE", "BASE64", "B"]));
            if coding || (name.is_empty() && is(value, &["8BIT", "7BIT"])) {
                continue;
            }
            push(b";");
            if value.is_empty() {
                push(b"TYPE=");
                push(name);
            } else if name.is_empty() {
                push(b"TYPE=");
                push(value);
            } else {
                push(name);
                push(b"=");
                push(value);
            }
        }
        if self.coding == Coding::Base64 {
            push(b";ENCODING=b");
        }
    }
}

/// Names and values of parameters, in bytes. A bare one has no name.
struct HeadParams<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for HeadParams<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = self.rest.iter().position(|byte| {
            quoted ^= *byte == b'"';
            *byte == b';' && !quoted
        });
        let one = &self.rest[..end.unwrap_or(self.rest.len())];
        self.rest = end.map_or(&[], |end| &self.rest[end + 1..]);
        Some(match one.iter().position(|byte| *byte == b'=') {
            Some(at) => (one[..at].trim_ascii(), one[at + 1..].trim_ascii()),
            None => (&[], one.trim_ascii()),
        })
    }
}

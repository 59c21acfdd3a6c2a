//! Converts the value of a line of a file to vCard 3.0 and 4.0.

use std::borrow::Cow;

use crate::vcard::charset::Survey;
use crate::vcard::file::head::{Coding, LineHead};
use crate::vcard::file::{Dialect, FileLines};
use crate::vcard::text;

/// The structure of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueForm {
    /// Components by semicolon; those of N are lists by comma.
    Components { lists: bool },
    /// A list by comma, of CATEGORIES in 2.1 also by semicolon.
    List,
    /// One text.
    Text,
    /// An address, a number, or something unknown: it has no escapes.
    Raw,
}

const TEXTS: &[&str] = &[
    "FN",
    "TITLE",
    "ROLE",
    "NOTE",
    "LABEL",
    "TEL",
    "EMAIL",
    "IMPP",
    "X-MS-TEL",
    "X-FILE-AS",
    "X-GENDER",
    "X-MANAGER",
    "X-ASSISTANT",
    "X-SPOUSE",
    "X-MS-MANAGER",
    "X-MS-ASSISTANT",
    "X-MS-SPOUSE",
    "X-MS-CHILD",
    "X-MS-IMADDRESS",
    "X-PHONETIC-FIRST-NAME",
    "X-PHONETIC-LAST-NAME",
    "X-PHONETIC-MIDDLE-NAME",
    "X-PHONETIC-ORG",
    "X-AIM",
    "X-JABBER",
    "X-MSN",
    "X-SKYPE",
    "X-SKYPE-USERNAME",
    "X-YAHOO",
    "X-ICQ",
    "X-GTALK",
    "X-GOOGLE-TALK",
    "X-QQ",
    "X-ABLABEL",
    "X-ABRELATEDNAMES",
];

fn form(name: &[u8]) -> ValueForm {
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    if is("N") {
        ValueForm::Components { lists: true }
    } else if ["ADR", "ORG", "SOUND", "GENDER", "X-ANDROID-CUSTOM"].into_iter().any(is) {
        ValueForm::Components { lists: false }
    } else if is("NICKNAME") || is("CATEGORIES") {
        ValueForm::List
    } else if TEXTS.iter().any(|word| is(word)) {
        ValueForm::Text
    } else {
        ValueForm::Raw
    }
}

impl FileLines {
    /// Appends a value.
    pub(super) fn value(&mut self, head: &LineHead<'_>, value: &[u8]) {
        match head.coding {
            Coding::Base64 => match std::str::from_utf8(value) {
                Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => self.text.push_str(text),
                _ => self.text.extend(value.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b))),
            },
            Coding::None if self.dialect != Dialect::V21 => {
                let text = self.fallback.decode(value, head.charset);
                push_line(&text, &mut self.text);
            }
            coding => {
                let mut out = std::mem::take(&mut self.text);
                self.converted(head, value, coding == Coding::Quoted, &mut out);
                self.text = out;
            }
        }
    }

    /// Appends a value of 2.1, or one in quoted-printable, with the escapes of 3.0.
    fn converted(&mut self, head: &LineHead<'_>, value: &[u8], quoted: bool, out: &mut String) {
        let separators: &[(u8, char)] = match form(head.name) {
            ValueForm::Components { lists: true } => &[(b';', ';'), (b',', ',')],
            ValueForm::Components { lists: false } => &[(b';', ';')],
            ValueForm::List if head.name.eq_ignore_ascii_case(b"CATEGORIES") && !value.contains(&b',') => {
                &[(b';', ',')]
            }
            ValueForm::List => &[(b',', ',')],
            ValueForm::Text => &[],
            ValueForm::Raw => {
                let text = if quoted { self.quoted(head, value) } else { self.fallback.decode(value, head.charset) };
                push_line(&text, out);
                return;
            }
        };
        if quoted {
            // Encoded characters are not separators.
            self.parts(head, value, separators, out);
        } else {
            let text = self.fallback.decode(value, head.charset);
            self.text_parts(&text, separators, out);
        }
    }

    fn parts(&mut self, head: &LineHead<'_>, value: &[u8], separators: &[(u8, char)], out: &mut String) {
        let Some(((by, shown), further)) = separators.split_first() else {
            let text = self.quoted(head, value).into_owned();
            return self.text_parts(&text, &[], out);
        };
        for (i, part) in split_bytes(value, *by).into_iter().enumerate() {
            if i > 0 {
                out.push(*shown);
            }
            self.parts(head, part, further, out);
        }
    }

    fn text_parts(&self, value: &str, separators: &[(u8, char)], out: &mut String) {
        let Some(((by, shown), further)) = separators.split_first() else {
            let unescaped = if self.dialect == Dialect::V21 { unescape_old(value) } else { text::unescape(value) };
            return escape_into(&unescaped, out);
        };
        for (i, part) in text::split(value, *by).enumerate() {
            if i > 0 {
                out.push(*shown);
            }
            self.text_parts(part, further, out);
        }
    }

    /// Decodes quoted-printable.
    fn quoted<'a>(&mut self, head: &LineHead<'_>, value: &[u8]) -> Cow<'a, str> {
        let bytes = unquote(value);
        self.broken |=
            head.charset.is_none_or(|charset| charset == encoding_rs::UTF_8) && std::str::from_utf8(&bytes).is_err();
        Cow::Owned(self.fallback.decode(&bytes, head.charset).into_owned())
    }
}

/// Adds a value that names no character set to a survey.
pub(super) fn survey_value(head: &LineHead<'_>, value: &[u8], survey: &mut Survey) {
    match head.coding {
        Coding::None => survey.value(value),
        Coding::Quoted => survey.value(&unquote(value)),
        Coding::Base64 => {}
    }
}

/// Appends a text as part of a value: escaped, without NUL, which databases cannot store.
pub(super) fn escape_into(text: &str, out: &mut String) {
    if text.contains('\0') {
        text::escape(&text.replace('\0', ""), out);
    } else {
        text::escape(text, out);
    }
}

/// Appends a value as it is, on one line and without NUL.
fn push_line(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'\0' | b'\n' | b'\r')) {
        out.push_str(&rest[..at]);
        let crlf = rest[at..].starts_with("\r\n");
        if !rest[at..].starts_with('\0') {
            out.push_str("\\n");
        }
        rest = &rest[at + 1 + usize::from(crlf)..];
    }
    out.push_str(rest);
}

/// Undoes the few escapes of 2.1: `\;`, `\,`, `\:` and `\\`. `\n` is a backslash and an n.
fn unescape_old(raw: &str) -> Cow<'_, str> {
    text::unescape_by(raw, |c| matches!(c, ',' | ':' | ';' | '\\').then_some(c))
}

/// The parts between separators without a backslash before them.
fn split_bytes(value: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < value.len() {
        match value[at] {
            b'\\' => at += 1,
            byte if byte == separator => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(&value[start..]);
    parts
}

/// Decodes quoted-printable (RFC 2045, 6.7). Other characters stay; a soft break at the end is removed.
fn unquote(value: &[u8]) -> Vec<u8> {
    let value = value.strip_suffix(b"=").unwrap_or(value);
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        let escape = (value[at] == b'=').then(|| hex(value.get(at + 1)).zip(hex(value.get(at + 2)))).flatten();
        let escape = escape.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(escape.unwrap_or(value[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    bytes
}

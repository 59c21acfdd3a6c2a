//! One line of a card: group, name, parameters and value (RFC 6350, 3.3). Nothing is copied until it is needed.

use std::borrow::Cow;

use crate::vcard::text::trimmed;

/// An unfolded line. Its parts are as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The group before the name: `item1` of `item1.TEL`.
    pub group: Option<&'a str>,
    /// The name, in the case written.
    pub name: &'a str,
    /// The parameters, without the first semicolon.
    pub head: &'a str,
    /// The value, still escaped.
    pub value: &'a str,
}

/// The end of a line's head: the first colon outside quotes, or the first colon if a quote is never closed.
pub fn colon(line: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b':' if !quoted => return Some(at),
            _ => {}
        }
    }
    if quoted { line.iter().position(|byte| *byte == b':') } else { None }
}

impl<'a> Line<'a> {
    /// Parses a line. `None` if it has no colon or no name.
    pub fn parse(line: &'a str) -> Option<Self> {
        let end = colon(line.as_bytes())?;
        let (head, value) = (&line[..end], &line[end + 1..]);
        let (name, head) = match head.bytes().position(|byte| byte == b';') {
            Some(at) => (&head[..at], &head[at + 1..]),
            None => (head, ""),
        };
        let (group, name) = match name.bytes().rposition(|byte| byte == b'.') {
            Some(at) => (Some(name[..at].trim()).filter(|group| !group.is_empty()), &name[at + 1..]),
            None => (None, name),
        };
        let name = trimmed(name);
        (!name.is_empty()).then_some(Self { group, name, head, value })
    }

    /// The line as it was.
    pub fn as_written(&self) -> String {
        let group = self.group.map_or_else(String::new, |group| format!("{group}."));
        let separator = if self.head.is_empty() { "" } else { ";" };
        format!("{group}{}{separator}{}:{}", self.name, self.head, self.value)
    }

    /// Whether it has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        Params { rest: self.head }
    }

    /// The value of a parameter by its name in any case: the first if it is a list.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        if self.head.is_empty() {
            return None;
        }
        self.params().find(|param| param.name.eq_ignore_ascii_case(name)).and_then(|param| param.values().next())
    }

    /// The types as written, from `TYPE=a,b`, `TYPE="a,b"`, `TYPE=a;TYPE=b`, and bare ones.
    pub fn types(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.params().flat_map(|param| {
            let raw = match param {
                Param { name: "", raw } => raw,
                Param { name, raw } if name.eq_ignore_ascii_case("TYPE") => raw,
                _ => "",
            };
            raw.split([',', '"']).map(str::trim).filter(|one| !one.is_empty())
        })
    }

    /// Whether it has this type, in any case.
    pub fn has_type(&self, kind: &str) -> bool {
        self.types().any(|one| one.eq_ignore_ascii_case(kind))
    }

    /// Whether its value is a text although the property usually has another type.
    pub(crate) fn is_text(&self) -> bool {
        !self.head.is_empty() && self.param("VALUE").is_some_and(|value| value.eq_ignore_ascii_case("text"))
    }

    /// The preference of the line: 1 is the highest, 101 means none.
    pub fn preference(&self) -> u32 {
        if self.head.is_empty() {
            return 101;
        }
        let number =
            self.param("PREF").and_then(|pref| pref.trim().parse().ok()).filter(|pref| (1..=100).contains(pref));
        number.unwrap_or_else(|| if self.has_type("PREF") { 1 } else { 101 })
    }
}

/// One parameter. A bare one has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as written.
    pub name: &'a str,
    /// The values with their quotes and escapes.
    pub raw: &'a str,
}

impl<'a> Param<'a> {
    /// The values, without quotes and with RFC 6868's escapes undone.
    pub fn values(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let mut rest = Some(self.raw);
        std::iter::from_fn(move || {
            let raw = rest?;
            let end = outside_quotes(raw, b',');
            rest = end.map(|end| &raw[end + 1..]);
            Some(plain(&raw[..end.unwrap_or(raw.len())]))
        })
    }
}

/// The parameters of a line.
#[derive(Debug, Clone)]
pub struct Params<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = outside_quotes(self.rest, b';');
            let one = &self.rest[..end.unwrap_or(self.rest.len())];
            self.rest = end.map_or("", |end| &self.rest[end + 1..]);
            let (name, raw) = match one.bytes().position(|byte| byte == b'=') {
                Some(at) => (trimmed(&one[..at]), trimmed(&one[at + 1..])),
                None => ("", trimmed(one)),
            };
            if !(name.is_empty() && raw.is_empty()) {
                return Some(Param { name, raw });
            }
        }
    }
}

fn outside_quotes(text: &str, separator: u8) -> Option<usize> {
    let mut quoted = false;
    text.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == separator && !quoted
    })
}

/// A parameter's value without quotes; `^n`, `^'` and `^^` are undone (RFC 6868), and `^r`, which this program writes.
fn plain(raw: &str) -> Cow<'_, str> {
    let bare = raw.trim();
    let bare = bare.strip_prefix('"').map_or(bare, |bare| bare.strip_suffix('"').unwrap_or(bare));
    if !bare.contains('^') {
        return Cow::Borrowed(bare);
    }
    let mut text = String::with_capacity(bare.len());
    let mut chars = bare.chars();
    while let Some(c) = chars.next() {
        let mut after = chars.clone();
        let undone = match (c, after.next()) {
            ('^', Some('n')) => '\n',
            ('^', Some('r')) => '\r',
            ('^', Some('\'')) => '"',
            ('^', Some('^')) => '^',
            _ => {
                text.push(c);
                continue;
            }
        };
        text.push(undone);
        chars = after;
    }
    Cow::Owned(text)
}

/// Appends a parameter's value, quoted if necessary. Control characters except line breaks and tabs are left out.
pub fn write_param(value: &str, out: &mut String) {
    let quoted = value.contains([':', ';', ',', '=', ' ', '\t']) || value.is_empty();
    if quoted {
        out.push('"');
    }
    for c in value.chars() {
        match c {
            '^' => out.push_str("^^"),
            '"' => out.push_str("^'"),
            '\n' => out.push_str("^n"),
            '\r' => out.push_str("^r"),
            c if c.is_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    if quoted {
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = Line::parse(r#"item1.TEL;TYPE="work,fax";X="a;b:c",d;PREF:+1:2"#).unwrap();
        assert_eq!((line.group, line.name, line.value), (Some("item1"), "TEL", "+1:2"));
        assert_eq!(line.types().collect::<Vec<_>>(), ["work", "fax", "PREF"]);
        assert_eq!(line.preference(), 1);
        let x = line.params().nth(1).unwrap();
        assert_eq!(x.values().collect::<Vec<_>>(), ["a;b:c", "d"]);
        assert_eq!(line.param("type").unwrap(), "work,fax");
        assert_eq!(Line::parse("no colon"), None);
        assert_eq!(Line::parse(":x"), None);
        // The first colon ends the head, even after a backslash. A quote that is never closed quotes nothing.
        assert_eq!(Line::parse(r"ADR;LABEL=A\nB\:;;C").unwrap().value, ";;C");
        assert_eq!(Line::parse(r#"TEL;TYPE="work:1"#).unwrap().value, "1");
        assert_eq!(Line::parse("EMAIL;TYPE=;PREF=100:x").unwrap().preference(), 100);
    }

    #[test]
    fn a_parameter_comes_back() {
        for value in ["", "a", "a,b", "^n \"q\"\r\n", "x^", "a=b", " t\t"] {
            let mut line = String::from("X;P=");
            write_param(value, &mut line);
            line.push(':');
            assert_eq!(Line::parse(&line).unwrap().param("P").unwrap(), value.trim_matches('\0'), "{line}");
        }
    }
}

//! Splits a text into tokens with their positions.

use crate::domain::date;
use crate::domain::literal::{GUID, decimal, is_guid};
use crate::odata::filter::Fault;
use crate::odata::filter::ast::Literal;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FilterToken {
    /// A name or operator, `$it` or `$count`.
    Word(String),
    /// `@name`, without `@`.
    Alias(String),
    Literal(Literal),
    Open,
    Close,
    Comma,
    Slash,
    Colon,
    Minus,
    End,
}

/// Splits the text. Each token comes with its position, in characters; the last one is the end.
pub(super) fn read(text: &str) -> Result<Vec<(usize, FilterToken)>, Fault> {
    let mut rest = Rest { chars: text.chars().peekable(), at: 0 };
    let mut tokens = Vec::new();
    loop {
        while rest.peek().is_some_and(|c| matches!(c, ' ' | '\t')) {
            rest.next();
        }
        let at = rest.at;
        let Some(first) = rest.peek() else {
            tokens.push((at, FilterToken::End));
            return Ok(tokens);
        };
        let sign = match first {
            '(' => Some(FilterToken::Open),
            ')' => Some(FilterToken::Close),
            ',' => Some(FilterToken::Comma),
            '/' => Some(FilterToken::Slash),
            ':' => Some(FilterToken::Colon),
            '-' => Some(FilterToken::Minus),
            _ => None,
        };
        let token = if let Some(guid) = rest.guid() {
            FilterToken::Literal(Literal::Guid(guid))
        } else if let Some(sign) = sign {
            rest.next();
            sign
        } else if first == '\'' {
            FilterToken::Literal(Literal::Text(rest.quoted()?))
        } else if first.is_ascii_digit() {
            // Operators contain none of these characters.
            let text = rest.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '+' | '-'));
            FilterToken::Literal(number_or_date(&text).ok_or_else(|| unreadable(at, &text))?)
        } else if first == '@' {
            rest.next();
            FilterToken::Alias(rest.take_while(is_name))
        } else if first == '$' || first == '_' || first.is_alphabetic() {
            rest.next();
            let word = first.to_string() + &rest.take_while(|c| is_name(c) || c == '.');
            if rest.peek() == Some('\'') && word.contains('.') {
                FilterToken::Literal(Literal::Enum(word, rest.quoted()?))
            } else {
                FilterToken::Word(word)
            }
        } else {
            return Err(Fault::new(at, "this character is not allowed in an expression; put strings in single quotes"));
        };
        tokens.push((at, token));
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Rest<'t> {
    chars: std::iter::Peekable<std::str::Chars<'t>>,
    at: usize,
}

impl Rest<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        self.at += 1;
        self.chars.next()
    }

    /// A GUID at this position, in lower case.
    fn guid(&mut self) -> Option<String> {
        let text: String = self.chars.clone().take(GUID.len()).collect();
        let guid = text.to_ascii_lowercase();
        if !is_guid(&guid) || self.chars.clone().nth(GUID.len()).is_some_and(|c| is_name(c) || matches!(c, '-' | '.')) {
            return None;
        }
        for _ in 0..GUID.len() {
            self.next();
        }
        Some(guid)
    }

    fn take_while(&mut self, matches_char: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| matches_char(*c)) {
            text.push(c);
            self.next();
        }
        text
    }

    /// A text in quotes; a doubled quote inside is one quote.
    fn quoted(&mut self) -> Result<String, Fault> {
        let begin = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('\'') if self.peek() == Some('\'') => {
                    self.next();
                    text.push('\'');
                }
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(Fault::new(begin, "the string that begins here has no closing quote")),
            }
        }
    }
}

/// A number, date or time. The parser also calls this with a minus before the number.
pub(super) fn number_or_date(text: &str) -> Option<Literal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(Literal::Int);
    }
    if decimal(text).is_some() {
        return Some(Literal::Decimal(text.to_owned()));
    }
    if date::day(text).is_some() {
        return Some(Literal::Date(text.to_owned()));
    }
    if date::instant(text).is_some() {
        return Some(Literal::DateTime(text.to_owned()));
    }
    super::time_of_day(text).map(|_| Literal::Time(text.to_owned()))
}

fn unreadable(at: usize, text: &str) -> Fault {
    let text = crate::domain::plain::shorten(text);
    Fault::new(
        at,
        format!(
            "'{text}' is neither a number of up to 18 digits, at most 6 of them after the point, nor a date like 2024-02-29, \
             nor a time like 2024-02-29T10:00:00Z (whose + is %2B in an address)"
        ),
    )
}

//! `$search`: words and "phrases", joined by spaces or `AND`, by `OR`, negated by `NOT`, in parentheses (OData 4.01,
//! URL conventions, 5.1.8). Graph's clients put the whole expression in one pair of quotes; the content is then parsed
//! the same way, so `"ann smith"` is two words in any order, and a phrase is `"\"ann smith\""`. docs/graph.md,
//! "Search".

use crate::domain::contact::Text;
use crate::domain::error::{Error, Kind};
use crate::domain::plain::shorten;
use crate::domain::query::search::{Search, SearchExpr};
use crate::domain::words::{self, Field};

/// Maximum length of the text in bytes.
pub(crate) const MAX_BYTES: usize = 2_048;
/// Maximum number of words in one search.
const MAX_WORDS: usize = 32;
/// Maximum nesting depth of parentheses and `NOT`.
const MAX_DEPTH: usize = 32;

/// Parses a `$search`.
///
/// # Errors
/// 400 for a syntax error, no word, a property that is not searched, or an exceeded limit.
pub fn parse(text: &str) -> Result<Search, Error> {
    let read = || {
        if text.len() > MAX_BYTES {
            return Err(SearchFault(0, format!("it is longer than {MAX_BYTES} bytes")));
        }
        let inner = content_if_quoted(text);
        let tokens = tokens(inner.as_deref().unwrap_or(text))?;
        let mut parser = SearchParser { tokens: tokens.into_iter().peekable(), words: 0 };
        let expr = parser.any_of(0)?;
        match parser.tokens.next() {
            Some((at, token)) => Err(SearchFault(at, format!("unexpected {}", token.named()))),
            None => expr.ok_or_else(|| SearchFault(0, "no letter or digit to look for".to_owned())),
        }
    };
    read().map(Search).map_err(|SearchFault(at, message)| {
        let message = format!("Syntax error at position {at} in '{}': {message}.", shorten(text));
        Error::invalid(Kind::Query, "$search", message)
    })
}

/// A syntax error and its position, in characters from 0.
struct SearchFault(usize, String);

#[derive(Debug, PartialEq, Eq)]
enum SearchToken {
    /// The property to search, if one is named, and a word or phrase.
    Term(Option<String>, String),
    And,
    Or,
    Not,
    Open,
    Close,
}

impl SearchToken {
    fn named(&self) -> String {
        match self {
            Self::Term(_, text) => format!("'{}'", shorten(text)),
            Self::And => "'AND'".to_owned(),
            Self::Or => "'OR'".to_owned(),
            Self::Not => "'NOT'".to_owned(),
            Self::Open => "'('".to_owned(),
            Self::Close => "')'".to_owned(),
        }
    }
}

/// The content of the quotes, if the whole text is in one pair of them.
fn content_if_quoted(text: &str) -> Option<String> {
    let mut chars = text.trim_matches(' ').chars();
    (chars.next() == Some('"')).then_some(())?;
    let inner = quoted(&mut chars)?;
    chars.next().is_none().then_some(inner)
}

/// The rest of a quoted text. `\"` is a quote and `\\` a backslash. `None` if the closing quote is missing.
fn quoted(chars: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                c @ ('"' | '\\') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, SearchToken)>, SearchFault> {
    let mut chars = text.chars().enumerate().peekable();
    let mut tokens = Vec::new();
    while let Some((at, c)) = chars.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => SearchToken::Open,
            ')' => SearchToken::Close,
            c => {
                let mut word = String::new();
                let mut phrase = c == '"';
                if !phrase {
                    word.push(c);
                    while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_whitespace() && !matches!(c, '(' | ')' | '"'))
                    {
                        word.push(c);
                    }
                    // property:"a phrase"
                    phrase = word.ends_with(':') && chars.next_if(|(_, c)| *c == '"').is_some();
                }
                if phrase {
                    let text = quoted(&mut chars.by_ref().map(|(_, c)| c));
                    word += &text.ok_or_else(|| SearchFault(at, "the phrase has no closing quote".to_owned()))?;
                }
                match word.as_str() {
                    "AND" if !phrase => SearchToken::And,
                    "OR" if !phrase => SearchToken::Or,
                    "NOT" if !phrase => SearchToken::Not,
                    _ => match word.split_once(':') {
                        Some((name, rest)) if is_property(name) => {
                            SearchToken::Term(Some(name.to_owned()), rest.to_owned())
                        }
                        _ => SearchToken::Term(None, word),
                    },
                }
            }
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

/// Whether the text before a colon is a property name. An unsearchable property gets a clear error instead of a search
/// for its name.
fn is_property(name: &str) -> bool {
    let others = ["categories", "imAddresses", "websites", "businessHomePage", "id"];
    let mut names = Text::ALL.into_iter().map(Text::json).chain(others);
    Field::named(name).is_some() || names.any(|other| other.eq_ignore_ascii_case(name))
}

struct SearchParser<T: Iterator<Item = (usize, SearchToken)>> {
    tokens: std::iter::Peekable<T>,
    /// The number of words so far.
    words: usize,
}

/// `None` if there is no word, as for the `&` in `Ann & Bob`.
type Read = Result<Option<SearchExpr>, SearchFault>;

impl<T: Iterator<Item = (usize, SearchToken)>> SearchParser<T> {
    fn any_of(&mut self, depth: usize) -> Read {
        let mut operands = vec![self.all_of(depth)?];
        while self.tokens.next_if(|(_, token)| *token == SearchToken::Or).is_some() {
            operands.push(self.all_of(depth)?);
        }
        Ok(join_if_several(operands, SearchExpr::Or))
    }

    fn all_of(&mut self, depth: usize) -> Read {
        let mut operands = vec![self.negated(depth)?];
        loop {
            let and = self.tokens.next_if(|(_, token)| *token == SearchToken::And).is_some();
            match self.tokens.peek() {
                Some((_, SearchToken::Term(..) | SearchToken::Not | SearchToken::Open)) => {
                    operands.push(self.negated(depth)?);
                }
                _ if and => operands.push(self.negated(depth)?),
                _ => return Ok(join_if_several(operands, SearchExpr::And)),
            }
        }
    }

    fn negated(&mut self, depth: usize) -> Read {
        let expected = "expected a word, a \"phrase\", NOT or '('";
        let Some((at, token)) = self.tokens.next() else {
            return Err(SearchFault(0, format!("{expected}, but the search ends")));
        };
        if depth >= MAX_DEPTH {
            return Err(SearchFault(at, format!("it is nested more than {MAX_DEPTH} deep")));
        }
        match token {
            SearchToken::Not => Ok(self.negated(depth + 1)?.map(|operand| SearchExpr::Not(Box::new(operand)))),
            SearchToken::Term(property, text) => self.term(at, property.as_deref(), &text),
            SearchToken::Open => {
                let inner = self.any_of(depth + 1)?;
                match self.tokens.next() {
                    Some((_, SearchToken::Close)) => Ok(inner),
                    _ => Err(SearchFault(at, "the parenthesis is not closed".to_owned())),
                }
            }
            other => Err(SearchFault(at, format!("{expected}, found {}", other.named()))),
        }
    }

    fn term(&mut self, at: usize, property: Option<&str>, text: &str) -> Read {
        let field = match property {
            None => None,
            Some(name) => Some(Field::named(name).ok_or_else(|| {
                let names = Field::names().collect::<Vec<_>>().join(", ");
                SearchFault(at, format!("'{}' cannot be searched; searchable properties: {names}", shorten(name)))
            })?),
        };
        let found = words::of(text);
        self.words += found.len();
        if self.words > MAX_WORDS {
            return Err(SearchFault(at, format!("it has more than {MAX_WORDS} words")));
        }
        let number = words::numbers(&found).into_iter().next();
        let is_number = found.len() > 1 && found.iter().all(|word| words::is_number(word));
        if found.is_empty() {
            return Ok(None);
        }
        let adjacent_words = SearchExpr::Words(field, found);
        Ok(Some(match number.filter(|_| is_number && matches!(field, None | Some(Field::Phones))) {
            // Phone numbers match however their digits are grouped.
            Some(number) => SearchExpr::Or(vec![adjacent_words, SearchExpr::Words(Some(Field::Phones), vec![number])]),
            None => adjacent_words,
        }))
    }
}

/// Joins the operands that have words.
fn join_if_several(
    operands: Vec<Option<SearchExpr>>,
    join: impl FnOnce(Vec<SearchExpr>) -> SearchExpr,
) -> Option<SearchExpr> {
    let mut operands: Vec<_> = operands.into_iter().flatten().collect();
    if operands.len() > 1 { Some(join(operands)) } else { operands.pop() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::Text;
    use proptest::prelude::*;

    fn words(text: &str) -> SearchExpr {
        SearchExpr::Words(None, text.split(' ').map(str::to_owned).collect())
    }

    fn read(text: &str) -> SearchExpr {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).0
    }

    #[test]
    fn words_and_phrases_are_joined_as_in_odata() {
        let not = |expr| SearchExpr::Not(Box::new(expr));
        let (a, b, c) = (|| words("a"), || words("b"), || words("c"));
        for (text, expr) in [
            ("a", a()),
            ("a b", SearchExpr::And(vec![a(), b()])),
            ("a AND b", SearchExpr::And(vec![a(), b()])),
            ("a b OR c", SearchExpr::Or(vec![SearchExpr::And(vec![a(), b()]), c()])),
            ("a AND (b OR c)", SearchExpr::And(vec![a(), SearchExpr::Or(vec![b(), c()])])),
            ("NOT a b", SearchExpr::And(vec![not(a()), b()])),
            ("a NOT (b c)", SearchExpr::And(vec![a(), not(SearchExpr::And(vec![b(), c()]))])),
            ("NOT NOT a", not(not(a()))),
            ("\"a b\" c", SearchExpr::And(vec![words("a b"), c()])),
            ("\"a \\\"b\\\"\" OR c", SearchExpr::Or(vec![words("a b"), c()])),
            ("a and not b", SearchExpr::And(vec![a(), words("and"), words("not"), b()])),
            ("a \"AND\" b", SearchExpr::And(vec![a(), words("and"), b()])),
            ("  ( a ) ", a()),
            // A term without words is ignored.
            ("a & b", SearchExpr::And(vec![a(), b()])),
            ("a OR & OR NOT -", a()),
            // Graph's clients quote the whole expression.
            ("\"a\"", a()),
            ("\"a b\"", SearchExpr::And(vec![a(), b()])),
            (" \"a OR b\" ", SearchExpr::Or(vec![a(), b()])),
            ("\"\\\"a b\\\" c\"", SearchExpr::And(vec![words("a b"), c()])),
            // A term of several words is a phrase.
            ("Ann.Lee@Example", words("ann lee example")),
            (
                "10:30",
                SearchExpr::Or(vec![words("10 30"), SearchExpr::Words(Some(Field::Phones), vec!["1030".into()])]),
            ),
            ("no:such", words("no such")),
            ("山田", words("山 田")),
        ] {
            assert_eq!(read(text), expr, "{text}");
        }
    }

    #[test]
    fn a_property_can_be_named() {
        let in_property = |text: Text, word: &str| {
            SearchExpr::Words(Some(Field::Text(text)), word.split(' ').map(str::to_owned).collect())
        };
        let evolution = "\"displayName:x\" OR \"givenName:x\" OR \"emailAddresses:x\"";
        let emails = SearchExpr::Words(Some(Field::Emails), vec!["x".into()]);
        let expected = vec![in_property(Text::DisplayName, "x"), in_property(Text::GivenName, "x"), emails];
        assert_eq!(read(evolution), SearchExpr::Or(expected));
        assert_eq!(read("displayname:\"Ann Lee\""), in_property(Text::DisplayName, "ann lee"));
        assert_eq!(read("\"surname:Lee\""), in_property(Text::Surname, "lee"));
        assert_eq!(read("\"surname:\\\"van Lee\\\"\""), in_property(Text::Surname, "van lee"));
        let number =
            |digits: &str| SearchExpr::Words(Some(Field::Phones), digits.split(' ').map(str::to_owned).collect());
        assert_eq!(read("mobilePhone:555-01"), SearchExpr::Or(vec![number("555 01"), number("55501")]));
        assert_eq!(read("homeAddress:1-2"), SearchExpr::Words(Some(Field::Addresses), vec!["1".into(), "2".into()]));
    }

    #[test]
    fn syntax_errors_have_a_position() {
        let deep = "(".repeat(40) + "a";
        let many = "a ".repeat(33);
        let long = "a".repeat(2_049);
        for (text, why) in [
            ("", "position 0 in '': expected a word, a \"phrase\", NOT or '(', but the search ends"),
            ("\"\"", "but the search ends"),
            ("-", "no letter or digit"),
            ("NOT &", "no letter or digit"),
            ("a AND", "but the search ends"),
            ("OR a", "position 0 in 'OR a': expected a word, a \"phrase\", NOT or '(', found 'OR'"),
            ("a AND OR b", "position 6 in 'a AND OR b': expected a word, a \"phrase\", NOT or '(', found 'OR'"),
            ("(a", "position 0 in '(a': the parenthesis"),
            ("a)", "position 1 in 'a)': unexpected ')'"),
            ("a \"b", "position 2 in 'a \"b': the phrase"),
            (
                "department:x",
                "position 0 in 'department:x': 'department' cannot be searched; searchable properties: displayName",
            ),
            (&deep, "nested more than 32"),
            (&many, "more than 32 words"),
            (&long, "longer than 2048"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn words_match_by_prefix() {
        let folder = words::of_folder("Ann-Marie van der Lée");
        for (text, found) in [
            ("ann", true),
            ("lee", true),
            ("LÉE", true),
            ("nn", false),
            ("lee mar", true),
            ("\"van der\" ann", true),
            ("\"der van\" ann", false),
            ("\"van lee\" OR x", false),
            ("anna", false),
            ("ann-mar", true),
            ("an-marie", false),
            ("NOT ann", false),
            ("NOT bob", true),
            ("displayName:der", true),
            ("surname:der", false),
        ] {
            assert_eq!(parse(text).unwrap().matches(&folder), found, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\"|\\(|\\)|AND|OR|NOT|:|\\\\| |surname|\\PC){0,60}") {
            let _ = parse(&text);
        }
    }
}

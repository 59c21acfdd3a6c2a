//! A search expression: words, joined by `and`, `or` and `not`.

use crate::domain::words::{Field, Word};

/// A search expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(pub(crate) SearchExpr);

/// The expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SearchExpr {
    /// Consecutive words, in one field or in any; the last word is a prefix. Never empty.
    Words(Option<Field>, Vec<String>),
    And(Vec<SearchExpr>),
    Or(Vec<SearchExpr>),
    Not(Box<SearchExpr>),
}

impl Search {
    /// Whether something with these words matches.
    pub(crate) fn matches(&self, words: &[Word]) -> bool {
        self.0.matches(words)
    }
}

impl SearchExpr {
    fn matches(&self, all: &[Word]) -> bool {
        match self {
            Self::And(of) => of.iter().all(|expr| expr.matches(all)),
            Self::Or(of) => of.iter().any(|expr| expr.matches(all)),
            Self::Not(of) => !of.matches(all),
            Self::Words(field, words) => all.iter().any(|(_, place)| {
                field.is_none_or(|field| field.places().contains(place)) && follow(all, *place, words)
            }),
        }
    }
}

/// Whether the words follow each other from this position on.
fn follow(all: &[Word], place: i64, words: &[String]) -> bool {
    let Some((last, before)) = words.split_last() else { return true };
    let at = |place: i64| all.iter().filter(move |(_, there)| *there == place).map(|(word, _)| word.as_str());
    (place..).zip(before).all(|(place, word)| at(place).any(|there| there == word))
        && (place..).nth(before.len()).is_some_and(|place| at(place).any(|there| there.starts_with(last)))
}

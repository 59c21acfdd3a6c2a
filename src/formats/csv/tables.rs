//! The header tables: the meanings of columns by program and language. They are data in the .tsv files in this folder.
//! A line is a column: its meaning first, then its names in each language, with `|` between the spellings of different
//! releases.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::formats::csv::target::{ColumnTarget, normalize};

/// The columns of a program in one language.
pub(crate) struct HeaderTable {
    /// The language, like `de`.
    pub(crate) language: &'static str,
    /// The meanings of a normalized header, several if the program writes it several times.
    headers: HashMap<String, Vec<ColumnTarget>>,
}

impl HeaderTable {
    /// The meaning of the nth column with this header, from 0. `None` for further repetitions.
    pub(crate) fn target(&self, header: &str, nth: usize) -> Option<ColumnTarget> {
        let targets = self.headers.get(header)?;
        Some(targets.get(nth).copied().unwrap_or(ColumnTarget::Aside))
    }

    /// The number of the headers that it has.
    pub(crate) fn matches(&self, headers: &[String]) -> usize {
        headers.iter().filter(|header| self.headers.contains_key(*header)).count()
    }
}

/// The English header of one of Outlook's columns, by its header in any language.
pub(crate) fn in_english(header: &str) -> Option<&'static str> {
    static NAMES: OnceLock<HashMap<String, &'static str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let mut names = HashMap::new();
        for line in include_str!("outlook.tsv").lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').skip(1).collect();
            let english = cells.first().and_then(|cell| cell.split('|').next()).unwrap_or_default();
            for name in cells.iter().flat_map(|cell| cell.split('|')).filter(|name| !name.is_empty()) {
                names.entry(normalize(name)).or_insert(english);
            }
        }
        names
    });
    names.get(&normalize(header)).copied()
}

fn parse(text: &'static str) -> Vec<HeaderTable> {
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let languages = lines.next().unwrap_or_default().split_off(1);
    let mut tables: Vec<HeaderTable> =
        languages.into_iter().map(|language| HeaderTable { language, headers: HashMap::new() }).collect();
    for line in lines {
        let Some(target) = line.first().and_then(|word| ColumnTarget::parse(word)) else { continue };
        for (table, names) in tables.iter_mut().zip(&line[1..]) {
            for name in names.split('|').filter(|name| !name.is_empty()) {
                let targets = table.headers.entry(normalize(name)).or_default();
                // Two spellings may be equal once they are normalized.
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
    }
    tables
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident $file:literal) => {
        $(#[$doc])*
        pub(crate) fn $name() -> &'static [HeaderTable] {
            static TABLES: OnceLock<Vec<HeaderTable>> = OnceLock::new();
            TABLES.get_or_init(|| parse(include_str!($file)))
        }
    };
}

table! {
    /// Outlook, desktop and outlook.com.
    outlook "outlook.tsv"
}
table! {
    /// Google Contacts, without the numbered columns.
    google "google.tsv"
}
table! {
    /// Thunderbird.
    thunderbird "thunderbird.tsv"
}
table! {
    /// Yahoo.
    yahoo "yahoo.tsv"
}
table! {
    /// LinkedIn's connections.
    linkedin "linkedin.tsv"
}

/// The defaults that Outlook writes into columns of `unlessDefault`, normalized, in the languages of its table.
pub(crate) const DEFAULTS: &[&str] = &[
    "unspecified",
    "normal",
    "false",
    "keine angabe",
    "falsch",
    "non spécifié",
    "normale",
    "faux",
    "no especificado",
    "falso",
    "niet opgegeven",
    "normaal",
    "onwaar",
    "指定なし",
    "標準",
];

/// Words for a gender, normalized, in the languages of Outlook's table.
pub(crate) fn gender(word: &str) -> Option<&'static str> {
    Some(match word {
        "male" | "männlich" | "masculin" | "masculino" | "hombre" | "mannelijk" | "man" | "男" | "男性" => "Male",
        "female" | "weiblich" | "féminin" | "femenino" | "mujer" | "vrouwelijk" | "vrouw" | "女" | "女性" => {
            "Female"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_means_something() {
        let files = [
            include_str!("outlook.tsv"),
            include_str!("google.tsv"),
            include_str!("thunderbird.tsv"),
            include_str!("yahoo.tsv"),
            include_str!("linkedin.tsv"),
        ];
        for line in files.into_iter().flat_map(|file| file.lines().skip(1)) {
            let word = line.split('\t').next().unwrap();
            assert!(ColumnTarget::parse(word).is_some(), "{word} means nothing: {line}");
        }
    }

    #[test]
    fn french_outlook_writes_one_header_for_two_columns() {
        use crate::domain::contact::Text;

        let french = outlook().iter().find(|table| table.language == "fr").unwrap();
        assert_eq!(french.target("titre", 0), Some(ColumnTarget::Text(Text::Title)));
        assert_eq!(french.target("titre", 1), Some(ColumnTarget::Text(Text::JobTitle)));
        assert_eq!(french.target("titre", 2), Some(ColumnTarget::Aside));
    }
}

//! The query string: system options with or without `$`, in any letter case; `%XX` and `+` are decoded after splitting
//! (docs/graph.md, "Query options"). Known but unsupported options are refused, never ignored.

use std::collections::HashSet;

use crate::domain::error::{Error, Kind};
use crate::odata::filter::Aliases;
use crate::percent::form_decode;

/// Maximum number of options in one request, and most parameter aliases in addition.
const MAX_OPTIONS: usize = 100;
/// Maximum number of parts between `&`, including empty ones; each is read several times.
const MAX_PIECES: usize = 1_000;
/// Maximum number of bytes of all parameter aliases, decoded. Encoded in links they are at most three times as long.
const MAX_ALIASES: usize = 8 << 10;
/// Longest `$format`; links repeat it.
const MAX_FORMAT: usize = 256;

/// The supported options of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListOption {
    Top,
    Skip,
    SkipToken,
    Filter,
    OrderBy,
    Count,
    Select,
    Search,
    Expand,
    Format,
    DeltaToken,
}

fn parse_name(name: &str) -> Option<ListOption> {
    Some(match name.to_ascii_lowercase().as_str() {
        "top" => ListOption::Top,
        "skip" => ListOption::Skip,
        "skiptoken" => ListOption::SkipToken,
        "filter" => ListOption::Filter,
        "orderby" => ListOption::OrderBy,
        "count" => ListOption::Count,
        "select" => ListOption::Select,
        "search" => ListOption::Search,
        "expand" => ListOption::Expand,
        "format" => ListOption::Format,
        "deltatoken" => ListOption::DeltaToken,
        _ => return None,
    })
}

/// Option names that clients may use for themselves when written without `$`.
const OPTIONS: &str = "$select, $filter, $orderby, $top, $skip, $count, $search, $expand and $format";

/// The options of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `$top`: the page size, above 0.
    pub top: Option<i64>,
    /// `$skip`
    pub skip: Option<i64>,
    /// `$skiptoken`, see [`super::page`].
    pub skip_token: Option<String>,
    /// `$filter`, see [`super::filter`].
    pub filter: Option<String>,
    /// `$orderby`
    pub order_by: Option<String>,
    /// `$count`
    pub count: Option<bool>,
    /// `$deltatoken`, see [`super::delta`].
    pub delta_token: Option<String>,
    /// `$search`, see [`super::search`].
    pub search: Option<String>,
    /// Options like `@p='X'`, which `$filter` and `$orderby` may refer to.
    pub aliases: Aliases,
    /// `$select`, see [`crate::graph::json::contact::select`].
    pub select: Option<String>,
    /// `$expand`, see [`super::expand`].
    pub expand: Option<String>,
    /// `$format`, see [`super::format`].
    pub format: Option<String>,
    /// The parts that a nextLink repeats, undecoded: all except `$skip` and `$skiptoken`.
    kept: Vec<String>,
}

impl Query {
    /// Parses the part after `?`, undecoded.
    ///
    /// # Errors
    /// 400 for an unknown option with `$`, a repeated option, or an invalid value.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let query = Self::read(text)?;
        match query.delta_token {
            Some(_) => Err(invalid("$deltatoken", "The query option '$deltatoken' applies to delta only.")),
            None => Ok(query),
        }
    }

    /// Parses the options of delta: `$select`, the two tokens, `$top` and `$format`. Options of the client are ignored.
    ///
    /// # Errors
    /// As [`Query::parse`]; 400 for an option that delta does not support.
    pub fn parse_for_delta(text: &str) -> Result<Self, Error> {
        let query = Self::read(text)?;
        let given = [
            ("$skip", query.skip.is_some()),
            ("$filter", query.filter.is_some()),
            ("$orderby", query.order_by.is_some()),
            ("$search", query.search.is_some()),
            ("$count", query.count.is_some()),
            ("$expand", query.expand.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((name, _)) => {
                Err(invalid(name, &format!("The query option '{name}' is not supported by delta; '$select' is.")))
            }
            None => Ok(query),
        }
    }

    fn read(text: &str) -> Result<Self, Error> {
        let mut query = Self::default();
        let (mut aliases, mut options, mut alias_bytes_left) = (HashSet::new(), [0, 0], MAX_ALIASES);
        for (i, piece) in text.split('&').enumerate() {
            if i >= MAX_PIECES {
                return Err(invalid("", &format!("The query string has more than {MAX_PIECES} parts between '&'.")));
            }
            if piece.is_empty() {
                continue;
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let (Some(name), Some(value)) = (form_decode(name), form_decode(value)) else {
                return Err(invalid("", "The query string is not percent-encoded UTF-8 without NUL."));
            };
            let bare = name.strip_prefix('$');
            let count = &mut options[usize::from(name.starts_with('@'))];
            *count += 1;
            if *count > MAX_OPTIONS {
                let message = format!("The query string has more than {MAX_OPTIONS} options or parameter aliases.");
                return Err(invalid("", &message));
            }
            if let Some(alias) = name.strip_prefix('@') {
                let shown = crate::domain::plain::shorten(&name);
                if !aliases.insert(alias.to_ascii_lowercase()) {
                    return Err(invalid(&shown, &format!("The parameter alias '{shown}' is given twice.")));
                }
                alias_bytes_left = alias_bytes_left.checked_sub(alias.len() + value.len()).ok_or_else(|| {
                    invalid(&shown, &format!("The parameter aliases have more than {MAX_ALIASES} bytes together."))
                })?;
                query.aliases.0.push((alias.to_owned(), value));
                query.kept.push(piece.to_owned());
                continue;
            }
            match parse_name(bare.unwrap_or(&name)) {
                Some(ListOption::Filter) => once(&mut query.filter, "$filter", value)?,
                Some(ListOption::OrderBy) => once(&mut query.order_by, "$orderby", value)?,
                Some(ListOption::Count) => once(&mut query.count, "$count", boolean(&value)?)?,
                Some(ListOption::Top) => once(&mut query.top, "$top", integer("$top", 1, &value)?)?,
                Some(ListOption::Skip) => {
                    once(&mut query.skip, "$skip", integer("$skip", 0, &value)?)?;
                    continue;
                }
                Some(ListOption::SkipToken) => {
                    once(&mut query.skip_token, "$skiptoken", value)?;
                    continue;
                }
                Some(ListOption::Select) => once(&mut query.select, "$select", value)?,
                Some(ListOption::Search) => once(&mut query.search, "$search", value)?,
                Some(ListOption::Expand) => once(&mut query.expand, "$expand", value)?,
                Some(ListOption::Format) if value.len() > MAX_FORMAT => {
                    return Err(invalid("$format", &format!("'$format' has more than {MAX_FORMAT} bytes.")));
                }
                Some(ListOption::Format) => once(&mut query.format, "$format", value)?,
                Some(ListOption::DeltaToken) => once(&mut query.delta_token, "$deltatoken", value)?,
                None if bare.is_some() => {
                    let name = crate::domain::plain::shorten(&name);
                    return Err(invalid(
                        &name,
                        &format!("The query option '{name}' is not recognized. Supported options: {OPTIONS}."),
                    ));
                }
                None => {}
            }
            query.kept.push(piece.to_owned());
        }
        Ok(query)
    }

    /// Parses the options of a call without a choice of properties: `$format`. Options of the client are ignored.
    ///
    /// # Errors
    /// As [`Query::parse`]; 400 for any other option.
    pub fn check_format_only(text: &str) -> Result<(), Error> {
        let query = Self::parse_for_entity(text)?;
        match [("$select", query.select), ("$expand", query.expand)].into_iter().find(|(_, given)| given.is_some()) {
            Some((name, _)) => Err(invalid(
                name,
                &format!(
                    "The query option '{name}' applies to the reading of contacts, folders, categories and users only."
                ),
            )),
            None => Ok(()),
        }
    }

    /// Parses the options of a single entity: `$select`, `$expand` and `$format`. Options of the client are ignored.
    ///
    /// # Errors
    /// As [`Query::parse`]; 400 for an option of lists.
    pub fn parse_for_entity(text: &str) -> Result<Self, Error> {
        let query = Self::parse(text)?;
        let given = [
            ("$top", query.top.is_some()),
            ("$skip", query.skip.is_some()),
            ("$skiptoken", query.skip_token.is_some()),
            ("$filter", query.filter.is_some()),
            ("$orderby", query.order_by.is_some()),
            ("$search", query.search.is_some()),
            ("$count", query.count.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(invalid(name, &format!("The query option '{name}' applies to collections only."))),
            None => Ok(query),
        }
    }

    /// The query of the next page. Characters that are not allowed in a link are encoded, also braces, because one
    /// client reads links as templates.
    pub fn with_token(&self, token: &str) -> String {
        let mut link = String::new();
        for piece in &self.kept {
            link.extend(piece.bytes().flat_map(encode_for_link));
            link.push('&');
        }
        link.push_str("$skiptoken=");
        link.push_str(token);
        link
    }
}

/// Whether a byte of a query needs no encoding in a link.
fn needs_no_encoding(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'"')
}

/// A byte of a query in a link.
fn encode_for_link(byte: u8) -> impl Iterator<Item = char> {
    let needs_no_encoding = needs_no_encoding(byte);
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default().to_ascii_uppercase();
    let encoded = ['%', digit(byte >> 4), digit(byte & 15)];
    let kept = needs_no_encoding.then(|| char::from(byte));
    kept.into_iter().chain(encoded.into_iter().filter(move |_| !needs_no_encoding))
}

/// Length of a link's query that repeats this one with another token.
pub fn length_in_link(text: &str) -> usize {
    let is_token = |piece: &&str| {
        let name = form_decode(piece.split_once('=').map_or(*piece, |(name, _)| name)).unwrap_or_default();
        matches!(
            parse_name(name.strip_prefix('$').unwrap_or(&name)),
            Some(ListOption::SkipToken | ListOption::DeltaToken)
        )
    };
    let repeated = text.split('&').filter(|piece| !is_token(piece));
    repeated.map(|piece| piece.bytes().map(|byte| if needs_no_encoding(byte) { 1 } else { 3 }).sum::<usize>() + 1).sum()
}

/// The value of the first option with this name. Decoding errors are reported later, when all options are parsed.
pub(crate) fn value_of(text: &str, name: &str) -> Option<String> {
    text.split('&').find_map(|piece| {
        let (option_name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let option_name = form_decode(option_name)?;
        option_name.strip_prefix('$').unwrap_or(&option_name).eq_ignore_ascii_case(name).then(|| form_decode(value))?
    })
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(invalid(name, &format!("The query option '{name}' is given twice."))),
    }
}

/// Parses digits only. Numbers beyond i64 become the largest one.
fn integer(name: &str, min: i64, value: &str) -> Result<i64, Error> {
    let digits = value.trim_matches(' ');
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| digits.parse().unwrap_or(i64::MAX)).filter(|number| *number >= min);
    number.ok_or_else(|| {
        let more = if name == "$top" { "; a page has at most 1,000 in any case" } else { "" };
        invalid(name, &format!("'{name}' must be a whole number of {min} or more{more}."))
    })
}

fn boolean(value: &str) -> Result<bool, Error> {
    match value.trim_matches(' ') {
        truth if truth.eq_ignore_ascii_case("true") => Ok(true),
        truth if truth.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(invalid("$count", "'$count' must be true or false.")),
    }
}

fn invalid(target: &str, message: &str) -> Error {
    Error::invalid(Kind::Query, target, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_an_option_is_read() {
        for text in
            ["$top=5&$skip=2", "%24top=5&%24skip=2", "top=5&skip=2", "$TOP=5&&$Skip=+2", "$top=5&$skip=2&mine=1"]
        {
            let query = Query::parse(text).unwrap();
            assert_eq!((query.top, query.skip), (Some(5), Some(2)), "{text}");
        }
        assert_eq!(Query::parse("").unwrap(), Query::default());
        assert_eq!(Query::parse("$top=99999999999999999999").unwrap().top, Some(i64::MAX));
    }

    #[test]
    fn unsupported_options_and_values_are_refused() {
        for text in [
            "$top=0",
            "$top=-1",
            "$top=x",
            "$top=",
            "$skip=-1",
            "$top=1&top=2",
            "$nope=1",
            "$top=%ff",
            "a%=1",
            "$=1",
            "$count=1",
            "$filter=a&filter=b",
            "@p=1&@P=2",
        ] {
            assert!(matches!(Query::parse(text), Err(Error::Invalid(_))), "{text}");
        }
        for text in ["$deltatoken=x", "%24DeltaToken=x"] {
            assert!(matches!(Query::parse(text), Err(Error::Invalid(_))), "{text}");
            assert_eq!(Query::parse_for_delta(text).unwrap().delta_token.as_deref(), Some("x"));
        }
        assert!(matches!(Query::parse_for_delta("$filter=true"), Err(Error::Invalid(_))));
        assert!(matches!(Query::check_format_only("$top=1"), Err(Error::Invalid(_))));
        assert!(matches!(Query::check_format_only("%24select=id"), Err(Error::Invalid(_))));
        assert!(matches!(Query::check_format_only("expand=photo"), Err(Error::Invalid(_))));
        assert_eq!(Query::parse_for_entity("$SELECT=id").unwrap().select.as_deref(), Some("id"));
        assert!(Query::check_format_only("mine=1").is_ok());
    }

    #[test]
    fn a_next_link_keeps_the_options_of_the_client() {
        let query = Query::parse("%24top=5&mine={a}&$skip=3&$skiptoken=old").unwrap();
        assert_eq!(query.with_token("new"), "%24top=5&mine=%7Ba%7D&$skiptoken=new");
        let text = "$filter=surname+eq+%40p&@p='%7Bx'&orderby=surname&$count=TRUE";
        let query = Query::parse(text).unwrap();
        assert_eq!(query.with_token("new"), format!("{text}&$skiptoken=new"));
        assert_eq!((query.filter.as_deref(), query.count), (Some("surname eq @p"), Some(true)));
        assert_eq!(query.aliases.0, [("p".to_owned(), "'{x'".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(text in "(&|=|%|\\$|top|skip|[0-9a-f]{2}|\\PC){0,40}") {
            let _ = Query::parse(&text);
        }
    }
}

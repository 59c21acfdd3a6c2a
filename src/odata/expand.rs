//! `$expand`: properties to include, each with options in parentheses, separated by `;`:
//! `childFolders($top=5),contacts($filter=surname eq 'a;b';$select=surname)`. Separators in quotes or nested
//! parentheses do not count.
//!
//! ```
//! use contactd::odata::expand::{ExpandSource, parse};
//! use contactd::odata::filter::Aliases;
//!
//! let found = parse("contacts($filter=surname eq ')';$top=5)", &Aliases::default(), ExpandSource::Folder).unwrap();
//! assert_eq!((found[0].options.filter.as_deref(), found[0].options.top), (Some("surname eq ')'"), Some(5)));
//! ```

use crate::domain::contact::expand::{Expand, ExpandSelection, RequestedTag};
use crate::domain::contact::tags;
use crate::domain::error::{Error, Kind};
use crate::domain::extended::{MULTI, MultiValue, PropertyId, SINGLE, SingleValue};
use crate::domain::extension;
use crate::domain::handling::Handling;
use crate::domain::plain::shorten;
use crate::odata::filter::{self, Aliases};
use crate::odata::query::Query;
use crate::percent::percent_encode;

/// Maximum length of `$expand`, in bytes.
pub(crate) const MAX_TEXT: usize = 8 << 10;
/// Maximum number of options in one pair of parentheses.
const MAX_OPTIONS: usize = 20;
/// The options for collections of entities.
const OPTIONS: [&str; 6] = ["$select", "$filter", "$orderby", "$top", "$skip", "$count"];

/// The type that is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpandSource {
    /// A user.
    User,
    /// A contact.
    Contact,
    /// A folder.
    Folder,
    /// A category.
    Category,
}

/// The expandable properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Navigation {
    /// `childFolders`
    ChildFolders,
    /// `contacts`
    Contacts,
    /// `extensions`
    Extensions,
    /// `singleValueExtendedProperties`
    SingleValues,
    /// `multiValueExtendedProperties`
    MultiValues,
}

impl Navigation {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChildFolders => "childFolders",
            Self::Contacts => "contacts",
            Self::Extensions => "extensions",
            Self::SingleValues => SINGLE,
            Self::MultiValues => MULTI,
        }
    }

    /// The supported options.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::ChildFolders | Self::Contacts => &OPTIONS,
            Self::Extensions | Self::SingleValues | Self::MultiValues => &["$filter"],
        }
    }
}

/// An item of an `$expand`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandItem {
    /// The property.
    pub navigation: Navigation,
    /// Its options. The aliases are those of the whole request.
    pub options: Query,
}

/// The meaning of a name in `$expand`.
enum Offer {
    Served(Navigation),
    /// Known to Graph, which does not expand it either.
    Never(&'static str),
}

impl Offer {
    fn name(&self) -> &'static str {
        match self {
            Self::Served(navigation) => navigation.name(),
            Self::Never(name) => name,
        }
    }
}

impl ExpandSource {
    /// The type's name, the known properties, and the expandable ones for messages.
    fn offers(self) -> (&'static str, &'static [Offer], &'static str) {
        use Offer::{Never, Served};
        match self {
            Self::User => ("user", &[Never("contacts"), Never("contactFolders"), Never("photo")], "nothing"),
            Self::Contact => (
                "contact",
                &[
                    Served(Navigation::Extensions),
                    Served(Navigation::SingleValues),
                    Served(Navigation::MultiValues),
                    Never("photo"),
                ],
                "extensions, singleValueExtendedProperties, multiValueExtendedProperties",
            ),
            Self::Folder => (
                "contactFolder",
                &[
                    Served(Navigation::ChildFolders),
                    Served(Navigation::Contacts),
                    Served(Navigation::SingleValues),
                    Served(Navigation::MultiValues),
                ],
                "childFolders, contacts, singleValueExtendedProperties, multiValueExtendedProperties",
            ),
            Self::Category => ("outlookCategory", &[], "nothing"),
        }
    }
}

/// Parses an `$expand`. `aliases` are those of the request.
///
/// # Errors
/// 400 for a syntax error, an unknown or repeated name, or an unsupported option.
pub fn parse(text: &str, aliases: &Aliases, source: ExpandSource) -> Result<Vec<ExpandItem>, Error> {
    if text.len() > MAX_TEXT {
        return Err(refused("$expand", format!("'$expand' is longer than {MAX_TEXT} bytes.")));
    }
    let (type_name, offers, accepted) = source.offers();
    let mut found: Vec<ExpandItem> = Vec::new();
    for ExpandText { name, options } in (ExpandReader { text, at: 0 }).items()? {
        let offer = offers.iter().find(|offer| offer.name().eq_ignore_ascii_case(name));
        match offer {
            Some(Offer::Served(navigation)) if found.iter().all(|other| other.navigation != *navigation) => {
                let options = read_options(*navigation, &options, aliases)?;
                found.push(ExpandItem { navigation: *navigation, options });
            }
            Some(Offer::Served(navigation)) => {
                return Err(refused("$expand", format!("'$expand' names '{}' twice.", navigation.name())));
            }
            Some(Offer::Never(name)) => {
                let message = format!("'{name}' of 'microsoft.graph.{type_name}' cannot be expanded.");
                return Err(Error::invalid(Kind::Expand, "$expand", message));
            }
            None => {
                let message = format!(
                    "Could not find a property named '{}' on type 'microsoft.graph.{type_name}' to expand; these can be expanded: {accepted}.",
                    shorten(name)
                );
                return Err(refused("$expand", message));
            }
        }
    }
    Ok(found)
}

/// The `$expand` of a request for contacts. In strict handling at most one property may be expanded, as in Graph.
///
/// # Errors
/// Those of [`parse`]; 400 for a `$filter` that does more than name ids.
pub fn of_contacts(query: &Query, handling: Handling) -> Result<Expand, Error> {
    let mut expand = Expand::default();
    let Some(text) = &query.expand else { return Ok(expand) };
    let found = parse(text, &query.aliases, ExpandSource::Contact)?;
    if handling == Handling::Strict && found.len() > 1 {
        return Err(refused("$expand", "Only one relationship can be expanded in a request.".to_owned()));
    }
    for ExpandItem { navigation, options } in found {
        let id_text = |id: PropertyId| if navigation == Navigation::SingleValues { id.text } else { id.key };
        let mut selection =
            selection_of(navigation, &options, id_text).map_err(|error| within(navigation.name(), error))?;
        if navigation == Navigation::SingleValues {
            expand.views = take_views(&mut selection);
        }
        let selection = Some(selection);
        match navigation {
            Navigation::Extensions => expand.extensions = selection,
            Navigation::SingleValues => expand.single = selection,
            Navigation::MultiValues => expand.multi = selection,
            Navigation::ChildFolders | Navigation::Contacts => {}
        }
    }
    Ok(expand)
}

/// Moves the views on the contact out of the list of extended properties.
fn take_views(selection: &mut ExpandSelection) -> Vec<RequestedTag> {
    let mut views: Vec<RequestedTag> = Vec::new();
    if let ExpandSelection::These(ids) = selection {
        ids.retain_mut(|text| {
            let Ok(id) = PropertyId::parse::<SingleValue>(text) else { return false };
            let view = tags::view(&id.key);
            text.clone_from(&id.key);
            if let Some(view) = view
                && views.iter().all(|requested| requested.id.key != id.key)
            {
                views.push(RequestedTag { id, view });
            }
            view.is_none()
        });
    }
    views
}

/// The extensions or extended properties to include.
///
/// # Errors
/// 400 for a `$filter` that does more than name ids.
pub fn ids(navigation: Navigation, options: &Query) -> Result<ExpandSelection, Error> {
    selection_of(navigation, options, |id| id.key)
}

fn selection_of(
    navigation: Navigation,
    options: &Query,
    id_text: impl Fn(PropertyId) -> String,
) -> Result<ExpandSelection, Error> {
    let Some(text) = &options.filter else { return Ok(ExpandSelection::All) };
    let read = |id: &str| match navigation {
        Navigation::SingleValues => PropertyId::parse::<SingleValue>(id).map(&id_text),
        Navigation::MultiValues => PropertyId::parse::<MultiValue>(id).map(&id_text),
        _ => Ok(extension::name_of(id).to_owned()),
    };
    filter::ids(text, &options.aliases, read).map(ExpandSelection::These)
}

/// Refuses the `$expand` of a request whose type has nothing to expand.
///
/// # Errors
/// Those of [`parse`].
pub fn refuse(query: &Query, source: ExpandSource) -> Result<(), Error> {
    query.expand.as_deref().map_or(Ok(()), |text| parse(text, &query.aliases, source).map(drop))
}

/// Parses the options in parentheses like the query of a separate list.
fn read_options(navigation: Navigation, options: &[&str], aliases: &Aliases) -> Result<Query, Error> {
    let property = navigation.name();
    let target = |option: &str| format!("$expand/{property}/{}", shorten(option));
    let options: Vec<_> = options.iter().map(|option| option.trim()).filter(|option| !option.is_empty()).collect();
    if options.len() > MAX_OPTIONS {
        return Err(refused("$expand", format!("'{property}' has more than {MAX_OPTIONS} options.")));
    }
    let mut pieces = Vec::new();
    for option in options {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let name = name.trim();
        let is_named = |known: &&str| name.strip_prefix('$').unwrap_or(name).eq_ignore_ascii_case(&known[1..]);
        let known = navigation.options().iter().find(|known| is_named(known)).ok_or_else(|| {
            let name = shorten(name);
            let message = match navigation.options() {
                [one] => format!("The option '{name}' is not supported inside '$expand={property}'; use {one}."),
                many => {
                    let many = many.join(", ");
                    format!("The option '{name}' is not supported inside '$expand'; use {many}, separated by ';'.")
                }
            };
            refused(&target(&name), message)
        })?;
        pieces.push(format!("{known}={}", percent_encode(value.trim())));
    }
    let aliases = aliases.0.iter().map(|(name, value)| format!("@{}={}", percent_encode(name), percent_encode(value)));
    pieces.extend(aliases);
    Query::parse(&pieces.join("&")).map_err(|error| within(property, error))
}

/// Prefixes the target of an error with the expanded property.
pub fn within(property: &str, error: Error) -> Error {
    match error {
        Error::Invalid(mut problems) => {
            for problem in &mut problems {
                problem.target = format!("$expand/{property}/{}", problem.target);
            }
            Error::Invalid(problems)
        }
        error => error,
    }
}

fn refused(target: &str, message: String) -> Error {
    Error::invalid(Kind::Query, target, message)
}

/// A name and the options in parentheses after it.
struct ExpandText<'t> {
    name: &'t str,
    options: Vec<&'t str>,
}

/// Reads from the byte offset `at`.
struct ExpandReader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> ExpandReader<'t> {
    fn items(&mut self) -> Result<Vec<ExpandText<'t>>, Error> {
        let mut items = Vec::new();
        loop {
            let (name, mut end) = self.until(&[',', '('])?;
            let mut options = Vec::new();
            if end == Some('(') {
                loop {
                    let (option, end) = self.until(&[';', ')'])?;
                    options.push(option);
                    match end {
                        Some(';') => {}
                        Some(_) => break,
                        None => return Err(self.fault(self.at, "a ')' is missing")),
                    }
                }
                let begin = self.at;
                let (rest, after) = self.until(&[','])?;
                if !rest.trim().is_empty() {
                    return Err(self.fault(begin, "expected ',' or the end"));
                }
                end = after;
            }
            items.push(ExpandText { name: name.trim(), options });
            if end.is_none() {
                return Ok(items);
            }
        }
    }

    /// Returns the text before the next of these separators (outside quotes and parentheses) and the separator.
    /// Advances past it.
    fn until(&mut self, ends: &[char]) -> Result<(&'t str, Option<char>), Error> {
        let (begin, mut depth, mut quote) = (self.at, 0_usize, None);
        for (i, c) in self.text.get(begin..).unwrap_or_default().char_indices() {
            let at = begin + i;
            match c {
                // A doubled quote closes and opens again.
                '\'' => quote = if quote.is_some() { None } else { Some(at) },
                _ if quote.is_some() => {}
                c if depth == 0 && ends.contains(&c) => {
                    self.at = at + c.len_utf8();
                    return Ok((self.text.get(begin..at).unwrap_or_default(), Some(c)));
                }
                '(' => depth += 1,
                ')' if depth == 0 => return Err(self.fault(at, "unmatched ')'")),
                ')' => depth -= 1,
                _ => {}
            }
        }
        self.at = self.text.len();
        match quote {
            Some(at) => Err(self.fault(at, "the string that begins here has no closing quote")),
            None if depth > 0 => Err(self.fault(self.at, "a ')' is missing")),
            None => Ok((self.text.get(begin..).unwrap_or_default(), None)),
        }
    }

    /// An error at a byte offset; the message has the position in characters.
    fn fault(&self, at: usize, message: &str) -> Error {
        let place = self.text.get(..at).unwrap_or_default().chars().count();
        let text = shorten(self.text);
        refused("$expand", format!("Syntax error at position {place} in '{text}': {message}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<ExpandItem>, Error> {
        parse(text, &Aliases(vec![("p".into(), "'x'".into())]), ExpandSource::Folder)
    }

    #[test]
    fn names_and_their_options_are_read_in_any_spelling() {
        let found =
            read(" ChildFolders , contacts( $filter = surname eq 'O''N;e)il' and (title ne @p) ;top=5; $COUNT=true;)")
                .unwrap();
        let [folders, contacts] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (folders.navigation, &folders.options.aliases),
            (Navigation::ChildFolders, &contacts.options.aliases)
        );
        assert_eq!(contacts.navigation, Navigation::Contacts);
        let options = &contacts.options;
        assert_eq!(options.filter.as_deref(), Some("surname eq 'O''N;e)il' and (title ne @p)"));
        assert_eq!((options.top, options.count, &options.select), (Some(5), Some(true), &None));
        assert_eq!(folders.options.with_token("t"), "@p=%27x%27&$skiptoken=t");
        assert_eq!(read("contacts()").unwrap(), read("contacts").unwrap());
        assert_eq!(
            read("contacts($select=a,b)").unwrap()[0].options.select.as_deref(),
            Some("a,b"),
            "a comma inside separates nothing"
        );
    }

    #[test]
    fn errors_name_the_option_and_the_position() {
        for (text, target, expected_message) in [
            ("", "$expand", "named '' on type"),
            ("contacts,", "$expand", "named '' on type"),
            ("contact", "$expand", "named 'contact' on type 'microsoft.graph.contactFolder'"),
            ("contacts/$ref", "$expand", "childFolders, contacts, singleValue"),
            ("*", "$expand", "named '*'"),
            ("contacts,Contacts", "$expand", "'contacts' twice"),
            ("contacts(", "$expand", "at position 9"),
            ("contacts($filter=a eq 'x)", "$expand", "at position 22"),
            ("é(($top=1)", "$expand", "at position 10"),
            ("contacts)", "$expand", "at position 8 in 'contacts)': unmatched ')'"),
            ("contacts($top=1)x", "$expand", "at position 16"),
            ("contacts($top=1)($top=2)", "$expand", "at position 16"),
            ("contacts($top=0)", "$expand/contacts/$top", "1 or more"),
            ("contacts($top=1;top=2)", "$expand/contacts/$top", "twice"),
            ("contacts($expand=photo)", "$expand/contacts/$expand", "'$expand' is not supported inside"),
            ("contacts($levels=2)", "$expand/contacts/$levels", "$select, $filter, $orderby, $top, $skip, $count"),
            ("contacts(x)", "$expand/contacts/x", "'x' is not supported"),
            ("contacts(@p=1)", "$expand/contacts/@p", "'@p' is not supported"),
            ("contacts($skiptoken=x)", "$expand/contacts/$skiptoken", "not supported"),
        ] {
            let Err(Error::Invalid(problems)) = read(text) else { panic!("{text}") };
            assert_eq!(problems[0].target, target, "{text}");
            assert!(problems[0].message.contains(expected_message), "{text}: {}", problems[0].message);
        }
        assert!(read(&"(".repeat(9_000)).is_err());
        assert!(read(&format!("contacts({})", "$top=1;".repeat(30))).is_err());
    }

    #[test]
    fn unsupported_and_unknown_names_are_distinguished() {
        let code = |text, source| match parse(text, &Aliases::default(), source) {
            Ok(_) => "served",
            Err(Error::Invalid(problems)) if problems[0].kind == Kind::Expand => "never",
            Err(_) => "refused",
        };
        let filtered = "SingleValueExtendedProperties($filter=id eq 'String {0} Name x')";
        for (text, for_folder, for_contact, for_user) in [
            ("contacts", "served", "refused", "never"),
            ("contactFolders", "refused", "refused", "never"),
            ("photo", "refused", "never", "never"),
            ("extensions", "refused", "served", "refused"),
            (filtered, "served", "served", "refused"),
            ("extensions($select=id)", "refused", "refused", "refused"),
            ("multiValueExtendedProperties,photo", "refused", "never", "refused"),
        ] {
            assert_eq!(code(text, ExpandSource::Folder), for_folder, "{text}");
            assert_eq!(code(text, ExpandSource::Contact), for_contact, "{text}");
            assert_eq!(code(text, ExpandSource::User), for_user, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(contacts|childFolders|\\$top=1|\\$filter=a|[(),;' ]|\\PC){0,30}") {
            let _ = read(&text);
        }
    }
}

//! The types of requests and answers in each shape. It is one description, from which both `$metadata` (`metadata.rs`)
//! and the OpenAPI document (`openapi/`) are made. Lists of names are taken from the rest of the program.

mod contact;
mod others;

use crate::odata::shape::Shape;

/// The type of a value, alone or in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EdmType {
    Text,
    Boolean,
    Int32,
    Int64,
    /// A time with its offset.
    Time,
    /// A day.
    Date,
    /// A type of the model.
    Named(&'static str),
}

/// A property of a type, or a parameter of an action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdmProperty {
    pub(crate) name: &'static str,
    pub(crate) edm_type: EdmType,
    pub(crate) is_list: bool,
    pub(crate) is_nullable: bool,
    /// Maximum length of a text in characters; 0 if there is no limit.
    pub(crate) longest: usize,
    /// Maximum number of entries of a list; 0 if there is no limit.
    pub(crate) max: usize,
    /// The allowed texts; empty if any text is allowed.
    pub(crate) values: &'static [&'static str],
    /// Whether the server sets it: a body may have it, and it is ignored there.
    pub(crate) is_read_only: bool,
    /// A note for readers; may be empty.
    pub(crate) about: &'static str,
}

impl EdmProperty {
    const fn new(name: &'static str, edm_type: EdmType) -> Self {
        Self {
            name,
            edm_type,
            is_list: false,
            is_nullable: true,
            longest: 0,
            max: 0,
            values: &[],
            is_read_only: false,
            about: "",
        }
    }

    const fn text(name: &'static str, longest: usize) -> Self {
        Self { longest, ..Self::new(name, EdmType::Text) }
    }

    const fn list(self, max: usize) -> Self {
        Self { is_list: true, max, ..self }
    }

    const fn one_of(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }

    const fn required(self) -> Self {
        Self { is_nullable: false, ..self }
    }

    const fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }
}

/// A property that an answer shows only where `$expand` asks for it, or that has an address of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdmNavigation {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) is_list: bool,
}

/// The kind of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeKind {
    Complex,
    Entity,
    /// Only a base of other types.
    Abstract,
    /// It has members besides those of the description.
    Open,
    /// An entity with a media stream.
    Stream,
}

/// A type with properties.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) base: Option<&'static str>,
    pub(crate) class: TypeKind,
    /// Whether `id` identifies it.
    pub(crate) has_key: bool,
    pub(crate) properties: Vec<EdmProperty>,
    pub(crate) links: Vec<EdmNavigation>,
    /// What it is, in one sentence.
    pub(crate) about: &'static str,
}

impl Type {
    fn new(name: &'static str, class: TypeKind, about: &'static str, properties: Vec<EdmProperty>) -> Self {
        Self { name, base: None, class, has_key: false, properties, links: Vec::new(), about }
    }

    fn based_on(self, base: &'static str) -> Self {
        Self { base: Some(base), ..self }
    }

    fn linked(self, links: &[(&'static str, &'static str, bool)]) -> Self {
        let links =
            links.iter().map(|(name, target, is_list)| EdmNavigation { name, target, is_list: *is_list }).collect();
        Self { links, ..self }
    }
}

/// An enumeration: a text that is one of its members.
#[derive(Debug, Clone)]
pub(crate) struct EdmEnum {
    pub(crate) name: &'static str,
    /// The number of the first member.
    pub(crate) first: i64,
    pub(crate) members: Vec<&'static str>,
    /// Whether lenient handling keeps other texts.
    pub(crate) is_open: bool,
}

/// A function or an action of a type.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) name: &'static str,
    pub(crate) is_action: bool,
    /// The type it is called on, and whether on a list of it.
    pub(crate) on: (&'static str, bool),
    pub(crate) parameters: Vec<EdmProperty>,
    /// The type that is answered, and whether a list of it.
    pub(crate) returns: Option<(&'static str, bool)>,
}

impl Bound {
    fn function(name: &'static str, on: (&'static str, bool), returns: (&'static str, bool)) -> Self {
        Self { name, is_action: false, on, parameters: Vec::new(), returns: Some(returns) }
    }

    fn action(name: &'static str, on: &'static str, returns: Option<(&'static str, bool)>) -> Self {
        Self { name, is_action: true, on: (on, false), parameters: Vec::new(), returns }
    }
}

/// A part of the description.
#[derive(Debug, Clone)]
pub(crate) enum EdmElement {
    Enumeration(EdmEnum),
    Type(Type),
    Bound(Bound),
}

/// The whole description of a shape, in the order of `$metadata`.
pub(crate) fn elements(shape: Shape) -> Vec<EdmElement> {
    let enumerations =
        contact::enumerations(shape).into_iter().chain(others::enumerations()).map(EdmElement::Enumeration);
    let types = contact::complex(shape).into_iter().chain(others::complex());
    let types = types.chain(contact::entities(shape)).chain(others::entities(shape)).map(EdmElement::Type);
    enumerations.chain(types).chain(others::bound()).chain(others::subscriptions()).collect()
}

/// A resource directly below the root: name, type, and whether it is a set of them.
pub(crate) const CONTAINER: [(&str, &str, bool); 3] =
    [("users", "user", true), ("subscriptions", "subscription", true), ("me", "user", false)];

/// All properties of a type, those of its base types first.
pub(crate) fn properties(elements: &[EdmElement], name: &str) -> Vec<EdmProperty> {
    let found = elements.iter().find_map(|element| match element {
        EdmElement::Type(found) if found.name == name => Some(found),
        _ => None,
    });
    let Some(found) = found else { return Vec::new() };
    let inherited = found.base.map(|base| properties(elements, base)).unwrap_or_default();
    inherited.into_iter().chain(found.properties.iter().copied()).collect()
}

//! Expansions of a contact: open extensions and extended properties.

use crate::domain::contact::Properties;
use crate::domain::contact::tags::View;
use crate::domain::extended::{ExtendedProperty, MultiValue, PropertyId, SingleValue};
use crate::domain::extension::Extension;

/// The requested extensions or extended properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandSelection {
    /// All.
    All,
    /// Those with these names (extensions) or keys (extended properties).
    These(Vec<String>),
}

/// A property of the contact that is asked for as an extended property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedTag {
    /// The id as the client wrote it; the answer repeats it.
    pub id: PropertyId,
    /// The property it stands for.
    pub view: View,
}

impl RequestedTag {
    /// The extended property, if the property has a value.
    pub fn of(&self, properties: &Properties) -> Option<ExtendedProperty<SingleValue>> {
        let value = self.view.read(properties)?.to_owned();
        Some(ExtendedProperty { id: self.id.text.clone(), key: self.id.key.clone(), value: [value] })
    }
}

/// What to expand with a contact or a folder. A folder has no extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub struct Expand {
    pub extensions: Option<ExpandSelection>,
    pub single: Option<ExpandSelection>,
    pub multi: Option<ExpandSelection>,
    /// Views on the contact that were asked for among the single values.
    pub views: Vec<RequestedTag>,
}

impl Expand {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The expanded data of a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub struct Expanded {
    pub extensions: Option<Vec<Extension>>,
    pub single: Option<Vec<ExtendedProperty<SingleValue>>>,
    pub multi: Option<Vec<ExtendedProperty<MultiValue>>>,
}

//! What can be read along with a contact: open extensions and extended properties.

use crate::domain::contact::Properties;
use crate::domain::contact::tags::View;
use crate::domain::extended::{ExtendedProperty, MultiValue, PropertyId, SingleValue};
use crate::domain::extension::Extension;

/// Which of the things of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// All of them.
    All,
    /// Those with these: names of extensions, keys of properties.
    These(Vec<String>),
}

/// A view on the contact that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The id, as the client writes it and is answered.
    pub id: PropertyId,
    /// What it is a view on.
    pub view: View,
}

impl Asked {
    /// It as a property of the contact, if that has a value.
    pub fn of(&self, properties: &Properties) -> Option<ExtendedProperty<SingleValue>> {
        let value = self.view.read(properties)?.to_owned();
        Some(ExtendedProperty { id: self.id.text.clone(), key: self.id.key.clone(), value: [value] })
    }
}

/// What is to be shown with a contact, or with a folder, which has no extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub struct Expand {
    pub extensions: Option<Ids>,
    pub single: Option<Ids>,
    pub multi: Option<Ids>,
    /// Views on the contact among the single values, as they were asked for.
    pub views: Vec<Asked>,
}

impl Expand {
    /// Whether that is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is shown with a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub struct Expanded {
    pub extensions: Option<Vec<Extension>>,
    pub single: Option<Vec<ExtendedProperty<SingleValue>>>,
    pub multi: Option<Vec<ExtendedProperty<MultiValue>>>,
}

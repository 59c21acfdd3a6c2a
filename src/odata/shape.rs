//! The two published shapes of the contact, and the names of their properties.

use crate::domain::contact::{Address, Complex, Email, FLAG_MEMBERS, Phone, Text, Website};

/// A published form of the contact's JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The older beta shape: unprefixed routes and `/beta`.
    Beta,
    /// Graph's `/v1.0`.
    V1,
}

impl Shape {
    /// Whether the shape has this text property.
    pub fn has(self, text: Text) -> bool {
        self == Self::Beta || text != Text::Gender
    }

    /// All properties of the shape, with their members, if they have some.
    pub(crate) fn properties(self) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
        fn members<T: Complex>() -> Vec<&'static str> {
            T::MEMBERS.iter().map(|member| member.json).collect()
        }
        let own: Vec<(&'static str, Vec<&'static str>)> = match self {
            Self::Beta => vec![
                ("emailAddresses", members::<Email>()),
                ("websites", members::<Website>()),
                ("phones", members::<Phone>()),
                ("postalAddresses", members::<Address>()),
                ("weddingAnniversary", Vec::new()),
                ("isFavorite", Vec::new()),
                ("flag", FLAG_MEMBERS.to_vec()),
            ],
            Self::V1 => {
                let email = || vec!["name", "address"];
                let address = || vec!["street", "city", "state", "countryOrRegion", "postalCode"];
                vec![
                    ("emailAddresses", email()),
                    ("primaryEmailAddress", email()),
                    ("secondaryEmailAddress", email()),
                    ("tertiaryEmailAddress", email()),
                    ("businessHomePage", Vec::new()),
                    ("homePhones", Vec::new()),
                    ("mobilePhone", Vec::new()),
                    ("businessPhones", Vec::new()),
                    ("homeAddress", address()),
                    ("businessAddress", address()),
                    ("otherAddress", address()),
                ]
            }
        };
        let common = [
            "id",
            "createdDateTime",
            "lastModifiedDateTime",
            "changeKey",
            "categories",
            "parentFolderId",
            "birthday",
            "imAddresses",
            "children",
        ];
        let texts = Text::ALL.into_iter().filter(move |text| self.has(*text)).map(Text::json);
        common.into_iter().chain(texts).map(|name| (name, Vec::new())).chain(own)
    }
}

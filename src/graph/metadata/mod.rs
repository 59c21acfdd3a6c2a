//! `$metadata`: the model of each shape as CSDL (OData CSDL XML, 4.01), for generators of clients.

use crate::odata::shape::Shape;

/// The document of a shape. It has what this server serves and nothing else.
pub(crate) fn csdl(shape: Shape) -> &'static str {
    match shape {
        Shape::Beta => include_str!("beta.xml"),
        Shape::V1 => include_str!("v1.xml"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::category::COLORS;
    use crate::domain::extended;
    use crate::graph::json::{category, folder, user};

    /// The names in a type's element, behind this tag.
    fn named(document: &str, of: &str, tag: &str) -> Vec<String> {
        let start = document.find(&format!("Type Name=\"{of}\"")).unwrap();
        let element = &document[start..];
        let element = &element[..element.find("Type>").unwrap()];
        let tag = format!("<{tag} Name=\"");
        element.split(&tag).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    fn properties(document: &str, of: &str) -> BTreeSet<String> {
        named(document, of, "Property").into_iter().collect()
    }

    #[test]
    fn the_document_names_every_property_of_its_shape() {
        for shape in [Shape::Beta, Shape::V1] {
            let document = csdl(shape);
            let mut described = properties(document, "contact");
            for parent in ["entity", "outlookItem"] {
                described.extend(properties(document, parent));
            }
            let mut served: BTreeSet<_> = shape.properties().map(|(name, _)| name.to_owned()).collect();
            // Of those that are deleted.
            served.insert("deletedDateTime".to_owned());
            assert_eq!(described, served);
            for (entity, served) in [
                ("contactFolder", folder::properties(shape)),
                ("outlookCategory", &category::PROPERTIES),
                ("user", &user::PROPERTIES),
            ] {
                let mut described = properties(document, entity);
                described.insert("id".to_owned());
                assert_eq!(described, served.iter().map(|name| (*name).to_owned()).collect());
            }
            assert_eq!(named(document, "categoryColor", "Member"), COLORS);
            let properties = [extended::SINGLE, extended::MULTI].map(str::to_owned);
            for (of, more) in
                [("contact", vec!["photo", "extensions"]), ("contactFolder", vec!["childFolders", "contacts"])]
            {
                let all: Vec<_> = more.into_iter().map(str::to_owned).chain(properties.clone()).collect();
                assert_eq!(named(document, of, "NavigationProperty"), all);
            }
        }
    }

    #[test]
    fn the_document_names_what_can_be_called() {
        for shape in [Shape::Beta, Shape::V1] {
            let of = |kind: &str| {
                let tag = format!("<{kind} Name=\"");
                let until_quote = |text: &str| text.split('"').next().unwrap().to_owned();
                let calls = csdl(shape).split(&tag).skip(1);
                let bound_to = |call: &str| until_quote(call.split("Type=\"").nth(1).unwrap());
                calls.map(|call| format!("{} of {}", until_quote(call), bound_to(call))).collect::<Vec<_>>()
            };
            let functions = [
                "delta of Collection(graph.contact)",
                "delta of Collection(graph.contactFolder)",
                "deliveries of graph.subscription",
            ];
            assert_eq!(of("Function"), functions);
            let actions = [
                "permanentDelete of graph.contact",
                "restore of graph.contact",
                "permanentDelete of graph.contactFolder",
                "translateExchangeIds of graph.user",
                "reauthorize of graph.subscription",
            ];
            assert_eq!(of("Action"), actions);
        }
    }
}

//! `$metadata`: the model of each shape as CSDL (OData 4.0), generated from the description in `model`.

use std::sync::OnceLock;

use crate::graph::model::{self, Bound, CONTAINER, EdmElement, EdmEnum, EdmProperty, EdmType, Type, TypeKind};
use crate::odata::shape::Shape;

const HEAD: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
  <edmx:DataServices>
    <Schema Namespace="microsoft.graph" Alias="graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">
"#;
const TAIL: &str = "    </Schema>\n  </edmx:DataServices>\n</edmx:Edmx>\n";

/// The document of a shape.
pub(crate) fn csdl(shape: Shape) -> &'static str {
    static DOCUMENTS: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
    let [beta, v1] = &DOCUMENTS;
    let document = if shape == Shape::V1 { v1 } else { beta };
    document.get_or_init(|| print(shape))
}

fn print(shape: Shape) -> String {
    let mut lines = Lines(HEAD.to_owned());
    for element in model::elements(shape) {
        match element {
            EdmElement::Enumeration(enumeration) => lines.enumeration(&enumeration),
            EdmElement::Type(edm_type) => lines.structure(&edm_type),
            EdmElement::Bound(bound) => lines.bound(&bound),
        }
    }
    lines.add(3, "<EntityContainer Name=\"GraphService\">");
    for (name, type_name, is_set) in CONTAINER {
        let (tag, kind) = if is_set { ("EntitySet", "EntityType") } else { ("Singleton", "Type") };
        lines.add(4, &format!("<{tag} Name=\"{name}\" {kind}=\"graph.{type_name}\"/>"));
    }
    lines.add(3, "</EntityContainer>");
    lines.0.push_str(TAIL);
    lines.0
}

fn type_text(edm_type: EdmType, is_list: bool) -> String {
    let name = match edm_type {
        EdmType::Text => "Edm.String".to_owned(),
        EdmType::Boolean => "Edm.Boolean".to_owned(),
        EdmType::Int32 => "Edm.Int32".to_owned(),
        EdmType::Int64 => "Edm.Int64".to_owned(),
        EdmType::Time => "Edm.DateTimeOffset".to_owned(),
        EdmType::Date => "Edm.Date".to_owned(),
        EdmType::Named(name) => format!("graph.{name}"),
    };
    if is_list { format!("Collection({name})") } else { name }
}

/// Lines with their indentation. Names need no escaping.
struct Lines(String);

impl Lines {
    fn add(&mut self, depth: usize, line: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn enumeration(&mut self, EdmEnum { name, first, members, .. }: &EdmEnum) {
        self.add(3, &format!("<EnumType Name=\"{name}\">"));
        for (member, value) in members.iter().zip(*first..) {
            self.add(4, &format!("<Member Name=\"{member}\" Value=\"{value}\"/>"));
        }
        self.add(3, "</EnumType>");
    }

    fn property(&mut self, tag: &str, property: &EdmProperty) {
        let nullable = if property.is_nullable { "" } else { " Nullable=\"false\"" };
        let type_text = type_text(property.edm_type, property.is_list);
        self.add(4, &format!("<{tag} Name=\"{}\" Type=\"{type_text}\"{nullable}/>", property.name));
    }

    fn structure(&mut self, Type { name, base, class, has_key, properties, links, .. }: &Type) {
        let tag = if *class == TypeKind::Complex { "ComplexType" } else { "EntityType" };
        let base = base.map_or(String::new(), |base| format!(" BaseType=\"graph.{base}\""));
        let class = match class {
            TypeKind::Complex | TypeKind::Entity => "",
            TypeKind::Abstract => " Abstract=\"true\"",
            TypeKind::Open => " OpenType=\"true\"",
            TypeKind::Stream => " HasStream=\"true\"",
        };
        let open = format!("<{tag} Name=\"{name}\"{base}{class}");
        if properties.is_empty() && links.is_empty() {
            return self.add(3, &format!("{open}/>"));
        }
        self.add(3, &format!("{open}>"));
        if *has_key {
            self.add(4, "<Key>");
            self.add(5, "<PropertyRef Name=\"id\"/>");
            self.add(4, "</Key>");
        }
        for property in properties {
            self.property("Property", property);
        }
        for link in links {
            let type_text = type_text(EdmType::Named(link.target), link.is_list);
            self.add(
                4,
                &format!("<NavigationProperty Name=\"{}\" Type=\"{type_text}\" ContainsTarget=\"true\"/>", link.name),
            );
        }
        self.add(3, &format!("</{tag}>"));
    }

    fn bound(&mut self, Bound { name, is_action, on: (on, on_list), parameters, returns }: &Bound) {
        let tag = if *is_action { "Action" } else { "Function" };
        self.add(3, &format!("<{tag} Name=\"{name}\" IsBound=\"true\">"));
        let on = type_text(EdmType::Named(on), *on_list);
        self.add(4, &format!("<Parameter Name=\"bindingParameter\" Type=\"{on}\" Nullable=\"false\"/>"));
        for parameter in parameters {
            self.property("Parameter", parameter);
        }
        if let Some((name, is_list)) = returns {
            let type_text = type_text(EdmType::Named(name), *is_list);
            self.add(4, &format!("<ReturnType Type=\"{type_text}\" Nullable=\"false\"/>"));
        }
        self.add(3, &format!("</{tag}>"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::category::COLORS;
    use crate::domain::extended;
    use crate::graph::json::{category, folder, user};

    /// The names in a type's element with this tag.
    fn names(document: &str, type_name: &str, tag: &str) -> Vec<String> {
        let start = document.find(&format!("Type Name=\"{type_name}\"")).unwrap();
        let element = &document[start..];
        let element = &element[..element.find("Type>").unwrap()];
        let tag = format!("<{tag} Name=\"");
        element.split(&tag).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    fn properties(document: &str, type_name: &str) -> BTreeSet<String> {
        names(document, type_name, "Property").into_iter().collect()
    }

    #[test]
    fn the_document_has_every_property_of_the_shape() {
        for shape in [Shape::Beta, Shape::V1] {
            let document = csdl(shape);
            let mut described = properties(document, "contact");
            for parent in ["entity", "outlookItem"] {
                described.extend(properties(document, parent));
            }
            let mut served: BTreeSet<_> = shape.properties().map(|(name, _)| name.to_owned()).collect();
            // Only deleted contacts have it.
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
            assert_eq!(names(document, "categoryColor", "Member"), COLORS);
            let properties = [extended::SINGLE, extended::MULTI].map(str::to_owned);
            for (type_name, links) in
                [("contact", vec!["photo", "extensions"]), ("contactFolder", vec!["childFolders", "contacts"])]
            {
                let all: Vec<_> = links.into_iter().map(str::to_owned).chain(properties.clone()).collect();
                assert_eq!(names(document, type_name, "NavigationProperty"), all);
            }
        }
    }

    #[test]
    fn the_document_has_all_functions_and_actions() {
        for shape in [Shape::Beta, Shape::V1] {
            let bound_calls = |kind: &str| {
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
            assert_eq!(bound_calls("Function"), functions);
            let actions = [
                "permanentDelete of graph.contact",
                "restore of graph.contact",
                "permanentDelete of graph.contactFolder",
                "translateExchangeIds of graph.user",
                "reauthorize of graph.subscription",
            ];
            assert_eq!(bound_calls("Action"), actions);
        }
    }
}

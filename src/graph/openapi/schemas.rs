//! `components/schemas`: the types of the model, as in answers and as in request bodies, and the envelopes of OData.

use serde_json::{Map, Value, json};

use crate::domain::extended::{MAX_ID, MAX_PROPERTIES, MULTI, SINGLE};
use crate::domain::extension::{MAX_EXTENSIONS, MAX_MEMBERS};
use crate::graph::exchange_ids::{self, FORMATS, MAX_IDS};
use crate::graph::model::{self, EdmElement, EdmEnum, EdmNavigation, EdmProperty, EdmType, Type, TypeKind};
use crate::odata::shape::Shape;

/// Names of members that bodies may have anywhere and that are ignored.
const ANNOTATION: &str = "^@|@odata\\.";
/// Types that bodies send.
const SENT: [&str; 8] = [
    "contact",
    "contactFolder",
    "outlookCategory",
    "contactPermission",
    "subscription",
    "openTypeExtension",
    "singleValueLegacyExtendedProperty",
    "multiValueLegacyExtendedProperty",
];
/// Types that are not answers by themselves.
const ABSTRACT_TYPES: [&str; 4] = ["entity", "outlookItem", "extension", "outlookUser"];

/// A reference to a schema.
pub(super) fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// All schemas of a shape.
pub(super) fn all(shape: Shape) -> Map<String, Value> {
    let model = SchemaElements { elements: model::elements(shape) };
    let mut all = other_schemas();
    for element in &model.elements {
        let EdmElement::Type(edm_type) = element else { continue };
        if ABSTRACT_TYPES.contains(&edm_type.name) {
            continue;
        }
        all.insert(edm_type.name.to_owned(), model.answered(edm_type));
        if SENT.contains(&edm_type.name) {
            all.insert(format!("{}Input", edm_type.name), model.sent(edm_type));
        }
    }
    for name in [
        "contact",
        "contactFolder",
        "outlookCategory",
        "user",
        "contactPermission",
        "subscription",
        "openTypeExtension",
    ] {
        all.insert(format!("{name}Page"), page(name));
    }
    for name in ["contact", "contactFolder"] {
        all.insert(format!("{name}Changes"), changes(name));
    }
    all
}

fn text() -> Value {
    json!({"type": "string"})
}

/// An array of a type.
fn array_of(name: &str) -> Value {
    json!({"type": "array", "items": schema(name)})
}

fn page(name: &str) -> Value {
    json!({
        "type": "object",
        "description": format!("A page of a list of {name}. Follow @odata.nextLink until a page has none."),
        "properties": {
            "@odata.context": text(),
            "@odata.count": {"type": "integer", "minimum": 0, "description": "The number of entries on all pages, with $count=true."},
            "@odata.nextLink": {"type": "string", "format": "uri"},
            "value": array_of(name),
        },
        "required": ["value"],
    })
}

fn changes(name: &str) -> Value {
    let removed = json!({
        "type": "object",
        "properties": {
            "@odata.type": text(),
            "id": text(),
            "@removed": {
                "type": "object",
                "properties": {"reason": {"type": "string", "enum": ["changed", "deleted"]}},
                "required": ["reason"],
            },
        },
        "required": ["id", "@removed"],
    });
    json!({
        "type": "object",
        "description": "A page of changes. The last of a round has @odata.deltaLink, which returns the changes from then on.",
        "properties": {
            "@odata.context": text(),
            "@odata.nextLink": {"type": "string", "format": "uri"},
            "@odata.deltaLink": {"type": "string", "format": "uri"},
            "value": {"type": "array", "items": {"anyOf": [schema(name), removed]}},
        },
        "required": ["value"],
    })
}

struct SchemaElements {
    elements: Vec<EdmElement>,
}

impl SchemaElements {
    fn enumeration(&self, name: &str) -> Option<&EdmEnum> {
        self.elements.iter().find_map(|element| match element {
            EdmElement::Enumeration(enumeration) if enumeration.name == name => Some(enumeration),
            _ => None,
        })
    }

    /// A type as in answers.
    fn answered(&self, edm_type: &Type) -> Value {
        let own = model::properties(&self.elements, edm_type.name);
        let mut members = Map::new();
        let annotations: &[&str] = match edm_type.class {
            TypeKind::Complex => &[],
            TypeKind::Stream => &["@odata.context", "@odata.mediaContentType", "@odata.mediaEtag"],
            _ => &["@odata.context", "@odata.etag", "@odata.type"],
        };
        members.extend(annotations.iter().map(|name| ((*name).to_owned(), text())));
        if edm_type.class == TypeKind::Complex {
            // Bodies have the same schema, and their annotations are ignored, whatever they are.
            let about = "The name of the type, a string. In a body it is ignored.";
            members.insert("@odata.type".to_owned(), json!({"description": about}));
        }
        for property in &own {
            members.insert(property.name.to_owned(), self.property(property, false));
        }
        if ["contact", "contactFolder"].contains(&edm_type.name) {
            edm_type.links.iter().filter(|link| link.is_list).for_each(|link| expanded(&mut members, *link));
        }
        // Complex types omit members without a value.
        let is_required = |property: &&EdmProperty| !property.is_nullable && edm_type.class != TypeKind::Complex;
        let required: Vec<_> = own.iter().filter(is_required).map(|property| property.name).collect();
        let mut schema = json!({"type": "object", "description": edm_type.about, "properties": members});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if edm_type.class == TypeKind::Complex {
            schema["patternProperties"] = json!({ANNOTATION: {}});
            schema["additionalProperties"] = json!(false);
        }
        if edm_type.class == TypeKind::Open {
            schema["additionalProperties"] = json!(true);
        }
        schema
    }

    /// A type as in request bodies.
    fn sent(&self, edm_type: &Type) -> Value {
        let mut members = Map::new();
        for property in &model::properties(&self.elements, edm_type.name) {
            members.insert(property.name.to_owned(), self.input(edm_type.name, property));
        }
        for link in edm_type.links.iter().filter(|link| link.name != "photo" && edm_type.name != "user") {
            match (edm_type.name, link.name) {
                ("contact", "extensions") => {
                    let mut extensions = array_of("openTypeExtensionInput");
                    extensions["type"] = json!(["array", "null"]);
                    extensions["maxItems"] = json!(MAX_EXTENSIONS);
                    extensions["description"] = json!("In a create only. Each needs extensionName.");
                    members.insert(link.name.to_owned(), extensions);
                }
                (_, SINGLE | MULTI) => {
                    let mut values = array_of(&format!("{}Input", link.target));
                    values["type"] = json!(["array", "null"]);
                    values["maxItems"] = json!(MAX_PROPERTIES);
                    members.insert(link.name.to_owned(), values);
                }
                _ => {}
            }
        }
        let mut schema = json!({
            "type": "object",
            "description": format!("{} Names are case-insensitive. Annotations are ignored.", edm_type.about),
            "properties": members,
            "patternProperties": {ANNOTATION: {}},
            "additionalProperties": false,
        });
        match edm_type.class {
            TypeKind::Open => {
                schema["additionalProperties"] = json!(true);
                // Besides id and extensionName.
                schema["maxProperties"] = json!(MAX_MEMBERS + 2);
            }
            _ if edm_type.name.ends_with("LegacyExtendedProperty") => schema["required"] = json!(["id", "value"]),
            _ => {}
        }
        schema
    }

    fn input(&self, type_name: &str, property: &EdmProperty) -> Value {
        match (type_name, property.name) {
            ("singleValueLegacyExtendedProperty" | "multiValueLegacyExtendedProperty", "id") => {
                json!({"type": "string", "maxLength": MAX_ID, "description": "Type, namespace and name.",
                    "examples": ["String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Color"]})
            }
            ("contactFolder" | "outlookCategory", "displayName") => {
                json!({"type": "string", "minLength": 1, "maxLength": property.longest, "pattern": "\\S"})
            }
            ("subscription", _) if property.about.starts_with("Not supported") => {
                json!({"enum": [null, false, ""], "description": property.about})
            }
            _ if property.is_read_only => {
                json!({"type": ["string", "number", "boolean", "null"], "readOnly": true, "description": "Ignored."})
            }
            _ => self.property(property, true),
        }
    }

    fn property(&self, property: &EdmProperty, is_sent: bool) -> Value {
        let nullable = property.is_nullable;
        let mut schema = match property.edm_type {
            _ if property.is_list => {
                let item = self.value(property);
                // A body may clear a list by null; answers show it empty.
                let kind = if is_sent && nullable { json!(["array", "null"]) } else { json!("array") };
                let mut list = json!({"type": kind, "items": item});
                if property.max > 0 {
                    list["maxItems"] = json!(property.max);
                }
                list
            }
            EdmType::Named(name) if self.enumeration(name).is_none() => {
                if nullable {
                    json!({"anyOf": [schema(name), {"type": "null"}]})
                } else {
                    schema(name)
                }
            }
            _ => {
                let mut value = self.value(property);
                if nullable {
                    value["type"] = json!([value["type"], "null"]);
                    if let Some(values) = value.get_mut("enum").and_then(Value::as_array_mut) {
                        values.push(Value::Null);
                    }
                }
                value
            }
        };
        if !property.about.is_empty() {
            schema["description"] = json!(property.about);
        }
        schema
    }

    /// One value of a property, which is not null.
    fn value(&self, property: &EdmProperty) -> Value {
        let mut value = match property.edm_type {
            EdmType::Text | EdmType::Date => text(),
            EdmType::Boolean => json!({"type": "boolean"}),
            EdmType::Int32 => json!({"type": "integer", "format": "int32"}),
            EdmType::Int64 => json!({"type": "integer", "format": "int64"}),
            EdmType::Time => json!({"type": "string", "format": "date-time"}),
            EdmType::Named(name) => match self.enumeration(name) {
                Some(EdmEnum { members, is_open: true, .. }) => {
                    json!({"type": "string", "examples": members,
                        "description": format!("One of {}. Lenient handling keeps other strings.", members.join(", "))})
                }
                Some(EdmEnum { members, .. }) => json!({"type": "string", "enum": members}),
                None => return schema(name),
            },
        };
        if property.longest > 0 {
            value["maxLength"] = json!(property.longest);
        }
        if !property.values.is_empty() {
            value["enum"] = json!(property.values);
        }
        value
    }
}

/// The members that `$expand` adds to a contact or a folder.
fn expanded(members: &mut Map<String, Value>, link: EdmNavigation) {
    let target = if link.target == "extension" { "openTypeExtension" } else { link.target };
    members.insert(link.name.to_owned(), array_of(target));
    members.insert(format!("{}@odata.context", link.name), text());
    if ["contacts", "childFolders"].contains(&link.name) {
        members.insert(format!("{}@odata.count", link.name), json!({"type": "integer", "minimum": 0}));
        members.insert(format!("{}@odata.nextLink", link.name), json!({"type": "string", "format": "uri"}));
    }
}

/// Schemas that are not types of the model.
fn other_schemas() -> Map<String, Value> {
    let all = json!({
        "error": error(),
        "batchRequest": batch_request(),
        "batchResponse": batch_response(),
        "serviceDocument": service_document(),
        "referencePage": references(),
        "reference": {
            "type": "object",
            "description": "The address of a contact of this mailbox.",
            "properties": {"@odata.id": text()},
            "patternProperties": {ANNOTATION: {}},
            "additionalProperties": false,
            "required": ["@odata.id"],
        },
        "convertIds": convert_ids(),
        "convertIdResultPage": page("convertIdResult"),
        "notificationDeliveryPage": page("notificationDelivery"),
        "health": object(&json!({"status": {"type": "string", "const": "ok"}}), &["status"]),
        "document": {
            "type": "object",
            "description": "An OpenAPI document.",
            "additionalProperties": true,
            "required": ["openapi", "info", "paths"],
        },
    });
    if let Value::Object(all) = all { all } else { Map::new() }
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "Branch on code, never on message.",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "code": text(),
                    "message": text(),
                    "target": {"type": "string", "description": "The path of the part with the error."},
                    "details": {
                        "type": "array",
                        "items": object(
                            &json!({"code": text(), "message": text(), "target": text()}),
                            &["code", "message", "target"],
                        ),
                    },
                    "innerError": object(
                        &json!({"date": text(), "request-id": text(), "client-request-id": text()}),
                        &["date", "request-id", "client-request-id"],
                    ),
                },
                "required": ["code", "message", "innerError"],
            },
        },
        "required": ["error"],
    })
}

fn batch_request() -> Value {
    json!({
        "type": "object",
        "description": "Steps, which run in their order, after the steps that they depend on.",
        "properties": {
            "requests": {
                "type": "array",
                "description": "At most 20, unless --batch-limit sets another limit.",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "minLength": 1},
                        "method": {"type": "string", "examples": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
                        "url": {"type": "string", "maxLength": 65_534, "examples": ["/me/contacts"]},
                        "headers": {"type": ["object", "null"], "additionalProperties": text()},
                        "body": {"description": "JSON; for a photo a base64 string."},
                        "dependsOn": {"type": ["array", "null"], "items": text()},
                    },
                    "required": ["id", "method", "url"],
                },
            },
        },
        "required": ["requests"],
    })
}

fn batch_response() -> Value {
    let step = object(
        &json!({
            "id": text(),
            "status": {"type": "integer", "minimum": 100, "maximum": 599},
            "headers": {"type": "object", "additionalProperties": text()},
            "body": {"description": "As the call answers by itself; a photo is base64."},
        }),
        &["id", "status", "headers"],
    );
    object(&json!({"responses": {"type": "array", "items": step}}), &["responses"])
}

fn service_document() -> Value {
    let entry = object(&json!({"name": text(), "kind": text(), "url": text()}), &["name", "kind", "url"]);
    object(&json!({"@odata.context": text(), "value": {"type": "array", "items": entry}}), &["value"])
}

/// An object with required properties.
fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn references() -> Value {
    let reference = object(&json!({"@odata.id": {"type": "string", "format": "uri"}}), &["@odata.id"]);
    let mut page = page("reference");
    page["properties"]["value"] = json!({"type": "array", "items": reference});
    page
}

fn convert_ids() -> Value {
    let format = json!({"type": "string", "enum": FORMATS});
    json!({
        "type": "object",
        "properties": {
            "inputIds": {
                "type": "array",
                "maxItems": MAX_IDS,
                "items": {"type": "string", "minLength": 1, "maxLength": exchange_ids::MAX_ID},
            },
            "sourceIdType": format,
            "targetIdType": format,
        },
        "required": ["inputIds", "sourceIdType", "targetIdType"],
        "patternProperties": {ANNOTATION: {}},
        "additionalProperties": false,
    })
}

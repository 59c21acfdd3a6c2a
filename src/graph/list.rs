//! Collections in the JSON of OData.

use serde::Serialize;

/// A page of a collection.
#[derive(Serialize)]
pub(crate) struct List<T> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<String>,
    #[serde(rename = "@odata.count", skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<i64>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    pub(crate) value: Vec<T>,
}

//! Contacts in the JSON of Graph, one on each line.

use crate::formats::json::graph::GraphJson;
use crate::formats::write::ContactToWrite;

/// A contact as a line, with its end. Members that were kept aside from a file of this format come back.
pub fn ndjson(source: &ContactToWrite<'_>, graph: &dyn GraphJson) -> String {
    let mut line = graph.write(source.contact);
    for aside in source.asides("graph").iter().filter(|aside| aside.of.is_none()) {
        let name = serde_json::Value::String(aside.name.clone()).to_string();
        // A value that was kept from a file is JSON. If the card was changed since, it may be plain text.
        let value = match serde_json::from_str::<&serde_json::value::RawValue>(&aside.value) {
            Ok(value) => value.get().to_owned(),
            Err(_) => serde_json::Value::String(aside.value.clone()).to_string(),
        };
        if line.pop() == Some('}') {
            line.extend([",", &name, ":", &value, "}"]);
        }
    }
    line.push('\n');
    line
}

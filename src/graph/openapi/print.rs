//! Prints JSON as a file that is easy to compare. A value that fits on a line is on one line.

use std::fmt::Write as _;

use serde_json::Value;

/// Characters of a line, unless one value alone is longer.
const WIDTH: usize = 130;

/// Prints a value, with a line feed at the end.
pub(super) fn print(value: &Value) -> String {
    let mut text = String::new();
    add(&mut text, value, 0, 0);
    text.push('\n');
    text
}

/// `before` is the number of characters on the line before the value.
fn add(text: &mut String, value: &Value, depth: usize, before: usize) {
    let short = value.to_string();
    let (open, close, entries): (_, _, Vec<(String, &Value)>) = match value {
        _ if before + short.chars().count() < WIDTH => return text.push_str(&short),
        Value::Object(members) => (
            '{',
            '}',
            members.iter().map(|(name, value)| (format!("{}: ", Value::from(name.as_str())), value)).collect(),
        ),
        Value::Array(values) => ('[', ']', values.iter().map(|value| (String::new(), value)).collect()),
        _ => return text.push_str(&short),
    };
    text.push(open);
    for (i, (name, value)) in entries.iter().enumerate() {
        let indent = depth + 1;
        // Writing to a string does not fail.
        let _ = write!(text, "{}\n{:indent$}{name}", if i == 0 { "" } else { "," }, "");
        add(text, value, indent, indent + name.chars().count());
    }
    let _ = write!(text, "\n{:depth$}{close}", "");
}

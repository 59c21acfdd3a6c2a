//! Golden files: the requests of a user and their answers, without values that differ in each run.

use std::path::Path;
use std::{env, fs};

use serde_json::Value;

/// Headers that differ between versions of a client.
const CLIENT_HEADERS: [&str; 6] =
    ["user-agent", "accept", "accept-encoding", "accept-language", "connection", "sec-fetch-mode"];

/// Compares entries of the journal with a file, or writes it if `UPDATE_GOLDEN` is 1.
///
/// # Errors
/// One line, and what was found.
pub(super) fn compare(entries: Vec<Value>, url: &str, file: &Path) -> Result<(), String> {
    let text = text(entries, url)?;
    let shown = file.display();
    if env::var_os("UPDATE_GOLDEN").is_some_and(|update| update == "1") {
        return fs::write(file, text).map_err(|error| format!("{shown}: {error}"));
    }
    match fs::read_to_string(file) {
        Ok(golden) if golden == text => Ok(()),
        Ok(_) => Err(format!("the requests differ from {shown}; UPDATE_GOLDEN=1 rewrites it:\n{text}")),
        Err(error) => Err(format!("{shown}: {error}; UPDATE_GOLDEN=1 writes it")),
    }
}

/// The entries as text: numbered from 1, without durations and [`CLIENT_HEADERS`], and with `{base}` and `{host}` for
/// the server.
fn text(mut entries: Vec<Value>, url: &str) -> Result<String, String> {
    for (index, entry) in entries.iter_mut().enumerate() {
        let Some(members) = entry.as_object_mut() else { continue };
        members.remove("durationMicros");
        members.insert("number".to_owned(), (index + 1).into());
        if let Some(Value::Object(headers)) = members.get_mut("headers") {
            headers.retain(|name, _| !CLIENT_HEADERS.contains(&name.as_str()));
        }
    }
    let text = serde_json::to_string_pretty(&entries).map_err(|error| error.to_string())? + "\n";
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    Ok(text.replace(url, "{base}").replace(host, "{host}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn varying_values_are_left_out() {
        let entry = |number: u64, port: u16| {
            json!({"number": number, "durationMicros": port, "headers": {"host": format!("127.0.0.1:{port}"), "user-agent": "x"},
                "answer": {"@odata.context": format!("http://127.0.0.1:{port}/v1.0/$metadata")}})
        };
        let first = text(vec![entry(7, 1)], "http://127.0.0.1:1").unwrap();
        assert_eq!(first, text(vec![entry(9, 2)], "http://127.0.0.1:2").unwrap());
        assert!(
            first.contains("{base}/v1.0") && first.contains("\"{host}\"") && !first.contains("user-agent"),
            "{first}"
        );
    }
}

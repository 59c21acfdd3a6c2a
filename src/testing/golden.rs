//! Golden files: what a user's requests were and were answered, without what is never the same twice.

use std::path::Path;
use std::{env, fs};

use serde_json::Value;

/// Headers that each version of a client chooses for itself.
const OF_CLIENTS: [&str; 6] =
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

/// The entries as text: numbered from 1, without durations and what clients choose, and with `{base}` and `{host}` for the server.
fn text(mut entries: Vec<Value>, url: &str) -> Result<String, String> {
    for (place, entry) in entries.iter_mut().enumerate() {
        let Some(members) = entry.as_object_mut() else { continue };
        members.remove("durationMicros");
        members.insert("number".to_owned(), (place + 1).into());
        if let Some(Value::Object(headers)) = members.get_mut("headers") {
            headers.retain(|name, _| !OF_CLIENTS.contains(&name.as_str()));
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
    fn what_is_never_the_same_twice_is_left_out() {
        let entry = |number: u64, port: u16| {
            json!({"number": number, "durationMicros": port, "headers": {"host": format!("127.0.0.1:{port}"), "user-agent": "x"},
                "answer": {"@odata.context": format!("http://127.0.0.1:{port}/v1.0/$metadata")}})
        };
        let one = text(vec![entry(7, 1)], "http://127.0.0.1:1").unwrap();
        assert_eq!(one, text(vec![entry(9, 2)], "http://127.0.0.1:2").unwrap());
        assert!(one.contains("{base}/v1.0") && one.contains("\"{host}\"") && !one.contains("user-agent"), "{one}");
    }
}

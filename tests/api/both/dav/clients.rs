//! Real clients, unchanged. `tests/run` installs them; `tests/clients` runs those that are heavy.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::app::TestApp;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a client's script to its last line.
fn assert_client_works(command: &Path, script: &Path, last: &str, more: &[&str]) {
    let app = TestApp::new();
    let mut client = Command::new(command);
    client.arg(script).args([&format!("http://{}", app.address), "ann", "ann"]).args(more);
    let output = client.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && out.trim_end().ends_with(last),
        "{out}{err}\ntests/run installs what this needs"
    );
}

#[test]
fn vdirsyncer_and_khard_work_unchanged() {
    let python = root().join("target/recipes/vdirsyncer/bin/python");
    assert_client_works(
        &python,
        &root().join("tests/carddav/vdirsyncer.py"),
        "vdirsyncer and khard are done",
        &["100"],
    );
}

#[test]
fn tsdav_works_unchanged() {
    let folder = root().join("target/recipes/tsdav");
    // Node.js looks for the library in this folder.
    std::fs::copy(root().join("tests/carddav/tsdav.mjs"), folder.join("tsdav.mjs")).unwrap();
    assert_client_works(Path::new("node"), &folder.join("tsdav.mjs"), "tsdav is done", &[]);
}

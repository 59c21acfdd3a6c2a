//! The official SDKs, unchanged, against the real program: the recipes of `examples/`. `tests/run` installs the SDKs.

use std::path::PathBuf;
use std::process::Command;

use crate::program::{Program, contactd};

/// Where `tests/run` installs the SDKs.
fn installed(language: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/recipes").join(language)
}

fn example(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

/// Runs a recipe to its last line.
fn works(mut recipe: Command, last: &str) {
    let server = Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]));
    recipe.args([&format!("http://{}", server.address), "ann"]);
    let output = recipe.output().unwrap_or_else(|error| panic!("{error}: tests/run installs what this needs"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.trim_end().ends_with(last), "{out}{err}");
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn the_javascript_sdk_works_unchanged() {
    // Beside the SDK, where the program looks for it.
    let recipe = installed("javascript").join("recipe.mjs");
    std::fs::copy(example("javascript/recipe.mjs"), &recipe).expect("tests/run installs the SDK");
    let mut node = Command::new("node");
    node.arg(recipe);
    works(node, "the JavaScript recipe is done");
}

#[test]
fn the_python_sdk_works_unchanged() {
    let mut python = Command::new(installed("python").join("bin/python"));
    python.arg(example("python/recipe.py"));
    works(python, "the Python recipe is done");
}

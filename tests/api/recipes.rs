//! The official SDKs, unchanged, against the real program: the recipes of `examples/`. `tests/run` installs the SDKs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Program, contactd};
use crate::tls::DevCert;

/// Where `tests/run` installs the SDKs.
fn installed(language: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/recipes").join(language)
}

fn example(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

/// Runs a recipe to its last line, against a server without TLS and one with TLS, which the SDK trusts by a line that
/// `contactd dev-cert` prints.
fn assert_recipe_works(recipe: &Path, command: &Path, trust: &str, last: &str) {
    let dev = DevCert::new();
    let plain = Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]));
    let tls = dev.serve();
    assert!(plain.origin.starts_with("http://") && tls.origin.starts_with("https://"));
    for (server, trust) in [(plain, "true".to_owned()), (tls, dev.line(trust).to_owned())] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{trust} && exec \"$@\""), "sh"]).arg(command).arg(recipe);
        shell.env_remove("NODE_EXTRA_CA_CERTS").env_remove("SSL_CERT_FILE");
        let output = shell.args([&server.origin, "ann"]).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success() && out.trim_end().ends_with(last),
            "{}: {out}{err}\ntests/run installs what this needs",
            server.origin
        );
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
}

#[test]
fn the_javascript_sdk_works_unchanged() {
    // Node.js looks for the SDK in this folder.
    let folder = installed("javascript");
    for file in ["recipe.mjs", "plain-http.mjs"] {
        std::fs::copy(example("javascript").join(file), folder.join(file)).expect("tests/run installs the SDK");
    }
    let last = "the JavaScript recipe is done";
    assert_recipe_works(&folder.join("recipe.mjs"), Path::new("node"), "export NODE_EXTRA_CA_CERTS=", last);
}

#[test]
fn the_python_sdk_works_unchanged() {
    let python = installed("pytest").join("bin/python");
    assert_recipe_works(&example("python/recipe.py"), &python, "export SSL_CERT_FILE=", "the Python recipe is done");
}

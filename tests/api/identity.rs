//! A real identity provider, `oidc-provider` in Node.js, which `tests/run` installs: `tests/oidc/provider.mjs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// The audience of its tokens.
pub const AUDIENCE: &str = "api://contactd";

/// A provider on its own port. It ends when dropped.
pub struct IdentityProvider {
    pub issuer: String,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl IdentityProvider {
    pub fn start() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        // Beside what it imports.
        let program = root.join("target/recipes/oidc/provider.mjs");
        let text = std::fs::read(root.join("tests/oidc/provider.mjs")).unwrap();
        // Several tests may start it at once, and none may read a half-written file.
        let copy = program.with_extension(format!("{:?}.mjs", std::thread::current().id()));
        std::fs::write(&copy, text).unwrap_or_else(|error| panic!("{error}: tests/run installs what this needs"));
        std::fs::rename(&copy, &program).unwrap();
        let mut node = Command::new("node");
        node.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = node.spawn().unwrap_or_else(|error| panic!("{error}: tests/run installs what this needs"));
        let (commands, mut answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let issuer = answer(&mut answers)["issuer"].as_str().unwrap().to_owned();
        Self { issuer, child, commands, answers }
    }

    fn command(&mut self, command: Value) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        answer(&mut self.answers)
    }

    fn token(&mut self, command: Value) -> String {
        self.command(command)["token"].as_str().unwrap().to_owned()
    }

    /// Signs a user in, who consents to these scopes.
    pub fn user(&mut self, login: &str, scope: &str) -> String {
        self.token(json!({"do": "user", "login": login, "scope": scope, "audience": AUDIENCE}))
    }

    /// The same for another audience, or signed by another algorithm.
    pub fn user_for(&mut self, login: &str, scope: &str, audience: &str, algorithm: &str) -> String {
        self.token(json!({"do": "user", "login": login, "scope": scope, "audience": audience, "alg": algorithm}))
    }

    /// Sets the claims of a user.
    pub fn say(&mut self, login: &str, claims: Value) {
        self.command(json!({"do": "say", "login": login, "claims": claims}));
    }

    /// A token of an application with these roles.
    pub fn app(&mut self, roles: &[&str]) -> String {
        self.token(json!({"do": "app", "roles": roles, "audience": AUDIENCE}))
    }

    /// Rotates the signing keys. The old ones stay published if `keep` is set.
    pub fn rotate(&mut self, keep: bool) {
        self.command(json!({"do": "rotate", "keep": keep}));
    }

    /// Stops answering.
    pub fn stop(&mut self) {
        self.command(json!({"do": "stop"}));
    }

    /// Answers again.
    pub fn resume(&mut self) {
        self.command(json!({"do": "start"}));
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(answers: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    assert!(answer["error"].is_null(), "{answer}");
    answer
}

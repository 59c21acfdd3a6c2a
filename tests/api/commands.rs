//! Every command in the documents is run unchanged by a shell, with a real server in a temporary folder. Each
//! section of a document has its own folder. Commands that cannot be run here are listed below with the reason,
//! and their flags are checked by the program's parser.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use clap::Parser as _;
use clap::error::ErrorKind;
use contactd::cli::config::Cli;
use tempfile::TempDir;

use crate::postgres::{Postgres, programs};
use crate::program::{Program, contactd};

/// The first words of commands.
const PROGRAMS: [&str; 12] = [
    "contactd",
    "curl",
    "cargo",
    "tests/run",
    "docker",
    "podman",
    "sudo",
    "export",
    "psql",
    "createdb",
    "pg_dump",
    "promtool",
];

/// Commands that are not run, by their beginning, and the reason.
const NOT_RUN: [(&str, &str); 12] = [
    ("tests/run", "it runs this"),
    ("cargo install ", "it compiles the program once more, with all optimizations"),
    ("cargo test", "tests/run runs these tests"),
    ("cargo bench", "it takes minutes, and .ci/run does not measure"),
    ("docker ", "docker/verify runs these, where there is a container daemon"),
    ("podman ", "docker/verify runs the image with it"),
    ("export CONTACTD_TOKENS=", "it is for docker compose"),
    ("sudo ", "it takes root"),
    ("psql ", "a test of its own runs these on a server of PostgreSQL"),
    ("createdb ", "the same"),
    ("CONTACTD_DATABASE=postgres://", "the same"),
    ("pg_dump", "PostgreSQL's own"),
];

/// Servers in the documents that do not exist here.
const UNAVAILABLE_SERVERS: [&str; 4] = ["postgres://db1", "@pg1,", "@db.example.org", "postgres://…"];

/// The contact files that documents name, for the commands that read them. An export overwrites its file.
const FILES: [(&str, &str); 6] = [
    ("contacts.vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Adele Vance\r\nN:Vance;Adele;;;\r\nEND:VCARD\r\n"),
    ("contacts.csv", "First Name,Last Name,E-mail 1 - Label,E-mail 1 - Value\nAdele,Vance,Work,adele@example.com\n"),
    ("contacts.json", r#"[{"givenName": "Adele", "surname": "Vance"}]"#),
    ("cards.json", r#"{"@type": "Card", "version": "1.0", "uid": "card-1", "name": {"full": "Adele Vance"}}"#),
    ("people.ldif", "dn: cn=Adele Vance,o=example\nobjectClass: inetOrgPerson\ncn: Adele Vance\nsn: Vance\n"),
    ("members.csv", "Vorname,Handy,Mail\nAdele,+1 555 0100,adele@example.com\n"),
];

/// The characters that end a command in a shell.
const COMMAND_ENDS: [char; 4] = ['|', '>', '<', '&'];

/// Lines of the server's output that look like commands.
const OUTPUT: [&str; 2] = ["contactd listening on ", "contactd metrics on "];

struct Found {
    section: String,
    text: String,
    /// Whether it is in a code block. In a sentence a command may only be mentioned.
    in_block: bool,
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn is_command(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    PROGRAMS.contains(&first) || first.starts_with("CONTACTD_") && text.contains(" contactd ")
}

/// All commands of a document, in order.
fn commands(name: &str) -> Vec<Found> {
    let (mut found, mut section, mut fence, mut open) = (Vec::new(), String::new(), None::<String>, String::new());
    for line in document(name).lines() {
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_none() { Some(language.to_owned()) } else { None };
        } else if fence.as_deref() == Some("sh") {
            match line.strip_suffix('\\') {
                Some(begun) => open.push_str(begun),
                None if line.trim().is_empty() => {}
                None => {
                    let text = std::mem::take(&mut open) + line;
                    assert!(is_command(&text), "{name}: what is it? {text}");
                    found.push(Found { section: section.clone(), text, in_block: true });
                }
            }
        } else if fence.is_none() {
            if let Some(title) = line.strip_prefix("## ") {
                title.clone_into(&mut section);
            }
            let spans = line.split('`').skip(1).step_by(2);
            let spans = spans.filter(|text| is_command(text) && !OUTPUT.iter().any(|line| text.starts_with(line)));
            found.extend(spans.map(|text| Found { section: section.clone(), text: text.to_owned(), in_block: false }));
        }
    }
    found
}

/// The words of a command as a shell sees them, without its comment.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut is_open) = (Vec::new(), String::new(), None, false);
    for c in text.chars().chain([' ']) {
        match (quote, c) {
            (None, '\'' | '"') => (quote, is_open) = (Some(c), true),
            (Some(end), c) if c == end => quote = None,
            (None, '#') if !is_open => break,
            (None, ' ') if is_open => {
                words.push(std::mem::take(&mut word));
                is_open = false;
            }
            (None, ' ') => {}
            (_, c) => {
                word.push(c);
                is_open = true;
            }
        }
    }
    words
}

/// Parses the program's own part of a command, if it has one. Returns whether the command is complete.
#[track_caller]
fn is_whole(text: &str) -> bool {
    let words = words(text);
    let is_docker = words.first().is_some_and(|first| first == "docker" || first == "podman");
    // The image's name; its arguments follow.
    let is_image = |at: &usize| words[*at] == "contactd" && !words[at - 1].starts_with("--");
    let first = words.iter().position(|word| !word.contains('='));
    let at = if is_docker { (1..words.len()).rev().find(is_image) } else { first };
    let at = at.filter(|at| words[*at] == "contactd");
    let Some(own) = at
        .map(|at| &words[at..])
        .filter(|own| !is_docker || own.len() > 1 && own[1] != "." && !own[1].starts_with(COMMAND_ENDS))
    else {
        return true;
    };
    let own = own.iter().take_while(|word| !word.starts_with(COMMAND_ENDS));
    match Cli::try_parse_from(own) {
        Ok(_) => true,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
            // Only named.
            ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => false,
            // A word in capitals is a placeholder.
            ErrorKind::ValueValidation if has_placeholder(text) => false,
            _ => panic!("{text}: {error}"),
        },
    }
}

fn has_placeholder(text: &str) -> bool {
    let is_capitals = |word: &String| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    text.contains('…') || words(text).iter().any(is_capitals)
}

/// The folder in which the documented commands run, and their server.
struct Workspace {
    folder: TempDir,
    server: Option<Program>,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_contactd"), programs.join("contactd")).unwrap();
        // The program is already built.
        let cargo = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec contactd \"$@\"\n";
        // Another process writes the file. A child that another test starts meanwhile could inherit an open file, and a file that is open
        // for writing cannot be executed.
        let written = Command::new("sh")
            .args(["-c", r#"printf %s "$1" > "$0" && chmod 755 "$0""#])
            .arg(programs.join("cargo"))
            .arg(cargo)
            .status();
        assert!(written.unwrap().success());
        for name in ["tests", "ops"] {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), folder.path().join(name)).unwrap();
        }
        for (name, content) in FILES {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let mut workspace = Self { folder, server: None };
        workspace.serve("contactd serve");
        for user in ["bob", "carl"] {
            workspace.run(&format!("contactd user add {user}"));
        }
        workspace
    }

    /// A shell in which the program is installed.
    fn shell(&self, text: &str, listen: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        // Without the caller's environment variables, like every command in these tests.
        let mut command = contactd(&[]);
        let unset: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        command = Command::new("sh");
        command.args(["-c", text]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in unset {
            command.env_remove(name);
        }
        command.env_remove("XDG_DATA_HOME").env("HOME", self.folder.path()).current_dir(self.folder.path());
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/prometheus/usr/bin");
        command.env("PATH", format!("{}:{path}:{}", self.folder.path().join("bin").display(), tools.display()));
        command.env("CONTACTD_LISTEN", listen);
        command
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal("TERM");
            server.ended(Duration::from_mins(1));
        }
    }

    /// Replaces the server by a new one on a free port. curl is configured to use it for port 8080.
    fn serve(&mut self, text: &str) {
        self.stop();
        let server = Program::start(self.shell(&format!("exec env {text}"), "127.0.0.1:0"));
        let address = &server.address;
        let curl = format!(
            "silent\nfail-with-body\nconnect-to = 127.0.0.1:8080:{address}\nconnect-to = localhost:8080:{address}\n"
        );
        fs::write(self.folder.path().join(".curlrc"), curl).unwrap();
        self.server = Some(server);
    }

    fn output(&self, text: &str) -> Output {
        let address = self.server.as_ref().map_or("127.0.0.1:0", |server| &server.address);
        self.shell(text, address).output().unwrap()
    }

    #[track_caller]
    fn run(&self, text: &str) -> String {
        let output = self.output(text);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}: {stdout}{stderr}");
        stdout.into_owned()
    }

    /// Restores a copy. The server is stopped meanwhile if the database is its own.
    fn restore(&mut self, text: &str) {
        if text.contains("--from copy.db") {
            self.output("contactd backup --to copy.db");
        }
        let is_served = text.contains("--database contacts.db");
        if is_served {
            self.stop();
        }
        assert!(self.run(text).contains(".db is restored from "), "{text}");
        if is_served {
            self.serve("contactd serve");
        }
    }

    /// Runs a documented command.
    fn act(&mut self, text: &str) {
        if text.contains(" serve") && !["--help", "--print-config"].iter().any(|flag| text.contains(flag)) {
            return self.serve(text);
        }
        if text.contains("contactd restore") {
            return self.restore(text);
        }
        if text == "contactd upgrade" {
            // The documents say so.
            self.stop();
        }
        if ["--of ann", "--user ann"].iter().any(|flag| text.contains(flag)) {
            // An earlier line may have created them.
            self.output("contactd user add ann");
        }
        let of_last = || {
            let tokens = self.run("contactd token list");
            tokens.lines().last().unwrap().split('\t').next().unwrap().to_owned()
        };
        let text = if text == "contactd token revoke ID" { text.replace("ID", &of_last()) } else { text.to_owned() };
        let output = self.run(&text);
        if text.contains("tests/seed/request.json") {
            assert!(output.starts_with("HTTP/1.1 201 Created"), "{output}");
        }
    }
}

#[test]
fn every_documented_command_works_as_described() {
    let mut left_out: Vec<&str> = Vec::new();
    let mut done = 0;
    let mut documents = vec!["README.md".to_owned()];
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        documents.push(format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    }
    for name in documents {
        let mut workspace: Option<(String, Workspace)> = None;
        for Found { section, text, in_block } in commands(&name) {
            let is_whole = is_whole(&text);
            assert!(is_whole || !in_block || has_placeholder(&text), "{name}: {text}");
            if let Some((begins, _)) = NOT_RUN.iter().find(|(begins, _)| text.starts_with(begins)) {
                left_out.push(begins);
                continue;
            }
            let is_elsewhere = UNAVAILABLE_SERVERS.iter().any(|server| text.contains(server));
            let is_known = text == "contactd token revoke ID";
            if is_elsewhere || !is_known && (!is_whole || has_placeholder(&text)) {
                continue;
            }
            if workspace.as_ref().is_none_or(|(of, _)| *of != section) {
                workspace = Some((section.clone(), Workspace::new()));
            }
            if let Some((_, workspace)) = &mut workspace {
                workspace.act(&text);
                done += 1;
            }
        }
    }
    assert!(done > 20, "{done} commands prove little");
    let stale = NOT_RUN.iter().find(|(begins, _)| !left_out.contains(begins));
    assert_eq!(stale, None, "no document has such a command any more");
}

#[test]
fn the_documented_commands_create_a_postgresql_database() {
    let server = Postgres::start(&[]);
    // The administrator of the test server has the name that the page gives to contactd.
    server.query("create role boss superuser login");
    let (port, programs) = (server.port().to_string(), programs("createdb"));
    let workspace = Workspace::new();
    let shell = |text: &str| {
        let mut command = workspace.shell(text, "127.0.0.1:0");
        let path = std::env::var("PATH").unwrap();
        let own = workspace.folder.path().join("bin");
        command.env("PATH", format!("{}:{}:{path}", own.display(), programs.display()));
        command.env("PGHOST", "127.0.0.1").env("PGPORT", &port).env("PGUSER", "boss");
        command
    };
    let make = |text: &str| {
        let output = shell(text).output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    };
    make("psql -q -d postgres -c 'alter role contactd rename to former'");
    let commands: Vec<_> = commands("docs/postgres.md").into_iter().filter(|found| found.in_block).collect();
    let serve = commands.iter().position(|found| found.text.starts_with("CONTACTD_DATABASE=postgres://")).unwrap();
    assert_eq!(serve, 2);
    for found in &commands[..serve] {
        make(&found.text);
    }
    let text = commands[serve].text.replace("@db.example.org/", &format!("@127.0.0.1:{port}/"));
    let mut command = shell(&format!("exec env {text}"));
    command.env("CONTACTD_TOKENS", "ann=SECRET-1");
    let contactd = Program::start(command);
    assert_eq!(contactd.user("SECRET-1").post("/me/contacts", "{}").status, 201);
}

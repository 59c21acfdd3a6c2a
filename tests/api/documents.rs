//! The documents name only tests that exist, and the page of settings lists all flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use contactd::cli::config::Cli;
use contactd::cli::manual::STATUSES;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All source files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a file is this module or is in its folder.
fn is_of(path: &Path, module: &str) -> bool {
    let mut names = path.components().filter_map(|part| part.as_os_str().to_str());
    path.file_stem().is_some_and(|stem| stem == module) || names.any(|name| name == module)
}

#[test]
fn every_documented_failure_names_existing_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests/api"), &mut files);
    let text = read(&root.join("docs/security.md"));
    let table = text.split("\n## Faults of this field\n").nth(1).unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 15, "{rows:?}");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        let tests: Vec<_> = cells[3].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "a test: {row}");
        for test in tests {
            let (module, name) = test.split_once("::").unwrap_or_else(|| panic!("module::test: {test}"));
            let function = format!("fn {name}(");
            let is_there = |path: &PathBuf| is_of(path, module) && read(path).contains(&function);
            assert!(files.iter().any(is_there), "no such test: {test}");
        }
    }
}

/// A setting: its flag with the name of its value, its variable, and its default.
type Setting = (String, String, String);

/// The settings in the tables of docs/settings.md, by their variables.
fn documented() -> BTreeMap<String, Setting> {
    let text = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md"));
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains("`CONTACTD_"));
    let settings = rows.map(|row| {
        // A bar inside a cell is escaped.
        let row = row.replace("\\|", "\u{0}");
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`').replace('\u{0}', "|")).collect();
        assert_eq!(cells.len(), 6, "{row}");
        (cells[2].clone(), (cells[1].clone(), cells[2].clone(), cells[3].clone()))
    });
    settings.collect()
}

#[test]
fn the_operating_page_lists_the_exit_statuses_of_the_manual() {
    let text = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md"));
    let table = text.split("\n| Status | Meaning |\n|---|---|\n").nth(1).unwrap();
    let rows: Vec<_> =
        table.lines().map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")).collect();
    assert_eq!(rows, STATUSES);
}

#[test]
fn the_settings_page_lists_every_flag_with_its_variable_and_default() {
    let mut documented = documented();
    // It has no flag, because every process of the machine can read flags.
    assert!(documented.remove("CONTACTD_TOKENS").is_some());
    // The default depends on the user's home folder, so the program's parser has none.
    let folder = documented.get_mut("CONTACTD_DEV_CERT_DIR").unwrap();
    assert_eq!(std::mem::take(&mut folder.2), "$XDG_DATA_HOME/contactd");
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let flags = serve.get_arguments().filter(|flag| flag.get_id() != "help" && !flag.is_hide_set());
    let flags = flags.map(|flag| {
        let name = format!("--{}", flag.get_long().unwrap());
        let takes_value = flag.get_action().takes_values();
        let choices: Vec<_> = flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let value = match flag.get_value_names() {
            _ if !takes_value => String::new(),
            _ if !choices.is_empty() => format!(" {}", choices.join("|")),
            names => format!(" {}", names.unwrap()[0]),
        };
        let default = match flag.get_default_values() {
            _ if !takes_value => "off".to_owned(),
            values => values.iter().map(|value| value.to_str().unwrap()).collect(),
        };
        let variable = flag.get_env().unwrap().to_str().unwrap().to_owned();
        (variable.clone(), (name + &value, variable, default))
    });
    assert_eq!(documented, flags.collect::<BTreeMap<_, _>>());
}

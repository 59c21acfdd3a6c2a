//! What the documents say of tests is true: those they name exist, and so run.

use std::path::{Path, PathBuf};

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

/// Whether a file is this module, or is inside it.
fn is_of(path: &Path, module: &str) -> bool {
    let mut names = path.components().filter_map(|part| part.as_os_str().to_str());
    path.file_stem().is_some_and(|stem| stem == module) || names.any(|name| name == module)
}

#[test]
fn every_fault_of_the_field_has_tests_that_exist() {
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

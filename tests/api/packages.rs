//! The packages for Python and Node, built from the program and installed offline. Their examples pass, and the official
//! SDKs meet a fault of each kind.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder where `tests/run` installs the packages' companions.
fn installed(package_set: &str) -> PathBuf {
    root().join("target/recipes").join(package_set)
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}\ntests/run installs what this needs");
    said
}

/// Builds the packages in a folder. The program is stripped, which makes packing faster.
fn built(folder: &Path) -> Vec<PathBuf> {
    let program = folder.join("contactd");
    run(Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_contactd")));
    let packages = folder.join("packages");
    let output = run(Command::new("python3").arg(root().join("packaging/build")).arg(&program).arg(&packages));
    output.lines().map(PathBuf::from).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The code of a section of docs/testing.md.
fn documented(section: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let section = page.split(&format!("\n## {section}\n")).nth(1).unwrap();
    let code = section.split("```").nth(1).unwrap();
    code.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn the_examples_pass_with_the_packages_installed() {
    let folder = tempfile::tempdir().unwrap();
    let [wheel, main, platform] = &built(folder.path())[..] else { panic!("three packages are made") };
    // A golden file is written, and is the same the next time.
    let twice = |command: &dyn Fn() -> Command, passed: &str| {
        for update in ["1", "0"] {
            let output = run(command().env("UPDATE_GOLDEN", update).env_remove("CONTACTD_BIN"));
            assert!(output.contains(passed), "{output}");
        }
    };

    let python = installed("pytest").join("bin/python");
    let install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--force-reinstall"];
    run(Command::new(&python).args(install).arg(wheel));
    let tests = folder.path().join("pytest");
    copy(&root().join("examples/pytest"), &tests);
    copy(&root().join("tests/sdks"), &tests);
    std::fs::write(tests.join("test_documented.py"), documented("Python")).unwrap();
    let pytest = || {
        let mut command = Command::new(&python);
        command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).current_dir(&tests);
        command
    };
    twice(&pytest, "13 passed");

    let node = |name: &str| {
        let tests = installed(name);
        copy(&root().join("examples").join(name), &tests);
        let install = ["install", "--offline", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent"];
        run(Command::new("npm").args(install).arg(main).arg(platform).current_dir(&tests));
        tests
    };
    let runner = |tests: &Path, name: &str| {
        let mut command = Command::new(tests.join("node_modules/.bin").join(name));
        command.current_dir(tests);
        command
    };
    let tests = node("jest");
    std::fs::write(tests.join("documented.test.js"), documented("Jest")).unwrap();
    twice(&|| runner(&tests, "jest"), "6 passed");
    let tests = node("vitest");
    copy(&root().join("tests/sdks"), &tests);
    std::fs::write(tests.join("documented.test.js"), documented("Vitest")).unwrap();
    let vitest = || {
        let mut command = runner(&tests, "vitest");
        command.arg("run");
        command
    };
    twice(&vitest, "27 passed");
    let starter = tests.join("node_modules/.bin/contactd");
    assert_eq!(run(Command::new(&starter).arg("--version")).trim(), concat!("contactd ", env!("CARGO_PKG_VERSION")));
    let status = Command::new(&starter).args(["exec", "--", "sh", "-c", "exit 7"]).output().unwrap().status;
    assert_eq!(status.code(), Some(7));
}

//! Messages about wrong options. They never show a secret.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;

use crate::program::{Program, contactd, fails};

#[test]
fn quotes_around_a_secret_cause_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("tokens"), "bob=plain-b\nann=\"s3cret-a\"\n").unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--database", &path("a.db"), "--token-file", &path("tokens")];
    let server = Program::start(contactd(&arguments));
    // Blanks are kept: a secret may contain them.
    assert_eq!(server.user("\"s3cret-a\"").get("/me").json(200)["id"], "ann");
    assert_eq!(server.user("s3cret-a").get("/me").error().0, 401);
    let log = server.log();
    assert!(log.contains("token 2 (ann): the quotes around the secret are a part of it"), "{log}");
    assert!(!log.contains("s3cret") && !log.contains("token 1"), "{log}");
}

#[test]
fn an_unencoded_password_is_refused_without_showing_any_part_of_it() {
    for sign in ["@", "#", "/", "?", "%"] {
        let address = format!("postgres://ann:12{sign}zz-cret@localhost:5432/x");
        let (code, text) = fails(contactd(&["serve", "--dev", "--database", &address]));
        assert!(code == 1 && text.contains("%40 for @") && text.contains("%25 for %"), "{text}");
        assert!(!text.contains("cret") && !text.contains("ann") && !text.contains("12"), "{text}");
    }
}

#[test]
fn an_unwritable_folder_is_named_with_the_user_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
    let database = closed.join("contacts.db");
    let mut command = contactd(&["serve", "--dev", "--database", database.to_str().unwrap()]);
    let mut user = closed.metadata().unwrap().uid();
    if user == 0 {
        // Root may read every file.
        user = 65_534;
        command.uid(user);
    }
    let (code, text) = fails(command);
    let folder = format!("the folder {} belongs to user ", closed.display());
    assert!(code == 1 && text.contains(&folder) && text.contains("mode 0555"), "{text}");
    assert!(text.contains(&format!("this process runs as user {user}, group ")), "{text}");
    assert_eq!(std::fs::read_dir(&closed).unwrap().count(), 0);
}

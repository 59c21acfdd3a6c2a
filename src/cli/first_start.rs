//! First start of a server that has no users: creates a user and a token, and shows them to the operator.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::domain::error::Error;
use crate::domain::scopes::Scopes;
use crate::domain::secret;
use crate::domain::user::{Principal, UserName};
use crate::permission;
use crate::store::{Database, NewToken, Store};

/// The user's name.
const OWNER: &str = "owner";

/// Creates the user and the token. On a terminal the token is shown, and not again. Otherwise it is written to a file beside
/// the database, mode 0600, whose name is printed. `curl` is curl's arguments for the server's address, with the quote of
/// the URL open.
///
/// # Errors
/// One line: the file or the database cannot be written.
pub(crate) async fn create_first_user(store: &Store, database: &Database, curl: &str) -> Result<(), String> {
    let owner = UserName::parse(OWNER).ok_or("the first user has no name")?;
    let token = secret::token()?;
    let file = (!std::io::stderr().is_terminal()).then(|| token_path(database));
    // The file is written before the token is valid: otherwise a crash in between would lose a valid token.
    let written =
        file.as_ref().map(|file| write_private(file, &token).map_err(|error| permission::reason(file, &error)));
    let written = written.transpose()?;
    let new = NewToken {
        bearer: Principal::User(owner.clone()),
        digest: secret::hex(&secret::digest(&token)),
        name: Some("first start".to_owned()),
        scopes: Scopes::default_for(false),
        expires: None,
    };
    match store.create_first_user(&owner, new).await {
        Ok(true) => {}
        // Another process was first, and its file may have the name now; or it failed.
        done => {
            return done.map(drop).map_err(|error| match error {
                Error::Denied(why) => {
                    format!("there is no user who can sign in, and no token can be created for '{OWNER}': {why}")
                }
                error => error.to_string(),
            });
        }
    }
    let file = file.zip(written).map(|(file, written)| match written.persist(&file) {
        Ok(_) => file,
        // The token is valid, so the file stays under its temporary name.
        Err(failed) => failed.file.keep().map_or(file, |(_, kept)| kept),
    });
    let (token_text, token_argument) = match file {
        None => (
            format!(
                "this token:\n\n    {token}\n\nIt will not be shown again; make another with \
                 `contactd token create --user {OWNER}`."
            ),
            token,
        ),
        Some(file) => (format!("a token, which is in {}.", file.display()), format!("$(cat '{}')", file.display())),
    };
    let _ = writeln!(
        std::io::stderr(),
        "contactd: created user '{OWNER}' with {token_text} A first contact:\n\n    \
         curl -i {curl}/me/contacts/$ref' -H \"Authorization: Bearer {token_argument}\" -H 'Content-Type: application/json' \
         -d '{{\"givenName\": \"Ann\", \"emailAddresses\": [{{\"address\": \"ann@example.org\"}}]}}'\n"
    );
    Ok(())
}

/// The file for the token.
fn token_path(database: &Database) -> PathBuf {
    match database {
        Database::File(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".token");
            name.into()
        }
        Database::Temporary | Database::Postgres(_) => "contactd.token".into(),
    }
}

/// Writes a text to a new file with mode 0600 and a random name in the folder of `path`. The file is removed when this is
/// dropped.
fn write_private(path: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".contactd-token-").tempfile_in(folder)?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    Ok(file)
}

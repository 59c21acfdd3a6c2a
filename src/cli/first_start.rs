//! The first start of a server that nobody could sign in to: it makes a user and a token, and tells whoever started it.

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

/// Makes the user and the token. On a terminal both are shown there, this once; else the token is in a file beside the
/// database that only its owner can read, and the file is named. `curl` is what curl is
/// told of where the server is, with an open quote.
///
/// # Errors
/// One line: the file cannot be written, or the database not.
pub(crate) async fn welcome(store: &Store, database: &Database, curl: &str) -> Result<(), String> {
    let owner = UserName::parse(OWNER).ok_or("the first user has no name")?;
    let token = secret::token()?;
    let file = (!std::io::stderr().is_terminal()).then(|| beside(database));
    // Before the token is worth anything: else it could be lost.
    let written =
        file.as_ref().map(|file| write_private(file, &token).map_err(|error| permission::reason(file, &error)));
    let written = written.transpose()?;
    let new = NewToken {
        bearer: Principal::User(owner.clone()),
        digest: secret::hex(&secret::digest(&token)),
        name: Some("first start".to_owned()),
        scopes: Scopes::usual(false),
        expires: None,
    };
    match store.make_first_user(&owner, new).await {
        Ok(true) => {}
        // Another process was first, whose file may have the name by now, or nothing came of it.
        done => {
            return done.map(drop).map_err(|error| match error {
                Error::Denied(why) => format!("nobody could sign in, and no token can be made for '{OWNER}': {why}"),
                error => error.to_string(),
            });
        }
    }
    let file = file.zip(written).map(|(file, written)| match written.persist(&file) {
        Ok(_) => file,
        // The token is good: it is left where it is.
        Err(failed) => failed.file.keep().map_or(file, |(_, kept)| kept),
    });
    let (told, shown) = match file {
        None => (format!("the token\n\n    {token}\n\nwhich is shown this once"), token),
        Some(file) => (format!("a token, which is in {}", file.display()), format!("$(cat '{}')", file.display())),
    };
    let _ = writeln!(
        std::io::stderr(),
        "contactd: nobody could sign in yet, so there is now the user '{OWNER}' with {told}. A first contact:\n\n    \
         curl -i {curl}/me/contacts/$ref' -H \"Authorization: Bearer {shown}\" -H 'Content-Type: application/json' \
         -d '{{\"givenName\": \"Ann\", \"emailAddresses\": [{{\"address\": \"ann@example.org\"}}]}}'\n"
    );
    Ok(())
}

/// The file that the token goes to.
fn beside(database: &Database) -> PathBuf {
    match database {
        Database::File(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".token");
            name.into()
        }
        Database::Temporary | Database::Postgres(_) => "contactd.token".into(),
    }
}

/// Writes a text to a file that only its owner can read, under a name that nobody can foresee, in the folder of `path`. It is
/// gone when this is dropped.
fn write_private(path: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".contactd-token-").tempfile_in(folder)?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    Ok(file)
}

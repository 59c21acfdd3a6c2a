//! Seeds: documents with users and their contacts, and generated contacts (docs/testing.md, "Seeds").

use std::fmt::Display;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::domain::category::COLORS;
use crate::domain::error::{Error, Kind, Problem};
use crate::domain::handling::Handling;
use crate::domain::photo::Picture;
use crate::domain::plain::is_plain;
use crate::domain::user::{EXPECTED_NAME, UserName};
use crate::formats::json::graph::GraphJson as _;
use crate::graph::json::contact::file::GraphFile;
use crate::graph::json::{category, folder};
use crate::http::answer::Answer;
use crate::json::Json;
use crate::seed::{Generator, MIXED};
use crate::store::{SeedContact, SeedFolder, SeedShare, SeedUser, SeededUser, Store};
use crate::testkit::calls::KitRequest;
use crate::testkit::control::json as read;
use crate::transfer::seeding;
use crate::vcard::record::Fate;

/// Maximum number of contacts that one call generates.
const MAX_COUNT: u64 = 100_000;
/// Maximum number of contacts in a document.
const MAX_CONTACTS: usize = 100_000;
/// Maximum length of a user's display name in characters.
const MAX_NAME: usize = 255;

/// The body: the first two members are a document, the others generate contacts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedRequest {
    users: Option<Vec<UserDocument>>,
    shares: Option<Vec<ShareDocument>>,
    user: Option<String>,
    count: Option<u64>,
    seed: Option<u64>,
    locale: Option<String>,
    photos: Option<f64>,
    duplicates: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserDocument {
    id: String,
    display_name: Option<String>,
    #[serde(default)]
    folders: Vec<FolderDocument>,
    #[serde(default)]
    contacts: Vec<Box<RawValue>>,
    #[serde(default)]
    categories: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FolderDocument {
    display_name: String,
    #[serde(default)]
    contacts: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareDocument {
    of: String,
    with: String,
    #[serde(default)]
    write: bool,
}

/// A document in the form that the store accepts.
type SeedDocument = (Vec<SeedUser>, Vec<SeedShare>);

/// `POST /seed`
pub(crate) async fn seed(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let body: SeedRequest = read(&request.body)?;
    let store = &request.api.unguarded;
    if body.users.is_none() && body.shares.is_none() {
        return generate(store, body).await;
    }
    let (users, shares) = document(body)?;
    let created = store.seed(users, shares).await?;
    Answer::json(201, &json!({"users": created.iter().map(to_json).collect::<Vec<_>>()}))
}

fn to_json(created: &SeededUser) -> Value {
    let folder = |(id, contacts): &(String, Vec<_>)| json!({"id": id, "contacts": contacts});
    let folders: Vec<_> = created.folders.iter().map(folder).collect();
    json!({"id": created.id, "folders": folders, "contacts": created.contacts, "categories": created.categories})
}

fn refused(target: impl Into<String>, message: impl Into<String>) -> Error {
    Error::invalid(Kind::Body, target, message)
}

async fn generate(store: &Store, body: SeedRequest) -> Result<Answer, Error> {
    let SeedRequest { user: Some(user), count: Some(count), .. } = body else {
        return Err(refused("", "Expected a document with 'users', or 'user' and 'count' for generated contacts."));
    };
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(refused("count", format!("'count' must be from 1 to {MAX_COUNT}.")));
    }
    let locale = body.locale.as_deref().unwrap_or(MIXED);
    let generator = Generator::new(body.seed.unwrap_or(1), locale).map_err(|expected| refused("locale", expected))?;
    let generator = generator.with_photos(per_thousand(body.photos.unwrap_or_default())?);
    let generator = if body.duplicates == Some(false) { generator.without_duplicates() } else { generator };
    let user = store.user(&name(&user, "user")?).await?;
    let contacts = seeding::fill(store, user.mailbox, &generator, count, |_| {}).await?;
    let none: [(); 0] = [];
    let created = json!({"id": user.id, "folders": none, "contacts": contacts, "categories": none});
    Answer::json(201, &json!({"users": [created]}))
}

/// A share in thousandths, so that the result is the same on all machines.
fn per_thousand(share: f64) -> Result<u16, Error> {
    let thousandths_of_share = (0..=1_000_u16).find(|thousandths| f64::from(*thousandths) >= share * 1_000.0 - 0.5);
    thousandths_of_share
        .filter(|_| share >= 0.0)
        .ok_or_else(|| refused("photos", "'photos' must be a share from 0 to 1."))
}

fn name(text: &str, target: impl Display) -> Result<UserName, Error> {
    UserName::of_address(text)
        .ok_or_else(|| refused(target.to_string(), format!("Expected the name of a user: {EXPECTED_NAME}.")))
}

fn document(body: SeedRequest) -> Result<SeedDocument, Error> {
    let SeedRequest {
        users,
        shares,
        user: None,
        count: None,
        seed: None,
        locale: None,
        photos: None,
        duplicates: None,
    } = body
    else {
        return Err(refused("", "A document can have only 'users' and 'shares'; the other members generate contacts."));
    };
    let mut remaining = MAX_CONTACTS;
    let mut read_users = Vec::new();
    for (index, user) in users.unwrap_or_default().into_iter().enumerate() {
        read_users.push(read_user(user, &format!("users/{index}"), &mut remaining)?);
    }
    let share = |(index, ShareDocument { of, with, write }): (usize, ShareDocument)| {
        let (of, with) = (name(&of, format!("shares/{index}/of"))?, name(&with, format!("shares/{index}/with"))?);
        if of.key() == with.key() {
            return Err(refused(format!("shares/{index}/with"), "The owner already has access to the mailbox."));
        }
        Ok(SeedShare { of, with, can_write: write })
    };
    let shares = shares.unwrap_or_default().into_iter().enumerate().map(share).collect::<Result<_, _>>()?;
    Ok((read_users, shares))
}

fn read_user(user: UserDocument, target: &str, remaining: &mut usize) -> Result<SeedUser, Error> {
    let name = name(&user.id, format!("{target}/id"))?;
    let is_valid_name = |name: &String| (1..=MAX_NAME).contains(&name.chars().count()) && is_plain(name);
    if !user.display_name.as_ref().is_none_or(is_valid_name) {
        let message = format!("Expected 1 to {MAX_NAME} characters on one line.");
        return Err(refused(format!("{target}/displayName"), message));
    }
    let mut folders = Vec::new();
    for (index, folder) in user.folders.into_iter().enumerate() {
        let target = format!("{target}/folders/{index}");
        let folder_json = Json::Object(vec![("displayName".to_owned(), Json::Text(folder.display_name))]);
        let patch = folder::read(folder_json, Handling::Lenient).map_err(|error| prefix_targets(&target, error))?;
        let contacts = contacts(folder.contacts, &target, remaining)?;
        folders.push(SeedFolder { display_name: patch.display_name.unwrap_or_default(), contacts });
    }
    let mut categories = Vec::new();
    for (index, text) in user.categories.iter().enumerate() {
        let target = format!("{target}/categories/{index}");
        let patch = category::read(value(text, &target)?).map_err(|error| prefix_targets(&target, error))?;
        let name = patch.display_name.ok_or_else(|| refused(&target, "A category must have a 'displayName'."))?;
        categories.push((name, patch.color.unwrap_or(COLORS[0])));
    }
    let contacts = contacts(user.contacts, target, remaining)?;
    Ok(SeedUser { name, display_name: user.display_name, folders, contacts, categories })
}

fn contacts(texts: Vec<Box<RawValue>>, target: &str, remaining: &mut usize) -> Result<Vec<SeedContact>, Error> {
    *remaining = remaining
        .checked_sub(texts.len())
        .ok_or_else(|| Error::invalid(Kind::Limit, target, format!("A seed has at most {MAX_CONTACTS} contacts.")))?;
    let read = |(index, text): (usize, Box<RawValue>)| contact(&text, &format!("{target}/contacts/{index}"));
    texts.into_iter().enumerate().map(read).collect()
}

fn value(text: &RawValue, target: &str) -> Result<Json, Error> {
    Json::read(text.get().as_bytes()).map_err(|why| Error::invalid(Kind::Json, target, why))
}

/// Reads a contact in either shape. It refuses data that an import would keep aside, because a test would not find it.
fn contact(text: &RawValue, target: &str) -> Result<SeedContact, Error> {
    let Json::Object(mut members) = value(text, target)? else {
        return Err(refused(target, "A contact must be an object."));
    };
    let is_photo = |(name, _): &(String, Json)| name == "photo";
    let photo = members.iter().position(is_photo).map(|index| members.remove(index).1);
    let read = GraphFile.read(members).map_err(|refusal| {
        refused(target, refusal.detail.unwrap_or_else(|| format!("The contact cannot be read: {}.", refusal.reason)))
    })?;
    for (name, fate, _) in &read.members {
        let why = match fate {
            Fate::Mapped | Fate::Ignored(_) => continue,
            Fate::Partial => "It has members that a contact does not have.",
            Fate::Aside(None) => "A contact has no such property.",
            Fate::Aside(Some(why)) | Fate::Lost(why) => why,
        };
        return Err(refused(format!("{target}/{name}"), format!("'{name}' cannot be written: {why}")));
    }
    let photo = match photo {
        None | Some(Json::Null) => None,
        Some(Json::Text(text)) => Some(picture(&text, &format!("{target}/photo"))?),
        Some(other) => {
            let message = format!("A photo must be a picture in base64, not {}.", other.kind());
            return Err(refused(format!("{target}/photo"), message));
        }
    };
    Ok((read.patch, photo))
}

fn picture(text: &str, target: &str) -> Result<(Picture, Vec<u8>), Error> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| refused(target, format!("A photo must be a picture in base64: {error}")))?;
    let picture = Picture::recognize(&bytes).map_err(|error| refused(target, error.to_string()))?;
    Ok((picture, bytes))
}

/// Prefixes the targets of problems with a position in the document.
fn prefix_targets(target: &str, error: Error) -> Error {
    let Error::Invalid(problems) = error else { return error };
    let moved = problems.into_iter().map(|Problem { kind, target: old_target, message }| {
        let new_target = if old_target.is_empty() { target.to_owned() } else { format!("{target}/{old_target}") };
        Problem::new(kind, new_target, message)
    });
    Error::Invalid(moved.collect())
}

/// Writes the document of a file into a store without users. A store with users was seeded before, or is in use.
///
/// # Errors
/// One line: the position in the document, or the error of the database.
pub(crate) async fn seed_file(store: &Store, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| format!("--seed-file {shown}: {error}"))?;
    let describe = |error: Error| match &error {
        Error::Invalid(problems) => {
            let target = problems.first().map(|problem| problem.target.as_str()).filter(|target| !target.is_empty());
            format!("--seed-file {shown}: {}{error}", target.map(|target| format!("{target}: ")).unwrap_or_default())
        }
        error => format!("--seed-file {shown}: {error}"),
    };
    let (users, shares) = read(&text).and_then(document).map_err(describe)?;
    if store.totals().await.map_err(describe)?.0 > 0 {
        tracing::info!(file = %shown, "the database already has users, so it is not seeded");
        return Ok(());
    }
    store.seed(users, shares).await.map(drop).map_err(describe)
}

//! `…/contacts/{id}/extensions` and each of them (docs/graph.md, "Extensions").

use uuid::Uuid;

use crate::domain::contact::expand::ExpandSelection;
use crate::domain::error::{Error, Kind};
use crate::domain::extension::{Extension, ExtensionPatch, name_of};
use crate::domain::handling::Handling;
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::json::extension::{self, ExtensionJson};
use crate::graph::keys::{parse_id, quoted};
use crate::graph::list::List;
use crate::graph::write_answers;
use crate::http::answer::Answer;
use crate::odata::expand::{self, Navigation};
use crate::odata::query::Query;

/// `POST …/extensions`
pub(crate) async fn create(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder_path: &[String],
    id: &str,
    body: &[u8],
) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let new = extension::into_new(read(call, body).await?, "")?;
    let extension = mailbox.store.create_extension(mailbox.user.mailbox, folder_path, id, new).await?;
    let location =
        format!("/users('{}')/contacts('{id}')/extensions('{}')", quoted(&mailbox.requested_owner), extension.id());
    write_answers::created(call, &extension, &location, || to_answer(call, mailbox, id, &extension))
}

/// `GET …/extensions/{name}`
pub(crate) async fn get(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder_path: &[String],
    id: &str,
    name: &str,
) -> Result<Answer, Error> {
    let (id, ids) = (parse_id(id)?, ExpandSelection::These(vec![name_of(name).to_owned()]));
    let mut found = mailbox.store.extensions(mailbox.user.mailbox, folder_path, id, &ids).await?;
    let extension = found.pop().ok_or(Error::NotFound)?;
    if call.expected.unchanged(&extension.version_token()) {
        return Answer::empty(304)?.header("ETag", &extension.etag());
    }
    to_answer(call, mailbox, id, &extension)
}

/// `PATCH …/extensions/{name}`
pub(crate) async fn update(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder_path: &[String],
    id: &str,
    name: &str,
    body: &[u8],
) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let (patch, expected, key) = (read(call, body).await?, call.expected.clone(), (id, name_of(name).to_owned()));
    let extension = mailbox.store.update_extension(mailbox.user.mailbox, folder_path, key, patch, expected).await?;
    write_answers::updated(call, &extension, || to_answer(call, mailbox, id, &extension))
}

/// `DELETE …/extensions/{name}`
pub(crate) async fn delete(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder_path: &[String],
    id: &str,
    name: &str,
) -> Result<Answer, Error> {
    let key = (parse_id(id)?, name_of(name).to_owned());
    write_answers::deleted(
        mailbox.store.delete_extension(mailbox.user.mailbox, folder_path, key, call.expected.clone()).await?,
    )
}

/// `GET …/extensions`: all, or those that `$filter` names. They are too few to need pages.
pub(crate) async fn list(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder_path: &[String],
    id: &str,
) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let query = Query::parse(call.query)?;
    let given = [
        ("$top", query.top.is_some()),
        ("$skip", query.skip.is_some()),
        ("$skiptoken", query.skip_token.is_some()),
        ("$orderby", query.order_by.is_some()),
        ("$search", query.search.is_some()),
        ("$select", query.select.is_some()),
        ("$expand", query.expand.is_some()),
    ];
    if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
        let message = format!("The query option '{name}' does not apply to extensions; use '$filter' and '$count'.");
        return Err(Error::invalid(Kind::Query, name, message));
    }
    let ids = expand::ids(Navigation::Extensions, &query)?;
    let extensions = mailbox.store.extensions(mailbox.user.mailbox, folder_path, id, &ids).await?;
    let count = query.count.unwrap_or(false).then(|| i64::try_from(extensions.len()).unwrap_or(i64::MAX));
    let context = call.annotated.then(|| context(call, mailbox, id, ""));
    let json = |extension| ExtensionJson { extension, context: None, annotated: call.annotated };
    Answer::json(200, &List { context, count, next: None, value: extensions.iter().map(json).collect() })
}

/// Reads the body of an extension.
async fn read(call: &Call<'_>, body: &[u8]) -> Result<ExtensionPatch, Error> {
    let handling = call.handling();
    let read = move |body| {
        let mut deviations = Vec::new();
        let patch = extension::read("", body, &mut deviations)?;
        if handling == Handling::Strict && !deviations.is_empty() { Err(Error::Invalid(deviations)) } else { Ok(patch) }
    };
    body::json(body, read).await
}

fn to_answer(call: &Call<'_>, mailbox: &Mailbox, id: Uuid, extension: &Extension) -> Result<Answer, Error> {
    let context = context(call, mailbox, id, "/$entity");
    let json = ExtensionJson { extension, context: Some(&context), annotated: call.annotated };
    Answer::json(200, &json)?.header("ETag", &extension.etag())
}

fn context(call: &Call<'_>, mailbox: &Mailbox, id: Uuid, end: &str) -> String {
    call.link(&format!("/$metadata#users('{}')/contacts('{id}')/extensions{end}", quoted(&mailbox.requested_owner)))
}

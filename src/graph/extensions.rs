//! `…/contacts/{id}/extensions` and each of them (docs/graph.md, "Extensions").

use futures_util::future::LocalBoxFuture;
use uuid::Uuid;

use crate::domain::contact::expand::Ids;
use crate::domain::error::{Error, Kind};
use crate::domain::extension::{Extension, ExtensionPatch, name_of};
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::contacts::{parse_id, quoted};
use crate::graph::json::extension::{self, ExtensionJson};
use crate::http::answer::{Answer, List, POSITION};
use crate::odata::expand::{self, Navigation};
use crate::odata::prefer::Handling;
use crate::odata::query::Query;

/// What a call does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    List,
    Create,
    Get,
    Update,
    Delete,
}

/// Does it with the extensions of the contact `id`, or with the one of them that is named. In a box, as in [`crate::graph::trash`].
pub(crate) fn perform<'a>(
    call: &'a Call<'a>,
    what: Does,
    mailbox: &'a Mailbox,
    (folder, id, name): (&'a [String], &'a str, &'a str),
    body: &'a [u8],
) -> LocalBoxFuture<'a, Result<Answer, Error>> {
    Box::pin(async move {
        let id = parse_id(id)?;
        let named = || (id, name_of(name).to_owned());
        let (store, number) = (&mailbox.store, mailbox.user.mailbox);
        match what {
            Does::List => list(call, mailbox, folder, id).await,
            Does::Create => {
                let new = extension::into_new(read(call, body).await?, "")?;
                let extension = store.create_extension(number, folder, id, new).await?;
                let at =
                    format!("/users('{}')/contacts('{id}')/extensions('{}')", quoted(&mailbox.asked), extension.id());
                let location = call.link(&at);
                written(call, mailbox, id, 201, &extension)?.made_at(&location)
            }
            Does::Get => {
                let ids = Ids::These(vec![name_of(name).to_owned()]);
                let extension = store.extensions(number, folder, id, &ids).await?.pop().ok_or(Error::NotFound)?;
                if call.expected.unchanged(&extension.version_token()) {
                    return Answer::empty(304)?.header("ETag", &extension.etag());
                }
                shown(call, mailbox, id, 200, &extension)
            }
            Does::Update => {
                let (patch, expected) = (read(call, body).await?, call.expected.clone());
                let extension = store.update_extension(number, folder, named(), patch, expected).await?;
                written(call, mailbox, id, 200, &extension)
            }
            Does::Delete => {
                let position = store.delete_extension(number, folder, named(), call.expected.clone()).await?;
                Answer::empty(204)?.header(POSITION, &position.to_string())
            }
        }
    })
}

/// `GET …/extensions`: all of them, or those that `$filter` names. There are never so many that they would need pages.
async fn list(call: &Call<'_>, mailbox: &Mailbox, folder: &[String], id: Uuid) -> Result<Answer, Error> {
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
        let message = format!("The query option '{name}' is not taken by extensions; '$filter' and '$count' are.");
        return Err(Error::invalid(Kind::Query, name, message));
    }
    let ids = expand::ids(Navigation::Extensions, &query)?;
    let extensions = mailbox.store.extensions(mailbox.user.mailbox, folder, id, &ids).await?;
    let count = query.count.unwrap_or(false).then(|| i64::try_from(extensions.len()).unwrap_or(i64::MAX));
    let context = call.annotated.then(|| context(call, mailbox, id, ""));
    let shown = |extension| ExtensionJson { extension, context: None, annotated: call.annotated };
    Answer::json(200, &List { context, count, next: None, value: extensions.iter().map(shown).collect() })
}

/// What a body says of an extension.
async fn read(call: &Call<'_>, body: &[u8]) -> Result<ExtensionPatch, Error> {
    let handling = call.handling();
    let read = move |body| {
        let mut deviations = Vec::new();
        let patch = extension::read("", body, &mut deviations)?;
        if handling == Handling::Strict && !deviations.is_empty() { Err(Error::Invalid(deviations)) } else { Ok(patch) }
    };
    body::json(body, read).await
}

/// An extension after a write, or nothing where the client prefers that.
fn written(call: &Call<'_>, mailbox: &Mailbox, id: Uuid, status: u16, extension: &Extension) -> Result<Answer, Error> {
    let answer = match call.prefer.minimal {
        Some(true) => Answer::empty(204)?.header("ETag", &extension.etag()),
        _ => shown(call, mailbox, id, status, extension),
    };
    answer?.header(POSITION, &extension.version.to_string())
}

fn shown(call: &Call<'_>, mailbox: &Mailbox, id: Uuid, status: u16, extension: &Extension) -> Result<Answer, Error> {
    let context = context(call, mailbox, id, "/$entity");
    let shown = ExtensionJson { extension, context: Some(&context), annotated: call.annotated };
    Answer::json(status, &shown)?.header("ETag", &extension.etag())
}

fn context(call: &Call<'_>, mailbox: &Mailbox, id: Uuid, end: &str) -> String {
    call.link(&format!("/$metadata#users('{}')/contacts('{id}')/extensions{end}", quoted(&mailbox.asked)))
}

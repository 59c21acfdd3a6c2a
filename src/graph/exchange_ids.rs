//! `…/translateExchangeIds`: ids are immutable and have one format, so each translates to itself.

use serde::Serialize;

use crate::domain::error::{Error, Kind};
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::list::List;
use crate::http::answer::Answer;
use crate::json::Json;
use crate::odata::entity;

/// The members of `exchangeIdFormat`.
pub(crate) const FORMATS: [&str; 5] = ["entryId", "ewsId", "immutableEntryId", "restId", "restImmutableEntryId"];
/// Maximum number of ids in one call.
pub(crate) const MAX_IDS: usize = 1_000;
/// Maximum length of an id in characters: twice the longest id of contactd.
pub(crate) const MAX_ID: usize = 512;

/// The parameters, as documented.
const PARAMETERS: [&str; 3] = ["inputIds", "targetIdType", "sourceIdType"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Translated<'a> {
    source_id: &'a str,
    target_id: &'a str,
}

/// `POST …/translateExchangeIds`. It does not check whether the ids exist.
pub(crate) async fn translate(call: &Call<'_>, mailbox: &Mailbox, body: &[u8]) -> Result<Answer, Error> {
    mailbox.store.check_access().await?;
    let ids = body::json(body, read).await?;
    let context = call.annotated.then(|| call.link("/$metadata#Collection(microsoft.graph.convertIdResult)"));
    let value = ids.iter().map(|id| Translated { source_id: id, target_id: id }).collect();
    Answer::json(200, &List { context, count: None, next: None, value })
}

/// The ids to translate.
fn read(body: Json) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    let mut missing = PARAMETERS.to_vec();
    for (name, value) in entity::members(body, "translateExchangeIds", &PARAMETERS)? {
        missing.retain(|missing| *missing != name);
        match name {
            "inputIds" => ids = read_ids(name, value)?,
            format => check_format(format, value)?,
        }
    }
    match missing.first() {
        Some(name) => Err(Error::invalid(Kind::Body, *name, format!("'{name}' is missing."))),
        None => Ok(ids),
    }
}

fn read_ids(name: &str, value: Json) -> Result<Vec<String>, Error> {
    let Json::Array(values) = value else {
        let message = format!("'{name}' must be an array of ids, not {}.", value.kind());
        return Err(Error::invalid(Kind::Body, name, message));
    };
    if values.len() > MAX_IDS {
        let message = format!("'{name}' has {} ids, more than the {MAX_IDS} allowed.", values.len());
        return Err(Error::invalid(Kind::Limit, name, message));
    }
    let read = |(i, value)| {
        let place = format!("{name}/{i}");
        let id = entity::text(&place, value, MAX_ID)?.filter(|id| !id.is_empty());
        id.ok_or_else(|| Error::invalid(Kind::Body, &place, format!("'{place}' must be an id, not empty or null.")))
    };
    values.into_iter().enumerate().map(read).collect()
}

/// All formats are the same here, but an unknown one is an error.
fn check_format(name: &str, value: Json) -> Result<(), Error> {
    let format = entity::text(name, value, MAX_ID)?.ok_or_else(|| {
        let message = format!("'{name}' must be one of {}, not null.", FORMATS.join(", "));
        Error::invalid(Kind::Body, name, message)
    })?;
    entity::one_of(name, &format, &FORMATS).map(drop)
}

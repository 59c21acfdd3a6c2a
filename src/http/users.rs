//! `/me` and `/users/{id}`.

use serde::Serialize;

use super::answer::Answer;
use super::call::{Call, Mailbox};
use crate::error::Error;
use crate::odata::expand::{self, Source};
use crate::odata::query::Query;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    id: &'a str,
    display_name: &'a str,
    user_principal_name: &'a str,
    mail: &'a str,
}

/// `GET /me`, `GET /users/{id}`.
pub(super) fn get(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let query = Query::of_one(call.query)?;
    if let Some(text) = &query.expand {
        expand::parse(text, &query.aliases, Source::User)?;
    }
    Query::none(call.query)?;
    let user = &mailbox.user;
    Answer::json(
        200,
        &Shown {
            context: call.annotated.then(|| call.link("/$metadata#users/$entity")),
            id: &user.id,
            display_name: &user.display_name,
            user_principal_name: &user.user_principal_name,
            mail: &user.mail,
        },
    )
}

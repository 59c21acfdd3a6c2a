//! `/me`, `/users/{id}` and, for applications, `/users`.

use serde::Serialize;

use super::access::{Caller, Who};
use super::answer::{Answer, List};
use super::call::{Call, Mailbox};
use crate::error::Error;
use crate::odata::entity;
use crate::odata::expand::{self, Source};
use crate::odata::filter::Model;
use crate::odata::page::UserToken;
use crate::odata::query::Query;
use crate::store::Window;
use crate::user::{PROPERTIES, User};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_principal_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(user: &'a User, select: Option<&[&'static str]>, context: Option<String>) -> Self {
        let wanted = |name| select.is_none_or(|names| names.contains(&name));
        Self {
            context,
            id: &user.id,
            display_name: wanted("displayName").then_some(&user.display_name),
            user_principal_name: wanted("userPrincipalName").then_some(&user.user_principal_name),
            mail: wanted("mail").then_some(&user.mail),
        }
    }
}

/// `GET /me`, `GET /users/{id}`.
pub(super) async fn get(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let query = Query::of_one(call.query)?;
    let select = selection(&query)?;
    expand::none(&query, Source::User)?;
    mailbox.store.permits().await?;
    let select = select.as_deref();
    let context = call.annotated.then(|| call.link(&format!("/$metadata#users{}/$entity", entity::printed(select))));
    Answer::json(200, &Shown::of(&mailbox.user, select, context))
}

/// `GET /users`, in the order in which they were made.
pub(super) async fn list(call: &Call<'_>, caller: &Caller) -> Result<Answer, Error> {
    let query = query(call, caller)?;
    let select = selection(&query)?;
    expand::none(&query, Source::User)?;
    let condition = call.condition(&query, Model::User, "users")?;
    let token = query.skip_token.as_deref().map(UserToken::parse).transpose()?;
    let size = call.page_size(token.as_ref().map(|token| token.size), &query);
    let window = Window {
        after: token.map(|token| token.after),
        skip: query.skip.unwrap_or(0),
        size,
        count: query.count.unwrap_or(false),
    };
    let part = call.api.unguarded.acting(call.actor(caller)).users(condition.as_ref(), window).await?;
    let next = part.value.last().filter(|_| part.more).map(|last| {
        let token = UserToken { after: last.mailbox, size };
        format!("{}?{}", call.own_link(), query.with_token(&token.print()))
    });
    let select = select.as_deref();
    let context = call.annotated.then(|| call.link(&format!("/$metadata#users{}", entity::printed(select))));
    let value = part.value.iter().map(|user| Shown::of(user, select, None)).collect();
    Answer::json(200, &List { context, count: part.count, next, value })
}

/// `GET /users/$count`: a number and nothing else.
pub(super) async fn count(call: &Call<'_>, caller: &Caller) -> Result<Answer, Error> {
    let condition = call.condition(&query(call, caller)?, Model::User, "users")?;
    Answer::number(call.api.unguarded.acting(call.actor(caller)).count_users(condition.as_ref()).await?)
}

/// The options of a list, for a caller who may list.
fn query(call: &Call<'_>, caller: &Caller) -> Result<Query, Error> {
    match caller.who {
        Who::App(_) if caller.scopes.may_list_users() => Query::parse(call.query),
        Who::App(_) => Err(Error::Denied("The token does not permit listing users: that is User.Read.All.")),
        Who::User(_) => Err(Error::Denied("Only an application may list users; a user is at /me.")),
    }
}

fn selection(query: &Query) -> Result<Option<Vec<&'static str>>, Error> {
    query.select.as_deref().map_or(Ok(None), |text| entity::select(text, "user", &PROPERTIES))
}

//! `/me`, `/users/{id}` and, for applications, `/users`.

use crate::domain::error::Error;
use crate::domain::query::typed::{Condition, Order};
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::json::user::{PROPERTIES, UserJson};
use crate::graph::list::List;
use crate::http::answer::Answer;
use crate::http::authenticate::Caller;
use crate::odata::entity;
use crate::odata::expand::{self, ExpandSource};
use crate::odata::filter::Model;
use crate::odata::query::Query;

/// `GET /me`, `GET /users/{id}`.
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let query = Query::parse_for_entity(call.query)?;
    let select = selection(&query)?;
    expand::refuse(&query, ExpandSource::User)?;
    mailbox.store.check_access().await?;
    let select = select.as_deref();
    let context = call.annotated.then(|| call.link(&format!("/$metadata#users{}/$entity", entity::printed(select))));
    Answer::json(200, &UserJson::new(&mailbox.user, select, context))
}

/// `GET /users`, by creation unless `$orderby` says otherwise.
pub(crate) async fn list(call: &Call<'_>, caller: &Caller) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let select = selection(&query)?;
    expand::refuse(&query, ExpandSource::User)?;
    let (condition, order) = options(call, &query)?;
    let store = call.api.unguarded.with_actor(call.actor(caller));
    let sorting = call.sorting(&query, order)?;
    let page = store.users(condition.as_ref(), &sorting).await?;
    let next = call.next_link(&query, &page, page.value.len(), sorting.size);
    let select = select.as_deref();
    let context = call.annotated.then(|| call.link(&format!("/$metadata#users{}", entity::printed(select))));
    let value = page.value.iter().map(|user| UserJson::new(user, select, None)).collect();
    Answer::json(200, &List { context, count: page.count, next, value })
}

/// Filter and order of a list.
fn options(call: &Call<'_>, query: &Query) -> Result<(Option<Condition>, Vec<Order>), Error> {
    Call::refuse_search(query, "users")?;
    Ok((call.condition(query, Model::User)?, call.order(query, Model::User)?.unwrap_or_default()))
}

/// `GET /users/$count`
pub(crate) async fn count(call: &Call<'_>, caller: &Caller) -> Result<Answer, Error> {
    let (condition, _) = options(call, &Query::parse(call.query)?)?;
    Answer::number(call.api.unguarded.with_actor(call.actor(caller)).count_users(condition.as_ref()).await?)
}

fn selection(query: &Query) -> Result<Option<Vec<&'static str>>, Error> {
    query.select.as_deref().map_or(Ok(None), |text| entity::select(text, "user", &PROPERTIES))
}

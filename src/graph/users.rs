//! `/me`, `/users/{id}` and, for applications, `/users`.

use crate::domain::error::Error;
use crate::domain::query::typed::{Condition, Order};
use crate::domain::user::User;
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::json::user::{PROPERTIES, UserJson};
use crate::graph::list::List;
use crate::http::answer::Answer;
use crate::http::authenticate::Caller;
use crate::odata::entity;
use crate::odata::expand::{self, Source};
use crate::odata::filter::Model;
use crate::odata::page::UserToken;
use crate::odata::query::Query;
use crate::store::{Store, Window};

/// `GET /me`, `GET /users/{id}`.
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let query = Query::of_one(call.query)?;
    let select = selection(&query)?;
    expand::none(&query, Source::User)?;
    mailbox.store.permits().await?;
    let select = select.as_deref();
    let context = call.annotated.then(|| call.link(&format!("/$metadata#users{}/$entity", entity::printed(select))));
    Answer::json(200, &UserJson::of(&mailbox.user, select, context))
}

/// `GET /users`, by creation unless `$orderby` says otherwise.
pub(crate) async fn list(call: &Call<'_>, caller: &Caller) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let select = selection(&query)?;
    expand::none(&query, Source::User)?;
    let (condition, order) = options(call, &query)?;
    let store = call.api.unguarded.acting(call.actor(caller));
    let (users, count, next) = match order {
        Some(order) => sorted(call, &store, &query, condition.as_ref(), order).await?,
        None => as_made(call, &store, &query, condition.as_ref()).await?,
    };
    let select = select.as_deref();
    let context = call.annotated.then(|| call.link(&format!("/$metadata#users{}", entity::printed(select))));
    let value = users.iter().map(|user| UserJson::of(user, select, None)).collect();
    Answer::json(200, &List { context, count, next, value })
}

/// The users of a page, the `$count` if asked for, and the nextLink.
type UserPage = (Vec<User>, Option<i64>, Option<String>);

/// Only the users of the page are read, since there may be many.
async fn as_made(
    call: &Call<'_>,
    store: &Store,
    query: &Query,
    condition: Option<&Condition>,
) -> Result<UserPage, Error> {
    let token = query.skip_token.as_deref().map(UserToken::parse).transpose()?;
    let size = call.page_size(token.as_ref().map(|token| token.size), query);
    let window = Window {
        after: token.map(|token| token.after),
        skip: query.skip.unwrap_or(0),
        size,
        count: query.count.unwrap_or(false),
    };
    let part = store.users(condition, window).await?;
    let next = part.value.last().filter(|_| part.more).map(|last| {
        let token = UserToken { after: last.mailbox, size };
        format!("{}?{}", call.own_link(), query.with_token(&token.print()))
    });
    Ok((part.value, part.count, next))
}

async fn sorted(
    call: &Call<'_>,
    store: &Store,
    query: &Query,
    condition: Option<&Condition>,
    order: Vec<Order>,
) -> Result<UserPage, Error> {
    let by = call.sorting(query, order)?;
    let page = store.sorted_users(condition, &by).await?;
    let next = call.behind(query, &page, page.value.len(), by.size);
    Ok((page.value, query.count.unwrap_or(false).then_some(page.count), next))
}

/// Filter and order of a list.
fn options(call: &Call<'_>, query: &Query) -> Result<(Option<Condition>, Option<Vec<Order>>), Error> {
    Call::no_search(query, "users")?;
    Ok((call.condition(query, Model::User)?, call.order(query, Model::User)?))
}

/// `GET /users/$count`
pub(crate) async fn count(call: &Call<'_>, caller: &Caller) -> Result<Answer, Error> {
    let (condition, _) = options(call, &Query::parse(call.query)?)?;
    Answer::number(call.api.unguarded.acting(call.actor(caller)).count_users(condition.as_ref()).await?)
}

fn selection(query: &Query) -> Result<Option<Vec<&'static str>>, Error> {
    query.select.as_deref().map_or(Ok(None), |text| entity::select(text, "user", &PROPERTIES))
}

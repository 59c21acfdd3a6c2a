//! `…/outlook/masterCategories`: the categories of a mailbox and their colours.

use crate::domain::category::Category;
use crate::domain::error::{Error, Kind};
use crate::domain::query::typed::{Condition, Order};
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::json::category::{self, CategoryJson, PROPERTIES};
use crate::graph::keys::{parse_id, quoted};
use crate::graph::list::List;
use crate::graph::write_answers;
use crate::http::answer::Answer;
use crate::odata::entity;
use crate::odata::expand::{self, ExpandSource};
use crate::odata::filter::Model;
use crate::odata::query::Query;

/// `GET …/masterCategories`, by creation unless `$orderby` says otherwise.
pub(crate) async fn list(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let select = selection(&query)?;
    expand::refuse(&query, ExpandSource::Category)?;
    let (condition, order) = options(call, &query)?;
    let sorting = call.sorting(&query, order)?;
    let page = mailbox.store.categories(mailbox.user.mailbox, condition.as_ref(), &sorting).await?;
    let next = call.next_link(&query, &page, page.value.len(), sorting.size);
    let select = select.as_deref();
    let context = call.annotated.then(|| context(call, mailbox, select, ""));
    let json = |category| CategoryJson { category, select, context: None, annotated: call.annotated };
    let value = page.value.iter().map(json).collect();
    Answer::json(200, &List { context, count: page.count, next, value })
}

/// Filter and order of a list.
fn options(call: &Call<'_>, query: &Query) -> Result<(Option<Condition>, Vec<Order>), Error> {
    Call::refuse_search(query, "categories")?;
    Ok((call.condition(query, Model::Category)?, call.order(query, Model::Category)?.unwrap_or_default()))
}

/// `GET …/masterCategories/$count`
pub(crate) async fn count(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let (condition, _) = options(call, &Query::parse(call.query)?)?;
    Answer::number(mailbox.store.count_categories(mailbox.user.mailbox, condition.as_ref()).await?)
}

/// `POST …/masterCategories`.
pub(crate) async fn create(call: &Call<'_>, mailbox: &Mailbox, body: &[u8]) -> Result<Answer, Error> {
    let sent = body::json(body, category::read).await?;
    let name = sent.display_name.ok_or_else(|| {
        Error::invalid(Kind::Body, "displayName", "'displayName' is missing: a category must have a name.")
    })?;
    let category = mailbox.store.create_category(mailbox.user.mailbox, name, sent.color).await?;
    let (user, id) = (quoted(&mailbox.requested_owner), category.id);
    let location = format!("/users('{user}')/outlook/masterCategories('{id}')");
    write_answers::created(call, &category, &location, || to_answer(call, mailbox, &category, None))
}

/// `GET …/masterCategories/{id}`.
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let query = Query::parse_for_entity(call.query)?;
    let select = selection(&query)?;
    expand::refuse(&query, ExpandSource::Category)?;
    let category = mailbox.store.category(mailbox.user.mailbox, parse_id(id)?).await?;
    if call.expected.unchanged(&category.version_token()) {
        return Answer::empty(304)?.header("ETag", &category.etag());
    }
    to_answer(call, mailbox, &category, select.as_deref())
}

/// `PATCH …/masterCategories/{id}`: another colour.
pub(crate) async fn update(call: &Call<'_>, mailbox: &Mailbox, id: &str, body: &[u8]) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let sent = body::json(body, category::read).await?;
    let category = mailbox.store.update_category(mailbox.user.mailbox, id, sent, call.expected.clone()).await?;
    write_answers::updated(call, &category, || to_answer(call, mailbox, &category, None))
}

/// `DELETE …/masterCategories/{id}`.
pub(crate) async fn delete(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let position = mailbox.store.delete_category(mailbox.user.mailbox, id, call.expected.clone()).await?;
    write_answers::deleted(position)
}

fn selection(query: &Query) -> Result<Option<Vec<&'static str>>, Error> {
    query.select.as_deref().map_or(Ok(None), |text| entity::select(text, "outlookCategory", &PROPERTIES))
}

fn to_answer(
    call: &Call<'_>,
    mailbox: &Mailbox,
    category: &Category,
    select: Option<&[&'static str]>,
) -> Result<Answer, Error> {
    let context = context(call, mailbox, select, "/$entity");
    let json = CategoryJson { category, select, context: Some(&context), annotated: call.annotated };
    Answer::json(200, &json)?.header("ETag", &category.etag())
}

fn context(call: &Call<'_>, mailbox: &Mailbox, select: Option<&[&'static str]>, end: &str) -> String {
    let (user, select) = (quoted(&mailbox.requested_owner), entity::printed(select));
    call.link(&format!("/$metadata#users('{user}')/outlook/masterCategories{select}{end}"))
}

//! `/subscriptions`. Only the creator of a subscription can see it.

use uuid::Uuid;

use crate::clock::{self, IdOwner};
use crate::domain::contact;
use crate::domain::error::{Error, Kind};
use crate::domain::handling::Handling;
use crate::domain::subscription::{Subject, Subscription};
use crate::graph::authorize::Need;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::json::subscription::{self, SubscribedResource, SubscriptionJson, unsupported_resource};
use crate::graph::list::List;
use crate::graph::write_answers;
use crate::http::answer::Answer;
use crate::http::authenticate::{Caller, Who};
use crate::notify::Notifier;
use crate::odata::query::Query;
use crate::store::Store;

/// Page size.
const PAGE: usize = 100;

/// The store with the rights of the caller.
fn store(call: &Call<'_>, caller: &Caller) -> Store {
    call.api.unguarded.with_actor(call.actor(caller))
}

fn parse_id(id: &str) -> Result<Uuid, Error> {
    contact::parse_id(id).ok_or(Error::NotFound)
}

/// The notifier. Without one, no call of this file is offered.
fn notifier<'a>(call: &Call<'a>) -> Result<&'a Notifier, Error> {
    call.api.settings.notifier.as_ref().ok_or_else(|| Error::internal("subscriptions need a notifier"))
}

/// `GET /subscriptions/{id}`
///
/// # Errors
/// [`Error::NotFound`] for a subscription of another creator, as in all calls of this file.
pub(crate) async fn get(call: &Call<'_>, caller: &Caller, id: &str) -> Result<Answer, Error> {
    to_answer(call, &store(call, caller).subscription(&caller.name(), parse_id(id)?).await?)
}

/// `PATCH /subscriptions/{id}`: another end, or another address.
pub(crate) async fn renew(call: &Call<'_>, caller: &Caller, id: &str, body: &[u8]) -> Result<Answer, Error> {
    let (store, creator, id) = (store(call, caller), &caller.name(), parse_id(id)?);
    let terms = store.subscription(creator, id).await?.terms;
    let renewal = body::json(body, move |body| subscription::read_renewal(body, &terms, clock::now())).await?;
    if let Some(url) = &renewal.notification_url {
        let notifier = notifier(call)?;
        notifier.check("notificationUrl", url)?;
        notifier.confirm("notificationUrl", url, id, creator).await?;
    }
    let renewed = store.renew_subscription(creator, id, renewal).await?;
    write_answers::updated(call, &renewed, || to_answer(call, &renewed))
}

/// `DELETE /subscriptions/{id}`
pub(crate) async fn delete(call: &Call<'_>, caller: &Caller, id: &str) -> Result<Answer, Error> {
    store(call, caller).delete_subscription(&caller.name(), parse_id(id)?).await?;
    Answer::empty(204)
}

/// `POST /subscriptions/{id}/reauthorize`: from now on it ends with this token, and not with the one with which it was
/// created.
pub(crate) async fn reauthorize(call: &Call<'_>, caller: &Caller, id: &str) -> Result<Answer, Error> {
    store(call, caller).reauthorize_subscription(&caller.name(), parse_id(id)?, caller.token).await?;
    Answer::empty(204)
}

/// `GET /subscriptions/{id}/deliveries`: the last deliveries and how they ended.
pub(crate) async fn deliveries(call: &Call<'_>, caller: &Caller, id: &str) -> Result<Answer, Error> {
    let value = store(call, caller).deliveries(&caller.name(), parse_id(id)?).await?;
    Answer::json(200, &List { context: None, count: None, next: None, value })
}

/// `GET /subscriptions`
pub(crate) async fn list(call: &Call<'_>, caller: &Caller) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let after = match &query.skip_token {
        Some(token) => contact::parse_id(token)
            .ok_or_else(|| Error::invalid(Kind::Query, "$skiptoken", "'$skiptoken' does not come from a nextLink."))?,
        None => Uuid::nil(),
    };
    let given = [
        ("$top", query.top.is_some()),
        ("$skip", query.skip.is_some()),
        ("$filter", query.filter.is_some()),
        ("$orderby", query.order_by.is_some()),
        ("$search", query.search.is_some()),
        ("$count", query.count.is_some()),
        ("$select", query.select.is_some()),
        ("$expand", query.expand.is_some()),
    ];
    if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
        let message = format!(
            "The query option '{name}' does not apply to subscriptions, which are listed completely, {PAGE} per page, \
             with '@odata.nextLink'."
        );
        return Err(Error::invalid(Kind::Query, *name, message));
    }
    let limit = i64::try_from(PAGE + 1).map_err(Error::internal)?;
    let mut found = store(call, caller).subscriptions(&caller.name(), after, limit).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| format!("{}?{}", call.own_link(), query.with_token(&last.id.to_string())));
    let context = call.annotated.then(|| call.link("/$metadata#subscriptions"));
    let value = found.iter().map(|subscription| SubscriptionJson { subscription, context: None }).collect();
    Answer::json(200, &List { context, count: None, next, value })
}

/// `POST /subscriptions`
pub(crate) async fn create(call: &Call<'_>, caller: &Caller, body: &[u8]) -> Result<Answer, Error> {
    let (notifier, creator) = (notifier(call)?, caller.name());
    let terms = body::json(body, |body| subscription::read_terms(body, clock::now())).await?;
    let (owner, resource) = subscription::parse_resource(&terms)?;
    if resource == SubscribedResource::Folders && call.handling() == Handling::Strict {
        return Err(unsupported_resource());
    }
    let found = call.mailbox(caller, &owner, Need::Read).await?;
    let (store, mailbox) = (&found.store, found.user.mailbox);
    if call.handling() == Handling::Strict && matches!(&caller.who, Who::User(own) if own.mailbox != mailbox) {
        return Err(Error::Denied("Graph does not support subscriptions to mailboxes that others share."));
    }
    let subject = match resource {
        SubscribedResource::Contacts(path) if path.is_empty() => Subject::Contacts,
        SubscribedResource::Contacts(path) => Subject::ContactsOf(store.folder(mailbox, &path).await?.id),
        SubscribedResource::Folders => Subject::Folders,
    };
    let mut urls = vec![("notificationUrl", &terms.notification_url)];
    urls.extend(terms.lifecycle_notification_url.as_ref().map(|url| ("lifecycleNotificationUrl", url)));
    for (property, url) in &urls {
        notifier.check(property, url)?;
    }
    store.room_for_subscription(mailbox, &creator).await?;
    let id = clock::new_id(IdOwner::Caller(&caller.name()));
    urls.dedup_by_key(|(_, url)| *url);
    for (property, url) in urls {
        notifier.confirm(property, url, id, &creator).await?;
    }
    let subscription = Subscription { mailbox, id, creator, token: caller.token, subject, terms };
    store.insert_subscription(subscription.clone()).await?;
    write_answers::created(call, &subscription, &format!("/subscriptions/{id}"), || to_answer(call, &subscription))
}

fn to_answer(call: &Call<'_>, subscription: &Subscription) -> Result<Answer, Error> {
    let context = call.annotated.then(|| call.link("/$metadata#subscriptions/$entity"));
    Answer::json(200, &SubscriptionJson { subscription, context: context.as_deref() })
}

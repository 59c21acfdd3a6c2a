//! `/subscriptions`: who made one sees it, and nobody else.

use uuid::Uuid;

use crate::clock;
use crate::domain::contact;
use crate::domain::error::{Error, Kind};
use crate::domain::subscription::{Subject, Subscription};
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::json::subscription::{self, About, SubscriptionJson, no_resource};
use crate::graph::routes::{Endpoint, Need, Offered};
use crate::http::answer::{Answer, List};
use crate::http::authenticate::{Caller, Who};
use crate::notify::Notifier;
use crate::odata::address::Resource;
use crate::odata::prefer::Handling;
use crate::odata::query::Query;
use crate::store::Store;

/// Subscriptions on a page.
const PAGE: usize = 100;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    List,
    Create,
    Get,
    Renew,
    Delete,
    Reauthorize,
    Deliveries,
}

/// What is offered; `None` where the resource is something else.
pub(crate) fn offered(resource: &Resource) -> Option<Offered> {
    use Endpoint::Subscription as S;
    Some(match resource {
        Resource::Subscriptions => &[("GET", S(Act::List)), ("POST", S(Act::Create))],
        Resource::Subscription(_) => &[("GET", S(Act::Get)), ("PATCH", S(Act::Renew)), ("DELETE", S(Act::Delete))],
        Resource::Reauthorize(_) => &[("POST", S(Act::Reauthorize))],
        Resource::Deliveries(_) => &[("GET", S(Act::Deliveries))],
        _ => return None,
    })
}

/// Does what is asked.
///
/// # Errors
/// [`Error::NotFound`] for what the caller has not made; whatever else the call can end with.
pub(crate) async fn perform(call: &Call<'_>, act: Act, caller: &Caller, body: &[u8]) -> Result<Answer, Error> {
    // Without anybody who posts them, nothing is promised.
    let notifier = call.api.settings.notifier.as_ref();
    let notifier = notifier.ok_or_else(|| Error::NotImplemented("A subscription".to_owned()))?;
    if act != Act::List {
        Query::none(call.query)?;
    }
    if !caller.scopes.may_read() {
        return Err(Error::Denied("The token does not permit reading contacts: that is Contacts.Read."));
    }
    let store = &call.api.unguarded.acting(call.actor(caller));
    let creator = &caller.name();
    let id = match &call.address.resource {
        Resource::Subscription(id) | Resource::Reauthorize(id) | Resource::Deliveries(id) => {
            contact::parse_id(id).ok_or(Error::NotFound)?
        }
        _ => Uuid::nil(),
    };
    match act {
        Act::List => list(call, store, creator).await,
        Act::Create => create(call, notifier, caller, creator, body).await,
        Act::Get => shown(call, 200, &store.subscription(creator, id).await?),
        Act::Renew => {
            let terms = store.subscription(creator, id).await?.terms;
            let renewal = body::json(body, move |body| subscription::read_renewal(body, &terms, clock::now())).await?;
            if let Some(url) = &renewal.notification_url {
                notifier.check("notificationUrl", url)?;
                notifier.confirm("notificationUrl", url, id, creator).await?;
            }
            written(call, 200, &store.renew_subscription(creator, id, renewal).await?)
        }
        Act::Delete => {
            store.delete_subscription(creator, id).await?;
            Answer::empty(204)
        }
        Act::Reauthorize => {
            // From now on it ends with this token, and no longer with the one it was made by.
            store.reauthorize_subscription(creator, id, caller.token).await?;
            Answer::empty(204)
        }
        Act::Deliveries => {
            let value = store.deliveries(creator, id).await?;
            Answer::json(200, &List { context: None, count: None, next: None, value })
        }
    }
}

async fn list(call: &Call<'_>, store: &Store, creator: &str) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let after = match &query.skip_token {
        Some(token) => contact::parse_id(token)
            .ok_or_else(|| Error::invalid(Kind::Query, "$skiptoken", "'$skiptoken' is not one of a nextLink."))?,
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
            "The query option '{name}' is not taken by subscriptions, which are listed whole, {PAGE} on a page. \
             '@odata.nextLink' leads on."
        );
        return Err(Error::invalid(Kind::Query, *name, message));
    }
    let limit = i64::try_from(PAGE + 1).map_err(Error::internal)?;
    let mut found = store.subscriptions(creator, after, limit).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| format!("{}?{}", call.own_link(), query.with_token(&last.id.to_string())));
    let context = call.annotated.then(|| call.link("/$metadata#subscriptions"));
    let value = found.iter().map(|subscription| SubscriptionJson { subscription, context: None }).collect();
    Answer::json(200, &List { context, count: None, next, value })
}

async fn create(
    call: &Call<'_>,
    notifier: &Notifier,
    caller: &Caller,
    creator: &str,
    body: &[u8],
) -> Result<Answer, Error> {
    let terms = body::json(body, |body| subscription::read_terms(body, clock::now())).await?;
    let (owner, about) = subscription::about(&terms)?;
    if about == About::Folders && call.handling() == Handling::Strict {
        return Err(no_resource());
    }
    let found = call.mailbox(caller, &owner, Need::Read).await?;
    let (store, mailbox) = (&found.store, found.user.mailbox);
    if call.handling() == Handling::Strict && matches!(&caller.who, Who::User(own) if own.mailbox != mailbox) {
        return Err(Error::Denied("Graph takes no subscription to what others share."));
    }
    let subject = match about {
        About::Contacts(path) if path.is_empty() => Subject::Contacts,
        About::Contacts(path) => Subject::ContactsOf(store.folder(mailbox, &path).await?.id),
        About::Folders => Subject::Folders,
    };
    let mut urls = vec![("notificationUrl", &terms.notification_url)];
    urls.extend(terms.lifecycle_notification_url.as_ref().map(|url| ("lifecycleNotificationUrl", url)));
    for (property, url) in &urls {
        notifier.check(property, url)?;
    }
    store.room_for_subscription(mailbox, creator).await?;
    let id = clock::new_id();
    urls.dedup_by_key(|(_, url)| *url);
    for (property, url) in urls {
        notifier.confirm(property, url, id, creator).await?;
    }
    let (creator, token) = (creator.to_owned(), caller.token);
    let subscription = Subscription { mailbox, id, creator, token, subject, terms };
    store.insert_subscription(subscription.clone()).await?;
    let location = call.link(&format!("/subscriptions/{id}"));
    written(call, 201, &subscription)?.made_at(&location)
}

/// A subscription after a write, or nothing where the client prefers that.
fn written(call: &Call<'_>, status: u16, subscription: &Subscription) -> Result<Answer, Error> {
    match call.prefer.minimal {
        Some(true) => Answer::empty(204),
        _ => shown(call, status, subscription),
    }
}

fn shown(call: &Call<'_>, status: u16, subscription: &Subscription) -> Result<Answer, Error> {
    let context = call.annotated.then(|| call.link("/$metadata#subscriptions/$entity"));
    Answer::json(status, &SubscriptionJson { subscription, context: context.as_deref() })
}

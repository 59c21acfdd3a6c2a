//! Lost commits of writes without a change log entry, while another process writes the same rows: the audit log proves them.
//! Without an entry there, the outcome is reported as unknown.

use crate::domain::photo::Picture;
use crate::domain::scopes::Scopes;
use crate::domain::subscription::{ChangeType, Renewal, Subject, Subscription, Terms};
use crate::domain::user::Principal;
use crate::domain::{category, extension};
use crate::store::tests::lost::behind_a_proxy;
use crate::store::tests::proxy::{CutPoint, Proxy};
use crate::store::tests::*;

type WriteOutcome<'a> = LocalBoxFuture<'a, Result<(), Error>>;

/// A process, and its data in one round.
#[derive(Clone)]
struct Scene {
    store: Store,
    mailbox: i64,
    contact: Uuid,
    bob: User,
    round: u128,
}

/// The tested write, its preparation, and a later write of another process.
struct Case {
    name: &'static str,
    before: for<'a> fn(&'a Scene) -> WriteOutcome<'a>,
    lost: for<'a> fn(&'a Scene) -> WriteOutcome<'a>,
    since: for<'a> fn(&'a Scene) -> WriteOutcome<'a>,
}

impl Scene {
    async fn of(o: &Opened) -> Self {
        let contact = o.store.contacts(o.mailbox, &first(1), None).await.unwrap().contacts[0].id;
        let bob = o.store.user(&UserName::parse("bob").unwrap()).await.unwrap();
        Self { store: o.store.clone(), mailbox: o.mailbox, contact, bob, round: 0 }
    }

    /// For another round, with an actor.
    fn with_actor(&self, store: &Store, action: &str) -> Self {
        let (user, mailbox) = (Some(self.mailbox), Some(self.mailbox));
        let actor = Actor { name: "ann".to_owned(), action: action.to_owned(), user, mailbox, ..Actor::default() };
        Self { store: store.with_actor(actor), ..self.clone() }
    }

    async fn nothing(&self) -> Result<(), Error> {
        self.store.check().await
    }

    async fn put_photo(&self) -> Result<(), Error> {
        let gif = b"GIF89a\x01\0\x01\0\0\0\0;".to_vec();
        let picture = Picture::recognize(&gif)?;
        self.store.put_photo(self.mailbox, &[], self.contact, picture, gif, Preconditions::default()).await.map(drop)
    }

    async fn delete_photo(&self) -> Result<(), Error> {
        self.store.delete_photo(self.mailbox, &[], self.contact, Preconditions::default()).await.map(drop)
    }

    async fn make_category(&self) -> Result<(), Error> {
        self.store.create_category(self.mailbox, format!("c{}", self.round), None).await.map(drop)
    }

    async fn category(&self) -> Result<Uuid, Error> {
        let all = Sorting { size: 1_000, ..Sorting::default() };
        let listed = self.store.categories(self.mailbox, None, &all).await?.value;
        let name = format!("c{}", self.round);
        listed.into_iter().find(|c| c.display_name == name).map(|c| c.id).ok_or(Error::NotFound)
    }

    async fn recolor(&self, color: &'static str) -> Result<(), Error> {
        let patch = category::CategoryPatch { color: Some(color), display_name: None };
        let id = self.category().await?;
        self.store.update_category(self.mailbox, id, patch, Preconditions::default()).await.map(drop)
    }

    async fn delete_category(&self) -> Result<(), Error> {
        let id = self.category().await?;
        self.store.delete_category(self.mailbox, id, Preconditions::default()).await.map(drop)
    }

    async fn make_extension(&self) -> Result<(), Error> {
        let new = extension::NewExtension { name: "e".to_owned(), members: Vec::new() };
        match self.store.create_extension(self.mailbox, &[], self.contact, new).await {
            Ok(_) | Err(Error::ExtensionExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn change_extension(&self, text: &str) -> Result<(), Error> {
        let patch = extension::ExtensionPatch { name: None, members: vec![("m".to_owned(), Some(text.to_owned()))] };
        let which = (self.contact, "e".to_owned());
        self.store.update_extension(self.mailbox, &[], which, patch, Preconditions::default()).await.map(drop)
    }

    async fn delete_extension(&self) -> Result<(), Error> {
        let which = (self.contact, "e".to_owned());
        match self.store.delete_extension(self.mailbox, &[], which, Preconditions::default()).await {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn share(&self, can_write: bool) -> Result<(), Error> {
        self.store.share(self.mailbox, self.bob.clone(), can_write).await.map(drop)
    }

    async fn change_share(&self, can_write: bool) -> Result<(), Error> {
        self.store.change_share(self.mailbox, self.bob.clone(), can_write).await.map(drop)
    }

    async fn unshare(&self) -> Result<(), Error> {
        self.store.unshare(self.mailbox, self.bob.clone()).await
    }

    async fn subscribe(&self) -> Result<(), Error> {
        let terms = Terms {
            resource: "me/contacts".to_owned(),
            change_types: vec![ChangeType::Created],
            notification_url: "https://example.org/".to_owned(),
            lifecycle_notification_url: None,
            client_state: None,
            tls_version: "v1_2".to_owned(),
            expiration_date_time: i64::MAX,
        };
        let (id, creator) = (Uuid::from_u128(self.round), "ann".to_owned());
        let new = Subscription { token: None, mailbox: self.mailbox, id, creator, subject: Subject::Contacts, terms };
        self.store.insert_subscription(new).await
    }

    async fn renew(&self, end: i64) -> Result<(), Error> {
        let renewal = Renewal { expiration_date_time: Some(end), notification_url: None };
        self.store.renew_subscription("ann", Uuid::from_u128(self.round), renewal).await.map(drop)
    }

    async fn reauthorize(&self) -> Result<(), Error> {
        self.store.reauthorize_subscription("ann", Uuid::from_u128(self.round), None).await
    }

    async fn unsubscribe(&self) -> Result<(), Error> {
        self.store.delete_subscription("ann", Uuid::from_u128(self.round)).await
    }
}

macro_rules! case {
    ($name:literal, |$scene:ident| $before:expr, $lost:expr, $since:expr) => {
        Case {
            name: $name,
            before: |$scene| Box::pin($before),
            lost: |$scene| Box::pin($lost),
            since: |$scene| Box::pin($since),
        }
    };
}

fn cases() -> Vec<Case> {
    vec![
        case!("photo put", |s| s.nothing(), s.put_photo(), s.put_photo()),
        case!("photo deleted", |s| s.put_photo(), s.delete_photo(), s.put_photo()),
        case!("category made", |s| s.nothing(), s.make_category(), s.recolor("preset9")),
        case!("category changed", |s| s.make_category(), s.recolor("preset1"), s.recolor("preset2")),
        case!("category deleted", |s| s.make_category(), s.delete_category(), s.make_category()),
        case!("extension made", |s| s.delete_extension(), s.make_extension(), s.change_extension("1")),
        case!("extension changed", |s| s.make_extension(), s.change_extension("2"), s.change_extension("3")),
        case!("extension deleted", |s| s.make_extension(), s.delete_extension(), s.make_extension()),
        case!("shared", |s| s.nothing(), s.share(true), s.unshare()),
        case!("share changed", |s| s.share(true), s.change_share(false), s.change_share(true)),
        case!("share revoked", |s| s.share(true), s.unshare(), s.share(true)),
        case!("subscribed", |s| s.nothing(), s.subscribe(), s.unsubscribe()),
        case!("subscription renewed", |s| s.subscribe(), s.renew(i64::MAX - 1), s.renew(i64::MAX - 2)),
        case!("subscription bound", |s| s.subscribe(), s.reauthorize(), s.reauthorize()),
        case!("subscription ended", |s| s.subscribe(), s.unsubscribe(), s.nothing()),
    ]
}

/// Runs `work` and loses its last message, the commit. Earlier rounds prepare the statements on the connection and count the
/// messages.
async fn losing<T>(proxy: &Proxy, cut: CutPoint, work: impl AsyncFn(usize) -> T) -> T {
    let mut messages = 0;
    for round in 0..3 {
        let before = proxy.messages();
        work(round).await;
        messages = proxy.messages() - before;
    }
    proxy.cut(cut, i64::try_from(messages).unwrap() - 1);
    work(3).await
}

#[actix_web::test]
async fn a_lost_commit_is_known_although_another_process_has_written_the_same_since() {
    let (o, proxy) = behind_a_proxy().await;
    let own_scene = Scene::of(&o).await;
    let other = Store::open(&o.schema.as_ref().unwrap().url.parse().unwrap(), Options::default()).await.unwrap();
    let (mut round, mut cuts) = (0_u128, 0);
    for case in cases() {
        for cut in [CutPoint::Answer, CutPoint::Request] {
            let first = round;
            let result = losing(&proxy, cut, async |n| {
                let scene = Scene { round: first + u128::try_from(n).unwrap(), ..own_scene.clone() };
                // The other process prepares the case, so that its messages are not counted.
                (case.before)(&scene.with_actor(&other, "before")).await.unwrap();
                if n == 3 {
                    let (other_scene, since) = (scene.with_actor(&other, "since"), case.since);
                    proxy.after_cut(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        // It fails if it needs the lost write and that was not stored.
                        let _ = runtime.block_on(since(&other_scene));
                    });
                }
                let action = format!("{} {}", case.name, scene.round);
                let done = (case.lost)(&scene.with_actor(&own_scene.store, &action)).await;
                let text = format!("select count(*) from audit where action = '{action}'");
                if n != 3 {
                    done.clone().unwrap();
                    (case.since)(&scene.with_actor(&other, "since")).await.unwrap();
                }
                (done, o.query(&text))
            })
            .await;
            round += 4;
            cuts += 1;
            assert_eq!(proxy.cuts(), cuts);
            match (cut, &result) {
                (CutPoint::Answer, (Ok(()), stored)) if stored == "1" => {}
                (CutPoint::Request, (Err(Error::Unavailable(_)), stored)) if stored == "0" => {}
                _ => panic!("{}: {result:?}", case.name),
            }
        }
    }
    other.close().await;
}

#[actix_web::test]
async fn a_lost_create_with_a_photo_is_proved_although_another_process_put_a_photo_since() {
    let (o, proxy) = behind_a_proxy().await;
    let own_scene = Scene::of(&o).await;
    let other = Store::open(&o.schema.as_ref().unwrap().url.parse().unwrap(), Options::default()).await.unwrap();
    let other_scene = own_scene.with_actor(&other, "since");
    for round in 0..3 {
        let (cutting_proxy, other_scene) = (proxy.clone(), other_scene.clone());
        // The message behind the last job is the commit.
        let arm = o.job(async move |_| {
            if round == 2 {
                cutting_proxy.after_cut(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(other_scene.put_photo()).unwrap();
                });
                cutting_proxy.cut(CutPoint::Answer, 0);
            }
            Ok(())
        });
        let scene = own_scene.with_actor(&own_scene.store, "photo");
        let results = o.in_one_commit(vec![o.insert("beside"), Box::pin(scene.put_photo()), arm]).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    assert_eq!(o.titles().await, ["first", "beside", "beside", "beside"]);
    assert_eq!((proxy.cuts(), o.query("select count(*) from audit where action = 'since'").as_str()), (1, "1"));
    other.close().await;
}

#[actix_web::test]
async fn a_lost_commit_of_an_operators_command_is_known() {
    let (o, proxy) = behind_a_proxy().await;
    let ann = UserName::parse("ann").unwrap();
    let token = |n: usize| NewToken {
        bearer: Principal::User(ann.clone()),
        digest: format!("{n}"),
        name: None,
        scopes: Scopes::default(),
        expires: None,
    };
    for (cut, fits) in [(CutPoint::Answer, 1_usize), (CutPoint::Request, 0)] {
        let base = fits * 10;
        let made = losing(&proxy, cut, async |n| o.store.create_token(token(base + n)).await.map(drop)).await;
        let stored = o.query(&format!("select count(*) from tokens where digest = '{}'", base + 3));
        assert_eq!((made.is_ok(), stored), (fits == 1, fits.to_string()), "{made:?}");
        let name = |n: usize| UserName::parse(&format!("user{}", base + n)).unwrap();
        let added = losing(&proxy, cut, async |n| o.store.add_user(&name(n), None).await.map(drop)).await;
        let stored = o.query(&format!("select count(*) from users where id = 'user{}'", base + 3));
        assert_eq!((added.is_ok(), stored), (fits == 1, fits.to_string()), "{added:?}");
        for refused in [made, added] {
            assert!(matches!(refused, Ok(()) | Err(Error::Unavailable(_))), "{refused:?}");
        }
    }
    assert_eq!(proxy.cuts(), 4);
}

#[actix_web::test]
async fn a_lost_commit_without_a_marker_has_an_unknown_outcome() {
    let (o, proxy) = behind_a_proxy().await;
    let own_scene = Scene::of(&o).await;
    own_scene.make_category().await.unwrap();
    let (id, colors) = (own_scene.category().await.unwrap(), ["preset0", "preset1"]);
    for cut in [CutPoint::Answer, CutPoint::Request] {
        // Without an actor, so neither the audit log nor the change log has an entry.
        let colored = losing(&proxy, cut, async |n| {
            let patch = category::CategoryPatch { color: Some(colors[n % 2]), display_name: None };
            own_scene.store.update_category(own_scene.mailbox, id, patch, Preconditions::default()).await.map(drop)
        })
        .await;
        assert!(matches!(colored, Err(Error::Internal(_))), "{colored:?}");
        // If nothing was written, the outcome is known.
        let read = losing(&proxy, cut, async |_| {
            o.job(async move |tx| tx.reader().await?.row(Statement::new("select 1")).await.map(drop)).await
        })
        .await;
        assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    }
    assert_eq!(proxy.cuts(), 4);
    o.insert("after").await.unwrap();
}

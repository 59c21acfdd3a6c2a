//! Users of identity providers.

mod both {
    use crate::domain::user::{Identity, Trusted, User, UserName};
    use crate::store::tests::*;

    fn identity(issuer: &str, subject: &str, name: Option<&str>) -> Identity {
        let trusted = name.map(|name| Trusted { claim: "upn".to_owned(), name: name.to_owned() });
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        Identity { issuer, subject, claimed_name: None, trusted, display_name: None, issued: 10 }
    }

    async fn user(store: &Store, issuer: &str, subject: &str, name: Option<&str>) -> User {
        store.user_of_identity(&identity(issuer, subject, name)).await.unwrap()
    }

    /// The user that a name finds.
    async fn found(store: &Store, name: &str) -> Option<String> {
        store.find_user_called(name).await.unwrap().map(|user| user.id)
    }

    fn name(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    #[actix_web::test]
    async fn each_identity_has_its_own_user_regardless_of_its_name() {
        let o = opened().await;
        let local = o.store.user(&name("Ann")).await.unwrap();
        let mut users = vec![local.clone()];
        for (issuer, subject, name) in [
            ("https://a", "1", Some("ann")),
            ("https://a", "2", Some("ann")),
            ("https://b", "1", Some("ANN@localhost")),
            ("https://b", "2", Some("ann+x@example.org")),
            ("https://b", "4", None),
            ("https://b", "5", Some(&"é".repeat(255))),
            // The boundary between issuer and subject is unambiguous.
            ("https://b\n6", "", None),
        ] {
            let user = user(&o.store, issuer, subject, name).await;
            assert!(user.is_of_provider());
            assert_eq!(o.store.find_user_called(&user.id).await.unwrap().as_ref(), Some(&user));
            assert_eq!(o.store.find_user_called(&user.user_principal_name).await.unwrap().as_ref(), Some(&user));
            assert!(user.is_called(&user.id) && user.is_called(&user.user_principal_name));
            assert!(
                users.iter().all(|other| !other.is_called(&user.id) && !other.is_called(&user.user_principal_name))
            );
            users.push(user);
        }
        assert_eq!(o.count("select count(*) from identities").await, 7);
        // The name of a user of contactd's own finds none of them.
        for user in &users[1..] {
            assert!(matches!(o.store.user(&name(&user.id)).await, Err(Error::Denied(_))), "{}", user.id);
        }
        assert_eq!(o.store.user(&name("ann")).await.unwrap(), local);
    }

    #[actix_web::test]
    async fn a_name_belongs_to_the_only_user_who_claims_it_regardless_of_order() {
        for order in [["1", "2"], ["2", "1"]] {
            let o = opened().await;
            let first = user(&o.store, "https://a", order[0], Some("Boss@corp.example")).await;
            assert_eq!(
                (first.user_principal_name.as_str(), first.mail.as_str()),
                ("Boss@corp.example", "Boss@corp.example")
            );
            assert_eq!(found(&o.store, "boss@CORP.example").await.as_ref(), Some(&first.id));
            // Two users claim it, so neither has it.
            let second = user(&o.store, "https://a", order[1], Some("boss@corp.example")).await;
            assert_eq!(second.user_principal_name, format!("{}@identity", second.id));
            assert_eq!(found(&o.store, "boss@corp.example").await, None);
            let first = user(&o.store, "https://a", order[0], Some("Boss@corp.example")).await;
            assert_eq!(first.user_principal_name, format!("{}@identity", first.id));
            // One of them has another name now, so the other has it.
            let renamed = user(&o.store, "https://a", order[0], Some("chief@corp.example")).await;
            assert_eq!((renamed.id.as_str(), renamed.mail.as_str()), (first.id.as_str(), "chief@corp.example"));
            assert_eq!(found(&o.store, "boss@corp.example").await, Some(second.id.clone()));
            // An older token does not change it back.
            let older = Identity { issued: 9, ..identity("https://a", order[0], Some("boss@corp.example")) };
            assert_eq!(o.store.user_of_identity(&older).await.unwrap(), renamed);
            assert_eq!(found(&o.store, "boss@corp.example").await, Some(second.id.clone()));
            // The claim is no longer trusted.
            o.store.trust_claim(Some(("https://a".to_owned(), "upn".to_owned()))).await.unwrap();
            assert_eq!(found(&o.store, "boss@corp.example").await, Some(second.id.clone()));
            o.store.trust_claim(Some(("https://a".to_owned(), "email".to_owned()))).await.unwrap();
            assert_eq!(found(&o.store, "boss@corp.example").await, None);
            assert_eq!(found(&o.store, "chief@corp.example").await, None);
            assert_eq!(found(&o.store, &second.id).await, Some(second.id));
        }
        let o = opened().await;
        user(&o.store, "https://a", "1", Some("boss@corp.example")).await;
        o.store.trust_claim(None).await.unwrap();
        assert_eq!(found(&o.store, "boss@corp.example").await, None);
    }

    #[actix_web::test]
    async fn a_removed_user_releases_the_name_for_the_next_user_who_claims_it() {
        let o = opened().await;
        let one = user(&o.store, "https://a", "1", Some("ann@example.org")).await;
        let two = user(&o.store, "https://a", "2", Some("ann@example.org")).await;
        assert_eq!(found(&o.store, "ann@example.org").await, None);
        o.store.remove_user(&name(&one.id)).await.unwrap();
        assert_eq!(found(&o.store, "ann@example.org").await, Some(two.id));
        // A removed user starts with a new mailbox.
        let anew = user(&o.store, "https://a", "1", Some("bob@example.org")).await;
        assert_ne!((&anew.id, anew.mailbox), (&one.id, one.mailbox));
        let bob = name("bob@example.org");
        assert!(matches!(o.store.user(&bob).await, Err(Error::Denied(_))));
        o.store.remove_user(&bob).await.unwrap();
        assert!(!o.store.user(&bob).await.unwrap().is_of_provider());
    }

    #[actix_web::test]
    async fn a_bound_name_stays_its_users_regardless_of_tokens() {
        let o = opened().await;
        let (store, a) = (&o.store, || Some("https://a".to_owned()));
        let squatter = user(store, "https://a", "1", Some("boss@corp.example")).await;
        let refusal = |done: Result<User, Error>| done.unwrap_err().to_string();
        assert!(refusal(store.bind_name("boss@corp.example", None, "2").await).contains("--issuer"));
        // Before the user's first request, and while another user has the name.
        let boss = store.bind_name("Boss@corp.example", a(), "2").await.unwrap();
        assert_eq!(boss.user_principal_name, "Boss@corp.example");
        assert_eq!(found(store, "boss@corp.example").await, Some(boss.id.clone()));
        let nameless = user(store, "https://a", "1", Some("boss@corp.example")).await;
        assert_eq!((&nameless.id, nameless.mail), (&squatter.id, format!("{}@identity", squatter.id)));
        assert_eq!(user(store, "https://a", "2", Some("other@corp.example")).await, boss);
        assert_eq!(found(store, "boss@corp.example").await, Some(boss.id.clone()));
        assert_eq!(found(store, "other@corp.example").await, None);
        // Again, with another name, without a conflict.
        store.bind_name("chief@corp.example", None, "2").await.unwrap();
        assert_eq!(found(store, "chief@corp.example").await, Some(boss.id.clone()));
        assert_eq!(found(store, "boss@corp.example").await, Some(squatter.id));
        assert!(refusal(store.bind_name("chief@corp.example", a(), "1").await).contains("another subject"));
        for id in [boss.id.clone(), format!("{}@identity", boss.id), "a\nb".to_owned(), String::new()] {
            assert!(refusal(store.bind_name(&id, a(), "1").await).contains("cannot be bound"), "{id}");
        }
        // After the release the provider's claim decides.
        assert_eq!(store.unbind_name("chief@corp.example").await.unwrap().id, boss.id);
        assert_eq!(found(store, "chief@corp.example").await, None);
        assert_eq!(found(store, "other@corp.example").await, Some(boss.id));
        assert!(refusal(store.unbind_name("other@corp.example").await).contains("is not bound"));
        assert!(matches!(store.unbind_name("x").await, Err(Error::UnknownUser(_))));
    }

    #[actix_web::test]
    async fn the_operator_binds_a_local_user_to_an_identity() {
        let o = opened().await;
        let (store, a) = (&o.store, || Some("https://a".to_owned()));
        let zed = store.user(&name("zed")).await.unwrap();
        for called in ["zed@localhost", "zed"] {
            assert_eq!(store.bind_name(called, a(), "1").await.unwrap(), zed);
        }
        assert_eq!(user(store, "https://a", "1", Some("other@example.org")).await, zed);
        assert_eq!(found(store, "other@example.org").await, None);
        assert_eq!(store.user(&name("zed")).await.unwrap(), zed);
        let refusal = |done: Result<User, Error>| done.unwrap_err().to_string();
        assert!(refusal(store.bind_name("x@example.org", a(), "1").await).contains("bound to the user 'zed'"));
        assert!(refusal(store.bind_name("zed", a(), "2").await).contains("another subject"));
        let two = user(store, "https://a", "2", None).await;
        let kim = store.user(&name("kim")).await.unwrap();
        assert!(refusal(store.bind_name("kim", a(), "2").await).contains(&two.id));
        assert_eq!(found(store, "kim").await, Some(kim.id));
        store.unbind_name("zed").await.unwrap();
        assert_ne!(user(store, "https://a", "1", None).await.id, zed.id);
    }

    #[actix_web::test]
    async fn concurrent_requests_create_one_user() {
        let o = opened().await;
        let before = o.count("select count(*) from users").await;
        let one = identity("https://a", "1", Some("ann@example.org"));
        let users = join_all((0..20).map(|_| o.store.user_of_identity(&one))).await;
        let ids: std::collections::HashSet<_> = users.into_iter().map(|user| user.unwrap().id).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(o.count("select count(*) from users").await, before + 1);
    }
}

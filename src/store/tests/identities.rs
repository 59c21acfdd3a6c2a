//! Users of identity providers.

mod both {
    use crate::store::tests::*;
    use crate::user::{Identity, User, UserName};

    fn identity(issuer: &str, subject: &str, name: Option<&str>) -> Identity {
        Identity {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            principal_name: name.map(str::to_owned),
            display_name: None,
        }
    }

    async fn user(store: &Store, issuer: &str, subject: &str, name: Option<&str>) -> User {
        store.user_of_identity(&identity(issuer, subject, name), false).await.unwrap()
    }

    #[actix_web::test]
    async fn an_identity_has_a_user_of_its_own_whatever_it_is_called() {
        let o = opened().await;
        let local = o.store.user(&UserName::parse("Ann").unwrap()).await.unwrap();
        let mut users = vec![local.clone()];
        for (issuer, subject, name) in [
            ("https://a", "1", Some("ann")),
            ("https://a", "2", Some("ann")),
            ("https://b", "1", Some("ANN@localhost")),
            ("https://b", "2", Some("ann+x@example.org")),
            ("https://b", "3", Some("Ann+X@example.org")),
            ("https://b", "4", None),
            ("https://b", "5", Some(&"é".repeat(255))),
            ("https://b", "6", Some(&"É".repeat(255))),
            // Where one ends and the other begins is not to be mistaken.
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
        // By the names of others.
        for other in users.clone() {
            let user = user(&o.store, "https://c", &other.id, Some(&other.id)).await;
            assert_ne!(user.mailbox, other.mailbox);
            assert_eq!(o.store.find_user_called(&other.id).await.unwrap().as_ref(), Some(&other), "{}", other.id);
            assert!(!user.is_called(&other.id));
        }
        assert_eq!(o.count("select count(*) from identities").await, 19);
        // Remembered or not, it is the same, and later names change nothing.
        for user in &users[1..] {
            o.store.forget_user(&user.id);
            let name = UserName::parse(&user.id).unwrap();
            assert!(matches!(o.store.user(&name).await, Err(Error::Denied(_))), "{}", user.id);
        }
        let again = user(&o.store, "https://a", "1", Some("other")).await;
        assert_eq!(again, users[1]);
        assert_eq!(o.store.user(&UserName::parse("ann").unwrap()).await.unwrap(), local);
    }

    #[actix_web::test]
    async fn a_name_that_is_kept_for_another_is_not_given() {
        let o = opened().await;
        let kept = identity("https://a", "1", Some("zoe@example.org"));
        let user = o.store.user_of_identity(&kept, true).await.unwrap();
        let name = &user.user_principal_name;
        assert!(name.starts_with("zoe.") && name.ends_with("@example.org") && name.len() == 24, "{name}");
        assert!(!o.store.user(&UserName::parse("zoe@example.org").unwrap()).await.unwrap().is_of_provider());
    }

    #[actix_web::test]
    async fn many_at_once_make_one_user() {
        let o = opened().await;
        let before = o.count("select count(*) from users").await;
        let one = identity("https://a", "1", Some("ann@example.org"));
        let users = join_all((0..20).map(|_| o.store.user_of_identity(&one, false))).await;
        let ids: std::collections::HashSet<_> = users.into_iter().map(|user| user.unwrap().id).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(o.count("select count(*) from users").await, before + 1);
    }

    #[actix_web::test]
    async fn who_was_removed_begins_anew() {
        let o = opened().await;
        let before = user(&o.store, "https://a", "1", Some("ann@example.org")).await;
        o.store.remove_user(&UserName::parse(&before.id).unwrap()).await.unwrap();
        let after = user(&o.store, "https://a", "1", Some("ann@example.org")).await;
        assert_ne!((&after.id, after.mailbox), (&before.id, before.mailbox));
        assert_eq!(after.user_principal_name, "ann@example.org");
    }
}

use crate::odata::address::*;
use proptest::prelude::*;

#[test]
fn all_spellings_name_the_same_resource() {
    let contact = Resource::Owned(Owner::Me, Item::Contact(Path::new(), "A=b".into()));
    let spellings = [
        "/me/contacts/A=b",
        "/ME/Contacts/A%3Db",
        "/me/contacts('A=b')",
        "/me/contacts(%27A%3Db%27)",
        "//me//contacts/A=b//",
        "/users/me-token-to-replace/contacts/A=b",
        "/users('TokenToReplace')/contacts/A=b",
        "/Users/ME-token-to-replace/contacts('A=b')/",
    ];
    for path in spellings {
        assert_eq!(Address::parse(path).unwrap().resource, contact, "{path}");
    }
    let guest = "o'neil#ext#@example.org";
    for path in ["/users/o'neil%23ext%23%40example.org/contacts", "/users('o''neil%23EXT%23@example.org')/contacts"] {
        let Resource::Owned(Owner::User(name), Item::Contacts(_)) = Address::parse(path).unwrap().resource else {
            panic!("{path}")
        };
        assert_eq!(name.to_lowercase(), guest);
    }
}

#[test]
fn one_version_prefix_is_parsed() {
    assert_eq!(Address::parse("/V1.0/me").unwrap().version, Version::V1);
    assert_eq!(Address::parse("/Beta/healthz").unwrap().version, Version::Beta);
    assert_eq!(Address::parse("/healthz").unwrap().version, Version::None);
    assert_eq!(Address::parse("/v1.0/Users/").unwrap().resource, Resource::Users);
    assert_eq!(Address::parse("/users/%24COUNT").unwrap().resource, Resource::UsersCount);
    assert!(matches!(Address::parse("/beta/beta/me"), Err(Error::NoSegment(s)) if s == "beta"));
}

#[test]
fn folders_are_read_to_any_depth() {
    let path = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Path>();
    let owned = |item| Resource::Owned(Owner::Me, item);
    for (text, item) in [
        ("/me/contactFolders", Item::Folders(path(&[]))),
        ("/me/contactfolders/", Item::Folders(path(&[]))),
        ("/me/contactFolders('a b')", Item::Folder(path(&["a b"]))),
        ("/me/contactFolders/contacts", Item::Folder(path(&["contacts"]))),
        ("/me/contactFolders/contacts/contacts", Item::Contacts(path(&["contacts"]))),
        ("/me/contactFolders/a/childfolders", Item::Folders(path(&["a"]))),
        ("/me/contactFolders/a/childFolders('b')", Item::Folder(path(&["a", "b"]))),
        (
            "/me/contactFolders/a/childFolders/b/childFolders/c/contacts/1",
            Item::Contact(path(&["a", "b", "c"]), "1".into()),
        ),
        ("/me/contacts('1')/Photo/", Item::Photo(path(&[]), "1".into())),
        ("/me/contactFolders/a/contacts/1/photo/%24Value", Item::PhotoValue(path(&["a"]), "1".into())),
        ("/me/contactFolders/%24count", Item::FoldersCount(path(&[]))),
        ("/me/contactFolders/a/childFolders/$count", Item::FoldersCount(path(&["a"]))),
        ("/me/contactFolders/delta()", Item::FoldersDelta),
        ("/me/contactFolders('delta')", Item::Folder(path(&["delta"]))),
        ("/me/contacts/delta()", Item::ContactsDelta(path(&[]))),
        ("/me/contacts/microsoft.graph.Delta", Item::ContactsDelta(path(&[]))),
        ("/me/contactFolders('a')/contacts/microsoft.graph.delta()", Item::ContactsDelta(path(&["a"]))),
        ("/me/contactFolders/a/contacts/$ref", Item::ContactsRef(path(&["a"]))),
        ("/me/contactFolders/a/contacts/%24Count", Item::ContactsCount(path(&["a"]))),
        ("/me/contactfolders('a')/permanentdelete()", Item::PermanentDelete(path(&["a"]), None)),
        (
            "/me/contactFolders/a/contacts('1')/microsoft.graph.permanentDelete",
            Item::PermanentDelete(path(&["a"]), Some("1".into())),
        ),
        ("/me/contacts/1/Extensions/", Item::Extensions(path(&[]), "1".into())),
        ("/me/contactFolders/a/contacts/1/extensions", Item::Extensions(path(&["a"]), "1".into())),
        ("/me/contacts/1/extensions/org.A", Item::Extension(path(&[]), "1".into(), "org.A".into())),
        (
            "/me/contactFolders('a')/contacts('1')/extensions('Microsoft.Graph.openTypeExtension.x')",
            Item::Extension(path(&["a"]), "1".into(), "Microsoft.Graph.openTypeExtension.x".into()),
        ),
        ("/me/contacts/1/permanentDelete/", Item::PermanentDelete(path(&[]), Some("1".into()))),
        ("/me/DeletedContacts", Item::Deleted(Deleted::All)),
        ("/me/deletedContacts/%24count", Item::Deleted(Deleted::Count)),
        ("/me/deletedContacts('1')", Item::Deleted(Deleted::One("1".into()))),
        ("/me/deletedContacts/1/microsoft.graph.restore()", Item::Deleted(Deleted::Restore("1".into()))),
    ] {
        assert_eq!(Address::parse(text).unwrap().resource, owned(item), "{text}");
    }
}

#[test]
fn other_resources_are_parsed_in_every_spelling() {
    for (text, item) in [
        ("/me/outlook/masterCategories", Item::Categories),
        ("/users/me-token-to-replace/Outlook//MASTERcategories/", Item::Categories),
        ("/me/outlook/masterCategories/%24Count", Item::CategoriesCount),
        ("/me/outlook/masterCategories/A", Item::Category("A".into())),
        ("/me/outlook/mastercategories('A')", Item::Category("A".into())),
        ("/me/outlook/masterCategories('$count')", Item::Category("$count".into())),
        ("/me/contactpermissions/", Item::Permissions),
        ("/me/contactPermissions('bob@x')", Item::Permission("bob@x".into())),
        ("/me/translateexchangeids", Item::TranslateExchangeIds),
        ("/users/TokenToReplace/Microsoft.Graph.translateExchangeIds()", Item::TranslateExchangeIds),
    ] {
        assert_eq!(Address::parse(text).unwrap().resource, Resource::Owned(Owner::Me, item), "{text}");
    }
}

#[test]
fn subscriptions_have_no_owner_in_the_path() {
    for (path, resource) in [
        ("/Subscriptions/", Resource::Subscriptions),
        ("/subscriptions/1", Resource::Subscription("1".into())),
        ("/subscriptions('1')/deliveries", Resource::Deliveries("1".into())),
        ("/beta/subscriptions/1/microsoft.graph.reauthorize()", Resource::Reauthorize("1".into())),
    ] {
        assert_eq!(Address::parse(path).unwrap().resource, resource, "{path}");
    }
}

#[test]
fn unknown_segments_are_named() {
    let cases = [
        ("/docs\\api/me/contacts", "docs\\api"),
        ("/me/contact", "contact"),
        ("/me/contacts/1/2", "2"),
        ("/contacts", "contacts"),
        ("/me/contacts/$ref/x", "x"),
        ("/me/%ff", "%ff"),
        ("/me('x')", "x"),
        ("/healthz/x", "x"),
        ("/me/contacts/1/photos/48x48/$value", "photos"),
        ("/me/contacts/1/photo/48x48", "48x48"),
        ("/me/contacts/1/photo/$value/x", "x"),
        ("/users/a/b", "b"),
        ("/users/$count/b", "b"),
        ("/me/Outlook", "Outlook"),
        ("/me/outlook/", "outlook"),
        ("/me/outlook('x')", "x"),
        ("/me/outlook/contacts", "contacts"),
        ("/me/masterCategories", "masterCategories"),
        ("/me/translateExchangeIds/x", "x"),
        ("/me/graph.translateExchangeIds", "graph.translateExchangeIds"),
        ("/translateExchangeIds", "translateExchangeIds"),
        ("/me/outlook/masterCategories/1/2", "2"),
        ("/me/outlook/masterCategories/$count/2", "2"),
        ("/me/contacts/1/permanentDelete/x", "x"),
        // Extended properties have no address of their own, in Graph as well.
        ("/me/contacts/1/singleValueExtendedProperties", "singleValueExtendedProperties"),
        ("/me/contactFolders/a/multiValueExtendedProperties", "multiValueExtendedProperties"),
        ("/me/contacts/1/extensions/a/b", "b"),
        ("/me/contactFolders/a/permanentDelete/x", "x"),
        ("/me/deletedContacts/1/photo", "photo"),
        ("/me/deletedContacts/1/restore/x", "x"),
        ("/subscriptions/1/notices", "notices"),
        ("/me/subscriptions", "subscriptions"),
        ("/me/contactPermissions/bob/x", "x"),
    ];
    for (path, segment) in cases {
        assert!(matches!(Address::parse(path), Err(Error::NoSegment(s)) if s == segment), "{path}");
    }
}

proptest! {
    #[test]
    fn any_path_is_read_or_refused(path in "(/|%|'|\\(|\\)|me|users|contacts|[0-9a-f]{2}|\\PC){0,40}") {
        let _ = Address::parse(&path);
    }

    #[test]
    fn quoted_keys_are_unescaped(key in "[^\0]{1,40}") {
        let path = format!("/me/contacts('{}')", crate::percent::percent_encode(&key.replace('\'', "''")));
        prop_assert_eq!(Address::parse(&path).unwrap().resource, Resource::Owned(Owner::Me, Item::Contact(Path::new(), key)));
    }
}

use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::domain::contact::{Properties, Text};

/// What is made of some numbers, with all of its values.
fn generate(generator: &Generator, numbers: impl Iterator<Item = u64>) -> Vec<Properties> {
    numbers.map(|number| generator.contact(number).into_properties()).collect()
}

fn hash(contacts: &[Properties]) -> String {
    let said = |contact: &Properties| {
        let texts: Vec<_> = Text::ALL.into_iter().filter_map(|text| Some((text.json(), contact.text(text)?))).collect();
        let p = contact;
        let days = (&p.birthday, &p.wedding_anniversary, p.is_favorite, &p.flag);
        let lists = (&p.categories, &p.im_addresses, &p.children, &p.emails, &p.phones, &p.addresses, &p.websites);
        format!("{texts:?} {days:?} {lists:?}\n")
    };
    number(contacts.iter().map(said).collect::<Vec<_>>().concat().as_bytes())
}

/// The first digits of a digest.
fn number(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("{:016x}", digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
}

fn of(seed: u64) -> Generator {
    Generator::new(seed, MIXED).unwrap()
}

#[test]
fn the_same_numbers_make_the_same_contacts_for_ever() {
    // A change of what is made is told in CHANGELOG.md: tests of others may hold it fast.
    let photos = of(42).with_photos(1_000);
    let photos: Vec<_> = (0..10).map(|number| photos.photo(number).unwrap().1).collect();
    let some = Generator::new(7, "ja,ar").unwrap();
    let hashes = [hash(&generate(&of(42), 0..1_000)), hash(&generate(&some, 0..1_000)), number(&photos.concat())];
    assert_eq!(hashes, ["ed27e0c90d5b00f4", "0717d16ed48aa30f", "3fa9246e16ec2731"]);
}

#[test]
fn a_contact_depends_on_no_other() {
    let forward = generate(&of(1), 0..300);
    let mut backward = generate(&of(1), (0..300).rev());
    backward.reverse();
    assert_eq!(forward, backward);
    assert_ne!(generate(&of(2), 0..300), forward);
    // From any number on, however far.
    assert_eq!(generate(&of(1), 250..300), forward[250..]);
    generate(&of(u64::MAX), u64::MAX - 50..u64::MAX);
}

#[test]
fn each_language_is_made_and_no_other_is_known() {
    for pool in POOLS.iter() {
        let code = pool.words.code;
        let contacts = generate(&Generator::new(3, code).unwrap(), 0..300);
        let names = contacts.iter().filter_map(|contact| contact.text(Text::GivenName)).count();
        assert!(names > 250, "{code}");
        for list in [&pool.given[0], &pool.given[1], &pool.surnames[0], &pool.surnames[1], &pool.companies] {
            assert!(list.len() > 3 && list.iter().all(|name| !name.text.is_empty()), "{code}");
        }
        assert!(
            pool.cities.iter().all(|city| !city.name.is_empty() && !city.state.is_empty() && !city.code.is_empty()),
            "{code}"
        );
        assert!(pool.streets.iter().all(|street| street.contains('#')), "{code}");
    }
    let refused = |locale: &str| Generator::new(1, locale).err().unwrap();
    for locale in ["", "xx", "en,", "EN", "mixed,en", &"en,".repeat(200)] {
        assert!(refused(locale).starts_with("expected mixed, or some of en, de, fr"), "{locale}");
    }
}

#[test]
fn every_property_is_used_and_every_kind_of_entry() {
    let contacts = generate(&of(5), 0..20_000);
    let has = |what: &str, test: &dyn Fn(&Properties) -> bool| {
        assert!(contacts.iter().any(test), "{what}");
    };
    for text in Text::ALL {
        has(text.json(), &|contact| contact.text(text).is_some());
    }
    has("birthday", &|contact| contact.birthday.is_some());
    has("birthday without a year", &|contact| contact.birthday.as_deref().is_some_and(|day| day.starts_with("1604")));
    has("weddingAnniversary", &|contact| contact.wedding_anniversary.is_some());
    has("isFavorite", &|contact| contact.is_favorite == Some(true));
    has("flag", &|contact| contact.flag.is_some());
    has("categories", &|contact| contact.categories.len() == 2);
    has("imAddresses", &|contact| !contact.im_addresses.is_empty());
    has("children", &|contact| !contact.children.is_empty());
    for kind in
        ["home", "business", "mobile", "other", "assistant", "homeFax", "businessFax", "otherFax", "pager", "radio"]
    {
        has(kind, &|contact| contact.phones.iter().any(|phone| phone.kind.as_deref() == Some(kind)));
    }
    for kind in ["unknown", "work", "personal", "main", "other"] {
        has(kind, &|contact| contact.emails.iter().any(|email| email.kind.as_deref() == Some(kind)));
    }
    for kind in ["home", "business", "other"] {
        has(kind, &|contact| contact.addresses.iter().any(|address| address.kind.as_deref() == Some(kind)));
    }
    for kind in ["other", "home", "work", "blog", "profile"] {
        has(kind, &|contact| contact.websites.iter().any(|site| site.kind.as_deref() == Some(kind)));
    }
    has("a box", &|contact| contact.addresses.iter().any(|address| address.post_office_box.is_some()));
    has("a label", &|contact| contact.emails.iter().any(|email| email.other_label.is_some()));
    // Shares are as of real books: most have a phone, and the same landline and street are those of more than one.
    let share =
        |test: &dyn Fn(&Properties) -> bool| 100 * contacts.iter().filter(|contact| test(contact)).count() / 20_000;
    assert!((88..=97).contains(&share(&|contact| !contact.phones.is_empty())));
    assert!((45..=65).contains(&share(&|contact| !contact.emails.is_empty())));
    assert!((25..=40).contains(&share(&|contact| !contact.addresses.is_empty())));
    assert!((35..=48).contains(&share(&|contact| contact.text(Text::CompanyName).is_some())));
}

#[test]
fn scripts_are_many_and_everything_belongs_to_nobody() {
    let contacts = generate(&of(6), 0..5_000);
    let text: String = contacts.iter().filter_map(|contact| contact.text(Text::GivenName)).collect();
    for (script, range) in [
        ("Latin with marks", 'À'..='ž'),
        ("Greek", 'Α'..='ω'),
        ("Cyrillic", 'А'..='я'),
        ("Hebrew", 'א'..='ת'),
        ("Arabic", 'ء'..='ي'),
        ("Devanagari", 'अ'..='ह'),
        ("Thai", 'ก'..='ฮ'),
        ("Han", '一'..='龥'),
        ("Hangul", '가'..='힣'),
    ] {
        assert!(text.chars().any(|c| range.contains(&c)), "{script}");
    }
    for contact in &contacts {
        for address in contact.emails.iter().filter_map(|email| email.address.as_deref()) {
            let host = address.rsplit_once('@').unwrap().1.to_lowercase();
            assert!(["example.com", "example.net", "example.org"].iter().any(|end| host.ends_with(end)), "{address}");
            assert!(address.is_ascii() && !address.contains(' '), "{address}");
        }
        for phone in contact.phones.iter().filter_map(|phone| phone.number.as_deref()) {
            assert!(phone.starts_with('+') && !phone.contains('x') || phone.contains("ext"), "{phone}");
        }
    }
    let personal =
        contacts.iter().flat_map(|contact| &contact.emails).filter(|email| email.kind.as_deref() == Some("personal"));
    let personal: Vec<_> = personal.filter_map(|email| email.address.clone()).collect();
    let different: std::collections::HashSet<_> = personal.iter().collect();
    assert!(different.len() * 100 > personal.len() * 98, "addresses are unique but for contacts that are there twice");
}

#[test]
fn some_contacts_are_there_twice_unless_that_is_not_wanted() {
    let named = |generator: &Generator| {
        let contacts = generate(generator, 0..5_000);
        let addresses =
            contacts.iter().filter_map(|contact| contact.emails.last()?.address.as_ref().map(|a| a.to_lowercase()));
        let addresses: Vec<_> = addresses.filter(|address| !address.starts_with("info@")).collect();
        let different: std::collections::HashSet<_> = addresses.iter().collect();
        addresses.len() - different.len()
    };
    assert!((10..80).contains(&named(&of(8))));
    assert_eq!(named(&of(8).without_duplicates()), 0);
}

#[test]
fn photos_are_pictures_and_different() {
    let generator = of(9).with_photos(100);
    let photos: Vec<_> = (0..1_000).filter_map(|number| generator.photo(number)).collect();
    assert!((70..=130).contains(&photos.len()), "{}", photos.len());
    assert!(photos.iter().all(|(picture, bytes)| picture.width == 40 && (4_000..6_000).contains(&bytes.len())));
    assert_ne!(photos[0].1, photos[1].1);
    for (_, bytes) in &photos {
        let mut pixels = Vec::new();
        // The sums are checked on the way.
        flate2::read::ZlibDecoder::new(&bytes[41..bytes.len() - 16]).read_to_end(&mut pixels).unwrap();
        assert_eq!(pixels.len(), 40 * 121);
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[37..bytes.len() - 16]);
        assert_eq!(sum.sum().to_be_bytes(), bytes[bytes.len() - 16..bytes.len() - 12]);
    }
    assert!(of(9).photo(0).is_none());
}

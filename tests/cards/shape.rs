//! A contact in the shape of the corpus: the properties that have a value, by their names in JSON.

use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::contact::{Complex, DateTimeTimeZone, Properties, Text};
use serde_json::{Map, Value, json};

fn entry<T: Complex>(entry: &T) -> Value {
    let members = T::MEMBERS.iter().enumerate();
    let members =
        members.filter_map(|(i, member)| Some((member.json, entry.member(i).filter(|text| !text.is_empty())?)));
    Value::Object(members.map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

fn entries<T: Complex>(list: &[T]) -> Value {
    list.iter().map(entry).collect()
}

/// The properties without those that have no value.
pub(crate) fn properties(properties: &Properties) -> Value {
    let mut map = Map::new();
    for text in Text::ALL {
        map.insert(text.json().to_owned(), json!(properties.text(text)));
    }
    map.insert("birthday".to_owned(), json!(properties.birthday));
    map.insert("weddingAnniversary".to_owned(), json!(properties.wedding_anniversary));
    map.insert("isFavorite".to_owned(), json!(properties.is_favorite));
    map.insert("categories".to_owned(), json!(properties.categories));
    map.insert("imAddresses".to_owned(), json!(properties.im_addresses));
    map.insert("children".to_owned(), json!(properties.children));
    map.insert("emailAddresses".to_owned(), entries(&properties.emails));
    map.insert("phones".to_owned(), entries(&properties.phones));
    map.insert("postalAddresses".to_owned(), entries(&properties.addresses));
    map.insert("websites".to_owned(), entries(&properties.websites));
    if let Some(flag) = &properties.flag {
        let time = |time: &DateTimeTimeZone| entry(time);
        let (completed, due, start) = (time(&flag.completed), time(&flag.due), time(&flag.start));
        let flag = json!({"flagStatus": flag.status, "completedDateTime": completed, "dueDateTime": due, "startDateTime": start});
        map.insert("flag".to_owned(), flag);
    }
    map.retain(|_, value| !(value.is_null() || *value == json!("") || *value == json!([])));
    Value::Object(map)
}

/// The contact that a patch makes.
pub(crate) fn created(patch: ContactPatch) -> Value {
    properties(&patch.into_properties())
}

//! The columns and tables of properties.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::contact;
use crate::domain::query::typed::{EntryList, EntryTable, ExtendedOf, Id, Property, UserText};
use crate::store::db::statement::Sql;
use crate::store::query::filter::{VARIABLES, binary};
use crate::store::tables::{columns, folded};

/// The pattern of a GUID in folded text.
const GUID: (&str, &str) = (
    " glob '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-\
[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-\
[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'",
    " ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'",
);

/// A text property, folded.
pub(super) fn property_of(property: Property) -> Sql {
    match property {
        Property::Name => Sql::new("c.display_name_key"),
        Property::Text(text) if let Some(key) = columns::key_of(text) => Sql::new("c.").text(key),
        Property::Text(text) => {
            let folded = fold_of(
                property,
                &Sql::new("c.").text(columns::of_text(text).name),
                "c.mailbox",
                "c.id",
                Sql::new("0"),
            );
            if text.unset().is_some() { Sql::new("coalesce(").then(folded).text(", '')") } else { folded }
        }
        // Members are stored in their exact spelling. A member with a capital letter would need a folded key.
        Property::Color => Sql::new("c.color"),
        // Names of users have ASCII letters only (`UserName`), which lower() folds.
        Property::User(UserText::DisplayName) => Sql::new("lower(c.display_name").per_engine(")", " collate \"C\")"),
        Property::User(UserText::UserPrincipalName) => Sql::new("c.user_principal_name_key"),
        Property::User(UserText::Mail) => Sql::new("lower(c.mail").per_engine(")", " collate \"C\")"),
        Property::FlagStatus => {
            let status = flag(property, "flag_status");
            Sql::new(
                "case when exists (select 1 from flags f where f.mailbox = c.mailbox and f.contact_id = c.id) then ",
            )
            .then(status)
            .text(" else 'notflagged' end")
            .parenthesized()
        }
        Property::FlagTime(i) => {
            let columns = [
                "completed_date_time",
                "completed_time_zone",
                "due_date_time",
                "due_time_zone",
                "start_date_time",
                "start_time_zone",
            ];
            flag(property, columns.get(i).copied().unwrap_or_default())
        }
        Property::Entry(list, nth, member) => {
            let nth = i64::try_from(nth).unwrap_or_default();
            let member = entry(Property::Variable(0, list.table, member), "x");
            Sql::new("(select ")
                .then(member)
                .text(" from ")
                .then(rows_of(list, "x"))
                .text(" order by x.pos limit 1 offset ")
                .value(nth)
                .text(")")
        }
        Property::Variable(depth, ..) => entry(property, variable(depth)),
        Property::Item(depth, table, member) => {
            let item = property_of(Property::Variable(depth, table, member));
            Sql::new("coalesce(").then(item).text(", '')")
        }
    }
}

pub(super) fn is_id(id: Id, value: Option<&str>) -> Sql {
    let Some(value) = value else {
        return Sql::new(if id == Id::FolderParent { "(c.parent_folder_id is null)" } else { "false" });
    };
    match id {
        Id::Entry(depth, table) => {
            let column = if table == EntryTable::Extensions { ".name" } else { ".id_key" };
            binary(Sql::new(variable(depth)).text(column), " = ", Sql::of(value.to_owned()))
        }
        Id::Contact | Id::Category => match contact::parse_id(value) {
            Some(id) => binary(Sql::new("c.id"), " = ", Sql::of(id)),
            None => Sql::new("false"),
        },
        Id::ChangeKey => {
            // A change key that no client sent is the version token, which is made of these columns.
            let version = match STANDARD.decode(value).ok().as_deref().and_then(<[u8]>::split_first_chunk::<8>) {
                Some((time, number)) if let Ok(number) = <[u8; 8]>::try_from(number) => {
                    let time = binary(Sql::new("c.last_modified_date_time"), " = ", Sql::of(i64::from_be_bytes(*time)));
                    binary(time, " and ", binary(Sql::new("c.version"), " = ", Sql::of(i64::from_be_bytes(number))))
                }
                _ => Sql::new("false"),
            };
            let sent = Sql::new(" else c.change_key = ").value(value.to_owned());
            Sql::new("case when c.change_key is null then ").then(version).then(sent).text(" end").parenthesized()
        }
        Id::ParentFolder => binary(Sql::new("c.parent_folder_id"), " = ", Sql::of(value.to_owned())),
        Id::Folder | Id::User => binary(Sql::new("c.id"), " = ", Sql::of(value.to_owned())),
        Id::FolderParent => binary(Sql::new("c.parent_folder_id"), " is not distinct from ", Sql::of(value.to_owned())),
    }
}

/// The text of an id for sorting.
pub(in crate::store) fn id_text(id: Id) -> Sql {
    match id {
        Id::Contact | Id::Category => {
            Sql::default().per_engine("lower(hex(c.id))", "replace(cast(c.id as text), '-', '') collate \"C\"")
        }
        Id::ParentFolder | Id::FolderParent => Sql::new("c.parent_folder_id"),
        // `Entry` is never a sort key, because an order has no range variable.
        Id::Folder | Id::User | Id::ChangeKey | Id::Entry(..) => Sql::new("c.id"),
    }
}

/// `table x where …`: the entries of a list.
pub(super) fn rows_of(list: EntryList, name: &'static str) -> Sql {
    let rows = Sql::new(table(list.table)).text(" ").text(name).text(" where ").text(name).text(".mailbox = ");
    let owner = owner(list.table);
    let Some(depth) = list.within else {
        let rows = rows.text("c.mailbox and ").text(name).text(owner).text(" = c.id");
        return rows.then(of_type(list, name));
    };
    let outer = variable(depth);
    let rows = rows.text(outer).text(".mailbox and ").text(name).text(owner).text(" = ").text(outer).text(owner);
    rows.text(" and ").text(name).text(".pos = ").text(outer).text(".pos")
}

/// The column with the owner of an entry.
pub(super) fn owner(table: EntryTable) -> &'static str {
    match table {
        EntryTable::SingleValues(ExtendedOf::Folder)
        | EntryTable::Multi(ExtendedOf::Folder)
        | EntryTable::MultiValues(ExtendedOf::Folder) => ".folder_id",
        _ => ".contact_id",
    }
}

/// A column of a range variable's value.
pub(super) fn value(depth: usize, column: &'static str) -> Sql {
    Sql::new(variable(depth)).text(column)
}

/// A range variable's value, if it is a GUID.
pub(super) fn guid(depth: usize) -> Sql {
    let value = || value(depth, ".value_key");
    Sql::new("(case when ").then(value()).per_engine(GUID.0, GUID.1).text(" then ").then(value()).text(" end)")
}

fn variable(depth: usize) -> &'static str {
    VARIABLES.get(depth).copied().unwrap_or_default()
}

pub(super) fn of_type(list: EntryList, variable: &'static str) -> Sql {
    match list.of_type {
        Some(of_type) => Sql::new(" and ").text(variable).text(".type = ").value(of_type.to_owned()),
        None => Sql::default(),
    }
}

/// A member of the entry that `variable` names.
fn entry(property: Property, variable: &'static str) -> Sql {
    let Property::Variable(_, table, member) = property else { return Sql::default() };
    let columns: &[&str] = match table {
        EntryTable::Emails => &[".name", ".address_key", ".type", ".other_label"],
        EntryTable::Phones => &[".type", ".number", ".number_key"],
        EntryTable::Addresses => {
            &[".type", ".post_office_box", ".street", ".city", ".state", ".country_or_region", ".postal_code"]
        }
        EntryTable::Websites => &[".type", ".address", ".display_name"],
        EntryTable::Categories => &[".name_key"],
        EntryTable::ImAddresses => &[".address"],
        EntryTable::Children => &[".name"],
        EntryTable::SingleValues(_) | EntryTable::MultiValues(_) => &[".value_key"],
        // These have ids only.
        EntryTable::Extensions | EntryTable::Multi(_) => &[],
    };
    let column = Sql::new(variable).text(columns.get(member).copied().unwrap_or_default());
    if folded::name(property).is_none() {
        return column;
    }
    let (mailbox, contact) = match variable {
        "x1" => ("x1.mailbox", "x1.contact_id"),
        "x2" => ("x2.mailbox", "x2.contact_id"),
        "x3" => ("x3.mailbox", "x3.contact_id"),
        "x4" => ("x4.mailbox", "x4.contact_id"),
        _ => ("x.mailbox", "x.contact_id"),
    };
    fold_of(property, &column, mailbox, contact, Sql::new(variable).text(".pos"))
}

fn flag(property: Property, column: &'static str) -> Sql {
    let folded = fold_of(property, &Sql::new("f.").text(column), "f.mailbox", "f.contact_id", Sql::new("0"));
    Sql::new("(select ").then(folded).text(" from flags f where f.mailbox = c.mailbox and f.contact_id = c.id)")
}

/// The folded form of a column without a key of its own. A text with as many bytes as characters is ASCII.
fn fold_of(property: Property, column: &Sql, mailbox: &'static str, contact: &'static str, entry: Sql) -> Sql {
    let lower = || Sql::new("lower(").then(column.clone()).per_engine(")", " collate \"C\")");
    let name = folded::name(property).unwrap_or_default();
    let stored_key =
        Sql::new("(select k.key from folded k where k.mailbox = ").text(mailbox).text(" and k.contact_id = ");
    let stored_key =
        stored_key.text(contact).text(" and k.property = ").value(name).text(" and k.entry = ").then(entry).text(")");
    let ascii = Sql::new("case when octet_length(").then(column.clone()).text(") = length(").then(column.clone());
    let folded = ascii.text(") then ").then(lower()).text(" else coalesce(").then(stored_key).text(", ").then(lower());
    folded.text(") end").parenthesized()
}

/// The name of a table.
pub(in crate::store) fn table(table: EntryTable) -> &'static str {
    match table {
        EntryTable::Emails => "emails",
        EntryTable::Phones => "phones",
        EntryTable::Addresses => "addresses",
        EntryTable::Websites => "websites",
        EntryTable::Categories => "categories",
        EntryTable::ImAddresses => "im_addresses",
        EntryTable::Children => "children",
        EntryTable::Extensions => "extensions",
        EntryTable::SingleValues(ExtendedOf::Contact) => "single_values",
        EntryTable::SingleValues(ExtendedOf::Folder) => "folder_single_values",
        EntryTable::Multi(ExtendedOf::Contact) => "multi_value_properties",
        EntryTable::Multi(ExtendedOf::Folder) => "folder_multi_value_properties",
        EntryTable::MultiValues(ExtendedOf::Contact) => "multi_values",
        EntryTable::MultiValues(ExtendedOf::Folder) => "folder_multi_values",
    }
}

//! Sort keys of contacts and folders: as SQL, as values, and as what a token keeps of them.

use sha2::{Digest as _, Sha256};

use crate::domain::error::{Error, Kind};
use crate::domain::query::cursor::KeyValue;
use crate::domain::query::typed::{Key, Order};
use crate::store::db::engine::Row;
use crate::store::db::statement::Sql;
use crate::store::query::filter;

/// How many rows a cursor names where its keys are cut.
pub(in crate::store) const MAX_ANCHORS: usize = 4;

/// The sort key of a row `c`.
pub(in crate::store) fn key(mailbox: i64, order: &Order) -> Sql {
    match &order.key {
        Key::Text(text) => filter::text(mailbox, text).per_engine("", " collate \"C\""),
        Key::Number(number) => filter::number(mailbox, number),
        Key::Condition(condition) => filter::truth(mailbox, condition),
        Key::Id(id) => filter::id_text(*id),
    }
}

/// Whether a key is a text.
pub(in crate::store) fn is_text(order: &Order) -> bool {
    matches!(order.key, Key::Text(_) | Key::Id(_))
}

/// The keys of a row, from a column on.
pub(in crate::store) fn values(order: &[Order], row: &Row, from: usize) -> Result<Vec<KeyValue>, Error> {
    let of_column = |(i, order): (usize, &Order)| {
        Ok(match &order.key {
            Key::Text(_) | Key::Id(_) => row.get::<Option<String>>(from + i)?.map_or(KeyValue::Null, KeyValue::Text),
            Key::Number(_) => row.get::<Option<i64>>(from + i)?.map_or(KeyValue::Null, KeyValue::Number),
            Key::Condition(_) => {
                let truth = row.get::<Option<i32>>(from + i)?;
                truth.map_or(KeyValue::Null, |truth| KeyValue::Number(truth.into()))
            }
        })
    };
    order.iter().enumerate().map(of_column).collect()
}

/// Whether values can be of these keys.
pub(in crate::store) fn fits(order: &[Order], values: &[KeyValue]) -> bool {
    let fits = |(order, value): (&Order, &KeyValue)| match value {
        KeyValue::Null => true,
        KeyValue::Number(_) => !is_text(order),
        KeyValue::Text(_) | KeyValue::Cut(_) => is_text(order),
    };
    order.len() == values.len() && order.iter().zip(values).all(fits)
}

/// What a cursor is refused with whose values do not fit.
pub(in crate::store) fn of_another_order() -> Error {
    Error::invalid(Kind::Query, "$skiptoken", "The token is of another order. Follow nextLinks as they are.")
}

/// A value of no more than so many bytes.
pub(in crate::store) fn cut(value: KeyValue, bytes: usize) -> KeyValue {
    match value {
        KeyValue::Text(text) if text.len() > bytes => {
            KeyValue::Cut(text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned())
        }
        value => value,
    }
}

/// Whether some value is not whole.
pub(in crate::store) fn is_cut(keys: &[KeyValue]) -> bool {
    keys.iter().any(|key| matches!(key, KeyValue::Cut(_)))
}

/// By which keys that are too long for a token are known again.
pub(in crate::store) fn hash(keys: &[KeyValue]) -> u64 {
    let mut hash = Sha256::new();
    for key in keys {
        match key {
            KeyValue::Null => hash.update([0]),
            KeyValue::Number(number) => {
                hash.update([1]);
                hash.update(number.to_be_bytes());
            }
            KeyValue::Text(text) | KeyValue::Cut(text) => {
                hash.update([2]);
                hash.update(text.len().to_be_bytes());
                hash.update(text.as_bytes());
            }
        }
    }
    hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

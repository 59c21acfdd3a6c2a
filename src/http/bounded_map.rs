//! A map of bounded size that drops the entries that were not used for longest.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key, in two generations. When the young one has half of the capacity, the old one is dropped and the young
/// one becomes the old one. A lookup moves an entry to the young one. So removing entries needs no search.
pub(crate) struct BoundedMap<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    max: usize,
}

impl<K: Eq + Hash, V: Default> BoundedMap<K, V> {
    /// An empty map of this capacity. Entries that must be kept do not count towards it.
    pub(crate) fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), max }
    }

    /// The value of a key, a new one if there is none. Entries for which `is_kept` is true are not dropped.
    pub(crate) fn entry(&mut self, key: K, is_kept: impl Fn(&V) -> bool) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= self.max / 2 {
            let young = std::mem::take(&mut self.young);
            let old = std::mem::replace(&mut self.old, young);
            self.young.extend(old.into_iter().filter(|(_, value)| is_kept(value)));
        }
        let known = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| known.unwrap_or_default())
    }

    /// Removes a key.
    pub(crate) fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// The value of a key, if there is one.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_and_kept_entries_stay_and_others_are_dropped() {
        let mut map: BoundedMap<u32, u32> = BoundedMap::new(100);
        *map.entry(0, |value| *value == 7) = 7;
        *map.entry(1, |value| *value == 7) = 1;
        for number in 2..10_000 {
            *map.entry(number, |value| *value == 7) += 2;
            // This entry is used regularly.
            if number % 40 == 0 {
                assert_eq!(*map.entry(1, |value| *value == 7), 1);
            }
            assert!(map.len() <= 101);
        }
        // This entry must be kept, although it was not used since.
        assert_eq!(map.get_mut(&0), Some(&mut 7));
        assert_eq!(map.get_mut(&2), None);
    }
}

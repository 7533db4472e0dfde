//! Puts lists in order, with one copy of the code for all of them.
//!
//! The standard library's sorts are compiled anew for each type and comparison, 4 kB each, and so is what sorts what a
//! `BTreeMap` or a `BTreeSet` is collected from. A sort here is of places, by a comparison that is called through a
//! pointer; what is made anew for a type is that comparison, and moving the items to their places.
//!
//! Every sort keeps the order of what compares equal.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Sorts a list by its items' own order.
pub fn ascending<T: Ord>(list: &mut [T]) {
    by(list, T::cmp);
}

/// Sorts a list, and keeps one of what is equal.
pub fn unique<T: Ord>(list: &mut Vec<T>) {
    ascending(list);
    list.dedup();
}

/// Sorts a list by a comparison.
pub fn by<T>(list: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let order = order(list.len(), &mut |a, b| compare(&list[a], &list[b]));
    arrange(list, order);
}

/// Sorts a list by what `key` says of its items, which is asked twice for each comparison.
pub fn by_key<T, K: Ord>(list: &mut [T], mut key: impl FnMut(&T) -> K) {
    by(list, |a, b| key(a).cmp(&key(b)));
}

/// As [`by_key`], for keys that cost something: each is made once.
pub fn by_cached_key<T, K: Ord>(list: &mut [T], key: impl FnMut(&T) -> K) {
    let keys: Vec<K> = list.iter().map(key).collect();
    let order = order(list.len(), &mut |a, b| keys[a].cmp(&keys[b]));
    arrange(list, order);
}

/// A map of pairs, of which the later ones of one key count.
pub fn map<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    // One by one: nothing is sorted.
    map.extend(pairs);
    map
}

/// A set of items.
pub fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}

/// Which of `count` items belongs at each place: of (c, a, b) it is `[1, 2, 0]`.
fn order(count: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}

/// Moves each item to its place, going from place to place until one is reached that was left empty.
fn arrange<T>(list: &mut [T], mut order: Vec<usize>) {
    for start in 0..order.len() {
        let mut place = start;
        loop {
            let from = std::mem::replace(&mut order[place], place);
            if from == start {
                break;
            }
            list.swap(place, from);
            place = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_is_sorted_by_what_is_asked_for() {
        let mut names = ["nextcloud", "Gitea", "media", "gitea"].map(str::to_owned);
        ascending(&mut names);
        assert_eq!(names, ["Gitea", "gitea", "media", "nextcloud"]);
        by_key(&mut names, |name| Reverse(name.len()));
        assert_eq!(names, ["nextcloud", "Gitea", "gitea", "media"]);
        by_cached_key(&mut names, |name| name.to_lowercase());
        assert_eq!(names, ["Gitea", "gitea", "media", "nextcloud"]);
        by(&mut names, |a, b| b.cmp(a));
        assert_eq!(names, ["nextcloud", "media", "gitea", "Gitea"]);
    }

    #[test]
    fn what_is_equal_is_kept_once() {
        let mut hours = vec![22, 7, 22, 7, 13];
        unique(&mut hours);
        assert_eq!(hours, [7, 13, 22]);
        unique(&mut Vec::<u8>::new());
    }

    #[test]
    fn the_later_of_two_pairs_counts() {
        let map = map([("b", 1), ("a", 2), ("b", 3)]);
        assert_eq!(map.into_iter().collect::<Vec<_>>(), [("a", 2), ("b", 3)]);
        assert_eq!(set([2, 1, 2]).into_iter().collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_standard_library(keys in prop::collection::vec(0_u8..20, 0..300)) {
            let items: Vec<(u8, usize)> = keys.into_iter().zip(0..).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            let mut found = items.clone();
            by_key(&mut found, |(key, _)| *key);
            prop_assert_eq!(&found, &expected);
            let mut found = items.clone();
            by_cached_key(&mut found, |(key, _)| key.to_string().len());
            let mut expected = items;
            expected.sort_by_cached_key(|(key, _)| key.to_string().len());
            prop_assert_eq!(found, expected);
        }
    }
}

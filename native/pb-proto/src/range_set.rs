//! Sets of packet numbers as sorted, disjoint, non-touching ranges. Cheap where packets mostly arrive in order.

use std::collections::VecDeque;

/// A set of numbers. Ranges are (lowest, highest), both inclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: VecDeque<(u64, u64)>,
}

impl RangeSet {
    pub fn new() -> RangeSet {
        RangeSet::default()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The largest number of the set.
    pub fn max(&self) -> Option<u64> {
        self.ranges.back().map(|r| r.1)
    }

    /// Ranges from the largest to the smallest.
    pub fn newest_first(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().rev().copied()
    }

    pub fn contains(&self, n: u64) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < n);
        self.ranges.get(at).is_some_and(|r| r.0 <= n)
    }

    /// Adds one number. Constant time when it follows the largest.
    pub fn insert(&mut self, n: u64) {
        match self.ranges.back_mut() {
            Some(last) if n == last.1 + 1 => last.1 = n,
            Some(last) if n > last.1 + 1 => self.ranges.push_back((n, n)),
            None => self.ranges.push_back((n, n)),
            Some(_) => self.insert_range(n, n, |_, _| {}),
        }
    }

    /// Adds `low..=high` and calls `added` once for each maximal part that was not in the set before, lowest first.
    pub fn insert_range(&mut self, low: u64, high: u64, mut added: impl FnMut(u64, u64)) {
        let first = self.ranges.partition_point(|r| r.1.saturating_add(1) < low);
        let mut last = first;
        let (mut start, mut end, mut next) = (low, high, low);
        while let Some(&(s, e)) = self
            .ranges
            .get(last)
            .filter(|r| r.0 <= high.saturating_add(1))
        {
            if s > next {
                added(next, s - 1);
            }
            next = next.max(e.saturating_add(1));
            start = start.min(s);
            end = end.max(e);
            last += 1;
        }
        if next <= high {
            added(next, high);
        }
        self.replace(first, last, (start, end));
    }

    fn replace(&mut self, first: usize, last: usize, range: (u64, u64)) {
        if last == first {
            self.ranges.insert(first, range);
            return;
        }
        self.ranges[first] = range;
        if last > first + 1 {
            self.ranges.drain(first + 1..last);
        }
    }

    /// Forgets every number below `n`.
    pub fn remove_below(&mut self, n: u64) {
        while let Some(first) = self.ranges.front_mut() {
            if first.1 < n {
                self.ranges.pop_front();
                continue;
            }
            first.0 = first.0.max(n);
            return;
        }
    }

    /// Keeps only the `count` newest ranges.
    pub fn keep_newest(&mut self, count: usize) {
        let excess = self.ranges.len().saturating_sub(count);
        self.ranges.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn members(set: &RangeSet) -> BTreeSet<u64> {
        set.newest_first().flat_map(|(a, b)| a..=b).collect()
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(ops in prop::collection::vec((0u64..60, 0u64..8), 0..60), below in 0u64..60) {
            let (mut set, mut model) = (RangeSet::new(), BTreeSet::new());
            for (low, len) in ops {
                let (mut new, high) = (BTreeSet::new(), low + len);
                if len == 0 {
                    set.insert(low);
                    model.insert(low);
                    continue;
                }
                set.insert_range(low, high, |a, b| new.extend(a..=b));
                prop_assert_eq!(new, (low..=high).filter(|n| !model.contains(n)).collect());
                model.extend(low..=high);
                prop_assert_eq!(&members(&set), &model);
            }
            let ranges: Vec<_> = set.newest_first().collect();
            prop_assert!(ranges.windows(2).all(|w| w[1].1 + 1 < w[0].0), "touching: {ranges:?}");
            prop_assert!((0..70).all(|n| set.contains(n) == model.contains(&n)));
            set.remove_below(below);
            model.retain(|&n| n >= below);
            prop_assert_eq!(members(&set), model);
        }
    }

    #[test]
    fn keeps_the_newest() {
        let mut set = RangeSet::new();
        (0..10).for_each(|n| set.insert(n * 2));
        set.keep_newest(3);
        assert_eq!(
            set.newest_first().collect::<Vec<_>>(),
            [(18, 18), (16, 16), (14, 14)]
        );
    }
}

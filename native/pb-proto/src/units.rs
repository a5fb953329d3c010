//! Units: what crosses a session. See `docs/design/0001-units-lanes-sessions.md`.

/// Largest unit: 1 MiB of data and 64 KiB of everything else.
pub const MAX_UNIT: u32 = (1 << 20) + (64 << 10);

/// Which bytes of a unit are there. Holds ranges, no bytes.
#[derive(Debug, Clone)]
pub struct Assembly {
    len: u32,
    /// Sorted, disjoint, not touching: (start, end).
    ranges: Vec<(u32, u32)>,
}

impl Assembly {
    /// Nothing of `len` bytes is there.
    pub fn new(len: u32) -> Assembly {
        Assembly {
            len,
            ranges: Vec::new(),
        }
    }

    /// Length of the unit, bytes.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// True when nothing has arrived.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// True when no byte of the range is there yet and it lies inside: only then may it be opened into place.
    pub fn is_free(&self, offset: u32, len: u32) -> bool {
        let Some(end) = offset.checked_add(len).filter(|&e| e <= self.len) else {
            return false;
        };
        let next = self.ranges.partition_point(|r| r.1 <= offset);
        self.ranges.get(next).is_none_or(|r| r.0 >= end)
    }

    /// True when every byte of the range is there: a duplicate, to be acknowledged and not opened into place.
    pub fn has(&self, offset: u32, len: u32) -> bool {
        let Some(end) = offset.checked_add(len) else {
            return false;
        };
        let at = self.ranges.partition_point(|r| r.1 < end);
        self.ranges
            .get(at)
            .is_some_and(|r| r.0 <= offset && r.1 >= end)
    }

    /// The first run of missing bytes in `start..end`, as (start, end).
    pub fn first_gap(&self, start: u32, end: u32) -> Option<(u32, u32)> {
        let end = end.min(self.len);
        let mut at = self.ranges.partition_point(|r| r.1 <= start);
        let mut from = start;
        if let Some(range) = self.ranges.get(at).filter(|r| r.0 <= from) {
            from = range.1;
            at += 1;
        }
        let to = self.ranges.get(at).map_or(end, |r| r.0.min(end));
        (from < to).then_some((from, to))
    }

    /// Marks a range as there, as far as it lies inside. Overlaps are merged. Constant time for what follows the
    /// range that begins last, so a unit that arrives in order costs nothing.
    pub fn insert(&mut self, offset: u32, len: u32) {
        let (mut start, mut end) = (offset, offset.saturating_add(len).min(self.len));
        if start >= end {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if start >= last.0 && start <= last.1 => {
                last.1 = last.1.max(end);
                return;
            }
            Some(last) if start < last.0 => {}
            _ => {
                self.ranges.push((start, end));
                return;
            }
        }
        let first = self.ranges.partition_point(|r| r.1 < start);
        let mut last = first;
        while let Some(r) = self.ranges.get(last).filter(|r| r.0 <= end) {
            start = start.min(r.0);
            end = end.max(r.1);
            last += 1;
        }
        self.ranges.splice(first..last, [(start, end)]);
    }

    /// True when all of the unit is there.
    pub fn is_complete(&self) -> bool {
        self.ranges.first() == Some(&(0, self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fills_in_any_order() {
        let mut a = Assembly::new(100);
        a.insert(50, 50);
        assert!(a.is_free(0, 50) && !a.is_free(0, 51) && a.has(60, 40));
        a.insert(0, 20);
        a.insert(30, 20);
        assert!(!a.is_complete() && a.is_free(20, 10) && !a.has(10, 20));
        a.insert(20, 10);
        assert!(a.is_complete());
    }

    #[test]
    fn ranges_outside_are_never_free() {
        let mut a = Assembly::new(10);
        assert!(!a.is_free(5, 6) && !a.is_free(u32::MAX, 2) && !a.has(u32::MAX, 2));
        a.insert(20, 5);
        a.insert(u32::MAX, u32::MAX);
        a.insert(3, 0);
        assert!(a.is_empty() && a.is_free(0, 10));
    }

    proptest! {
        #[test]
        fn behaves_like_a_bitmap(
            inserts in prop::collection::vec((0u32..70, 0u32..12), 0..40),
            asked in (0u32..70, 1u32..12),
        ) {
            let (mut assembly, mut bits) = (Assembly::new(64), [false; 64]);
            for (offset, len) in inserts {
                assembly.insert(offset, len);
                bits.iter_mut().skip(offset as usize).take(len as usize).for_each(|b| *b = true);
                prop_assert_eq!(assembly.is_complete(), bits.iter().all(|&b| b));
            }
            let (offset, len) = asked;
            let end = offset + len;
            let inside = end <= 64;
            let range = || (offset..end.min(64)).map(|at| bits[at as usize]);
            prop_assert_eq!(assembly.is_free(offset, len), inside && range().all(|b| !b));
            prop_assert_eq!(assembly.has(offset, len), inside && range().all(|b| b));
            let gap = (offset..end.min(64)).find(|&at| !bits[at as usize]).map(|from| {
                (from, (from..end.min(64)).find(|&at| bits[at as usize]).unwrap_or(end.min(64)))
            });
            prop_assert_eq!(assembly.first_gap(offset, end), gap);
        }
    }
}

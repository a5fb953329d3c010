//! Units: what crosses a session. See `docs/design/0001-units-lanes-sessions.md`.

/// Largest unit: 1 MiB of data and 64 KiB of everything else.
pub const MAX_UNIT: u32 = (1 << 20) + (64 << 10);

/// Which bytes of an arriving unit are there. Holds ranges, no bytes.
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

    /// Marks a range as there. Overlaps are merged.
    pub fn insert(&mut self, offset: u32, len: u32) {
        let (mut start, mut end) = (offset, offset.saturating_add(len).min(self.len));
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
        let a = Assembly::new(10);
        assert!(!a.is_free(5, 6) && !a.is_free(u32::MAX, 2) && !a.has(u32::MAX, 2));
    }
}

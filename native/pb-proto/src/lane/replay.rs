//! The replay window: which packet numbers of the peer were taken already.

/// Numbers below the largest that are still told apart: 50 ms at a million packets a second.
pub const REPLAY_WINDOW: u64 = 1 << 16;
const WORDS: usize = (REPLAY_WINDOW / 64) as usize;

/// A ring of bits, one for each of the newest [`REPLAY_WINDOW`] packet numbers.
#[derive(Debug, Clone)]
pub struct ReplayWindow {
    bits: Box<[u64]>,
    /// The largest number taken, plus one.
    next: u64,
}

impl ReplayWindow {
    pub fn new() -> ReplayWindow {
        ReplayWindow {
            bits: vec![0; WORDS].into_boxed_slice(),
            next: 0,
        }
    }

    /// The largest number taken.
    pub fn largest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// False for numbers taken before and for those too old to tell.
    pub fn would_accept(&self, n: u64) -> bool {
        if n >= self.next {
            return n < crate::wire::varint::MAX;
        }
        self.next - n <= REPLAY_WINDOW && self.bits[word(n)] & bit(n) == 0
    }

    /// Marks an acceptable number as taken.
    pub fn insert(&mut self, n: u64) {
        if n >= self.next {
            self.clear(self.next, n);
            self.next = n + 1;
        }
        self.bits[word(n)] |= bit(n);
    }

    /// Clears the bits of `from..=to`.
    fn clear(&mut self, from: u64, to: u64) {
        if to - from >= REPLAY_WINDOW {
            self.bits.fill(0);
            return;
        }
        let mut n = from;
        while n <= to {
            if n.is_multiple_of(64) && n + 63 <= to {
                self.bits[word(n)] = 0;
                n += 64;
            } else {
                self.bits[word(n)] &= !bit(n);
                n += 1;
            }
        }
    }
}

fn word(n: u64) -> usize {
    (n / 64) as usize % WORDS
}

fn bit(n: u64) -> u64 {
    1 << (n % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replays_are_dropped_now_and_later() {
        let mut window = ReplayWindow::new();
        for n in [0, 5, 3, 64, 63, 70_000, 69_999] {
            assert!(window.would_accept(n), "{n}");
            window.insert(n);
            assert!(!window.would_accept(n), "{n}");
        }
        assert!(
            !window.would_accept(70_000 - REPLAY_WINDOW),
            "older than the window"
        );
        assert!(
            window.would_accept(70_001 - REPLAY_WINDOW),
            "the oldest number inside"
        );
        window.insert(70_000 + 10 * REPLAY_WINDOW);
        assert!(!window.would_accept(70_000));
        assert!(!window.would_accept(u64::MAX));
    }

    #[test]
    fn matches_a_set_over_a_long_run() {
        let mut rng = crate::rng::Rng::new(1);
        let (mut window, mut seen, mut top) =
            (ReplayWindow::new(), std::collections::HashSet::new(), 0u64);
        for _ in 0..50_000 {
            let n = (top + rng.below(300))
                .saturating_sub(rng.below(2 * REPLAY_WINDOW / 3) * rng.below(2));
            let fresh = !seen.contains(&n) && (n >= top || top - n < REPLAY_WINDOW);
            assert_eq!(window.would_accept(n), fresh, "{n} with {top}");
            if fresh {
                window.insert(n);
                seen.insert(n);
                top = top.max(n);
            }
        }
    }
}

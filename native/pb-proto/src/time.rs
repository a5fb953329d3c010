//! Time as the core sees it: nanoseconds on a monotonic clock whose zero is the caller's business.

/// A point in time, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

/// A span of time, nanoseconds.
pub type Nanos = u64;

/// One millisecond.
pub const MS: Nanos = 1_000_000;
/// One microsecond.
pub const US: Nanos = 1_000;
/// One second.
pub const SECOND: Nanos = 1_000_000_000;

impl Instant {
    /// The time `n` nanoseconds later, saturating.
    pub fn after(self, n: Nanos) -> Instant {
        Instant(self.0.saturating_add(n))
    }
    /// Nanoseconds since `earlier`, 0 when it is later.
    pub fn since(self, earlier: Instant) -> Nanos {
        self.0.saturating_sub(earlier.0)
    }
}

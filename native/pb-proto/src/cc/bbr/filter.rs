//! Windowed maxima.

/// Maximum over this probing cycle and the one before (MaxBwFilterLen = 2).
#[derive(Debug, Clone, Copy, Default)]
pub struct CycleMax {
    before: u64,
    now: u64,
}

impl CycleMax {
    pub fn update(&mut self, value: u64) {
        self.now = self.now.max(value);
    }

    /// A probing cycle is over. One without samples does not push out what is known.
    pub fn advance(&mut self) {
        if self.now > 0 {
            self.before = std::mem::take(&mut self.now);
        }
    }

    pub fn get(&self) -> u64 {
        self.before.max(self.now)
    }
}

/// Maximum over the last 5 to 10 rounds (ExtraAckedFilterLen = 10).
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundMax {
    before: u64,
    now: u64,
    since: u64,
}

impl RoundMax {
    const HALF: u64 = 5;

    pub fn update(&mut self, round: u64, value: u64) {
        if round - self.since >= Self::HALF {
            self.before = std::mem::take(&mut self.now);
            self.since = round;
        }
        self.now = self.now.max(value);
    }

    pub fn get(&self) -> u64 {
        self.before.max(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_forget_after_two() {
        let mut max = CycleMax::default();
        max.update(9);
        max.advance();
        max.update(5);
        assert_eq!(max.get(), 9);
        max.advance();
        assert_eq!(max.get(), 5);
        max.advance();
        assert_eq!(max.get(), 5, "a cycle without samples teaches nothing");
    }

    #[test]
    fn rounds_forget_after_ten() {
        let mut max = RoundMax::default();
        max.update(0, 9);
        (1..10).for_each(|round| max.update(round, 1));
        assert_eq!(max.get(), 9);
        (10..15).for_each(|round| max.update(round, 1));
        assert_eq!(max.get(), 1);
    }
}

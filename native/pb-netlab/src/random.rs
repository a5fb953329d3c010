//! Seeded random numbers: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).

/// What a stream of numbers decides. Each has its own, so that adding jitter to a link does not change which packets it loses.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    Loss = 1,
    Jitter,
    Reorder,
    Duplicate,
    Corrupt,
}

#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, purpose: Purpose) -> Random {
        let mut seeder = Random(seed ^ (purpose as u64).wrapping_mul(0xD134_2543_DE82_EF95));
        Random(seeder.bits())
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// In 0..limit; `limit` above 0. The bias is below limit / 2^64.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.bits()) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_purpose_gives_others() {
        let take = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            (0..8).map(|_| random.bits()).collect::<Vec<_>>()
        };
        assert_eq!(take(7, Purpose::Loss), take(7, Purpose::Loss));
        assert_ne!(take(7, Purpose::Loss), take(7, Purpose::Jitter));
        assert_ne!(take(7, Purpose::Loss), take(8, Purpose::Loss));
    }

    #[test]
    fn below_reaches_every_number_about_equally_often() {
        let mut random = Random::new(1, Purpose::Corrupt);
        let mut seen = [0u32; 10];
        for _ in 0..100_000 {
            seen[random.below(10)] += 1;
        }
        assert!(
            seen.iter().all(|count| (9_500..10_500).contains(count)),
            "{seen:?}"
        );
    }
}

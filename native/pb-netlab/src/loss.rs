//! Which packets a link loses.

use crate::random::{Purpose, Random};

/// Independent loss, or Gilbert's two-state model (Gilbert 1960; the Gilbert–Elliott model whose good state loses nothing and
/// whose bad state loses all, netem's `loss gemodel p r`).
#[derive(Debug)]
pub struct Loss {
    random: Random,
    rate: f64,
    burst: Option<Burst>,
}

#[derive(Debug)]
struct Burst {
    bad: bool,
    /// Chance, per packet, to enter the bad state.
    enter: f64,
    /// Chance, per packet, to leave it.
    leave: f64,
}

impl Loss {
    /// `rate`: lost share of all packets in 0..1. `mean_burst`: mean number of packets lost in a row; `None` for independent loss.
    ///
    /// The share of time in the bad state is enter / (enter + leave) and a burst lasts 1 / leave packets; both solved for what
    /// was asked.
    pub fn new(seed: u64, rate: f64, mean_burst: Option<f64>) -> Loss {
        let burst = mean_burst.map(|length| {
            let leave = 1.0 / length.max(1.0);
            let enter = (rate * leave / (1.0 - rate)).min(1.0);
            Burst {
                bad: false,
                enter,
                leave,
            }
        });
        Loss {
            random: Random::new(seed, Purpose::Loss),
            rate,
            burst,
        }
    }

    /// Is the next packet lost?
    pub fn next(&mut self) -> bool {
        if self.rate <= 0.0 {
            return false;
        }
        let Some(burst) = &mut self.burst else {
            return self.random.chance(self.rate);
        };
        let turn = if burst.bad { burst.leave } else { burst.enter };
        if self.random.chance(turn) {
            burst.bad = !burst.bad;
        }
        burst.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share lost and mean length of the runs of losses, over a million packets.
    fn measure(mut loss: Loss) -> (f64, f64) {
        let (mut lost, mut runs, mut before) = (0u32, 0u32, false);
        for _ in 0..1_000_000 {
            let now = loss.next();
            lost += u32::from(now);
            runs += u32::from(now && !before);
            before = now;
        }
        (f64::from(lost) / 1e6, f64::from(lost) / f64::from(runs))
    }

    #[test]
    fn independent_loss_has_the_asked_rate_and_no_bursts() {
        for seed in 0..4 {
            let (rate, run) = measure(Loss::new(seed, 0.01, None));
            assert!((0.0095..0.0105).contains(&rate), "rate {rate}");
            assert!((0.99..1.03).contains(&run), "run {run}");
        }
    }

    #[test]
    fn bursty_loss_has_the_asked_rate_and_mean_burst() {
        for seed in 0..4 {
            let (rate, run) = measure(Loss::new(seed, 0.02, Some(10.0)));
            assert!((0.018..0.022).contains(&rate), "rate {rate}");
            assert!((9.3..10.7).contains(&run), "run {run}");
        }
    }

    #[test]
    fn no_loss_loses_nothing() {
        assert_eq!(
            (0..1000)
                .scan(Loss::new(3, 0.0, Some(5.0)), |loss, _| Some(loss.next()))
                .filter(|lost| *lost)
                .count(),
            0
        );
    }
}

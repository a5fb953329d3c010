//! How much of a transfer its start and its end cost: docs/design/0006-start-up.md has the figures.

use super::*;
use pb_proto::lane::PathHint;

const SEEDS: u64 = 3;
/// 1 Gbit/s.
const GIGABIT: u64 = 10 * FAST;
const RTT: u64 = 100 * MS;
/// What headers leave of a packet of 1500 bytes.
const PAYLOAD: f64 = 1424.0 / 1500.0;

struct Cell {
    mib: usize,
    rate: u64,
    rtt: u64,
    /// In products of rate and round trip.
    queue: f64,
    loss: f64,
    /// What is remembered of the path: the rate, as a multiple of what it is.
    history: Option<f64>,
}

const LONG: Cell = Cell {
    mib: 500,
    rate: GIGABIT,
    rtt: RTT,
    queue: 1.0,
    loss: 0.0,
    history: None,
};

impl Cell {
    fn scenario(&self, seed: u64) -> Scenario {
        let mut path = Path::clean(self.rate, self.rtt / 2);
        path.queue = (path.queue as f64 * self.queue) as u64;
        let mut scenario = scenario(0);
        scenario.seed = seed;
        scenario.paths = [path.clone(), path];
        scenario.paths[0].loss = self.loss;
        scenario.loads[0].units = vec![1 << 20; self.mib];
        scenario.loads[1].budget = 224 << 20;
        scenario.history = self.history.map(|of| PathHint {
            min_rtt: self.rtt,
            rate: (self.rate as f64 * of) as u64,
        });
        scenario
    }

    /// The whole transfer, handshake to last acknowledgement, as a share of the link's payload rate: the worst of some seeds.
    fn share(&self) -> f64 {
        let bytes = (self.mib << 20) as f64;
        let link = self.rate as f64 * PAYLOAD;
        (1..=SEEDS)
            .map(|seed| {
                let span = finish(&self.scenario(seed)).done_at.0 - MS;
                bytes / link / (span as f64 / SECOND as f64)
            })
            .fold(f64::MAX, f64::min)
    }
}

#[test]
fn a_cold_start_fills_a_long_fat_path() {
    for (queue, loss, least) in [
        (1.0, 0.0, 0.89),
        (1.0, 0.001, 0.87),
        (0.1, 0.0, 0.87),
        (4.0, 0.001, 0.87),
    ] {
        let share = Cell {
            queue,
            loss,
            ..LONG
        }
        .share();
        assert!(share >= least, "{queue} BDP, loss {loss}: {share}");
    }
}

/// A process that opens its file when the lane is up: what leaves before is the lane's own.
#[test]
fn a_source_that_comes_late_costs_no_more_than_it_is_late() {
    let late = 27 * MS;
    let ready = LONG.scenario(1);
    let mut paused = ready.clone();
    paused.loads[0].source = Source::After(RTT + late);
    let span = |scenario| finish(scenario).done_at.0;
    let cost = span(&paused) - span(&ready);
    assert!(cost <= late + RTT / 10, "{} ms", cost / MS);
}

/// 10 ms to either side, as a link of bench/netlab has it.
#[test]
fn a_delay_that_wanders_is_no_bottleneck() {
    for seed in 1..=SEEDS {
        let still = LONG.scenario(seed);
        let mut wanders = still.clone();
        wanders.paths[0].delay -= 10 * MS;
        wanders.paths[0].wander = 20 * MS;
        let span = |scenario| finish(scenario).done_at.0 as f64;
        let cost = span(&wanders) / span(&still) - 1.0;
        assert!(cost <= 0.1, "seed {seed}: {cost}");
    }
}

#[test]
fn a_known_path_starts_sooner() {
    for (queue, loss, least) in [(1.0, 0.0, 0.93), (0.1, 0.0, 0.92), (1.0, 0.001, 0.91)] {
        let warm = Cell {
            queue,
            loss,
            history: Some(1.0),
            ..LONG
        };
        let share = warm.share();
        assert!(share >= least, "{queue} BDP, loss {loss}: {share}");
    }
}

#[test]
fn a_wrong_memory_costs_no_more_than_none() {
    for queue in [0.1, 1.0] {
        let cold = Cell { queue, ..LONG }.share();
        for wrong in [2.0, 10.0] {
            let warm = Cell {
                queue,
                history: Some(wrong),
                ..LONG
            };
            let share = warm.share();
            assert!(
                share >= cold - 0.01,
                "{wrong} times, {queue} BDP: {share}, cold {cold}"
            );
        }
    }
}

#[test]
fn a_memory_of_another_path_is_not_used() {
    let mut other = LONG.scenario(1);
    let cold = finish(&other);
    other.history = Some(PathHint {
        min_rtt: RTT * 3,
        rate: 100 * GIGABIT,
    });
    let remembered = finish(&other);
    assert!(remembered.done_at.0.abs_diff(cold.done_at.0) < RTT / 10);
    assert_eq!(remembered.fates[0].overflowed, cold.fates[0].overflowed);
}

/// Slow and thin paths must not suffer from trains meant for fat ones.
#[test]
fn other_paths_start_as_well() {
    for (mib, rate, rtt, queue, least) in [
        (100, GIGABIT, 10 * MS, 0.1, 0.9),
        (20, FAST, 100 * MS, 0.1, 0.79),
        (20, FAST, 20 * MS, 1.0, 0.93),
        (5, FAST / 10, 50 * MS, 1.0, 0.94),
        (5, FAST / 10, 50 * MS, 0.25, 0.82),
        (2, FAST / 100, 100 * MS, 1.0, 0.93),
        (200, GIGABIT, MS, 1.0, 0.97),
        (500, 10 * GIGABIT, 20 * MS, 1.0, 0.65),
    ] {
        let cell = Cell {
            mib,
            rate,
            rtt,
            queue,
            ..LONG
        };
        let share = cell.share();
        assert!(
            share >= least,
            "{rate} bytes/s, {rtt} ns, {queue} BDP: {share}"
        );
    }
}

#[test]
fn acknowledgements_are_a_hundredth_of_what_they_acknowledge() {
    for loss in [0.0, 0.001, 0.01] {
        let mut asymmetric = Cell { loss, ..LONG }.scenario(1);
        asymmetric.paths[1].rate = FAST;
        let outcome = finish(&asymmetric);
        let sample = outcome.samples[0];
        assert!(
            sample.bytes_received * 100 <= sample.bytes_sent,
            "{loss}: {} of {}",
            sample.bytes_received,
            sample.bytes_sent
        );
        let even = finish(&Cell { loss, ..LONG }.scenario(1));
        let late = outcome.done_at.since(even.done_at);
        assert!(late < RTT, "a thin way back cost {late} ns");
    }
}

/// The last packets of a transfer, five milliseconds of them, are lost.
fn without_its_end(clean: &Scenario) -> Outcome {
    let done = finish(clean).done_at;
    let mut lossy = clean.clone();
    (0..RTT / (5 * MS))
        .map(|back| {
            let from = Instant(done.0 - RTT - back * 5 * MS);
            lossy.paths[0].down = Some((from, from.after(5 * MS)));
            finish(&lossy)
        })
        .find(|outcome| outcome.fates[0].lost > 0)
        .unwrap()
}

#[test]
fn losses_at_the_end_cost_about_one_round_trip() {
    for seed in 1..=5 {
        let cell = Cell {
            mib: 8,
            rate: FAST,
            ..LONG
        };
        let clean = cell.scenario(seed);
        let late = without_its_end(&clean)
            .done_at
            .since(finish(&clean).done_at);
        assert!(late < RTT * 3 / 2, "seed {seed}: {late} ns");
    }
}

/// A tenth of 1 Gbit/s and of the memory a receiver gives. What is sent again only once leaves 0.50 of the link: each unit
/// waits for a third round trip, and holds credit meanwhile.
#[test]
fn memory_bounds_a_path_of_a_second_less_than_its_losses_would() {
    let satellite = Cell {
        mib: 200,
        rate: FAST,
        rtt: SECOND,
        loss: 0.05,
        ..LONG
    };
    let spans: Vec<_> = (1..=SEEDS)
        .map(|seed| {
            let mut scenario = satellite.scenario(seed);
            scenario.loads[1].budget = 22 << 20;
            finish(&scenario).done_at.0
        })
        .collect();
    let worst = spans.into_iter().max().unwrap();
    let least = (200 << 20) as f64 / (FAST as f64 * PAYLOAD) * SECOND as f64;
    let share = least / worst as f64;
    assert!(share >= 0.6, "{share}");
}

#[test]
fn a_probe_is_no_retransmission() {
    let mut unheard = Cell { mib: 1, ..LONG }.scenario(1);
    unheard.paths[1].down = Some((Instant(102 * MS), Instant(600 * MS)));
    let sample = finish(&unheard).samples[0];
    assert!(sample.bytes_probed > 0, "{sample:?}");
    let again = (sample.packets_lost, sample.bytes_retransmitted);
    assert_eq!(again, (0, 0), "{sample:?}");
}

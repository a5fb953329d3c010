//! Hundreds of networks nobody would build.

use super::*;
use pb_proto::rng::Rng;
use pb_proto::sim::Bursts;
use pb_proto::units::MAX_UNIT;

const NETWORKS: u64 = 1000;

/// Uniform in the logarithm.
fn scale(rng: &mut Rng, low: u64, high: u64) -> u64 {
    let (low, high) = ((low as f64).ln(), (high as f64).ln());
    (low + rng.unit() * (high - low)).exp() as u64
}

fn sometimes(rng: &mut Rng, chance: f64, most: f64) -> f64 {
    if rng.chance(chance) {
        rng.unit() * most
    } else {
        0.0
    }
}

fn path(rng: &mut Rng) -> Path {
    let mut path = Path::clean(
        scale(rng, 100_000, 250_000_000),
        scale(rng, 20_000, 150 * MS),
    );
    path.jitter = if rng.chance(0.4) {
        rng.below(path.delay + 1)
    } else {
        0
    };
    path.queue = scale(rng, 5_000, path.queue * 4);
    path.loss = sometimes(rng, 0.5, 0.1);
    path.bursts = rng.chance(0.2).then(|| Bursts {
        to_bad: 0.005,
        to_good: 0.1,
        loss: rng.unit(),
    });
    path.reorder = sometimes(rng, 0.3, 0.2);
    path.reorder_by = 1 + rng.below(2 * path.delay + MS);
    path.duplicate = sometimes(rng, 0.3, 0.2);
    path.corrupt = sometimes(rng, 0.3, 0.05);
    path.mtu = scale(rng, 1200, 65_487) as u16;
    path.mtu_change = rng
        .chance(0.2)
        .then(|| (Instant(rng.below(SECOND)), scale(rng, 1200, 65_487) as u16));
    let down = rng.below(2 * SECOND);
    path.down = rng
        .chance(0.1)
        .then(|| (Instant(down), Instant(down + rng.below(2 * SECOND))));
    path
}

fn load(rng: &mut Rng, rate: u64) -> Load {
    let total = (2 * rate).min(2 << 20);
    let mut units = Vec::new();
    let mut sum = 0;
    while sum < total {
        units.push(scale(rng, 1, MAX_UNIT.into()) as u32);
        sum += u64::from(*units.last().unwrap());
    }
    let budget = u64::from(MAX_UNIT) + rng.below(8 << 20);
    Load {
        units,
        budget,
        disk: scale(rng, 1_000_000, DISK),
        source: Source::Ready,
    }
}

fn network(seed: u64) -> Scenario {
    let rng = &mut Rng::new(seed);
    let paths = [path(rng), path(rng)];
    let lanes = rng.between(1, 4) as u8;
    let controllers = (0..lanes).map(|_| match rng.below(3) {
        0 => ControllerKind::Cubic,
        1 => ControllerKind::Bbr,
        _ => ControllerKind::Fixed(paths[0].rate.min(paths[1].rate) / 2),
    });
    Scenario {
        seed,
        lanes,
        controllers: controllers.collect(),
        loads: [load(rng, paths[0].rate), load(rng, paths[1].rate)],
        paths,
        max_datagram: scale(rng, 1200, 65_487) as u16,
        rekey_after: rng.chance(0.2).then_some(100),
        history: None,
        rebind_at: rng.chance(0.2).then(|| Instant(rng.below(2 * SECOND))),
        deadline: 900 * SECOND,
        lanes_from: Vec::new(),
        rivals: Vec::new(),
        stop_at: None,
        mark_every: None,
    }
}

#[test]
fn random_networks() {
    let only = std::env::var("PB_SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = only.map_or_else(|| (0..NETWORKS).collect(), |seed| vec![seed]);
    let failures: Vec<_> = seeds
        .into_iter()
        .filter_map(|seed| {
            let failure = run(&network(seed)).err()?;
            Some((seed, failure.0))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} failed: {failures:#?}",
        failures.len()
    );
}

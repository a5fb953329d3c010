//! The lane over virtual networks: every unit arrives once and whole, no budget is exceeded, everything ends before
//! its deadline. A failing seed can be run alone: `PB_SIM_SEED=123 cargo test --features sim --test sim random`.

mod fair;
mod goals;
mod lanes;
mod limits;
mod named;
mod random;
mod rates;
mod start_up;

use pb_proto::cc::ControllerKind;
use pb_proto::sim::{Load, Outcome, Path, Scenario, Source, run};
use pb_proto::time::{Instant, MS, SECOND};

/// 100 Mbit/s.
const FAST: u64 = 12_500_000;
const DISK: u64 = 2_000_000_000;

/// One BBR lane over a 100 Mbit/s path with 40 ms round trip, `mib` MiB up and a tenth of that down.
fn scenario(mib: u32) -> Scenario {
    let load = |units: u32, len: u32| Load {
        units: vec![len; units as usize],
        budget: 32 << 20,
        disk: DISK,
        source: Source::Ready,
    };
    let path = Path::clean(FAST, 20 * MS);
    Scenario {
        seed: 1,
        lanes: 1,
        controllers: vec![ControllerKind::Bbr],
        paths: [path.clone(), path],
        loads: [load(mib, 1 << 20), load(mib, 100 << 10)],
        max_datagram: 1472,
        rekey_after: None,
        history: None,
        rebind_at: None,
        deadline: 120 * SECOND,
        lanes_from: Vec::new(),
        rivals: Vec::new(),
        stop_at: None,
        mark_every: None,
    }
}

/// The same with both paths changed.
fn with_paths(mib: u32, change: impl Fn(&mut Path)) -> Scenario {
    let mut scenario = scenario(mib);
    scenario.paths.iter_mut().for_each(change);
    scenario
}

fn finish(scenario: &Scenario) -> Outcome {
    match run(scenario) {
        Ok(outcome) => outcome,
        Err(failure) => panic!("{}\n{scenario:#?}", failure.0),
    }
}

/// Unit bytes per second that reached the server within `span` from `from`, of the upward path's rate.
fn share_of_link(scenario: &Scenario, from: u64, to: u64) -> Vec<f64> {
    let until = |at: u64| {
        let scenario = Scenario {
            stop_at: Some(Instant(at)),
            ..scenario.clone()
        };
        finish(&scenario).delivered
    };
    let link = scenario.paths[0].rate as f64 * (to - from) as f64 / SECOND as f64;
    until(to)
        .iter()
        .zip(until(from))
        .map(|(b, a)| (b - a) as f64 / link)
        .collect()
}

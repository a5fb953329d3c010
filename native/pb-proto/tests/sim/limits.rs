//! What the samples blame for the rate is what really bounds it.

use super::*;
use pb_proto::sample::LimitedTimes;

const UNIT: u32 = 256 << 10;
/// Twice what the path carries in the time of a run.
const UNITS: usize = 800;
const ADAPTIVE: [ControllerKind; 2] = [ControllerKind::Bbr, ControllerKind::Cubic];

/// Upload only, four times the path's product of rate and round trip as queue, for eight seconds.
fn upload(kind: ControllerKind) -> Scenario {
    let mut scenario = with_paths(0, |p| p.queue = 2 << 20);
    scenario.controllers = vec![kind];
    scenario.loads[0].units = vec![UNIT; UNITS];
    scenario.stop_at = Some(Instant(8 * SECOND));
    scenario
}

/// Share of the time that was blamed on `cause`.
fn share(scenario: &Scenario, cause: fn(&LimitedTimes) -> u64) -> f64 {
    let times = finish(scenario).samples[0].limited;
    let busy = times.application_ns + times.cpu_ns;
    let all = busy + times.congestion_ns + times.receiver_ns + times.pacing_ns;
    cause(&times) as f64 / all as f64
}

#[test]
fn a_slow_source() {
    for kind in ADAPTIVE {
        for part in [10, 4, 2] {
            let mut slow = upload(kind);
            slow.loads[0].source = Source::Reads(FAST / part);
            let share = share(&slow, |t| t.application_ns);
            assert!(share > 0.8, "{kind:?}, 1/{part} of the path: {share}");
        }
    }
}

#[test]
fn a_full_path() {
    for kind in ADAPTIVE {
        let share = share(&upload(kind), |t| t.congestion_ns);
        assert!(share > 0.9, "{kind:?}: {share}");
    }
}

#[test]
fn a_path_that_loses() {
    for kind in ADAPTIVE {
        for loss in [0.001, 0.02] {
            let mut lossy = upload(kind);
            lossy.paths[0].loss = loss;
            let share = share(&lossy, |t| t.congestion_ns);
            assert!(share > 0.9, "{kind:?}, {loss}: {share}");
        }
    }
}

#[test]
fn a_slow_disk_at_the_receiver() {
    for kind in ADAPTIVE {
        for part in [10, 4, 2] {
            let mut slow = upload(kind);
            slow.loads[1].budget = 2 << 20;
            slow.loads[1].disk = FAST / part;
            let share = share(&slow, |t| t.receiver_ns);
            // The first 2 MiB leave as fast as the path takes them.
            assert!(share > 0.8, "{kind:?}, 1/{part} of the path: {share}");
        }
    }
}

#[test]
fn a_limit_that_the_user_gave() {
    for kind in ADAPTIVE {
        for part in [10, 2] {
            let mut limited = upload(kind);
            limited.loads[0].source = Source::MayLeave(FAST / part);
            let share = share(&limited, |t| t.pacing_ns);
            assert!(share > 0.8, "{kind:?}, 1/{part} of the path: {share}");
        }
    }
}

#[test]
fn a_fixed_rate_below_the_path() {
    let fixed = upload(ControllerKind::Fixed(FAST / 2));
    let share = share(&fixed, |t| t.pacing_ns);
    assert!(share > 0.9, "{share}");
}

//! Paths that lose at random: what the default controller keeps of them. examples/cctable has the whole table.

use super::*;
use pb_proto::sim::{Bursts, Rival, RivalKind};

/// One lane up 100 Mbit/s with round trip `rtt` and a queue of 1 BDP.
fn upload(rtt: u64, change: impl Fn(&mut Path)) -> Scenario {
    let mut scenario = scenario(0);
    scenario.paths = [Path::clean(FAST, rtt / 2), Path::clean(FAST, rtt / 2)];
    change(&mut scenario.paths[0]);
    scenario.loads[0].units = vec![1 << 20; 800];
    scenario.loads[1].budget = 1 << 30;
    scenario
}

/// Share of the link from 3 s, or 20 round trips, for ten seconds or 20 round trips.
fn steady_share(rtt: u64, change: impl Fn(&mut Path)) -> f64 {
    let from = (3 * SECOND).max(20 * rtt);
    let to = from + (10 * SECOND).max(20 * rtt);
    share_of_link(&upload(rtt, change), from, to)[0]
}

#[test]
fn losses_at_random_cost_little_more_than_themselves() {
    for (rtt, loss, goal) in [(100, 0.01, 0.85), (200, 0.02, 0.80), (1000, 0.05, 0.70)] {
        let share = steady_share(rtt * MS, |p| p.loss = loss);
        assert!(share >= goal, "{rtt} ms, {loss}: {share}");
    }
}

#[test]
fn bursts_reordering_and_jitter_cost_less_than_a_tenth() {
    let clean = steady_share(100 * MS, |_| {});
    let dirty = [
        steady_share(100 * MS, |p| {
            p.bursts = Some(Bursts {
                to_bad: 0.001,
                to_good: 0.1,
                loss: 1.0,
            })
        }),
        steady_share(100 * MS, |p| (p.reorder, p.reorder_by) = (0.001, 10 * MS)),
        steady_share(100 * MS, |p| p.jitter = 10 * MS),
        steady_share(100 * MS, |p| p.corrupt = 0.0001),
    ];
    assert!(
        dirty.iter().all(|&s| s >= 0.9 * clean),
        "{clean}: {dirty:?}"
    );
}

#[test]
fn short_and_deep_queues_are_filled() {
    for (of, goal) in [(0.1, 0.85), (4.0, 0.85)] {
        let queue = (FAST as f64 * 0.01 * of) as u64;
        let share = steady_share(10 * MS, |p| p.queue = queue);
        assert!(share >= goal, "{of} BDP: {share}");
    }
}

/// A rate of what is delivered cannot grow by probes whose loss is larger than they are, and a window of four packets lost all that it
/// won: 0.005 of the link before the floor knew that as much is lost of less (cc/bbr/floor.rs).
#[test]
fn a_path_that_loses_a_third_is_used_nevertheless() {
    let mut shares = [1, 2, 3, 4, 5].map(|seed| {
        let mut lossy = upload(50 * MS, |p| p.loss = 0.3);
        lossy.seed = seed;
        share_of_link(&lossy, 3 * SECOND, 20 * SECOND)[0]
    });
    shares.sort_by(f64::total_cmp);
    assert!(shares[2] >= 0.1, "{shares:?}");
}

/// Bytes that a rival alone brings over 100 Mbit/s in its second ten seconds, of what the link carries.
fn rival_alone(kind: RivalKind) -> f64 {
    let mut scenario = upload(40 * MS, |_| {});
    scenario.loads[0].source = Source::Reads(1);
    scenario.rivals = vec![Rival {
        kind,
        from: Instant(MS),
        to: None,
    }];
    scenario.mark_every = Some(10 * SECOND);
    scenario.stop_at = Some(Instant(21 * SECOND));
    scenario.loads[0].units = vec![1; 100];
    let marks = finish(&scenario).marks;
    let bytes = marks[2].rivals[0] - marks[1].rivals[0];
    bytes as f64 / (10 * FAST) as f64
}

#[test]
fn rivals_fill_an_empty_link() {
    for kind in [RivalKind::Cubic, RivalKind::Bbr] {
        let share = rival_alone(kind);
        assert!(share > 0.9, "{kind:?}: {share}");
    }
}

#[test]
fn our_cubic_and_the_rivals_share_evenly() {
    let mut two = upload(40 * MS, |_| {});
    two.controllers = vec![ControllerKind::Cubic];
    two.rivals = vec![Rival {
        kind: RivalKind::Cubic,
        from: Instant(MS),
        to: None,
    }];
    two.stop_at = Some(Instant(60 * SECOND));
    let outcome = finish(&two);
    let ratio = outcome.delivered[0] as f64 / outcome.rivals[0] as f64;
    assert!((0.4..2.5).contains(&ratio), "{ratio}");
}

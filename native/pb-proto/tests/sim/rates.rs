//! What the controllers reach. The clock is virtual, so these numbers are the same on every machine.

use super::*;

fn endless(kind: ControllerKind, rate: u64, one_way: u64) -> Scenario {
    let mut scenario = scenario(0);
    scenario.controllers = vec![kind];
    scenario.paths = [Path::clean(rate, one_way), Path::clean(rate, one_way)];
    scenario.loads[0].units = vec![1 << 20; 400];
    scenario.loads[1].budget = 256 << 20;
    scenario
}

#[test]
fn bbr_fills_a_link_that_loses_one_in_a_hundred() {
    let mut lossy = endless(ControllerKind::Bbr, FAST, 50 * MS);
    lossy.paths[0].loss = 0.01;
    let share = share_of_link(&lossy, 3 * SECOND, 13 * SECOND)[0];
    assert!(share >= 0.85, "{share}");
}

#[test]
fn a_clean_link_is_filled() {
    for kind in [ControllerKind::Bbr, ControllerKind::Cubic] {
        for (rate, one_way) in [(FAST / 10, 5 * MS), (FAST, 20 * MS), (FAST, 75 * MS)] {
            let share = share_of_link(&endless(kind, rate, one_way), 3 * SECOND, 9 * SECOND)[0];
            assert!(
                share >= 0.9,
                "{kind:?} at {rate} bytes/s and {one_way} ns: {share}"
            );
        }
    }
}

#[test]
fn a_long_fat_path_is_filled_within_seconds() {
    let mut fat = endless(ControllerKind::Bbr, 10 * FAST, 50 * MS);
    fat.loads[0].units = vec![1 << 20; 600];
    let share = share_of_link(&fat, 2 * SECOND, 4 * SECOND)[0];
    assert!(share >= 0.85, "{share}");
}

#[test]
fn two_lanes_of_one_kind_share() {
    for kind in [ControllerKind::Bbr, ControllerKind::Cubic] {
        let mut two = endless(kind, FAST, 15 * MS);
        two.lanes = 2;
        let shares = share_of_link(&two, 5 * SECOND, 25 * SECOND);
        let (low, high) = (shares[0].min(shares[1]), shares[0].max(shares[1]));
        assert!(low + high >= 0.85, "{kind:?}: {shares:?}");
        assert!(low * 3.0 >= high, "{kind:?}: {shares:?}");
    }
}

#[test]
fn bbr_and_cubic_do_not_starve_each_other() {
    for queue_bdp in [1.0, 2.0, 4.0] {
        let mut two = endless(ControllerKind::Bbr, FAST, 20 * MS);
        two.lanes = 2;
        two.controllers.push(ControllerKind::Cubic);
        two.paths[0].queue = (FAST as f64 * 0.04 * queue_bdp) as u64;
        let shares = share_of_link(&two, 5 * SECOND, 25 * SECOND);
        assert!(shares[0] + shares[1] >= 0.85, "{queue_bdp} BDP: {shares:?}");
        assert!(
            shares.iter().all(|&s| s >= 0.1),
            "{queue_bdp} BDP: {shares:?}"
        );
    }
}

#[test]
fn bbr_keeps_queues_short() {
    let mut deep = endless(ControllerKind::Bbr, FAST, 20 * MS);
    deep.paths[0].queue = 16 << 20;
    deep.stop_at = Some(Instant(8 * SECOND));
    let sample = finish(&deep).samples[0];
    assert!(sample.smoothed_rtt_ns < 80 * MS, "{sample:?}");
}

#[test]
fn a_pause_does_not_lower_the_model() {
    let mut limited = endless(ControllerKind::Bbr, FAST, 20 * MS);
    limited.loads[1].budget = 2 << 20;
    limited.loads[1].disk = FAST / 4;
    limited.stop_at = Some(Instant(8 * SECOND));
    let sample = finish(&limited).samples[0];
    assert!(
        sample.pacing_rate > FAST / 2,
        "held back by the receiver, the path is as fast as before: {sample:?}"
    );
}

#[test]
fn a_fixed_rate_is_kept_in_spite_of_loss() {
    let mut fixed = endless(ControllerKind::Fixed(FAST / 2), FAST, 20 * MS);
    fixed.paths[0].loss = 0.05;
    let share = share_of_link(&fixed, 2 * SECOND, 8 * SECOND)[0];
    assert!((0.42..=0.5).contains(&share), "{share}");
}

//! Beside others: one minute at 100 Mbit/s and 40 ms, against flows as Linux has them and against ourselves.

use super::*;
use pb_proto::sim::{Mark, Rival, RivalKind};

const MINUTE: u64 = 60 * SECOND;

fn shared(queue_bdp: f64, seed: u64) -> Scenario {
    let mut scenario = scenario(0);
    scenario.seed = seed;
    scenario.paths[0].queue = (FAST as f64 * 0.04 * queue_bdp) as u64;
    scenario.loads[0].units = vec![1 << 20; 800];
    scenario.loads[1].budget = 1 << 30;
    scenario.stop_at = Some(Instant(MINUTE));
    scenario
}

/// Our bytes by theirs in a minute, as the median of three seeds; we begin `after` theirs, nanoseconds.
fn ratio_beside(kind: RivalKind, queue_bdp: f64, after: u64) -> f64 {
    let mut ratios = [1, 2, 3].map(|seed| {
        let mut two = shared(queue_bdp, seed);
        let from = Instant(MS * (1 + seed));
        two.rivals = vec![Rival {
            kind,
            from,
            to: None,
        }];
        two.lanes_from = vec![Instant(after)];
        two.stop_at = Some(Instant(after + MINUTE));
        two.mark_every = Some(SECOND);
        let outcome = finish(&two);
        let before = outcome.marks.iter().rfind(|m| m.at.0 <= after);
        let theirs = outcome.rivals[0] - before.map_or(0, |m| m.rivals[0]);
        outcome.delivered[0] as f64 / theirs as f64
    });
    ratios.sort_by(f64::total_cmp);
    ratios[1]
}

#[test]
fn a_cubic_flow_keeps_its_share() {
    for queue in [0.5, 1.0, 4.0] {
        let ratio = ratio_beside(RivalKind::Cubic, queue, 0);
        assert!((0.5..2.0).contains(&ratio), "{queue} BDP: {ratio}");
    }
}

#[test]
fn a_cubic_flow_that_was_there_before_makes_room() {
    for queue in [0.5, 1.0, 4.0] {
        let ratio = ratio_beside(RivalKind::Cubic, queue, 10 * SECOND);
        assert!((0.5..2.0).contains(&ratio), "{queue} BDP: {ratio}");
    }
}

#[test]
fn a_bbr_flow_does_not_take_ours() {
    for queue in [0.5, 1.0, 4.0] {
        let ratio = ratio_beside(RivalKind::Bbr, queue, 0);
        assert!((0.5..2.0).contains(&ratio), "{queue} BDP: {ratio}");
    }
}

#[test]
fn two_of_ours_share_evenly() {
    for queue in [0.5, 1.0, 4.0] {
        let mut two = shared(queue, 1);
        two.lanes = 2;
        let bytes = finish(&two).delivered;
        let (a, b) = (bytes[0] as f64, bytes[1] as f64);
        let jain = (a + b).powi(2) / (2.0 * (a * a + b * b));
        assert!(jain >= 0.95, "{queue} BDP: {jain}");
    }
}

/// What was there, second by second, of a minute in which a CUBIC flow comes and goes at these seconds.
fn visited(mut scenario: Scenario, comes: u64, goes: u64) -> Vec<Mark> {
    scenario.rivals = vec![Rival {
        kind: RivalKind::Cubic,
        from: Instant(comes * SECOND),
        to: Some(Instant(goes * SECOND)),
    }];
    scenario.mark_every = Some(SECOND);
    finish(&scenario).marks
}

#[test]
fn ledbat_gives_way_to_a_cubic_flow_and_comes_back() {
    for queue in [0.5, 1.0, 4.0] {
        let mut visit = shared(queue, 1);
        visit.controllers = vec![ControllerKind::Ledbat];
        let marks = visited(visit, 20, 40);
        let share = |a: usize, b: usize| {
            let bytes = marks[b].delivered[0] - marks[a].delivered[0];
            bytes as f64 / ((b - a) as u64 * FAST) as f64
        };
        let shares = [share(10, 20), share(30, 39), share(50, 58)];
        assert!(shares[0] > 0.8, "{queue} BDP: {shares:?}");
        assert!(shares[1] < 0.1, "{queue} BDP: {shares:?}");
        assert!(shares[2] > 0.8, "{queue} BDP: {shares:?}");
    }
}

#[test]
fn the_link_is_taken_back_when_a_cubic_flow_ends() {
    let marks = visited(shared(1.0, 1), 5, 25);
    let share = (marks[45].delivered[0] - marks[40].delivered[0]) as f64 / (5 * FAST) as f64;
    assert!(share > 0.85, "{share}");
}

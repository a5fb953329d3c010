//! Networks with one thing wrong each.

use super::*;
use pb_proto::sim::Bursts;

#[test]
fn a_clean_path_loses_and_repeats_next_to_nothing() {
    for kind in [
        ControllerKind::Bbr,
        ControllerKind::Cubic,
        ControllerKind::Fixed(FAST * 9 / 10),
    ] {
        let mut clean = with_paths(30, |p| p.queue = 4 << 20);
        clean.controllers = vec![kind];
        let outcome = finish(&clean);
        let sample = outcome.samples[0];
        assert_eq!(outcome.fates[0].overflowed, 0, "{kind:?}");
        assert!(
            sample.bytes_retransmitted <= 3 << 10,
            "{kind:?}: {sample:?}"
        );
        assert_eq!(sample.packets_spuriously_lost, 0, "{kind:?}");
        assert!(
            outcome.done_at < Instant(6 * SECOND),
            "{kind:?}: {:?}",
            outcome.done_at
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let mut dirty = with_paths(4, |p| {
        (p.loss, p.jitter, p.duplicate, p.corrupt) = (0.02, 3 * MS, 0.01, 0.01);
        (p.reorder, p.reorder_by) = (0.02, 5 * MS);
    });
    let first = finish(&dirty);
    assert_eq!(first, finish(&dirty));
    dirty.seed = 2;
    assert_ne!(first.hash, finish(&dirty).hash);
}

#[test]
fn random_loss() {
    for loss in [0.001, 0.01, 0.05] {
        let outcome = finish(&with_paths(8, |p| p.loss = loss));
        assert!(outcome.fates[0].lost > 0);
    }
}

#[test]
fn a_third_lost_still_finishes() {
    for kind in [
        ControllerKind::Bbr,
        ControllerKind::Cubic,
        ControllerKind::Fixed(FAST),
    ] {
        let mut lossy = with_paths(2, |p| p.loss = 0.3);
        lossy.controllers = vec![kind];
        lossy.deadline = 300 * SECOND;
        finish(&lossy);
    }
}

#[test]
fn bursts_of_loss() {
    let bursts = Bursts {
        to_bad: 0.002,
        to_good: 0.05,
        loss: 0.7,
    };
    finish(&with_paths(8, |p| p.bursts = Some(bursts)));
}

#[test]
fn reordering_is_told_from_loss() {
    let outcome = finish(&with_paths(8, |p| {
        (p.reorder, p.reorder_by) = (0.05, 8 * MS)
    }));
    let sample = outcome.samples[0];
    assert!(sample.packets_reordered > 0);
    assert!(
        sample.packets_spuriously_lost * 100 <= sample.packets_sent,
        "{sample:?}"
    );
}

#[test]
fn every_packet_twice() {
    let outcome = finish(&with_paths(8, |p| p.duplicate = 1.0));
    assert_eq!(outcome.samples[0].packets_lost, outcome.fates[0].overflowed);
}

#[test]
fn jitter() {
    finish(&with_paths(8, |p| p.jitter = 15 * MS));
}

#[test]
fn a_thin_way_back() {
    let mut asymmetric = scenario(20);
    asymmetric.paths[1] = Path::clean(FAST / 50, 60 * MS);
    asymmetric.loads[1].units.clear();
    let outcome = finish(&asymmetric);
    assert!(
        outcome.done_at < Instant(6 * SECOND),
        "{:?}",
        outcome.done_at
    );
}

#[test]
fn queues_too_small_and_too_deep() {
    for queue in [6_000, 30_000, 16 << 20] {
        for kind in [ControllerKind::Bbr, ControllerKind::Cubic] {
            let mut scenario = with_paths(6, |p| p.queue = queue);
            scenario.controllers = vec![kind];
            finish(&scenario);
        }
    }
}

#[test]
fn corrupted_packets_count_as_lost() {
    let outcome = finish(&with_paths(8, |p| p.corrupt = 0.02));
    assert!(outcome.fates[0].corrupted > 50);
    assert!(outcome.samples[0].packets_lost > 50);
}

#[test]
fn the_path_gets_narrower_on_the_way() {
    let mut narrowing = with_paths(8, |p| {
        (p.mtu, p.mtu_change) = (8972, Some((Instant(300 * MS), 1400)))
    });
    narrowing.max_datagram = 65_487;
    let outcome = finish(&narrowing);
    assert!(outcome.fates[0].too_large > 0);
    assert_eq!(outcome.samples[0].datagram_size, 1400);
}

#[test]
fn jumbo_paths_are_used() {
    let mut jumbo = with_paths(8, |p| p.mtu = 65_487);
    jumbo.max_datagram = 65_487;
    assert_eq!(finish(&jumbo).samples[0].datagram_size, 65_487);
}

#[test]
fn a_link_that_was_down_resumes_within_five_seconds() {
    let down = (Instant(SECOND), Instant(21 * SECOND));
    for kind in [ControllerKind::Bbr, ControllerKind::Cubic] {
        let mut broken = with_paths(20, |p| p.down = Some(down));
        broken.controllers = vec![kind];
        let at = |at: Instant| {
            finish(&Scenario {
                stop_at: Some(at),
                ..broken.clone()
            })
            .delivered[0]
        };
        assert!(at(down.1.after(5 * SECOND)) > at(down.1), "{kind:?}");
        finish(&broken);
    }
}

#[test]
fn a_client_that_changes_its_address_goes_on() {
    let mut moving = scenario(20);
    moving.rebind_at = Some(Instant(500 * MS));
    let outcome = finish(&moving);
    assert!(
        outcome.done_at < Instant(5 * SECOND),
        "{:?}",
        outcome.done_at
    );
}

#[test]
fn the_receivers_budget_holds_a_fast_sender() {
    let mut slow_disk = scenario(12);
    slow_disk.loads[1].budget = 3 << 20;
    slow_disk.loads[1].disk = 1_000_000;
    let outcome = finish(&slow_disk);
    assert!(
        outcome.done_at > Instant(8 * SECOND),
        "the disk takes 12 s, less the last 3 MiB"
    );
    let limited = outcome.samples[0].limited;
    assert!(limited.receiver_ns > 6 * SECOND, "{limited:?}");
}

#[test]
fn keys_rotate_under_load() {
    let mut rekeying = with_paths(6, |p| p.loss = 0.01);
    rekeying.rekey_after = Some(200);
    finish(&rekeying);
}

#[test]
fn many_small_units_share_the_way() {
    let mut small = scenario(0);
    small.loads[0].units = (0..3000).map(|i| 1 + i % 700).collect();
    let outcome = finish(&small);
    assert!(
        outcome.done_at < Instant(2 * SECOND),
        "{:?}",
        outcome.done_at
    );
}

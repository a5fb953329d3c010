use super::*;
use crate::spec::PS_PER_MS;

const SECOND: u64 = 1000 * PS_PER_MS;
/// 1500 bytes of IP.
const FRAME: usize = 1514;
const MBIT: u64 = 1_000_000;

fn link(spec: DirectionSpec) -> Direction {
    Direction::new(DirectionSpec { seed: 42, ..spec })
}

/// A frame that carries its number.
fn frame(number: u64) -> Vec<u8> {
    let mut bytes = vec![0; FRAME];
    bytes[100..108].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[100..108].try_into().expect("eight bytes"))
}

/// Offers `count` numbered packets, one every `gap` ps, and takes each when it is due. (time, number) in order of departure.
fn play(direction: &mut Direction, count: u64, gap: u64) -> Vec<(u64, u64)> {
    for index in 0..count {
        direction.offer(index * gap, &frame(index));
    }
    drain(direction)
}

fn drain(direction: &mut Direction) -> Vec<(u64, u64)> {
    let mut out = Vec::new();
    while let Some(at) = direction.next_departure() {
        assert!(at == 0 || direction.pop(at - 1).is_none(), "never early");
        let packet = direction.pop(at).expect("due");
        out.push((at, number(packet.as_ref())));
        direction.sent(packet, at, false);
    }
    out
}

#[test]
fn a_link_without_properties_passes_everything_at_once() {
    let mut direction = link(DirectionSpec::default());
    let out = play(&mut direction, 100, 7);
    assert_eq!(
        out,
        (0..100).map(|index| (index * 7, index)).collect::<Vec<_>>()
    );
}

#[test]
fn the_rate_is_exact() {
    for rate in [MBIT, 20 * MBIT, 1000 * MBIT, 10_000 * MBIT] {
        let mut direction = link(DirectionSpec {
            rate_bits_per_sec: rate,
            queue_bytes: u64::MAX,
            ..DirectionSpec::default()
        });
        let count = 50_000;
        let out = play(&mut direction, count, 0);
        let took = out.last().expect("packets").0;
        let want = count as f64 * FRAME as f64 * 8.0 / rate as f64 * SECOND as f64;
        assert!((took as f64 / want - 1.0).abs() < 1e-6, "{rate}: {took}");
    }
}

#[test]
fn the_delay_comes_on_top_of_the_time_on_the_wire() {
    let mut direction = link(DirectionSpec {
        rate_bits_per_sec: 8 * MBIT,
        queue_bytes: 1 << 20,
        delay_ps: 50 * PS_PER_MS,
        ..DirectionSpec::default()
    });
    let wire = FRAME as u64 * PS_PER_US;
    let delay = 50 * PS_PER_MS;
    assert_eq!(
        play(&mut direction, 2, 0),
        [(delay + wire, 0), (delay + 2 * wire, 1)]
    );
}

#[test]
fn the_queue_never_holds_more_than_its_bound_and_drops_the_newest() {
    let mut direction = link(DirectionSpec {
        rate_bits_per_sec: 10 * MBIT,
        queue_bytes: 10 * FRAME as u64,
        ..DirectionSpec::default()
    });
    let out = play(&mut direction, 100, 0);
    assert_eq!(
        out.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert_eq!(direction.counters.dropped_by_queue, 90);
    assert_eq!(direction.counters.max_queue_bytes, 10 * FRAME as u64);
    // Half the rate's load never waits.
    let gap = 2 * FRAME as u64 * 8 * PS_PER_US / 10;
    let later = out.last().expect("packets").0 + gap;
    for index in 0..100 {
        direction.offer(later + index * gap, &frame(index));
    }
    assert_eq!(drain(&mut direction).len(), 100);
    assert_eq!(direction.counters.dropped_by_queue, 90);
}

#[test]
fn a_queue_smaller_than_a_packet_still_passes_packets_one_by_one() {
    let mut direction = link(DirectionSpec {
        rate_bits_per_sec: 10 * MBIT,
        queue_bytes: 100,
        ..DirectionSpec::default()
    });
    assert_eq!(play(&mut direction, 10, SECOND).len(), 10);
}

#[test]
fn twice_the_rate_loses_half() {
    let mut direction = link(DirectionSpec {
        rate_bits_per_sec: 100 * MBIT,
        queue_bytes: 64 << 10,
        ..DirectionSpec::default()
    });
    let gap = FRAME as u64 * 8 * PS_PER_US / 200;
    let out = play(&mut direction, 20_000, gap);
    assert!((9_950..10_100).contains(&out.len()), "{}", out.len());
}

#[test]
fn the_same_seed_gives_the_same_packets_and_another_direction_others() {
    let spec = |seed| DirectionSpec {
        seed,
        delay_ps: 10 * PS_PER_MS,
        jitter_ps: 5 * PS_PER_MS,
        jitter_reorders: true,
        loss: 0.1,
        duplicate: 0.05,
        reorder: 0.05,
        reorder_by_ps: PS_PER_MS,
        ..DirectionSpec::default()
    };
    let run = |seed| play(&mut Direction::new(spec(seed)), 2_000, 100 * PS_PER_US);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn loss_is_counted_and_what_is_lost_takes_no_room() {
    let mut direction = link(DirectionSpec {
        rate_bits_per_sec: 100 * MBIT,
        queue_bytes: u64::MAX,
        loss: 0.3,
        ..DirectionSpec::default()
    });
    let out = play(&mut direction, 100_000, 0);
    let share = direction.counters.lost as f64 / 100_000.0;
    assert!((0.29..0.31).contains(&share), "{share}");
    assert_eq!(out.len() as u64 + direction.counters.lost, 100_000);
    let wire = FRAME as u64 * 8 * PS_PER_US / 100;
    assert_eq!(out.last().expect("packets").0, out.len() as u64 * wire);
}

#[test]
fn jitter_in_order_spreads_the_delay_and_keeps_the_order() {
    let mut direction = link(DirectionSpec {
        delay_ps: 50 * PS_PER_MS,
        jitter_ps: 10 * PS_PER_MS,
        ..DirectionSpec::default()
    });
    let gap = 12 * PS_PER_US;
    let out = play(&mut direction, 500_000, gap);
    assert!(out.is_sorted_by_key(|(_, number)| *number));
    assert_eq!(direction.counters.reordered, 0);
    let delays: Vec<f64> = out
        .iter()
        .map(|(at, number)| (at - number * gap) as f64 / PS_PER_MS as f64)
        .collect();
    let min = delays.iter().copied().fold(f64::MAX, f64::min);
    let max = delays.iter().copied().fold(0.0, f64::max);
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    assert!((40.0..43.0).contains(&min), "{min}");
    assert!((57.0..60.0).contains(&max), "{max}");
    assert!((48.0..52.0).contains(&mean), "{mean}");
}

#[test]
fn jitter_with_reordering_spreads_evenly_and_reorders() {
    let mut direction = link(DirectionSpec {
        delay_ps: 50 * PS_PER_MS,
        jitter_ps: 10 * PS_PER_MS,
        jitter_reorders: true,
        ..DirectionSpec::default()
    });
    let gap = PS_PER_MS;
    let out = play(&mut direction, 50_000, gap);
    let late = out
        .iter()
        .filter(|(at, number)| at - number * gap > 55 * PS_PER_MS)
        .count();
    assert!((12_000..13_000).contains(&late), "{late}");
    assert!(direction.counters.reordered > 20_000);
}

#[test]
fn the_asked_share_is_reordered_and_no_more() {
    let mut direction = link(DirectionSpec {
        delay_ps: 20 * PS_PER_MS,
        reorder: 0.01,
        reorder_by_ps: PS_PER_MS,
        ..DirectionSpec::default()
    });
    play(&mut direction, 100_000, 12 * PS_PER_US);
    let reordered = direction.counters.reordered;
    assert!((900..1_100).contains(&reordered), "{reordered}");
}

#[test]
fn the_asked_share_is_duplicated_and_corrupted() {
    let mut direction = link(DirectionSpec {
        duplicate: 0.02,
        corrupt: 0.05,
        ..DirectionSpec::default()
    });
    for index in 0..50_000 {
        direction.offer(index, &frame(7));
    }
    let mut damaged = 0;
    let mut came = 0;
    while let Some(packet) = direction.pop(u64::MAX) {
        came += 1;
        damaged += u64::from(packet.as_ref() != frame(7));
    }
    assert_eq!(came, 50_000 + direction.counters.duplicated);
    assert!((900..1_100).contains(&direction.counters.duplicated));
    assert_eq!(damaged, direction.counters.corrupted);
    assert!((2_350..2_750).contains(&damaged), "{damaged}");
}

#[test]
fn packets_beyond_the_mtu_vanish() {
    let mut direction = link(DirectionSpec {
        mtu: 1400,
        ..DirectionSpec::default()
    });
    direction.offer(0, &vec![0; 1414]);
    direction.offer(0, &vec![0; 1415]);
    assert_eq!(direction.counters.dropped_by_mtu, 1);
    assert_eq!(
        direction.pop(0).map(|packet| packet.as_ref().len()),
        Some(1414)
    );
}

#[test]
fn lateness_is_the_emulators_or_the_hosts() {
    let mut direction = link(DirectionSpec::default());
    for (number, (late_us, held)) in [(400, false), (1500, false), (9000, true)]
        .into_iter()
        .enumerate()
    {
        let at = number as u64 * SECOND;
        direction.offer(at, &frame(0));
        let packet = direction.pop(at).expect("due");
        direction.sent(packet, at + late_us * PS_PER_US, held);
    }
    let counters = &direction.counters;
    assert_eq!((counters.max_late_us, counters.max_held_us), (1500, 9000));
    assert_eq!((counters.late_packets, counters.delivered_packets), (1, 3));
    direction.counters.forget_peaks();
    assert_eq!(direction.counters.max_late_us, 0);
    assert_eq!(direction.counters.late_packets, 1);
}

#[test]
fn time_in_the_queue_is_what_stands_before_a_packet() {
    let mut direction = link(DirectionSpec {
        rate_bits_per_sec: 8 * MBIT,
        queue_bytes: 1 << 20,
        ..DirectionSpec::default()
    });
    play(&mut direction, 3, 0);
    // None, one and two frames of 1514 µs.
    assert_eq!(direction.counters.queued_us, 3 * FRAME as u64);
}

#[test]
fn buffers_made_ahead_are_for_all_that_a_full_link_holds() {
    let mut direction = link(DirectionSpec {
        rate_bits_per_sec: 8 * MBIT,
        queue_bytes: 10 * FRAME as u64,
        delay_ps: 10 * 1514 * PS_PER_US,
        ..DirectionSpec::default()
    });
    direction.prepare(FRAME);
    assert_eq!(direction.spare.len(), 20);
}

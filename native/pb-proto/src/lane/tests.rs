//! Two ends joined by a pipe with a delay. Networks worse than that are in `tests/sim.rs`.

use super::*;
use crate::cc::ControllerKind;
use crate::error::{Violation, close};
use crate::time::{MS, SECOND};
use crate::wire::frame::{Ack, AckCounts, Frame};
use crate::wire::header::{Header, Kind};
use std::collections::VecDeque;

const DELAY: u64 = 10 * MS;

/// Units of the same length, as many as are left.
struct Units {
    next: u32,
    end: u32,
    len: u32,
}

impl Feed for Units {
    fn next(&mut self) -> FeedNext {
        if self.next == self.end {
            return FeedNext::Idle;
        }
        self.next += 1;
        FeedNext::Unit {
            id: self.next - 1,
            len: self.len,
            sealed: true,
        }
    }
}

struct Pair {
    now: Instant,
    lanes: [Lane; 2],
    feeds: [Units; 2],
    wire: VecDeque<(Instant, usize, PacketPlan)>,
    events: [Vec<Event>; 2],
    /// Largest datagram that passes.
    mtu: u16,
}

impl Pair {
    fn new(change: impl Fn(&mut LaneConfig)) -> Pair {
        let now = Instant(SECOND);
        let lane = |client| {
            let mut config = LaneConfig::new(client, 0, 7, 1);
            config.max_datagram_size = 1472;
            change(&mut config);
            let mut lane = Lane::new(config, now);
            lane.set_grant(1 << 20);
            lane
        };
        let units = || Units {
            next: 0,
            end: 0,
            len: 1 << 16,
        };
        Pair {
            now,
            lanes: [lane(true), lane(false)],
            feeds: [units(), units()],
            wire: VecDeque::new(),
            events: [Vec::new(), Vec::new()],
            mtu: u16::MAX,
        }
    }

    fn transmit(&mut self, side: usize) {
        let mut out = Vec::new();
        loop {
            self.lanes[side].poll_transmit(self.now, &mut self.feeds[side], 40, 64 << 10, &mut out);
            if out.is_empty() {
                return;
            }
            assert!(
                out.windows(2).all(|w| w[0].size >= w[1].size),
                "a train of equal sizes"
            );
            let fits = out.drain(..).filter(|p| p.size <= self.mtu);
            self.wire
                .extend(fits.map(|p| (self.now.after(DELAY), 1 - side, p)));
        }
    }

    fn deliver(&mut self, to: usize, plan: &PacketPlan) -> Result<(), Violation> {
        let frames: &[u8] = match &plan.body {
            PlanBody::Frames(frames) => frames,
            PlanBody::Unit => &[],
        };
        let events = &mut self.events[to];
        self.lanes[to].on_packet(
            self.now,
            &plan.header,
            plan.size.into(),
            false,
            frames,
            events,
        )?;
        self.lanes[to].on_batch_end(self.now);
        Ok(())
    }

    fn run(&mut self, span: u64) {
        let end = self.now.after(span);
        let (mut before, mut turns) = (self.now, 0);
        loop {
            turns = if self.now > before { 0 } else { turns + 1 };
            before = self.now;
            assert!(turns < 100, "a timer that has passed and does nothing");
            self.transmit(0);
            self.transmit(1);
            let timers = self.lanes.iter().filter_map(Lane::next_timeout);
            let next = timers
                .chain(self.wire.front().map(|w| w.0))
                .min()
                .unwrap_or(end);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            while self.wire.front().is_some_and(|w| w.0 <= self.now) {
                let (_, to, plan) = self.wire.pop_front().unwrap();
                self.deliver(to, &plan).unwrap();
            }
            for side in 0..2 {
                self.lanes[side].on_timeout(self.now, &mut self.events[side]);
            }
        }
    }

    fn count(&self, side: usize, event: impl Fn(&Event) -> bool) -> usize {
        self.events[side].iter().filter(|e| event(e)).count()
    }
}

fn up() -> Pair {
    let mut pair = Pair::new(|_| {});
    pair.run(SECOND);
    assert!(pair.lanes.iter().all(Lane::is_up));
    pair
}

#[test]
fn handshake_gives_grants_limits_and_a_round_trip() {
    let pair = up();
    for side in 0..2 {
        assert_eq!(pair.count(side, |e| *e == Event::HandshakeDone), 1);
        assert!(pair.count(side, |e| *e == Event::PeerGrant(1 << 20)) >= 1);
    }
    assert_eq!(pair.count(1, |e| *e == Event::PathValidated), 1);
    let sample = pair.lanes[0].sample(pair.now);
    assert_eq!((sample.min_rtt_ns, sample.datagram_size), (2 * DELAY, 1472));
}

#[test]
fn units_cross_and_lanes_end() {
    let mut pair = up();
    pair.feeds[0].end = 300;
    pair.feeds[1].end = 20;
    pair.run(5 * SECOND);
    assert_eq!(pair.count(0, |e| matches!(e, Event::UnitAcked(_))), 300);
    assert_eq!(pair.count(1, |e| matches!(e, Event::UnitAcked(_))), 20);
    let sample = pair.lanes[0].sample(pair.now);
    assert_eq!(
        (
            sample.bytes_retransmitted,
            sample.bytes_in_flight,
            sample.packets_lost
        ),
        (0, 0, 0)
    );
    pair.lanes.iter_mut().for_each(Lane::finish);
    pair.run(SECOND);
    assert!(pair.lanes.iter().all(Lane::is_closed));
    assert_eq!(pair.count(0, |e| *e == Event::LaneDone), 1);
}

#[test]
fn an_ack_of_what_was_not_sent_closes() {
    for skipped in [false, true] {
        let mut pair = up();
        pair.feeds[0].end = 2000;
        pair.run(3 * SECOND);
        let largest = if skipped {
            pair.lanes[1].largest_received().unwrap()
        } else {
            1 << 20
        };
        let mut frames = Vec::new();
        Frame::Ack(Ack::everything(largest, AckCounts::default())).encode(&mut frames);
        let header = Header {
            packet_number: 1 << 20,
            ..blank_control()
        };
        let plan = PacketPlan {
            header,
            size: (frames.len() + 48) as u16,
            body: PlanBody::Frames(frames),
        };
        assert!(
            matches!(pair.deliver(0, &plan), Err(Violation::AckOfUnsent(_))),
            "skipped: {skipped}"
        );
    }
}

fn blank_control() -> Header {
    Header {
        kind: Kind::Control,
        key_phase: false,
        clear: false,
        lane: 0,
        payload_len: 0,
        connection_id: 7,
        packet_number: 0,
        unit: 0,
        offset: 0,
        unit_len: 0,
    }
}

#[test]
fn a_replayed_packet_changes_nothing() {
    let mut pair = up();
    pair.feeds[0].end = 1;
    pair.transmit(0);
    let plans: Vec<_> = pair.wire.iter().map(|w| w.2.clone()).collect();
    pair.run(SECOND);
    let before = pair.lanes[1].sample(pair.now).packets_received;
    for plan in &plans {
        assert!(!pair.lanes[1].would_accept(plan.header.packet_number));
        pair.deliver(1, plan).unwrap();
    }
    assert_eq!(pair.lanes[1].sample(pair.now).packets_received, before);
}

#[test]
fn without_an_answer_the_client_gives_up_after_three_seconds() {
    let mut pair = Pair::new(|_| {});
    pair.mtu = 0;
    pair.run(2 * SECOND);
    assert!(!pair.lanes[0].is_closed());
    pair.run(2 * SECOND);
    assert_eq!(
        pair.count(0, |e| matches!(
            e,
            Event::Closed {
                code: close::HANDSHAKE,
                ..
            }
        )),
        1
    );
}

#[test]
fn a_silent_peer_is_given_up_after_the_idle_timeout() {
    let mut pair = up();
    pair.mtu = 0;
    pair.run(IDLE_TIMEOUT - SECOND);
    assert!(!pair.lanes[0].is_closed());
    pair.run(2 * SECOND);
    assert_eq!(
        pair.count(0, |e| matches!(
            e,
            Event::Closed {
                code: close::IDLE,
                ..
            }
        )),
        1
    );
}

#[test]
fn keepalives_hold_an_idle_lane() {
    let mut pair = up();
    pair.run(2 * IDLE_TIMEOUT);
    assert!(!pair.lanes[0].is_closed() && !pair.lanes[1].is_closed());
}

#[test]
fn a_close_reaches_the_peer() {
    let mut pair = up();
    pair.lanes[0].close(pair.now, 0x101, "enough");
    pair.run(SECOND);
    assert_eq!(
        pair.count(1, |e| *e
            == Event::Closed {
                code: 0x101,
                reason: "enough".into()
            }),
        1
    );
    assert!(pair.lanes.iter().all(Lane::is_closed));
}

#[test]
fn an_unproven_address_gets_three_times_its_bytes() {
    let mut pair = Pair::new(|_| {});
    pair.feeds[1].end = 100;
    pair.transmit(0);
    let (_, _, hello) = pair.wire.pop_front().unwrap();
    pair.deliver(1, &hello).unwrap();
    for _ in 0..50 {
        pair.transmit(1);
        pair.now = pair.now.after(50 * MS);
        pair.lanes[1].on_timeout(pair.now, &mut pair.events[1]);
    }
    let sent: u64 = pair.wire.iter().map(|w| u64::from(w.2.size)).sum();
    assert!(sent > 1200 && sent <= 3600, "{sent}");
}

#[test]
fn a_lane_that_may_not_send_sleeps() {
    let mut pair = Pair::new(|_| {});
    pair.feeds[1].end = 100;
    pair.transmit(0);
    let (_, _, hello) = pair.wire.pop_front().unwrap();
    pair.deliver(1, &hello).unwrap();
    pair.mtu = 0;
    pair.lanes[0].close(pair.now, 0, "");
    pair.run(IDLE_TIMEOUT + 10 * SECOND);
    assert_eq!(
        pair.count(1, |e| matches!(
            e,
            Event::Closed {
                code: close::IDLE,
                ..
            }
        )),
        1
    );
}

#[test]
fn a_moved_peer_is_challenged() {
    let mut pair = up();
    pair.feeds[0].end = 50;
    pair.lanes[1].challenge(pair.now, *b"12345678", 1200);
    pair.run(SECOND);
    assert_eq!(pair.count(1, |e| *e == Event::PathValidated), 2);
    assert_eq!(pair.count(0, |e| matches!(e, Event::UnitAcked(_))), 50);
}

#[test]
fn an_address_that_never_answers_is_abandoned() {
    let mut pair = up();
    pair.mtu = 0;
    pair.lanes[1].challenge(pair.now, *b"12345678", 1200);
    pair.run(4 * SECOND);
    assert_eq!(pair.count(1, |e| *e == Event::PathAbandoned), 1);
}

#[test]
fn keys_rotate_and_only_once_per_confirmed_phase() {
    let mut pair = Pair::new(|c| c.rekey_after = Some(1000));
    pair.feeds[0].end = 300;
    pair.run(20 * SECOND);
    let phases: Vec<u32> = pair.events[0]
        .iter()
        .filter_map(|e| {
            if let Event::RotateSendKey { phase } = e {
                Some(*phase)
            } else {
                None
            }
        })
        .collect();
    assert!(phases.len() >= 5, "{phases:?}");
    assert!(phases.iter().enumerate().all(|(i, &p)| p == i as u32 + 1));
}

#[test]
fn a_known_path_is_started_at_half_its_rate() {
    let start = |hint| {
        let mut pair = Pair::new(|c| c.path_hint = hint);
        pair.feeds[0].end = 100;
        pair.run(3 * DELAY);
        pair.lanes[0].sample(pair.now).bytes_in_flight
    };
    let rate = 50_000_000;
    let warm = start(Some(PathHint {
        min_rtt: 2 * DELAY,
        rate,
    }));
    assert!(start(None) < 50_000);
    assert!(
        (300_000..=rate * 2 * DELAY / SECOND).contains(&warm),
        "{warm}"
    );
}

#[test]
fn an_outage_ends_in_a_small_window_and_is_repaired() {
    let mut pair = Pair::new(|c| c.controller = ControllerKind::Cubic);
    pair.feeds[0].end = 2000;
    pair.run(SECOND / 5);
    let before = pair.lanes[0].sample(pair.now).congestion_window;
    pair.mtu = 0;
    pair.run(5 * SECOND);
    pair.mtu = u16::MAX;
    let mut smallest = before;
    for _ in 0..4000 {
        pair.run(DELAY / 20);
        smallest = smallest.min(pair.lanes[0].sample(pair.now).congestion_window);
    }
    assert!(
        smallest <= 2 * 1472,
        "persistent congestion (RFC 9002 section 7.6): {smallest} of {before}"
    );
    pair.run(20 * SECOND);
    assert_eq!(pair.count(0, |e| matches!(e, Event::UnitAcked(_))), 2000);
}

#[test]
fn small_growth_of_a_grant_is_told_too() {
    let mut pair = up();
    pair.lanes[1].set_grant((1 << 20) + 1);
    pair.run(100 * MS);
    assert_eq!(pair.count(0, |e| *e == Event::PeerGrant((1 << 20) + 1)), 1);
}

#[test]
fn a_path_that_shrinks_is_a_black_hole_no_longer_than_a_few_probes() {
    let mut pair = up();
    pair.mtu = 1300;
    pair.feeds[0].end = 100;
    pair.run(10 * SECOND);
    assert_eq!(pair.count(0, |e| matches!(e, Event::UnitAcked(_))), 100);
    assert_eq!(pair.lanes[0].sample(pair.now).datagram_size, 1280);
}

#[test]
fn packets_the_kernel_refuses_are_sent_smaller() {
    let mut pair = up();
    pair.feeds[0].end = 10;
    pair.mtu = 1400;
    pair.transmit(0);
    pair.lanes[0].on_datagram_too_large(pair.now, 1401);
    pair.run(SECOND);
    assert_eq!(pair.count(0, |e| matches!(e, Event::UnitAcked(_))), 10);
    let sample = pair.lanes[0].sample(pair.now);
    assert_eq!((sample.packets_lost, sample.datagram_size), (0, 1400));
}

#[test]
fn a_driver_slower_than_the_path_is_what_limits() {
    let mut pair = Pair::new(|c| c.controller = ControllerKind::Fixed(1_000_000_000));
    pair.run(SECOND);
    pair.feeds[0].end = 100;
    let lane = &mut pair.lanes[0];
    lane.limited.by = LimitedBy::Congestion;
    let before = lane.sample(pair.now).limited;
    for _ in 0..100 {
        lane.poll_transmit(pair.now, &mut pair.feeds[0], 1, 64 << 10, &mut Vec::new());
        pair.now = pair.now.after(MS / 10);
    }
    let after = lane.sample(pair.now).limited;
    assert_eq!(after.cpu_ns - before.cpu_ns, 100 * MS / 10, "{after:?}");
}

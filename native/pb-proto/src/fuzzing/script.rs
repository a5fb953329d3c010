//! Bytes as a script for a lane: a hostile peer, an impatient driver and time, in any order.

use crate::cc::ControllerKind;
use crate::lane::{Event, Feed, FeedNext, Lane, LaneConfig, PacketPlan};
use crate::time::{Instant, MS};
use crate::units::MAX_UNIT;
use crate::wire::frame::{AckCounts, Frame, Hello, put_ack};
use crate::wire::header::{Header, Kind, OVERHEAD};

/// Units without end.
struct Endless {
    next: u32,
    len: u32,
}

impl Feed for Endless {
    fn next(&mut self) -> FeedNext {
        self.next += 1;
        match self.next % 16 {
            13 => FeedNext::Idle,
            14 => FeedNext::NoCredit,
            15 => FeedNext::Limited { retry: MS },
            _ => FeedNext::Unit {
                id: self.next,
                len: self.len,
                sealed: true,
            },
        }
    }
}

struct Player<'a> {
    lane: Lane,
    feed: Endless,
    now: Instant,
    /// The next number of the peer's packets.
    number: u64,
    plans: Vec<PacketPlan>,
    events: Vec<Event>,
    /// Numbers that the lane has sent, in order.
    sent: Vec<u64>,
    script: &'a [u8],
}

/// Plays a script. The lane must neither panic nor send more than its window and probes allow.
pub fn lane(script: &[u8]) {
    let Some((&setup, script)) = script.split_first() else {
        return;
    };
    let now = Instant(MS);
    let mut config = LaneConfig::new(setup & 1 == 0, 0, 1, setup.into());
    config.controller = match setup >> 1 & 3 {
        0 => ControllerKind::Cubic,
        1 => ControllerKind::Fixed(1 << 24),
        _ => ControllerKind::Bbr,
    };
    config.rekey_after = (setup & 8 != 0).then_some(20);
    let mut lane = Lane::new(config, now);
    lane.set_grant(1 << 20);
    let feed = Endless {
        next: 0,
        len: 1 + u32::from(setup) * 100,
    };
    let (plans, events, sent) = (Vec::new(), Vec::new(), Vec::new());
    let mut player = Player {
        lane,
        feed,
        now,
        number: 0,
        plans,
        events,
        sent,
        script,
    };
    player.shake_hands(setup & 1 == 0);
    while player.step().is_some() {}
}

impl Player<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.script.split_first()?;
        self.script = rest;
        Some(first)
    }

    fn shake_hands(&mut self, client: bool) {
        self.poll(4);
        let mut frames = Vec::new();
        if client {
            let Some(plan) = self.plans.first() else {
                return;
            };
            let crate::lane::PlanBody::Frames(hello) = &plan.body else {
                return;
            };
            let mut challenge = [0; 8];
            challenge.copy_from_slice(&hello[1..9]);
            Frame::PathResponse(challenge).encode(&mut frames);
        }
        let hello = Hello {
            challenge: [7; 8],
            lanes: 1,
            max_datagram: 9000,
            grant: 1 << 24,
        };
        Frame::Hello(hello).encode(&mut frames);
        frames.resize(1152, 0);
        self.deliver(
            if client { Kind::HelloAck } else { Kind::Hello },
            &frames,
            |_| {},
        );
    }

    fn step(&mut self) -> Option<()> {
        match self.byte()? % 10 {
            0 => self.wait()?,
            1 => {
                let max = self.byte()?;
                self.poll(usize::from(max % 50) + 1);
            }
            2 => self.ack()?,
            3 => self.raw_frames()?,
            4 => self.data()?,
            5 => self.number += u64::from(self.byte()?) << 8,
            6 => {
                let size = u16::from(self.byte()?) << 8;
                self.lane.on_datagram_too_large(self.now, size);
            }
            7 => self.lane.challenge(self.now, [9; 8], 100),
            8 => {
                let grant = u64::from(self.byte()?) << 16;
                self.lane.set_grant(grant);
            }
            _ => self.end()?,
        }
        self.lane.on_batch_end(self.now);
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        match self.byte()? {
            0..16 => self.lane.close(self.now, 1, "script"),
            16..64 => self.lane.finish(),
            drops => self.lane.socket_drops(drops.into()),
        }
        Some(())
    }

    fn wait(&mut self) -> Option<()> {
        let span = u64::from(self.byte()?);
        self.now = self.now.after(span * span * MS / 64);
        self.lane.on_timeout(self.now, &mut self.events);
        Some(())
    }

    fn poll(&mut self, max: usize) {
        self.plans.clear();
        self.lane
            .poll_transmit(self.now, &mut self.feed, max, 64 << 10, &mut self.plans);
        assert!(self.plans.len() <= max.max(1));
        for plan in &self.plans {
            assert_eq!(plan.header.check_datagram(plan.size.into()), Ok(()));
            assert!(
                plan.header.kind != Kind::Data
                    || plan
                        .header
                        .check_data(plan.header.payload_len.into())
                        .is_ok()
            );
            assert!(
                self.sent
                    .last()
                    .is_none_or(|&last| last < plan.header.packet_number)
            );
            self.sent.push(plan.header.packet_number);
        }
        let sample = self.lane.sample(self.now);
        assert!(sample.bytes_in_flight <= sample.bytes_sent);
    }

    /// Acknowledges packets that were sent, from `back` behind the newest on, in runs with gaps.
    fn ack(&mut self) -> Option<()> {
        let (back, run, gap) = (self.byte()?, self.byte()?, self.byte()?);
        let end = self.sent.len().saturating_sub(usize::from(back));
        let mut acked = crate::range_set::RangeSet::new();
        for (at, &number) in self.sent[..end].iter().rev().take(512).enumerate() {
            if at % (usize::from(run) + usize::from(gap) + 1) <= usize::from(run) {
                acked.insert_range(number, number, |_, _| {});
            }
        }
        let mut frames = Vec::new();
        let counts = AckCounts {
            delay_us: u64::from(gap) * 100,
            ecn_ce: u64::from(run / 64),
            ..AckCounts::default()
        };
        put_ack(&mut frames, counts, acked.newest_first());
        self.deliver(Kind::Control, &frames, |_| {});
        Some(())
    }

    fn raw_frames(&mut self) -> Option<()> {
        let len = usize::from(self.byte()?).min(self.script.len());
        let (frames, rest) = self.script.split_at(len);
        self.script = rest;
        self.deliver(Kind::Control, frames, |_| {});
        Some(())
    }

    fn data(&mut self) -> Option<()> {
        let (offset, len) = (u32::from(self.byte()?) << 13, u16::from(self.byte()?) << 3);
        let unit_len = MAX_UNIT;
        let place = |header: &mut Header| {
            (
                header.unit,
                header.offset,
                header.unit_len,
                header.payload_len,
            ) = (3, offset, unit_len, len);
        };
        self.deliver(Kind::Data, &[], place);
        Some(())
    }

    fn deliver(&mut self, kind: Kind, frames: &[u8], change: impl Fn(&mut Header)) {
        let mut header = Header {
            kind,
            key_phase: false,
            clear: false,
            lane: 0,
            payload_len: frames.len() as u16,
            connection_id: 1,
            packet_number: self.number,
            unit: 0,
            offset: 0,
            unit_len: 0,
        };
        change(&mut header);
        self.number += 1;
        let size = usize::from(header.payload_len) + OVERHEAD;
        let taken = self
            .lane
            .on_packet(self.now, &header, size, false, frames, &mut self.events);
        assert!(
            self.lane.is_closed() || !self.lane.would_accept(header.packet_number),
            "a replay must be seen"
        );
        if taken.is_err() {
            self.lane
                .close(self.now, crate::error::close::PROTOCOL, "violation");
        }
        self.events.clear();
    }
}

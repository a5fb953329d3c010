//! The state machine of one UDP lane: what docs/PROTOCOL.md asks of a sender and a receiver, without sockets and
//! without a clock.
//!
//! A driver owns the socket and the keys. In a loop it
//! 1. hands in what arrived: [`Lane::would_accept`], open the packet, [`Lane::on_packet`]; after each receive batch
//!    [`Lane::on_batch_end`];
//! 2. calls [`Lane::on_timeout`] when [`Lane::next_timeout`] has passed;
//! 3. calls [`Lane::poll_transmit`] until it plans nothing, and seals and sends each plan;
//! 4. sleeps until [`Lane::next_timeout`], a packet, or new units.

mod ack;
pub mod config;
mod control;
mod data;
mod handshake;
mod input;
mod outbox;
mod packet;
mod rate;
mod receive;
mod recovery;
mod repairs;
mod replay;
mod rtt;
mod sent;
#[cfg(test)]
mod tests;
mod timeout;
mod transmit;

pub use config::{Event, Feed, FeedNext, IDLE_TIMEOUT, LaneConfig, PacketPlan, PathHint, PlanBody};
pub use replay::REPLAY_WINDOW;

use crate::cc::{self, Controller};
use crate::mtud::Mtud;
use crate::pacer::Pacer;
use crate::rng::Rng;
use crate::sample::{LimitedBy, LimitedTimes, PathSample};
use crate::time::{Instant, Nanos};
use control::Control;
use handshake::Handshake;
use outbox::Outbox;
use rate::RateSampler;
use receive::Receiver;
use recovery::Recovery;
use rtt::Rtt;
use sent::SentRing;

/// One end of a lane.
pub struct Lane {
    config: LaneConfig,
    handshake: Handshake,
    control: Control,
    rx: Receiver,
    sent: SentRing,
    outbox: Outbox,
    rtt: Rtt,
    rate: RateSampler,
    recovery: Recovery,
    cc: Box<dyn Controller>,
    pacer: Pacer,
    mtud: Mtud,
    phase: Phase,
    rng: Rng,
    /// The next packet number to leave out.
    skip_at: u64,
    timers: Timers,
    counts: Counts,
    limited: Limited,
}

/// The sending key phase.
#[derive(Debug, Default)]
struct Phase {
    number: u32,
    /// First packet number of this phase.
    from: u64,
    /// A packet of this phase was acknowledged.
    confirmed: bool,
}

/// Points in time that are not derived from other state.
#[derive(Debug)]
struct Timers {
    /// A train may leave.
    pacing: Option<Instant>,
    /// The feed asked to be tried again.
    feed: Option<Instant>,
    /// Credit ran out not long before: what is sent again goes twice until then.
    eager_until: Option<Instant>,
    last_received: Instant,
    last_sent_eliciting: Instant,
}

/// Counters for samples.
#[derive(Debug, Default)]
struct Counts {
    packets_sent: u64,
    bytes_sent: u64,
    bytes_retransmitted: u64,
    bytes_probed: u64,
    packets_lost: u64,
    packets_spuriously_lost: u64,
    peer_socket_drops: u64,
    peer_ecn_ce: u64,
}

/// What holds the sender back, and since when.
#[derive(Debug)]
struct Limited {
    by: LimitedBy,
    since: Instant,
    times: LimitedTimes,
    /// Why the feed had nothing the last time that it had nothing.
    lull: LimitedBy,
}

impl Lane {
    /// A lane before its handshake. The client's first [`Lane::poll_transmit`] plans a HELLO; a server's lane begins
    /// when a HELLO for it has been opened, which is its first [`Lane::on_packet`].
    pub fn new(config: LaneConfig, now: Instant) -> Lane {
        let mut rng = Rng::new(config.seed);
        let mtud = Mtud::new(config.datagram_size, config.max_datagram_size);
        let hint = config.path_hint;
        let start = cc::Start {
            now,
            datagram: u64::from(mtud.size()),
            min_rtt: hint.map(|h| h.min_rtt),
            rate: hint.map(|h| h.rate),
            seed: rng.bits(),
        };
        let cc = cc::start(config.controller, start);
        let pacer = Pacer::new(now, cc.pacing_rate(), u64::from(mtud.size()));
        Lane {
            handshake: Handshake::new(config.client, now, rng.bits()),
            control: Control::default(),
            rx: Receiver::new(),
            sent: SentRing::default(),
            outbox: Outbox::default(),
            rtt: Rtt::new(hint.map(|h| h.min_rtt)),
            rate: RateSampler::new(now),
            recovery: Recovery::default(),
            cc,
            pacer,
            mtud,
            phase: Phase::default(),
            skip_at: rng.between(1, 2 * packet::MEAN_SKIP),
            rng,
            timers: Timers {
                pacing: None,
                feed: None,
                eager_until: None,
                last_received: now,
                last_sent_eliciting: now,
            },
            counts: Counts::default(),
            limited: Limited {
                by: LimitedBy::Application,
                since: now,
                times: LimitedTimes::default(),
                lull: LimitedBy::Application,
            },
            config,
        }
    }

    /// False for packets that were taken before and for numbers below the replay window: to be dropped before the tag
    /// is checked.
    pub fn would_accept(&self, packet_number: u64) -> bool {
        self.rx.replay.would_accept(packet_number)
    }

    /// The largest packet number taken so far: only a packet above it may move the path to another address.
    pub fn largest_received(&self) -> Option<u64> {
        self.rx.replay.largest()
    }

    /// To be called after each receive batch: decides whether an ACK is due at once.
    pub fn on_batch_end(&mut self, _now: Instant) {
        self.rx.on_batch_end();
    }

    /// The newest cumulative grant of this side. The first call, before the handshake, gives the whole budget.
    pub fn set_grant(&mut self, grant: u64) {
        self.control.grant.set(grant);
    }

    /// The kernel's count of datagrams dropped before they were read (SO_RXQ_OVFL), since the socket was opened.
    pub fn socket_drops(&mut self, total: u32) {
        self.rx.socket_drops = self.rx.socket_drops.max(u64::from(total));
    }

    /// The kernel refused a datagram of `size` bytes (EMSGSIZE). What was sent larger is sent again in smaller packets,
    /// and congestion control does not hear of it.
    pub fn on_datagram_too_large(&mut self, now: Instant, size: u16) {
        if self.mtud.on_too_large(now, size) {
            self.datagram_changed(now);
        }
        self.withdraw_larger_than(now, size);
    }

    /// The peer was heard from another address, to which the driver sends from now on: nothing more than three times
    /// what comes from there leaves until it has answered with these random bytes. `datagram` is the size of the packet
    /// that came, already given to [`Lane::on_packet`]. [`Event::PathValidated`] or [`Event::PathAbandoned`] follows.
    pub fn challenge(&mut self, now: Instant, data: [u8; 8], datagram: usize) {
        self.handshake.challenge(now, data, datagram as u64);
    }

    /// Pulls no more units; says LANE_DONE when all that were pulled are acknowledged. [`Lane::is_closed`] becomes
    /// true when both sides are done.
    pub fn finish(&mut self) {
        self.control.finishing = true;
    }

    /// Ends the lane now: CLOSE leaves a few times, then [`Lane::is_closed`] is true. No event follows.
    pub fn close(&mut self, now: Instant, code: u64, reason: &str) {
        self.control.close(now, code, reason);
    }

    /// Nothing more will be sent or accepted.
    pub fn is_closed(&self) -> bool {
        self.control.is_closed()
    }

    /// Both sides have said LANE_DONE, and ours was acknowledged: nothing can be missing any more. The lane stays for a
    /// few probe timeouts to answer a peer that has not heard.
    pub fn is_done(&self) -> bool {
        self.control.linger_until.is_some()
    }

    /// The handshake is over.
    pub fn is_up(&self) -> bool {
        self.handshake.is_up()
    }

    /// Ids of the units pulled and not acknowledged.
    pub fn unfinished(&self) -> Vec<u32> {
        self.outbox.unfinished()
    }

    /// The shortest round trip so far, or of an earlier session; `None`: not known yet.
    pub fn min_rtt(&self) -> Option<Nanos> {
        self.rtt.min
    }

    /// A sample of the path as it is now.
    pub fn sample(&self, now: Instant) -> PathSample {
        let mut limited = self.limited.times;
        limited.add(self.limited.by, now.since(self.limited.since));
        PathSample {
            lane: self.config.lane,
            min_rtt_ns: self.rtt.min.unwrap_or(0),
            smoothed_rtt_ns: if self.rtt.min.is_some() {
                self.rtt.smoothed
            } else {
                0
            },
            rtt_var_ns: if self.rtt.min.is_some() {
                self.rtt.var
            } else {
                0
            },
            delivery_rate: self.rate.latest,
            path_rate: self.cc.path_rate().unwrap_or(0),
            warm: self.cc.is_warm(),
            pacing_rate: self.pacer.rate(),
            bytes_in_flight: self.sent.in_flight,
            congestion_window: self.cc.window(),
            packets_sent: self.counts.packets_sent,
            packets_received: self.rx.packets,
            packets_lost: self.counts.packets_lost,
            packets_spuriously_lost: self.counts.packets_spuriously_lost,
            packets_reordered: self.rx.reordered,
            bytes_sent: self.counts.bytes_sent,
            bytes_received: self.rx.bytes,
            bytes_retransmitted: self.counts.bytes_retransmitted,
            bytes_probed: self.counts.bytes_probed,
            peer_socket_drops: self.counts.peer_socket_drops,
            ecn_ce: self.counts.peer_ecn_ce,
            datagram_size: u32::from(self.mtud.size()),
            limited_by: self.limited.by,
            limited,
            phase: self.cc.phase(),
        }
    }

    /// The datagram size changed: everything that counts in datagrams hears of it.
    fn datagram_changed(&mut self, now: Instant) {
        self.cc.set_datagram(u64::from(self.mtud.size()));
        self.update_pacer(now);
    }

    fn update_pacer(&mut self, now: Instant) {
        self.pacer.update(
            now,
            self.cc.pacing_rate(),
            u64::from(self.mtud.size()),
            self.rtt.min,
        );
    }
}

//! Loss detection: RACK (RFC 8985) with packet numbers instead of sequence numbers, probe timeouts (RFC 9002), and
//! what a declared loss does.

use super::Lane;
use super::rtt::{GRANULARITY, Rtt};
use super::sent::{Fate, SentPacket, content};
use crate::cc::LostPacket;
use crate::range_set::RangeSet;
use crate::time::{Instant, Nanos};

/// A packet this many bytes of others overtook counts as lost: one GSO train, which NICs may reorder within.
const REORDER_BYTES: u64 = 64 << 10;
/// ... and at least so many packets (RFC 9002 section 6.1.1).
const REORDER_PACKETS: u64 = 3;
/// Widest packet threshold, once reordering was seen.
const MAX_REORDER_PACKETS: u64 = 8192;
/// The reordering window beyond one round trip, in eighths of it: from 9/8 up to 2 round trips.
const MIN_STEPS: u64 = 1;
const MAX_STEPS: u64 = 8;
/// Loss episodes without a spurious one after which the window shrinks again (RFC 8985 section 6.2).
const STEPS_KEPT: u32 = 16;
/// Round trips without delivery that are persistent congestion (RFC 9002 section 7.6.1).
const PERSISTENT_PTOS: u64 = 3;

/// State of loss detection.
#[derive(Debug)]
pub struct Recovery {
    pub largest_acked: Option<u64>,
    /// Numbers acknowledged, above the ring's base.
    pub acked: RangeSet,
    /// When the oldest outstanding packet counts as lost by time.
    pub loss_at: Option<Instant>,
    pub pto_count: u32,
    /// Packets that may leave beyond the window.
    pub probes: u32,
    steps: u64,
    steps_kept: u32,
    packets: u64,
    /// The steps grow once a round: not for packets below this number.
    grown_at: u64,
    /// Packets of the last reduction that are still believed lost; first and last number of them.
    episode: Episode,
    pub scratch: Vec<(u64, u64)>,
    lost: Vec<(u64, SentPacket)>,
}

/// The losses since the last time that the window was reduced.
#[derive(Debug, Default)]
struct Episode {
    from: u64,
    to: u64,
    believed: u32,
}

impl Default for Recovery {
    fn default() -> Recovery {
        Recovery {
            largest_acked: None,
            acked: RangeSet::new(),
            loss_at: None,
            pto_count: 0,
            probes: 0,
            steps: MIN_STEPS,
            steps_kept: 0,
            packets: REORDER_PACKETS,
            grown_at: 0,
            episode: Episode::default(),
            scratch: Vec::new(),
            lost: Vec::new(),
        }
    }
}

impl Recovery {
    /// Time after its sending at which a packet counts as lost, when a later one was acknowledged.
    fn delay(&self, rtt: &Rtt) -> Nanos {
        let rtt = rtt.smoothed.max(rtt.latest);
        (rtt * (8 + self.steps) / 8).max(rtt + GRANULARITY)
    }

    fn packet_threshold(&self, datagram: u64) -> u64 {
        self.packets.max(REORDER_BYTES / datagram.max(1))
    }

    /// A packet declared lost was acknowledged: more patience from now on. True when nothing of the last episode is
    /// believed lost any more.
    pub fn on_spurious(&mut self, number: u64, largest: u64, next: u64) -> bool {
        self.packets = self
            .packets
            .max(largest.saturating_sub(number) + 1)
            .min(MAX_REORDER_PACKETS);
        self.steps_kept = STEPS_KEPT;
        if number >= self.grown_at {
            self.steps = (self.steps + 1).min(MAX_STEPS);
            self.grown_at = next;
        }
        let inside = number >= self.episode.from && number <= self.episode.to;
        if !inside || self.episode.believed == 0 {
            return false;
        }
        self.episode.believed -= 1;
        self.episode.believed == 0
    }

    /// Counts a loss into its episode; packets sent after the episode began being repaired start a new one.
    fn on_lost(&mut self, number: u64, next: u64) {
        if number > self.episode.to {
            self.episode = Episode {
                from: number,
                to: next - 1,
                believed: 0,
            };
            self.steps_kept = self.steps_kept.saturating_sub(1);
            if self.steps_kept == 0 {
                (self.steps, self.packets) = (MIN_STEPS, REORDER_PACKETS);
            }
        }
        self.episode.believed += 1;
    }
}

impl Lane {
    /// Declares losses and repairs them. Returns the bytes lost, as congestion control counts them.
    pub(super) fn detect_losses(&mut self, now: Instant) -> u64 {
        self.recovery.loss_at = None;
        let Some(largest) = self.recovery.largest_acked else {
            return 0;
        };
        let delay = self.recovery.delay(&self.rtt);
        let threshold = self.recovery.packet_threshold(u64::from(self.mtud.size()));
        let mut lost = std::mem::take(&mut self.recovery.lost);
        let mut run = Run::default();
        while let Some((number, packet, passed_acked)) = self.sent.oldest_outstanding() {
            if number >= largest {
                break;
            }
            let lost_at = packet.sent_at.after(delay);
            if now < lost_at && largest - number < threshold {
                self.recovery.loss_at = Some(lost_at);
                break;
            }
            run.add(&packet, passed_acked);
            self.sent.settle(number, Fate::Lost);
            lost.push((number, packet));
        }
        let bytes = self.on_losses(now, &lost, run.longest);
        lost.clear();
        self.recovery.lost = lost;
        bytes
    }

    fn on_losses(&mut self, now: Instant, lost: &[(u64, SentPacket)], span: Nanos) -> u64 {
        let before = self.rate.lost;
        let mut suspicious = false;
        for (number, packet) in lost {
            self.repair(now, packet);
            if !packet.is_counted() {
                continue;
            }
            suspicious |= self.mtud.is_suspicious(*number, packet.size);
            self.counts.packets_lost += 1;
            self.rate.lost += u64::from(packet.size);
            self.recovery.on_lost(*number, self.sent.next_number());
            let loss = self.lost_packet(*number, packet);
            self.cc.on_lost(now, &loss);
        }
        if suspicious && self.mtud.on_suspicious_episode(now) {
            self.datagram_changed(now);
        }
        if span > PERSISTENT_PTOS * self.rtt.pto() && self.rtt.min.is_some() {
            self.cc.on_persistent_congestion(now);
        }
        self.rate.lost - before
    }

    fn lost_packet(&self, number: u64, packet: &SentPacket) -> LostPacket {
        LostPacket {
            number,
            size: u64::from(packet.size),
            sent_at: packet.sent_at,
            tx_in_flight: packet.in_flight,
            lost_since: self.rate.lost - packet.lost,
            prior_delivered: packet.delivered,
            app_limited: packet.carries(content::APP_LIMITED),
        }
    }

    /// Sends again what a packet carried, as far as it still matters.
    fn repair(&mut self, now: Instant, packet: &SentPacket) {
        if packet.carries(content::UNIT) {
            self.outbox
                .lost(packet.unit, packet.offset, u32::from(packet.len));
        }
        if packet.carries(content::GRANT) {
            self.control.grant.lost();
        }
        if packet.carries(content::LANE_DONE) && !self.control.done.acked {
            self.control.done.pending = true;
        }
        if packet.carries(content::HELLO_ACK) && !self.handshake.is_validated() {
            self.handshake.answer_again();
        }
        if packet.carries(content::MTU_PROBE) {
            self.mtud.on_probe_lost(now, packet.size);
        }
    }

    /// Packets that the kernel refused never were on the path: sent again, and nobody is blamed.
    pub(super) fn withdraw_larger_than(&mut self, now: Instant, size: u16) {
        let refused: Vec<_> = self
            .sent
            .outstanding()
            .filter(|(_, p)| p.size >= size)
            .map(|(n, p)| (n, *p))
            .collect();
        for (number, packet) in refused {
            self.sent.settle(number, Fate::Lost);
            self.repair(now, &packet);
        }
    }

    /// The probe timeout passed: some packets may leave beyond the window, with what is oldest and unanswered, and a
    /// PING, which is small enough for any path.
    pub(super) fn on_probe_timeout(&mut self, now: Instant) {
        self.recovery.pto_count += 1;
        // The end of a transfer: what the packet threshold could not show lost needs no second round trip.
        let tail = self.recovery.pto_count == 1 && self.sent.in_flight <= REORDER_BYTES;
        let probes = if tail { self.sent.outstanding } else { PROBES };
        self.recovery.probes = probes as u32;
        let unanswered = self
            .sent
            .outstanding()
            .map(|(_, p)| *p)
            .filter(SentPacket::is_counted);
        let oldest: Vec<SentPacket> = unanswered.take(probes as usize).collect();
        for packet in &oldest {
            self.repair(now, packet);
        }
        self.control.ping = true;
    }

    /// When the probe timeout passes. Not while nothing may be sent: that would only count up.
    pub(super) fn probe_timeout_at(&self) -> Option<Instant> {
        if self.is_muted() || self.sent.outstanding == 0 || self.recovery.loss_at.is_some() {
            return None;
        }
        Some(
            self.timers
                .last_sent_eliciting
                .after(self.rtt.pto_backed_off(self.recovery.pto_count)),
        )
    }
}

/// Packets that a probe timeout lets go while more than a train is unanswered (RFC 9002 section 6.2.4).
const PROBES: u64 = 2;

/// The longest time between two lost packets with no delivery between them.
#[derive(Default)]
struct Run {
    start: Option<Instant>,
    longest: Nanos,
}

impl Run {
    fn add(&mut self, packet: &SentPacket, passed_acked: bool) {
        if passed_acked {
            self.start = None;
        }
        let start = *self.start.get_or_insert(packet.sent_at);
        self.longest = self.longest.max(packet.sent_at.since(start));
    }
}

//! One direction of a link: when each packet comes out, if at all. No I/O and no clock: `bench/netlab`'s emulator and the tests
//! drive it with the times they have.
//!
//! The order is netem's: loss, duplication and corruption are decided when a packet arrives, then comes the queue with its rate,
//! then delay, jitter and reordering.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::corrupt::{flip_bit, swap_words};
use crate::counters::Counters;
use crate::loss::Loss;
use crate::random::{Purpose, Random};
use crate::spec::DirectionSpec;

const BITS_PER_BYTE: u128 = 8;
const PS_PER_SEC: u128 = 1_000_000_000_000;
const PS_PER_US: u64 = 1_000_000;
/// Ethernet's header is not part of the MTU.
pub const ETHERNET: usize = 14;
/// In-order jitter moves between two random values in this many jitters: at most by half a nanosecond per nanosecond, so that
/// no packet can overtake another.
const WANDER: u64 = 4;

/// A departure later than this counts as late: 1 % of the bench's long round trip, and less than a disk or a scheduler may take on
/// an ordinary host.
const LATE_US: u64 = 1000;
/// Most bytes of buffers that are made ahead.
const MAX_PREPARED_BYTES: u64 = 512 << 20;

pub struct Direction {
    spec: DirectionSpec,
    pub counters: Counters,
    loss: Loss,
    jitter: Random,
    reorder: Random,
    duplicate: Random,
    corrupt: Random,
    /// When all that is in the queue has been sent.
    busy_until: u64,
    order: u64,
    newest_out: u64,
    /// Packets on their way.
    flying: BinaryHeap<Reverse<Packet>>,
    /// Buffers for the next packets.
    spare: Vec<Vec<u8>>,
}

/// A packet on its way; it comes out at `at`.
pub struct Packet {
    pub at: u64,
    order: u64,
    frame: Vec<u8>,
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Direction {
    pub fn new(spec: DirectionSpec) -> Direction {
        let random = |purpose| Random::new(spec.seed, purpose);
        Direction {
            counters: Counters::default(),
            loss: Loss::new(spec.seed, spec.loss, spec.mean_burst),
            jitter: random(Purpose::Jitter),
            reorder: random(Purpose::Reorder),
            duplicate: random(Purpose::Duplicate),
            corrupt: random(Purpose::Corrupt),
            busy_until: 0,
            order: 0,
            newest_out: 0,
            flying: BinaryHeap::new(),
            spare: Vec::new(),
            spec,
        }
    }

    /// Makes buffers for all that a full link of frames of `frame_bytes` holds. A buffer's first use costs a page fault, which takes
    /// milliseconds where the machine is itself a guest; meanwhile every packet would wait.
    pub fn prepare(&mut self, frame_bytes: usize) {
        let spec = &self.spec;
        let rate = u128::from(spec.rate_bits_per_sec);
        let flying_ps = u128::from(spec.delay_ps + spec.jitter_ps);
        let flying = rate * flying_ps / (BITS_PER_BYTE * PS_PER_SEC);
        let full = u64::try_from(flying).unwrap_or(u64::MAX).saturating_add(
            // Without a rate there is no queue.
            if rate == 0 { 0 } else { spec.queue_bytes },
        );
        let frames = full.min(MAX_PREPARED_BYTES) as usize / frame_bytes;
        self.flying.reserve(frames);
        // Not zeros: those come from the kernel without a page behind them.
        self.spare = (0..frames).map(|_| vec![0xA5; frame_bytes]).collect();
    }

    /// A packet arrives at `now`; times never go back. `frame`: from Ethernet's header on.
    pub fn offer(&mut self, now: u64, frame: &[u8]) {
        self.counters.packets += 1;
        self.counters.bytes += frame.len() as u64;
        if self.spec.mtu > 0 && frame.len() > self.spec.mtu + ETHERNET {
            self.counters.dropped_by_mtu += 1;
            return;
        }
        if self.loss.next() {
            self.counters.lost += 1;
            return;
        }
        let copies = 1 + u64::from(self.duplicate.chance(self.spec.duplicate));
        self.counters.duplicated += copies - 1;
        for _ in 0..copies {
            self.enqueue(now, frame);
        }
    }

    fn enqueue(&mut self, now: u64, frame: &[u8]) {
        let Some(sent) = self.serialize(now, frame.len()) else {
            self.counters.dropped_by_queue += 1;
            return;
        };
        let at = sent + self.delay(sent);
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(frame);
        self.damage(&mut copy);
        self.order += 1;
        self.flying.push(Reverse(Packet {
            at,
            order: self.order,
            frame: copy,
        }));
    }

    /// When the last bit leaves the queue; `None` when the queue is full. The queue holds what is not yet wholly sent, the packet
    /// being sent included; an idle link takes any packet.
    fn serialize(&mut self, now: u64, length: usize) -> Option<u64> {
        let rate = u128::from(self.spec.rate_bits_per_sec);
        if rate == 0 {
            return Some(now);
        }
        let ahead = self.busy_until.saturating_sub(now);
        let backlog = (u128::from(ahead) * rate / (BITS_PER_BYTE * PS_PER_SEC)) as u64;
        let filled = backlog + length as u64;
        if ahead > 0 && filled > self.spec.queue_bytes {
            return None;
        }
        self.counters.max_queue_bytes = self.counters.max_queue_bytes.max(filled);
        self.counters.queued_us += ahead / PS_PER_US;
        let time = (length as u128 * BITS_PER_BYTE * PS_PER_SEC / rate) as u64;
        self.busy_until = self.busy_until.max(now) + time;
        Some(self.busy_until)
    }

    /// Of a packet whose last bit left the queue at `sent`.
    fn delay(&mut self, sent: u64) -> u64 {
        let spread = if self.spec.jitter_ps == 0 {
            0.0
        } else if self.spec.jitter_reorders {
            self.jitter.unit() * 2.0 - 1.0
        } else {
            self.wander(sent)
        };
        let jitter = (spread * self.spec.jitter_ps as f64) as i64;
        let late = if self.reorder.chance(self.spec.reorder) {
            self.spec.reorder_by_ps
        } else {
            0
        };
        self.spec.delay_ps.saturating_add_signed(jitter) + late
    }

    /// In -1..1: random values at fixed times, straight lines between them.
    fn wander(&self, at: u64) -> f64 {
        let period = WANDER * self.spec.jitter_ps;
        let value = |step: u64| {
            let seed = self.spec.seed ^ step.wrapping_mul(0x9E6C_63D0_876A_3F6B);
            Random::new(seed, Purpose::Jitter).unit() * 2.0 - 1.0
        };
        let (step, part) = (at / period, (at % period) as f64 / period as f64);
        value(step) * (1.0 - part) + value(step + 1) * part
    }

    fn damage(&mut self, frame: &mut [u8]) {
        if !self.corrupt.chance(self.spec.corrupt) {
            return;
        }
        self.counters.corrupted += 1;
        if self.spec.corrupt_silently {
            swap_words(&mut self.corrupt, frame);
        } else {
            flip_bit(&mut self.corrupt, frame);
        }
    }

    /// When the next packet comes out.
    pub fn next_departure(&self) -> Option<u64> {
        self.flying.peek().map(|Reverse(next)| next.at)
    }

    /// The next packet that is due; give it back to [`Direction::sent`] or [`Direction::refused`].
    pub fn pop(&mut self, now: u64) -> Option<Packet> {
        if self.next_departure()? > now {
            return None;
        }
        let Reverse(packet) = self.flying.pop()?;
        self.counters.reordered += u64::from(packet.order < self.newest_out);
        self.newest_out = self.newest_out.max(packet.order);
        Some(packet)
    }

    /// `packet` left at `now`; `held`: the receiving host had not taken it, or one before it, in time.
    pub fn sent(&mut self, packet: Packet, now: u64, held: bool) {
        let counters = &mut self.counters;
        counters.delivered_packets += 1;
        counters.delivered_bytes += packet.frame.len() as u64;
        let late = now.saturating_sub(packet.at) / PS_PER_US;
        if held {
            counters.max_held_us = counters.max_held_us.max(late);
        } else {
            counters.max_late_us = counters.max_late_us.max(late);
            counters.late_packets += u64::from(late > LATE_US);
        }
        self.spare.push(packet.frame);
    }

    /// The receiving interface did not take `packet`.
    pub fn refused(&mut self, packet: Packet) {
        self.counters.failed_writes += 1;
        self.spare.push(packet.frame);
    }

    /// The least time between arrival and departure.
    pub fn min_delay(&self) -> u64 {
        self.spec.delay_ps - self.spec.jitter_ps
    }
}

impl PartialEq for Packet {
    fn eq(&self, other: &Packet) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Packet {}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Packet) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packet {
    fn cmp(&self, other: &Packet) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
#[path = "direction_tests.rs"]
mod tests;

//! Packets that were sent and are not settled: a ring indexed by packet number. No allocation per packet.

use std::collections::VecDeque;

use crate::time::Instant;

/// Skipped packet numbers are remembered over this many numbers.
const SKIP_MEMORY: u64 = 1 << 16;

/// Where a packet is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledgement is awaited.
    Outstanding,
    /// Declared lost; an ACK may still show that it was not.
    Lost,
    /// Nobody waits for it (only ACKs inside, or a HELLO), but an ACK of it says something.
    Unawaited,
    /// Acknowledged, or never sent.
    Settled,
}

/// What a packet carried besides unit bytes, as bits.
pub mod content {
    pub const UNIT: u8 = 1;
    pub const GRANT: u8 = 2;
    pub const LANE_DONE: u8 = 4;
    pub const HELLO_ACK: u8 = 8;
    pub const MTU_PROBE: u8 = 16;
    pub const ACK: u8 = 32;
    pub const APP_LIMITED: u8 = 64;
}

/// One sent packet: 64 bytes, one cache line.
#[derive(Debug, Clone, Copy)]
pub struct SentPacket {
    pub sent_at: Instant,
    /// The delivery-rate sampler's state when it left.
    pub delivered: u64,
    pub delivered_at: Instant,
    pub first_sent_at: Instant,
    /// Bytes lost before it left.
    pub lost: u64,
    /// Bytes in flight, this packet included.
    pub in_flight: u64,
    /// Unit packets: the unit's sequence number on this lane. Others: low half of the largest number acknowledged in it.
    pub unit: u32,
    /// Unit packets: offset in the unit. Others: high half of the same.
    pub offset: u32,
    /// The whole datagram, bytes.
    pub size: u16,
    /// Bytes of the unit.
    pub len: u16,
    pub fate: Fate,
    pub content: u8,
}

impl SentPacket {
    pub fn carries(&self, what: u8) -> bool {
        self.content & what != 0
    }

    /// Whether its bytes count as in flight.
    pub fn is_counted(&self) -> bool {
        !self.carries(content::MTU_PROBE)
    }

    /// The largest packet number that the ACK inside acknowledged.
    pub fn acked_in_it(&self) -> Option<u64> {
        self.carries(content::ACK)
            .then(|| u64::from(self.offset) << 32 | u64::from(self.unit))
    }
}

/// The ring.
#[derive(Debug, Default)]
pub struct SentRing {
    ring: VecDeque<SentPacket>,
    base: u64,
    /// No packet below this number is outstanding.
    scan: u64,
    skips: VecDeque<u64>,
    /// Bytes of outstanding packets that count.
    pub in_flight: u64,
    /// Outstanding packets that count.
    pub outstanding: u64,
}

impl SentRing {
    /// The number that the next packet will have.
    pub fn next_number(&self) -> u64 {
        self.base + self.ring.len() as u64
    }

    /// Numbers below this are settled and forgotten.
    pub fn base(&self) -> u64 {
        self.base
    }

    pub fn get(&self, number: u64) -> Option<&SentPacket> {
        self.ring
            .get(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut SentPacket> {
        self.ring
            .get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    /// Adds the packet with number [`SentRing::next_number`].
    pub fn push(&mut self, packet: SentPacket) {
        if packet.fate == Fate::Outstanding && packet.is_counted() {
            self.in_flight += u64::from(packet.size);
            self.outstanding += 1;
        }
        self.ring.push_back(packet);
    }

    /// Leaves out the next number, to catch a peer that acknowledges what it has not seen.
    pub fn skip(&mut self, template: SentPacket) {
        let number = self.next_number();
        self.skips.push_back(number);
        while self
            .skips
            .front()
            .is_some_and(|&n| n + SKIP_MEMORY < number)
        {
            self.skips.pop_front();
        }
        self.ring.push_back(SentPacket {
            fate: Fate::Settled,
            ..template
        });
    }

    /// The first number of `low..=high` that was never sent.
    pub fn unsent_in(&self, low: u64, high: u64) -> Option<u64> {
        if high >= self.next_number() {
            return Some(high);
        }
        let at = self.skips.partition_point(|&n| n < low);
        self.skips.get(at).copied().filter(|&n| n <= high)
    }

    /// Changes a packet's fate and returns it as it was.
    pub fn settle(&mut self, number: u64, fate: Fate) -> Option<SentPacket> {
        let packet = self.get_mut(number)?;
        let before = *packet;
        packet.fate = fate;
        if before.fate == Fate::Outstanding && before.is_counted() {
            self.in_flight -= u64::from(before.size);
            self.outstanding -= 1;
        }
        Some(before)
    }

    /// The oldest outstanding packet, and whether an acknowledged one lies between it and the one asked for before.
    pub fn oldest_outstanding(&mut self) -> Option<(u64, SentPacket, bool)> {
        let mut passed_acked = false;
        self.scan = self.scan.max(self.base);
        while let Some(packet) = self.get(self.scan) {
            match packet.fate {
                Fate::Outstanding => return Some((self.scan, *packet, passed_acked)),
                Fate::Settled => passed_acked = true,
                Fate::Lost | Fate::Unawaited => {}
            }
            self.scan += 1;
        }
        None
    }

    /// Outstanding packets from the oldest on.
    pub fn outstanding(&self) -> impl Iterator<Item = (u64, &SentPacket)> {
        let from = self.scan.max(self.base);
        let packets = self.ring.range((from - self.base) as usize..);
        (from..)
            .zip(packets)
            .filter(|(_, p)| p.fate == Fate::Outstanding)
    }

    /// Forgets settled packets at the old end, and those sent before `horizon` for which nobody waits any more.
    pub fn trim(&mut self, horizon: Instant) {
        while let Some(packet) = self.ring.front() {
            let gone = match packet.fate {
                Fate::Outstanding => false,
                Fate::Settled => true,
                Fate::Lost | Fate::Unawaited => packet.sent_at < horizon,
            };
            if !gone {
                return;
            }
            self.ring.pop_front();
            self.base += 1;
        }
    }
}

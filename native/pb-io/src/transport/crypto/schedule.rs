//! The phases of one lane's keys: rotation on the sending side, key update on the receiving side.

use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use pb_proto::wire::header::{HEADER, TAG};

use super::{Direction, Medium, PacketKey, Secret};

/// Where one lane's keys of one direction come from.
#[derive(Clone)]
pub struct KeySchedule {
    pub secret: Arc<Secret>,
    pub direction: Direction,
    pub medium: Medium,
    pub lane: u8,
}

impl KeySchedule {
    fn key(&self, phase: u32) -> PacketKey {
        self.secret
            .packet_key(self.direction, self.medium, self.lane, phase)
    }
}

/// The sealing side: one key at a time.
pub struct SealKeys {
    schedule: KeySchedule,
    phase: u32,
    key: PacketKey,
}

impl SealKeys {
    pub fn new(schedule: KeySchedule) -> SealKeys {
        let key = schedule.key(0);
        SealKeys {
            schedule,
            phase: 0,
            key,
        }
    }

    pub fn phase(&self) -> u32 {
        self.phase
    }

    /// Moves to a phase; going back is not possible.
    pub fn rotate_to(&mut self, phase: u32) {
        if phase > self.phase {
            self.key = self.schedule.key(phase);
            self.phase = phase;
        }
    }

    pub fn key(&self) -> &PacketKey {
        &self.key
    }
}

/// The opening side: the present key, the one before it for late packets, and the next, made ahead so that a
/// forged key phase bit costs no derivation (RFC 9001 section 6.3).
pub struct OpenKeys {
    schedule: KeySchedule,
    phase: u32,
    current: PacketKey,
    next: PacketKey,
    previous: Option<Previous>,
}

struct Previous {
    key: PacketKey,
    /// Packets of the previous phase have numbers below this.
    below: u64,
}

/// What a packet is authenticated with and opened from.
#[derive(Clone, Copy)]
pub struct Sealed<'a> {
    pub number: u64,
    pub phase_bit: bool,
    pub aad: &'a [u8; HEADER],
    /// Ciphertext and tag; for a clear payload its tag alone.
    pub bytes: &'a [u8],
}

impl OpenKeys {
    pub fn new(schedule: KeySchedule) -> OpenKeys {
        let (current, next) = (schedule.key(0), schedule.key(1));
        OpenKeys {
            schedule,
            phase: 0,
            current,
            next,
            previous: None,
        }
    }

    pub fn phase(&self) -> u32 {
        self.phase
    }

    /// Opens a packet into `out` ([`TAG`] shorter than the sealed bytes; empty for a clear payload). A packet of the
    /// next phase moves the keys on if, and only if, its tag is right. True when the keys moved.
    pub fn open(&mut self, sealed: Sealed<'_>, out: &mut [u8]) -> Result<bool, Unspecified> {
        if sealed.bytes.len() != out.len() + TAG {
            return Err(Unspecified);
        }
        let Sealed {
            number,
            phase_bit,
            aad,
            bytes,
        } = sealed;
        if phase_bit == (self.phase & 1 == 1) {
            return self.current.open(number, aad, bytes, out).map(|()| false);
        }
        if let Some(previous) = self.previous.as_ref().filter(|p| number < p.below) {
            return previous.key.open(number, aad, bytes, out).map(|()| false);
        }
        self.next.open(number, aad, bytes, out)?;
        self.advance(number);
        Ok(true)
    }

    fn advance(&mut self, below: u64) {
        self.phase += 1;
        let next = self.schedule.key(self.phase + 1);
        let current = std::mem::replace(&mut self.next, next);
        let key = std::mem::replace(&mut self.current, current);
        self.previous = Some(Previous { key, below });
    }

    /// Forgets the key before the present one: called 3 PTO after a move, at once on TCP.
    pub fn drop_previous(&mut self) {
        self.previous = None;
    }
}

//! How often processors copy the bytes that a session carries, counted where they are copied.
//!
//! A copy is a pass that puts a byte somewhere else, in user space or in the kernel; hashing where it lies, and `sendfile`, are
//! none. Sealing and opening from one buffer into another is one.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a byte is copied for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Step {
    /// Out of the page cache (or a pipe) into a buffer.
    Read,
    /// A small file into the bundle that it travels in, and the bundle into its unit.
    Bundle,
    /// Sealed from the unit into packets or records.
    Seal,
    /// In clear from the unit into packets.
    Packet,
    /// Into the socket.
    Send,
    /// Out of the socket.
    Receive,
    /// To the front of the receive buffer, where a record was cut in two.
    Shift,
    /// Opened from packets or records.
    Open,
    /// From beside it into its unit.
    Place,
    /// Into the page cache, or a pipe.
    Write,
}

impl Step {
    pub const ALL: [Step; 10] = [
        Step::Read,
        Step::Bundle,
        Step::Seal,
        Step::Packet,
        Step::Send,
        Step::Receive,
        Step::Shift,
        Step::Open,
        Step::Place,
        Step::Write,
    ];

    /// As in receipts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::Read => "read",
            Step::Bundle => "bundle",
            Step::Seal => "seal",
            Step::Packet => "packet",
            Step::Send => "send",
            Step::Receive => "receive",
            Step::Shift => "shift",
            Step::Open => "open",
            Step::Place => "place",
            Step::Write => "write",
        }
    }
}

/// Bytes copied by step, of a session.
#[derive(Debug, Default)]
pub struct Copies([AtomicU64; Step::ALL.len()]);

impl Copies {
    pub fn add(&self, step: Step, bytes: usize) {
        self.0[step as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What was copied since the last call.
    pub fn take(&self) -> Vec<(Step, u64)> {
        let taken = Step::ALL.map(|step| (step, self.0[step as usize].swap(0, Ordering::Relaxed)));
        taken.into_iter().filter(|&(_, bytes)| bytes > 0).collect()
    }
}

/// The same of one lane, kept apart from the other threads until it is [`flush`](Self::flush)ed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneCopies([usize; Step::ALL.len()]);

impl LaneCopies {
    pub fn add(&mut self, step: Step, bytes: usize) {
        self.0[step as usize] += bytes;
    }

    /// Tells everything once.
    pub fn flush(&mut self, mut tell: impl FnMut(Step, usize)) {
        for step in Step::ALL {
            match std::mem::take(&mut self.0[step as usize]) {
                0 => {}
                bytes => tell(step, bytes),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lanes_kept_is_told_once_and_taken_once() {
        let (shared, mut lane) = (Copies::default(), LaneCopies::default());
        lane.add(Step::Seal, 5);
        lane.add(Step::Send, 7);
        lane.add(Step::Seal, 5);
        for _ in 0..2 {
            lane.flush(|step, bytes| shared.add(step, bytes));
        }
        assert_eq!(shared.take(), [(Step::Seal, 10), (Step::Send, 7)]);
        assert!(shared.take().is_empty());
    }
}

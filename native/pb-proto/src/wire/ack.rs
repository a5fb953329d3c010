//! The ACK frame: which packet numbers arrived, newest first, as in RFC 9000 section 19.3.

use super::DecodeError;
use super::varint::{put, take};

/// Most ranges of one ACK, the first included. Bounds what a hostile ACK can cost.
pub const MAX_RANGES: usize = 64;

/// An ACK frame. Holds no memory of its own: ranges are read from the packet while they are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'a> {
    pub largest: u64,
    /// Microseconds between the arrival of `largest` and the sending of this frame.
    pub delay_us: u64,
    /// Bytes of DATA packets that this lane's receiver has taken.
    pub received_bytes: u64,
    /// Datagrams that the receiver's kernel dropped before they were read (SO_RXQ_OVFL).
    pub socket_drops: u64,
    /// Packets that arrived with the CE mark.
    pub ecn_ce: u64,
    ranges: Ranges<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ranges<'a> {
    /// Packets below `largest` in the first range.
    first: u64,
    more: u64,
    bytes: &'a [u8],
}

/// The plain numbers of an ACK frame, for writing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AckCounts {
    pub delay_us: u64,
    pub received_bytes: u64,
    pub socket_drops: u64,
    pub ecn_ce: u64,
}

impl<'a> Ack<'a> {
    /// An ACK of every number from 0 to `largest`: the only shape on TCP.
    pub fn everything(largest: u64, counts: AckCounts) -> Ack<'static> {
        let AckCounts {
            delay_us,
            received_bytes,
            socket_drops,
            ecn_ce,
        } = counts;
        let ranges = Ranges {
            first: largest,
            more: 0,
            bytes: &[],
        };
        Ack {
            largest,
            delay_us,
            received_bytes,
            socket_drops,
            ecn_ce,
            ranges,
        }
    }

    /// Acknowledged ranges as (lowest, highest), both inclusive, newest first.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let mut bytes = self.ranges.bytes;
        let first = (self.largest.saturating_sub(self.ranges.first), self.largest);
        let mut low = first.0;
        let more = (0..self.ranges.more).map_while(move |_| {
            let range = next_range(&mut bytes, low).ok()?;
            low = range.0;
            Some(range)
        });
        std::iter::once(first).chain(more)
    }

    /// Reads the body of an ACK frame, checks every range, and moves `bytes` behind it.
    pub(super) fn take(bytes: &mut &'a [u8]) -> Result<Ack<'a>, DecodeError> {
        let [
            largest,
            delay_us,
            received_bytes,
            socket_drops,
            ecn_ce,
            more,
            first,
        ] = take_all(bytes)?;
        if more >= MAX_RANGES as u64 {
            return Err(DecodeError::TooManyRanges);
        }
        let mut low = largest
            .checked_sub(first)
            .ok_or(DecodeError::RangeUnderflow)?;
        let start = *bytes;
        for _ in 0..more {
            low = next_range(bytes, low)?.0;
        }
        let ranges = Ranges {
            first,
            more,
            bytes: &start[..start.len() - bytes.len()],
        };
        Ok(Ack {
            largest,
            delay_us,
            received_bytes,
            socket_drops,
            ecn_ce,
            ranges,
        })
    }

    /// Appends the body of this frame.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let counts = [
            self.largest,
            self.delay_us,
            self.received_bytes,
            self.socket_drops,
            self.ecn_ce,
        ];
        counts
            .into_iter()
            .chain([self.ranges.more, self.ranges.first])
            .for_each(|v| put(out, v));
        out.extend_from_slice(self.ranges.bytes);
    }
}

/// Appends a whole ACK frame, type included. `ranges` are (lowest, highest) inclusive, disjoint, not touching, newest
/// first; those beyond [`MAX_RANGES`] are left out. Nothing is written when there are none.
pub fn put_ack(
    out: &mut Vec<u8>,
    counts: AckCounts,
    ranges: impl ExactSizeIterator<Item = (u64, u64)>,
) {
    let more = ranges.len().min(MAX_RANGES).saturating_sub(1);
    let mut ranges = ranges.take(MAX_RANGES);
    let Some((mut low, largest)) = ranges.next() else {
        return;
    };
    out.push(super::frame::ACK);
    for v in [
        largest,
        counts.delay_us,
        counts.received_bytes,
        counts.socket_drops,
        counts.ecn_ce,
    ] {
        put(out, v);
    }
    put(out, more as u64);
    put(out, largest - low);
    for (start, end) in ranges {
        put(out, low - end - 2);
        put(out, end - start);
        low = start;
    }
}

/// The range behind one that starts at `low`: a gap of g + 1 numbers, then a length of l + 1.
fn next_range(bytes: &mut &[u8], low: u64) -> Result<(u64, u64), DecodeError> {
    let [gap, len] = take_all(bytes)?;
    let end = low
        .checked_sub(gap + 2)
        .ok_or(DecodeError::RangeUnderflow)?;
    let start = end.checked_sub(len).ok_or(DecodeError::RangeUnderflow)?;
    Ok((start, end))
}

fn take_all<const N: usize>(bytes: &mut &[u8]) -> Result<[u64; N], DecodeError> {
    let mut values = [0; N];
    for v in &mut values {
        *v = take(bytes)?;
    }
    Ok(values)
}

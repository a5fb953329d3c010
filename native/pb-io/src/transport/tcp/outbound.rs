//! What leaves: sealed records from one buffer, clear ones from where their bytes are.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use pb_proto::wire::header::{Header, Kind, TAG};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use super::record::{FIRST_RECORD, PREFIX, RECORD, encode_prefix};
use crate::copies::{LaneCopies, Step};
use crate::transport::crypto::SealKeys;
use crate::transport::fault::Fault;
use crate::transport::{OutBody, OutUnit};

/// Records of one key phase (section 1: the limit for large packets).
const REKEY_AFTER: u64 = 1 << 23;
/// Room for control records in front of a data record. A batch of control frames is far below 1 KiB.
const CONTROL_ROOM: usize = 8 * 1024;

/// The sending half of a lane.
pub struct Outbound {
    pub keys: SealKeys,
    pub connection_id: u64,
    pub lane: u8,
    /// The next packet number.
    pub next: u64,
    /// Bytes given to the socket so far.
    pub written: u64,
    /// The largest of our numbers that the peer acknowledged.
    pub acked: Option<u64>,
    phase_start: u64,
    /// Records of one key phase.
    rekey_after: u64,
    head: Box<[u8]>,
    head_from: usize,
    head_to: usize,
    body: Body,
    tail: Vec<u8>,
    tail_from: usize,
    pub copies: LaneCopies,
}

/// The clear payload between head and tail.
enum Body {
    None,
    Memory {
        unit: Arc<OutUnit>,
        from: usize,
        to: usize,
    },
    File {
        file: Arc<File>,
        from: u64,
        left: usize,
    },
}

impl Outbound {
    pub fn new(keys: SealKeys, connection_id: u64, lane: u8, rekey_after: Option<u64>) -> Outbound {
        let head = vec![0; CONTROL_ROOM + PREFIX + RECORD as usize + TAG].into_boxed_slice();
        let (head_from, head_to, tail_from) = (0, 0, 0);
        let (body, tail) = (Body::None, Vec::new());
        Outbound {
            keys,
            connection_id,
            lane,
            next: 0,
            written: 0,
            acked: None,
            phase_start: 0,
            rekey_after: rekey_after.unwrap_or(REKEY_AFTER),
            head,
            head_from,
            head_to,
            body,
            tail,
            tail_from,
            copies: LaneCopies::default(),
        }
    }

    /// True when everything queued has been written.
    pub fn is_empty(&self) -> bool {
        self.head_from == self.head_to
            && matches!(self.body, Body::None)
            && self.tail_from == self.tail.len()
    }

    /// True when a control record can be queued now.
    pub fn takes_control(&self) -> bool {
        matches!(self.body, Body::None)
            && self.tail_from == self.tail.len()
            && self.head_to < CONTROL_ROOM / 2
    }

    fn header(&mut self, kind: Kind) -> Header {
        let confirmed = self.acked.is_some_and(|n| n >= self.phase_start);
        if confirmed && self.next - self.phase_start >= self.rekey_after {
            self.keys.rotate_to(self.keys.phase() + 1);
            self.phase_start = self.next;
        }
        let header = Header {
            kind,
            key_phase: self.keys.phase() & 1 == 1,
            clear: false,
            lane: self.lane,
            payload_len: 0,
            connection_id: self.connection_id,
            packet_number: self.next,
            unit: 0,
            offset: 0,
            unit_len: 0,
        };
        self.next += 1;
        header
    }

    /// Queues a record of frames, at most a few hundred bytes.
    pub fn control(&mut self, kind: Kind, frames: &[u8]) -> Result<(), Fault> {
        let header = self.header(kind);
        self.seal(&header, frames)
    }

    fn seal(&mut self, header: &Header, payload: &[u8]) -> Result<(), Fault> {
        let end = self.head_to + PREFIX + payload.len() + TAG;
        let record = self
            .head
            .get_mut(self.head_to..end)
            .ok_or_else(|| Fault::lost("record too large"))?;
        let (prefix, sealed) = record
            .split_first_chunk_mut::<PREFIX>()
            .ok_or_else(Fault::stream)?;
        let aad = encode_prefix(header, payload.len() as u32, prefix);
        let sealed = self
            .keys
            .key()
            .seal(header.packet_number, &aad, payload, sealed);
        sealed.map_err(|_| Fault::lost("sealing failed"))?;
        self.head_to = end;
        Ok(())
    }

    /// Queues the next record of a unit, from `offset` on, and returns the bytes of the unit in it.
    pub fn data(&mut self, unit: &Arc<OutUnit>, offset: u32, sealed: bool) -> Result<u32, Fault> {
        let len = (unit.len - offset).min(if offset == 0 { FIRST_RECORD } else { RECORD });
        let mut header = self.header(Kind::Data);
        (header.unit, header.offset, header.unit_len) = (unit.id, offset, unit.len);
        if !unit.always_sealed {
            self.count(&unit.body, len as usize, sealed);
        }
        match &unit.body {
            OutBody::Memory(buffer) if sealed => {
                let bytes = buffer
                    .as_slice()
                    .get(offset as usize..(offset + len) as usize);
                self.seal(
                    &header,
                    bytes.ok_or_else(|| Fault::lost("unit shorter than its length"))?,
                )?;
            }
            OutBody::File { .. } if sealed => {
                return Err(Fault::lost("a file body needs a session without seal"));
            }
            body => {
                header.clear = true;
                self.clear(&header, body, unit, len)?;
            }
        }
        Ok(len)
    }

    /// What `sendfile` takes is copied by nobody.
    fn count(&mut self, body: &OutBody, len: usize, sealed: bool) {
        if let OutBody::Memory(_) = body {
            self.copies.add(Step::Seal, if sealed { len } else { 0 });
            self.copies.add(Step::Send, len);
        }
    }

    fn clear(
        &mut self,
        header: &Header,
        body: &OutBody,
        unit: &Arc<OutUnit>,
        len: u32,
    ) -> Result<(), Fault> {
        let end = self.head_to + PREFIX;
        let prefix = self
            .head
            .get_mut(self.head_to..end)
            .and_then(|p| p.first_chunk_mut::<PREFIX>());
        let aad = encode_prefix(
            header,
            len,
            prefix.ok_or_else(|| Fault::lost("record too large"))?,
        );
        let tag = self.keys.key().seal_header(header.packet_number, &aad);
        let tag = tag.map_err(|_| Fault::lost("sealing failed"))?;
        self.head_to = end;
        self.tail.clear();
        self.tail_from = 0;
        let (from, to) = (header.offset as usize, (header.offset + len) as usize);
        self.body = match body {
            OutBody::Memory(_) => Body::Memory {
                unit: unit.clone(),
                from,
                to,
            },
            OutBody::File {
                file,
                offset,
                length,
                trailer,
            } => {
                let file_end = to.min(*length as usize);
                let from_trailer = from.saturating_sub(*length as usize);
                let to_trailer = to.saturating_sub(*length as usize);
                self.tail
                    .extend_from_slice(trailer.get(from_trailer..to_trailer).unwrap_or_default());
                let left = file_end.saturating_sub(from);
                Body::File {
                    file: file.clone(),
                    from: offset + from as u64,
                    left,
                }
            }
        };
        self.tail.extend_from_slice(&tag);
        Ok(())
    }

    /// Writes what is queued. True when all of it went, false when the socket is full.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<bool, Fault> {
        while !self.is_empty() {
            let wrote = match &mut self.body {
                Body::File { file, from, left } if self.head_from == self.head_to && *left > 0 => {
                    send_file(socket, file, from, left)
                }
                _ => self.write(socket),
            };
            match wrote {
                Ok(n) => self.written += n as u64,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.head_from = 0;
        self.head_to = 0;
        self.body = Body::None;
        Ok(true)
    }

    fn write(&mut self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        let head = &self.head[self.head_from..self.head_to];
        let (wrote, body) = match &self.body {
            Body::File { left, .. } if *left > 0 => (
                send(socket, head, SendFlags::NOSIGNAL | SendFlags::MORE)?,
                0,
            ),
            Body::Memory { unit, from, to } => {
                let body = match &unit.body {
                    OutBody::Memory(b) => b.as_slice().get(*from..*to).ok_or(Errno::INVAL)?,
                    OutBody::File { .. } => &[],
                };
                (
                    send_all(socket, [head, body, &self.tail[self.tail_from..]])?,
                    body.len(),
                )
            }
            _ if self.tail.len() == self.tail_from => (send(socket, head, SendFlags::NOSIGNAL)?, 0),
            _ => (
                send_all(socket, [head, &[], &self.tail[self.tail_from..]])?,
                0,
            ),
        };
        self.advance(wrote, body);
        Ok(wrote)
    }

    /// Marks `wrote` bytes of head, body (`body` bytes of it were offered) and tail as gone.
    fn advance(&mut self, wrote: usize, body: usize) {
        let head = wrote.min(self.head_to - self.head_from);
        self.head_from += head;
        let of_body = (wrote - head).min(body);
        let of_tail = wrote - head - of_body;
        if let Body::Memory { from, to, .. } = &mut self.body {
            *from += of_body;
            if from == to {
                self.body = Body::None;
            }
        } else if let Body::File { left: 0, .. } = self.body {
            self.body = Body::None;
        }
        self.tail_from += of_tail;
    }
}

fn send_all(socket: BorrowedFd<'_>, parts: [&[u8]; 3]) -> Result<usize, Errno> {
    let parts = parts.map(IoSlice::new);
    sendmsg(
        socket,
        &parts,
        &mut SendAncillaryBuffer::default(),
        SendFlags::NOSIGNAL,
    )
}

/// Zeros sent in place of bytes that a file no longer has: the chunk's verification fails at the receiver, which
/// asks for it again, and the reader then finds out that the source has changed.
static ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

fn send_file(
    socket: BorrowedFd<'_>,
    file: &File,
    from: &mut u64,
    left: &mut usize,
) -> Result<usize, Errno> {
    let wrote = match rustix::fs::sendfile(socket, file, Some(from), *left) {
        Ok(n) if n > 0 => n,
        Err(Errno::AGAIN) => return Err(Errno::AGAIN),
        Err(Errno::INTR) => return Ok(0),
        Err(e @ (Errno::PIPE | Errno::CONNRESET | Errno::TIMEDOUT | Errno::NOTCONN)) => {
            return Err(e);
        }
        Ok(_) | Err(_) => {
            let zeros = &ZEROS[..ZEROS.len().min(*left)];
            let wrote = send(socket, zeros, SendFlags::NOSIGNAL | SendFlags::MORE)?;
            *from += wrote as u64;
            wrote
        }
    };
    *left -= wrote;
    Ok(wrote)
}

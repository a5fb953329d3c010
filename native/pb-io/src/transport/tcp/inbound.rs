//! What arrives: records are read into one warm buffer and opened from there into the unit's buffer. The payload of
//! a clear record whose unit is known is read from the socket straight into the unit's buffer.

use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use pb_proto::wire::header::{Kind, TAG};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, recv, recvmsg};

use super::record::{PREFIX, Prefix, RECORD};
use crate::copies::Step;
use crate::transport::crypto::{OpenKeys, Sealed};
use crate::transport::fault::Fault;
use crate::transport::placing::{Landed, Placer, Range, Refused};
use crate::transport::{InState, InUnit, LaneHost};

/// Bytes asked for at once when records are small, so that one system call brings many of them.
const READ_AHEAD: usize = 64 * 1024;

/// The receiving half of a lane.
pub struct Inbound {
    pub keys: OpenKeys,
    connection_id: u64,
    lane: u8,
    /// The number that the next record must have, or one more (senders may skip one).
    pub expect: u64,
    /// Bytes read from the socket so far.
    pub read: u64,
    /// Clear payloads are not read ahead, so that they can go to their place without a copy.
    clear_session: bool,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    direct: Option<Direct>,
    pub placer: Placer,
}

/// A clear record whose payload is being read into its unit.
struct Direct {
    unit: Arc<InUnit>,
    range: Range,
    prefix: Prefix,
    got: u32,
    /// Some bytes were not put into place, because they were there: other lanes bring this unit as well.
    diverted: Vec<(u32, Vec<u8>)>,
}

/// A record that was taken.
pub enum Incoming {
    /// Opened frames.
    Frames(Vec<u8>),
    /// Unit bytes, and the unit that they completed.
    Data {
        bytes: u32,
        complete: Option<Arc<InUnit>>,
    },
}

/// What reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// This many bytes; fewer than asked for when `drained`.
    Bytes {
        drained: bool,
    },
    Nothing,
    End,
}

impl Inbound {
    pub fn new(keys: OpenKeys, connection_id: u64, lane: u8, clear_session: bool) -> Inbound {
        let buffer = vec![0; 2 * PREFIX + RECORD as usize + TAG];
        let (from, to, expect, read) = (0, 0, 0, 0);
        let (direct, placer) = (None, Placer::default());
        Inbound {
            keys,
            connection_id,
            lane,
            expect,
            read,
            clear_session,
            buffer,
            from,
            to,
            direct,
            placer,
        }
    }

    /// Reads once.
    pub fn read(&mut self, socket: BorrowedFd<'_>) -> Result<Read, Fault> {
        let got = match &mut self.direct {
            Some(direct) if direct.got < direct.range.len => {
                let spare = &mut self.buffer[self.to..self.to + TAG + PREFIX];
                direct.read(socket, spare).map(|(body, behind)| {
                    self.to += behind;
                    (body + behind, body + behind == 0, false)
                })
            }
            _ => self.read_ahead(socket),
        };
        match got {
            Ok((0, true, _)) => Ok(Read::End),
            Ok((n, _, drained)) => {
                self.read += n as u64;
                Ok(Read::Bytes { drained })
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Nothing),
            Err(e) => Err(e.into()),
        }
    }

    fn read_ahead(&mut self, socket: BorrowedFd<'_>) -> Result<(usize, bool, bool), Errno> {
        let have = self.to - self.from;
        let total = if self.direct.is_some() {
            TAG
        } else {
            self.peek().map_or(PREFIX, |p| p.total())
        };
        let ahead = total - have.min(total) + PREFIX;
        let want = if self.clear_session {
            ahead
        } else {
            ahead.max(READ_AHEAD)
        };
        if self.from == self.to || self.to + ahead > self.buffer.len() {
            self.buffer.copy_within(self.from..self.to, 0);
            self.placer
                .copies
                .add(Step::Shift, if self.from > 0 { have } else { 0 });
            (self.from, self.to) = (0, have);
            if self.buffer.len() < have + ahead + PREFIX + TAG {
                self.buffer.resize(have + ahead + PREFIX + TAG, 0);
            }
        }
        let end = self.buffer.len().min(self.to + want);
        let asked = end - self.to;
        let (n, _) = recv(socket, &mut self.buffer[self.to..end], RecvFlags::empty())?;
        self.to += n;
        Ok((n, n == 0, n < asked))
    }

    fn peek(&self) -> Option<Prefix> {
        let bytes = self.buffer[self.from..self.to].first_chunk::<PREFIX>()?;
        Prefix::decode(bytes).ok()
    }

    /// The next record that is whole. `None`: read on.
    pub fn next(&mut self, host: &dyn LaneHost) -> Result<Option<Incoming>, Fault> {
        if self.direct.is_some() {
            return self.finish_direct();
        }
        let Some(bytes) = self.buffer[self.from..self.to].first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let prefix = Prefix::decode(bytes)?;
        let header = &prefix.header;
        let expected =
            header.packet_number == self.expect || header.packet_number == self.expect + 1;
        if !expected || header.lane != self.lane || header.connection_id != self.connection_id {
            return Err(Fault::stream());
        }
        let whole = self.to - self.from >= prefix.total();
        if !whole && header.clear && header.kind == Kind::Data {
            self.start_direct(prefix);
            return Ok(None);
        }
        if !whole {
            return Ok(None);
        }
        let incoming = self.take(host, &prefix)?;
        self.from += prefix.total();
        self.expect = prefix.header.packet_number + 1;
        Ok(Some(incoming))
    }

    fn take(&mut self, host: &dyn LaneHost, prefix: &Prefix) -> Result<Incoming, Fault> {
        let at = self.from + PREFIX;
        let (payload, tag) = (
            at..at + prefix.len as usize,
            at + prefix.len as usize..self.from + prefix.total(),
        );
        let header = &prefix.header;
        let sealed = |bytes| Sealed {
            number: header.packet_number,
            phase_bit: header.key_phase,
            aad: &prefix.aad,
            bytes,
        };
        let keys = &mut self.keys;
        if header.kind != Kind::Data {
            let mut frames = vec![0; prefix.len as usize];
            keys.open(sealed(&self.buffer[payload.start..tag.end]), &mut frames)
                .map_err(|_| Fault::stream())?;
            return Ok(Incoming::Frames(frames));
        }
        if header.clear {
            keys.open(sealed(&self.buffer[tag]), &mut [])
                .map_err(|_| Fault::stream())?;
            if !self.clear_session {
                return Err(Fault::violation(
                    "the peer sent clear data in a sealed session",
                ));
            }
            let range = data_range(prefix)?;
            self.placer.copies.add(Step::Receive, range.len as usize);
            return landed(
                &range,
                self.placer.copy(host, &range, &self.buffer[payload]),
            );
        }
        let Ok(range) = data_range(prefix) else {
            // The rule is broken only if the record is genuine.
            let mut aside = vec![0; prefix.len as usize];
            keys.open(sealed(&self.buffer[payload.start..tag.end]), &mut aside)
                .map_err(|_| Fault::stream())?;
            return data_range(prefix).map(|r| Incoming::Data {
                bytes: r.len,
                complete: None,
            });
        };
        let bytes = &self.buffer[payload.start..tag.end];
        self.placer.copies.add(Step::Receive, range.len as usize);
        landed(
            &range,
            self.placer.open(host, &range, |place| {
                keys.open(sealed(bytes), place).map(|_| ())
            }),
        )
    }

    /// Begins to read a clear payload into its unit, when this lane has placed the unit before.
    fn start_direct(&mut self, prefix: Prefix) {
        let Ok(range) = data_range(&prefix) else {
            return;
        };
        let Some(unit) = self.placer.known(&range).filter(|_| self.clear_session) else {
            return;
        };
        let mut direct = Direct {
            unit,
            range,
            prefix,
            got: 0,
            diverted: Vec::new(),
        };
        let start = self.from + PREFIX;
        let there = (self.to - start).min(range.len as usize);
        direct.put(&self.buffer[start..start + there]);
        self.placer.copies.add(Step::Place, there);
        // Fewer than a tag's bytes can follow: else the record would be whole.
        self.buffer.copy_within(start + there..self.to, 0);
        (self.from, self.to) = (0, self.to - start - there);
        self.direct = Some(direct);
    }

    fn finish_direct(&mut self) -> Result<Option<Incoming>, Fault> {
        let Some(direct) = self
            .direct
            .take_if(|d| d.got == d.range.len && self.to - self.from >= TAG)
        else {
            return Ok(None);
        };
        let (header, range) = (&direct.prefix.header, direct.range);
        let bytes = &self.buffer[self.from..self.from + TAG];
        let (number, phase_bit) = (header.packet_number, header.key_phase);
        let sealed = Sealed {
            number,
            phase_bit,
            aad: &direct.prefix.aad,
            bytes,
        };
        self.keys
            .open(sealed, &mut [])
            .map_err(|_| Fault::stream())?;
        self.from += TAG;
        self.expect = number + 1;
        let copies = &mut self.placer.copies;
        copies.add(Step::Receive, range.len as usize);
        copies.add(
            Step::Place,
            direct.diverted.iter().map(|(_, bytes)| bytes.len()).sum(),
        );
        let complete = direct.land().then(|| self.placer.forget(&direct.unit));
        Ok(Some(Incoming::Data {
            bytes: range.len,
            complete,
        }))
    }
}

impl Direct {
    /// Reads payload into its place and what follows it (tag, the next prefix) into `spare`.
    fn read(&mut self, socket: BorrowedFd<'_>, spare: &mut [u8]) -> Result<(usize, usize), Errno> {
        let (offset, left) = (self.range.offset + self.got, self.range.len - self.got);
        let mut state = self.unit.state.lock();
        let InState { assembly, buffer } = &mut *state;
        let free = assembly.is_free(offset, left);
        let place = buffer.as_mut().filter(|_| free);
        let place = place.and_then(|b| {
            b.as_mut_slice()
                .get_mut(offset as usize..(offset + left) as usize)
        });
        let Some(place) = place else {
            drop(state);
            let mut aside = vec![0; left as usize];
            let (body, behind) = receive(socket, &mut aside, spare)?;
            self.put(&aside[..body]);
            return Ok((body, behind));
        };
        let (body, behind) = receive(socket, place, spare)?;
        self.got += body as u32;
        Ok((body, behind))
    }

    /// Puts bytes that were read elsewhere into their place, or aside when something is there.
    fn put(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (offset, len) = (self.range.offset + self.got, bytes.len() as u32);
        self.got += len;
        let mut state = self.unit.state.lock();
        let InState { assembly, buffer } = &mut *state;
        let free = assembly.is_free(offset, len);
        let place = buffer.as_mut().filter(|_| free);
        match place.and_then(|b| {
            b.as_mut_slice()
                .get_mut(offset as usize..(offset + len) as usize)
        }) {
            Some(place) => place.copy_from_slice(bytes),
            None if !assembly.has(offset, len) => self.diverted.push((offset, bytes.to_vec())),
            None => {}
        }
    }

    /// Marks the range as there, now that it is authenticated. True when that completed the unit.
    fn land(&self) -> bool {
        let mut state = self.unit.state.lock();
        let InState { assembly, buffer } = &mut *state;
        let Some(buffer) = buffer.as_mut().filter(|_| !assembly.is_complete()) else {
            return false;
        };
        for (offset, bytes) in &self.diverted {
            crate::transport::placing::fill(assembly, *offset, buffer.as_mut_slice(), bytes);
        }
        assembly.insert(self.range.offset, self.range.len);
        assembly.is_complete()
    }
}

fn receive(
    socket: BorrowedFd<'_>,
    body: &mut [u8],
    spare: &mut [u8],
) -> Result<(usize, usize), Errno> {
    let len = body.len();
    let mut parts = [IoSliceMut::new(body), IoSliceMut::new(spare)];
    let n = recvmsg(
        socket,
        &mut parts,
        &mut RecvAncillaryBuffer::default(),
        RecvFlags::empty(),
    )?
    .bytes;
    Ok((n.min(len), n.saturating_sub(len)))
}

fn data_range(prefix: &Prefix) -> Result<Range, Fault> {
    let h = &prefix.header;
    h.check_data(prefix.len)?;
    Ok(Range {
        unit: h.unit,
        unit_len: h.unit_len,
        offset: h.offset,
        len: prefix.len,
    })
}

fn landed(range: &Range, landed: Result<Landed, Refused>) -> Result<Incoming, Fault> {
    match landed {
        Ok(Landed::Partial) => Ok(Incoming::Data {
            bytes: range.len,
            complete: None,
        }),
        Ok(Landed::Complete(unit)) => Ok(Incoming::Data {
            bytes: range.len,
            complete: Some(unit),
        }),
        Err(Refused::Tag) => Err(Fault::stream()),
        Err(Refused::Violation(e)) => Err(Fault::Violation(e)),
    }
}

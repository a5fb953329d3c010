//! Frames: what CONTROL, HELLO and HELLO_ACK packets carry (`docs/PROTOCOL.md` section 3).

use super::DecodeError;
pub use super::ack::{Ack, AckCounts, MAX_RANGES, put_ack};
use super::varint::{put, take};

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
pub(super) const ACK: u8 = 0x02;
const GRANT: u8 = 0x03;
const PATH_CHALLENGE: u8 = 0x04;
const PATH_RESPONSE: u8 = 0x05;
const CLOSE: u8 = 0x06;
const HELLO: u8 = 0x07;
const LANE_DONE: u8 = 0x08;

/// Longest reason of a CLOSE, bytes.
pub const MAX_REASON: usize = 256;

/// One side's opening words on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// Comes back in the PATH_RESPONSE of a HELLO_ACK.
    pub challenge: [u8; 8],
    /// Lanes that the sender would like, itself included.
    pub lanes: u8,
    /// Largest datagram the sender of this frame can receive.
    pub max_datagram: u16,
    /// Cumulative unit bytes granted from the start.
    pub grant: u64,
}

/// One frame. Borrows from the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A run of padding bytes.
    Padding,
    Ping,
    Ack(Ack<'a>),
    /// Cumulative unit bytes.
    Grant(u64),
    PathChallenge([u8; 8]),
    PathResponse([u8; 8]),
    Close {
        code: u64,
        reason: &'a str,
    },
    Hello(Hello),
    /// The sender sends no more data on this lane.
    LaneDone,
}

impl<'a> Frame<'a> {
    /// Whether the peer must acknowledge the packet that carries this frame.
    pub fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Frame::Padding | Frame::Ack(_) | Frame::Close { .. })
    }

    /// Appends the frame. A CLOSE reason is cut to [`MAX_REASON`] bytes at a character boundary.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Padding => out.push(PADDING),
            Frame::Ping => out.push(PING),
            Frame::Ack(ack) => {
                out.push(ACK);
                ack.put(out);
            }
            Frame::Grant(bytes) => {
                out.push(GRANT);
                put(out, *bytes);
            }
            Frame::PathChallenge(data) => put_bytes(out, PATH_CHALLENGE, data),
            Frame::PathResponse(data) => put_bytes(out, PATH_RESPONSE, data),
            Frame::Close { code, reason } => put_close(out, *code, reason),
            Frame::Hello(hello) => put_hello(out, hello),
            Frame::LaneDone => out.push(LANE_DONE),
        }
    }

    /// Reads one frame and moves `bytes` behind it.
    fn take(bytes: &mut &'a [u8]) -> Result<Frame<'a>, DecodeError> {
        let (&kind, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        *bytes = rest;
        Ok(match kind {
            PADDING => {
                let run = bytes.iter().take_while(|&&b| b == PADDING).count();
                *bytes = &bytes[run..];
                Frame::Padding
            }
            PING => Frame::Ping,
            ACK => Frame::Ack(Ack::take(bytes)?),
            GRANT => Frame::Grant(take(bytes)?),
            PATH_CHALLENGE => Frame::PathChallenge(take_array(bytes)?),
            PATH_RESPONSE => Frame::PathResponse(take_array(bytes)?),
            CLOSE => take_close(bytes)?,
            HELLO => Frame::Hello(take_hello(bytes)?),
            LANE_DONE => Frame::LaneDone,
            other => return Err(DecodeError::UnknownFrame(other)),
        })
    }
}

/// Walks the frames of an opened payload; ends after the first error.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    bytes: &'a [u8],
}

impl<'a> Frames<'a> {
    pub fn new(payload: &'a [u8]) -> Frames<'a> {
        Frames { bytes: payload }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let frame = Frame::take(&mut self.bytes);
        if frame.is_err() {
            self.bytes = &[];
        }
        Some(frame)
    }
}

fn put_bytes(out: &mut Vec<u8>, kind: u8, data: &[u8; 8]) {
    out.push(kind);
    out.extend_from_slice(data);
}

fn put_close(out: &mut Vec<u8>, code: u64, reason: &str) {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason[..end];
    out.push(CLOSE);
    put(out, code);
    put(out, reason.len() as u64);
    out.extend_from_slice(reason.as_bytes());
}

fn put_hello(out: &mut Vec<u8>, hello: &Hello) {
    put_bytes(out, HELLO, &hello.challenge);
    out.push(hello.lanes);
    out.extend_from_slice(&hello.max_datagram.to_be_bytes());
    put(out, hello.grant);
}

fn take_close<'a>(bytes: &mut &'a [u8]) -> Result<Frame<'a>, DecodeError> {
    let code = take(bytes)?;
    let len = usize::try_from(take(bytes)?).unwrap_or(usize::MAX);
    if len > MAX_REASON {
        return Err(DecodeError::Reason);
    }
    let (reason, rest) = bytes.split_at_checked(len).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    let reason = std::str::from_utf8(reason).map_err(|_| DecodeError::Reason)?;
    Ok(Frame::Close { code, reason })
}

fn take_hello(bytes: &mut &[u8]) -> Result<Hello, DecodeError> {
    let challenge = take_array(bytes)?;
    let [lanes] = take_array(bytes)?;
    let max_datagram = u16::from_be_bytes(take_array(bytes)?);
    Ok(Hello {
        challenge,
        lanes,
        max_datagram,
        grant: take(bytes)?,
    })
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (head, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

//! One TCP lane after its handshake: a thread that reads, opens, seals and writes in turn, and never blocks but in
//! `ppoll`.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;

use pb_proto::error::close;
use pb_proto::time::{Instant, MS, Nanos, SECOND};
use pb_proto::wire::frame::{Ack, AckCounts, Frame, Frames};
use pb_proto::wire::header::Kind;
use rustix::event::{PollFd, PollFlags, poll};

use super::ending::timespec;
use super::inbound::{Inbound, Incoming, Read};
use super::outbound::Outbound;
use super::sampling::{Feeding, Sampler};
use crate::transport::clock;
use crate::transport::control::{Entered, Order};
use crate::transport::fault::Fault;
use crate::transport::{LaneHost, Next, OutUnit};

/// Bytes read or written before the other direction has its turn.
const TURN: u64 = 1 << 20;
/// An ACK is due after this many bytes of units (`docs/PROTOCOL.md` section 2).
const ACK_EVERY: u64 = 256 * 1024;
/// A PING leaves after this long without traffic; without a byte for `IDLE` the lane is lost (section 4).
const KEEPALIVE: Nanos = 5 * SECOND;
const IDLE: Nanos = pb_proto::lane::IDLE_TIMEOUT;
/// Longest sleep, so that an idle lane's samples stay fresh.
const NAP: Nanos = 250 * MS;

/// A lane whose keys and sockets are ready.
pub(crate) struct TcpLane {
    pub(super) stream: TcpStream,
    pub(super) host: Arc<dyn LaneHost>,
    pub(super) entered: Entered,
    pub(super) lane: u8,
    pub(super) seal: bool,
    pub(super) out: Outbound,
    pub(super) inbound: Inbound,
    pub(super) state: State,
}

/// What the two directions owe each other.
pub(super) struct State {
    /// The unit being sent and the bytes of it that are queued.
    current: Option<(Arc<OutUnit>, u32)>,
    /// Units sent whole, with the number of their last record.
    unacked: VecDeque<(u64, Arc<OutUnit>)>,
    /// Not before: the session's rate limit.
    retry_at: Option<Instant>,
    ack_due: bool,
    since_ack: u64,
    received: u64,
    /// The grant last announced on this lane.
    announced: u64,
    ping_due: bool,
    done_sent: bool,
    done_received: bool,
    heard: Instant,
    spoke: Instant,
    sampler: Sampler,
    frames: Vec<u8>,
}

impl State {
    pub(super) fn new(lane: u8, announced: u64) -> State {
        let now = clock::now();
        State {
            current: None,
            unacked: VecDeque::new(),
            retry_at: None,
            ack_due: false,
            since_ack: 0,
            received: 0,
            announced,
            // The first record behind the handshake tells the server that this connection was chosen.
            ping_due: true,
            done_sent: false,
            done_received: false,
            heard: now,
            spoke: now,
            sampler: Sampler::new(lane, now),
            frames: Vec::new(),
        }
    }
}

impl TcpLane {
    /// Runs the lane to its end. `lane_up` has been called; `lane_down` is called here.
    pub(crate) fn run(mut self) {
        let why = self.turns().err();
        if let Some(Fault::Violation(e)) = &why {
            self.say_close(close::PROTOCOL, &e.message);
        }
        self.tell_copies();
        if let Some(sample) = self.state.sampler.take(self.stream.as_fd(), clock::now()) {
            self.host.sample(self.lane, sample);
        }
        if let Some(Fault::Violation(e) | Fault::ClosedByPeer(e)) = &why {
            self.host.session_closed(e.clone());
        }
        let whole = self.state.unacked.drain(..).map(|(_, unit)| unit);
        let unfinished = whole
            .chain(self.state.current.take().map(|(unit, _)| unit))
            .collect();
        self.host
            .lane_down(self.lane, unfinished, why.map(|w| w.error().clone()));
    }

    fn turns(&mut self) -> Result<(), Fault> {
        let mut readable = true;
        loop {
            self.entered.waker().clear();
            let order = self.entered.control().current();
            if let Order::Close { code, reason } = &order {
                self.say_close(*code, reason);
                return Ok(());
            }
            let more_in = readable && self.read_turn()?;
            let written = self.out.written;
            let blocked = !self.write_turn(order == Order::Finish)?;
            let now = clock::now();
            self.housekeep(now, self.out.written != written)?;
            if self.state.done_sent && self.state.done_received && self.out.is_empty() {
                self.leave();
                return Ok(());
            }
            let wrote_much = self.out.written - written >= TURN && !blocked;
            readable = if more_in || wrote_much {
                true
            } else {
                self.sleep(now, blocked)?
            };
        }
    }

    /// Reads up to a turn's bytes. True when there may be more.
    fn read_turn(&mut self) -> Result<bool, Fault> {
        let start = self.inbound.read;
        while self.inbound.read - start < TURN {
            let read = self.inbound.read(self.stream.as_fd())?;
            if self.inbound.read > start {
                self.state.heard = clock::now();
            }
            while let Some(incoming) = self.inbound.next(&*self.host)? {
                self.handle(incoming)?;
            }
            match read {
                Read::Bytes { drained: false } => {}
                Read::Bytes { drained: true } | Read::Nothing => return Ok(false),
                Read::End if self.state.done_sent && self.state.done_received => return Ok(false),
                Read::End => return Err(Fault::lost("the peer ended the connection")),
            }
        }
        Ok(true)
    }

    fn handle(&mut self, incoming: Incoming) -> Result<(), Fault> {
        match incoming {
            Incoming::Frames(frames) => self.frames(&frames),
            Incoming::Data { .. } if self.state.done_received => Err(Fault::violation(
                "the peer sent data after it had said that the lane was done",
            )),
            Incoming::Data { bytes, complete } => {
                let state = &mut self.state;
                state.received += u64::from(bytes);
                state.since_ack += u64::from(bytes);
                state.ack_due |= complete.is_some() || state.since_ack >= ACK_EVERY;
                if let Some(unit) = complete {
                    self.host.unit_complete(self.lane, unit);
                }
                Ok(())
            }
        }
    }

    fn frames(&mut self, frames: &[u8]) -> Result<(), Fault> {
        for frame in Frames::new(frames) {
            match frame.map_err(pb_proto::error::Violation::from)? {
                Frame::Ack(ack) => self.acked(ack.largest)?,
                Frame::Grant(bytes) => self.host.peer_grant(bytes),
                Frame::Ping => self.state.ack_due = true,
                Frame::LaneDone => self.state.done_received = true,
                Frame::Close { code, reason } => return Err(Fault::closed_by_peer(code, reason)),
                Frame::Padding | Frame::PathResponse(_) => {}
                Frame::PathChallenge(_) | Frame::Hello(_) => {
                    return Err(Fault::violation(
                        "the peer sent a frame that has no place on a TCP lane",
                    ));
                }
            }
        }
        Ok(())
    }

    fn acked(&mut self, largest: u64) -> Result<(), Fault> {
        if largest >= self.out.next {
            return Err(Fault::violation(
                "the peer acknowledged a record that was never sent",
            ));
        }
        self.out.acked = self.out.acked.max(Some(largest));
        let unacked = &mut self.state.unacked;
        let arrived = unacked.partition_point(|(number, _)| *number <= largest);
        for (_, unit) in unacked.drain(..arrived) {
            self.host.unit_acked(self.lane, unit);
        }
        Ok(())
    }

    /// Writes up to a turn's bytes. False when the socket is full.
    fn write_turn(&mut self, finish: bool) -> Result<bool, Fault> {
        let start = self.out.written;
        loop {
            self.queue_control(finish)?;
            let more = self.queue_data()?;
            if !self.out.flush(self.stream.as_fd())? {
                return Ok(false);
            }
            if !more || self.out.written - start >= TURN {
                return Ok(true);
            }
        }
    }

    fn queue_control(&mut self, finish: bool) -> Result<(), Fault> {
        if !self.out.takes_control() {
            return Ok(());
        }
        let state = &mut self.state;
        let frames = &mut state.frames;
        frames.clear();
        if state.ack_due && self.inbound.expect > 0 {
            let counts = AckCounts {
                received_bytes: state.received,
                ..AckCounts::default()
            };
            Frame::Ack(Ack::everything(self.inbound.expect - 1, counts)).encode(frames);
            (state.ack_due, state.since_ack) = (false, 0);
        }
        let grant = self.host.grant();
        if grant > state.announced {
            Frame::Grant(grant).encode(frames);
            state.announced = grant;
        }
        if std::mem::take(&mut state.ping_due) {
            Frame::Ping.encode(frames);
        }
        let finishing = finish || state.done_received;
        if finishing
            && !state.done_sent
            && state.current.is_none()
            && state.unacked.is_empty()
            && self.out_of_units()
        {
            Frame::LaneDone.encode(&mut self.state.frames);
            self.state.done_sent = true;
        }
        match self.state.frames.is_empty() {
            true => Ok(()),
            false => self.out.control(Kind::Control, &self.state.frames),
        }
    }

    /// Asks the session for a unit when none is in hand; true when it has none at all.
    fn out_of_units(&mut self) -> bool {
        if self.state.current.is_some() || self.state.done_sent {
            return false;
        }
        let now = clock::now();
        if self.state.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        self.state.retry_at = None;
        let (feeding, idle) = match self.host.next_unit(self.lane) {
            Next::Unit(unit) => {
                self.state.current = Some((unit, 0));
                (Feeding::Units, false)
            }
            Next::Idle => (Feeding::Idle, true),
            Next::NoCredit => (Feeding::NoCredit, false),
            Next::Limited { retry_ns } => {
                self.state.retry_at = Some(now.after(retry_ns));
                (Feeding::Limited, false)
            }
        };
        self.state.sampler.feeding(feeding, now);
        idle
    }

    /// Queues the next record of data. False when there is none.
    fn queue_data(&mut self) -> Result<bool, Fault> {
        if !self.out.takes_control() {
            return Ok(true);
        }
        self.out_of_units();
        let Some((unit, offset)) = self.state.current.take() else {
            return Ok(false);
        };
        let number = self.out.next;
        let len = self
            .out
            .data(&unit, offset, self.seal || unit.always_sealed);
        let sent = offset + *len.as_ref().unwrap_or(&0);
        match sent == unit.len {
            true => self.state.unacked.push_back((number, unit)),
            false => self.state.current = Some((unit, sent)),
        }
        len.map(|_| true)
    }

    fn housekeep(&mut self, now: Instant, wrote: bool) -> Result<(), Fault> {
        if wrote {
            self.state.spoke = now;
        }
        if now.since(self.state.heard) > IDLE {
            return Err(Fault::timeout("nothing was heard from the peer for 90 s"));
        }
        self.state.ping_due |=
            now.since(self.state.spoke.max(self.state.heard)) >= KEEPALIVE && self.out.is_empty();
        self.tell_copies();
        if let Some(sample) = self
            .state
            .sampler
            .due(&*self.host, self.stream.as_fd(), now)
        {
            self.host.sample(self.lane, sample);
        }
        Ok(())
    }

    fn tell_copies(&mut self) {
        let host = &*self.host;
        let mut tell = |step, bytes| host.copied(step, bytes);
        self.out.copies.flush(&mut tell);
        self.inbound.placer.copies.flush(&mut tell);
    }

    /// Sleeps until something can be done. True when the socket is readable.
    fn sleep(&mut self, now: Instant, blocked: bool) -> Result<bool, Fault> {
        if self.state.ping_due && self.out.is_empty() {
            return Ok(true);
        }
        let retry = self.state.retry_at.map_or(NAP, |at| at.since(now));
        let timeout = timespec(retry.min(NAP));
        let events = if blocked {
            PollFlags::IN | PollFlags::OUT
        } else {
            PollFlags::IN
        };
        let mut fds = [
            PollFd::new(&self.stream, events),
            PollFd::new(self.entered.waker(), PollFlags::IN),
        ];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let revents = fds[0].revents();
        if revents.contains(PollFlags::OUT) {
            // The peer's kernel took bytes.
            self.state.heard = clock::now();
        }
        Ok(revents.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR))
    }
}

//! One UDP lane: a thread that receives, opens, plans, seals and sends in turn, and sleeps only in `ppoll`.

use std::sync::Arc;

use pb_proto::error::close;
use pb_proto::lane::{Event, PacketPlan};
use pb_proto::time::{Instant, MS, Nanos, SECOND, US};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Verdict;
use super::core::Core;
use super::path::Path;
use super::route::Route;
use super::socket::Sent;
use super::train::{TRAIN, TRAIN_PACKETS, Train};
use super::units::{HostFeed, Units};
use crate::transport::TransportKind;
use crate::transport::clock;
use crate::transport::control::{Entered, Order};
use crate::transport::fault::Fault;
use crate::transport::sampled::is_sample_due;
use crate::transport::sys::random::random;
use crate::transport::sys::udp::Batch;

/// Messages of one receive call: 512 KiB of buffers, which stay in a core's second-level cache.
const BATCH: usize = 8;
/// Receive calls, and trains, before the other direction has its turn.
const TURN_BATCHES: usize = 4;
const TURN_TRAINS: usize = 8;
/// Packets planned at once where each needs a call of its own.
const SINGLES: usize = 16;
/// Timers nearer than this are waited for by polling: a sleep and wake-up costs about as much (measured 5 to 50 us).
const SPIN: Nanos = 30 * US;
/// Longest sleep, so that an idle lane's samples stay fresh.
const NAP: Nanos = 250 * MS;

/// How far a lane is, as its session sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The session has not heard of it.
    Starting,
    Up,
    /// The session has been told of its end; it stays a little to answer a peer that has not heard.
    Over,
}

/// A lane and its socket.
pub(super) struct Driver {
    pub core: Core,
    pub path: Path,
    pub entered: Entered,
    pub route: Option<Arc<Route>>,
    pub verdict: Option<Verdict>,
    pub(super) units: Units,
    batch: Batch,
    train: Train,
    plans: Vec<PacketPlan>,
    pub(super) stage: Stage,
    /// The peer has said LANE_DONE.
    pub(super) peer_done: bool,
    closing: bool,
    /// To be done once the session has nothing more to send.
    finishing: bool,
    last_sample: Instant,
    pub(super) why: Option<Fault>,
    pub(super) refused_since: Option<Instant>,
    /// Everything is done but the peer's word that it knows.
    pub(super) alone_since: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        core: Core,
        path: Path,
        entered: Entered,
        route: Option<Arc<Route>>,
        verdict: Option<Verdict>,
    ) -> Driver {
        Driver {
            core,
            path,
            entered,
            route,
            verdict,
            units: Units::default(),
            batch: Batch::new(BATCH),
            train: Train::new(),
            plans: Vec::with_capacity(TRAIN_PACKETS),
            stage: Stage::Starting,
            peer_done: false,
            closing: false,
            finishing: false,
            last_sample: clock::now(),
            why: None,
            refused_since: None,
            alone_since: None,
        }
    }

    /// Runs the lane to its end.
    pub(super) fn run(mut self) {
        // Without it a sleep of 100 us lasts 150 (the default slack is 50 us).
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        while !self.core.lane.is_closed() {
            if !self.turn() {
                return;
            }
        }
        if let (Some(verdict), Some(why)) = (self.verdict.take(), &self.why) {
            verdict.failed(why.error().clone());
        }
        self.down();
    }

    /// One turn. False when the lane is to vanish without a word: it lost a race, or was never used.
    fn turn(&mut self) -> bool {
        self.entered.waker().clear();
        if !self.obey() {
            return false;
        }
        let more = self.receive();
        let now = clock::now();
        self.core.tick(now);
        if !self.events() {
            return false;
        }
        if self.stage != Stage::Over {
            self.core.lane.set_grant(self.core.session.host.grant());
        }
        let mut busy = self.transmit();
        if self.finishing && self.units.idle {
            self.core.lane.finish();
            busy |= self.transmit();
        }
        let host = &*self.core.session.host;
        if self.stage == Stage::Up && is_sample_due(host, self.last_sample, now) {
            self.last_sample = now;
            self.core
                .session
                .host
                .sample(self.core.lane_id, self.core.lane.sample(now));
        }
        if self.core.lane.is_done() {
            self.down();
        } else if self.is_left_alone(now) {
            return false;
        }
        if !more && !busy && !self.core.lane.is_closed() {
            self.sleep();
        }
        true
    }

    fn obey(&mut self) -> bool {
        match self.entered.control().current() {
            Order::Finish | Order::Close { .. } if self.stage == Stage::Starting => return false,
            _ if self.stage == Stage::Over => {}
            Order::Run => {}
            Order::Finish => self.finishing = true,
            Order::Close { code, reason } if !self.closing => {
                self.closing = true;
                self.core.lane.close(clock::now(), code, &reason);
            }
            Order::Close { .. } => {}
        }
        true
    }

    /// Takes what the socket and the listener have. True when more may wait.
    fn receive(&mut self) -> bool {
        for _ in 0..TURN_BATCHES {
            match self.batch.receive(self.path.fd(), false) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(_) => {}
                Err(Errno::CONNREFUSED) => {
                    self.refused();
                    continue;
                }
                // Another ICMP error to something we sent: recovery will notice what is missing.
                Err(_) => continue,
            }
            let now = clock::now();
            self.refused_since = None;
            if let Err(fault) = self.core.batch(now, &self.batch) {
                return self.violated(now, fault);
            }
            self.core.lane.on_batch_end(now);
            if !self.batch.was_full() {
                self.forwarded();
                return false;
            }
        }
        self.forwarded();
        self.batch.was_full()
    }

    /// Takes what came to the listening socket, from where the client is now.
    fn forwarded(&mut self) {
        let Some(route) = self.route.clone() else {
            return;
        };
        while let Some((from, datagram)) = route.pop() {
            let now = clock::now();
            match self.core.datagram(now, &datagram, false) {
                Ok(Some(number)) => {
                    let newest = self.core.lane.largest_received() == Some(number);
                    if newest && self.path.moved(from, now, &self.core.session.options) {
                        self.core.lane.challenge(now, random(), datagram.len());
                    }
                }
                Ok(None) => {}
                Err(fault) => {
                    self.violated(now, fault);
                    return;
                }
            }
            self.core.lane.on_batch_end(now);
        }
    }

    fn violated(&mut self, now: Instant, fault: Fault) -> bool {
        if self.why.is_none() {
            self.core
                .lane
                .close(now, close::PROTOCOL, &fault.error().message);
            self.why = Some(fault);
        }
        false
    }

    fn events(&mut self) -> bool {
        let session = self.core.session.clone();
        for event in std::mem::take(&mut self.core.events) {
            match event {
                Event::UnitAcked(id) => {
                    if let Some(unit) = self.units.remove(id) {
                        session.host.unit_acked(self.core.lane_id, unit);
                    }
                }
                Event::PeerGrant(bytes) => session.host.peer_grant(bytes),
                Event::HandshakeDone if session.client => {
                    if self.verdict.take().is_some_and(|v| !v.chosen()) {
                        return false;
                    }
                    self.come_up();
                }
                Event::HandshakeDone | Event::PeerHello { .. } => {}
                Event::PathValidated => self.path.proven(),
                Event::PathAbandoned => self.path.back(&session.options),
                Event::LaneDone => {
                    self.peer_done = true;
                    self.finishing = true;
                }
                Event::RotateSendKey { phase } => self.core.seal.rotate_to(phase),
                Event::Closed { code, reason } => self.ended(code, &reason),
            }
        }
        if !session.client && self.core.in_use && !self.core.lane.is_closed() {
            self.come_up();
        }
        true
    }

    fn come_up(&mut self) {
        if self.stage == Stage::Starting {
            self.stage = Stage::Up;
            self.core.session.host.lane_up(
                self.core.lane_id,
                TransportKind::Udp,
                self.entered.waker().clone(),
            );
        }
    }

    /// Sends what may leave. True when more may leave at once.
    fn transmit(&mut self) -> bool {
        for _ in 0..TURN_TRAINS {
            let now = clock::now();
            let packets = if self.path.takes_trains() {
                TRAIN_PACKETS
            } else {
                SINGLES
            };
            self.plans.clear();
            let session = &self.core.session;
            let feed = &mut HostFeed {
                host: &*session.host,
                lane: self.core.lane_id,
                seal: session.options.seal,
                open: self.stage == Stage::Up && !self.closing,
                min_rtt: self.core.lane.min_rtt(),
                units: &mut self.units,
            };
            self.core
                .lane
                .poll_transmit(now, feed, packets, TRAIN, &mut self.plans);
            if self.plans.is_empty() {
                return false;
            }
            self.train
                .fill(&self.plans, &self.core.seal, &mut self.units);
            let host = &*self.core.session.host;
            self.train
                .copies
                .flush(|step, bytes| host.copied(step, bytes));
            let sent = match self.train.pieces() {
                Some(pieces) => self.path.send_pieces(&pieces),
                None => self.path.send(self.train.bytes(), self.train.size),
            };
            self.train.clear();
            match sent {
                Sent::Gone => {}
                Sent::TooLarge => self
                    .core
                    .lane
                    .on_datagram_too_large(now, self.train.size as u16),
                Sent::NoRoute => self.path.renew(now, &self.core.session),
            }
        }
        true
    }

    fn sleep(&mut self) {
        let now = clock::now();
        let wait = self
            .core
            .lane
            .next_timeout()
            .map_or(NAP, |at| at.since(now))
            .min(NAP);
        let wait = if wait < SPIN { 0 } else { wait };
        let timeout = Timespec {
            tv_sec: (wait / SECOND) as i64,
            tv_nsec: (wait % SECOND) as i64,
        };
        let fd = self.path.fd();
        let mut fds = [
            PollFd::new(&fd, PollFlags::IN),
            PollFd::new(self.entered.waker(), PollFlags::IN),
        ];
        let _ = poll(&mut fds, Some(&timeout));
    }
}

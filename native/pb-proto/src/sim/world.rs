//! The loop: arrivals, timers, transmissions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::link::Link;
use super::rival::Rivals;
use super::session::Session;
use super::{Failure, Mark, Outcome, START, Scenario};
use crate::error::Violation;
use crate::lane::{Event, Lane, LaneConfig, PacketPlan, PlanBody};
use crate::rng::Rng;
use crate::sample::PathSample;
use crate::time::Instant;
use crate::wire::header::{HEADER, Header, Kind};

/// Largest train, as a driver with GSO would send it.
const TRAIN_PACKETS: usize = 44;
const TRAIN_BYTES: usize = 64 << 10;

/// A datagram under way.
#[derive(Debug, PartialEq, Eq)]
struct Flight {
    at: Instant,
    /// Keeps the order of those that arrive together.
    order: u64,
    /// 0 at the client, 1 at the server.
    to: usize,
    lane: usize,
    /// The client's address that it came from or goes to.
    address: u32,
    whole: bool,
    bytes: [u8; HEADER],
    frames: Vec<u8>,
    size: u16,
}

impl Ord for Flight {
    fn cmp(&self, other: &Flight) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Flight) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// One end of one lane, and what its driver knows.
struct End {
    lane: Option<Lane>,
    wake: bool,
    /// The server's view of the client's address: in use, and last proven.
    address: u32,
    proven: u32,
    /// The key phase that packets are sealed under.
    phase: u32,
}

pub struct World<'a> {
    scenario: &'a Scenario,
    now: Instant,
    links: [Link; 2],
    ends: [Vec<End>; 2],
    sessions: [Session; 2],
    flights: BinaryHeap<Reverse<Flight>>,
    rivals: Rivals,
    marks: Vec<Mark>,
    order: u64,
    hash: u64,
    address: u32,
    rng: Rng,
    delivered: Vec<u64>,
    finishing: bool,
    done_at: Option<Instant>,
}

impl<'a> World<'a> {
    pub fn new(scenario: &'a Scenario) -> World<'a> {
        let mut rng = Rng::new(scenario.seed);
        let mut rivals_rng = Rng::new(scenario.seed);
        let links = [0, 1].map(|side| Link::new(scenario.paths[side].clone(), rng.bits()));
        let session = |side: usize| {
            Session::new(
                scenario.loads[side].clone(),
                scenario.loads[1 - side].units.clone(),
            )
        };
        let ends = [0, 1].map(|_| {
            let blank = || End {
                lane: None,
                wake: true,
                address: 0,
                proven: 0,
                phase: 0,
            };
            (0..scenario.lanes).map(|_| blank()).collect()
        });
        let mut world = World {
            scenario,
            now: START,
            links,
            ends,
            sessions: [session(0), session(1)],
            flights: BinaryHeap::new(),
            rivals: Rivals::new(&scenario.rivals, &mut rivals_rng),
            marks: Vec::new(),
            order: 0,
            hash: scenario.seed,
            address: 0,
            rng,
            delivered: vec![0; scenario.lanes.into()],
            finishing: false,
            done_at: None,
        };
        world.open_due();
        world
    }

    fn opens_at(&self, lane: usize) -> Instant {
        self.scenario.lanes_from.get(lane).copied().unwrap_or(START)
    }

    /// Opens the client's lanes whose time has come.
    fn open_due(&mut self) {
        for lane in 0..self.ends[0].len() {
            if self.ends[0][lane].lane.is_none() && self.opens_at(lane) <= self.now {
                self.open(0, lane);
            }
        }
    }

    fn next_opening(&self) -> Option<Instant> {
        let lanes = 0..self.scenario.lanes_from.len().min(self.ends[0].len());
        let closed = lanes.filter(|&lane| self.ends[0][lane].lane.is_none());
        closed.map(|lane| self.opens_at(lane)).min()
    }

    fn open(&mut self, side: usize, lane: usize) {
        let controllers = &self.scenario.controllers;
        let mut config =
            LaneConfig::new(side == 0, lane as u8, self.scenario.seed, self.rng.bits());
        config.controller = controllers
            .get(lane)
            .or(controllers.last())
            .copied()
            .unwrap_or_default();
        config.max_datagram_size = self.scenario.max_datagram;
        config.rekey_after = self.scenario.rekey_after;
        config.path_hint = self.scenario.history;
        let mut opened = Lane::new(config, self.now);
        opened.set_grant(self.sessions[side].grant());
        if self.finishing {
            opened.finish();
        }
        self.ends[side][lane].lane = Some(opened);
    }

    pub fn run(mut self) -> Result<Outcome, Failure> {
        while !self.is_over() {
            self.step()
                .map_err(|f| Failure(format!("{} at {:?}", f.0, self.now)))?;
        }
        Ok(Outcome {
            hash: self.hash,
            done_at: self.done_at.unwrap_or(self.now),
            samples: self.samples(),
            delivered: self.delivered,
            rivals: self.rivals.delivered(),
            fates: [self.links[0].fates, self.links[1].fates],
            marks: self.marks,
        })
    }

    fn samples(&self) -> Vec<PathSample> {
        let lanes = self.ends[0].iter().flat_map(|end| &end.lane);
        lanes.map(|lane| lane.sample(self.now)).collect()
    }

    fn mark(&mut self) {
        let (Some(every), last) = (self.scenario.mark_every, self.marks.last()) else {
            return;
        };
        if last.is_some_and(|mark| self.now < mark.at.after(every)) {
            return;
        }
        self.marks.push(Mark {
            at: self.now,
            delivered: self.delivered.clone(),
            rivals: self.rivals.delivered(),
            queued: self.links[0].queued(self.now),
            samples: self.samples(),
        });
    }

    fn is_over(&self) -> bool {
        let stopped = self.scenario.stop_at.is_some_and(|at| at <= self.now);
        let mut lanes = self
            .ends
            .iter()
            .flatten()
            .filter_map(|end| end.lane.as_ref());
        stopped || (self.finishing && lanes.all(Lane::is_closed))
    }

    fn step(&mut self) -> Result<(), Failure> {
        for side in 0..2 {
            for lane in 0..self.ends[side].len() {
                self.transmit(side, lane);
            }
        }
        self.advance()?;
        self.open_due();
        self.mark();
        self.rivals.on_time(self.now, &mut self.links);
        while self.flights.peek().is_some_and(|f| f.0.at <= self.now) {
            let Some(Reverse(flight)) = self.flights.pop() else {
                break;
            };
            self.arrive(flight)?;
        }
        for side in 0..2 {
            if self.sessions[side].on_time(self.now) {
                self.wake(side);
            }
            for lane in 0..self.ends[side].len() {
                self.time_out(side, lane)?;
            }
        }
        self.finish_when_done();
        Ok(())
    }

    /// Moves the clock to whatever comes next.
    fn advance(&mut self) -> Result<(), Failure> {
        let lanes = self
            .ends
            .iter()
            .flatten()
            .filter_map(|end| end.lane.as_ref()?.next_timeout());
        let writes = self.sessions.iter().filter_map(Session::next_write);
        let flight = self.flights.peek().map(|f| f.0.at);
        let reads = self.sessions.iter().filter_map(Session::next_read);
        let rivals = self.rivals.next();
        let next = lanes.chain(writes).chain(reads).chain(flight).chain(rivals);
        let next = next.chain(self.next_opening()).min();
        let Some(next) = next else {
            return Err(Failure("nothing will ever happen".into()));
        };
        self.now = self.now.max(next);
        if self.now.0 > self.scenario.deadline {
            let [client, server] = [0, 1].map(|side| self.sessions[side].arrived_count);
            return Err(Failure(format!(
                "past the deadline: {server} up and {client} down arrived"
            )));
        }
        Ok(())
    }

    fn wake(&mut self, side: usize) {
        let grant = self.sessions[side].grant();
        for end in &mut self.ends[side] {
            end.wake = true;
            if let Some(lane) = &mut end.lane {
                lane.set_grant(grant);
            }
        }
    }

    fn finish_when_done(&mut self) {
        if self.finishing || !self.sessions.iter().all(Session::is_done) {
            return;
        }
        self.finishing = true;
        self.done_at = Some(self.now);
        for end in self.ends.iter_mut().flatten() {
            end.wake = true;
            end.lane.iter_mut().for_each(Lane::finish);
        }
    }

    fn time_out(&mut self, side: usize, lane: usize) -> Result<(), Failure> {
        let end = &mut self.ends[side][lane];
        let Some(machine) = &mut end.lane else {
            return Ok(());
        };
        if machine.next_timeout().is_none_or(|at| at > self.now) {
            return Ok(());
        }
        end.wake = true;
        let mut events = Vec::new();
        machine.on_timeout(self.now, &mut events);
        self.handle(side, lane, events)
    }

    fn transmit(&mut self, side: usize, lane: usize) {
        if !std::mem::take(&mut self.ends[side][lane].wake) {
            return;
        }
        let mut plans = Vec::new();
        loop {
            let session = &mut self.sessions[side];
            let Some(machine) = &mut self.ends[side][lane].lane else {
                return;
            };
            machine.poll_transmit(self.now, session, TRAIN_PACKETS, TRAIN_BYTES, &mut plans);
            if plans.is_empty() {
                return;
            }
            plans.drain(..).for_each(|plan| self.send(side, lane, plan));
        }
    }

    fn send(&mut self, side: usize, lane: usize, plan: PacketPlan) {
        let mut bytes = [0; HEADER];
        plan.header.encode(&mut bytes);
        self.note(&[
            1,
            side as u64,
            lane as u64,
            plan.header.packet_number,
            plan.size.into(),
        ]);
        let address = if side == 0 {
            self.address
        } else {
            self.ends[1][lane].address
        };
        let frames = match plan.body {
            PlanBody::Unit => Vec::new(),
            PlanBody::Frames(frames) => frames,
        };
        for arrival in self.links[side]
            .send(self.now, plan.size)
            .into_iter()
            .flatten()
        {
            self.order += 1;
            self.flights.push(Reverse(Flight {
                at: arrival.at,
                order: self.order,
                to: 1 - side,
                lane,
                address,
                whole: arrival.whole,
                bytes,
                frames: frames.clone(),
                size: plan.size,
            }));
        }
    }

    fn note(&mut self, words: &[u64]) {
        for word in words.iter().chain(&[self.now.0]) {
            self.hash = (self.hash ^ word)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(29);
        }
    }

    fn arrive(&mut self, flight: Flight) -> Result<(), Failure> {
        if self.scenario.rebind_at.is_some_and(|at| at <= self.now) {
            self.address = 1;
        }
        let (to, lane) = (flight.to, flight.lane);
        if !flight.whole || (to == 0 && flight.address != self.address) {
            return Ok(());
        }
        let header = Header::decode(&flight.bytes).map_err(|e| Failure(e.to_string()))?;
        if to == 1 && header.kind == Kind::Hello && self.ends[1][lane].lane.is_none() {
            self.open(1, lane);
        }
        let end = &mut self.ends[to][lane];
        let Some(machine) = end
            .lane
            .as_mut()
            .filter(|lane| lane.would_accept(header.packet_number))
        else {
            return Ok(());
        };
        end.wake = true;
        let newest = machine
            .largest_received()
            .is_none_or(|n| header.packet_number > n);
        let mut events = Vec::new();
        let size = usize::from(flight.size);
        let taken = machine.on_packet(self.now, &header, size, false, &flight.frames, &mut events);
        if to == 1 && newest && flight.address != end.address && machine.is_up() {
            end.address = flight.address;
            machine.challenge(self.now, self.rng.bits().to_be_bytes(), size);
        }
        machine.on_batch_end(self.now);
        self.note(&[2, to as u64, lane as u64, header.packet_number]);
        taken.map_err(|v: Violation| Failure(v.to_string()))?;
        self.place(to, lane, &header)?;
        self.handle(to, lane, events)
    }

    fn place(&mut self, side: usize, lane: usize, header: &Header) -> Result<(), Failure> {
        if header.kind != Kind::Data {
            return Ok(());
        }
        let len = u32::from(header.payload_len);
        if side == 1 {
            self.delivered[lane] += u64::from(len);
        }
        self.sessions[side].on_data(self.now, header.unit, header.offset, len, header.unit_len)
    }

    fn handle(&mut self, side: usize, lane: usize, events: Vec<Event>) -> Result<(), Failure> {
        for event in events {
            let end = &mut self.ends[side][lane];
            match event {
                Event::UnitAcked(id) => self.sessions[side].on_unit_acked(id)?,
                Event::PeerGrant(grant) if self.sessions[side].on_peer_grant(grant) => {
                    self.wake(side)
                }
                Event::PathValidated => end.proven = end.address,
                Event::PathAbandoned => end.address = end.proven,
                Event::RotateSendKey { phase } if phase == end.phase + 1 => end.phase = phase,
                Event::RotateSendKey { phase } => {
                    return Err(Failure(format!("key phase {phase} out of turn")));
                }
                Event::Closed { code, reason } if !self.finishing => {
                    return Err(Failure(format!("lane {lane} closed: {code} {reason}")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

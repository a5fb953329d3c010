//! Flows of other people's TCP beside ours on the same links: what Linux does with CUBIC and with BBR (version 1).
//! They have no end of bytes, repair what is lost, and only their congestion control matters.

mod bbr;
mod cubic;
mod flow;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::link::Link;
use crate::rng::Rng;
use crate::time::{Instant, MS, Nanos};
use flow::Flow;

/// Bytes of user data in a segment of 1500 bytes, with timestamps.
const SEGMENT: u64 = 1448;
/// As the links count them: IP packet without the 28 bytes they add.
const DATA_SIZE: u16 = 1472;
/// 20 bytes of IPv4, 32 of TCP, 12 of SACK.
const ACK_SIZE: u16 = 36;
/// The kernel's delayed ACK.
const DELAYED_ACK: Nanos = 40 * MS;

/// A flow beside ours, from the client's side to the server's.
#[derive(Debug, Clone, PartialEq)]
pub struct Rival {
    pub kind: RivalKind,
    pub from: Instant,
    pub to: Option<Instant>,
}

/// Its congestion control, both as in Linux 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RivalKind {
    /// tcp_cubic.c: CUBIC with HyStart, proportional rate reduction (RFC 6937), not paced.
    Cubic,
    /// tcp_bbr.c: version 1, without its policer model.
    Bbr,
}

/// What congestion control hears of one ACK. Windows are in segments.
#[derive(Debug, Clone, Copy)]
pub struct Acked {
    pub now: Instant,
    /// Segments newly delivered, and newly declared lost.
    pub acked: u64,
    pub lost: u64,
    pub in_flight: u64,
    pub delivered: u64,
    /// `delivered` when the newest of the acknowledged segments left.
    pub prior_delivered: u64,
    /// Segments per second.
    pub rate: f64,
    pub rtt: Nanos,
    /// Losses are being repaired.
    pub recovering: bool,
}

/// Congestion control of a rival.
pub trait Brain {
    fn on_ack(&mut self, ack: &Acked);
    /// The first loss of an episode: repair begins.
    fn on_recovery(&mut self, delivered: u64, in_flight: u64);
    fn on_recovered(&mut self);
    fn on_timeout(&mut self);
    fn window(&self) -> u64;
    /// Segments per second; `None` is not paced.
    fn pacing(&self) -> Option<f64>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A segment arrives at the receiver.
    Data(u64),
    /// The receiver has waited long enough for a second segment: so many had arrived.
    Delay(usize),
    /// An ACK arrives at the sender: of the first so many that arrived.
    Ack(usize),
    /// The sender may have something to do: start, pace, time out.
    Wake,
}

/// All rivals of a run.
pub struct Rivals {
    flows: Vec<Flow>,
    /// (when, order, flow, what)
    events: BinaryHeap<Reverse<(Instant, u64, usize, What)>>,
    order: u64,
}

impl Rivals {
    pub fn new(rivals: &[Rival], rng: &mut Rng) -> Rivals {
        let flows: Vec<Flow> = rivals.iter().map(|r| Flow::new(r, rng.bits())).collect();
        let mut all = Rivals {
            events: BinaryHeap::new(),
            order: 0,
            flows,
        };
        for (index, rival) in rivals.iter().enumerate() {
            all.push(rival.from, index, What::Wake);
        }
        all
    }

    pub fn next(&self) -> Option<Instant> {
        self.events.peek().map(|e| e.0.0)
    }

    /// Bytes of user data that arrived, by flow.
    pub fn delivered(&self) -> Vec<u64> {
        let arrived = self.flows.iter().map(|f| f.arrived.len() as u64 * SEGMENT);
        arrived.collect()
    }

    pub fn on_time(&mut self, now: Instant, links: &mut [Link; 2]) {
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, _, index, what))) = self.events.pop() else {
                return;
            };
            match what {
                What::Data(number) => self.arrive(now, index, number, links),
                What::Delay(count) if self.flows[index].is_owed(count) => {
                    self.acknowledge(now, index, links)
                }
                What::Delay(_) => {}
                What::Ack(count) => {
                    self.flows[index].on_ack(now, count);
                    self.send(now, index, links);
                }
                What::Wake => self.send(now, index, links),
            }
        }
    }

    fn push(&mut self, at: Instant, index: usize, what: What) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, index, what)));
    }

    fn arrive(&mut self, now: Instant, index: usize, number: u64, links: &mut [Link; 2]) {
        if self.flows[index].on_arrival(number) {
            self.acknowledge(now, index, links);
        } else {
            let count = self.flows[index].arrived.len();
            self.push(now.after(DELAYED_ACK), index, What::Delay(count));
        }
    }

    fn acknowledge(&mut self, now: Instant, index: usize, links: &mut [Link; 2]) {
        let count = self.flows[index].acknowledge();
        for arrival in links[1].send(now, ACK_SIZE).into_iter().flatten() {
            if arrival.whole {
                self.push(arrival.at, index, What::Ack(count));
            }
        }
    }

    fn send(&mut self, now: Instant, index: usize, links: &mut [Link; 2]) {
        while let Some(number) = self.flows[index].poll(now) {
            for arrival in links[0].send(now, DATA_SIZE).into_iter().flatten() {
                if arrival.whole {
                    self.push(arrival.at, index, What::Data(number));
                }
            }
        }
        if let Some(at) = self.flows[index].next_wake(now) {
            self.push(at, index, What::Wake);
        }
    }
}

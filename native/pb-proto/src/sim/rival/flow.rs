//! One flow: a sender with SACK recovery, and what its receiver remembers.

use std::collections::VecDeque;

use super::bbr::Bbr;
use super::cubic::Cubic;
use super::{Acked, Brain, Rival, RivalKind};
use crate::time::{Instant, MS, Nanos, SECOND};

/// Segments sent later that have arrived when one counts as lost (RFC 6675).
const DUPLICATES: u64 = 3;
/// The kernel's smallest retransmission timeout.
const MIN_TIMEOUT: Nanos = 200 * MS;
/// Segments that leave at once when paced: the kernel's smallest offload.
const BURST: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Outstanding,
    Delivered,
    Lost,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    fate: Fate,
}

/// Proportional rate reduction (RFC 6937).
#[derive(Debug, Clone, Copy)]
struct Repair {
    /// Repair is over when all below this are settled.
    until: u64,
    flown: u64,
    delivered: u64,
    sent: u64,
}

pub struct Flow {
    rival: Rival,
    brain: Box<dyn Brain>,
    sent: VecDeque<Sent>,
    /// Number of `sent`'s first.
    base: u64,
    in_flight: u64,
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    highest: u64,
    repair: Option<Repair>,
    srtt: Nanos,
    /// Of the last ACK or the first segment after a pause.
    progress_at: Instant,
    paced_until: Instant,
    /// A wake-up is due then.
    wake_at: Option<Instant>,
    /// Segments that arrived, in order of arrival; how many of them each side has seen acknowledged.
    pub arrived: Vec<u64>,
    acknowledged: usize,
    seen: usize,
}

impl Flow {
    pub fn new(rival: &Rival, seed: u64) -> Flow {
        let brain: Box<dyn Brain> = match rival.kind {
            RivalKind::Cubic => Box::new(Cubic::new()),
            RivalKind::Bbr => Box::new(Bbr::new(seed)),
        };
        Flow {
            brain,
            sent: VecDeque::new(),
            base: 0,
            in_flight: 0,
            delivered: 0,
            delivered_at: rival.from,
            first_sent_at: rival.from,
            highest: 0,
            repair: None,
            srtt: SECOND,
            progress_at: rival.from,
            paced_until: rival.from,
            wake_at: None,
            rival: rival.clone(),
            arrived: Vec::new(),
            acknowledged: 0,
            seen: 0,
        }
    }

    /// A segment arrives. True when it is acknowledged at once: every second one, and after a gap.
    pub fn on_arrival(&mut self, number: u64) -> bool {
        let gap = self.arrived.last().is_some_and(|last| number != last + 1);
        self.arrived.push(number);
        gap || self.arrived.len() - self.acknowledged >= 2
    }

    pub fn is_owed(&self, count: usize) -> bool {
        self.acknowledged < count
    }

    pub fn acknowledge(&mut self) -> usize {
        self.acknowledged = self.arrived.len();
        self.acknowledged
    }

    /// The number of a segment that leaves now.
    pub fn poll(&mut self, now: Instant) -> Option<u64> {
        let over = self.rival.to.is_some_and(|to| now >= to);
        if over || now < self.rival.from {
            return None;
        }
        self.check_timeout(now);
        if !self.may_send() || now < self.paced_until {
            return None;
        }
        self.pace(now);
        Some(self.push(now))
    }

    fn may_send(&self) -> bool {
        let window = self.brain.window();
        match self.repair.filter(|_| self.brain.pacing().is_none()) {
            None => self.in_flight < window,
            Some(r) if self.in_flight > window => {
                r.sent < (r.delivered * window).div_ceil(r.flown.max(1))
            }
            Some(r) => self.in_flight < window && r.sent < r.delivered.max(1) + window,
        }
    }

    fn pace(&mut self, now: Instant) {
        if let Some(rate) = self.brain.pacing() {
            let span = (SECOND as f64 / rate.max(1.0)) as Nanos;
            let allowance = (span as f64 * (BURST - 1.0)) as Nanos;
            let from = self
                .paced_until
                .max(Instant(now.0.saturating_sub(allowance)));
            self.paced_until = from.after(span);
        }
    }

    fn push(&mut self, now: Instant) -> u64 {
        if self.in_flight == 0 {
            (self.first_sent_at, self.delivered_at, self.progress_at) = (now, now, now);
        }
        self.sent.push_back(Sent {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            fate: Fate::Outstanding,
        });
        self.in_flight += 1;
        self.repair.iter_mut().for_each(|r| r.sent += 1);
        self.base + self.sent.len() as u64 - 1
    }

    fn timeout(&self) -> Nanos {
        2 * self.srtt.max(MIN_TIMEOUT)
    }

    fn check_timeout(&mut self, now: Instant) {
        if self.in_flight == 0 || now < self.progress_at.after(self.timeout()) {
            return;
        }
        for sent in self.sent.iter_mut().filter(|s| s.fate == Fate::Outstanding) {
            sent.fate = Fate::Lost;
        }
        (self.in_flight, self.progress_at, self.repair) = (0, now, None);
        self.brain.on_timeout();
    }

    /// When to be polled again, unless that was said already.
    pub fn next_wake(&mut self, now: Instant) -> Option<Instant> {
        let at = if self.may_send() {
            self.paced_until
        } else {
            self.progress_at.after(self.timeout())
        };
        let at = at.max(now.after(1));
        if self.wake_at.is_some_and(|set| set > now && set <= at) {
            return None;
        }
        self.wake_at = Some(at);
        self.wake_at
            .filter(|&at| self.rival.to.is_none_or(|to| at < to))
    }

    /// An ACK of the first `count` segments that arrived.
    pub fn on_ack(&mut self, now: Instant, count: usize) {
        if count <= self.seen {
            return;
        }
        let mut newest: Option<Sent> = None;
        let mut acked = 0;
        for index in self.seen..count {
            let number = self.arrived[index];
            if let Some(sent) = self.settle(number) {
                acked += 1;
                self.highest = self.highest.max(number);
                newest = newest
                    .filter(|n| n.delivered > sent.delivered)
                    .or(Some(sent));
            }
        }
        self.seen = count;
        let Some(newest) = newest else {
            return;
        };
        self.delivered += acked;
        self.delivered_at = now;
        self.progress_at = now;
        let lost = self.detect_losses();
        self.tell(now, (acked, lost), &newest);
    }

    fn settle(&mut self, number: u64) -> Option<Sent> {
        let at = number.checked_sub(self.base)?;
        let sent = self.sent.get_mut(at as usize)?;
        let before = *sent;
        sent.fate = Fate::Delivered;
        self.in_flight -= u64::from(before.fate == Fate::Outstanding);
        (before.fate != Fate::Delivered).then_some(before)
    }

    fn detect_losses(&mut self) -> u64 {
        let certain = (self.highest + 1).saturating_sub(DUPLICATES);
        let below = certain.saturating_sub(self.base) as usize;
        let mut lost = 0;
        let known = self.sent.len().min(below);
        for sent in self.sent.range_mut(..known) {
            if sent.fate == Fate::Outstanding {
                sent.fate = Fate::Lost;
                lost += 1;
            }
        }
        self.sent.drain(..known);
        self.base += known as u64;
        self.in_flight -= lost;
        lost
    }

    fn tell(&mut self, now: Instant, (acked, lost): (u64, u64), newest: &Sent) {
        let rtt = now.since(newest.at).max(1);
        self.srtt = if self.srtt == SECOND {
            rtt
        } else {
            (7 * self.srtt + rtt) / 8
        };
        self.first_sent_at = newest.at;
        let sending = newest.at.since(newest.first_sent_at);
        let interval = sending.max(now.since(newest.delivered_at)).max(1);
        if lost > 0 && self.repair.is_none() {
            self.repair = Some(Repair {
                until: self.base + self.sent.len() as u64,
                flown: self.in_flight + lost + acked,
                delivered: 0,
                sent: 0,
            });
            self.brain.on_recovery(self.delivered, self.in_flight);
        }
        if let Some(repair) = &mut self.repair {
            repair.delivered += acked;
            if self.base >= repair.until && lost == 0 {
                self.repair = None;
                self.brain.on_recovered();
            }
        }
        self.brain.on_ack(&Acked {
            now,
            acked,
            lost,
            in_flight: self.in_flight,
            delivered: self.delivered,
            prior_delivered: newest.delivered,
            rate: (self.delivered - newest.delivered) as f64 * SECOND as f64 / interval as f64,
            rtt,
            recovering: self.repair.is_some(),
        });
    }
}

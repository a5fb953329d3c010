//! Datagram packetization layer path MTU discovery (RFC 8899), on UDP payload sizes.
//!
//! All sizes that may fit are probed in the same round trip: a path of loopback size is found as fast as one of
//! 1,472 bytes. A probe is a packet of its own; its loss never reaches congestion control.

use crate::lane::config::{BASE_DATAGRAM, MAX_DATAGRAM};
use crate::time::{Instant, Nanos, SECOND};
use crate::wire::header::OVERHEAD;

/// Sizes worth a probe: IPv6's minimum less headers is the base; 1280, tunnels, Ethernet over IPv6 and IPv4,
/// jumbo over both, 16 KiB, loopback.
const CANDIDATES: [u16; 9] = [
    1280,
    1400,
    1452,
    1472,
    4000,
    8952,
    8972,
    16_384,
    MAX_DATAGRAM,
];
/// Probes of one size before it counts as too large (RFC 8899 section 5.1.2, MAX_PROBES).
const MAX_PROBES: u8 = 3;
/// Pause before sizes that failed are tried again (PMTU_RAISE_TIMER).
const RAISE_AFTER: Nanos = 600 * SECOND;
/// Loss episodes without any larger delivery that mean a black hole.
const BLACK_HOLE_EPISODES: u32 = 3;
/// Delivered sizes that are remembered apart.
const REMEMBERED: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Candidate {
    size: u16,
    tries: u8,
    in_flight: bool,
    next_at: Instant,
}

/// The search for one path.
#[derive(Debug)]
pub struct Mtud {
    current: u16,
    limit: u16,
    candidates: Vec<Candidate>,
    raise_at: Option<Instant>,
    /// (size, packet number): nothing at least as large was delivered with a larger number.
    delivered: Vec<(u16, u64)>,
    episodes: u32,
}

impl Mtud {
    /// Starts at `start` bytes and looks for up to `limit`.
    pub fn new(start: u16, limit: u16) -> Mtud {
        let limit = limit.clamp(BASE_DATAGRAM, MAX_DATAGRAM);
        let current = start.clamp(BASE_DATAGRAM, limit);
        let mut mtud = Mtud {
            current,
            limit,
            candidates: Vec::new(),
            raise_at: None,
            delivered: Vec::new(),
            episodes: 0,
        };
        mtud.restart(Instant(0));
        mtud
    }

    fn restart(&mut self, at: Instant) {
        let (current, limit) = (self.current, self.limit);
        let sizes = CANDIDATES
            .into_iter()
            .filter(|&c| c < limit)
            .chain([limit])
            .filter(|&c| c > current);
        self.candidates = sizes
            .map(|size| Candidate {
                size,
                tries: 0,
                in_flight: false,
                next_at: at,
            })
            .collect();
        self.raise_at = None;
    }

    /// The peer receives no more than this.
    pub fn limit(&mut self, max: u16) {
        self.limit = self.limit.min(max.max(BASE_DATAGRAM));
        self.current = self.current.min(self.limit);
        self.restart(Instant(0));
    }

    /// Bytes of a full datagram.
    pub fn size(&self) -> u16 {
        self.current
    }

    /// Unit bytes of a full data packet: the largest multiple of 64 that fits.
    pub fn payload(&self) -> u32 {
        u32::from(self.current - OVERHEAD as u16) / 64 * 64
    }

    /// A size to probe now; `retry_after` is the time after which a probe without answer counts as lost.
    pub fn poll_probe(&mut self, now: Instant, retry_after: Nanos) -> Option<u16> {
        if self.raise_at.is_some_and(|at| at <= now) {
            self.restart(now);
        }
        if self.next_timeout().is_none_or(|at| at > now) {
            return None;
        }
        let due: Vec<u16> = self
            .candidates
            .iter()
            .filter(|c| c.in_flight && c.next_at <= now)
            .map(|c| c.size)
            .collect();
        due.into_iter()
            .for_each(|size| self.on_probe_lost(now, size));
        let probe = self
            .candidates
            .iter_mut()
            .find(|c| !c.in_flight && c.next_at <= now)?;
        probe.in_flight = true;
        probe.tries += 1;
        probe.next_at = now.after(retry_after);
        Some(probe.size)
    }

    /// When [`Mtud::poll_probe`] should be asked again.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.candidates
            .iter()
            .map(|c| c.next_at)
            .min()
            .or(self.raise_at)
    }

    /// A probe of this size arrived. True when the datagram size grew.
    pub fn on_probe_acked(&mut self, now: Instant, size: u16) -> bool {
        self.candidates.retain(|c| c.size > size);
        self.check_complete(now);
        let grew = size > self.current && size <= self.limit;
        if grew {
            self.current = size;
            self.episodes = 0;
        }
        grew
    }

    /// A probe of this size did not arrive.
    pub fn on_probe_lost(&mut self, now: Instant, size: u16) {
        let Some(probe) = self
            .candidates
            .iter_mut()
            .find(|c| c.size == size && c.in_flight)
        else {
            return;
        };
        probe.in_flight = false;
        probe.next_at = now;
        if probe.tries >= MAX_PROBES {
            self.candidates.retain(|c| c.size < size);
            self.check_complete(now);
        }
    }

    fn check_complete(&mut self, now: Instant) {
        if self.candidates.is_empty() && self.raise_at.is_none() {
            self.raise_at = Some(now.after(RAISE_AFTER));
        }
    }

    /// The local kernel refuses datagrams of this size (EMSGSIZE). True when the datagram size shrank.
    pub fn on_too_large(&mut self, now: Instant, size: u16) -> bool {
        self.candidates.retain(|c| c.size < size);
        self.check_complete(now);
        if self.current < size {
            return false;
        }
        let fits = CANDIDATES.into_iter().rfind(|&c| c < size);
        let before = self.current;
        self.current = fits.unwrap_or(BASE_DATAGRAM).max(BASE_DATAGRAM);
        self.current < before
    }

    /// A packet of `size` bytes was delivered.
    pub fn on_delivered(&mut self, number: u64, size: u16) {
        if size <= BASE_DATAGRAM {
            return;
        }
        if size >= self.full() {
            self.episodes = 0;
        }
        match self.delivered.first_mut() {
            Some(first) if first.0 == size => first.1 = first.1.max(number),
            _ => self.remember(number, size),
        }
    }

    fn remember(&mut self, number: u64, size: u16) {
        if self
            .delivered
            .iter()
            .any(|&(s, n)| s >= size && n >= number)
        {
            return;
        }
        self.delivered.retain(|&(s, n)| s > size || n > number);
        let at = self.delivered.partition_point(|&(s, _)| s > size);
        self.delivered.insert(at, (size, number));
        self.delivered.truncate(REMEMBERED);
    }

    /// Whether the loss of this packet may come from its size: nothing as large was delivered since it was sent.
    pub fn is_suspicious(&self, number: u64, size: u16) -> bool {
        size > BASE_DATAGRAM && !self.delivered.iter().any(|&(s, n)| s >= size && n > number)
    }

    /// One loss episode with suspicious losses. True when the path is a black hole for the present size, which has been
    /// taken back to the base.
    pub fn on_suspicious_episode(&mut self, now: Instant) -> bool {
        self.episodes += 1;
        if self.current == BASE_DATAGRAM || self.episodes < BLACK_HOLE_EPISODES {
            return false;
        }
        self.current = BASE_DATAGRAM;
        self.episodes = 0;
        self.delivered.clear();
        self.restart(now);
        true
    }

    /// Bytes of a full data packet.
    fn full(&self) -> u16 {
        self.payload() as u16 + OVERHEAD as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MS;

    /// Runs the search against a path that carries `path` bytes.
    fn search(mtud: &mut Mtud, path: u16) -> usize {
        let (mut now, mut probes) = (Instant(0), 0);
        while mtud.raise_at.is_none() {
            while let Some(size) = mtud.poll_probe(now, 30 * MS) {
                probes += 1;
                if size <= path {
                    mtud.on_probe_acked(now, size);
                }
            }
            now = now.after(10 * MS);
            assert!(probes < 100);
        }
        probes
    }

    #[test]
    fn finds_the_largest_candidate() {
        for (path, found) in [
            (1200, 1200),
            (1300, 1280),
            (1472, 1472),
            (8972, 8972),
            (65_487, 65_487),
        ] {
            let mut mtud = Mtud::new(1200, MAX_DATAGRAM);
            search(&mut mtud, path);
            assert_eq!(mtud.size(), found, "path of {path}");
            assert_eq!(mtud.payload() % 64, 0);
        }
    }

    #[test]
    fn limits_hold() {
        let mut mtud = Mtud::new(1200, 9000);
        mtud.limit(5000);
        search(&mut mtud, 65_487);
        assert_eq!(mtud.size(), 5000);
    }

    #[test]
    fn refusal_by_the_kernel_ends_larger_probes() {
        let mut mtud = Mtud::new(1472, MAX_DATAGRAM);
        assert!(!mtud.on_too_large(Instant(0), 8972));
        search(&mut mtud, 65_487);
        assert_eq!(mtud.size(), 8952);
        assert!(mtud.on_too_large(Instant(0), 8952));
        assert_eq!(mtud.size(), 4000);
    }

    #[test]
    fn tries_again_after_the_raise_timer() {
        let mut mtud = Mtud::new(1200, 1472);
        search(&mut mtud, 1200);
        let at = mtud.next_timeout().unwrap();
        assert_eq!(mtud.poll_probe(Instant(at.0 - 1), MS), None);
        assert_eq!(mtud.poll_probe(at, MS), Some(1280));
    }

    #[test]
    fn losses_below_a_delivered_size_are_not_suspicious() {
        let mut mtud = Mtud::new(1472, 1472);
        mtud.on_delivered(10, 1456);
        mtud.on_delivered(12, 1300);
        assert!(!mtud.is_suspicious(9, 1456));
        assert!(mtud.is_suspicious(11, 1456));
        assert!(!mtud.is_suspicious(11, 1300));
        assert!(!mtud.is_suspicious(99, 1200));
    }

    #[test]
    fn a_black_hole_brings_the_base_back() {
        let mut mtud = Mtud::new(8972, 8972);
        assert!(!mtud.on_suspicious_episode(Instant(0)));
        mtud.on_delivered(5, 8944);
        assert!(!mtud.on_suspicious_episode(Instant(0)));
        assert!(!mtud.on_suspicious_episode(Instant(0)));
        assert!(mtud.on_suspicious_episode(Instant(0)));
        assert_eq!(mtud.size(), BASE_DATAGRAM);
        search(&mut mtud, 1452);
        assert_eq!(mtud.size(), 1452);
    }
}

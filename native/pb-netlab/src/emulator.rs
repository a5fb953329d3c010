//! The loop of one emulated link.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use thiserror::Error;

use crate::clock::{Clock, Reading};
use crate::direction::{Direction, ETHERNET, Packet};
use crate::ring::Arrival;
use crate::socket::{BATCH, PacketSocket, SocketError};
use crate::spec::{DirectionSpec, LinkSpec, PS_PER_MS, PS_PER_US};

/// After the last packet, the loop keeps looking so long before it waits for the kernel to wake it.
const LINGER_PS: u64 = 2 * PS_PER_MS;
/// The longest sleep between two looks at the rings of a link in use.
const MAX_NAP_PS: u64 = 500 * PS_PER_US;
/// The line of standard input after whose answer the maxima begin again; its asker waits for each answer, so lines come whole.
const NEW_PEAKS: &[u8] = b"peaks\n";
/// How often standard input is looked at while packets flow.
const CONTROL_PS: u64 = 20 * PS_PER_MS;

/// How long a packet that the receiving interface does not take is tried again.
const PATIENCE_PS: u64 = 1000 * PS_PER_MS;

#[derive(Debug, Error)]
pub enum EmulatorError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

struct Way {
    from: usize,
    to: usize,
    direction: Direction,
    last_arrival: u64,
    /// Due, and not yet taken by the receiving interface.
    due: Vec<Packet>,
    /// That interface has been full since nothing was due last.
    held: bool,
}

pub struct Emulator {
    clock: Clock,
    tick: u64,
    max_nap: u64,
    sockets: [PacketSocket; 2],
    ways: [Way; 2],
    last_control: u64,
}

impl Emulator {
    pub fn open(spec: &LinkSpec) -> Result<Emulator, EmulatorError> {
        let way = |from, to, spec: &DirectionSpec| Way {
            from,
            to,
            direction: Direction::new(spec.clone()),
            last_arrival: 0,
            due: Vec::with_capacity(BATCH),
            held: false,
        };
        let mut ways = [way(0, 1, &spec.forward), way(1, 0, &spec.back)];
        // A packet may wait in the ring for a part of its delay unseen: its time of arrival is the kernel's.
        let least = ways[0]
            .direction
            .min_delay()
            .min(ways[1].direction.min_delay());
        for way in &mut ways {
            way.direction.prepare(spec.mtu + ETHERNET);
        }
        Ok(Emulator {
            clock: Clock::start(),
            tick: spec.tick_ps,
            max_nap: (least / 4).clamp(spec.tick_ps, MAX_NAP_PS.max(spec.tick_ps)),
            sockets: [
                PacketSocket::open(&spec.a, spec.mtu, spec.forward.rate_bits_per_sec)?,
                PacketSocket::open(&spec.b, spec.mtu, spec.back.rate_bits_per_sec)?,
            ],
            ways,
            last_control: 0,
        })
    }

    /// Runs until standard input ends. Prints `{"ready":true}` when packets flow, and the counters for each line of standard input
    /// and at the end. After the answer to `peaks` the maxima begin again.
    pub fn run(mut self) -> Result<(), EmulatorError> {
        say("{\"ready\":true}")?;
        loop {
            self.arrivals();
            self.departures();
            let now = self.clock.now();
            let idle = self.rest(now);
            if (idle || now - self.last_control > CONTROL_PS) && !self.control()? {
                return self.report();
            }
        }
    }

    fn arrivals(&mut self) {
        let reading = self.clock.reading();
        for way in &mut self.ways {
            let ring = self.sockets[way.from].ring();
            while ring.read(|arrival| way.arrive(&arrival, reading)) {}
        }
    }

    fn departures(&mut self) {
        for way in &mut self.ways {
            way.depart(&self.clock, &self.sockets[way.to]);
        }
    }

    /// Sleeps until something may have to be done. True when nothing was on its way.
    fn rest(&mut self, now: u64) -> bool {
        let due = self.ways.iter().filter_map(Way::next_departure).min();
        let last = self.ways.iter().map(|way| way.last_arrival).max();
        if due.is_none() && now.saturating_sub(last.unwrap_or(0)) > LINGER_PS {
            self.wait_for_packets();
            return true;
        }
        let stuck = self.ways.iter().any(|way| !way.due.is_empty());
        let due = due.unwrap_or(u64::MAX);
        if due > now || stuck {
            self.clock
                .sleep_until(due.clamp(now + self.tick, now + self.max_nap));
        }
        false
    }

    fn wait_for_packets(&self) {
        let watched = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [
            watched(self.sockets[0].as_raw_fd()),
            watched(self.sockets[1].as_raw_fd()),
            watched(io::stdin().as_raw_fd()),
        ];
        // SAFETY: three descriptors, writable. Interrupted or failed: the loop looks again.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, -1) };
    }

    /// False when standard input has ended.
    fn control(&mut self) -> Result<bool, EmulatorError> {
        self.last_control = self.clock.now();
        let mut fd = libc::pollfd {
            fd: io::stdin().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one descriptor, writable; a time of 0 does not wait.
        if unsafe { libc::poll(&raw mut fd, 1, 0) } < 1 {
            return Ok(true);
        }
        let mut bytes = [0; 256];
        let count = io::stdin().lock().read(&mut bytes).unwrap_or(0);
        for line in bytes[..count].split_inclusive(|byte| *byte == b'\n') {
            self.report()?;
            if line == NEW_PEAKS {
                for way in &mut self.ways {
                    way.direction.counters.forget_peaks();
                }
            }
        }
        Ok(count > 0)
    }

    fn report(&mut self) -> Result<(), EmulatorError> {
        for way in &mut self.ways {
            way.direction.counters.dropped_by_ring += self.sockets[way.from].take_ring_drops();
        }
        say(&format!(
            "{{\"forward\":{},\"back\":{}}}",
            self.ways[0].direction.counters.to_json(),
            self.ways[1].direction.counters.to_json()
        ))
    }
}

impl Way {
    fn arrive(&mut self, arrival: &Arrival<'_>, reading: Reading) {
        if arrival.cut {
            self.direction.counters.dropped_by_mtu += 1;
            return;
        }
        let at = reading.place(arrival.realtime_ns).max(self.last_arrival);
        self.last_arrival = at;
        self.direction.offer(at, arrival.frame);
    }

    /// Hands over all that is due. When the receiving interface is full (its host is slow), the rest stays for the next time, in order,
    /// as it would in a NIC's ring: nothing is lost that the link did not lose.
    fn depart(&mut self, clock: &Clock, to: &PacketSocket) {
        loop {
            let now = clock.now();
            while self.due.len() < BATCH
                && let Some(packet) = self.direction.pop(now)
            {
                self.due.push(packet);
            }
            let Some(oldest) = self.due.first().map(|packet| packet.at) else {
                self.held = false;
                return;
            };
            match to.send(&self.due) {
                Ok(count) => {
                    for packet in self.due.drain(..count) {
                        self.direction.sent(packet, now, self.held);
                    }
                    self.held |= !self.due.is_empty();
                }
                Err(error) if is_full(&error) && now - oldest < PATIENCE_PS => {
                    self.held = true;
                    return;
                }
                Err(_) => self.direction.refused(self.due.remove(0)),
            }
        }
    }

    fn next_departure(&self) -> Option<u64> {
        let due = self.due.first().map(|packet| packet.at);
        due.or_else(|| self.direction.next_departure())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM)
    )
}

fn say(line: &str) -> Result<(), EmulatorError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

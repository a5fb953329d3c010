//! UDP probe: numbered datagrams to an echo, as ping does, but with what arrives twice, late or damaged told apart.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use thiserror::Error;

/// Number and checksum stand in front.
const HEADER: usize = 16;
const MAX_DATAGRAM: usize = 65_535;

#[derive(Debug, Error)]
#[error("{peer}: {source}")]
pub struct ProbeError {
    peer: SocketAddr,
    #[source]
    source: io::Error,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub peer: SocketAddr,
    pub count: u32,
    pub interval: Duration,
    /// Of UDP payload.
    pub bytes: usize,
    /// How long the last answer is waited for.
    pub wait: Duration,
}

/// Answers every datagram with itself, until it is killed. Prints `{"ready":true}` when it listens.
pub fn echo(at: SocketAddr) -> Result<(), ProbeError> {
    let fail = |source| ProbeError { peer: at, source };
    let socket = UdpSocket::bind(at).map_err(fail)?;
    println!("{{\"ready\":true}}");
    let mut bytes = vec![0; MAX_DATAGRAM];
    loop {
        // A refused answer or an ICMP error of an earlier one: the prober sees the loss.
        if let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&bytes[..length], from);
        }
    }
}

#[derive(Default)]
struct Seen {
    /// Round trips in ms, by number.
    trips: Vec<Option<f64>>,
    newest: u32,
    duplicated: u32,
    reordered: u32,
    damaged: u32,
}

/// Returns one JSON object.
pub fn probe(plan: Plan) -> Result<String, ProbeError> {
    let fail = |source| ProbeError {
        peer: plan.peer,
        source,
    };
    let any = if plan.peer.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).map_err(fail)?;
    socket.connect(plan.peer).map_err(fail)?;
    socket.set_nonblocking(true).map_err(fail)?;
    let mut seen = Seen {
        trips: vec![None; plan.count as usize],
        ..Seen::default()
    };
    let mut datagram = vec![0x5A; plan.bytes.max(HEADER)];
    let start = Instant::now();
    for number in 0..plan.count {
        while start.elapsed() < plan.interval * number {
            seen.take(&socket, start, plan.interval);
            sleep(Duration::from_micros(100));
        }
        seal(&mut datagram, number);
        // A full buffer or an ICMP error: the datagram counts as lost.
        let _ = socket.send(&datagram);
    }
    let end = Instant::now() + plan.wait;
    while Instant::now() < end && seen.trips.iter().any(Option::is_none) {
        seen.take(&socket, start, plan.interval);
        sleep(Duration::from_micros(100));
    }
    Ok(seen.to_json(plan.count))
}

fn seal(datagram: &mut [u8], number: u32) {
    datagram[..4].copy_from_slice(&number.to_be_bytes());
    let sum = checksum(datagram);
    datagram[8..HEADER].copy_from_slice(&sum.to_be_bytes());
}

/// FNV-1a over all but itself: unlike the Internet checksum it sees swapped words.
fn checksum(datagram: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let sum = datagram[..8].iter().fold(0xcbf2_9ce4_8422_2325, step);
    datagram[HEADER..].iter().fold(sum, step)
}

impl Seen {
    /// All answers that are there. Sending times are those of the plan, so that a late sender is not taken for a long path: the
    /// loop above is at most 100 µs behind it.
    fn take(&mut self, socket: &UdpSocket, start: Instant, interval: Duration) {
        let mut bytes = [0; MAX_DATAGRAM];
        while let Ok(length) = socket.recv(&mut bytes) {
            self.judge(&bytes[..length], start.elapsed(), interval);
        }
    }

    fn judge(&mut self, datagram: &[u8], at: Duration, interval: Duration) {
        let whole =
            datagram.len() >= HEADER && checksum(datagram).to_be_bytes() == datagram[8..HEADER];
        if !whole {
            self.damaged += 1;
            return;
        }
        let number = u32::from_be_bytes([datagram[0], datagram[1], datagram[2], datagram[3]]);
        match self.trips.get_mut(number as usize) {
            None => self.damaged += 1,
            Some(Some(_)) => self.duplicated += 1,
            Some(trip) => {
                let sent = interval * number;
                *trip = Some(at.saturating_sub(sent).as_secs_f64() * 1e3);
                self.reordered += u32::from(number < self.newest);
                self.newest = self.newest.max(number);
            }
        }
    }

    fn to_json(&self, sent: u32) -> String {
        let mut trips: Vec<f64> = self.trips.iter().copied().flatten().collect();
        trips.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (trips.len() as f64 * share) as usize;
            trips
                .get(index.min(trips.len().saturating_sub(1)))
                .map_or("null".to_owned(), |trip| format!("{trip:.3}"))
        };
        format!(
            "{{\"sent\":{sent},\"received\":{},\"duplicated\":{},\"reordered\":{},\"damaged\":{},\
             \"rttMs\":{{\"min\":{},\"median\":{},\"p95\":{},\"max\":{}}}}}",
            trips.len(),
            self.duplicated,
            self.reordered,
            self.damaged,
            at(0.0),
            at(0.5),
            at(0.95),
            at(1.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u32) -> Vec<u8> {
        let mut bytes = vec![1; 64];
        seal(&mut bytes, number);
        bytes
    }

    #[test]
    fn tells_lost_late_double_and_damaged_apart() {
        let mut seen = Seen {
            trips: vec![None; 4],
            ..Seen::default()
        };
        let ms = Duration::from_millis;
        seen.judge(&datagram(0), ms(10), ms(1));
        seen.judge(&datagram(2), ms(12), ms(1));
        seen.judge(&datagram(1), ms(13), ms(1));
        seen.judge(&datagram(1), ms(14), ms(1));
        let mut bad = datagram(3);
        bad.swap(20, 30);
        bad[40] ^= 1;
        seen.judge(&bad, ms(15), ms(1));
        seen.judge(&[], ms(15), ms(1));
        assert_eq!(
            seen.to_json(4),
            "{\"sent\":4,\"received\":3,\"duplicated\":1,\"reordered\":1,\"damaged\":2,\
             \"rttMs\":{\"min\":10.000,\"median\":10.000,\"p95\":12.000,\"max\":12.000}}"
        );
    }

    #[test]
    fn nothing_received_has_no_round_trip() {
        let seen = Seen::default();
        assert!(seen.to_json(5).contains("\"median\":null"));
    }
}

//! Congestion control: how many bytes may be in flight, and how fast they may leave. One file for each controller.

use crate::time::{Instant, Nanos};

mod bbr;
mod cubic;
mod fixed;
mod hystart;
mod ledbat;

/// Which controller a lane uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ControllerKind {
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406).
    Cubic,
    /// BBRv3 (draft-ietf-ccwg-bbr).
    #[default]
    Bbr,
    /// LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus): gives way to everybody else.
    Ledbat,
    /// A fixed rate in bytes per second, for private links. Loss does not slow it.
    Fixed(u64),
}

/// What a controller starts from.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    pub now: Instant,
    /// Bytes of a full datagram.
    pub datagram: u64,
    /// Round trip of the path as another session knew it, ns.
    pub min_rtt: Option<Nanos>,
    /// Bytes per second that the path carried then.
    pub rate: Option<u64>,
    pub seed: u64,
}

/// What was known of a path counts while its round trip is within this factor of what it was: then it is the same path
/// (Careful Resume, RFC 9959, allows half and ten times).
const SAME_RTT: u64 = 2;

impl Start {
    /// The rate that the path carried before, if it still looks the same.
    fn remembered(&self, rtt: Nanos) -> Option<u64> {
        let before = self.min_rtt?;
        let same = rtt <= before.saturating_mul(SAME_RTT) && before <= rtt.saturating_mul(SAME_RTT);
        self.rate.filter(|_| same)
    }
}

/// A delivery-rate sample (draft-cheng-iccrg-delivery-rate-estimation), made when its packet is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateSample {
    /// Bytes per second; 0 when the interval was too short to say.
    pub rate: u64,
    /// Bytes delivered over the interval.
    pub delivered: u64,
    /// Bytes delivered before the packet was sent.
    pub prior_delivered: u64,
    /// Bytes in flight just after the packet was sent, it included.
    pub tx_in_flight: u64,
    /// Bytes declared lost between its sending and now.
    pub lost: u64,
    /// The sender had too little to send, or no credit: the rate is a lower bound only.
    pub app_limited: bool,
}

/// Everything one ACK changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AckInfo {
    pub now: Instant,
    /// Bytes newly acknowledged.
    pub acked: u64,
    /// Bytes declared lost by this ACK.
    pub lost: u64,
    /// Before and after the ACK.
    pub prior_in_flight: u64,
    pub in_flight: u64,
    /// Bytes delivered since the lane began.
    pub delivered: u64,
    /// Bytes lost since the lane began.
    pub total_lost: u64,
    pub sample: Option<RateSample>,
    /// This ACK's round trip, ns.
    pub rtt: Option<Nanos>,
    pub smoothed_rtt: Nanos,
    pub largest_acked: u64,
    /// The next packet number to be sent: what comes after it belongs to the next round.
    pub next_packet: u64,
    /// The newest of the acknowledged packets was sent while the window was not full.
    pub app_limited: bool,
}

/// A packet declared lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LostPacket {
    pub number: u64,
    pub size: u64,
    pub sent_at: Instant,
    pub tx_in_flight: u64,
    /// Bytes lost between its sending and now, it included.
    pub lost_since: u64,
    /// Bytes delivered before it was sent.
    pub prior_delivered: u64,
    pub app_limited: bool,
}

/// A congestion controller. It learns of every packet and is asked for a window and a rate.
pub trait Controller: Send {
    /// The lane's first round trip, of its handshake: before the first [`Controller::on_ack`].
    fn on_first_rtt(&mut self, _now: Instant, _rtt: Nanos) {}
    /// A packet left; `in_flight` includes it. `app_limited` as in [`RateSample`].
    fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64, app_limited: bool);
    /// A packet more could have left, and nothing was there to send.
    fn on_starved(&mut self) {}
    /// An ACK came, after [`Controller::on_lost`] for each packet that it made lost.
    fn on_ack(&mut self, ack: &AckInfo);
    /// A packet was declared lost.
    fn on_lost(&mut self, now: Instant, packet: &LostPacket);
    /// Everything that the last reduction was made for turned out not to be lost.
    fn on_spurious_loss(&mut self) {}
    /// New CE marks, for packets up to `largest_acked`, when `next_packet` is the next to be sent.
    fn on_ecn_ce(&mut self, now: Instant, largest_acked: u64, next_packet: u64);
    /// Nothing came through for several probe timeouts (RFC 9002 section 7.6).
    fn on_persistent_congestion(&mut self, now: Instant);
    /// The size of a full datagram changed.
    fn set_datagram(&mut self, bytes: u64);
    /// Bytes that may be in flight.
    fn window(&self) -> u64;
    /// Bytes per second.
    fn pacing_rate(&self) -> u64;
    /// Bytes per second that the path was seen to carry when it was full; `None` while it never was.
    fn path_rate(&self) -> Option<u64> {
        None
    }
    /// It began from what was remembered of the path.
    fn is_warm(&self) -> bool {
        false
    }
    /// Where it is in its probing, for traces: `slow_start`, `probe_bw_up`, ...
    fn phase(&self) -> &'static str;
    /// The pacing rate is somebody's wish, not what the path is believed to carry.
    fn paces_to_target(&self) -> bool {
        false
    }
}

/// Makes a controller.
pub fn start(kind: ControllerKind, start: Start) -> Box<dyn Controller> {
    match kind {
        ControllerKind::Cubic => Box::new(cubic::Cubic::new(start)),
        ControllerKind::Bbr => Box::new(bbr::Bbr::new(start)),
        ControllerKind::Ledbat => Box::new(ledbat::Ledbat::new(start)),
        ControllerKind::Fixed(rate) => Box::new(fixed::Fixed::new(start, rate)),
    }
}

/// Initial window: 10 full datagrams (RFC 6928), at least 14,720 bytes and for jumbo datagrams at least four of them.
fn initial_window(datagram: u64) -> u64 {
    (10 * datagram).min(14_720.max(4 * datagram))
}

/// Initial window of a sender that paces and measures its first train: 32 full datagrams, as in Chromium's QUIC, and no
/// more than one GSO train of jumbo ones.
fn initial_train(datagram: u64) -> u64 {
    initial_window(datagram).max((32 * datagram).min(64 << 10))
}

/// Bytes that `rate` bytes per second carry in `span` nanoseconds.
pub(crate) fn bytes_in(rate: u64, span: Nanos) -> u64 {
    (u128::from(rate) * u128::from(span) / 1_000_000_000).min(u128::from(u64::MAX)) as u64
}

/// Bytes per second of `bytes` in `span` nanoseconds.
pub(crate) fn rate_of(bytes: u64, span: Nanos) -> u64 {
    (u128::from(bytes) * 1_000_000_000 / u128::from(span.max(1))).min(u128::from(u64::MAX)) as u64
}

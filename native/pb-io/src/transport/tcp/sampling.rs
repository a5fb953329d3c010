//! TCP_INFO and the driver's own clocks, as a [`PathSample`].

use std::os::fd::BorrowedFd;

use pb_proto::sample::{LimitedTimes, PathSample};
use pb_proto::time::{Instant, Nanos, US};

use crate::transport::LaneHost;
use crate::transport::sampled::is_sample_due;
use crate::transport::sys::tcp_info::{TcpInfo, tcp_info};

/// What the session's answer to "next unit" was last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Feeding {
    Units,
    #[default]
    Idle,
    NoCredit,
    Limited,
}

/// Keeps the times that the kernel does not know.
pub struct Sampler {
    lane: u8,
    started: Instant,
    last: Instant,
    feeding: Feeding,
    since: Instant,
    no_credit_ns: Nanos,
    limited_ns: Nanos,
    previous: LimitedTimes,
}

impl Sampler {
    pub fn new(lane: u8, now: Instant) -> Sampler {
        let (feeding, previous) = (Feeding::Idle, LimitedTimes::default());
        Sampler {
            lane,
            started: now,
            last: now,
            feeding,
            since: now,
            no_credit_ns: 0,
            limited_ns: 0,
            previous,
        }
    }

    /// The session answered so at `now`.
    pub fn feeding(&mut self, feeding: Feeding, now: Instant) {
        let span = now.since(self.since);
        match self.feeding {
            Feeding::NoCredit => self.no_credit_ns += span,
            Feeding::Limited => self.limited_ns += span,
            Feeding::Units | Feeding::Idle => {}
        }
        (self.feeding, self.since) = (feeding, now);
    }

    /// A sample, when one is due.
    pub fn due(
        &mut self,
        host: &dyn LaneHost,
        socket: BorrowedFd<'_>,
        now: Instant,
    ) -> Option<PathSample> {
        is_sample_due(host, self.last, now)
            .then(|| self.take(socket, now))
            .flatten()
    }

    /// A sample now.
    pub fn take(&mut self, socket: BorrowedFd<'_>, now: Instant) -> Option<PathSample> {
        let info = tcp_info(socket).ok()?;
        self.feeding(self.feeding, now);
        self.last = now;
        let limited = self.times(&info, now);
        let limited_by = limited.most_since(&self.previous);
        self.previous = limited;
        Some(PathSample {
            lane: self.lane,
            limited,
            limited_by,
            ..of_info(&info)
        })
    }

    /// The kernel's clocks run while data is outstanding: time with neither a closed window nor anything else is the
    /// congestion window's (or the send buffer's, which autotuning ties to it). Time without data outstanding is the
    /// application's, except where the session said that it has units but no credit or no leave to send them.
    fn times(&self, info: &TcpInfo, now: Instant) -> LimitedTimes {
        let receiver = info.rwnd_limited_us * US;
        let idle = now.since(self.started).saturating_sub(info.busy_us * US);
        LimitedTimes {
            congestion_ns: (info.busy_us * US).saturating_sub(receiver),
            receiver_ns: receiver + self.no_credit_ns.min(idle),
            pacing_ns: self.limited_ns.min(idle),
            application_ns: idle
                .saturating_sub(self.no_credit_ns)
                .saturating_sub(self.limited_ns),
            cpu_ns: 0,
        }
    }
}

fn of_info(info: &TcpInfo) -> PathSample {
    let mss = u64::from(info.snd_mss);
    PathSample {
        min_rtt_ns: u64::from(info.min_rtt_us) * US,
        smoothed_rtt_ns: u64::from(info.smoothed_rtt_us) * US,
        rtt_var_ns: u64::from(info.rtt_var_us) * US,
        delivery_rate: info.delivery_rate,
        // ~0 stands for "not paced".
        pacing_rate: if info.pacing_rate == u64::MAX {
            0
        } else {
            info.pacing_rate
        },
        bytes_in_flight: u64::from(info.unacked) * mss,
        congestion_window: u64::from(info.snd_cwnd) * mss,
        packets_sent: u64::from(info.segs_out),
        packets_received: u64::from(info.segs_in),
        packets_lost: u64::from(info.total_retrans),
        packets_spuriously_lost: u64::from(info.dsack_dups),
        packets_reordered: u64::from(info.reord_seen),
        bytes_sent: info.bytes_sent,
        bytes_received: info.bytes_received,
        bytes_retransmitted: info.bytes_retrans,
        ecn_ce: u64::from(info.delivered_ce),
        ..PathSample::default()
    }
}

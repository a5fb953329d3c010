//! What the engine knows of a path, as plain numbers: the same for every transport.

/// What has held a sender back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LimitedBy {
    /// Nothing was there to send.
    #[default]
    Application,
    /// This side's processors took longer than the path.
    Cpu,
    /// What the congestion controller believes the path carries: its window was full, or its rate reached.
    Congestion,
    /// The peer's grant was used up.
    Receiver,
    /// A rate that somebody gave: of a fixed-rate controller, or a session's limit.
    Pacing,
}

/// Nanoseconds spent in each state since the lane began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitedTimes {
    pub application_ns: u64,
    pub cpu_ns: u64,
    pub congestion_ns: u64,
    pub receiver_ns: u64,
    pub pacing_ns: u64,
}

/// One sample of one lane. Counters are cumulative since the lane began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathSample {
    pub lane: u8,
    pub min_rtt_ns: u64,
    pub smoothed_rtt_ns: u64,
    pub rtt_var_ns: u64,
    /// Bytes per second, the newest delivery-rate sample (draft-cheng-iccrg-delivery-rate-estimation).
    pub delivery_rate: u64,
    /// Bytes per second that the path was seen to carry when it was full, for the next session; 0 while it never was.
    pub path_rate: u64,
    /// The lane began from what was remembered of the path.
    pub warm: bool,
    /// Bytes per second the pacer allows, 0 when not paced.
    pub pacing_rate: u64,
    pub bytes_in_flight: u64,
    pub congestion_window: u64,
    pub packets_sent: u64,
    pub packets_received: u64,
    pub packets_lost: u64,
    /// Declared lost and acknowledged afterwards.
    pub packets_spuriously_lost: u64,
    pub packets_reordered: u64,
    /// On the wire with headers and tags, data and control.
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Unit bytes sent again because they were believed lost.
    pub bytes_retransmitted: u64,
    /// Unit bytes sent again to hear whether they arrived: nothing was believed lost.
    pub bytes_probed: u64,
    /// The peer's kernel dropped these datagrams before its engine read them.
    pub peer_socket_drops: u64,
    pub ecn_ce: u64,
    /// UDP payload size in use, bytes; 0 for TCP.
    pub datagram_size: u32,
    pub limited_by: LimitedBy,
    pub limited: LimitedTimes,
    /// The congestion controller's phase by its name in RFC 9438 or the BBR draft; "" where it is not known.
    pub phase: &'static str,
}

impl LimitedTimes {
    /// Adds `ns` nanoseconds in one state.
    pub fn add(&mut self, by: LimitedBy, ns: u64) {
        let time = match by {
            LimitedBy::Application => &mut self.application_ns,
            LimitedBy::Cpu => &mut self.cpu_ns,
            LimitedBy::Congestion => &mut self.congestion_ns,
            LimitedBy::Receiver => &mut self.receiver_ns,
            LimitedBy::Pacing => &mut self.pacing_ns,
        };
        *time = time.saturating_add(ns);
    }

    /// What took most of the time since `before`.
    pub fn most_since(&self, before: &LimitedTimes) -> LimitedBy {
        let spans = |t: &LimitedTimes| {
            [
                (t.cpu_ns, LimitedBy::Cpu),
                (t.application_ns, LimitedBy::Application),
                (t.receiver_ns, LimitedBy::Receiver),
                (t.pacing_ns, LimitedBy::Pacing),
                (t.congestion_ns, LimitedBy::Congestion),
            ]
        };
        let new = spans(self).into_iter().zip(spans(before));
        new.max_by_key(|((now, _), (before, _))| now.saturating_sub(*before))
            .map_or(LimitedBy::Application, |((_, by), _)| by)
    }
}

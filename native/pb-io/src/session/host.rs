//! The session as its lanes see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pb_proto::sample::PathSample;
use pb_proto::time::Nanos;

use super::reserve::thread_time;
use super::trace::Traced;
use super::{Session, error};
use crate::copies::Step;
use crate::error::Code;
use crate::transport::{
    InUnit, LaneHost, LaneId, Next, OutUnit, Place, TransportError, TransportKind, Waker, monotonic,
};

impl LaneHost for Session {
    fn lane_up(&self, lane: LaneId, transport: TransportKind, waker: Arc<Waker>) {
        // Over TCP in clear, chunks are sent straight from the page cache.
        let zero_copy = transport == TransportKind::Tcp && !self.options.seal;
        self.zero_copy.store(zero_copy, Ordering::Release);
        let mut lanes = self.lanes.lock();
        lanes.up.push(lane);
        lanes.ever_up = true;
        drop(lanes);
        if transport == TransportKind::Udp {
            self.reserve.up(lane);
        }
        self.traced(lane, || Traced::Up(transport));
        self.outbox.add_waker(lane, waker);
    }

    fn rests(&self, lane: LaneId, min_rtt: Option<Nanos>) -> bool {
        self.reserve.rests(lane, min_rtt)
    }

    fn next_unit(&self, lane: LaneId) -> Next {
        self.outbox.next(lane)
    }

    fn unit_acked(&self, _lane: LaneId, unit: Arc<OutUnit>) {
        drop(unit);
        self.outbox.acked();
    }

    fn place(&self, id: u32, len: u32) -> Result<Place, TransportError> {
        self.inbox.place(id, len)
    }

    fn unit_complete(&self, _lane: LaneId, unit: Arc<InUnit>) {
        self.inbox.complete(unit.id);
        if let Some(arrived) = self.arrived.lock().as_ref() {
            let _ = arrived.send(unit);
        }
    }

    fn grant(&self) -> u64 {
        self.inbox.grant()
    }

    fn peer_grant(&self, bytes: u64) {
        self.outbox.raise_grant(bytes);
    }

    fn sample(&self, lane: LaneId, sample: PathSample) {
        let sample = self.attributed(lane, sample);
        self.reserve.hear(&sample, monotonic(), thread_time());
        self.traced(lane, || Traced::Sample(sample));
    }

    fn copied(&self, step: Step, bytes: usize) {
        self.copies.add(step, bytes);
    }

    fn wants_fine_samples(&self) -> bool {
        self.trace.get().is_some()
    }

    fn lane_down(&self, lane: LaneId, unfinished: Vec<Arc<OutUnit>>, why: Option<TransportError>) {
        self.traced(lane, || {
            Traced::Down(why.as_ref().map(|w| w.message.clone()))
        });
        self.reserve.call();
        self.outbox.remove_lane(lane, unfinished);
        let mut lanes = self.lanes.lock();
        lanes.up.retain(|l| *l != lane);
        let last = lanes.up.is_empty() && lanes.ever_up;
        drop(lanes);
        if last {
            let gone =
                why.unwrap_or_else(|| error(Code::ConnectionLost, "the peer closed the last lane"));
            self.end(Some(gone));
        }
    }

    fn session_closed(&self, why: TransportError) {
        self.end(Some(why));
    }
}

impl Session {
    /// The newest of a lane, with what this side's threads held up told from what else did. Nothing of it is traced.
    pub(super) fn attributed(&self, lane: LaneId, mut sample: PathSample) -> PathSample {
        let min_rtt = (sample.min_rtt_ns > 0).then_some(sample.min_rtt_ns);
        self.cpu
            .attribute(&mut sample, self.reserve.rests(lane, min_rtt));
        self.lanes.lock().samples.insert(lane, sample);
        sample
    }

    fn traced(&self, lane: LaneId, what: impl FnOnce() -> Traced) {
        if let Some(trace) = self.trace.get() {
            trace.push(crate::transport::monotonic().0, lane, what());
        }
    }
}

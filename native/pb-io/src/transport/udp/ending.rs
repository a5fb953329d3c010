//! How a UDP lane ends.

use pb_proto::error::close;
use pb_proto::time::{Instant, Nanos, SECOND};

use super::driver::{Driver, Stage};
use crate::transport::clock;
use crate::transport::fault::Fault;

/// A lane ends when its peer's port was unreachable, and nothing was heard, for so long.
const REFUSED: Nanos = 3 * SECOND;
/// LANE_DONE is repeated for so long when nobody answers and nothing else is left to do.
const LAST_WORDS: Nanos = 2 * SECOND;

impl Driver {
    /// The peer's host says that nobody has the port. Anyone on the path can say so: it counts only when nothing
    /// genuine was heard for as long as the peer would need to be heard.
    pub(super) fn refused(&mut self) {
        let now = clock::now();
        let first = *self.refused_since.get_or_insert(now);
        if self.stage == Stage::Over || self.nothing_left() {
            self.core.lane.close(now, close::DONE, "");
        } else if self.stage == Stage::Up && now.since(first) >= REFUSED {
            let peer = self.path.peer();
            self.why.get_or_insert(Fault::lost(format!(
                "nobody listens at {peer} (UDP) any more"
            )));
            self.core
                .lane
                .close(now, close::INTERNAL, "port unreachable");
        }
    }

    pub(super) fn ended(&mut self, code: u64, reason: &str) {
        let fault = match code {
            close::IDLE => Fault::timeout("nothing was heard from the peer for 90 s"),
            close::HANDSHAKE => Fault::timeout(&format!(
                "no answer from {} over UDP within 3 s",
                self.path.peer()
            )),
            code => Fault::closed_by_peer(code, reason),
        };
        self.why.get_or_insert(fault);
    }

    /// The peer sends no more, and everything of ours has arrived: silence is no failure now.
    fn nothing_left(&self) -> bool {
        self.peer_done && self.units.is_empty()
    }

    /// The peer may have heard our LANE_DONE and gone, with its answer lost. True, after the session was told of the end,
    /// when there was time enough for several repetitions.
    pub(super) fn is_left_alone(&mut self, now: Instant) -> bool {
        if self.stage != Stage::Up || !self.nothing_left() || !self.units.idle {
            self.alone_since = None;
            return false;
        }
        let alone = now.since(*self.alone_since.get_or_insert(now)) >= LAST_WORDS;
        if alone {
            self.down();
        }
        alone
    }

    /// Tells the session, once, that the lane has ended, and gives back what is unfinished.
    pub(super) fn down(&mut self) {
        if std::mem::replace(&mut self.stage, Stage::Over) != Stage::Up {
            return;
        }
        let (host, lane) = (self.core.session.host.clone(), self.core.lane_id);
        host.sample(lane, self.core.lane.sample(clock::now()));
        let quiet = self.nothing_left() && matches!(self.why, Some(Fault::Lost(_)));
        let why = self.why.as_ref().filter(|_| !quiet);
        if let Some(Fault::Violation(e) | Fault::ClosedByPeer(e)) = why {
            host.session_closed(e.clone());
        }
        host.lane_down(lane, self.units.drain(), why.map(|w| w.error().clone()));
        self.entered.leave();
    }
}

//! What the path is believed to carry: rounds, bandwidth, and bounds learnt from loss.

use super::super::{AckInfo, LostPacket, RateSample};
use super::filter::CycleMax;
use super::{BETA, Bbr, LOSS_THRESH, State};

/// Growth of the rate that shows that the pipe is not full, and the rounds without it that show that it is.
const FULL_BW_GROWTH: f64 = 1.25;
const FULL_BW_ROUNDS: u32 = 3;
/// Separate losses in a round of Startup that count (BBRStartupFullLossCnt).
const STARTUP_LOSSES: u32 = 6;
/// Loss in a round of Startup that ends it although no queue is seen: the queue is too short to be seen. Startup
/// overflows such a one by half of what it sends; less is lost at random.
const STARTUP_SHALLOW_THRESH: f64 = 0.25;

/// One for what is under way when the jump ends, one for samples that count its losses, which are told meanwhile.
const SETTLING_ROUNDS: u32 = 2;

#[derive(Debug)]
pub struct Model {
    pub max_bw: CycleMax,
    /// Short-term bounds; `None` is no bound.
    pub bw_lo: Option<u64>,
    pub inflight_lo: Option<u64>,
    /// Long-term bound on what may be in flight.
    pub inflight_hi: Option<u64>,
    pub round: u64,
    pub round_start: bool,
    next_round_delivered: u64,
    delivered: u64,
    bw_latest: u64,
    inflight_latest: u64,
    loss_round_start: bool,
    loss_round_delivered: u64,
    loss_in_round: bool,
    /// CE marks came in this round: as good as too much loss.
    marked: bool,
    loss_events: u32,
    last_lost: u64,
    /// Part of what is in flight whose loss is too much.
    pub loss_thresh: f64,
    pub full_bw_reached: bool,
    pub full_bw_now: bool,
    full_bw: u64,
    full_bw_count: u32,
    /// Rounds in which losses of what left before the jump's end still show, in samples of what left after it too.
    settling: u32,
    /// What leaves after so many bytes were delivered belongs to the next of them.
    settled_from: u64,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            max_bw: CycleMax::default(),
            bw_lo: None,
            inflight_lo: None,
            inflight_hi: None,
            round: 0,
            round_start: false,
            next_round_delivered: 0,
            delivered: 0,
            bw_latest: 0,
            inflight_latest: 0,
            loss_round_start: false,
            loss_round_delivered: 0,
            loss_in_round: false,
            marked: false,
            loss_events: 0,
            last_lost: u64::MAX - 1,
            loss_thresh: LOSS_THRESH,
            full_bw_reached: false,
            full_bw_now: false,
            full_bw: 0,
            full_bw_count: 0,
            settling: 0,
            settled_from: 0,
        }
    }
}

impl Model {
    /// The bandwidth to pace by: the long-term maximum under the short-term bound.
    pub fn bw(&self) -> u64 {
        self.max_bw.get().min(self.bw_lo.unwrap_or(u64::MAX))
    }

    /// BBRUpdateRound and BBRUpdateLatestDeliverySignals.
    pub fn update_latest(&mut self, ack: &AckInfo, rs: &RateSample) {
        self.delivered = ack.delivered;
        if self.settling > 0 && rs.prior_delivered >= self.settled_from {
            (self.settled_from, self.settling) = (self.delivered, self.settling - 1);
        }
        self.round_start = rs.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round();
            self.round += 1;
        }
        self.bw_latest = self.bw_latest.max(rs.rate);
        self.inflight_latest = self.inflight_latest.max(rs.delivered);
        self.loss_round_start = rs.prior_delivered >= self.loss_round_delivered;
        if self.loss_round_start {
            self.loss_round_delivered = self.delivered;
        }
    }

    /// The round ends when something sent from now on is delivered.
    pub fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    pub fn advance_latest(&mut self, rs: &RateSample) {
        if self.loss_round_start {
            self.bw_latest = rs.rate;
            self.inflight_latest = rs.delivered;
        }
    }

    /// BBRUpdateCongestionSignals. Samples that the application or the receiver limited raise the maximum only.
    pub fn update_congestion(&mut self, rs: &RateSample, probing: bool, window: u64) {
        if rs.rate >= self.max_bw.get() || !rs.app_limited {
            self.max_bw.update(rs.rate);
        }
        if !self.loss_round_start {
            return;
        }
        if self.loss_in_round && !probing && !self.is_settling() && self.is_lossy_round(rs) {
            let bw = self.bw_lo.unwrap_or(self.max_bw.get());
            self.bw_lo = Some(self.bw_latest.max((bw as f64 * BETA) as u64));
            let inflight = self.inflight_lo.unwrap_or(window);
            self.inflight_lo = Some(self.inflight_latest.max((inflight as f64 * BETA) as u64));
        }
    }

    /// More was lost since the newest delivered packet left than a path may lose at random. The draft takes any loss,
    /// and gives up 2 % of the rate in each round of a path that loses 1 % whatever one sends (tests/sim/rates.rs).
    fn is_lossy_round(&self, rs: &RateSample) -> bool {
        self.marked || self.is_too_much(rs.lost, rs.tx_in_flight)
    }

    /// IsInflightTooHigh.
    pub fn is_too_much(&self, lost: u64, in_flight: u64) -> bool {
        lost as f64 > in_flight as f64 * self.loss_thresh
    }

    /// What is lost of that which has left so far says nothing new.
    pub fn settle(&mut self) {
        (self.settled_from, self.settling) = (self.delivered, SETTLING_ROUNDS);
    }

    pub fn is_settling(&self) -> bool {
        self.settling > 0
    }

    pub fn reset_lower_bounds(&mut self) {
        self.bw_lo = None;
        self.inflight_lo = None;
    }

    pub fn reset_congestion_signals(&mut self) {
        self.loss_in_round = false;
        self.bw_latest = 0;
        self.inflight_latest = 0;
    }

    pub fn note_loss(&mut self, number: u64) {
        if !self.loss_in_round {
            self.loss_round_delivered = self.delivered;
        }
        self.loss_in_round = true;
        if number != self.last_lost + 1 {
            self.loss_events += 1;
        }
        self.last_lost = number;
    }

    /// New CE marks.
    pub fn note_mark(&mut self, number: u64) {
        self.note_loss(number);
        self.marked = true;
    }

    /// BBRResetFullBW.
    pub fn reset_full_bw(&mut self, bw: u64) {
        (self.full_bw, self.full_bw_count, self.full_bw_now) = (bw, 0, false);
    }

    pub fn check_full_bw(&mut self, rs: &RateSample) {
        if self.full_bw_now || !self.round_start || rs.app_limited || rs.rate == 0 {
            return;
        }
        if rs.rate as f64 >= self.full_bw as f64 * FULL_BW_GROWTH {
            return self.reset_full_bw(rs.rate);
        }
        self.full_bw_count += 1;
        self.full_bw_now = self.full_bw_count >= FULL_BW_ROUNDS;
        self.full_bw_reached |= self.full_bw_now;
    }
}

impl Bbr {
    /// BBRCheckStartupHighLoss, and the end of a loss round.
    pub(super) fn check_startup_loss(&mut self, rs: &RateSample) {
        if !self.model.loss_round_start {
            return;
        }
        let too_much = if self.queue_seen {
            self.model.is_too_much(rs.lost, rs.tx_in_flight)
        } else {
            rs.lost as f64 > rs.tx_in_flight as f64 * STARTUP_SHALLOW_THRESH
        };
        let many = self.model.loss_events >= STARTUP_LOSSES && too_much;
        if self.state == State::Startup
            && !self.jump.is_on()
            && many
            && self.model.loss_in_round
            && !rs.app_limited
        {
            self.model.full_bw_reached = true;
            self.model.inflight_hi = Some(self.bdp(1.0).max(self.model.inflight_latest));
        }
        (self.model.loss_in_round, self.model.marked) = (false, false);
        self.model.loss_events = 0;
    }
}

/// BBRInflightAtLoss: how much was in flight when the loss passed the threshold.
pub fn inflight_at_loss(packet: &LostPacket, thresh: f64) -> u64 {
    let before = packet.tx_in_flight.saturating_sub(packet.size) as f64;
    let lost_before = packet.lost_since.saturating_sub(packet.size) as f64;
    let prefix = (thresh * before - lost_before) / (1.0 - thresh);
    (before + prefix).max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rate: u64, lost: u64, app_limited: bool) -> RateSample {
        RateSample {
            rate,
            delivered: 50_000,
            prior_delivered: 0,
            tx_in_flight: 100_000,
            lost,
            app_limited,
        }
    }

    /// One round that delivers `delivered` bytes in all.
    fn round(model: &mut Model, delivered: u64, rs: RateSample) {
        let rs = RateSample {
            prior_delivered: delivered - 50_000,
            ..rs
        };
        let ack = AckInfo {
            delivered,
            ..AckInfo::default()
        };
        model.update_latest(&ack, &rs);
        model.update_congestion(&rs, false, 200_000);
        model.check_full_bw(&rs);
        model.advance_latest(&rs);
        model.loss_in_round = false;
        model.marked = false;
    }

    #[test]
    fn limited_samples_raise_the_bandwidth_and_never_lower_it() {
        let mut model = Model::default();
        round(&mut model, 50_000, sample(1000, 0, false));
        model.max_bw.advance();
        round(&mut model, 100_000, sample(10, 0, true));
        model.max_bw.advance();
        model.max_bw.advance();
        assert_eq!(model.bw(), 1000);
        round(&mut model, 150_000, sample(2000, 0, true));
        assert_eq!(model.bw(), 2000);
    }

    #[test]
    fn three_rounds_without_growth_are_a_full_pipe() {
        let mut model = Model::default();
        for (i, rate) in [1000, 2000, 4000, 4400, 4800, 4900].into_iter().enumerate() {
            assert!(!model.full_bw_reached, "round {i}");
            round(&mut model, (i as u64 + 1) * 50_000, sample(rate, 0, false));
        }
        assert!(model.full_bw_reached);
    }

    #[test]
    fn only_lossy_or_marked_rounds_set_lower_bounds() {
        let mut model = Model::default();
        round(&mut model, 50_000, sample(1000, 0, false));
        model.note_loss(1);
        round(&mut model, 100_000, sample(990, 1000, false));
        assert_eq!(model.bw(), 1000);
        model.note_mark(2);
        round(&mut model, 150_000, sample(500, 0, false));
        assert_eq!(model.bw(), 990, "the best of the last round is kept");
        model.note_loss(3);
        round(&mut model, 200_000, sample(400, 6000, false));
        assert_eq!(model.bw(), 693);
        model.reset_lower_bounds();
        assert_eq!(model.bw(), 1000);
    }

    #[test]
    fn the_bound_lies_where_loss_passed_five_percent() {
        let packet = LostPacket {
            size: 1000,
            tx_in_flight: 100_000,
            lost_since: 1000,
            ..LostPacket::default()
        };
        assert_eq!(
            inflight_at_loss(&packet, 0.05),
            99_000 + (4950.0 / 0.95) as u64
        );
        let many = LostPacket {
            lost_since: 7000,
            ..packet
        };
        assert_eq!(inflight_at_loss(&many, 0.05), 97_894);
    }
}

//! Delivery-rate samples (draft-cheng-iccrg-delivery-rate-estimation-02).

use super::sent::{SentPacket, content};
use crate::cc::{RateSample, rate_of};
use crate::time::{Instant, Nanos};

/// The sampler's connection state.
#[derive(Debug)]
pub struct RateSampler {
    /// Bytes delivered and lost since the lane began.
    pub delivered: u64,
    pub lost: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    /// `delivered` at which the sender's last lull has left the path; 0 when it is not app-limited.
    app_limited: u64,
    /// The newest packet of the ACK that is being taken in.
    newest: Option<SentPacket>,
    /// The newest usable sample, bytes per second.
    pub latest: u64,
}

impl RateSampler {
    pub fn new(now: Instant) -> RateSampler {
        RateSampler {
            delivered: 0,
            lost: 0,
            delivered_at: now,
            first_sent_at: now,
            app_limited: 0,
            newest: None,
            latest: 0,
        }
    }

    /// Writes the sampler's state into a packet that leaves while `prior_in_flight` bytes are in flight.
    pub fn stamp(&mut self, now: Instant, prior_in_flight: u64, packet: &mut SentPacket) {
        if prior_in_flight == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        packet.delivered = self.delivered;
        packet.delivered_at = self.delivered_at;
        packet.first_sent_at = self.first_sent_at;
        packet.lost = self.lost;
        if self.is_app_limited() {
            packet.content |= content::APP_LIMITED;
        }
    }

    pub fn is_app_limited(&self) -> bool {
        self.app_limited != 0
    }

    /// The sender has less to send than may be in flight.
    pub fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited = (self.delivered + in_flight).max(1);
    }

    /// One packet of an ACK. `newer` when no packet with a larger number was seen in this ACK.
    pub fn on_acked(&mut self, now: Instant, packet: &SentPacket) {
        self.delivered += u64::from(packet.size);
        self.delivered_at = now;
        if self
            .newest
            .is_none_or(|n| packet.sent_at >= n.sent_at && packet.delivered >= n.delivered)
        {
            self.newest = Some(*packet);
        }
    }

    /// After the last packet of an ACK.
    pub fn finish(&mut self, min_rtt: Option<Nanos>) -> Option<RateSample> {
        if self.app_limited != 0 && self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        let newest = self.newest.take()?;
        self.first_sent_at = newest.sent_at;
        let delivered = self.delivered - newest.delivered;
        let sending = newest.sent_at.since(newest.first_sent_at);
        let acking = self.delivered_at.since(newest.delivered_at);
        let interval = sending.max(acking);
        let usable = interval > 0 && min_rtt.is_none_or(|min| interval >= min);
        let rate = if usable {
            rate_of(delivered, interval)
        } else {
            0
        };
        if usable {
            self.latest = rate;
        }
        Some(RateSample {
            rate,
            delivered,
            prior_delivered: newest.delivered,
            tx_in_flight: newest.in_flight,
            lost: self.lost - newest.lost,
            app_limited: newest.carries(content::APP_LIMITED),
        })
    }
}

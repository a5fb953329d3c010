//! What the samples say of what held the sender back.

use std::sync::atomic::Ordering;

use pb_proto::sample::LimitedBy;

use super::host::units;
use super::*;

const BUDGET: usize = 4 << 20;

#[test]
fn a_receiver_that_grants_nothing_more_is_what_limits() {
    for choice in [Choice::Udp, Choice::Tcp] {
        let pair = Pair::open(choice, &options(true, 1), BUDGET);
        pair.server.frees.store(false, Ordering::SeqCst);
        pair.client.send_all(&units(1, 60));
        eventually("the samples blame the receiver", || {
            pair.client.last_sample().is_some_and(|s| {
                s.limited_by == LimitedBy::Receiver
                    && s.limited.receiver_ns > s.limited.application_ns
            })
        });
        assert!(pair.client.acked() < 60);
    }
}

#[test]
fn an_idle_session_is_limited_by_its_application() {
    for choice in [Choice::Udp, Choice::Tcp] {
        let pair = Pair::open(choice, &options(true, 1), BUDGET);
        let up = units(2, 20);
        pair.client.send_all(&up);
        eventually("all is sent", || pair.client.acked() == up.len());
        eventually("the samples say that there is nothing to send", || {
            pair.client.last_sample().is_some_and(|s| {
                let bytes: usize = up.iter().map(|u| u.bytes.len()).sum();
                s.limited_by == LimitedBy::Application
                    && s.bytes_sent > bytes as u64
                    && s.min_rtt_ns > 0
            })
        });
    }
}

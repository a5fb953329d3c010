//! What holds over UDP and TCP alike.

use super::host::units;
use super::*;
use crate::error::Code;

const BOTH: [Choice; 2] = [Choice::Udp, Choice::Tcp];

#[test]
fn sealed_both_ways() {
    for choice in BOTH {
        Pair::open(choice, &options(true, 1), BUDGET).exchange(units(1, 60), units(2, 60));
    }
}

#[test]
fn clear_both_ways_with_sealed_messages_between() {
    for choice in BOTH {
        Pair::open(choice, &options(false, 1), BUDGET).exchange(units(3, 60), units(4, 60));
    }
}

#[test]
fn several_lanes() {
    for choice in BOTH {
        for seal in [true, false] {
            let pair = Pair::open(choice, &options(seal, 4), BUDGET);
            pair.exchange(units(5, 120), units(6, 120));
        }
    }
}

#[test]
fn a_tiny_grant_slows_and_does_not_stop() {
    let budget = (1 << 20) + 100;
    for choice in BOTH {
        Pair::open(choice, &options(true, 2), budget).exchange(units(7, 60), units(8, 60));
    }
}

#[test]
fn file_bodies_with_trailers() {
    for choice in BOTH {
        let mut up = units(9, 40);
        for unit in &mut up {
            unit.from_file = Some(unit.bytes.len().min(77));
        }
        Pair::open(choice, &options(false, 2), BUDGET).exchange(up, units(10, 20));
    }
}

#[test]
fn a_wrong_key_is_never_accepted() {
    for choice in BOTH {
        let listener = listener();
        let (client, server) = (TestHost::new(BUDGET), TestHost::new(BUDGET));
        let _accepted = listener
            .register(&keys(1), &options(true, 1), server.clone())
            .unwrap();
        let wrong = SessionKeys {
            connection_id: keys(1).connection_id,
            ..keys(2).clone()
        };
        let addr = listener.local_addr();
        let refused = connect(addr, &wrong, &options(true, 1), choice, client.clone())
            .err()
            .expect("no session");
        assert_eq!((client.ups(), server.ups()), (0, 0));
        // What does not authenticate is answered by nothing.
        assert!(choice != Choice::Udp || refused.code == Code::Timeout);
    }
}

#[test]
fn finish_sends_what_is_queued() {
    for choice in BOTH {
        let pair = Pair::open(choice, &options(true, 2), BUDGET);
        let up = units(21, 80);
        pair.client.send_all(&up);
        assert!(pair.connected.lanes.finish(Duration::from_secs(30)));
        pair.server.compare(&up);
        assert_eq!(pair.client.acked(), up.len());
        assert_eq!(pair.client.failures(), Vec::<String>::new());
    }
}

#[test]
fn close_tells_the_peer() {
    for choice in BOTH {
        let pair = Pair::open(choice, &options(true, 2), BUDGET);
        pair.client.send_all(&units(1, 3));
        eventually("all lanes are up, and work", || {
            pair.client.ups() == 2 && pair.server.ups() == 2 && pair.server.received() == 3
        });
        pair.connected.lanes.close(0x123, "that is enough");
        eventually("the server hears it", || pair.server.closed().is_some());
        let heard = pair.server.closed().unwrap().message;
        assert!(heard.contains("that is enough"), "{heard}");
        eventually("all lanes end", || {
            pair.client.downs().len() == 2 && pair.server.downs().len() == 2
        });
        assert!(
            pair.client.downs().iter().all(Option::is_none),
            "the closing side has no failure"
        );
    }
}

#[test]
fn an_excess_over_the_grant_closes_the_session() {
    for choice in BOTH {
        let pair = Pair::open(choice, &options(true, 1), 1 << 20);
        // The client believes that it was granted far more than it was.
        crate::transport::LaneHost::peer_grant(&*pair.client, 1 << 40);
        pair.client.send_all(&units(1, 60));
        eventually("the server closes", || {
            pair.server.closed().is_some() && pair.client.closed().is_some()
        });
    }
}

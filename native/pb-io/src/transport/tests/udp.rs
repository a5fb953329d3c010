use super::host::units;
use super::relay::{Faults, UdpRelay};
use super::*;

const BUDGET: usize = 64 << 20;

#[test]
fn sealed_both_ways() {
    Pair::open(Choice::Udp, &options(true, 1), BUDGET).exchange(units(1, 60), units(2, 60));
}

#[test]
fn clear_both_ways_with_sealed_messages_between() {
    Pair::open(Choice::Udp, &options(false, 1), BUDGET).exchange(units(3, 60), units(4, 60));
}

#[test]
fn several_lanes() {
    Pair::open(Choice::Udp, &options(true, 4), BUDGET).exchange(units(5, 120), units(6, 120));
}

#[test]
fn a_tiny_grant_slows_and_does_not_stop() {
    let budget = (1 << 20) + 100;
    Pair::open(Choice::Udp, &options(true, 2), budget).exchange(units(7, 60), units(8, 60));
}

#[test]
fn ethernet_sized_datagrams() {
    let options = LaneOptions {
        max_datagram: Some(1452),
        ..options(true, 2)
    };
    Pair::open(Choice::Udp, &options, BUDGET).exchange(units(9, 60), units(10, 60));
}

#[test]
fn file_bodies_are_read() {
    let mut up = units(9, 40);
    for unit in &mut up {
        unit.from_file = Some(unit.bytes.len().min(77));
    }
    Pair::open(Choice::Udp, &options(false, 2), BUDGET).exchange(up, units(10, 20));
}

#[test]
fn without_segmentation_offload() {
    let options = LaneOptions {
        segmentation: false,
        max_datagram: Some(1452),
        ..options(true, 1)
    };
    Pair::open(Choice::Udp, &options, BUDGET).exchange(units(11, 60), units(12, 60));
}

#[test]
fn loss_duplication_reordering_corruption() {
    for seed in 1..4 {
        let seal = seed != 2;
        // What is clear is verified above the transport, chunk by chunk.
        let corrupt = if seal { 20 } else { 0 };
        let relay = UdpRelay::new(Faults {
            loss: 20,
            duplicate: 20,
            reorder: 30,
            corrupt,
            seed,
        });
        let options = LaneOptions {
            max_datagram: Some(1452),
            ..options(seal, 2)
        };
        let pair = Pair::through(Choice::Udp, &options, BUDGET, |addr| relay.to(addr)).unwrap();
        pair.exchange(units(13, 40), units(14, 40));
    }
}

#[test]
fn keys_change_under_way() {
    for faults in [
        Faults::default(),
        Faults {
            loss: 20,
            reorder: 50,
            duplicate: 50,
            corrupt: 10,
            seed: 3,
        },
    ] {
        let relay = UdpRelay::new(faults);
        let options = LaneOptions {
            max_datagram: Some(1452),
            rekey_after: Some(300),
            ..options(true, 1)
        };
        let pair = Pair::through(Choice::Udp, &options, BUDGET, |addr| relay.to(addr)).unwrap();
        pair.exchange(units(19, 40), units(20, 40));
    }
}

#[test]
fn replayed_and_garbage_datagrams_change_nothing() {
    let relay = UdpRelay::new(Faults {
        duplicate: 1000,
        seed: 5,
        ..Faults::default()
    });
    let pair = Pair::through(Choice::Udp, &options(true, 1), BUDGET, |addr| {
        relay.to(addr)
    })
    .unwrap();
    let server = pair._listener.local_addr();
    let flood = std::thread::spawn(move || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let id = keys(7).connection_id.to_be_bytes();
        for seed in 0..3000u64 {
            let mut garbage = host::random_bytes(seed, 1200);
            if seed % 2 == 0 {
                // The right connection id and a plausible header.
                garbage[0] = 0x50;
                garbage[1] = 0;
                garbage[2..4].copy_from_slice(&(1200u16 - 48).to_be_bytes());
                garbage[4..12].copy_from_slice(&id);
            }
            let _ = socket.send_to(&garbage, server);
        }
    });
    pair.exchange(units(15, 40), units(16, 40));
    flood.join().unwrap();
}

#[test]
fn a_recorded_session_cannot_be_played_again() {
    let relay = UdpRelay::new(Faults::default());
    let pair = Pair::through(Choice::Udp, &options(true, 1), BUDGET, |addr| {
        relay.to(addr)
    })
    .unwrap();
    let up = units(1, 30);
    pair.client.send_all(&up);
    eventually("all is there", || pair.client.acked() == up.len());
    let before = pair.server.received();
    let attacker = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in relay.recorded() {
        attacker
            .send_to(&datagram, pair._listener.local_addr())
            .unwrap();
    }
    // The client can still reach the server, and nothing was counted twice.
    let more: Vec<_> = units(2, 10)
        .into_iter()
        .map(|u| host::Sent {
            id: u.id + 1000,
            ..u
        })
        .collect();
    pair.client.send_all(&more);
    eventually("more arrives", || {
        pair.client.acked() == up.len() + more.len()
    });
    assert_eq!(
        (pair.server.received(), pair.server.ups()),
        (before + more.len(), 1)
    );
    pair.server.compare(&more);
}

#[test]
fn a_wrong_key_is_never_accepted() {
    let listener = listener();
    let (client, server) = (TestHost::new(BUDGET), TestHost::new(BUDGET));
    let _accepted = listener
        .register(&keys(1), &options(true, 1), server.clone())
        .unwrap();
    let wrong = SessionKeys {
        connection_id: keys(1).connection_id,
        ..keys(2).clone()
    };
    let got = connect(
        listener.local_addr(),
        &wrong,
        &options(true, 1),
        Choice::Udp,
        client.clone(),
    );
    assert!(
        got.is_err_and(|e| e.code == crate::error::Code::Timeout)
            && client.ups() == 0
            && server.ups() == 0
    );
}

#[test]
fn a_client_whose_address_changes_goes_on() {
    let relay = UdpRelay::new(Faults::default());
    let pair = Pair::through(Choice::Udp, &options(true, 1), BUDGET, |addr| {
        relay.to(addr)
    })
    .unwrap();
    let (up, down) = (units(17, 100), units(18, 100));
    pair.client.send_all(&up);
    pair.server.send_all(&down);
    eventually("half way", || pair.server.received() > 30);
    relay.rebind();
    eventually("everything arrived", || {
        pair.client.acked() == up.len() && pair.server.acked() == down.len()
    });
    pair.server.compare(&up);
    pair.client.compare(&down);
    assert_eq!(
        (pair.client.failures().len(), pair.server.failures().len()),
        (0, 0)
    );
}

#[test]
fn finish_sends_what_is_queued() {
    let pair = Pair::open(Choice::Udp, &options(true, 2), BUDGET);
    let up = units(21, 80);
    pair.client.send_all(&up);
    assert!(pair.connected.lanes.finish(Duration::from_secs(30)));
    pair.server.compare(&up);
    assert_eq!(pair.client.acked(), up.len());
    assert_eq!(pair.client.failures(), Vec::<String>::new());
}

#[test]
fn a_client_that_vanishes_when_all_is_done_is_no_failure() {
    let relay = UdpRelay::new(Faults::default());
    let pair = Pair::through(Choice::Udp, &options(true, 1), BUDGET, |addr| {
        relay.to(addr)
    })
    .unwrap();
    let up = units(22, 20);
    pair.client.send_all(&up);
    eventually("all is there", || pair.client.acked() == up.len());
    // The client says LANE_DONE; what the server answers is lost for good.
    relay.mute();
    std::thread::scope(|scope| {
        scope.spawn(|| pair.connected.lanes.finish(Duration::from_secs(4)));
        eventually("the server's lane ends", || pair.server.downs().len() == 1);
    });
    assert_eq!(pair.server.failures(), Vec::<String>::new());
}

#[test]
fn close_tells_the_peer() {
    let pair = Pair::open(Choice::Udp, &options(true, 1), BUDGET);
    pair.client.send_all(&units(1, 3));
    eventually("the lane works", || pair.server.received() == 3);
    pair.connected.lanes.close(0x123, "that is enough");
    eventually("the server hears it", || pair.server.closed().is_some());
    assert!(
        pair.server
            .closed()
            .unwrap()
            .message
            .contains("that is enough")
    );
    eventually("both lanes end", || {
        pair.client.downs().len() == 1 && pair.server.downs().len() == 1
    });
    assert!(pair.client.downs()[0].is_none());
}

#[test]
fn an_excess_over_the_grant_closes_the_session() {
    let pair = Pair::open(Choice::Udp, &options(true, 1), 1 << 20);
    crate::transport::LaneHost::peer_grant(&*pair.client, 1 << 40);
    pair.client.send_all(&units(1, 60));
    eventually("the server closes", || {
        pair.server.closed().is_some() && pair.client.closed().is_some()
    });
}

#[test]
fn auto_takes_udp_where_it_answers() {
    let pair = Pair::open(Choice::Auto, &options(true, 2), BUDGET);
    assert_eq!(
        (pair.connected.transport, &pair.connected.note),
        (super::super::TransportKind::Udp, &None)
    );
    pair.exchange(units(1, 20), units(2, 20));
}

#[test]
fn auto_falls_back_to_tcp_where_nothing_answers_udp() {
    // A TCP relay on a port on which nobody reads UDP.
    let tcp = super::tcp::Relay::new();
    let pair = Pair::through(Choice::Auto, &options(true, 2), BUDGET, |addr| tcp.to(addr)).unwrap();
    assert_eq!(pair.connected.transport, super::super::TransportKind::Tcp);
    let note = pair.connected.note.clone().unwrap();
    assert!(
        note.contains("blocked or lost (no answer in 300 ms); using TCP"),
        "{note}"
    );
    pair.exchange(units(1, 20), units(2, 20));
}

#[test]
fn ipv6_and_dual_stack() {
    for (bind, connect_to) in [
        ("[::1]:0", "::1"),
        ("[::]:0", "127.0.0.1"),
        ("[::]:0", "::1"),
        ("0.0.0.0:0", "127.0.0.1"),
    ] {
        for choice in [Choice::Udp, Choice::Tcp] {
            let listener = Listener::bind(bind.parse().unwrap(), Box::new(|_, _| {})).unwrap();
            let addr = SocketAddr::new(connect_to.parse().unwrap(), listener.local_addr().port());
            let (client, server) = (TestHost::new(BUDGET), TestHost::new(BUDGET));
            let accepted = listener
                .register(&keys(3), &options(true, 1), server.clone())
                .unwrap();
            let connected =
                connect(addr, &keys(3), &options(true, 1), choice, client.clone()).unwrap();
            Pair {
                client,
                server,
                connected,
                accepted,
                _listener: listener,
            }
            .exchange(units(1, 5), units(2, 5));
        }
    }
}

use super::host::units;
use super::relay::{Faults, UdpRelay};
use super::*;

#[test]
fn ethernet_sized_datagrams() {
    let options = LaneOptions {
        max_datagram: Some(1452),
        ..options(true, 2)
    };
    Pair::open(Choice::Udp, &options, BUDGET).exchange(units(9, 60), units(10, 60));
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

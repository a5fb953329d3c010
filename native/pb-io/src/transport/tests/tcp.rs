use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use parking_lot::Mutex;

use super::host::{random_bytes, units};
use super::*;

#[test]
fn the_other_suite() {
    let listener = listener();
    let (client, server) = (TestHost::new(BUDGET), TestHost::new(BUDGET));
    let keys = SessionKeys {
        suite: Suite::ChaCha20Poly1305,
        ..keys(9).clone()
    };
    let accepted = listener
        .register(&keys, &options(true, 1), server.clone())
        .unwrap();
    let addr = listener.local_addr();
    let connected = connect(addr, &keys, &options(true, 1), Choice::Tcp, client.clone()).unwrap();
    Pair {
        client,
        server,
        connected,
        accepted,
        _listener: listener,
    }
    .exchange(units(1, 30), units(2, 30));
}

#[test]
fn keys_change_under_way() {
    let options = LaneOptions {
        rekey_after: Some(7),
        ..options(true, 2)
    };
    Pair::open(Choice::Tcp, &options, BUDGET).exchange(units(13, 60), units(14, 60));
}

#[test]
fn a_stream_in_odd_pieces() {
    for seal in [true, false] {
        let relay = Relay::in_pieces();
        let pair = Pair::through(Choice::Tcp, &options(seal, 2), BUDGET, |addr| {
            relay.to(addr)
        });
        pair.unwrap().exchange(units(15, 44), units(16, 44));
    }
}

#[test]
fn units_of_a_killed_lane_go_over_another() {
    killed_lane(true);
    killed_lane(false);
}

fn killed_lane(seal: bool) {
    let relay = Relay::new();
    let pair = Pair::through(Choice::Tcp, &options(seal, 3), BUDGET, |addr| {
        relay.to(addr)
    })
    .unwrap();
    let (up, down) = (units(11, 150), units(12, 150));
    eventually("all lanes are up", || {
        pair.client.ups() == 3 && pair.server.ups() == 3
    });
    pair.client.send_all(&up);
    pair.server.send_all(&down);
    eventually("half way", || pair.server.received() > 40);
    relay.kill_one();
    eventually("everything arrived", || {
        pair.server.received() == up.len() && pair.client.received() == down.len()
    });
    eventually("everything is acknowledged", || {
        pair.client.acked() == up.len() && pair.server.acked() == down.len()
    });
    pair.server.compare(&up);
    pair.client.compare(&down);
    eventually("both saw one lane go", || {
        pair.client.downs().len() == 1 && pair.server.downs().len() == 1
    });
    assert!(pair.client.downs()[0].is_some(), "and were told why");
}

#[test]
fn a_replayed_hello_gets_no_second_lane() {
    let relay = Relay::new();
    let pair = Pair::through(Choice::Tcp, &options(true, 1), BUDGET, |addr| {
        relay.to(addr)
    })
    .unwrap();
    pair.client.send_all(&units(1, 5));
    eventually("a lane works", || pair.server.received() == 5);
    let recorded = relay.first_bytes();
    let mut again = TcpStream::connect(pair._listener.local_addr()).unwrap();
    again.write_all(&recorded).unwrap();
    again
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let answer = again.read(&mut [0; 64]);
    assert!(
        matches!(answer, Ok(0))
            || answer.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
    );
    assert_eq!(pair.server.ups(), 1);
}

#[test]
fn garbage_after_the_preamble_is_dropped() {
    let pair = Pair::open(Choice::Tcp, &options(true, 1), BUDGET);
    for seed in 0..50 {
        let mut stream = TcpStream::connect(pair._listener.local_addr()).unwrap();
        stream.write_all(b"PBL1").unwrap();
        let _ = stream.write_all(&random_bytes(seed, 500));
    }
    pair.exchange(units(1, 20), units(2, 20));
}

#[test]
fn other_connections_are_handed_out_untouched() {
    let (tx, rx) = mpsc::channel();
    let tx = std::sync::Mutex::new(tx);
    let hand = move |fd, _| tx.lock().unwrap().send(TcpStream::from(fd)).unwrap();
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Box::new(hand)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr()).unwrap();
    client.write_all(b"\x16\x03\x01").unwrap();
    std::thread::sleep(Duration::from_millis(30));
    client.write_all(b"\x02 hello").unwrap();
    let mut server = rx.recv_timeout(Duration::from_secs(10)).unwrap();
    let mut got = [0; 10];
    server.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"\x16\x03\x01\x02 hello");
    server.write_all(b"x").unwrap();
    client.read_exact(&mut got[..1]).unwrap();
}

/// Bytes that the relay keeps: more than a HELLO.
const RECORDED: usize = 256;

type Recorded = (Vec<TcpStream>, Vec<u8>);

/// A TCP relay whose connections can be cut.
pub struct Relay {
    listener: std::net::TcpListener,
    state: Arc<Mutex<Recorded>>,
    pieces: bool,
}

impl Relay {
    pub fn new() -> Relay {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Relay {
            listener,
            state: Arc::default(),
            pieces: false,
        }
    }

    /// One that passes bytes on in pieces of odd sizes.
    fn in_pieces() -> Relay {
        Relay {
            pieces: true,
            ..Relay::new()
        }
    }

    pub fn to(&self, server: SocketAddr) -> SocketAddr {
        let (listener, state, pieces) = (
            self.listener.try_clone().unwrap(),
            self.state.clone(),
            self.pieces,
        );
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else {
                    return;
                };
                state.lock().0.push(client.try_clone().unwrap());
                let record = Some(state.clone());
                pump(
                    client.try_clone().unwrap(),
                    server.try_clone().unwrap(),
                    pieces,
                    record,
                );
                pump(server, client, pieces, None);
            }
        });
        self.listener.local_addr().unwrap()
    }

    fn kill_one(&self) {
        let victim = self.state.lock().0.pop().unwrap();
        victim.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// The first bytes that any client sent.
    fn first_bytes(&self) -> Vec<u8> {
        self.state.lock().1.clone()
    }
}

fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    pieces: bool,
    record: Option<Arc<Mutex<Recorded>>>,
) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        let _ = to.set_nodelay(true);
        let mut size = buffer.len();
        while let Ok(n @ 1..) = from.read(&mut buffer[..size]) {
            if let Some(state) = &record {
                let first = &mut state.lock().1;
                let room = RECORDED.saturating_sub(first.len()).min(n);
                first.extend_from_slice(&buffer[..room]);
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
            if pieces {
                size = size * 7 % 16_381 + 1;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}

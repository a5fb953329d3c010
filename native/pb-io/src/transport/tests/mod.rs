//! Whole transports between two small hosts in one process.

mod both;
mod host;
mod relay;
mod samples;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connect::{Connected, connect};
use super::crypto::{SessionKeys, Suite};
use super::listener::Listener;
use super::{Choice, LaneOptions, LaneSet, TransportError};
use host::TestHost;

/// Longest time a test's condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);

/// Memory of a host, in bytes, that no test fills.
const BUDGET: usize = 64 << 20;

fn keys(seed: u8) -> SessionKeys {
    let connection_id = u64::from_be_bytes([seed; 8]);
    SessionKeys {
        connection_id,
        client_random: [seed; 32],
        server_random: [seed ^ 0xff; 32],
        suite: Suite::Aes128Gcm,
    }
}

fn options(seal: bool, lanes: u8) -> LaneOptions {
    LaneOptions {
        seal,
        lanes,
        ..LaneOptions::default()
    }
}

fn listener() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap(), Box::new(|_, _| {})).unwrap()
}

/// Waits until `condition` holds.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A client and a server with a session between them.
struct Pair {
    client: Arc<TestHost>,
    server: Arc<TestHost>,
    connected: Connected,
    accepted: LaneSet,
    _listener: Listener,
}

impl Pair {
    fn open(choice: Choice, options: &LaneOptions, budget: usize) -> Pair {
        Pair::through(choice, options, budget, |addr| addr).unwrap()
    }

    /// Opens a session; `path` says where the client is to connect to in order to reach an address.
    fn through(
        choice: Choice,
        options: &LaneOptions,
        budget: usize,
        path: impl FnOnce(SocketAddr) -> SocketAddr,
    ) -> Result<Pair, TransportError> {
        let listener = listener();
        let (client, server) = (TestHost::new(budget), TestHost::new(budget));
        let keys = keys(7);
        let accepted = listener.register(&keys, options, server.clone())?;
        let connected = connect(
            path(listener.local_addr()),
            &keys,
            options,
            choice,
            client.clone(),
        )?;
        Ok(Pair {
            client,
            server,
            connected,
            accepted,
            _listener: listener,
        })
    }

    /// Sends the units both ways, waits until both sides have all of them, compares, and closes in order.
    fn exchange(self, up: Vec<host::Sent>, down: Vec<host::Sent>) {
        self.client.send_all(&up);
        self.server.send_all(&down);
        eventually("all units are there and acknowledged", || {
            self.server.received() == up.len()
                && self.client.received() == down.len()
                && self.client.acked() == up.len()
                && self.server.acked() == down.len()
        });
        self.server.compare(&up);
        self.client.compare(&down);
        assert!(
            self.connected.lanes.finish(Duration::from_secs(10)),
            "the client's lanes end in order"
        );
        assert!(
            self.accepted.finish(Duration::from_secs(10)),
            "the server's lanes end in order"
        );
        for host in [&self.client, &self.server] {
            assert_eq!(host.failures(), Vec::<String>::new());
            host.no_sample_is_absurd();
        }
    }
}

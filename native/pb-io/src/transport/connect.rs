//! The client's side of opening lanes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::control::LaneSet;
use super::crypto::SessionKeys;
use super::session::Session;
use super::udp::Verdict;
use super::{Choice, LaneHost, LaneOptions, TransportError, TransportKind, tcp, udp};
use crate::error::Code;

/// Longest time `connect` blocks.
const PATIENCE: Duration = Duration::from_secs(10);
/// Without HELLO_ACK for so long, TCP is tried beside UDP.
const HEAD_START: Duration = Duration::from_millis(300);

/// An open set of lanes.
pub struct Connected {
    pub transport: TransportKind,
    /// What the user should know of the choice that was made.
    pub note: Option<String>,
    pub lanes: LaneSet,
}

/// Opens the first lane of a session to a server, with the others on their way, and returns; blocks at most 10 s. `keys` must be
/// fresh: a second call with the same keys would repeat nonces.
pub fn connect(
    peer: SocketAddr,
    keys: &SessionKeys,
    options: &LaneOptions,
    choice: Choice,
    host: Arc<dyn LaneHost>,
) -> Result<Connected, TransportError> {
    let session = Session::new(true, keys, options, host)?;
    // From here on a failure ends the lanes that were started.
    let lanes = LaneSet::new(session.control.clone(), None);
    let deadline = Instant::now() + PATIENCE;
    let (transport, note) = match choice {
        Choice::Tcp => {
            tcp::start_client(&session, tcp::dial(&session, peer, 0, deadline)?)?;
            (TransportKind::Tcp, None)
        }
        Choice::Udp => {
            Udp::start(&session, peer)?.wait(deadline)?.choose();
            (TransportKind::Udp, None)
        }
        Choice::Auto => race(&session, peer, deadline)?,
    };
    if transport == TransportKind::Tcp {
        for lane in 1..session.options.lanes {
            tcp::start_dialling(&session, peer, lane, deadline)?;
        }
    }
    Ok(Connected {
        transport,
        note,
        lanes,
    })
}

/// UDP lanes on their way; the first one decides for all.
struct Udp {
    result: Receiver<Result<(), TransportError>>,
    chosen: Choices,
}

/// One for each lane. Lanes whose choice is dropped vanish.
struct Choices(Vec<Sender<bool>>);

impl Choices {
    fn choose(&self) {
        self.0.iter().for_each(|lane| _ = lane.send(true));
    }
}

/// UDP lanes of which the first is up and carries nothing yet. Dropped, they vanish.
struct UdpUp(Choices);

impl Udp {
    /// All at once: one that waited for another would begin a round trip later.
    fn start(session: &Session, peer: SocketAddr) -> Result<Udp, TransportError> {
        let (tell, result) = channel();
        let mut tell = Some(tell);
        let mut chosen = Choices(Vec::new());
        for lane in 0..session.options.lanes {
            let (choose, ask) = channel();
            let verdict = Verdict {
                result: tell.take(),
                chosen: ask,
            };
            udp::start_client(session, peer, lane, Some(verdict))?;
            chosen.0.push(choose);
        }
        Ok(Udp { result, chosen })
    }

    fn wait(self, deadline: Instant) -> Result<UdpUp, TransportError> {
        match self
            .result
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(Ok(())) => Ok(UdpUp(self.chosen)),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(TransportError::new(
                Code::Timeout,
                "the server did not answer over UDP",
            )),
        }
    }
}

impl UdpUp {
    fn choose(self) {
        self.0.choose();
    }
}

/// Gives UDP a head start, then tries both; the first to be up wins, and the other is dropped before it carried
/// anything.
fn race(
    session: &Session,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<(TransportKind, Option<String>), TransportError> {
    let started = Udp::start(session, peer);
    let udp_failed = match &started {
        Ok(udp) => match udp.result.recv_timeout(HEAD_START) {
            Ok(Ok(())) => return Ok(chosen_udp(&udp.chosen)),
            Ok(Err(why)) => Some(why),
            Err(_) => None,
        },
        Err(why) => Some(why.clone()),
    };
    let dialled = dial_aside(session, peer, deadline)?;
    loop {
        match dialled.recv_timeout(GLANCE) {
            Ok(Ok(established)) => {
                tcp::start_client(session, established)?;
                return Ok((TransportKind::Tcp, Some(note(peer, udp_failed.as_ref()))));
            }
            Ok(Err(tcp)) => return neither(peer, started, &tcp, deadline),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(TransportError::new(Code::Internal, "a thread died"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Ok(udp) = &started
            && let Ok(Ok(())) = udp.result.try_recv()
        {
            return Ok(chosen_udp(&udp.chosen));
        }
    }
}

/// How often the race looks at the other runner.
const GLANCE: Duration = Duration::from_millis(5);

fn chosen_udp(chosen: &Choices) -> (TransportKind, Option<String>) {
    chosen.choose();
    (TransportKind::Udp, None)
}

type Dialled = Receiver<Result<tcp::Established, TransportError>>;

/// Connects over TCP in a thread of its own; the connection closes when nobody takes it.
fn dial_aside(
    session: &Session,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<Dialled, TransportError> {
    let (tell, dialled) = channel();
    let session = session.clone();
    let thread = std::thread::Builder::new().name("pb-dial".into());
    let spawned = thread.spawn(move || drop(tell.send(tcp::dial(&session, peer, 0, deadline))));
    spawned.map_err(|e| {
        TransportError::new(
            Code::ResourceExhausted,
            format!("cannot start a thread: {e}"),
        )
    })?;
    Ok(dialled)
}

/// TCP is out: UDP may still come.
fn neither(
    peer: SocketAddr,
    udp: Result<Udp, TransportError>,
    tcp: &TransportError,
    deadline: Instant,
) -> Result<(TransportKind, Option<String>), TransportError> {
    match udp.and_then(|udp| udp.wait(deadline)) {
        Ok(up) => {
            up.choose();
            Ok((TransportKind::Udp, None))
        }
        Err(udp) => {
            let message = format!(
                "no data connection to {peer}: over UDP: {}; over TCP: {}",
                udp.message, tcp.message
            );
            Err(TransportError::new(Code::Unreachable, message))
        }
    }
}

fn note(peer: SocketAddr, failed: Option<&TransportError>) -> String {
    match failed {
        None => format!(
            "UDP to {peer} blocked or lost (no answer in {} ms); using TCP",
            HEAD_START.as_millis()
        ),
        Some(why) => format!("UDP to {peer} does not work ({}); using TCP", why.message),
    }
}

//! Units over UDP: one connected socket, thread and state machine a lane.

mod core;
mod driver;
mod ending;
mod path;
mod route;
mod socket;
mod train;
mod units;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use pb_proto::lane::{Lane, LaneConfig};
use pb_proto::wire::header::{HEADER, Header, Kind};

pub(crate) use route::Route;

use self::core::Core;
use super::crypto::{Medium, Sealed};
use super::session::Session;
use super::sys::random::random;
use super::{TransportError, Waker, clock};
use crate::error::Code;
use driver::Driver;
use path::Path;
use socket::Socket;

/// How the lanes of a client ask whether UDP won its race.
pub(crate) struct Verdict {
    /// Told once, by the first lane: up, or why not.
    pub result: Option<Sender<Result<(), TransportError>>>,
    /// Answered once: chosen or not. A hang-up means not.
    pub chosen: Receiver<bool>,
}

impl Verdict {
    fn chosen(self) -> bool {
        let heard = self.result.is_none_or(|result| result.send(Ok(())).is_ok());
        heard && self.chosen.recv().unwrap_or(false)
    }

    fn failed(self, why: TransportError) {
        // Nobody listens any more when the race is over.
        let _ = self.result.map(|result| result.send(Err(why)));
    }
}

/// Starts a client's lane. With a `verdict` it carries nothing before it is chosen.
pub(crate) fn start_client(
    session: &Session,
    peer: SocketAddr,
    lane: u8,
    verdict: Option<Verdict>,
) -> Result<(), TransportError> {
    let socket = Socket::client(peer, &session.options).map_err(|e| {
        TransportError::new(
            Code::Unreachable,
            format!("no route to {peer} (UDP): {}", std::io::Error::from(e)),
        )
    })?;
    let waker = waker()?;
    spawn(session, socket, lane, waker, None, verdict)
}

/// A server's lane that was started.
pub(crate) struct Started {
    pub route: Arc<Route>,
    /// Datagrams, of any peer, that the kernel gave to the lane's socket before it was connected: the listener's.
    pub strays: Vec<(SocketAddr, Vec<u8>)>,
}

/// Starts a server's lane for a client whose HELLO was verified, on the local address to which it came.
pub(crate) fn start_server(
    session: &Session,
    local: SocketAddr,
    peer: SocketAddr,
    lane: u8,
) -> Result<Started, TransportError> {
    let socket = Socket::server(local, peer, &session.options).map_err(|e| {
        TransportError::new(
            Code::IoError,
            format!(
                "no socket for a lane of {peer}: {}",
                std::io::Error::from(e)
            ),
        )
    })?;
    let strays = socket.strays();
    let waker = waker()?;
    let route = Arc::new(Route::new(waker.clone()));
    spawn(session, socket, lane, waker, Some(route.clone()), None)?;
    Ok(Started { route, strays })
}

/// Whether a datagram is a genuine HELLO of this session.
pub(crate) fn verify_hello(session: &Session, header: &Header, datagram: &[u8]) -> bool {
    let Some((head, bytes)) = datagram.split_first_chunk::<HEADER>() else {
        return false;
    };
    if header.kind != Kind::Hello || header.key_phase {
        return false;
    }
    let mut frames = vec![0; usize::from(header.payload_len)];
    let sealed = Sealed {
        number: header.packet_number,
        phase_bit: false,
        aad: &Header::aad(head),
        bytes,
    };
    session
        .open_keys(Medium::Udp, header.lane)
        .open(sealed, &mut frames)
        .is_ok()
}

fn waker() -> Result<Arc<Waker>, TransportError> {
    let waker = Waker::new()
        .map_err(|e| TransportError::new(Code::TooManyOpenFiles, format!("eventfd: {e}")))?;
    Ok(Arc::new(waker))
}

fn spawn(
    session: &Session,
    socket: Socket,
    lane_id: u8,
    waker: Arc<Waker>,
    route: Option<Arc<Route>>,
    verdict: Option<Verdict>,
) -> Result<(), TransportError> {
    let entered = session.control.enter(waker);
    let lane = Lane::new(config(session, &socket, lane_id), clock::now());
    let (seal, open) = (
        session.seal_keys(Medium::Udp, lane_id),
        session.open_keys(Medium::Udp, lane_id),
    );
    let mut core = Core::new(session.clone(), lane_id, lane, seal, open);
    core.lane.set_grant(session.host.grant());
    let driver = Driver::new(core, Path::new(socket), entered, route, verdict);
    let thread = std::thread::Builder::new()
        .name("pb-udp".into())
        .spawn(move || driver.run());
    match thread {
        Ok(_) => Ok(()),
        Err(e) => Err(TransportError::new(
            Code::ResourceExhausted,
            format!("cannot start a lane's thread: {e}"),
        )),
    }
}

fn config(session: &Session, socket: &Socket, lane: u8) -> LaneConfig {
    let seed = u64::from_be_bytes(random());
    LaneConfig {
        max_datagram_size: socket.max_datagram(&session.options),
        controller: session.options.controller,
        path_hint: session.options.path_hint,
        lanes: session.options.lanes,
        rekey_after: session.options.rekey_after,
        ..LaneConfig::new(session.client, lane, session.connection_id, seed)
    }
}

//! Units over TCP connections: one connection a lane. The way where UDP is blocked, and on clean short paths.

mod ending;
mod handshake;
mod inbound;
mod lane;
mod outbound;
mod record;
mod sampling;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

pub(crate) use handshake::{Claim, Established, dial, verify_hello};
pub(crate) use record::{MAX_HELLO, PREAMBLE, PREFIX};

use super::control::Entered;
use super::session::Session;
use super::{TransportError, TransportKind, Waker};
use crate::error::Code;
use lane::{State, TcpLane};

/// Bytes of the HELLO record that `bytes` (what follows the preamble) begins with: `None` until its length is known,
/// an error when it cannot be one.
pub(crate) fn hello_len(bytes: &[u8]) -> Result<Option<usize>, super::fault::Fault> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let total = record::Prefix::decode(prefix)?.total();
    if total > MAX_HELLO {
        Err(super::fault::Fault::stream())
    } else {
        Ok(Some(total))
    }
}

/// The connection id of a HELLO record.
pub(crate) fn connection_id(record: &[u8]) -> Option<u64> {
    let prefix = record.first_chunk::<PREFIX>()?;
    record::Prefix::decode(prefix)
        .ok()
        .map(|p| p.header.connection_id)
}

/// Starts the thread of a client's lane, whose connection is established.
pub(crate) fn start_client(
    session: &Session,
    established: Established,
) -> Result<(), TransportError> {
    let entered = enter(session)?;
    spawn(session.clone(), entered, move |session, entered| {
        session.host.lane_up(
            established.lane,
            TransportKind::Tcp,
            entered.waker().clone(),
        );
        lane(session, entered, established).run();
    })
}

/// Starts the thread of a further lane of a client, which connects by itself. Without success the session has a lane
/// less.
pub(crate) fn start_dialling(
    session: &Session,
    peer: SocketAddr,
    lane_id: u8,
    deadline: Instant,
) -> Result<(), TransportError> {
    let entered = enter(session)?;
    spawn(session.clone(), entered, move |session, entered| {
        if let Ok(established) = dial(&session, peer, lane_id, deadline) {
            session
                .host
                .lane_up(lane_id, TransportKind::Tcp, entered.waker().clone());
            lane(session, entered, established).run();
        }
    })
}

/// Answers a verified HELLO and starts the thread of the server's lane. The lane comes up when the client has sent
/// something behind the handshake: until then the connection may be the loser of a race.
pub(crate) fn start_server(
    session: &Session,
    stream: TcpStream,
    claim: Claim,
) -> Result<(), TransportError> {
    let entered = enter(session)?;
    spawn(session.clone(), entered, move |session, entered| {
        if let Ok(established) = handshake::answer(&session, stream, claim) {
            session.host.lane_up(
                established.lane,
                TransportKind::Tcp,
                entered.waker().clone(),
            );
            lane(session, entered, established).run();
        }
    })
}

fn enter(session: &Session) -> Result<Entered, TransportError> {
    let waker = Waker::new()
        .map_err(|e| TransportError::new(Code::TooManyOpenFiles, format!("eventfd: {e}")))?;
    Ok(session.control.enter(Arc::new(waker)))
}

fn spawn<F>(session: Session, entered: Entered, f: F) -> Result<(), TransportError>
where
    F: FnOnce(Session, Entered) + Send + 'static,
{
    let builder = std::thread::Builder::new().name("pb-tcp".into());
    match builder.spawn(move || f(session, entered)) {
        Ok(_) => Ok(()),
        Err(e) => Err(TransportError::new(
            Code::ResourceExhausted,
            format!("cannot start a lane's thread: {e}"),
        )),
    }
}

fn lane(session: Session, entered: Entered, established: Established) -> TcpLane {
    let Established {
        stream,
        lane,
        out,
        inbound,
        announced,
    } = established;
    let seal = session.options.seal;
    TcpLane {
        stream,
        host: session.host,
        entered,
        lane,
        seal,
        out,
        inbound,
        state: State::new(lane, announced),
    }
}

//! PBL1, HELLO, HELLO_ACK. Blocking, with deadlines.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use pb_proto::wire::frame::{Frame, Frames, Hello};
use pb_proto::wire::header::{Header, Kind};

use super::inbound::{Inbound, Incoming};
use super::outbound::Outbound;
use super::record::{PREAMBLE, PREFIX, Prefix};
use crate::error::Code;
use crate::transport::TransportError;
use crate::transport::crypto::{Medium, Sealed};
use crate::transport::fault::Fault;
use crate::transport::session::Session;
use crate::transport::sys::random::random;

/// A connection whose peer is authenticated and whose next record is the first of the lane.
pub(crate) struct Established {
    pub stream: TcpStream,
    pub lane: u8,
    pub out: Outbound,
    pub inbound: Inbound,
    /// The grant said in the handshake.
    pub announced: u64,
}

/// A HELLO that authenticated.
pub(crate) struct Claim {
    pub lane: u8,
    hello: Hello,
    inbound: Inbound,
}

/// Congestion controls for a connection within the machine, the first that we may use; "reno" every process may. The system's may be
/// BBR, which paces by a timer for each burst, also where nothing can queue (design/0010).
const UNPACED: [&str; 2] = ["cubic", "reno"];

/// Longest wait of a server's lane for the record that says that the client chose it.
const CHOSEN_WITHIN: Duration = Duration::from_secs(10);

/// Connects lane `lane` to a server and waits for its HELLO_ACK.
pub(crate) fn dial(
    session: &Session,
    peer: SocketAddr,
    lane: u8,
    deadline: Instant,
) -> Result<Established, TransportError> {
    let stream = TcpStream::connect_timeout(&peer, left(deadline)?)
        .map_err(|e| unreachable(&format!("cannot connect to {peer} (TCP): {e}")))?;
    let mut out = outbound(session, lane);
    let keys = session.open_keys(Medium::Tcp, lane);
    let mut inbound = Inbound::new(keys, session.connection_id, lane, !session.options.seal);
    let challenge = random();
    let announced = session.host.grant();
    let hello = Hello {
        challenge,
        lanes: session.options.lanes,
        max_datagram: 0,
        grant: announced,
    };
    let answered = prepare(&stream)
        .and_then(|()| (&stream).write_all(PREAMBLE).map_err(Fault::from))
        .and_then(|()| say(&mut out, &stream, Kind::Hello, &[Frame::Hello(hello)]))
        .and_then(|()| hear(&mut inbound, session, &stream, deadline));
    match answered
        .as_deref()
        .map(|frames| read_ack(frames, &challenge))
    {
        Ok(Some(theirs)) => session.host.peer_grant(theirs.grant),
        Ok(None) => return Err(refused(peer, "its answer makes no sense")),
        Err(fault) => return Err(refused(peer, &fault.error().message)),
    }
    stream
        .set_nonblocking(true)
        .map_err(|e| unreachable(&e.to_string()))?;
    Ok(Established {
        stream,
        lane,
        out,
        inbound,
        announced,
    })
}

/// Checks a HELLO record (without the preamble). Errors are to be met with silence.
pub(crate) fn verify_hello(session: &Session, record: &[u8]) -> Result<Claim, Fault> {
    let prefix = record.first_chunk::<PREFIX>().ok_or_else(Fault::stream)?;
    let Prefix { header, aad, len } = Prefix::decode(prefix)?;
    let Header {
        kind,
        lane,
        packet_number: number,
        key_phase: phase_bit,
        ..
    } = header;
    if kind != Kind::Hello
        || number != 0
        || phase_bit
        || header.connection_id != session.connection_id
    {
        return Err(Fault::stream());
    }
    let mut keys = session.open_keys(Medium::Tcp, lane);
    let mut frames = vec![0; len as usize];
    let sealed = Sealed {
        number,
        phase_bit,
        aad: &aad,
        bytes: &record[PREFIX..],
    };
    keys.open(sealed, &mut frames)
        .map_err(|_| Fault::stream())?;
    let hello = Frames::new(&frames).find_map(|f| match f {
        Ok(Frame::Hello(hello)) => Some(hello),
        _ => None,
    });
    let hello = hello.ok_or_else(Fault::stream)?;
    let mut inbound = Inbound::new(keys, session.connection_id, lane, !session.options.seal);
    inbound.expect = 1;
    Ok(Claim {
        lane,
        hello,
        inbound,
    })
}

/// Answers a HELLO and waits until the client has sent something behind it.
pub(super) fn answer(
    session: &Session,
    stream: TcpStream,
    claim: Claim,
) -> Result<Established, Fault> {
    let Claim {
        lane,
        hello,
        inbound,
    } = claim;
    let mut out = outbound(session, lane);
    prepare(&stream)?;
    let announced = session.host.grant();
    let ours = Hello {
        challenge: hello.challenge,
        lanes: session.options.lanes,
        max_datagram: 0,
        grant: announced,
    };
    say(
        &mut out,
        &stream,
        Kind::HelloAck,
        &[Frame::PathResponse(hello.challenge), Frame::Hello(ours)],
    )?;
    stream.set_read_timeout(Some(CHOSEN_WITHIN))?;
    if stream.peek(&mut [0u8; 1])? == 0 {
        return Err(Fault::lost("the client chose another connection"));
    }
    session.host.peer_grant(hello.grant);
    stream.set_nonblocking(true)?;
    Ok(Established {
        stream,
        lane,
        out,
        inbound,
        announced,
    })
}

fn outbound(session: &Session, lane: u8) -> Outbound {
    let keys = session.seal_keys(Medium::Tcp, lane);
    Outbound::new(
        keys,
        session.connection_id,
        lane,
        session.options.rekey_after,
    )
}

fn prepare(stream: &TcpStream) -> Result<(), Fault> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    if stream.peer_addr()?.ip().to_canonical().is_loopback() {
        let _ = UNPACED
            .iter()
            .any(|name| rustix::net::sockopt::set_tcp_congestion(stream, name).is_ok());
    }
    stream.set_write_timeout(Some(CHOSEN_WITHIN))?;
    Ok(())
}

fn say(
    out: &mut Outbound,
    stream: &TcpStream,
    kind: Kind,
    frames: &[Frame<'_>],
) -> Result<(), Fault> {
    let mut payload = Vec::new();
    frames.iter().for_each(|f| f.encode(&mut payload));
    out.control(kind, &payload)?;
    match out.flush(stream.as_fd())? {
        true => Ok(()),
        false => Err(Fault::lost("the connection takes no bytes")),
    }
}

/// Reads up to the first record, which must be frames.
fn hear(
    inbound: &mut Inbound,
    session: &Session,
    stream: &TcpStream,
    deadline: Instant,
) -> Result<Vec<u8>, Fault> {
    loop {
        match inbound.next(&*session.host)? {
            Some(Incoming::Frames(frames)) => return Ok(frames),
            Some(Incoming::Data { .. }) => return Err(Fault::stream()),
            None => {}
        }
        let left = left(deadline).map_err(Fault::Lost)?;
        stream.set_read_timeout(Some(left))?;
        if inbound.read(stream.as_fd())? == super::inbound::Read::End {
            return Err(Fault::lost(
                "it ended the connection: the session is unknown to it, or its lanes are used up",
            ));
        }
    }
}

fn read_ack(frames: &[u8], challenge: &[u8; 8]) -> Option<Hello> {
    let (mut hello, mut proven) = (None, false);
    for frame in Frames::new(frames) {
        match frame.ok()? {
            Frame::Hello(h) => hello = Some(h),
            Frame::PathResponse(r) => proven |= r == *challenge,
            _ => {}
        }
    }
    hello.filter(|_| proven)
}

fn left(deadline: Instant) -> Result<Duration, TransportError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(TransportError::new(Code::Timeout, "no answer in time"))
    } else {
        Ok(left)
    }
}

fn refused(peer: SocketAddr, why: &str) -> TransportError {
    unreachable(&format!(
        "{peer} did not accept the data connection (TCP): {why}"
    ))
}

fn unreachable(message: &str) -> TransportError {
    TransportError::new(Code::Unreachable, message)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_within_the_machine_is_not_paced() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        prepare(&stream).unwrap();
        let now = rustix::net::sockopt::tcp_congestion(&stream).unwrap();
        assert!(UNPACED.contains(&now.as_str()), "{now}");
    }
}

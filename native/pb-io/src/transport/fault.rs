//! Why a lane ends before it is done.

use pb_proto::error::{Violation, close};

use crate::error::Code;
use crate::transport::TransportError;

/// Why a lane ends. Decides whether the session goes with it.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This connection or path only: other lanes go on.
    Lost(TransportError),
    /// The peer broke a rule in an authenticated packet: CLOSE is sent, the session ends.
    Violation(TransportError),
    /// The peer closed the session.
    ClosedByPeer(TransportError),
}

impl Fault {
    /// Bytes that are no record of ours, or do not authenticate. On TCP nothing can be read behind them.
    pub(crate) fn stream() -> Fault {
        Fault::lost("the connection carried bytes that do not belong to the session")
    }

    pub(crate) fn lost(message: impl Into<String>) -> Fault {
        Fault::Lost(TransportError::new(Code::ConnectionLost, message))
    }

    pub(crate) fn timeout(message: &str) -> Fault {
        Fault::Lost(TransportError::new(Code::Timeout, message))
    }

    pub(crate) fn violation(message: impl Into<String>) -> Fault {
        Fault::Violation(TransportError::new(Code::ProtocolViolation, message))
    }

    pub(crate) fn closed_by_peer(code: u64, reason: &str) -> Fault {
        Fault::ClosedByPeer(TransportError::new(
            code_of(code),
            format!("the peer closed the session: {reason}"),
        ))
    }

    /// What to tell the session.
    pub(crate) fn error(&self) -> &TransportError {
        match self {
            Fault::Lost(e) | Fault::Violation(e) | Fault::ClosedByPeer(e) => e,
        }
    }
}

impl From<Violation> for Fault {
    fn from(v: Violation) -> Fault {
        Fault::violation(format!("the peer broke the protocol: {v}"))
    }
}

impl From<std::io::Error> for Fault {
    fn from(e: std::io::Error) -> Fault {
        Fault::lost(format!("connection lost: {e}"))
    }
}

impl From<rustix::io::Errno> for Fault {
    fn from(e: rustix::io::Errno) -> Fault {
        std::io::Error::from(e).into()
    }
}

/// The stable code of a CLOSE code.
pub(crate) fn code_of(code: u64) -> Code {
    match code {
        close::PROTOCOL | close::GRANT | close::FORGERIES => Code::ProtocolViolation,
        close::INTERNAL => Code::Internal,
        close::IDLE => Code::Timeout,
        close::HANDSHAKE => Code::Unreachable,
        _ => Code::Aborted,
    }
}

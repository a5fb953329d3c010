//! The server's door: one TCP listener and one UDP socket on the same port number, so that a firewall needs one rule.

mod datagrams;
mod door;
mod pending;
mod registry;
mod sockets;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::control::LaneSet;
use super::crypto::SessionKeys;
use super::session::Session;
use super::{LaneHost, LaneOptions, TransportError, Waker};
use crate::error::Code;
use door::Door;
use registry::Registry;

/// Takes TCP connections that are not lanes, untouched.
pub type OnStream = Box<dyn Fn(OwnedFd, SocketAddr) + Send + Sync>;

/// A bound port with its thread. Dropping it closes the port; lanes that are up go on.
pub struct Listener {
    shared: Arc<Shared>,
    local: SocketAddr,
}

/// What the listener and its thread share.
struct Shared {
    registry: Arc<Registry>,
    waker: Waker,
    closing: AtomicBool,
}

impl Listener {
    /// Binds `addr` (port 0: a free one that is free for both) and starts to accept. A wildcard IPv6 address takes
    /// IPv4 as well. `on_stream` is called from the listener's thread and should hand over quickly.
    pub fn bind(addr: SocketAddr, on_stream: OnStream) -> Result<Listener, TransportError> {
        let sockets = sockets::bind(addr)?;
        let local = sockets.local;
        let waker = Waker::new()
            .map_err(|e| TransportError::new(Code::TooManyOpenFiles, format!("eventfd: {e}")))?;
        let closing = AtomicBool::new(false);
        let shared = Arc::new(Shared {
            registry: Arc::default(),
            waker,
            closing,
        });
        let door = Door::new(sockets, shared.clone(), on_stream);
        let thread = std::thread::Builder::new()
            .name("pb-listen".into())
            .spawn(move || door.run());
        thread.map_err(|e| {
            TransportError::new(
                Code::ResourceExhausted,
                format!("cannot start a thread: {e}"),
            )
        })?;
        Ok(Listener { shared, local })
    }

    /// Where it listens, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Lets the lanes of a session in. Finishing, closing or dropping the set shuts the session out again.
    pub fn register(
        &self,
        keys: &SessionKeys,
        options: &LaneOptions,
        host: Arc<dyn LaneHost>,
    ) -> Result<LaneSet, TransportError> {
        let session = Session::new(false, keys, options, host)?;
        let (control, id) = (session.control.clone(), session.connection_id);
        self.shared.registry.add(session)?;
        let registry = self.shared.registry.clone();
        Ok(LaneSet::new(
            control,
            Some(Box::new(move || registry.remove(id))),
        ))
    }

    /// Stops accepting. Idempotent.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.waker.wake();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

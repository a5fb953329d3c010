//! Where a lane's datagrams go, and what happens when that changes.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use pb_proto::time::{Instant, MS, Nanos};

use super::socket::{Sent, Socket};
use crate::transport::LaneOptions;
use crate::transport::session::Session;

/// Least time between two moves of a peer: two senders of its packets must not make us flap.
const MOVE_EVERY: Nanos = 100 * MS;
/// Least time between two new sockets.
const RENEW_EVERY: Nanos = 200 * MS;

/// A lane's socket and its peer's addresses.
pub(super) struct Path {
    socket: Socket,
    /// The last address that has proven itself, while a newer one has not.
    proven: Option<SocketAddr>,
    changed: Option<Instant>,
}

impl Path {
    pub(super) fn new(socket: Socket) -> Path {
        Path {
            socket,
            proven: None,
            changed: None,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.socket.peer
    }

    pub(super) fn takes_trains(&self) -> bool {
        self.socket.takes_trains()
    }

    pub(super) fn send(&mut self, bytes: &[u8], size: usize) -> Sent {
        self.socket.send(bytes, size)
    }

    pub(super) fn send_pieces(&self, pieces: &[IoSlice<'_>]) -> Sent {
        self.socket.send_pieces(pieces)
    }

    fn too_soon(&self, now: Instant, every: Nanos) -> bool {
        self.changed.is_some_and(|at| now.since(at) < every)
    }

    /// A genuine packet, the newest, came from `from`. True when that is another address, to which the socket now
    /// sends, and which has to be challenged.
    pub(super) fn moved(&mut self, from: SocketAddr, now: Instant, options: &LaneOptions) -> bool {
        let old = self.socket.peer;
        if from == old
            || self.too_soon(now, MOVE_EVERY)
            || self.socket.reconnect(from, options).is_err()
        {
            return false;
        }
        self.changed = Some(now);
        self.proven.get_or_insert(old);
        true
    }

    /// The present address has proven itself.
    pub(super) fn proven(&mut self) {
        self.proven = None;
    }

    /// The present address has not: back to the one before.
    pub(super) fn back(&mut self, options: &LaneOptions) {
        if let Some(old) = self.proven.take() {
            let _ = self.socket.reconnect(old, options);
        }
    }

    /// Our own address or route is gone: a client takes a new socket; a server waits for the client to move.
    pub(super) fn renew(&mut self, now: Instant, session: &Session) {
        if !session.client || self.too_soon(now, RENEW_EVERY) {
            return;
        }
        self.changed = Some(now);
        if let Ok(socket) = Socket::client(self.socket.peer, &session.options) {
            self.socket = socket;
        }
    }
}

//! Datagrams for a server's lane that came to the listening socket: its first HELLO, and what a client sends whose
//! address has changed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::transport::Waker;

/// Datagrams that may wait; more are dropped, as a full socket would.
const WAITING: usize = 64;

/// The way from the listener to a lane.
pub(crate) struct Route {
    waiting: Mutex<VecDeque<(SocketAddr, Vec<u8>)>>,
    waker: Arc<Waker>,
}

impl Route {
    pub(crate) fn new(waker: Arc<Waker>) -> Route {
        Route {
            waiting: Mutex::default(),
            waker,
        }
    }

    /// Hands a datagram to the lane.
    pub(crate) fn push(&self, from: SocketAddr, datagram: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING {
            waiting.push_back((from, datagram.to_vec()));
            drop(waiting);
            self.waker.wake();
        }
    }

    pub(super) fn pop(&self) -> Option<(SocketAddr, Vec<u8>)> {
        self.waiting.lock().pop_front()
    }
}

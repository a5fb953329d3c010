//! Which sessions may have lanes, and which lane numbers they have had.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::Code;
use crate::transport::TransportError;
use crate::transport::crypto::Medium;
use crate::transport::session::Session;
use crate::transport::udp::Route;

/// Sessions by connection id.
#[derive(Default)]
pub(super) struct Registry {
    sessions: Mutex<HashMap<u64, Arc<Registered>>>,
}

/// A session that may have lanes.
pub(super) struct Registered {
    pub session: Session,
    /// Lane numbers taken, one bit each, UDP and TCP. A number is good for one lane in a session's life: a replayed
    /// HELLO must not start packet numbers again under the same keys.
    taken: Mutex<[[u64; 4]; 2]>,
    /// Ways to the UDP lanes, for what comes to the listening socket.
    routes: Mutex<HashMap<u8, Weak<Route>>>,
}

impl Registry {
    pub(super) fn add(&self, session: Session) -> Result<(), TransportError> {
        let id = session.connection_id;
        let mut sessions = self.sessions.lock();
        if sessions.contains_key(&id) {
            return Err(TransportError::new(
                Code::Exists,
                format!("connection id {id:016x} is in use"),
            ));
        }
        sessions.insert(
            id,
            Arc::new(Registered {
                session,
                taken: Mutex::default(),
                routes: Mutex::default(),
            }),
        );
        Ok(())
    }

    pub(super) fn remove(&self, id: u64) {
        self.sessions.lock().remove(&id);
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<Registered>> {
        self.sessions.lock().get(&id).cloned()
    }

    pub(super) fn clear(&self) {
        self.sessions.lock().clear();
    }
}

impl Registered {
    /// Takes a lane number; false when it was taken before, or the session has all its lanes.
    pub(super) fn take(&self, medium: Medium, lane: u8) -> bool {
        let full = self.session.control.alive() >= usize::from(self.session.options.lanes) * RACING;
        let mut taken = self.taken.lock();
        let word = &mut taken[usize::from(medium == Medium::Tcp)][usize::from(lane / 64)];
        let bit = 1 << (lane % 64);
        let fresh = *word & bit == 0 && !full && !self.session.control.closing();
        if fresh {
            *word |= bit;
        }
        fresh
    }
}

impl Registered {
    /// The way to a UDP lane that lives.
    pub(super) fn route(&self, lane: u8) -> Option<Arc<Route>> {
        self.routes.lock().get(&lane)?.upgrade()
    }

    pub(super) fn set_route(&self, lane: u8, route: &Arc<Route>) {
        self.routes.lock().insert(lane, Arc::downgrade(route));
    }
}

/// While UDP and TCP race, the loser's lanes still count.
const RACING: usize = 2;

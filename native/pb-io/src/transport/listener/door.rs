//! The listener's thread: one poll over the port and every connection that is not authenticated yet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use super::datagrams::Datagrams;
use super::pending::{Look, Pending};
use super::sockets::Sockets;
use super::{OnStream, Shared};

/// Connections that may wait unauthenticated (threat T12); beyond it the oldest is dropped.
const MAX_PENDING: usize = 1024;
/// Pause after the system refused a new descriptor.
const STARVED_MS: i64 = 50;

pub(super) struct Door {
    sockets: Sockets,
    shared: Arc<Shared>,
    on_stream: OnStream,
    pending: Vec<Pending>,
    starved: bool,
    datagrams: Datagrams,
}

impl Door {
    pub(super) fn new(sockets: Sockets, shared: Arc<Shared>, on_stream: OnStream) -> Door {
        let datagrams = Datagrams::new(&sockets.udp, sockets.local);
        Door {
            sockets,
            shared,
            on_stream,
            pending: Vec::new(),
            starved: false,
            datagrams,
        }
    }

    pub(super) fn run(mut self) {
        while !self.shared.closing.load(Ordering::Acquire) {
            let Ok(ready) = self.wait() else { break };
            self.shared.waker.clear();
            self.look(&ready);
            self.accept();
            self.datagrams
                .receive(&self.sockets.udp, &self.shared.registry);
        }
        self.shared.registry.clear();
    }

    /// Sleeps until something happens; true for each pending connection that is to be looked at.
    fn wait(&self) -> Result<Vec<bool>, Errno> {
        let accepting = if self.starved {
            PollFlags::empty()
        } else {
            PollFlags::IN
        };
        let mut fds = vec![
            PollFd::new(&self.shared.waker, PollFlags::IN),
            PollFd::new(&self.sockets.tcp, accepting),
            PollFd::new(&self.sockets.udp, PollFlags::IN),
        ];
        let fixed = fds.len();
        fds.extend(
            self.pending
                .iter()
                .map(|p| PollFd::new(&p.fd, PollFlags::IN)),
        );
        match poll(&mut fds, self.timeout().as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(fds[fixed..]
                .iter()
                .map(|f| !f.revents().is_empty())
                .collect()),
            Err(e) => Err(e),
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        if self.starved {
            return Some(Timespec {
                tv_sec: 0,
                tv_nsec: STARVED_MS * 1_000_000,
            });
        }
        let next = self.pending.iter().map(|p| p.deadline).min()?;
        let left = next.saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        })
    }

    fn look(&mut self, ready: &[bool]) {
        let now = Instant::now();
        let before = std::mem::take(&mut self.pending);
        for (i, pending) in before.into_iter().enumerate() {
            if !ready.get(i).copied().unwrap_or(false) {
                if pending.deadline > now {
                    self.pending.push(pending);
                }
                continue;
            }
            match pending.look(&self.shared.registry) {
                Look::Wait(pending) if pending.deadline > now => self.pending.push(pending),
                Look::Wait(_) | Look::Gone => {}
                Look::Stream(fd, peer) => (self.on_stream)(fd, peer),
            }
        }
    }

    fn accept(&mut self) {
        self.starved = false;
        loop {
            match acceptfrom_with(&self.sockets.tcp, SocketFlags::CLOEXEC) {
                Ok((fd, peer)) => {
                    let Some(peer) = peer.and_then(|p| SocketAddr::try_from(p).ok()) else {
                        continue;
                    };
                    if self.pending.len() >= MAX_PENDING {
                        self.pending.remove(0);
                    }
                    self.pending.push(Pending::new(fd, peer));
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                    self.starved = true;
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

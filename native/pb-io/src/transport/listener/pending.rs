//! TCP connections that have not said yet what they are.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::registry::Registry;
use crate::transport::crypto::Medium;
use crate::transport::sys::sockopt::set_receive_low_water;
use crate::transport::tcp::{self, MAX_HELLO, PREAMBLE};

/// A connection must have said so much as to be told apart, and as a lane be authenticated, within this time.
const DEADLINE: Duration = Duration::from_secs(10);

/// One connection; holds at most [`MAX_HELLO`] bytes.
pub(super) struct Pending {
    pub fd: OwnedFd,
    pub peer: SocketAddr,
    pub deadline: Instant,
    /// `None` until the first bytes were `PBL1`; then what came, from the preamble on.
    hello: Option<Vec<u8>>,
}

/// What became of a connection when it was looked at.
pub(super) enum Look {
    Wait(Pending),
    /// Not ours: to be handed out.
    Stream(OwnedFd, SocketAddr),
    /// Became a lane, or was dropped.
    Gone,
}

impl Pending {
    pub(super) fn new(fd: OwnedFd, peer: SocketAddr) -> Pending {
        // The socket becomes readable when the preamble is there, not a byte earlier.
        let _ = set_receive_low_water(fd.as_raw_fd(), PREAMBLE.len() as i32);
        Pending {
            fd,
            peer,
            deadline: Instant::now() + DEADLINE,
            hello: None,
        }
    }

    /// Looks at what has come.
    pub(super) fn look(mut self, registry: &Registry) -> Look {
        if self.hello.is_none() {
            let mut first = [0u8; PREAMBLE.len()];
            match recv(&self.fd, &mut first, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN | Errno::INTR) => return Look::Wait(self),
                Err(_) | Ok((0, _)) => return Look::Gone,
                // Part of a preamble: readable below the low-water mark only because the peer has ended.
                Ok((n, _)) if n < first.len() && first[..n] == PREAMBLE[..n] => return Look::Gone,
                Ok(_) if first == *PREAMBLE => self.hello = Some(Vec::new()),
                Ok(_) => return self.hand_out(),
            }
            let _ = set_receive_low_water(self.fd.as_raw_fd(), 1);
        }
        self.read_hello(registry)
    }

    fn hand_out(self) -> Look {
        let _ = set_receive_low_water(self.fd.as_raw_fd(), 1);
        Look::Stream(self.fd, self.peer)
    }

    fn read_hello(mut self, registry: &Registry) -> Look {
        let Some(hello) = self.hello.as_mut() else {
            return Look::Gone;
        };
        loop {
            let record = hello.get(PREAMBLE.len()..).unwrap_or_default();
            let want = match tcp::hello_len(record) {
                Err(_) => return Look::Gone,
                Ok(Some(len)) if record.len() == len => break,
                Ok(Some(len)) => PREAMBLE.len() + len,
                Ok(None) => PREAMBLE.len() + tcp::PREFIX,
            };
            let have = hello.len();
            hello.resize(want.min(PREAMBLE.len() + MAX_HELLO), 0);
            let got = recv(&self.fd, &mut hello[have..], RecvFlags::DONTWAIT);
            hello.truncate(have + got.map_or(0, |(n, _)| n));
            match got {
                Ok((n, _)) if n > 0 => {}
                Err(Errno::AGAIN | Errno::INTR) => return Look::Wait(self),
                Ok(_) | Err(_) => return Look::Gone,
            }
        }
        let record = hello.split_off(PREAMBLE.len());
        self.admit(registry, &record);
        Look::Gone
    }

    /// Starts a lane if the HELLO is genuine and its lane number fresh; else the connection closes without a word.
    fn admit(self, registry: &Registry, record: &[u8]) {
        let Some(id) = tcp::connection_id(record) else {
            return;
        };
        let Some(registered) = registry.get(id) else {
            return;
        };
        let Ok(claim) = tcp::verify_hello(&registered.session, record) else {
            return;
        };
        if registered.take(Medium::Tcp, claim.lane) {
            let _ = tcp::start_server(&registered.session, TcpStream::from(self.fd), claim);
        }
    }
}

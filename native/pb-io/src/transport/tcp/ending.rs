//! How a TCP lane leaves: its last words, and no reset behind them.

use std::os::fd::AsFd;

use pb_proto::time::{Instant, Nanos, SECOND};
use pb_proto::wire::frame::Frame;
use pb_proto::wire::header::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::lane::TcpLane;
use crate::transport::clock;

/// How long a closing lane tries to get its last record out, and waits for the peer's end of the stream.
const LINGER: Nanos = SECOND;

impl TcpLane {
    /// Sends CLOSE as the last record, if the socket takes it in time.
    pub(super) fn say_close(&mut self, code: u64, reason: &str) {
        let until = clock::now().after(LINGER);
        let mut frame = Vec::new();
        Frame::Close { code, reason }.encode(&mut frame);
        let mut flushed = self.flush_until(until);
        if flushed {
            flushed = self.out.control(Kind::Control, &frame).is_ok() && self.flush_until(until);
        }
        // The owner need not wait for the peer's end of the stream.
        self.entered.leave();
        if flushed {
            self.leave();
        }
    }

    fn flush_until(&mut self, until: Instant) -> bool {
        loop {
            match self.out.flush(self.stream.as_fd()) {
                Ok(true) => return true,
                Err(_) => return false,
                Ok(false) => {}
            }
            let left = until.since(clock::now());
            let mut fds = [PollFd::new(&self.stream, PollFlags::OUT)];
            if left == 0 || poll(&mut fds, Some(&timespec(left))).is_err() {
                return false;
            }
        }
    }

    /// Ends our direction and reads the other to its end, so that no reset destroys what is under way.
    pub(super) fn leave(&mut self) {
        let until = clock::now().after(LINGER);
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let mut sink = [0u8; 4096];
        loop {
            let left = until.since(clock::now());
            let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
            if left == 0 || poll(&mut fds, Some(&timespec(left))).is_err() {
                return;
            }
            match std::io::Read::read(&mut &self.stream, &mut sink) {
                Ok(0) => return,
                Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {}
            }
        }
    }
}

pub(super) fn timespec(ns: Nanos) -> Timespec {
    Timespec {
        tv_sec: (ns / SECOND) as i64,
        tv_nsec: (ns % SECOND) as i64,
    }
}

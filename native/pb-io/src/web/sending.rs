//! Content that goes out, while the server may say at any time that it wants no more of it.

use std::io::{self, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connection::{Connection, NoHead};

impl Connection {
    /// Sends all of it: true. False: an answer has begun to come, for [`head`](Self::head), and the rest is wanted by nobody.
    ///
    /// `patience`: for a server that takes nothing.
    pub fn send_content(&mut self, bytes: &[u8], patience: Duration) -> Result<bool, NoHead> {
        self.socket.set_nonblocking(true).map_err(NoHead::Broken)?;
        let sent = self.push(bytes, patience);
        self.socket.set_nonblocking(false).map_err(NoHead::Broken)?;
        sent
    }

    fn push(&mut self, mut bytes: &[u8], patience: Duration) -> Result<bool, NoHead> {
        loop {
            match self.write_now(&mut bytes) {
                Ok(()) => return Ok(true),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if self.wait(patience)? {
                        return Ok(false);
                    }
                }
                // Why it has closed, it may have said before.
                Err(e) => {
                    return match self.hear() {
                        Ok(true) => Ok(false),
                        _ => Err(self.no_head(e)),
                    };
                }
            }
        }
    }

    /// As much as goes, up to all of it.
    fn write_now(&mut self, bytes: &mut &[u8]) -> io::Result<()> {
        let mut socket = &*self.socket;
        let Some(tls) = &mut self.tls else {
            while !bytes.is_empty() {
                let sent = socket.write(bytes)?;
                *bytes = &bytes[sent..];
            }
            return Ok(());
        };
        while !bytes.is_empty() || tls.wants_write() {
            let sealed = tls.writer().write(bytes)?;
            *bytes = &bytes[sealed..];
            tls.write_tls(&mut socket)?;
        }
        Ok(())
    }

    /// Until there is room, or an answer: then true.
    fn wait(&mut self, patience: Duration) -> Result<bool, NoHead> {
        let told = {
            let timeout = Timespec::try_from(patience).ok();
            let mut fds = [PollFd::new(&*self.socket, PollFlags::IN | PollFlags::OUT)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => Ok(fds[0].revents()),
                Err(rustix::io::Errno::INTR) => Ok(PollFlags::OUT),
                Err(errno) => Err(io::Error::from(errno)),
            }
        };
        match told {
            Ok(events) if events == PollFlags::OUT => Ok(false),
            Ok(_) => self.hear(),
            Err(e) => Err(self.no_head(e)),
        }
    }

    /// Takes what has come. True: an answer is in it.
    fn hear(&mut self) -> Result<bool, NoHead> {
        loop {
            match self.more() {
                Ok(()) if self.has_answer()? => return Ok(true),
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(self.no_head(e)),
            }
        }
    }
}

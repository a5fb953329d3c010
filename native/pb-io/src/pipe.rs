//! Standard streams: whoever else holds the same pipe or terminal may have made it non-blocking, so both directions wait
//! for readiness when the kernel says "would block".

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often a pipe that gives nothing is left to see whether it is still wanted, nanoseconds.
const LOOK_NS: i64 = 200_000_000;

/// Fills `buffer` as far as there are bytes before the end, or until `stop`; returns how many.
pub fn read_full(mut file: &File, buffer: &mut [u8], stop: &dyn Fn() -> bool) -> io::Result<usize> {
    let mut at = 0;
    while at < buffer.len() {
        wait_readable(file, stop)?;
        match file.read(&mut buffer[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}

fn wait_readable(file: &File, stop: &dyn Fn() -> bool) -> io::Result<()> {
    let look = Timespec {
        tv_sec: 0,
        tv_nsec: LOOK_NS,
    };
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    while !stop() {
        match poll(&mut fds, Some(&look)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            other => return other.map(|_| ()).map_err(Into::into),
        }
    }
    Err(io::Error::other("no longer wanted"))
}

/// Writes all of `data`.
pub fn write_full(mut file: &File, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match file.write(data) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => data = &data[n..],
            Err(e) => wait_writable(file, e)?,
        }
    }
    Ok(())
}

/// Returns when it is worth trying again, or the error when it is another one.
fn wait_writable(file: &File, error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock => match poll(&mut [PollFd::new(file, PollFlags::OUT)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        },
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    use rustix::pipe::{PipeFlags, pipe_with};

    #[test]
    fn a_pipe_that_gives_nothing_is_left_when_it_is_no_longer_wanted() {
        let (from, _to) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let looks = std::cell::Cell::new(0);
        let stop = || looks.replace(looks.get() + 1) > 1;
        assert!(read_full(&File::from(from), &mut [0; 9], &stop).is_err());
    }

    #[test]
    fn a_non_blocking_pipe_is_waited_for_in_both_directions() {
        let (from, to) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
        let (from, to) = (File::from(from), File::from(to));
        // More than a pipe holds, so that both sides find it empty or full.
        let sent: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            write_full(&to, &sent)
        });
        let mut got = vec![0; 400_000];
        thread::sleep(Duration::from_millis(40));
        let n = read_full(&from, &mut got, &|| false).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(&got[..n], &expected[..]);
    }
}

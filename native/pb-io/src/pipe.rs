//! Standard streams: whoever else holds the same pipe or terminal may have made it non-blocking, so both directions wait
//! for readiness when the kernel says "would block".

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

use rustix::event::{PollFd, PollFlags, poll};

/// Fills `buffer` as far as there are bytes before the end; returns how many.
pub fn read_full(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < buffer.len() {
        match file.read(&mut buffer[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) => wait_after(file, e, PollFlags::IN)?,
        }
    }
    Ok(at)
}

/// Writes all of `data`.
pub fn write_full(mut file: &File, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match file.write(data) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => data = &data[n..],
            Err(e) => wait_after(file, e, PollFlags::OUT)?,
        }
    }
    Ok(())
}

/// Returns when it is worth trying again, or the error when it is another one.
fn wait_after(file: &File, error: io::Error, readiness: PollFlags) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock => match poll(&mut [PollFd::new(file, readiness)], None) {
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
        let n = read_full(&from, &mut got).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(&got[..n], &expected[..]);
    }
}

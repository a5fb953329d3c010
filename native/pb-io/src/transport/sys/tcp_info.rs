//! `struct tcp_info` of linux/tcp.h, the fields we read. The kernel fills as much as it knows and says how much.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What the kernel knows of a TCP connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    pub smoothed_rtt_us: u32,
    pub rtt_var_us: u32,
    pub min_rtt_us: u32,
    /// Bytes a segment.
    pub snd_mss: u32,
    /// Segments.
    pub snd_cwnd: u32,
    pub unacked: u32,
    pub total_retrans: u32,
    pub reord_seen: u32,
    pub delivered_ce: u32,
    pub segs_out: u32,
    pub segs_in: u32,
    /// Bytes per second.
    pub pacing_rate: u64,
    pub delivery_rate: u64,
    pub bytes_retrans: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub dsack_dups: u32,
    /// Microseconds with data outstanding; of those, with the peer's window or our buffer in the way.
    pub busy_us: u64,
    pub rwnd_limited_us: u64,
    pub sndbuf_limited_us: u64,
}

/// sizeof(struct tcp_info) up to tcpi_rcv_wnd (kernel 5.4 to 6.2); older kernels fill less, newer ones are cut off.
const SIZE: usize = 232;

/// Reads it.
pub(crate) fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<TcpInfo> {
    let mut raw = [0u8; SIZE];
    let mut len = SIZE as libc::socklen_t;
    // SAFETY: `raw` is writable for `len` bytes, and the kernel writes at most `len`.
    let r = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if r != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(parse(&raw))
}

/// Offsets from linux/tcp.h: 8 bytes of flags, 24 u32 to byte 104, then u64 and u32 mixed.
fn parse(raw: &[u8; SIZE]) -> TcpInfo {
    let u32_at = |at: usize| {
        raw[at..]
            .first_chunk()
            .map_or(0, |b| u32::from_ne_bytes(*b))
    };
    let u64_at = |at: usize| {
        raw[at..]
            .first_chunk()
            .map_or(0, |b| u64::from_ne_bytes(*b))
    };
    TcpInfo {
        snd_mss: u32_at(16),
        unacked: u32_at(24),
        smoothed_rtt_us: u32_at(68),
        rtt_var_us: u32_at(72),
        snd_cwnd: u32_at(80),
        total_retrans: u32_at(100),
        pacing_rate: u64_at(104),
        bytes_received: u64_at(128),
        segs_out: u32_at(136),
        segs_in: u32_at(140),
        min_rtt_us: u32_at(148),
        delivery_rate: u64_at(160),
        busy_us: u64_at(168),
        rwnd_limited_us: u64_at(176),
        sndbuf_limited_us: u64_at(184),
        delivered_ce: u32_at(196),
        bytes_sent: u64_at(200),
        bytes_retrans: u64_at(208),
        dsack_dups: u32_at(216),
        reord_seen: u32_at(220),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn counts_what_a_connection_carried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut b, _) = listener.accept().unwrap();
        a.write_all(&[7; 10_000]).unwrap();
        b.read_exact(&mut [0; 10_000]).unwrap();
        b.write_all(&[7; 100]).unwrap();
        a.read_exact(&mut [0; 100]).unwrap();
        let info = tcp_info(a.as_fd()).unwrap();
        assert_eq!(
            (info.bytes_sent, info.bytes_received, info.bytes_retrans),
            (10_000, 100, 0)
        );
        assert!(
            info.snd_mss >= 536
                && info.min_rtt_us > 0
                && info.min_rtt_us < 10_000_000
                && info.segs_out > 0
        );
    }
}

//! What a session's owner chooses about its lanes.

use pb_proto::cc::ControllerKind;
use pb_proto::lane::PathHint;

/// Settings of the lanes of one session. Both sides must agree on `seal`; the rest is each side's own.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// Seal the payload of data. Messages and control are sealed always.
    pub seal: bool,
    /// Lanes to open (client) or to allow at once (server), 1 to 64.
    pub lanes: u8,
    /// Congestion controller of UDP lanes.
    pub controller: ControllerKind,
    /// Largest UDP payload to probe for, bytes; `None`: what the interface's MTU allows.
    pub max_datagram: Option<u16>,
    /// Kernel buffer to ask for, each way, of a UDP socket, bytes. TCP sockets are left to autotuning.
    pub socket_buffer: usize,
    /// What an earlier session learned of the path.
    pub path_hint: Option<PathHint>,
    /// Let the kernel or device cut trains of datagrams (UDP_SEGMENT). Off: one system call a datagram.
    pub segmentation: bool,
    /// Packets or records of one key phase; `None`: as many as the protocol allows. Fewer only cost time.
    pub rekey_after: Option<u64>,
}

/// UDP socket buffer asked for unless told otherwise: 13 ms at 10 Gbit/s.
pub const SOCKET_BUFFER: usize = 16 << 20;

impl Default for LaneOptions {
    fn default() -> LaneOptions {
        LaneOptions {
            seal: true,
            lanes: 1,
            controller: ControllerKind::default(),
            max_datagram: None,
            socket_buffer: SOCKET_BUFFER,
            path_hint: None,
            segmentation: true,
            rekey_after: None,
        }
    }
}

/// Which transport to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// UDP, and TCP where UDP does not answer.
    #[default]
    Auto,
    Udp,
    Tcp,
}

/// Which transport is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportKind {
    Udp,
    Tcp,
    /// Within one process: local copies.
    Memory,
}

impl TransportKind {
    /// The name in receipts.
    pub const fn as_str(self) -> &'static str {
        match self {
            TransportKind::Udp => "udp",
            TransportKind::Tcp => "tcp",
            TransportKind::Memory => "memory",
        }
    }
}

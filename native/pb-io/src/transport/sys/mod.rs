//! The few system interfaces that rustix does not offer: each wrapped once, safely.

pub(crate) mod random;
pub(crate) mod sockopt;
pub(crate) mod tcp_info;
pub(crate) mod udp;

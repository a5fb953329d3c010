//! What comes to the listening UDP socket: HELLOs that begin a lane, and packets of lanes whose client has moved.
//! Everything else is dropped without answer and without memory.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use pb_proto::wire::header::{Header, Kind};

use super::registry::Registry;
use crate::transport::crypto::Medium;
use crate::transport::sys::sockopt::set;
use crate::transport::sys::udp::{Batch, Meta};
use crate::transport::udp;

/// Messages of one receive call, and calls before connections have their turn.
const BATCH: usize = 8;
const TURN: usize = 16;

/// The listening socket's buffers.
pub(super) struct Datagrams {
    batch: Batch,
    local: SocketAddr,
}

impl Datagrams {
    pub(super) fn new(udp: &OwnedFd, local: SocketAddr) -> Datagrams {
        // Says to which of our addresses a HELLO came; without it a lane binds where the listener is bound.
        let _ = match local {
            SocketAddr::V4(_) => set(udp.as_raw_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
            SocketAddr::V6(_) => set(
                udp.as_raw_fd(),
                libc::IPPROTO_IPV6,
                libc::IPV6_RECVPKTINFO,
                1,
            ),
        };
        Datagrams {
            batch: Batch::new(BATCH),
            local,
        }
    }

    /// Takes what is there.
    pub(super) fn receive(&mut self, udp: &OwnedFd, registry: &Registry) {
        for _ in 0..TURN {
            if !self.batch.receive(udp.as_fd(), true).is_ok_and(|n| n > 0) {
                return;
            }
            for (datagram, meta) in self.batch.messages() {
                self.take(registry, datagram, meta);
            }
        }
    }

    fn take(&self, registry: &Registry, datagram: &[u8], meta: &Meta) -> Option<()> {
        let header = Header::decode_datagram(datagram).ok()?;
        let registered = registry.get(header.connection_id)?;
        let from = meta.from?;
        if let Some(route) = registered.route(header.lane) {
            route.push(from, datagram);
            return Some(());
        }
        let session = &registered.session;
        let genuine = header.kind == Kind::Hello && udp::verify_hello(session, &header, datagram);
        if !genuine || !registered.take(Medium::Udp, header.lane) {
            return None;
        }
        let local = self.local_for(from, meta.to);
        let started = udp::start_server(session, local, from, header.lane).ok()?;
        started.route.push(from, datagram);
        registered.set_route(header.lane, &started.route);
        for (from, stray) in started.strays {
            let meta = Meta {
                from: Some(from),
                ..*meta
            };
            self.take(registry, &stray, &meta);
        }
        Some(())
    }

    /// The address that a lane's socket is bound to: the one that the client sent to.
    fn local_for(&self, peer: SocketAddr, to: Option<IpAddr>) -> SocketAddr {
        let mut local = self.local;
        match to {
            Some(ip) if ip.is_ipv4() == peer.is_ipv4() => local = SocketAddr::new(ip, local.port()),
            _ => {}
        }
        if let (SocketAddr::V6(local), SocketAddr::V6(peer)) = (&mut local, peer) {
            local.set_scope_id(peer.scope_id());
        }
        local
    }
}

//! A UDP relay on loopback that loses, doubles, swaps and corrupts with a seed, and can change its own address
//! towards the server, as a NAT does.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// How often what happens to a datagram, in thousandths.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub loss: u64,
    pub duplicate: u64,
    pub reorder: u64,
    pub corrupt: u64,
    pub seed: u64,
}

pub struct UdpRelay {
    inner: Arc<UdpSocket>,
    faults: Faults,
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    rebind: Arc<AtomicBool>,
    mute: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

/// One client address and the socket that stands for it.
struct Flow {
    client: SocketAddr,
    socket: Arc<UdpSocket>,
}

impl UdpRelay {
    pub fn new(faults: Faults) -> UdpRelay {
        let inner = UdpSocket::bind("127.0.0.1:0").unwrap();
        inner
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let (rebind, mute) = (Arc::default(), Arc::default());
        let (stop, recorded) = (Arc::default(), Arc::default());
        UdpRelay {
            inner: Arc::new(inner),
            faults,
            recorded,
            rebind,
            mute,
            stop,
        }
    }

    /// The address that leads to `server`.
    pub fn to(&self, server: SocketAddr) -> SocketAddr {
        let (inner, recorded, faults) = (self.inner.clone(), self.recorded.clone(), self.faults);
        let (rebind, mute, stop) = (self.rebind.clone(), self.mute.clone(), self.stop.clone());
        std::thread::spawn(move || {
            let mut flows: Vec<Flow> = Vec::new();
            let mut mangle = Mangler::new(faults);
            let mut buffer = vec![0; 65_536];
            while !stop.load(Ordering::SeqCst) {
                let Ok((n, client)) = inner.recv_from(&mut buffer) else {
                    continue;
                };
                if rebind.swap(false, Ordering::SeqCst) {
                    flows.clear();
                }
                recorded.lock().push(buffer[..n].to_vec());
                if !flows.iter().any(|f| f.client == client) {
                    flows.push(Flow {
                        client,
                        socket: back(
                            server,
                            client,
                            inner.clone(),
                            faults,
                            [stop.clone(), mute.clone()],
                        ),
                    });
                }
                let socket = flows
                    .iter()
                    .find(|f| f.client == client)
                    .map(|f| f.socket.clone())
                    .unwrap();
                mangle.pass(&mut buffer[..n], &mut |bytes| drop(socket.send(bytes)));
            }
        });
        self.inner.local_addr().unwrap()
    }

    /// From now on the server sees other addresses.
    pub fn rebind(&self) {
        self.rebind.store(true, Ordering::SeqCst);
    }

    /// From now on the clients hear nothing.
    pub fn mute(&self) {
        self.mute.store(true, Ordering::SeqCst);
    }

    /// Everything the clients sent.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.recorded.lock().clone()
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// A socket towards the server; what comes back goes to the client.
fn back(
    server: SocketAddr,
    client: SocketAddr,
    inner: Arc<UdpSocket>,
    faults: Faults,
    [stop, mute]: [Arc<AtomicBool>; 2],
) -> Arc<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let socket = Arc::new(socket);
    let reader = socket.clone();
    std::thread::spawn(move || {
        let mut mangle = Mangler::new(Faults {
            seed: faults.seed + 1,
            ..faults
        });
        let mut buffer = vec![0; 65_536];
        while !stop.load(Ordering::SeqCst) {
            let Ok(n) = reader.recv(&mut buffer) else {
                continue;
            };
            if mute.load(Ordering::SeqCst) {
                continue;
            }
            mangle.pass(&mut buffer[..n], &mut |bytes| {
                drop(inner.send_to(bytes, client))
            });
        }
    });
    socket
}

struct Mangler {
    faults: Faults,
    state: u64,
    held: Option<Vec<u8>>,
}

impl Mangler {
    fn new(faults: Faults) -> Mangler {
        Mangler {
            faults,
            state: faults.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            held: None,
        }
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state >> 11
    }

    fn happens(&mut self, thousandths: u64) -> bool {
        self.random() % 1000 < thousandths
    }

    fn pass(&mut self, datagram: &mut [u8], send: &mut dyn FnMut(&[u8])) {
        if self.happens(self.faults.loss) {
            return;
        }
        if self.happens(self.faults.corrupt) {
            let at = self.random() as usize % datagram.len();
            datagram[at] ^= 1 << (self.random() % 8);
        }
        if self.held.is_none() && self.happens(self.faults.reorder) {
            self.held = Some(datagram.to_vec());
            return;
        }
        send(datagram);
        if self.happens(self.faults.duplicate) {
            send(datagram);
        }
        if let Some(late) = self.held.take() {
            send(&late);
        }
    }
}

//! The kernel's ring of received frames, mapped.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::socket::set_bytes;

/// 200 ms of 1 Gbit/s in frames of 1500 bytes: a machine that is busy elsewhere may keep the emulator from its ring so long.
const RING_BYTES: usize = 32 << 20;
/// Of links below `SLOW_BITS_PER_SEC`, as a lab may have many of them: 4096 frames.
const SLOW_RING_BYTES: usize = 8 << 20;
const SLOW_BITS_PER_SEC: u64 = 200_000_000;
/// Header, address and alignment before the frame (TPACKET2_HDRLEN is 52; the frame begins at the next 16 behind 66).
const OVERHEAD: usize = 128;
const BLOCK_BYTES: usize = 1 << 20;
const NANOS: u64 = 1_000_000_000;

pub struct Ring {
    base: NonNull<u8>,
    bytes: usize,
    frame_bytes: usize,
    frames: usize,
    next: usize,
}

/// A frame as it lies in the ring.
pub struct Arrival<'a> {
    /// From Ethernet's header on.
    pub frame: &'a [u8],
    /// CLOCK_REALTIME in ns: when the kernel took it from the interface.
    pub realtime_ns: u64,
    /// Was cut: larger than the interface's MTU allows.
    pub cut: bool,
}

impl Ring {
    /// Of a socket with TPACKET_V2. `rate_bits_per_sec`: of what is read from it, 0 for unlimited.
    pub fn map(fd: &OwnedFd, mtu: usize, rate_bits_per_sec: u64) -> io::Result<Ring> {
        let bytes = match rate_bits_per_sec {
            1..SLOW_BITS_PER_SEC => SLOW_RING_BYTES,
            _ => RING_BYTES,
        };
        let frame_bytes = (mtu + OVERHEAD).next_power_of_two().min(BLOCK_BYTES);
        let request = libc::tpacket_req {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: (bytes / BLOCK_BYTES) as u32,
            tp_frame_size: frame_bytes as u32,
            tp_frame_nr: (bytes / frame_bytes) as u32,
        };
        set_bytes(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new shared mapping of the socket's ring at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Ring {
            base: NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?,
            bytes,
            frame_bytes,
            frames: bytes / frame_bytes,
            next: 0,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER == 0
    }

    /// Shows the oldest frame to `take` and gives its place back to the kernel. False when there is none.
    pub fn read(&mut self, take: impl FnOnce(Arrival<'_>)) -> bool {
        if self.is_empty() {
            return false;
        }
        // SAFETY: the slot begins with the kernel's header, aligned to its size, and TP_STATUS_USER (read with Acquire) says that
        // the kernel has written it and will not until it gets the slot back.
        let header = unsafe { self.slot().cast::<libc::tpacket2_hdr>().read() };
        let start = usize::from(header.tp_mac);
        let length = (header.tp_snaplen as usize).min(self.frame_bytes.saturating_sub(start));
        // SAFETY: within the slot (`length` is bounded by it), written by the kernel as above.
        let frame = unsafe { std::slice::from_raw_parts(self.slot().add(start).as_ptr(), length) };
        take(Arrival {
            frame,
            realtime_ns: u64::from(header.tp_sec) * NANOS + u64::from(header.tp_nsec),
            cut: header.tp_len as usize > length,
        });
        self.status()
            .store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.frames;
        true
    }

    fn slot(&self) -> NonNull<u8> {
        // SAFETY: `next` is below `frames`, and `frames` slots are mapped.
        unsafe { self.base.add(self.next * self.frame_bytes) }
    }

    /// The first field of the slot's header, shared with the kernel.
    fn status(&self) -> &AtomicU32 {
        // SAFETY: mapped for as long as `self` lives, aligned, and only accessed atomically while the kernel may write it.
        unsafe { AtomicU32::from_ptr(self.slot().cast().as_ptr()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made; nothing borrows from it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

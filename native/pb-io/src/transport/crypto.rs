//! The key schedule and the packet seal of `docs/PROTOCOL.md` section 1.
//!
//! Secrets here are zeroised when dropped and have no `Debug`.

mod schedule;

pub use schedule::{KeySchedule, OpenKeys, SealKeys, Sealed};

use aws_lc_rs::aead::{AES_128_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf;
use pb_proto::wire::header::{HEADER, TAG};
use zeroize::{Zeroize, Zeroizing};

/// The AEAD of a session, chosen by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Suite {
    #[default]
    Aes128Gcm,
    ChaCha20Poly1305,
}

impl Suite {
    /// The number of the suite in `OpenResponse`.
    pub const fn id(self) -> u8 {
        match self {
            Suite::Aes128Gcm => 1,
            Suite::ChaCha20Poly1305 => 2,
        }
    }

    /// The suite of a number, `None` for one that this version does not know.
    pub const fn from_id(id: u8) -> Option<Suite> {
        match id {
            1 => Some(Suite::Aes128Gcm),
            2 => Some(Suite::ChaCha20Poly1305),
            _ => None,
        }
    }

    const fn key_len(self) -> usize {
        match self {
            Suite::Aes128Gcm => 16,
            Suite::ChaCha20Poly1305 => 32,
        }
    }
}

/// What both sides of a session know. Good for one `connect` only: a second one would repeat packet numbers
/// under the same keys.
#[derive(Clone)]
pub struct SessionKeys {
    pub connection_id: u64,
    pub client_random: [u8; 32],
    pub server_random: [u8; 32],
    pub suite: Suite,
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.client_random.zeroize();
        self.server_random.zeroize();
    }
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    const fn label(self) -> u8 {
        match self {
            Direction::ClientToServer => b'c',
            Direction::ServerToClient => b's',
        }
    }
}

/// Which transport a key belongs to: the same lane number may be in use on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    Udp,
    Tcp,
}

impl Medium {
    const fn label(self) -> u8 {
        match self {
            Medium::Udp => b'u',
            Medium::Tcp => b't',
        }
    }
}

const SALT: &[u8] = b"packetboat v1";
const INFO: &[u8] = b"pb1 ";
const IV: usize = 12;

/// The pseudorandom key of a session (HKDF-SHA-256, RFC 5869), from which every lane's keys come.
pub struct Secret {
    prk: hkdf::Prk,
    suite: Suite,
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Secret {
    /// HKDF-Extract over both sides' randomness.
    pub fn of(keys: &SessionKeys) -> Secret {
        let mut ikm = Zeroizing::new([0u8; 64]);
        ikm[..32].copy_from_slice(&keys.client_random);
        ikm[32..].copy_from_slice(&keys.server_random);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(ikm.as_slice());
        Secret {
            prk,
            suite: keys.suite,
        }
    }

    fn material(
        &self,
        direction: Direction,
        medium: Medium,
        lane: u8,
        phase: u32,
    ) -> Zeroizing<Vec<u8>> {
        let mut okm = Zeroizing::new(vec![0u8; self.suite.key_len() + IV]);
        let labels = [direction.label(), medium.label(), lane];
        let phase = phase.to_be_bytes();
        self.prk
            .expand(&[INFO, &labels, &phase], Length(okm.len()))
            .and_then(|o| o.fill(&mut okm))
            .expect("44 bytes are within the reach of HKDF-SHA-256");
        okm
    }

    /// The key of one lane, direction and phase.
    pub fn packet_key(
        &self,
        direction: Direction,
        medium: Medium,
        lane: u8,
        phase: u32,
    ) -> PacketKey {
        let okm = self.material(direction, medium, lane, phase);
        let (key, iv) = okm.split_at(self.suite.key_len());
        let algorithm = match self.suite {
            Suite::Aes128Gcm => &AES_128_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let unbound = UnboundKey::new(algorithm, key).expect("the key has the algorithm's length");
        PacketKey {
            key: LessSafeKey::new(unbound),
            iv: iv.try_into().expect("12 bytes of IV follow the key"),
        }
    }
}

/// An AEAD key with its IV: seals or opens the packets of one lane, direction and phase.
pub struct PacketKey {
    key: LessSafeKey,
    iv: [u8; IV],
}

impl Drop for PacketKey {
    fn drop(&mut self) {
        self.iv.zeroize();
    }
}

impl PacketKey {
    fn nonce(&self, packet_number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (n, p) in nonce[4..].iter_mut().zip(packet_number.to_be_bytes()) {
            *n ^= p;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Seals `plain` into `out`, which is exactly [`TAG`] longer.
    pub fn seal(
        &self,
        number: u64,
        aad: &[u8; HEADER],
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<(), Unspecified> {
        let (cipher, tag) = out.split_at_mut_checked(plain.len()).ok_or(Unspecified)?;
        self.key.seal_out_of_place_scatter(
            self.nonce(number),
            Aad::from(aad),
            plain,
            cipher,
            &[],
            tag,
        )
    }

    /// The tag of a packet with a clear payload: over an empty plaintext, the header as AAD.
    pub fn seal_header(&self, number: u64, aad: &[u8; HEADER]) -> Result<[u8; TAG], Unspecified> {
        let tag =
            self.key
                .seal_in_place_separate_tag(self.nonce(number), Aad::from(aad), &mut [])?;
        tag.as_ref().try_into().map_err(|_| Unspecified)
    }

    /// Opens `sealed` (ciphertext and tag) into `out`, exactly [`TAG`] shorter. On error `out` is unspecified.
    pub fn open(
        &self,
        number: u64,
        aad: &[u8; HEADER],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Unspecified> {
        let (cipher, tag) = sealed.split_at_checked(out.len()).ok_or(Unspecified)?;
        self.key
            .open_separate_gather(self.nonce(number), Aad::from(aad), cipher, tag, out)
    }

    /// Checks the tag of a packet with a clear payload.
    pub fn verify_header(
        &self,
        number: u64,
        aad: &[u8; HEADER],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        self.key
            .open_separate_gather(self.nonce(number), Aad::from(aad), &[], tag, &mut [])
    }
}

#[cfg(test)]
mod tests;

//! HELLO and HELLO_ACK, and the proof that a peer can be reached where it claims to be.

use crate::time::{Instant, MS, Nanos, SECOND};
use crate::wire::frame::Hello;

/// First pause between two HELLOs; it grows by half up to [`MAX_RETRY`].
const FIRST_RETRY: Nanos = 100 * MS;
const MAX_RETRY: Nanos = 400 * MS;
/// Without HELLO_ACK for so long UDP counts as blocked.
const HELLO_TIMEOUT: Nanos = 3 * SECOND;
/// An unproven address gets at most this many times the bytes that came from it (RFC 9000 section 8).
const AMPLIFICATION: u64 = 3;
/// A new address has this long to answer a challenge.
const CHALLENGE_TIMEOUT: Nanos = 3 * SECOND;
const CHALLENGE_RETRY: Nanos = 100 * MS;

/// State of the handshake and of the address.
#[derive(Debug)]
pub struct Handshake {
    client: bool,
    up: bool,
    nonce: u64,
    started: Instant,
    attempts: u64,
    retry: Nanos,
    next_hello: Instant,
    /// Server: the challenge of the newest HELLO, when its answer has not been sent.
    pub answer: Option<[u8; 8]>,
    /// Server: the challenge of the newest HELLO.
    last_hello: Option<[u8; 8]>,
    address: Address,
}

#[derive(Debug)]
struct Address {
    validated: bool,
    received: u64,
    sent: u64,
    challenge: Option<Challenge>,
}

#[derive(Debug)]
struct Challenge {
    data: [u8; 8],
    until: Instant,
    next_at: Instant,
}

impl Handshake {
    pub fn new(client: bool, now: Instant, nonce: u64) -> Handshake {
        let address = Address {
            validated: client,
            received: 0,
            sent: 0,
            challenge: None,
        };
        Handshake {
            client,
            up: false,
            nonce,
            started: now,
            attempts: 0,
            retry: FIRST_RETRY,
            next_hello: now,
            answer: None,
            last_hello: None,
            address,
        }
    }

    pub fn is_up(&self) -> bool {
        self.up
    }

    pub fn is_client(&self) -> bool {
        self.client
    }

    /// Client: the challenge of the HELLO to send now. Each attempt has its own, so that the answer gives a round trip.
    pub fn poll_hello(&mut self, now: Instant) -> Option<[u8; 8]> {
        if !self.client || self.up || now < self.next_hello {
            return None;
        }
        self.attempts += 1;
        self.next_hello = now.after(self.retry);
        self.retry = (self.retry * 3 / 2).min(MAX_RETRY);
        Some(self.challenge_sent_at(now.since(self.started)))
    }

    /// The challenge carries its time of sending, masked: nothing has to be remembered for each attempt.
    fn challenge_sent_at(&self, since_start: Nanos) -> [u8; 8] {
        (self.nonce ^ since_start).to_be_bytes()
    }

    /// Client: takes the answer to a HELLO. Returns its round trip when it is one of ours and the first.
    pub fn on_hello_ack(&mut self, now: Instant, response: [u8; 8]) -> Option<Nanos> {
        let elapsed = now.since(self.started);
        let sent = u64::from_be_bytes(response) ^ self.nonce;
        if self.up || self.attempts == 0 || sent > elapsed {
            return None;
        }
        self.up = true;
        Some(elapsed - sent)
    }

    /// Server: takes a HELLO. True for the first.
    pub fn on_hello(&mut self, hello: &Hello) -> bool {
        self.answer = Some(hello.challenge);
        self.last_hello = Some(hello.challenge);
        !std::mem::replace(&mut self.up, true)
    }

    /// Server: the HELLO_ACK was lost.
    pub fn answer_again(&mut self) {
        self.answer = self.answer.or(self.last_hello);
    }

    /// This side's own challenge inside its HELLO frame.
    pub fn own_challenge(&self) -> [u8; 8] {
        self.nonce.to_be_bytes()
    }

    /// Client: no answer came in time.
    pub fn is_timed_out(&self, now: Instant) -> bool {
        self.client && !self.up && now.since(self.started) >= HELLO_TIMEOUT
    }

    /// Bytes that may go to the present address.
    pub fn allowance(&self) -> u64 {
        if self.address.validated {
            return u64::MAX;
        }
        (self.address.received * AMPLIFICATION).saturating_sub(self.address.sent)
    }

    pub fn on_received(&mut self, bytes: u64) {
        self.address.received += bytes;
    }

    pub fn on_sent(&mut self, bytes: u64) {
        self.address.sent += bytes;
    }

    pub fn is_validated(&self) -> bool {
        self.address.validated
    }

    /// The peer acknowledged a packet of ours: it is where we send to. True when that is news. A moved peer has to
    /// answer its challenge, since the ACK may be of a packet to its old address.
    pub fn on_acked(&mut self) -> bool {
        self.address.challenge.is_none() && !std::mem::replace(&mut self.address.validated, true)
    }

    /// A new address, from which `received` bytes have come.
    pub fn challenge(&mut self, now: Instant, data: [u8; 8], received: u64) {
        let challenge = Challenge {
            data,
            until: now.after(CHALLENGE_TIMEOUT),
            next_at: now,
        };
        self.address = Address {
            validated: false,
            received,
            sent: 0,
            challenge: Some(challenge),
        };
    }

    /// The PATH_CHALLENGE to send now.
    pub fn poll_challenge(&mut self, now: Instant) -> Option<[u8; 8]> {
        let challenge = self
            .address
            .challenge
            .as_mut()
            .filter(|c| c.next_at <= now)?;
        challenge.next_at = now.after(CHALLENGE_RETRY);
        Some(challenge.data)
    }

    /// A PATH_RESPONSE came. True when it proves the address.
    pub fn on_response(&mut self, data: [u8; 8]) -> bool {
        let proven = self.address.challenge.take_if(|c| c.data == data).is_some();
        self.address.validated |= proven;
        proven
    }

    /// True, once, when a challenge went unanswered: the driver goes back to the last address.
    pub fn abandon(&mut self, now: Instant) -> bool {
        let over = self.address.challenge.take_if(|c| c.until <= now).is_some();
        self.address.validated |= over;
        over
    }

    /// `may_challenge`: the address may still get a challenge.
    pub fn next_timeout(&self, may_challenge: bool) -> Option<Instant> {
        let hello = (self.client && !self.up)
            .then(|| self.next_hello.min(self.started.after(HELLO_TIMEOUT)));
        let challenge = self.address.challenge.as_ref().map(|c| {
            if may_challenge {
                c.next_at.min(c.until)
            } else {
                c.until
            }
        });
        [hello, challenge].into_iter().flatten().min()
    }
}

//! Damage to a frame.

use crate::random::Random;

/// Ethernet's header stays whole, or the frame would reach nobody instead of arriving damaged.
const ETHERNET: usize = 14;
/// Behind Ethernet, IPv4 and TCP without options: where payload begins at the latest in most packets.
const PAYLOAD: usize = ETHERNET + 20 + 20;

pub fn flip_bit(random: &mut Random, frame: &mut [u8]) {
    if frame.len() <= ETHERNET {
        return;
    }
    let at = ETHERNET + random.below(frame.len() - ETHERNET);
    frame[at] ^= 1 << random.below(8);
}

/// Swaps two different 16-bit words of the payload. The Internet checksum (RFC 1071) is a sum of such words and stays right, so
/// that the damage reaches the program. Flips a bit where there are no two such words.
pub fn swap_words(random: &mut Random, frame: &mut [u8]) {
    let words = frame.len().saturating_sub(PAYLOAD) / 2;
    if words < 2 {
        return flip_bit(random, frame);
    }
    let one = PAYLOAD + 2 * random.below(words);
    let other = (PAYLOAD..PAYLOAD + 2 * words)
        .step_by(2)
        .find(|&at| frame[at..at + 2] != frame[one..one + 2]);
    let Some(other) = other else {
        return flip_bit(random, frame);
    };
    frame.swap(one, other);
    frame.swap(one + 1, other + 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn frame() -> Vec<u8> {
        (0..200u8).collect()
    }

    fn checksum(bytes: &[u8]) -> u32 {
        let sum: u32 = bytes
            .chunks(2)
            .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
            .sum();
        sum % 0xFFFF
    }

    #[test]
    fn one_bit_differs_and_the_ethernet_header_stays() {
        let mut random = Random::new(1, Purpose::Corrupt);
        for _ in 0..1000 {
            let mut damaged = frame();
            flip_bit(&mut random, &mut damaged);
            let bits: u32 = frame()
                .iter()
                .zip(&damaged)
                .map(|(a, b)| (a ^ b).count_ones())
                .sum();
            assert_eq!(bits, 1);
            assert_eq!(damaged[..ETHERNET], frame()[..ETHERNET]);
        }
    }

    #[test]
    fn swapped_words_keep_the_checksum() {
        let mut random = Random::new(1, Purpose::Corrupt);
        for _ in 0..1000 {
            let mut damaged = frame();
            swap_words(&mut random, &mut damaged);
            assert_ne!(damaged, frame());
            assert_eq!(damaged[..PAYLOAD], frame()[..PAYLOAD]);
            assert_eq!(checksum(&damaged), checksum(&frame()));
        }
    }

    #[test]
    fn short_and_uniform_frames_are_damaged_too_or_left_alone() {
        let mut random = Random::new(1, Purpose::Corrupt);
        for (length, differs) in [(0, false), (14, false), (15, true), (56, true), (100, true)] {
            let mut damaged = vec![7u8; length];
            swap_words(&mut random, &mut damaged);
            assert_eq!(damaged != vec![7u8; length], differs, "{length}");
        }
    }
}

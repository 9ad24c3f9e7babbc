//! Seeded draws and keyed hashes, so that chance is handed in and every decision replays.
//!
//! [`Dice`] is for choices inside one host, where nobody gains by guessing them. [`Key`] is for
//! draws that an attacker must not foresee, such as an electorate: SipHash-2-4 under a secret of
//! the organism. Neither ever asks the machine for randomness.

use serde::{Deserialize, Serialize};

/// A stream of draws from one seed (splitmix64). Same seed, same stream, on every machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The stream that `seed` names. Every seed is as good as any other.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 evenly distributed bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[0, 1)` with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// A number in `0..below`; 0 when `below` is 0. The bias is under `below / 2^64`.
    pub fn below(&mut self, below: u64) -> u64 {
        u64::try_from((u128::from(self.bits()) * u128::from(below)) >> 64).unwrap_or(0)
    }

    /// `amount` in whole units, rounded up with the probability of its fraction: right on average
    /// and never off by one or more. Nothing for what is not a positive number.
    pub fn round(&mut self, amount: f64) -> u32 {
        let drawn = self.unit();
        if amount > 0.0 { (amount + drawn).min(f64::from(u32::MAX)) as u32 } else { 0 }
    }
}

/// A secret of the organism under which draws are made that nobody outside may foresee.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u64; 2]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key made of these 128 secret bits.
    pub const fn new(bits: [u64; 2]) -> Self {
        Self(bits)
    }

    /// The keyed hash of some numbers, in order (SipHash-2-4 over their little-endian bytes).
    pub fn hash(&self, words: &[u64]) -> u64 {
        let [k0, k1] = self.0;
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        for word in words {
            absorb(&mut v, *word);
        }
        // The last block holds the length in bytes, modulo 256, in its highest byte.
        absorb(&mut v, ((words.len() as u64).wrapping_mul(8) & 0xff) << 56);
        let [_, _, v2, _] = &mut v;
        *v2 ^= 0xff;
        for _ in 0..4 {
            stir(&mut v);
        }
        let [v0, v1, v2, v3] = v;
        v0 ^ v1 ^ v2 ^ v3
    }
}

fn absorb(v: &mut [u64; 4], word: u64) {
    let [_, _, _, v3] = v;
    *v3 ^= word;
    stir(v);
    stir(v);
    let [v0, ..] = v;
    *v0 ^= word;
}

fn stir(v: &mut [u64; 4]) {
    let [v0, v1, v2, v3] = v;
    *v0 = v0.wrapping_add(*v1);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v3);
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.wrapping_add(*v3);
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.wrapping_add(*v1);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v2 = v2.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_siphash_2_4() {
        // The published vectors: key 00..0f, message 00..(8n-1).
        let key = Key::new([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        let words = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(key.hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(key.hash(&words[..1]), 0x93f5_f579_9a93_2462);
        assert_eq!(key.hash(&words), 0x3f2a_cc7f_57c2_9bdb);
    }

    #[test]
    fn draws_are_even_and_replay() {
        let (mut dice, mut again) = (Dice::new(7), Dice::new(7));
        let mut sum = 0;
        for _ in 0..10_000 {
            let drawn = dice.round(2.25);
            assert!(drawn == 2 || drawn == 3);
            assert_eq!(drawn, again.round(2.25));
            sum += drawn;
        }
        assert!((22_300..22_700).contains(&sum), "{sum}");
        assert!((0..1_000).all(|_| dice.below(3) < 3));
        assert_eq!((dice.round(f64::NAN), dice.round(-1.0), dice.below(0)), (0, 0, 0));
        assert_eq!(dice.round(f64::INFINITY), u32::MAX);
    }
}

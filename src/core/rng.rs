//! The injected random number generator.
//!
//! Code takes an [`Rng`] as a parameter, so that tests can seed it. Only this module asks the system for
//! random bytes.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{Rng as _, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use crate::core::clock::Timestamp;

/// A cryptographic random number generator, seeded by the system or by a test. A clone shares its state.
#[derive(Clone)]
pub struct Rng(Arc<Mutex<StdRng>>);

impl Rng {
    /// Returns a generator seeded by the operating system.
    pub fn system() -> Self {
        Rng(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// Returns a deterministic generator for tests.
    pub fn seeded(seed: u64) -> Self {
        Rng(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Restarts the generator, and all its clones, from `seed` and `round`.
    pub fn reseed(&self, seed: u64, round: u64) {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&round.to_le_bytes());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = StdRng::from_seed(key);
    }

    /// Returns `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(&mut bytes);
        bytes
    }

    /// Returns a number below `bound`, which must not be 0. The modulo bias is below 2⁻³² for bounds below
    /// 2³².
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_le_bytes(self.bytes()) % bound
    }

    /// Returns `length` random characters of `alphabet`, an ASCII string of at most 256 characters.
    pub fn text(&self, alphabet: &[u8], length: usize) -> String {
        (0..length)
            .map(|_| {
                let at = self.below(alphabet.len() as u64);
                char::from(alphabet[usize::try_from(at).unwrap_or_default()])
            })
            .collect()
    }

    /// Returns a `UUIDv7` with the timestamp `now` (RFC 9562, section 5.7).
    pub fn uuid(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.0).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

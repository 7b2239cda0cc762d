//! Random choices, from the seeded generator.

use crate::core::rng::Rng;

/// Returns a random element of `options`.
pub(super) fn pick<'a, T>(rng: &Rng, options: &'a [T]) -> &'a T {
    &options[index(rng, options.len())]
}

/// Returns a random index below `len`.
pub(super) fn index(rng: &Rng, len: usize) -> usize {
    usize::try_from(rng.below(len as u64)).unwrap_or_default()
}

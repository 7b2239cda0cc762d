//! What a transaction has besides its connection.

use crate::core::{clock::Clock, rng::Rng, settings::Settings};

/// What every transaction of a database has besides its connection: the time, random numbers and the settings.
pub struct Context {
    pub clock: Clock,
    pub rng: Rng,
    pub settings: Settings,
}

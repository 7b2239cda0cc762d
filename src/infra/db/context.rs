//! The context of a transaction.

use crate::core::{clock::Clock, rng::Rng, shop_settings::ShopSettings};

/// The context of every transaction of a database: the clock, random numbers and the settings.
pub struct Context {
    pub clock: Clock,
    pub rng: Rng,
    pub settings: ShopSettings,
}

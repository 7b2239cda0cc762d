//! The context of a transaction.

use std::sync::Arc;

use super::cache::CacheTags;
use crate::core::{clock::Clock, rng::Rng, shop_settings::ShopSettings};

/// The context of every transaction of a database: the clock, random numbers and the settings.
pub struct Context {
    pub clock: Clock,
    pub rng: Rng,
    pub settings: ShopSettings,
    /// `None` if this process caches nothing.
    pub(super) cache_tags: Option<Arc<CacheTags>>,
}

impl Context {
    pub fn new(clock: Clock, rng: Rng, settings: ShopSettings) -> Context {
        Context {
            clock,
            rng,
            settings,
            cache_tags: None,
        }
    }
}

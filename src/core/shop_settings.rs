//! The settings of the shop that operations read. Every transaction provides them.

use std::time::Duration;

use crate::core::money::Currency;

/// Settings of the shop. They do not change while the process runs.
#[derive(Debug, Clone)]
pub struct ShopSettings {
    /// The name of the shop in emails and pages.
    pub name: String,
    pub currency: Currency,
    /// The base of links and image URLs, without a slash at the end.
    pub public_url: String,
    /// How long a session lasts after its last refresh.
    pub refresh_token_ttl: Duration,
    /// How long the cart of a guest is kept after its last change.
    pub guest_cart_ttl: Duration,
    /// Whether sign-ins, emails and phone codes are limited.
    pub rate_limit: bool,
}

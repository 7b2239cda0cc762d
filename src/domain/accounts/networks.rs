//! The networks that clients connect from, and those that an account knows: an attack from elsewhere
//! does not lock its owner out.

use std::time::Duration;

use ipnet::IpNet;

use super::{Email, store};
use crate::{
    app::App,
    core::{error::Result, id::UserId},
    infra::{db::Tx, web::client::Network},
};

/// How long an account knows a network.
const KNOWN_FOR: Duration = Duration::from_hours(90 * 24);

/// What an account knows of a client's network: the IPv4 /24 or IPv6 /48, since a provider gives its
/// customers other addresses out of these.
fn neighbourhood(network: Network) -> String {
    let address = network.address();
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length).map_or_else(|_| network.to_string(), |net| net.trunc().to_string())
}

/// Records that the account was used from there by its owner.
pub(super) fn remember(tx: &mut Tx<'_>, app: &App, user: UserId, from: Network) -> Result<()> {
    let network = app.networks.hash(&neighbourhood(from));
    store::networks::upsert(tx, user, &network)
}

/// As [`remember`], and forgets all other networks.
pub(super) fn remember_only(tx: &mut Tx<'_>, app: &App, user: UserId, from: Network) -> Result<()> {
    store::networks::delete_of(tx, user)?;
    remember(tx, app, user, from)
}

/// Whether there is an account with that address that knows the network.
pub(super) fn knows(tx: &mut Tx<'_>, app: &App, email: &Email, from: Network) -> Result<bool> {
    let since = tx.now().minus(KNOWN_FOR);
    for network in app.networks.hashes(&neighbourhood(from)) {
        if store::networks::is_known(tx, email.key(), &network, since)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes what was known too long ago; returns how many networks.
pub fn delete_expired_networks(tx: &mut Tx<'_>) -> Result<u64> {
    let before = tx.now().minus(KNOWN_FOR);
    store::networks::delete_before(tx, before)
}

//! The networks from which an account was used. They stay exempt from the login limit over all networks, so
//! that an attack does not lock the owner out.

use std::time::Duration;

use ipnet::IpNet;

use super::{email::Email, store};
use crate::{
    app::App,
    core::{error::Result, id::UserId},
    infra::{db::Tx, web::client::Network},
};

/// How long a network stays known after its last use.
const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// Returns the IPv4 /24 or IPv6 /48 around a client: internet providers reassign addresses within these.
fn provider_network(network: Network) -> String {
    let address = network.address();
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length).map_or_else(|_| network.to_string(), |net| net.trunc().to_string())
}

/// Records that the account's owner used it from this network.
pub(super) fn remember(tx: &mut Tx<'_>, app: &App, user: UserId, from: Network) -> Result<()> {
    let network = app.networks.hash(&provider_network(from));
    store::known_networks::upsert(tx, user, &network)
}

/// Like [`remember`], and forgets all other networks of the account.
pub(super) fn remember_only(tx: &mut Tx<'_>, app: &App, user: UserId, from: Network) -> Result<()> {
    store::known_networks::delete_of_user(tx, user)?;
    remember(tx, app, user, from)
}

/// Returns whether the account with this email address was used from this network.
pub(super) fn is_known(tx: &mut Tx<'_>, app: &App, email: &Email, from: Network) -> Result<bool> {
    let since = tx.now().minus(LIFETIME);
    // Several hashes: the keys before a rotation still count.
    for network in app.networks.hashes(&provider_network(from)) {
        if store::known_networks::is_known(tx, email.key(), &network, since)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes networks that were not used for too long.
pub(super) fn delete_expired(tx: &mut Tx<'_>) -> Result<()> {
    let before = tx.now().minus(LIFETIME);
    store::known_networks::delete_before(tx, before)
}

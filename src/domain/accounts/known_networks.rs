//! The networks from which an account was used. They stay exempt from the login limit over all networks, so
//! that an attack does not lock the owner out.

use std::time::Duration;

use ipnet::IpNet;

use super::{email::Email, store};
use crate::{
    core::{error::Result, id::UserId},
    infra::{
        db::Tx,
        web::{client::Network, keyed_hash::KeyedHash},
    },
};

/// How long a network stays known after its last use.
const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// The IPv4 /24 or IPv6 /48 around a client, hashed: internet providers reassign addresses within these.
#[derive(Debug, Clone)]
pub(super) struct ProviderNetwork {
    /// The hash to store.
    hash: [u8; 32],
    /// The hashes by all keys: those before a rotation still count.
    accepted: Vec<[u8; 32]>,
}

impl ProviderNetwork {
    pub(super) fn of(client: Network, keys: &KeyedHash) -> ProviderNetwork {
        let address = client.address();
        let length = if address.is_ipv4() { 24 } else { 48 };
        let network = IpNet::new(address, length)
            .map_or_else(|_| client.to_string(), |net| net.trunc().to_string());
        ProviderNetwork {
            hash: keys.hash(&network),
            accepted: keys.hashes(&network).collect(),
        }
    }
}

/// Records that the account's owner used it from this network.
pub(super) fn remember(tx: &mut Tx<'_>, user: UserId, from: &ProviderNetwork) -> Result<()> {
    store::known_networks::upsert(tx, user, &from.hash)
}

/// Like [`remember`], and forgets all other networks of the account.
pub(super) fn remember_only(tx: &mut Tx<'_>, user: UserId, from: &ProviderNetwork) -> Result<()> {
    store::known_networks::delete_of_user(tx, user)?;
    remember(tx, user, from)
}

/// Returns whether the account with this email address was used from this network.
pub(super) fn is_known(tx: &mut Tx<'_>, email: &Email, from: &ProviderNetwork) -> Result<bool> {
    let since = tx.now().minus(LIFETIME);
    for network in &from.accepted {
        if store::known_networks::is_known(tx, email.key(), network, since)? {
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

//! Concurrency limits: how much of a shared resource may be in use at a time, in total and by each client network.
//! The units are live connections, requests in progress, or bytes of bodies. Requests per minute are limited by
//! [`rate_limits`](super::rate_limits).

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::client::{Network, SITE_FACTOR, Site};

/// Counts the units in use, up to a total and up to a limit per client network. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ClientQuota {
    total: usize,
    limits: Option<NetworkLimits>,
    usage: Arc<Mutex<Usage>>,
}

#[derive(Debug, Clone, Copy)]
struct NetworkLimits {
    network: usize,
    site: usize,
}

#[derive(Debug, Default)]
struct Usage {
    total: usize,
    networks: HashMap<Network, usize>,
    sites: HashMap<Site, usize>,
}

/// The units that one client uses. Dropping it releases them.
#[derive(Debug)]
pub struct Reservation {
    quota: ClientQuota,
    /// `None` if the units count only towards the total.
    network: Option<Network>,
    units: usize,
}

/// The limit that a reservation would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaExceeded {
    /// The limit of the client's network.
    Network,
    /// The total of all clients.
    Total,
}

impl ClientQuota {
    /// A network may use at most `network` units. The `IPv6` /48 that contains it may use eight times as many,
    /// but at most half of `total`. `None` sets no limit per network.
    pub fn new(network: Option<usize>, total: usize) -> ClientQuota {
        let site = |network: usize| network.saturating_mul(SITE_FACTOR as usize);
        ClientQuota {
            total,
            limits: network.map(|network| NetworkLimits {
                network,
                site: site(network).min(total.div_ceil(2)).max(network),
            }),
            usage: Arc::default(),
        }
    }

    /// A network may use at most a quarter of `total`. Without `by_network` there is only the total.
    pub fn quarter_per_network(total: usize, by_network: bool) -> ClientQuota {
        ClientQuota::new(by_network.then(|| total.div_ceil(4)), total)
    }

    /// Returns an empty reservation. Without a client, it counts only towards the total.
    pub fn reservation(&self, client: Option<IpAddr>) -> Reservation {
        Reservation {
            quota: self.clone(),
            network: client.map(Network::of),
            units: 0,
        }
    }

    /// Returns how many units are in use.
    pub fn in_use(&self) -> usize {
        self.lock().total
    }

    /// Reserves one unit.
    pub fn try_acquire(&self, client: IpAddr) -> Result<Reservation, QuotaExceeded> {
        let mut reservation = self.reservation(Some(client));
        reservation.try_grow(1).map(|()| reservation)
    }
}

impl Reservation {
    /// Reserves more units: all of them, or none and an error.
    pub fn try_grow(&mut self, units: usize) -> Result<(), QuotaExceeded> {
        let has_room = |used: usize, limit: usize| used.saturating_add(units) <= limit;
        let mut usage = self.quota.lock();
        if let (Some(limits), Some(network)) = (self.quota.limits, self.network) {
            let site = network.site();
            let in_site = site.map_or(0, |site| count(&usage.sites, &site));
            if !has_room(count(&usage.networks, &network), limits.network)
                || !has_room(in_site, limits.site)
            {
                return Err(QuotaExceeded::Network);
            }
        }
        if !has_room(usage.total, self.quota.total) {
            return Err(QuotaExceeded::Total);
        }
        usage.total += units;
        if let (Some(_), Some(network)) = (self.quota.limits, self.network) {
            *usage.networks.entry(network).or_default() += units;
            if let Some(site) = network.site() {
                *usage.sites.entry(site).or_default() += units;
            }
        }
        drop(usage);
        self.units += units;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let mut usage = self.quota.lock();
        usage.total = usage.total.saturating_sub(self.units);
        if let (Some(_), Some(network)) = (self.quota.limits, self.network) {
            release(&mut usage.networks, &network, self.units);
            if let Some(site) = network.site() {
                release(&mut usage.sites, &site, self.units);
            }
        }
    }
}

impl ClientQuota {
    fn lock(&self) -> std::sync::MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count<K: Hash + Eq>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or_default()
}

fn release<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K, units: usize) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(units);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

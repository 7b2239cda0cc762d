//! Divides what all clients share among client networks: live connections, requests in progress,
//! bytes of request bodies.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::client::{Network, SITE_FACTOR, Site};

/// Counts units up to a total, and up to a limit for each client network. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Shares {
    total: usize,
    limits: Option<Limits>,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    network: usize,
    site: usize,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    networks: HashMap<Network, usize>,
    sites: HashMap<Site, usize>,
}

/// Units that one client holds; they are returned when this is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    /// `None`: counts in the total only.
    network: Option<Network>,
    units: usize,
}

/// Which limit has no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The client's own network holds its limit.
    Network,
    /// All clients together hold the total.
    Total,
}

impl Shares {
    /// A network holds at most `network` units, the `IPv6` /48 around it at most eight times that and
    /// at most half of `total`; `None` sets no limit by network.
    pub fn new(network: Option<usize>, total: usize) -> Shares {
        let site = |network: usize| network.saturating_mul(SITE_FACTOR as usize);
        Shares {
            total,
            limits: network.map(|network| Limits {
                network,
                site: site(network).min(total.div_ceil(2)).max(network),
            }),
            held: Arc::default(),
        }
    }

    /// A network holds at most a quarter of `total`, unless `by_network` is off.
    pub fn quarters(total: usize, by_network: bool) -> Shares {
        Shares::new(by_network.then(|| total.div_ceil(4)), total)
    }

    /// A share of no units yet; without a client it counts in the total only.
    pub fn empty(&self, client: Option<IpAddr>) -> Share {
        Share {
            shares: self.clone(),
            network: client.map(Network::of),
            units: 0,
        }
    }

    /// One unit.
    pub fn try_acquire(&self, client: IpAddr) -> Result<Share, Full> {
        let mut share = self.empty(Some(client));
        share.try_grow(1).map(|()| share)
    }
}

impl Share {
    /// Adds units, all or none of them.
    pub fn try_grow(&mut self, units: usize) -> Result<(), Full> {
        let has_room = |held: usize, limit: usize| held.saturating_add(units) <= limit;
        let mut held = self.shares.lock();
        if let (Some(limits), Some(network)) = (self.shares.limits, self.network) {
            let site = network.site();
            let in_site = site.map_or(0, |site| count(&held.sites, &site));
            if !has_room(count(&held.networks, &network), limits.network)
                || !has_room(in_site, limits.site)
            {
                return Err(Full::Network);
            }
        }
        if !has_room(held.total, self.shares.total) {
            return Err(Full::Total);
        }
        held.total += units;
        if let (Some(_), Some(network)) = (self.shares.limits, self.network) {
            *held.networks.entry(network).or_default() += units;
            if let Some(site) = network.site() {
                *held.sites.entry(site).or_default() += units;
            }
        }
        drop(held);
        self.units += units;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let mut held = self.shares.lock();
        held.total = held.total.saturating_sub(self.units);
        if let (Some(_), Some(network)) = (self.shares.limits, self.network) {
            release(&mut held.networks, &network, self.units);
            if let Some(site) = network.site() {
                release(&mut held.sites, &site, self.units);
            }
        }
    }
}

impl Shares {
    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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

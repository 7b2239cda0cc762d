//! How much of something that all clients share one client network holds: sockets, connections,
//! requests or bytes.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::client::{Network, SITE_FACTOR, Site};

/// Counts units by client network, up to a limit for each. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Shares {
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
    networks: HashMap<Network, usize>,
    sites: HashMap<Site, usize>,
}

/// Units that one client network holds; they are returned when this is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    network: Network,
    units: usize,
}

impl Shares {
    /// A network holds at most `limit`, and the `IPv6` /48 around it at most eight times that;
    /// `None` counts nothing.
    pub fn new(limit: Option<usize>) -> Shares {
        Shares::of_total(limit, usize::MAX)
    }

    /// A network holds at most a quarter of `total`, and the `IPv6` /48 around it at most half;
    /// `None` counts nothing.
    pub fn quarters(total: Option<usize>) -> Shares {
        let half = total.map_or(usize::MAX, |total| total.div_ceil(2));
        Shares::of_total(total.map(|total| total.div_ceil(4)), half)
    }

    fn of_total(limit: Option<usize>, site: usize) -> Shares {
        let limits = limit.map(|network| Limits {
            network,
            site: network.saturating_mul(SITE_FACTOR as usize).min(site),
        });
        Shares {
            limits,
            held: Arc::default(),
        }
    }

    /// A share of nothing yet.
    pub fn empty(&self, client: IpAddr) -> Share {
        Share {
            shares: self.clone(),
            network: Network::of(client),
            units: 0,
        }
    }

    /// One unit; `None` if the network holds its limit already.
    pub fn try_acquire(&self, client: IpAddr) -> Option<Share> {
        let mut share = self.empty(client);
        share.try_grow(1).then_some(share)
    }
}

impl Share {
    /// Adds units; returns whether the network's limit had room for all of them.
    pub fn try_grow(&mut self, units: usize) -> bool {
        let Some(limits) = self.shares.limits else {
            return true;
        };
        let mut held = self
            .shares
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let site = self.network.site();
        let has_room = |held: usize, limit: usize| held.saturating_add(units) <= limit;
        let fits = has_room(get(&held.networks, &self.network), limits.network)
            && site.is_none_or(|site| has_room(get(&held.sites, &site), limits.site));
        if fits {
            *held.networks.entry(self.network).or_default() += units;
            if let Some(site) = site {
                *held.sites.entry(site).or_default() += units;
            }
            self.units += units;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let mut held = self
            .shares
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        release(&mut held.networks, &self.network, self.units);
        if let Some(site) = self.network.site() {
            release(&mut held.sites, &site, self.units);
        }
    }
}

fn get<K: Hash + Eq>(counts: &HashMap<K, usize>, key: &K) -> usize {
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

//! Warnings about pages whose origin is not allowed: the operator may have forgotten the setting.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// How many origins are logged. Clients can invent them.
const MAX: usize = 100;

/// The origins that were logged.
#[derive(Debug, Default)]
pub struct RefusedOrigins(Mutex<HashSet<String>>);

impl RefusedOrigins {
    /// Logs a warning, once for each origin.
    pub fn warn(&self, origin: &str) {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < MAX && logged.insert(origin.to_owned()) {
            tracing::warn!(
                origin,
                "a page of this origin was refused; if it is yours, add the origin to `SHOP_CORS_ORIGINS`"
            );
        }
    }
}

//! Which payment provider is configured.

use std::sync::Arc;

use crate::{
    core::error::{Error, Result},
    infra::{
        config::Config,
        ports::{Gateway, Razorpay, Timeouts},
    },
};

/// Razorpay, where the shop has an account there; none: the mock.
pub(super) fn of(config: &Config) -> Result<Option<Arc<dyn Gateway>>> {
    let half = |set: &str, missing: &str| {
        Err(Error::config(format!(
            "`{set}` is set and `{missing}` is not; Razorpay's dashboard makes the two together, \
             under API keys"
        )))
    };
    let (id, secret) = match (&config.razorpay_key_id, &config.razorpay_key_secret) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(None),
        (Some(_), None) => return half("razorpay_key_id", "razorpay_key_secret"),
        (None, Some(_)) => return half("razorpay_key_secret", "razorpay_key_id"),
    };
    // One that the shop makes by itself is unknown there: no order would ever be paid.
    if config.webhook_secrets.is_empty() {
        return Err(Error::config(
            "`razorpay_key_id` is set and `razorpay_webhook_secret` is not; set it to the secret that \
             the webhook has in Razorpay's dashboard",
        ));
    }
    let (api, currency) = (&config.razorpay_api_url, config.currency);
    let razorpay = Razorpay::open(id, secret, api, currency, Timeouts::default())?;
    Ok(Some(Arc::new(razorpay)))
}

//! Chooses the payment gateway from the configuration.

use std::sync::Arc;

use crate::{
    core::{
        error::{Error, Result},
        money::Currency,
    },
    infra::{
        config::Config,
        ports::{Gateway, Razorpay, Timeouts},
    },
};

/// Returns Razorpay if its keys are set, else `None`: the mock gateway.
///
/// Errors: `Config` if only some of Razorpay's settings are set.
pub(super) fn from_config(config: &Config, currency: Currency) -> Result<Option<Arc<dyn Gateway>>> {
    let incomplete = |set: &str, missing: &str| {
        Err(Error::config(format!(
            "`{set}` is set but `{missing}` is not; Razorpay's dashboard generates both together, \
             under API keys"
        )))
    };
    let (id, secret) = match (&config.razorpay_key_id, &config.razorpay_key_secret) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(None),
        (Some(_), None) => return incomplete("razorpay_key_id", "razorpay_key_secret"),
        (None, Some(_)) => return incomplete("razorpay_key_secret", "razorpay_key_id"),
    };
    // Razorpay does not know a generated secret: its webhooks would be rejected, and no order would be paid.
    if config.razorpay_webhook_secret.is_empty() {
        return Err(Error::config(
            "`razorpay_key_id` is set but `razorpay_webhook_secret` is not; set it to the secret of \
             the webhook in Razorpay's dashboard",
        ));
    }
    let api = &config.razorpay_api_url;
    let razorpay = Razorpay::open(id, secret, api, currency, Timeouts::default())?;
    Ok(Some(Arc::new(razorpay)))
}

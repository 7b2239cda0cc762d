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
/// Errors: `Config` if only some of Razorpay's settings are set. The webhook secret alone is not Razorpay's.
pub(super) fn from_config(config: &Config, currency: Currency) -> Result<Option<Arc<dyn Gateway>>> {
    // Razorpay does not know a generated secret: its webhooks would be rejected, and no order would be paid.
    let has_webhook_secret = !config.razorpay_webhook_secret.is_empty();
    let (id, secret) = match (&config.razorpay_key_id, &config.razorpay_key_secret) {
        (Some(id), Some(secret)) if has_webhook_secret => (id, secret),
        (None, None) => return Ok(None),
        (id, secret) => {
            let settings = [
                ("`razorpay_key_id`", id.is_some()),
                ("`razorpay_key_secret`", secret.is_some()),
                ("`razorpay_webhook_secret`", has_webhook_secret),
            ];
            let missing = settings.iter().filter(|(_, is_set)| !is_set);
            let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
            return Err(Error::config(format!(
                "Razorpay also needs {}; its dashboard generates the id and the secret of a key together, under API \
                 keys, and has the secret of the webhook under Webhooks",
                missing.join(" and ")
            )));
        }
    };
    let api = &config.razorpay_api_url;
    let razorpay = Razorpay::open(id, secret, api, currency, Timeouts::default())?;
    Ok(Some(Arc::new(razorpay)))
}

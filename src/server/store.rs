//! Which store of pictures is configured.

use std::sync::Arc;

use super::Home;
use crate::{
    core::{clock::Clock, error::Result},
    infra::{
        config::{Config, Secret},
        ports::{Cloudinary, ImageStore, Objects, Timeouts},
    },
};

/// Cloudinary, else a bucket, else a folder of the data directory, which is created if it is missing.
pub(super) fn of(config: &Config, home: &Home, clock: &Clock) -> Result<Arc<dyn ImageStore>> {
    match remote(config, clock)? {
        Some(store) => Ok(store),
        None => Ok(Arc::new(Objects::local(&home.images())?)),
    }
}

/// Cloudinary, else a bucket. `None`: neither is configured.
pub(super) fn remote(config: &Config, clock: &Clock) -> Result<Option<Arc<dyn ImageStore>>> {
    if let Some(url) = &config.cloudinary_url {
        let cloudinary = Cloudinary::open(url, clock.clone(), Timeouts::default())?;
        return Ok(Some(Arc::new(cloudinary)));
    }
    if let Some(url) = &config.images_url {
        // As the whole world names them; the shop has no word of its own for each.
        let aws = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let is_aws = name.starts_with("AWS_");
            is_aws.then_some((name, Secret(value.into_string().ok()?)))
        });
        return Ok(Some(Arc::new(Objects::s3(url, &aws.collect())?)));
    }
    Ok(None)
}

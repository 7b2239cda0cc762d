//! Chooses the image store from the configuration.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::ExposeSecret;

use super::DataDir;
use crate::{
    core::{
        clock::Clock,
        error::{Error, Result},
    },
    infra::{
        config::{Config, Secret},
        ports::{Cloudinary, ImageStore, Objects, Timeouts},
    },
};

/// Returns Cloudinary if it is configured, else an S3 bucket, else a folder in the data directory, which is
/// created if it is missing.
pub(super) fn from_config(config: &Config, data_dir: &DataDir) -> Result<Arc<dyn ImageStore>> {
    match remote(config)? {
        Some(store) => Ok(store),
        None => Ok(Arc::new(Objects::local(&data_dir.images())?)),
    }
}

/// Returns Cloudinary or an S3 bucket, or `None` if neither is configured. They compare the time of a request with their
/// own, so it is that of the system, even if the shop has another (`shop admin seed`).
pub(super) fn remote(config: &Config) -> Result<Option<Arc<dyn ImageStore>>> {
    if let Some(url) = &config.cloudinary_url {
        let cloudinary = Cloudinary::open(url, Clock::system(), Timeouts::default())?;
        return Ok(Some(Arc::new(cloudinary)));
    }
    if let Some(url) = &config.images_url {
        return Ok(Some(Arc::new(Objects::s3(url, &aws_variables()?)?)));
    }
    Ok(None)
}

/// The variables with credentials. Like other secrets, each can be in a file, which the variable with `_FILE` names.
const AWS_SECRETS: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// Returns the environment variables `AWS_*`, so that the shop needs no separate settings for a bucket.
///
/// Errors: `Config` if a file with a secret cannot be read.
pub fn aws_variables() -> Result<BTreeMap<String, Secret>> {
    let aws = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_aws = name.starts_with("AWS_");
        is_aws.then_some((name, Secret::from(value.into_string().ok()?)))
    });
    let mut variables: BTreeMap<String, Secret> = aws.collect();
    for name in AWS_SECRETS {
        let variable = format!("{name}_FILE");
        let Some(path) = variables.remove(&variable) else {
            continue;
        };
        if variables.contains_key(name) {
            continue;
        }
        let path = path.expose_secret();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::config(format!("`{variable}`: `{path}`: {error}")))?;
        variables.insert(name.to_owned(), Secret::from(text.trim_end().to_owned()));
    }
    Ok(variables)
}

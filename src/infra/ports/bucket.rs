//! Opens S3-compatible buckets.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use object_store::{
    ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, path::Path as Name,
};
use secrecy::ExposeSecret;

use crate::{
    core::error::{Error, Result},
    infra::config::Secret,
};

/// The timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A bucket with the prefix of all names in it, since it may be shared.
pub struct Bucket {
    pub store: Arc<dyn ObjectStore>,
    pub name: String,
    pub prefix: Name,
}

impl Bucket {
    /// Opens the bucket `s3://bucket/prefix`. `setting` is the name of the setting with the URL, `timeout` that of one
    /// request. `aws` holds the environment variables `AWS_*`, e.g. `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY` and `AWS_ENDPOINT_URL`.
    ///
    /// Errors: `Config` if the URL or a variable is invalid.
    pub fn open(
        setting: &str,
        url: &str,
        aws: &BTreeMap<String, Secret>,
        timeout: Duration,
    ) -> Result<Bucket> {
        let invalid = || Error::config(format!("`{setting}` must look like `s3://bucket/prefix`"));
        let (bucket, prefix) = url
            .strip_prefix("s3://")
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
            .filter(|(bucket, _)| !bucket.is_empty())
            .ok_or_else(invalid)?;
        let prefix = Name::parse(prefix.trim_matches('/')).map_err(|e| invalid().caused_by(e))?;
        let [id, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        if aws.contains_key(id) != aws.contains_key(secret) {
            return Err(Error::config(format!(
                "the bucket in `{setting}` needs both `{id}` and `{secret}`, or neither"
            )));
        }
        let mut builder = AmazonS3Builder::new();
        for (name, value) in aws {
            // Other `AWS_*` variables are ignored.
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value.expose_secret());
            }
        }
        let client = ClientOptions::new()
            .with_allow_http(true)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(timeout);
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: timeout / 2,
            ..RetryConfig::default()
        };
        let store = builder
            .with_bucket_name(bucket)
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map_err(|error| {
                let detail =
                    format!("cannot use the bucket in `{setting}`; check the `AWS_*` variables");
                Error::config(detail).caused_by(error)
            })?;
        Ok(Bucket {
            store: Arc::new(store),
            name: bucket.to_owned(),
            prefix,
        })
    }
}

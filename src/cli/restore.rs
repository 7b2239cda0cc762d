//! `shop restore`: restores a backup into an empty data directory or Postgres database.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    output::{Output, count, print_message},
    progress,
};
use crate::{
    core::{
        clock::{Clock, Timestamp},
        error::{Error, Result},
    },
    infra::config::Config,
    server::{
        self, SECRETS,
        restore::{Options, Restored, Source, restore},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// A file, or a backup place (a directory or `s3://bucket/prefix`), whose newest backup is restored
    source: String,
    /// Restore the last commit before this time (RFC 3339), from a place with archived WAL [default: the newest]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Replace an existing shop; its data is kept under another name
    #[arg(long)]
    force: bool,
    /// Restore the keys, too, from a file of `shop backup keys`
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

impl Restore {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        server::check_owner(&config.data_dir)?;
        let options = Options {
            force: self.force,
            keys: self.keys.as_deref().map_or(Ok(Vec::new()), read_keys)?,
            now: Clock::system().now(),
        };
        let until = self.to.as_deref().map(parse_time).transpose()?;
        let source = Source::find(&self.source, until).await?;
        let restored = restore(&config, source, options, progress::steps()).await?;
        report(&restored, &config);
        let summary = format!(
            "restored {} of {}: {}, {}, {}",
            restored.archive,
            restored
                .replayed_to
                .map_or(restored.created_at.clone(), |time| time.to_string()),
            count(restored.products, "product"),
            count(restored.orders, "order"),
            count(restored.images, "image"),
        );
        output.value(&restored, &summary)
    }
}

/// Errors: `Config` if the text is not an RFC 3339 timestamp.
fn parse_time(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|_| {
        Error::config(format!(
            "`--to` must be an RFC 3339 timestamp, e.g. `2026-11-28T12:34:56Z`, not `{text}`"
        ))
    })
}

/// Prints what an operator should know, apart from the result.
fn report(restored: &Restored, config: &Config) {
    if let Some(schema) = &restored.old_schema {
        print_message(&format!(
            "the old data is in the schema `{schema}`; drop it when you no longer need it"
        ));
    }
    if let Some(path) = &restored.old_data {
        print_message(&format!(
            "old files are in `{path}`; delete them when you no longer need them"
        ));
    }
    for damage in restored.damaged_images.iter().take(10) {
        print_message(damage);
    }
    let missing = restored.missing_images.len() as u64;
    if missing > 0 {
        let images = count(missing, "image");
        print_message(&format!(
            "the backup lacks {images}; `shop verify` lists the products"
        ));
    }
    for name in &restored.new_keys {
        let effect = match *name {
            "jwt_secret" => "access tokens end, which clients renew with their refresh tokens",
            _ if config.razorpay_key_id.is_none() => {
                "the mock payment provider uses it, so nothing else has to be done"
            }
            _ => "webhooks are refused until the payment provider has it",
        };
        print_message(&format!(
            "the next start generates a new `{name}`: {effect}; `--keys FILE` restores the old one"
        ));
    }
    print_message(
        "payments after the backup are unknown to it: start the server, then run `shop admin payments reconcile`",
    );
}

/// Reads the file of `shop backup keys`.
///
/// Errors: `Config` if it cannot be read, or contains anything else.
fn read_keys(path: &Path) -> Result<Vec<(&'static str, String)>> {
    let text = fs::read_to_string(path)
        .map_err(|error| Error::config(format!("cannot read `{}`: {error}", path.display())))?;
    let not_keys = |why: &str| {
        let path = path.display();
        Error::config(format!(
            "`{path}` is not a file of `shop backup keys`: {why}"
        ))
    };
    let table: toml::Table = text.parse().map_err(|_| not_keys("it is not valid TOML"))?;
    let mut keys = Vec::new();
    for (name, value) in &table {
        let key = SECRETS.into_iter().find(|key| key == name);
        match (key, value.as_str()) {
            (Some(key), Some(value)) => keys.push((key, value.to_owned())),
            _ => return Err(not_keys(&format!("it contains `{name}`"))),
        }
    }
    if keys.is_empty() {
        return Err(not_keys("it contains no keys"));
    }
    Ok(keys)
}

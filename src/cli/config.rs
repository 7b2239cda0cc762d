//! `shop config`: shows the effective settings and the rate limits.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{config_sources::ConfigSources, output::Output};
use crate::{
    core::error::Result,
    domain::accounts::ATTEMPT_LIMITS,
    infra::config::{self, Config, EffectiveSetting},
    server::ROUTE_CLASSES,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EffectiveConfig {
    /// The configuration file, if one was read.
    file: Option<PathBuf>,
    settings: Vec<EffectiveSetting>,
    limits: Vec<Limit>,
}

/// A rate limit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    /// What is limited.
    what: &'static str,
    #[serde(rename = "most")]
    max: i64,
    /// Length of the window.
    seconds: u64,
    /// What it is counted by.
    counted_for: &'static str,
}

pub(super) fn run(sources: &ConfigSources, config: &Config, output: Output) -> Result<()> {
    let settings = config::explain(sources.layers());
    let limits = if config.rate_limit {
        limits()
    } else {
        Vec::new()
    };
    let file = sources.path().map(Path::to_owned);
    if output.is_json() {
        let effective = EffectiveConfig {
            file,
            settings,
            limits,
        };
        return output.value(&effective, "");
    }
    let file = file.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    output.text(&format!("configuration file: {file}\n"))?;
    output.table(&["setting", "value", "source"], &settings, |setting| {
        vec![
            setting.name.to_owned(),
            setting.value.clone().unwrap_or_else(|| "–".to_owned()),
            setting.origin.to_owned(),
        ]
    })?;
    output.text("")?;
    output.table(&["rate limit", "max", "window", "per"], &limits, |limit| {
        vec![
            limit.what.to_owned(),
            limit.max.to_string(),
            format!("{} s", limit.seconds),
            limit.counted_for.to_owned(),
        ]
    })
}

fn limits() -> Vec<Limit> {
    let classes = ROUTE_CLASSES.iter().map(|class| Limit {
        what: class.what,
        max: i64::from(class.quota),
        seconds: 60,
        counted_for: "client address",
    });
    let attempts = ATTEMPT_LIMITS.iter().map(|limit| Limit {
        what: limit.what,
        max: limit.max,
        seconds: limit.window.as_secs(),
        counted_for: limit.per,
    });
    classes.chain(attempts).collect()
}

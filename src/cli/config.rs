//! `shop config`: what the settings come to, and what is limited.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Layers, output::Output};
use crate::{
    core::error::Result,
    domain::accounts::ATTEMPT_LIMITS,
    infra::{
        config::{self, Config, Setting},
        web::limits::CLASSES,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    /// The file that was read.
    file: Option<PathBuf>,
    settings: Vec<Setting>,
    limits: Vec<Limit>,
}

/// How much is allowed of something.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    what: &'static str,
    most: i64,
    seconds: u64,
    /// For whom it is counted.
    counted_for: &'static str,
}

pub(super) fn show(layers: &Layers, config: &Config, output: Output) -> Result<()> {
    let settings = config::explain(&layers.named());
    let limits = if config.rate_limit {
        limits()
    } else {
        Vec::new()
    };
    if output.is_json() {
        let file = layers.path().map(Path::to_owned);
        let shown = Shown {
            file,
            settings,
            limits,
        };
        return output.one(&shown, "");
    }
    let file = match layers.path() {
        Some(path) => format!("settings file: {}", path.display()),
        None => "settings file: none".to_owned(),
    };
    output.text(&file)?;
    output.text("")?;
    output.table(&["setting", "value", "from"], &settings, |setting| {
        vec![
            setting.name.to_owned(),
            setting.value.clone().unwrap_or_else(|| "–".to_owned()),
            setting.origin.to_owned(),
        ]
    })?;
    output.text("")?;
    output.table(
        &["limit of", "most", "within", "for each"],
        &limits,
        |limit| {
            vec![
                limit.what.to_owned(),
                limit.most.to_string(),
                format!("{} s", limit.seconds),
                limit.counted_for.to_owned(),
            ]
        },
    )
}

fn limits() -> Vec<Limit> {
    let classes = CLASSES.iter().map(|class| Limit {
        what: class.what,
        most: i64::from(class.quota),
        seconds: 60,
        counted_for: "client address",
    });
    let attempts = ATTEMPT_LIMITS.iter().map(|limit| Limit {
        what: limit.what,
        most: limit.max,
        seconds: limit.window.as_secs(),
        counted_for: limit.per,
    });
    classes.chain(attempts).collect()
}

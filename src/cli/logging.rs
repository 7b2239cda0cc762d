//! Sets up the log, which is written to stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::{
    core::error::{Error, Result},
    infra::config::{Config, LogFormat},
};

/// Installs the global log subscriber.
///
/// Errors: `Config` if the setting `log` is not a valid filter.
pub(super) fn init(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|e| Error::config(format!("`log` must be a filter, e.g. `info`: {e}")))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Reporting that stderr is closed would write to stderr as well, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let installed = if config.log_format == LogFormat::Json {
        subscriber.json().try_init()
    } else {
        subscriber.try_init()
    };
    installed.map_err(Error::internal)
}

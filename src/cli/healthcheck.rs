//! `shop healthcheck`: asks the running server whether it is ready.

use std::time::Duration;

use super::output::Output;
use crate::{
    core::error::{Error, Result, root_cause},
    infra::config::Config,
    server::{DataDir, running_server},
};

#[derive(Debug, clap::Args)]
pub(super) struct Healthcheck {}

/// Below the 5 s after which container runtimes usually give up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

impl Healthcheck {
    /// Errors: `CommandFailed` if no server is running or it is not ready.
    pub(super) async fn run(self, config: &Config, output: Output) -> Result<()> {
        let root = &config.data_dir;
        // Another shop may listen on the configured address.
        let server = DataDir::at(root).running_server()?.ok_or_else(|| {
            Error::command_failed(format!(
                "no server is running on `{}`; set its `--data-dir`, or run `shop serve`",
                root.display()
            ))
        })?;
        let url = server.url;
        let request = running_server::client()?.get(format!("{url}/readyz"));
        let response = request.timeout(REQUEST_TIMEOUT).send().await;
        let not_ready =
            |why: String| Err(Error::command_failed(format!("{url} is not ready: {why}")));
        match response {
            Ok(response) if response.status().is_success() => {
                let status = serde_json::json!({ "url": url, "status": "ready" });
                output.value(&status, &format!("{url} is ready"))
            }
            Ok(response) => {
                let status = response.status();
                let body = response.bytes().await.unwrap_or_default();
                let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                let detail = problem["detail"].as_str().unwrap_or_default();
                not_ready(format!("{status} {detail}"))
            }
            Err(error) => not_ready(root_cause(&error).to_string()),
        }
    }
}

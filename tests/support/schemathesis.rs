//! Runs Schemathesis (<https://schemathesis.io>), which sends valid and invalid requests generated from the OpenAPI
//! document, and checks the responses against it. Without it a test is skipped with a warning, or fails if
//! `SHOP_TEST_REQUIRE_SCHEMATHESIS=1`.

use std::{env, process::Stdio};

use tokio::process::Command;

use super::{live::Served, skip};

/// Its settings, and the statuses that the document does not explain.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis.toml");

/// The number of generated requests per operation and phase, with a fixed seed.
/// `SHOP_TEST_SCHEMATHESIS_EXAMPLES` sets another number; then each run has its own seed.
const EXAMPLES: &str = "5";

/// The ids of prepared resources, by the variables in the settings.
pub(crate) type Prepared = [(&'static str, String); 4];

pub(crate) struct Schemathesis(String);

impl Schemathesis {
    /// Returns `None` if the test is skipped.
    pub(crate) fn installed() -> Option<Schemathesis> {
        let program = env::var("SHOP_TEST_SCHEMATHESIS").unwrap_or_default();
        if program.is_empty() {
            let why = "no Schemathesis: set SHOP_TEST_SCHEMATHESIS to the program";
            skip("SCHEMATHESIS", why);
            return None;
        }
        Some(Schemathesis(program))
    }

    /// Asserts that all checks pass in all phases, with this access token or none.
    pub(crate) async fn finds_nothing(
        &self,
        shop: &Served,
        token: Option<&str>,
        prepared: Prepared,
    ) {
        // It writes files to its working directory.
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(&self.0);
        command
            .args(["--config-file", CONFIG, "--no-color", "run"])
            .arg(format!("http://{}/openapi.json", shop.address));
        match env::var("SHOP_TEST_SCHEMATHESIS_EXAMPLES") {
            Ok(examples) => command.args(["--max-examples", &examples]),
            Err(_) => command.args(["--max-examples", EXAMPLES, "--seed", "1"]),
        };
        if let Some(token) = token {
            command.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        let ended = command
            .current_dir(home.path())
            .env("HOME", home.path())
            .envs(prepared)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap_or_else(|error| panic!("`{}` does not run: {error}", self.0));
        let report = String::from_utf8_lossy(&ended.stdout);
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{report}\n{errors}");
    }
}

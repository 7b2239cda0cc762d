//! Schemathesis (<https://schemathesis.io>) for tests: it sends a running shop what its OpenAPI
//! document allows and forbids, and compares the answers with the document. Without it a test is
//! skipped loudly, or fails if `SHOP_TEST_REQUIRE_SCHEMATHESIS=1`.

use std::{env, process::Stdio};

use tokio::process::Command;

use super::{live::Served, skip};

/// Its settings, and the statuses that only the contract explains.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis.toml");

/// How many requests a phase makes up for an operation, with the same seed in each run.
/// `SHOP_TEST_SCHEMATHESIS_EXAMPLES` sets another number, and then each run has a seed of its own.
const EXAMPLES: &str = "5";

/// What the shop holds for Schemathesis to work on, by the names that the settings use.
pub(crate) type Prepared = [(&'static str, String); 4];

pub(crate) struct Schemathesis(String);

impl Schemathesis {
    /// `None` where the test is skipped.
    pub(crate) fn installed() -> Option<Schemathesis> {
        let program = env::var("SHOP_TEST_SCHEMATHESIS").unwrap_or_default();
        if program.is_empty() {
            let why = "no Schemathesis: set SHOP_TEST_SCHEMATHESIS to the program";
            skip("SCHEMATHESIS", why);
            return None;
        }
        Some(Schemathesis(program))
    }

    /// Fails the test unless all checks pass in all phases, with this access token or none.
    pub(crate) async fn finds_nothing(
        &self,
        shop: &Served,
        token: Option<&str>,
        prepared: Prepared,
    ) {
        // It keeps notes where it runs.
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

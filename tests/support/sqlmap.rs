//! Runs sqlmap (<https://sqlmap.org>) against a shop. Without it a test is skipped with a warning, or fails if
//! `SHOP_TEST_REQUIRE_SQLMAP=1`. `SHOP_TEST_SQLMAP_LEVEL` sets sqlmap's `--level`.

use std::{env, process::Stdio};

use reqwest::{Body, RequestBuilder};
use tokio::process::Command;

use super::{Engine, skip};

/// The sqlmap program, for one database engine.
pub(crate) struct Sqlmap {
    program: String,
    engine: &'static str,
}

impl Sqlmap {
    /// Returns `None` if the test is skipped.
    pub(crate) fn against(engine: Engine) -> Option<Sqlmap> {
        let program = env::var("SHOP_TEST_SQLMAP").unwrap_or_default();
        if program.is_empty() {
            skip("SQLMAP", "no sqlmap: set SHOP_TEST_SQLMAP to the program");
            return None;
        }
        let engine = match engine {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        };
        Some(Sqlmap { program, engine })
    }

    /// Asserts that sqlmap finds none of these parameters injectable, and that the shop accepts the request before
    /// and after. Parameters are named as in sqlmap: `sort,User-Agent`, `JSON email` for a field of the body,
    /// `#1*` for the end of the path.
    pub(crate) async fn finds_nothing(&self, request: RequestBuilder, parameters: &str) {
        is_accepted(&request).await;
        let output = self.attack(&request, parameters).await;
        let found = "identified the following injection point";
        assert!(!output.contains(found), "{output}");
        for parameter in parameters.split(',') {
            let negative = format!("parameter '{parameter}' does not seem to be injectable");
            assert!(output.contains(&negative), "{parameter}: {output}");
        }
        let negative = "all tested parameters do not appear to be injectable";
        assert!(output.contains(negative), "{output}");
        is_accepted(&request).await;
    }

    /// Runs sqlmap on a request and returns its output.
    async fn attack(&self, request: &RequestBuilder, parameters: &str) -> String {
        let request = request.try_clone().unwrap().build().unwrap();
        // A new directory, since sqlmap skips what it has already tried on a host.
        let home = tempfile::tempdir().unwrap();
        let level = env::var("SHOP_TEST_SQLMAP_LEVEL").ok();
        let mut command = Command::new(&self.program);
        command
            .args(["--batch", "--risk=2", "--skip-waf", "--ignore-code=*"])
            .args(["--level", level.as_deref().unwrap_or("1")])
            .args(["--disable-coloring", "--dbms", self.engine, "--output-dir"])
            .arg(home.path())
            .args(["-u", request.url().as_str(), "-p", parameters]);
        for (name, value) in request.headers() {
            command.args(["-H", &format!("{name}: {}", value.to_str().unwrap())]);
        }
        if let Some(body) = request.body().and_then(Body::as_bytes) {
            command.args(["--data", std::str::from_utf8(body).unwrap()]);
        }
        let ended = command
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap_or_else(|error| panic!("`{}` does not run: {error}", self.program));
        assert!(ended.status.success(), "{ended:?}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }
}

async fn is_accepted(request: &RequestBuilder) {
    let answer = request.try_clone().unwrap().send().await.unwrap();
    assert!(answer.status().as_u16() < 400, "{answer:?}");
}

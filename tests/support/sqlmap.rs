//! A real attacker for tests, sqlmap (<https://sqlmap.org>). Where it is not to be had, a test is
//! skipped loudly, or fails if `SHOP_TEST_REQUIRE_SQLMAP=1`.

use std::{env, process::Stdio};

use reqwest::{Body, RequestBuilder};
use tokio::process::Command;

use super::{Engine, skip};

/// Tries what makes the engine do more than it was asked for.
pub(crate) struct Sqlmap {
    program: String,
    engine: &'static str,
}

impl Sqlmap {
    /// None where the test is skipped.
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

    /// Fails the test unless sqlmap has tried each of these parameters of a request in vain, and the
    /// shop takes the request before and after that. They are named as sqlmap names them:
    /// `sort,User-Agent`, `JSON email` for a field of the body, `#1*` for the end of the path.
    pub(crate) async fn finds_nothing(&self, request: RequestBuilder, parameters: &str) {
        is_taken(&request).await;
        let told = self.attack(&request, parameters).await;
        let found = "identified the following injection point";
        assert!(!told.contains(found), "{told}");
        for parameter in parameters.split(',') {
            let vain = format!("parameter '{parameter}' does not seem to be injectable");
            assert!(told.contains(&vain), "{parameter}: {told}");
        }
        let vain = "all tested parameters do not appear to be injectable";
        assert!(told.contains(vain), "{told}");
        is_taken(&request).await;
    }

    /// What it has to say about a request.
    async fn attack(&self, request: &RequestBuilder, parameters: &str) -> String {
        let request = request.try_clone().unwrap().build().unwrap();
        // Of its own, for it does not try again what it has kept of a host.
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(&self.program);
        command
            .args([
                "--batch",
                "--level=3",
                "--risk=2",
                "--skip-waf",
                "--ignore-code=*",
            ])
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

async fn is_taken(request: &RequestBuilder) {
    let answer = request.try_clone().unwrap().send().await.unwrap();
    assert!(answer.status().as_u16() < 400, "{answer:?}");
}

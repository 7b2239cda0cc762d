//! `shop healthcheck`.

use super::{configuration::shop, *};

#[test]
fn a_running_server_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path());
    let text = stdout_of(&run(directory.path(), &["healthcheck"]));
    assert_eq!(text, format!("{} is ready\n", server.url));
    let value = json_of(directory.path(), &["healthcheck"]);
    assert_eq!(value, json!({ "status": "ready", "url": server.url }));
    server.terminate();
    assert!(server.wait().success());
    let output = run_without_server(directory.path());
    let error = failure_of(&output);
    assert!(error.contains("is not ready"), "{error}");
}

/// Runs the check where no server listens.
fn run_without_server(directory: &Path) -> Output {
    let mut command = shop(directory, &["healthcheck", "--data-dir", "."]);
    command.env("SHOP_LISTEN", "127.0.0.1:9").output().unwrap()
}

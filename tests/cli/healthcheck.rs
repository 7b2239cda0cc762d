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
    let error = failure_of(&run(directory.path(), &["healthcheck"]));
    assert!(error.contains("no server is running on"), "{error}");
}

#[test]
fn another_shops_server_does_not_count() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Process::start(other.path());
    let mut command = shop(directory.path(), &["healthcheck"]);
    let listen = server.url.trim_start_matches("http://");
    let error = failure_of(&command.env("SHOP_LISTEN", listen).output().unwrap());
    assert!(
        error.contains("no server is running on `shop-data`"),
        "{error}"
    );
}

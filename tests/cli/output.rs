//! Results go to stdout and logs to stderr.

use super::*;

#[test]
fn help_and_version_go_to_stdout() {
    let directory = tempfile::tempdir().unwrap();
    let help = stdout_of(&run(directory.path(), &["--help"]));
    for command in ["serve", "admin", "openapi"] {
        assert!(help.contains(command), "{help}");
    }
    let help = stdout_of(&run(
        directory.path(),
        &["admin", "product", "stock", "--help"],
    ));
    assert!(help.contains("--reason"), "{help}");
    let version = stdout_of(&run(directory.path(), &["--version"]));
    assert_eq!(version, format!("shop {}\n", env!("CARGO_PKG_VERSION")));
    assert!(
        !directory.path().join("shop.db").exists(),
        "nothing was created"
    );
}

#[test]
fn openapi_prints_an_openapi_3_1_document() {
    let directory = tempfile::tempdir().unwrap();
    let text = stdout_of(&run(directory.path(), &["openapi"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1."),
        "{}",
        document["openapi"]
    );
    assert!(document["paths"]["/api/v1/orders"]["post"].is_object());
    assert!(
        !directory.path().join("shop.db").exists(),
        "the command needs no shop"
    );
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let script = format!(
        "set -o pipefail; '{}' openapi | head -n 1",
        env!("CARGO_BIN_EXE_shop")
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(stdout_of(&output), "{\n");
}

#[test]
fn logs_go_to_stderr() {
    let directory = new_shop();
    stdout_of(&add_user(
        directory.path(),
        "ada@example.com",
        "ADMIN",
        PASSWORD,
    ));
    let mut server = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--data-dir",
        ])
        .arg(directory.path())
        .env("SHOP_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 12];
    server
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    assert_eq!(&first, b"listening on");
    let stop = Command::new("kill")
        .arg(server.id().to_string())
        .status()
        .unwrap();
    assert!(stop.success());
    let output = server.wait_with_output().unwrap();
    let (out, err) = streams(&output);
    assert_eq!(output.status.code(), Some(0));
    let [url, data] = out.lines().collect::<Vec<_>>()[..] else {
        panic!("{out}");
    };
    assert!(url.starts_with(" http://127.0.0.1:"), "{out}");
    assert!(data.starts_with("data in "), "{out}");
    assert!(err.contains("stopping"), "{err}");
    for line in err.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    }
}

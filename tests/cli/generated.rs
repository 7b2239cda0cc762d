//! Shell completions and manual pages, which are generated from the arguments.

use std::os::unix::fs::PermissionsExt;

use super::{configuration::shop, *};

#[test]
fn completions_know_commands_and_options() {
    let here = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = shop(here.path(), &["completions", shell]).output().unwrap();
        let script = stdout_of(&output);
        for word in ["transfer", "data-dir", "reset-password"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let unknown = shop(here.path(), &["completions", "tcsh"])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn each_command_has_a_manual_page() {
    let here = tempfile::tempdir().unwrap();
    let output = shop(here.path(), &["man", "pages/man1"]).output().unwrap();
    assert_eq!(stdout_of(&output), "");
    let page = |name: &str| fs::read_to_string(here.path().join("pages/man1").join(name)).unwrap();
    assert!(page("shop.1").contains("SQLite"));
    assert!(page("shop-serve.1").contains("\\-\\-demo"));
    assert!(page("shop-admin-order-refund.1").contains("refund"));

    // They are for all users, unlike the files of a shop.
    let program = env!("CARGO_BIN_EXE_shop");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "umask 022; exec \"$@\"",
        "sh",
        program,
        "man",
        "public",
    ]);
    stdout_of(&command.current_dir(here.path()).output().unwrap());
    let mode = |name: &str| {
        let found = fs::metadata(here.path().join("public").join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("shop.1")), (0o755, 0o644));

    fs::write(here.path().join("file"), "").unwrap();
    let output = shop(here.path(), &["man", "file"]).output().unwrap();
    let error = failure_of(&output);
    assert!(
        error.contains("cannot write the manual pages to `file`"),
        "{error}"
    );
}

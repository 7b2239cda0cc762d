//! Shell completions and manual pages, which are generated from the arguments.

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

    fs::write(here.path().join("file"), "").unwrap();
    let output = shop(here.path(), &["man", "file"]).output().unwrap();
    let error = failure_of(&output);
    assert!(
        error.contains("cannot write the manual pages to `file`"),
        "{error}"
    );
}

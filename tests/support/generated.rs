//! Files in the repository that are generated, and compared with what they must be.

use std::{fs, path::Path};

/// Reads a file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Compares a file with what it must be, or writes it. `tests` selects the tests that generate it.
#[track_caller]
pub(crate) fn check(path: &str, expected: &str, tests: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), expected).unwrap();
    }
    let found = read(path);
    let difference = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(
        found == expected,
        "{path} is not current; run `UPDATE_DOCS=1 cargo test {tests}`: {difference:#?}"
    );
}

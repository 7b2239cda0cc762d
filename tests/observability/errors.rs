//! How the log shows an error and its causes.

use std::io;

use shop::core::error::{Error, chain};

#[test]
fn an_error_is_logged_with_its_causes() {
    let full = || io::Error::other("disk full");
    let error = Error::unavailable("cannot write the file").caused_by(full());
    assert_eq!(
        chain(&error).to_string(),
        "cannot write the file: disk full"
    );
    let outer = Error::unavailable("the image was not stored").caused_by(error);
    assert_eq!(
        chain(&outer).to_string(),
        "the image was not stored: cannot write the file: disk full"
    );
    let repeats = Error::unavailable("cannot write: disk full").caused_by(full());
    assert_eq!(chain(&repeats).to_string(), "cannot write: disk full");
    // The text for the client says nothing.
    let internal = Error::internal(full());
    assert_eq!(chain(&internal).to_string(), "disk full");
    assert_eq!(chain(&full()).to_string(), "disk full");
}

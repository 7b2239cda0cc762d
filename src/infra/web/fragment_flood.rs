//! The error of reads from a WebSocket whose client sends too many empty fragments.

use std::{error::Error, fmt, io};

/// The transport counts empty fragments, because the WebSocket library skips them without returning.
#[derive(Debug)]
pub struct FragmentFlood;

impl fmt::Display for FragmentFlood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many empty WebSocket fragments per second")
    }
}

impl Error for FragmentFlood {}

impl FragmentFlood {
    /// Returns whether a read failed with this error.
    pub fn is_cause_of(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(<dyn Error + Send + Sync>::is::<FragmentFlood>)
    }
}

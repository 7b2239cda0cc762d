//! Progress of long commands. It is shown only if stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Returns a progress bar for a known number of steps.
pub(super) fn bar(length: u64, unit: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(unit);
    match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Returns a counter for an unknown number of steps.
pub(super) fn counter(unit: &'static str) -> ProgressBar {
    let counter = ProgressBar::no_length().with_message(unit);
    match ProgressStyle::with_template("{spinner} {msg} {pos}") {
        Ok(style) => counter.with_style(style),
        Err(_) => counter,
    }
}

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

/// Returns a callback that shows the progress of a command with several steps: what is counted, how much is done and
/// how much there is to do. The bar disappears when the callback is dropped.
pub(super) fn steps() -> impl FnMut(&'static str, u64, u64) + Send + 'static {
    let bar = Hidden(bar(0, ""));
    move |unit, done, total| {
        bar.0.set_message(unit);
        bar.0.set_length(total);
        bar.0.set_position(done);
    }
}

/// A progress bar that is removed when it is dropped.
struct Hidden(ProgressBar);

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

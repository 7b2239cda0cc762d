//! The shop against customers, admins and a payment provider that are all made up: whatever they do, in
//! whatever order it arrives, money, stock and states agree in the end.

mod load;
mod provider;

use std::process::Output;

/// Fails the test unless `shop verify` found that all is well.
#[track_caller]
fn is_verified(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

//! `shop openapi`: prints the API description.

use super::output::Output;
use crate::{
    core::error::{Error, Result},
    server,
};

pub(super) fn run(output: Output) -> Result<()> {
    let document = server::document()
        .to_pretty_json()
        .map_err(Error::internal)?;
    output.text(&document)
}

//! `shop openapi`: prints the API description.

use super::output::Output;
use crate::{
    core::error::{Error, Result},
    server,
};

pub(super) fn run(output: Output) -> Result<()> {
    let document = serde_json::to_string_pretty(&server::document()).map_err(Error::internal)?;
    output.text(&document)
}

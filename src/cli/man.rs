//! `shop man`: writes the manual pages.

use std::{fs, path::PathBuf};

use super::args;
use crate::core::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// The directory for the pages, e.g. `/usr/local/share/man/man1`; created if missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    /// Errors: `CommandFailed` if the directory or a page cannot be written.
    pub(super) fn run(self) -> Result<()> {
        let write = || {
            fs::create_dir_all(&self.directory)?;
            clap_mangen::generate_to(args::command(), &self.directory)
        };
        write().map_err(|error| {
            let directory = self.directory.display();
            Error::command_failed(format!(
                "cannot write the manual pages to `{directory}`: {error}"
            ))
        })
    }
}

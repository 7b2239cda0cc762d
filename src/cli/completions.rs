//! `shop completions`: prints the completion script of a shell.

use clap_complete::Shell;

use super::{args, output::Output};
use crate::core::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut args::command(), "shop", &mut script);
        let script = String::from_utf8(script).map_err(Error::internal)?;
        output.raw(&script)
    }
}

//! The arguments of the program: global options, commands, and the formatting of their help.

use std::path::PathBuf;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, builder::StyledStr};

use super::{
    admin::Admin, serve::Serve, suggestions::add_suggestion, transfer::Transfer, verify::Verify,
};
use crate::infra::config::Layer;

/// An e-commerce backend in one binary: accounts, catalog, carts, orders, payments and live inventory on
/// `SQLite` or Postgres
#[derive(Debug, Parser)]
#[command(name = "shop", version, propagate_version = true, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArgs {
    /// Data directory of the shop [env: `SHOP_DATA_DIR`] [default: `shop-data`]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Postgres database to use instead of the `SQLite` file in the data directory, e.g.
    /// `postgres://user@host/name?sslmode=verify-full`. Set a URL with a password by `SHOP_DATABASE_URL`, or
    /// put it into a file and name that by `SHOP_DATABASE_URL_FILE` [env: `SHOP_DATABASE_URL`]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Configuration file (TOML) [env: `SHOP_CONFIG`] [default: `shop.toml` in the data directory, if it
    /// exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Log format: `text` or `json` [env: `SHOP_LOG_FORMAT`] [default: `text`]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server
    Serve(Serve),
    /// Manage the shop, also while the server is running
    #[command(subcommand)]
    Admin(Admin),
    /// Move the shop between `SQLite` and Postgres; stop the server first
    Transfer(Transfer),
    /// Check the consistency of the shop's data and report each violation
    Verify(Verify),
    /// Show the effective settings with their sources, secrets redacted, and the rate limits
    Config,
    /// Print the `OpenAPI` 3.1 description of the API
    Openapi,
}

impl Cli {
    /// Returns the settings that were given as flags, by key.
    pub(super) fn flags(&self) -> Layer {
        let mut flags = vec![
            ("data_dir", self.global.data_dir.as_ref()),
            ("database_url", self.global.database_url.as_ref()),
            ("log_format", self.global.log_format.as_ref()),
        ];
        match &self.command {
            Command::Serve(serve) => flags.push(("listen", serve.listen.as_ref())),
            Command::Transfer(transfer) => flags.extend(transfer.flags()),
            _ => {}
        }
        flags
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.clone())))
            .collect()
    }
}

/// Parses the arguments of the process. Exits after printing help, the version or a usage error.
pub(super) fn parse() -> Cli {
    let mut command = without_backticks(Cli::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    cli.unwrap_or_else(|error| add_suggestion(error.format(&mut command), &command).exit())
}

/// Removes the backticks from all help texts: they are Markdown for the documentation of the code.
fn without_backticks(mut command: clap::Command) -> clap::Command {
    if let Some(about) = command.get_about().map(plain) {
        command = command.about(about);
    }
    if let Some(about) = command.get_long_about().map(plain) {
        command = command.long_about(about);
    }
    command
        .mut_args(prepare_arg)
        .mut_subcommands(without_backticks)
}

fn prepare_arg(mut arg: Arg) -> Arg {
    if let Some(help) = arg.get_help().map(plain) {
        arg = arg.help(help);
    }
    if let Some(help) = arg.get_long_help().map(plain) {
        arg = arg.long_help(help);
    }
    if arg.get_action().takes_values() {
        // Without this, clap reports a negative number as an unknown option.
        arg = arg.allow_negative_numbers(true);
    }
    arg
}

fn plain(text: &StyledStr) -> String {
    text.to_string().replace('`', "")
}

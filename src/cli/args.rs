//! The arguments of the program: global options, commands, and the formatting of their help.

use std::path::PathBuf;

use clap::{
    Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, builder::StyledStr,
};

use super::{
    admin::Admin, backup::Backup, completions::Completions, healthcheck::Healthcheck, man::Man,
    migrate::Migrate, restore::Restore, serve::Serve, suggestions::add_suggestion, verify::Verify,
    watch::Watch,
};
use crate::infra::config::{Flag, Layer, SETTINGS, Setting, TRANSFER_URLS};

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

/// The heading of the options of every command.
const GLOBAL_OPTIONS: &str = "Global options";

/// The options of every command, apart from settings.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = GLOBAL_OPTIONS)]
pub(super) struct GlobalArgs {
    /// Configuration file (TOML) [env: `SHOP_CONFIG`] [default: `shop.toml` in the data directory, if it
    /// exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
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
    /// Back up the shop into one file, also while the server is running
    Backup(Backup),
    /// Restore a backup into an empty data directory or database; stop the server first
    Restore(Restore),
    /// Move the shop between `SQLite` and Postgres; stop the server first
    Transfer,
    /// Check the consistency of the shop's data and report each violation
    Verify(Verify),
    /// Follow the stock of a running shop, as a table that updates in place or as lines of JSON
    Watch(Watch),
    /// Check the configuration, the machine, the database and the external services
    Doctor,
    /// Apply pending schema migrations; on `SQLite`, stop the server first
    Migrate(Migrate),
    /// Show the effective settings with their sources, secrets redacted, and the rate limits
    Config,
    /// Print the `OpenAPI` 3.1 description of the API
    Openapi,
    /// Print the completion script of a shell
    Completions(Completions),
    /// Write the manual pages, one per command
    Man(Man),
    /// Check that the server on this data directory is ready; for containers
    Healthcheck(Healthcheck),
}

/// Returns the description of all commands and options.
pub(super) fn command() -> clap::Command {
    without_backticks(add_settings(Cli::command()))
}

/// Parses the arguments of the process. Returns the settings among them separately. Exits after printing help, the
/// version or a usage error.
pub(super) fn parse() -> (Cli, Layer) {
    let mut command = command();
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, settings_in(&matches))));
    parsed.unwrap_or_else(|error| add_suggestion(error.format(&mut command), &command).exit())
}

/// Returns the settings that have a flag.
pub(super) fn settings_with_flag() -> impl Iterator<Item = (&'static Setting, &'static Flag)> {
    let all = SETTINGS.iter().chain(TRANSFER_URLS);
    all.filter_map(|setting| Some((setting, setting.flag.as_ref()?)))
}

/// Adds the flags of settings to the commands that have them.
fn add_settings(command: clap::Command) -> clap::Command {
    settings_with_flag().fold(command, |command, (setting, flag)| {
        let arg = Arg::new(setting.name)
            .long(flag.name)
            .value_name(flag.value_name)
            .help(help(setting))
            .display_order(0);
        match flag.command {
            None => command.arg(arg.global(true).help_heading(GLOBAL_OPTIONS)),
            Some(name) => command.mut_subcommand(name, |command| command.arg(arg)),
        }
    })
}

/// Returns the help of a flag: that of its setting, and the alternatives to the flag.
fn help(setting: &Setting) -> String {
    let variable = setting.variable();
    let summary = setting.paragraphs().swap_remove(0);
    let summary = summary.trim_end_matches('.');
    let file = setting.file_variable().map(|file| {
        format!(". Set a URL with a password by `{variable}`, or put it into a file and name that by `{file}`")
    });
    let default = setting
        .default_value()
        .map(|default| format!(" [default: `{default}`]"));
    let (file, default) = (file.unwrap_or_default(), default.unwrap_or_default());
    format!("{summary}{file} [env: `{variable}`]{default}")
}

/// Returns the settings that were given as flags.
fn settings_in(matches: &ArgMatches) -> Layer {
    let given = |(setting, flag): (&Setting, &Flag)| {
        let matches = match flag.command {
            None => matches,
            Some(name) => matches.subcommand_matches(name)?,
        };
        let text = matches.get_one::<String>(setting.name)?;
        Some((setting.name, text.clone()))
    };
    Layer::from_flags(settings_with_flag().filter_map(given))
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

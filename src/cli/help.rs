//! What holds for the help and the errors of every command, set in one place for all of them.

use clap::{
    Arg, Command, CommandFactory, FromArgMatches,
    builder::StyledStr,
    error::{ContextKind, ContextValue},
};

use super::Cli;

/// Reads the arguments of the program. Prints help or what is wrong with them, and ends it, where they are
/// no command.
pub(super) fn parse() -> Cli {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    cli.unwrap_or_else(|error| advise(error.format(&mut command), &command).exit())
}

/// The command line, ready to be parsed or shown.
pub(super) fn command() -> Command {
    polish(Cli::command())
}

fn polish(mut command: Command) -> Command {
    if let Some(about) = command.get_about().map(plain) {
        command = command.about(about);
    }
    if let Some(about) = command.get_long_about().map(plain) {
        command = command.long_about(about);
    }
    command.mut_args(polish_arg).mut_subcommands(polish)
}

fn polish_arg(mut arg: Arg) -> Arg {
    if let Some(help) = arg.get_help().map(plain) {
        arg = arg.help(help);
    }
    if let Some(help) = arg.get_long_help().map(plain) {
        arg = arg.long_help(help);
    }
    if arg.get_action().takes_values() {
        // A negative number gets an error about the number, and not one about an unknown option.
        arg = arg.allow_negative_numbers(true);
    }
    arg
}

/// The text as a terminal shows it: the backticks are for the documentation of the code.
fn plain(text: &StyledStr) -> String {
    text.to_string().replace('`', "")
}

/// Options of other programs, and what does the same here.
const OPTIONS: [(&[&str], &str); 7] = [
    (
        &["--port", "-p", "--host", "--bind", "--address"],
        "'--listen 127.0.0.1:8080' sets where the server listens",
    ),
    (&["--demo"], "'shop serve --demo' runs a sample shop"),
    (
        &["-v", "--verbose", "--debug", "-q", "--quiet", "--log"],
        "the variable SHOP_LOG sets how much is logged, e.g. SHOP_LOG=debug",
    ),
    (
        &["--output", "-o", "--format"],
        "'--json' prints data as JSON",
    ),
    (
        &["--password"],
        "other users could read a password in an argument: '--password-stdin' reads it from standard input",
    ),
    (
        &["--email"],
        "the email address is an argument of its own here, without an option",
    ),
    (
        &["--quantity", "--qty"],
        "'--stock' sets how many there are",
    ),
];

/// Commands of other programs, and what does the same here.
const COMMANDS: [(&[&str], &str); 2] = [
    (
        &["start", "run", "up", "server", "demo"],
        "'shop serve' runs the shop",
    ),
    (
        &["import", "export"],
        "'shop admin product import' and 'shop admin product export' read and write products",
    ),
];

/// Adds what was probably meant.
fn advise(mut error: clap::Error, command: &Command) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let tip = match (
        text(ContextKind::InvalidSubcommand),
        text(ContextKind::InvalidArg),
    ) {
        (Some(name), _) => of_admin(command, name).or_else(|| tip_for(&COMMANDS, name)),
        (None, Some(name)) => tip_for(&OPTIONS, name),
        (None, None) => None,
    };
    if let Some(tip) = tip {
        let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

fn tip_for(table: &[(&[&str], &str)], name: &str) -> Option<String> {
    let found = table.iter().find(|(names, _)| names.contains(&name));
    found.map(|(_, tip)| (*tip).to_owned())
}

/// What is left out is mostly the word `admin`.
fn of_admin(command: &Command, name: &str) -> Option<String> {
    let mut all = command.find_subcommand("admin")?.get_subcommands();
    let meant = all.find(|command| command.get_name() == name.trim_end_matches('s'))?;
    Some(format!("'shop admin {}' is the command", meant.get_name()))
}

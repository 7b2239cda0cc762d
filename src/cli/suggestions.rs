//! Tips for usage errors: what options and commands of other programs are called here.

use clap::{
    Command,
    builder::StyledStr,
    error::{ContextKind, ContextValue},
};

/// Options that other programs have, and the tip for each.
const OPTIONS: [(&[&str], &str); 7] = [
    (
        &["--port", "-p", "--host", "--bind", "--address"],
        "'--listen 127.0.0.1:8080' sets the address and port to listen on",
    ),
    (&["--demo"], "'shop serve --demo' runs a demo shop"),
    (
        &["-v", "--verbose", "--debug", "-q", "--quiet", "--log"],
        "the variable SHOP_LOG sets the log level, e.g. SHOP_LOG=debug",
    ),
    (
        &["--output", "-o", "--format"],
        "'--json' prints results as JSON",
    ),
    (
        &["--password"],
        "other users can read the arguments of a process: use '--password-stdin' to read the password from \
         standard input",
    ),
    (
        &["--email"],
        "the email address is an argument of its own here, without an option",
    ),
    (&["--quantity", "--qty"], "'--stock' sets the quantity"),
];

/// Commands that other programs have, and the tip for each.
const COMMANDS: [(&[&str], &str); 3] = [
    (&["demo"], "'shop serve --demo' runs a demo shop"),
    (
        &["start", "run", "up", "server"],
        "'shop serve' runs the server",
    ),
    (
        &["import", "export"],
        "use 'shop admin product import' or 'shop admin product export'",
    ),
];

/// Adds a tip to a usage error if the mistake is a known one.
pub(super) fn add_suggestion(mut error: clap::Error, command: &Command) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let tip = match (
        text(ContextKind::InvalidSubcommand),
        text(ContextKind::InvalidArg),
    ) {
        (Some(name), _) => admin_command(command, name).or_else(|| find(&COMMANDS, name)),
        (None, Some(name)) => find(&OPTIONS, name),
        (None, None) => None,
    };
    if let Some(tip) = tip {
        let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

fn find(table: &[(&[&str], &str)], name: &str) -> Option<String> {
    let found = table.iter().find(|(names, _)| names.contains(&name));
    found.map(|(_, tip)| (*tip).to_owned())
}

/// Suggests `shop admin NAME` for `shop NAME`, the most common mistake.
fn admin_command(command: &Command, name: &str) -> Option<String> {
    let mut commands = command.find_subcommand("admin")?.get_subcommands();
    let found = commands.find(|command| command.get_name() == name.trim_end_matches('s'))?;
    Some(format!("did you mean 'shop admin {}'?", found.get_name()))
}

//! Prints results to stdout, as text or JSON, and messages to stderr.

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use super::logging;
pub(super) use crate::core::text::escape;
use crate::{
    app::App,
    core::{
        clock::Clock,
        error::{Error, Kind, Result},
        money::Money,
    },
};

/// Prints the results of a command, as JSON if `--json` is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Output {
        Output { json }
    }

    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a text of one or more lines, regardless of the format.
    #[expect(
        clippy::unused_self,
        reason = "all results are printed by methods of this type"
    )]
    pub(super) fn text(self, text: &str) -> Result<()> {
        print_line(&escape_lines(text))
    }

    /// Prints a text for another program as it is.
    #[expect(
        clippy::unused_self,
        reason = "all results are printed by methods of this type"
    )]
    pub(super) fn raw(self, text: &str) -> Result<()> {
        print_line(text.trim_end())
    }

    /// Prints one value as JSON, or else its summary.
    pub(super) fn value(self, value: &impl Serialize, summary: &str) -> Result<()> {
        if self.json {
            print_json(value)
        } else {
            print_line(&escape_lines(summary))
        }
    }

    /// Prints rows as a JSON array, or else as a table.
    pub(super) fn table<T: Serialize>(
        self,
        headings: &[&str],
        rows: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> Result<()> {
        if self.json {
            return print_json(&rows);
        }
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_header(headings);
        for row in rows {
            table.add_row(cells(row).iter().map(|cell| escape(cell)));
        }
        print_line(&table.trim_fmt())
    }
}

fn print_json(value: &impl Serialize) -> Result<()> {
    print_line(&serde_json::to_string_pretty(value).map_err(Error::internal)?)
}

/// Prints a line. A reader that closed the pipe early, such as `| head`, is not an error.
fn print_line(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::internal(error)),
        _ => Ok(()),
    }
}

/// Prints a message to stderr. Ignores write errors: there is nowhere left to report them.
pub(super) fn print_message(text: &str) {
    print_to_stderr("INFO", text);
}

/// Prints a line to stderr, whatever the log's filter. If the log is JSON, the line is, too.
fn print_to_stderr(level: &str, text: &str) {
    let line = if logging::is_json() {
        let (timestamp, fields) = (Clock::system().now(), json!({ "message": text }));
        let line = json!({
            "timestamp": timestamp, "level": level, "fields": fields, "target": "shop::cli"
        });
        line.to_string()
    } else {
        escape(text).into_owned()
    };
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Prints the error of a command that failed.
pub(super) fn print_error(error: &Error) {
    let cause = std::error::Error::source(error)
        .filter(|_| error.kind() == Kind::Internal)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    print_to_stderr("ERROR", &format!("error: {}{cause}", error.detail()));
}

/// Formats an amount with its currency, e.g. `INR 499.00`. JSON has minor units instead.
pub(super) fn format_amount(app: &App, amount: impl Into<Money>) -> String {
    amount.into().format(app.settings().currency)
}

/// Formats a count with its noun, e.g. `1 line`, `2 lines`.
pub(super) fn count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

pub(super) fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn escape_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(escape).collect();
    lines.join("\n")
}

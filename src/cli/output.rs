//! What commands print, for people and for scripts.

use std::{
    borrow::Cow,
    io::{IsTerminal, Write},
};

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::{
    app::App,
    core::{
        error::{Error, Result},
        money::Money,
    },
    infra::config::Config,
};

/// Where a command's results go, and in which form.
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

    /// A text, line breaks included.
    #[expect(
        clippy::unused_self,
        reason = "results go through here, whatever their form"
    )]
    pub(super) fn text(self, text: &str) -> Result<()> {
        line(&escape_lines(text))
    }

    /// One thing: its JSON, or what to say of it.
    pub(super) fn one(self, value: &impl Serialize, words: &str) -> Result<()> {
        if self.json {
            Self::value(value)
        } else {
            line(&escape_lines(words))
        }
    }

    /// Things of one kind: their JSON, or a table.
    pub(super) fn table<T: Serialize>(
        self,
        head: &[&str],
        rows: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> Result<()> {
        if self.json {
            return Self::value(&rows);
        }
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_header(head);
        for row in rows {
            table.add_row(cells(row).iter().map(|cell| escape(cell)));
        }
        line(&table.trim_fmt())
    }

    fn value(value: &impl Serialize) -> Result<()> {
        line(&serde_json::to_string_pretty(value).map_err(Error::internal)?)
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn line(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::internal(error)),
        _ => Ok(()),
    }
}

/// An amount for people, e.g. `INR 499.00`; JSON holds minor units instead.
pub(super) fn amount(app: &App, amount: impl Into<Money>) -> String {
    amount.into().written(app.config.currency)
}

/// Says why a command failed.
pub(super) fn fail(error: &Error) {
    let cause = std::error::Error::source(error)
        .filter(|_| error.kind() == crate::core::error::Kind::Internal)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    note(&format!("error: {}{cause}", error.detail()));
}

/// A text in which no character controls a terminal or reorders what it shows: texts of customers and of
/// other servers must not move the cursor, hide a line or forge one. JSON is escaped by its own rules.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_control(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// As [`escape`], for a text of several lines.
fn escape_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(escape).collect();
    lines.join("\n")
}

/// Format characters join the letters of some scripts, so only those are escaped that set a direction.
fn is_control(c: char) -> bool {
    const DIRECTIONS: [char; 12] = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
    ];
    const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];
    c.is_control() || DIRECTIONS.contains(&c) || LINE_ENDS.contains(&c)
}

/// Says something beside the results. Where nobody reads it, there is nobody else to tell.
pub(super) fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", escape(text)));
}

/// A bar that shows how far a long command is; nothing where nobody looks.
pub(super) fn progress(length: u64, what: &'static str) -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    let bar = indicatif::ProgressBar::new(length).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// As [`progress`], where nobody knows how long it is.
pub(super) fn counter(what: &'static str) -> indicatif::ProgressBar {
    let counter = indicatif::ProgressBar::no_length().with_message(what);
    match indicatif::ProgressStyle::with_template("{spinner} {msg} {pos}") {
        Ok(style) => counter.with_style(style),
        Err(_) => counter,
    }
}

/// Starts the log on stderr.
pub(super) fn start_log(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|e| Error::config(format!("`log` must be a filter, as `info`: {e}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Whoever read the log may be gone. It would be said there, too, which ends in a panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = if config.log_as_json {
        log.json().try_init()
    } else {
        log.try_init()
    };
    started.map_err(Error::internal)
}

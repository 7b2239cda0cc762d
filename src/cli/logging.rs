//! Sets up the log, which is written to stderr, one line for each event.
//!
//! A command writes each line itself. A server must not wait for whoever reads its stderr, so a thread writes the
//! lines, and drops some if the reader is too slow.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    borrow::Cow,
    io::{self, IsTerminal, Write},
    panic::PanicHookInfo,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    core::{
        error::{Error, Result},
        text::escape,
    },
    infra::{
        config::{Config, LogFormat},
        traces::{NOT_IN_LOG, Traces},
    },
    server::metrics::LOG_LINES_DROPPED,
};

/// How many lines wait for the reader of stderr before further ones are dropped: a few MiB.
const MAX_WAITING_LINES: usize = 8192;

/// How often dropped lines are reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The format of the installed log.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The thread that writes the lines of a server. Dropping it writes the waiting ones.
static BACKGROUND: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Whether the log is JSON. `false` before it is installed.
pub(super) fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// The installed log. Dropping it writes the waiting lines.
pub(super) struct Log {
    dropped: Option<ErrorCounter>,
    traces: Option<Traces>,
}

impl Log {
    /// Installs the global log subscriber, logs panics, and starts to export the traces of a server.
    ///
    /// Errors: `Config` if the setting `log` is not a valid filter.
    pub(super) fn install(config: &Config, is_server: bool, runtime: &Handle) -> Result<Log> {
        let filter = EnvFilter::try_new(&config.log)
            .map_err(|e| Error::config(format!("`log` must be a filter, e.g. `info`: {e}")))?
            .add_directive(NOT_IN_LOG.parse().map_err(Error::internal)?);
        let collector = config.otlp_url.as_ref().filter(|_| is_server);
        let traces = collector.map(|url| Traces::start(url, runtime.clone()));
        let traces = traces.transpose()?;
        let is_json = config.log_format == LogFormat::Json;
        let is_colored = io::stderr().is_terminal() && !is_json;
        let background = is_server.then(|| {
            NonBlockingBuilder::default()
                .buffered_lines_limit(MAX_WAITING_LINES)
                .thread_name("log")
                .finish(io::stderr())
        });
        let (background, guard) = background.unzip();
        let dropped = background.as_ref().map(NonBlocking::error_counter);
        let writer = LogWriter {
            background,
            is_json,
            is_colored,
        };
        // Without traces one filter is enough: filters of single layers cost each event more.
        match &traces {
            Some(traces) => tracing_subscriber::registry()
                .with(traces.layer())
                .with(lines(writer).with_filter(filter))
                .try_init(),
            None => tracing_subscriber::registry()
                .with(filter)
                .with(lines(writer))
                .try_init(),
        }
        .map_err(Error::internal)?;
        let _ = FORMAT.set(config.log_format);
        *lock() = guard;
        std::panic::set_hook(Box::new(log_panic));
        Ok(Log { dropped, traces })
    }

    /// Sends the last traces. The runtime must still be running.
    pub(super) fn end_traces(&self) {
        if let Some(traces) = &self.traces {
            traces.end();
        }
    }

    /// Reports dropped lines until the process ends.
    pub(super) fn report_dropped_lines(&self) {
        let Some(counter) = self.dropped.clone() else {
            return;
        };
        tokio::spawn(async move {
            let mut reported = 0;
            let mut timer = tokio::time::interval(REPORT_INTERVAL);
            loop {
                timer.tick().await;
                let dropped = counter.dropped_lines();
                let total = u64::try_from(dropped).unwrap_or(u64::MAX);
                LOG_LINES_DROPPED.counter([]).absolute(total);
                if dropped > reported {
                    tracing::warn!(
                        count = dropped - reported,
                        "dropped lines of the log, since stderr is read too slowly"
                    );
                    reported = dropped;
                }
            }
        });
    }
}

/// Returns the layer that writes the lines.
fn lines<S>(writer: LogWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let (is_json, is_colored) = (writer.is_json, writer.is_colored);
    let lines = tracing_subscriber::fmt::layer()
        // Reporting that stderr is closed would write to stderr as well, and panic.
        .log_internal_errors(false)
        .with_writer(writer)
        .with_ansi(is_colored);
    if is_json {
        lines.json().boxed()
    } else {
        lines.boxed()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        flush();
    }
}

/// Writes the waiting lines, before the process ends. It waits a second at most. Later lines are lost.
pub(super) fn flush() {
    drop(lock().take());
}

fn lock() -> std::sync::MutexGuard<'static, Option<WorkerGuard>> {
    BACKGROUND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs a panic, instead of the standard hook's several lines without a timestamp.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        target: "shop::panic",
        location = panic.location().map(tracing::field::display),
        thread = std::thread::current().name(),
        backtrace = is_captured.then(|| tracing::field::display(backtrace)),
        "panicked: {}",
        panic.payload_as_str().unwrap_or("no message")
    );
}

/// Writes each event as one line.
struct LogWriter {
    /// `None` writes directly to stderr.
    background: Option<NonBlocking>,
    is_json: bool,
    is_colored: bool,
}

impl LogWriter {
    /// Returns the line without control characters, but the newline at its end: the text of a client or another
    /// server must not forge a line. JSON has its own escapes.
    fn one_line<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if self.is_json || text.iter().all(is_plain) {
            return Cow::Borrowed(line);
        }
        let text = String::from_utf8_lossy(text);
        let escaped = if self.is_colored {
            // The formatter itself escapes this character in texts, and uses it for colours.
            let parts: Vec<_> = text.split('\u{1b}').map(escape).collect();
            parts.join("\u{1b}")
        } else {
            escape(&text).into_owned()
        };
        Cow::Owned((escaped + "\n").into_bytes())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(self)
    }
}

/// Takes the whole line of an event at once, as the formatter writes it.
struct LineWriter<'a>(&'a LogWriter);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = self.0.one_line(line);
        match &self.0.background {
            Some(background) => background.clone().write_all(&text)?,
            None => io::stderr().write_all(&text)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

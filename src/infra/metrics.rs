//! Declares metrics, and records them for Prometheus.
//!
//! Recording does nothing until [`install`] has been called, which only a server with a metrics listener does. The
//! label values of a metric must be bounded: route templates, states, kinds; never what a client sends.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, Label, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::core::error::{Error, Result};

/// The declaration of a metric. Its name ends with its unit, and a counter's with `_total`
/// (<https://prometheus.io/docs/practices/naming/>).
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// With the upper bounds of the buckets.
    Histogram(&'static [f64]),
}

/// Bounds of durations from a fraction of a millisecond to ten seconds.
pub const DURATIONS: MetricKind = MetricKind::Histogram(&[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);

pub static WRITE_GROUP_SIZE: Metric = Metric {
    name: "shop_write_group_size",
    kind: MetricKind::Histogram(&[
        1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0, 128.0, 256.0,
    ]),
    labels: &[],
    help: "Operations of one commit (SQLite).",
};

pub static COMMIT_DURATION: Metric = Metric {
    name: "shop_commit_duration_seconds",
    kind: DURATIONS,
    labels: &[],
    help: "Duration of a commit until it is durable: of a group (SQLite), or of one write (Postgres).",
};

pub static CHECKPOINT_DURATION: Metric = Metric {
    name: "shop_checkpoint_duration_seconds",
    kind: DURATIONS,
    labels: &[],
    help: "Duration of a WAL checkpoint (SQLite).",
};

/// The metrics that infrastructure records.
pub static STORAGE: &[&Metric] = &[&WRITE_GROUP_SIZE, &COMMIT_DURATION, &CHECKPOINT_DURATION];

static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Begins to record the metrics. Must be called before what records them is created.
pub fn install(metrics: &[&Metric]) -> Result<()> {
    let mut builder = PrometheusBuilder::new();
    for metric in metrics {
        if let MetricKind::Histogram(bounds) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, bounds)
                .map_err(Error::internal)?;
        }
    }
    let exporter = builder.install_recorder().map_err(Error::internal)?;
    for metric in metrics {
        metric.describe();
        // A counter that does not exist until it counts hides its first increase.
        if metric.kind == MetricKind::Counter && metric.labels.is_empty() {
            metric.counter([]).increment(0);
        }
    }
    // Installing it twice has failed above.
    let _ = EXPORTER.set(exporter);
    Ok(())
}

/// Whether metrics are recorded.
pub fn is_installed() -> bool {
    EXPORTER.get().is_some()
}

/// Moves the recorded durations and sizes into their buckets. Until then, each takes memory.
pub fn drain() {
    if let Some(exporter) = EXPORTER.get() {
        exporter.run_upkeep();
    }
}

/// Returns all metrics in the text format of Prometheus.
pub fn render() -> String {
    EXPORTER
        .get()
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

impl Metric {
    fn describe(&self) {
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(self.name, self.help),
            MetricKind::Gauge => metrics::describe_gauge!(self.name, self.help),
            MetricKind::Histogram(_) => metrics::describe_histogram!(self.name, self.help),
        }
    }

    /// Returns the counter with these label values, in the order of [`Metric::labels`]; likewise the next two. A caller
    /// that records often should keep it.
    pub fn counter<const N: usize>(&self, labels: [SharedString; N]) -> Counter {
        metrics::counter!(self.name, self.with(labels))
    }

    pub fn gauge<const N: usize>(&self, labels: [SharedString; N]) -> Gauge {
        metrics::gauge!(self.name, self.with(labels))
    }

    pub fn histogram<const N: usize>(&self, labels: [SharedString; N]) -> Histogram {
        metrics::histogram!(self.name, self.with(labels))
    }

    fn with<const N: usize>(&self, values: [SharedString; N]) -> Vec<Label> {
        let pairs = self.labels.iter().zip(values);
        pairs
            .map(|(name, value)| Label::new(*name, value))
            .collect()
    }
}

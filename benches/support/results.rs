//! The results of all benchmarks: rows of one table, kept in a JSON file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use shop::core::clock::Clock;

use super::Measurement;

/// One result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) per_second: Option<f64>,
    pub(crate) p50_micros: Option<u32>,
    pub(crate) p99_micros: Option<u32>,
    /// What the work is compared to, with its figures of the same run.
    pub(crate) limit: String,
    pub(crate) value: f64,
    /// The unit of `value` and of the goal; `×` for ratios to the limit.
    pub(crate) unit: String,
    pub(crate) goal: Option<Goal>,
    pub(crate) measured_at: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Row {
    /// A ratio to a limit.
    pub(crate) fn ratio(work: impl Into<String>, ratio: f64, limit: impl Into<String>) -> Row {
        Row {
            limit: limit.into(),
            ..Row::value(work, ratio, "×")
        }
    }

    /// A value with a unit.
    pub(crate) fn value(work: impl Into<String>, value: f64, unit: &str) -> Row {
        Row {
            work: work.into(),
            per_second: None,
            p50_micros: None,
            p99_micros: None,
            limit: String::new(),
            value,
            unit: unit.to_owned(),
            goal: None,
            measured_at: Clock::system().now().to_string(),
        }
    }

    /// Adds the figures of the last round.
    pub(crate) fn with(self, measurement: &Measurement) -> Row {
        Row {
            per_second: Some(measurement.per_second),
            p50_micros: Some(measurement.p50_micros),
            p99_micros: Some(measurement.p99_micros),
            ..self
        }
    }

    /// Sets the goal, if there is one; likewise the next function.
    pub(crate) fn at_least(self, goal: impl Into<Option<f64>>) -> Row {
        let goal = goal.into().map(Goal::AtLeast);
        Row { goal, ..self }
    }

    pub(crate) fn at_most(self, goal: impl Into<Option<f64>>) -> Row {
        let goal = goal.into().map(Goal::AtMost);
        Row { goal, ..self }
    }

    /// Returns whether the goal is met; `None` if there is none.
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::AtLeast(goal) => self.value >= goal,
            Goal::AtMost(goal) => self.value <= goal,
        })
    }

    /// Stores the row instead of an earlier one about the same work.
    pub(crate) fn record(self) {
        let mut rows = read();
        match rows.iter_mut().find(|row| row.work == self.work) {
            Some(row) => *row = self,
            None => rows.push(self),
        }
        let text = serde_json::to_vec_pretty(&rows).expect("rows are JSON");
        fs::write(path(), text).expect("the results can be written");
    }
}

/// Returns the file of the results.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("benchmarks.json")
}

/// Returns the results so far.
pub(crate) fn read() -> Vec<Row> {
    match fs::read(path()) {
        Ok(text) => serde_json::from_slice(&text).expect("the results are JSON"),
        Err(_) => Vec::new(),
    }
}

//! Findings of `shop verify`, the integrity check of the stored data: which row breaks which rule.
//!
//! Repair never guesses. Only a value that other rows determine is repairable; everything else needs
//! an operator.

use serde::Serialize;
use uuid::Uuid;

/// The maximum number of reported findings per check.
pub const MAX_FINDINGS: usize = 1000;

/// The `LIMIT` of a check's query: one more than [`MAX_FINDINGS`], to detect that there are more.
pub const FINDINGS_QUERY_LIMIT: i64 = 1001;

/// A row that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check in kebab-case, e.g. `order-total`.
    pub check: &'static str,
    /// The row, e.g. `product 0190…`.
    pub row: String,
    /// The actual value, the expected value, and what an operator can do.
    #[serde(rename = "says")]
    pub message: String,
    pub repaired: bool,
    /// Set if `--repair` can fix the row automatically.
    #[serde(skip)]
    pub repairable: Option<Repairable>,
}

/// A row whose correct content can be derived from other data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repairable {
    /// The single row that the check covers.
    Only,
    Row(Uuid),
}

impl Finding {
    /// Returns a finding that is not repairable. [`Findings::record`] sets its check.
    pub fn new(row: String, message: String) -> Finding {
        Finding {
            check: "",
            row,
            message,
            repaired: false,
            repairable: None,
        }
    }

    /// Marks the finding as repairable.
    #[must_use]
    pub fn repairable(self, by: Repairable) -> Finding {
        Finding {
            repairable: Some(by),
            ..self
        }
    }

    /// Returns the id of the row if the finding is repairable and belongs to `check`.
    pub fn repairable_row(&self, check: &str) -> Option<Uuid> {
        match self.repairable {
            Some(Repairable::Row(id)) if self.check == check => Some(id),
            _ => None,
        }
    }
}

/// The findings of all checks.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The number of checks that ran.
    pub checks: usize,
    pub all: Vec<Finding>,
    /// The checks with more findings than reported.
    pub truncated: Vec<&'static str>,
}

impl Findings {
    /// Adds the findings of one check.
    pub fn record(&mut self, check: &'static str, found: impl IntoIterator<Item = Finding>) {
        let mut found = found.into_iter();
        let reported = found.by_ref().take(MAX_FINDINGS);
        self.all
            .extend(reported.map(|finding| Finding { check, ..finding }));
        self.checks += 1;
        if found.next().is_some() {
            self.truncated.push(check);
        }
    }
}

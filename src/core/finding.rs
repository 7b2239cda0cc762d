//! What a shop's check of its own data tells: which row breaks which rule. It must never guess; what
//! cannot be told from the rows alone is for a person.

use serde::Serialize;
use uuid::Uuid;

/// How many findings of one check are told.
pub const MOST: usize = 1000;

/// How many rows a check asks for: one more tells that there are more.
pub const ASKED: i64 = 1001;

/// A row that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In kebab-case, as `order-total`.
    pub check: &'static str,
    /// The row in words, as `product 0190…`.
    pub row: String,
    /// What is, what should be, and what a person can do.
    pub says: String,
    pub repaired: bool,
    /// What can be mended without a person.
    #[serde(skip)]
    pub mendable: Option<Mendable>,
}

/// A row that the rest of the data tells the right content of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mendable {
    /// The only one of its check.
    Only,
    Row(Uuid),
}

impl Finding {
    /// One for a person; its check is told by [`Findings::enter`].
    pub fn about(row: String, says: String) -> Finding {
        Finding {
            check: "",
            row,
            says,
            repaired: false,
            mendable: None,
        }
    }

    #[must_use]
    pub fn mendable(self, by: Mendable) -> Finding {
        Finding {
            mendable: Some(by),
            ..self
        }
    }

    /// The row's id, if this is a finding of that check which can be mended.
    pub fn row_to_mend(&self, check: &str) -> Option<Uuid> {
        match self.mendable {
            Some(Mendable::Row(id)) if self.check == check => Some(id),
            _ => None,
        }
    }
}

/// What all checks came to.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// How many checks were made.
    pub checks: usize,
    pub all: Vec<Finding>,
    /// The checks that found more than is told.
    pub cut: Vec<&'static str>,
}

impl Findings {
    /// Enters what a check found.
    pub fn enter(&mut self, check: &'static str, found: impl IntoIterator<Item = Finding>) {
        let mut found = found.into_iter();
        let told = found.by_ref().take(MOST);
        self.all
            .extend(told.map(|finding| Finding { check, ..finding }));
        self.checks += 1;
        if found.next().is_some() {
            self.cut.push(check);
        }
    }
}

//! The filters of an order list.

use super::Status;
use crate::core::{clock::Timestamp, id::UserId};

/// An order must match every filter that is set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filters {
    pub user: Option<UserId>,
    pub status: Option<Status>,
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
}

impl Filters {
    /// Returns a text that is equal for equal filters. A cursor is valid only within its scope.
    pub fn scope(&self) -> String {
        format!("orders {self:?}")
    }
}

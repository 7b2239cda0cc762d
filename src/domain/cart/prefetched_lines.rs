//! Reads cart lines.

use super::{CartOwner, Line, line::oldest_first, store};
use crate::{
    core::error::Result,
    infra::db::{Prefetched, Tx},
};

/// The lines of a cart, prefetched. Those of deleted variants are left out.
pub struct PrefetchedLines(Prefetched<Vec<store::LineRow>>);

impl PrefetchedLines {
    /// Returns the lines, oldest first.
    pub fn result(self, tx: &mut Tx<'_>) -> Result<Vec<Line>> {
        let settings = tx.settings();
        let rows = tx.result(self.0)?.into_iter();
        let lines = rows.map(|row| Line::new(row.variant, row.quantity, row.added_at, settings));
        lines.collect::<Result<_>>().map(oldest_first)
    }
}

/// Prefetches the lines of a cart.
pub(super) fn prefetch_lines(tx: &mut Tx<'_>, owner: CartOwner) -> Result<PrefetchedLines> {
    store::prefetch_lines(tx, owner.cart(), false).map(PrefetchedLines)
}

/// Prefetches the lines of a cart, and locks the products until the transaction ends.
pub fn prefetch_lines_for_update(tx: &mut Tx<'_>, owner: CartOwner) -> Result<PrefetchedLines> {
    store::prefetch_lines(tx, owner.cart(), true).map(PrefetchedLines)
}

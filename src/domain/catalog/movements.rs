//! Lists stock movements.

use uuid::Uuid;

use super::{stock::RecordedMovement, store};
use crate::{
    core::{
        error::Result,
        id::ProductId,
        pagination::{CursorPage, CursorRequest, Position, SortKey},
    },
    infra::db::Tx,
};

/// Returns the movements after a cursor, newest first; of one product, or of all.
pub fn movements(
    tx: &mut Tx<'_>,
    product: Option<ProductId>,
    request: &CursorRequest,
) -> Result<CursorPage<RecordedMovement>> {
    let after = request.after.as_ref().map(|position| position.id);
    let before = after.unwrap_or(Uuid::max());
    let data = store::movements_before(tx, product, before, request.read_limit())?;
    request.page(data, |movement| Position {
        key: SortKey::Number(movement.at.0),
        id: movement.id,
        is_similar: false,
    })
}

//! Reads carts.

use super::{Cart, Line, line::oldest_first, store};
use crate::{
    app::App,
    core::{error::Result, id::UserId},
    domain::accounts::CurrentUser,
    infra::db::Tx,
};

/// Returns the lines of a cart, oldest first, without deleted products.
pub(super) fn lines(tx: &mut Tx<'_>, app: &App, user: UserId) -> Result<Vec<Line>> {
    store::lines(tx, app, user, false).map(oldest_first)
}

/// Returns the lines of a cart, oldest first, and locks their products until the transaction ends.
pub fn lines_for_update(tx: &mut Tx<'_>, app: &App, user: UserId) -> Result<Vec<Line>> {
    store::lines(tx, app, user, true).map(oldest_first)
}

/// Returns the user's cart.
pub fn show(tx: &mut Tx<'_>, app: &App, user: CurrentUser) -> Result<Cart> {
    let lines = lines(tx, app, user.user)?;
    Cart::new(app, lines)
}

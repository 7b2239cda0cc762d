//! Reads carts.

use super::{Cart, lines::queue_lines};
use crate::{app::App, core::error::Result, domain::accounts::CurrentUser, infra::db::Tx};

/// Returns the user's cart.
pub fn show(tx: &mut Tx<'_>, app: &App, user: CurrentUser) -> Result<Cart> {
    let lines = queue_lines(tx, user.user)?.get(tx, app)?;
    Cart::new(app, lines)
}

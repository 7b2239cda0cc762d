//! Whose cart it is.

use crate::core::id::{CartId, UserId};

/// The owner of a cart.
#[derive(Debug, Clone, Copy)]
pub enum CartOwner {
    Account(UserId),
    /// Has the token of this cart.
    Guest(CartId),
}

impl CartOwner {
    /// Returns the id of the cart. That of an account has the id of the account, so that its lines can be read without
    /// the cart.
    pub(super) fn cart(self) -> CartId {
        match self {
            CartOwner::Account(user) => CartId(user.0),
            CartOwner::Guest(cart) => cart,
        }
    }
}

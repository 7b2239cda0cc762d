//! Carts: one for each customer, kept until ordered, at current prices.

mod add;
mod change;
pub mod http;
mod limits;
mod line;
mod show;
mod store;
mod view;

pub use self::{
    add::{add, add_at_once},
    change::{clear, remove, set},
    line::{Line, total},
    show::{lines_for_update, show},
    view::{Cart, CartItem, CartProduct},
};

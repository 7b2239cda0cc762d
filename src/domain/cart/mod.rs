//! Carts: one for each customer, kept until ordered, at current prices.

mod add;
mod change;
pub mod http;
mod limits;
mod line;
mod queued_lines;
mod show;
mod store;
mod view;

pub use self::{
    add::{Addition, add},
    change::{clear, remove, set_quantity},
    line::{Line, total},
    queued_lines::{QueuedLines, queue_lines_for_update},
    show::show,
    view::{Cart, CartItem, CartProduct},
};

//! Carts: one for each customer, kept until ordered, at current prices.

mod add;
mod change;
pub mod http;
mod limits;
mod line;
mod prefetched_lines;
mod show;
mod store;
mod view;

pub use self::{
    add::{Addition, Selection, add},
    change::{clear, remove, set_quantity},
    line::{Line, total},
    prefetched_lines::{PrefetchedLines, prefetch_lines_for_update},
    show::show,
    view::{Cart, CartItem, CartProduct, CartVariant},
};

//! Carts: one for each customer, kept until ordered, at current prices. Guests have carts, too, until they sign in.

mod add;
mod change;
mod guest;
pub mod http;
mod limits;
mod line;
mod merge;
mod owner;
mod prefetched_lines;
pub mod rate_limit_classes;
mod show;
mod store;
mod verify;
mod view;

pub use self::{
    add::{Addition, Selection, add},
    change::{clear, remove, set_quantity},
    guest::{CartToken, delete_expired_guest_carts},
    line::{Line, total},
    merge::{MergeOutcome, MergeStrategy, MergedLine, merge, merge_if_found},
    owner::CartOwner,
    prefetched_lines::{PrefetchedLines, prefetch_lines_for_update},
    show::show,
    verify::verify,
    view::{Cart, CartItem, CartProduct, CartVariant},
};

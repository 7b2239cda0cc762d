//! Orders: placed in one transaction, moved by one transition table, never deleted.
//!
//! Money is not handled here: `payments` keeps each order's payment, and `settlement` applies its changes to
//! the order.

mod filters;
mod find;
pub mod http;
mod list;
mod new_order;
mod notifications;
mod number;
mod order;
mod place;
pub mod problems;
mod status;
mod store;
mod transition;
mod verify;

pub use self::{
    filters::Filters,
    find::{counts, order, order_by_name, status_of, unpaid_before},
    list::list,
    new_order::NewOrder,
    notifications::notify_refunded,
    number::OrderNumber,
    order::{Order, OrderItem, first_id},
    place::place,
    status::{Actor, Status, TRANSITIONS, diagram, transitions_table},
    transition::{mark_refunded, transition},
    verify::verify,
};

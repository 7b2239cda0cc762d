//! The routes that move money: pay, refund, webhook.

mod admin;
mod customer;
mod webhook;

pub use self::webhook::WEBHOOK_PATH;
use utoipa_axum::routes;

use crate::app::Routes;

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(customer::pay_order))
        .routes(routes!(admin::refund_order))
        .routes(routes!(webhook::receive_webhook))
}

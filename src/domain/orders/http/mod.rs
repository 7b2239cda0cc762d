//! The routes of orders, and the webhook that moves them.

mod admin;
mod own;
mod webhook;

use utoipa_axum::routes;

use super::Status;
use crate::{
    app::Routes,
    core::error::{Error, Kind, Result},
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(own::list_orders, own::place_order))
        .routes(routes!(own::get_order))
        .routes(routes!(own::pay_order))
        .routes(routes!(own::cancel_order))
        .routes(routes!(admin::list_all_orders))
        .routes(routes!(admin::get_any_order, admin::update_order))
        .routes(routes!(admin::refund_order))
        .routes(routes!(webhook::receive_webhook))
}

fn status_of_query(text: &str) -> Result<Status> {
    Status::parse(text).ok_or_else(|| {
        let names: Vec<_> = Status::ALL
            .iter()
            .map(|s| format!("`{}`", s.as_str()))
            .collect();
        Error::new(
            Kind::InvalidQuery,
            format!("`status` must be one of {}", names.join(", ")),
        )
    })
}

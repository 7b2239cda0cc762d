//! The routes of orders. Those that move money are in `settlement`.

mod admin;
mod customer;

use utoipa_axum::routes;

use super::Status;
use crate::{app::Routes, core::error::Result, infra::web::extract::not_one_of};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(customer::list_orders, customer::place_order))
        .routes(routes!(customer::get_order))
        .routes(routes!(customer::cancel_order))
        .routes(routes!(admin::list_all_orders))
        .routes(routes!(admin::get_any_order, admin::update_order))
}

fn parse_status(text: &str) -> Result<Status> {
    let names = Status::ALL.iter().map(|status| status.as_str());
    text.parse().map_err(|_| not_one_of("status", names))
}

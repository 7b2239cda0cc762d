//! The routes of orders. Those that move money are in `settlement`.

mod admin;
mod customer;

use serde::Deserializer;
use utoipa_axum::routes;

use super::Status;
use crate::{
    app::Routes,
    infra::web::extract::{one_of, parse_with},
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(customer::list_orders, customer::place_order))
        .routes(routes!(customer::get_order))
        .routes(routes!(customer::cancel_order))
        .routes(routes!(admin::list_all_orders))
        .routes(routes!(admin::get_any_order, admin::update_order))
}

/// Deserialises the filter by status.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    let names = || Status::ALL.iter().map(|status| status.as_str());
    parse_with(deserializer, |text| {
        text.parse().map_err(|_| one_of(names()))
    })
}

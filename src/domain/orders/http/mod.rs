//! The routes of orders. Those that move money are in `settlement`.

mod admin;
mod customer;

use utoipa_axum::routes;

use super::Status;
use crate::{
    app::Routes,
    core::error::{Error, Kind, Result},
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(customer::list_orders, customer::place_order))
        .routes(routes!(customer::get_order))
        .routes(routes!(customer::cancel_order))
        .routes(routes!(admin::list_all_orders))
        .routes(routes!(admin::get_any_order, admin::update_order))
}

fn parse_status(text: &str) -> Result<Status> {
    text.parse().map_err(|_| {
        let names: Vec<_> = Status::ALL
            .iter()
            .map(|status| format!("`{}`", status.as_str()))
            .collect();
        let detail = format!("`status` must be one of {}", names.join(", "));
        Error::new(Kind::InvalidQuery, detail)
    })
}

//! Requests to carts, orders and payments.

use http::Method;

use super::{
    catalog::{add_pagination, query_string, with_idempotency_key},
    state::{Request, State},
};
use crate::conformance::rng::{NUMBERS, json_object, percent_encode};

fn quantity(state: &mut State) -> String {
    match state.rng.below(12) {
        0 => state.rng.pick(NUMBERS).to_owned(),
        1 => "1000".to_owned(),
        _ => state.rng.between(1, 4).to_string(),
    }
}

pub(super) fn cart(state: &mut State) -> Request {
    let user = state.customer();
    let token = state.users[user].token.clone();
    let in_cart = state.users[user].cart.0.clone();
    of_cart(state, &in_cart).bearer(&token)
}

/// Returns a request to the cart of a guest, or a merge.
pub(super) fn guest_cart(state: &mut State) -> Request {
    let token = match state.rng.below(12) {
        0 => state.rng.text(),
        _ => state.rng.choose(&state.cart_tokens).unwrap_or_default(),
    };
    match state.rng.below(6) {
        0 => Request::new(Method::POST, "/carts").json("{}"),
        1 => {
            let user = state.customer();
            let mut members = vec![("cartToken", state.rng.json_text(&token))];
            if state.rng.one_in(2) {
                let strategy = state.rng.pick(&["SUM", "REPLACE", "sum"]);
                members.push(("strategy", format!("\"{strategy}\"")));
            }
            let request = Request::new(Method::POST, "/cart/merge").json(json_object(&members));
            request.bearer(&state.users[user].token.clone())
        }
        _ => {
            let token = token.replace(|c: char| c.is_control(), "");
            of_cart(state, &[]).header("cart-token", token)
        }
    }
}

/// Returns a request to a cart with these items, without a token.
fn of_cart(state: &mut State, in_cart: &[String]) -> Request {
    let product = state.product_id();
    let in_cart = state.rng.choose(in_cart);
    let item = match in_cart {
        Some(id) if !state.rng.one_in(4) => format!("/cart/items/{id}"),
        _ => format!("/cart/items/{product}"),
    };
    match state.rng.below(14) {
        0 | 1 => Request::get("/cart"),
        2 | 13 => {
            let body = json_object(&[("quantity", quantity(state))]);
            Request::new(Method::PATCH, &item).json(body)
        }
        3 => Request::new(Method::DELETE, &item),
        4 if state.rng.one_in(4) => Request::new(Method::DELETE, "/cart"),
        _ => {
            let mut members = vec![match state.rng.below(3) {
                0 => ("variantId", format!("\"{}\"", state.variant_id())),
                _ => ("productId", format!("\"{product}\"")),
            }];
            if !state.rng.one_in(4) {
                members.push(("quantity", quantity(state)));
            }
            if state.rng.one_in(40) {
                members.push(("price", "1".to_owned()));
            }
            Request::new(Method::POST, "/cart").json(json_object(&members))
        }
    }
}

pub(super) fn checkout(state: &mut State) -> Request {
    let user = state.customer();
    let token = state.users[user].token.clone();
    let request = Request::new(Method::POST, "/orders").bearer(&token);
    let shown = state.users[user].cart.1;
    let request = match state.rng.below(20) {
        0 => request.json("{}"),
        1..=4 => request.json(json_object(&[("expectedTotal", shown.to_string())])),
        5 => request.json(json_object(&[("expectedTotal", (shown + 1).to_string())])),
        6 => {
            let number = state.rng.pick(NUMBERS).to_owned();
            request.json(json_object(&[("expectedTotal", number)]))
        }
        7 => request.json("[]"),
        8 => request.body("{}"),
        _ => request,
    };
    with_idempotency_key(state, request)
}

/// Returns the path of an order below `base`, and an access token, usually that of its customer.
fn order_path(state: &mut State, base: &str) -> (String, String) {
    // Usually a recent one, whose status can still change.
    let recent = &state.orders[state.orders.len().saturating_sub(8)..];
    let orders = if state.rng.one_in(3) {
        &state.orders
    } else {
        recent
    };
    let Some(order) = state.rng.choose(orders) else {
        let token = state.users[0].token.clone();
        return (format!("{base}/{}", state.unusual_id()), token);
    };
    let id = if state.rng.one_in(25) {
        state.unusual_id()
    } else {
        order["id"].as_str().unwrap().to_owned()
    };
    let owner = state
        .users
        .iter()
        .find(|user| order["userId"] == user.id.as_str());
    let owner = owner.map(|user| user.token.clone()).unwrap_or_default();
    let token = if state.rng.one_in(12) {
        let user = state.customer();
        state.users[user].token.clone()
    } else {
        owner
    };
    (format!("{base}/{id}"), token)
}

pub(super) fn orders(state: &mut State) -> Request {
    let (path, token) = order_path(state, "/orders");
    match state.rng.below(10) {
        0..=2 => Request::get(&path).bearer(&token),
        3..=5 => {
            let mut query = Vec::new();
            add_status_filter(state, &mut query);
            add_pagination(state, &mut query);
            let query = query_string(state, &query);
            Request::get(&format!("/orders{query}")).bearer(&token)
        }
        6..=7 => Request::new(Method::POST, &format!("{path}/pay")).bearer(&token),
        _ => Request::new(Method::POST, &format!("{path}/cancel")).bearer(&token),
    }
}

const STATUSES: [&str; 8] = [
    "PENDING",
    "PAID",
    "SHIPPED",
    "DELIVERED",
    "CANCELLED",
    "REFUNDED",
    "paid",
    "LOST",
];

fn add_status_filter(state: &mut State, query: &mut Vec<(&str, String)>) {
    if state.rng.one_in(2) {
        let status = match state.rng.below(12) {
            0 => percent_encode(&state.rng.text()),
            _ => state.rng.pick(&STATUSES).to_owned(),
        };
        query.push(("status", status));
    }
}

/// Timestamps near the time of the test, distant ones, and invalid ones.
pub(super) const TIMESTAMPS: [&str; 12] = [
    "2026-01-31T12:00:00Z",
    "2026-01-31T12:20:00Z",
    "2026-02-01T00:00:00%2B05:30",
    "2026-02-02T00:00:00Z",
    "2026-03-01T00:00:00.123456789Z",
    "1969-12-31T23:59:59Z",
    "-009999-01-02T01:59:59Z",
    "9999-12-30T22:00:00Z",
    "10000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-31",
    "%00",
];

pub(super) fn admin_orders(state: &mut State) -> Request {
    let token = state.admin();
    let (path, _) = order_path(state, "/admin/orders");
    match state.rng.below(14) {
        0 | 1 => Request::get(&path).bearer(&token),
        10..=13 => refund(state, &format!("{path}/refund"), &token),
        2..=4 => {
            let mut query = Vec::new();
            add_status_filter(state, &mut query);
            if state.rng.one_in(4) {
                let user = if state.rng.one_in(4) {
                    state.unusual_id()
                } else {
                    let user = state.customer();
                    state.users[user].id.clone()
                };
                query.push(("userId", user));
            }
            for name in ["from", "to"] {
                if state.rng.one_in(4) {
                    query.push((name, state.rng.pick(&TIMESTAMPS).to_owned()));
                }
            }
            add_pagination(state, &mut query);
            let query = query_string(state, &query);
            Request::get(&format!("/admin/orders{query}")).bearer(&token)
        }
        _ => {
            let status = match state.rng.below(16) {
                0 => state.rng.pick(NUMBERS).to_owned(),
                1..=5 => format!("\"{}\"", state.rng.pick(&STATUSES)),
                index => format!("\"{}\"", ["SHIPPED", "DELIVERED"][index % 2]),
            };
            let body = json_object(&[("status", status)]);
            Request::new(Method::PATCH, &path).bearer(&token).json(body)
        }
    }
}

fn refund(state: &mut State, path: &str, token: &str) -> Request {
    let mut members = Vec::new();
    match state.rng.below(12) {
        0 => members.push(("amount", state.rng.pick(NUMBERS).to_owned())),
        1..=5 => members.push(("amount", state.rng.between(1, 2000).to_string())),
        _ => {}
    }
    match state.rng.below(12) {
        0 => members.push(("restock", state.rng.pick(NUMBERS).to_owned())),
        1..=5 => members.push(("restock", "true".to_owned())),
        _ => {}
    }
    let request = Request::new(Method::POST, path).bearer(token);
    let request = if members.is_empty() {
        request
    } else {
        request.json(json_object(&members))
    };
    with_idempotency_key(state, request)
}

pub(super) fn payments(state: &mut State) -> Request {
    let token = state.admin();
    if state.rng.one_in(3) {
        let known = state.rng.choose(&state.payments);
        let id = known.unwrap_or_else(|| state.unusual_id());
        let note = state.rng.pick(&["paid out", "a test", "", "\\u0000"]);
        let body = json_object(&[("note", format!("\"{note}\""))]);
        let path = format!("/admin/payments/{id}/resolve");
        return Request::new(Method::POST, &path).bearer(&token).json(body);
    }
    let mut query = Vec::new();
    if !state.rng.one_in(4) {
        let status = match state.rng.below(12) {
            0 => percent_encode(&state.rng.text()),
            _ => state
                .rng
                .pick(&[
                    "unmatched",
                    "unmatched",
                    "resolved",
                    "captured",
                    "refunded",
                    "failed",
                    "created",
                ])
                .to_owned(),
        };
        query.push(("status", status));
    }
    add_pagination(state, &mut query);
    let query = query_string(state, &query);
    Request::get(&format!("/admin/payments{query}")).bearer(&token)
}

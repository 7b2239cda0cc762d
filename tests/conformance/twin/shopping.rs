//! Carts, orders, and what admins do with orders.

use http::Method;

use super::{
    catalog::{paged, with_key, written},
    state::{Request, World},
};
use crate::conformance::rng::{NUMBERS, object, percent};

fn quantity(world: &mut World) -> String {
    match world.dice.below(12) {
        0 => world.dice.pick(NUMBERS).to_owned(),
        1 => "1000".to_owned(),
        _ => world.dice.from(1, 4).to_string(),
    }
}

pub(super) fn cart(world: &mut World) -> Request {
    let user = world.customer();
    let token = world.users[user].token.clone();
    let product = world.product_id();
    let in_cart = world.dice.any(&world.users[user].cart.0);
    let item = match in_cart {
        Some(id) if !world.dice.once_in(4) => format!("/cart/items/{id}"),
        _ => format!("/cart/items/{product}"),
    };
    let request = match world.dice.below(14) {
        0 | 1 => Request::get("/cart"),
        2 | 13 => {
            let body = object(&[("quantity", quantity(world))]);
            Request::new(Method::PATCH, &item).json(body)
        }
        3 => Request::new(Method::DELETE, &item),
        4 if world.dice.once_in(4) => Request::new(Method::DELETE, "/cart"),
        _ => {
            let mut members = vec![("productId", format!("\"{product}\""))];
            if !world.dice.once_in(4) {
                members.push(("quantity", quantity(world)));
            }
            if world.dice.once_in(40) {
                members.push(("price", "1".to_owned()));
            }
            Request::new(Method::POST, "/cart").json(object(&members))
        }
    };
    request.by(&token)
}

pub(super) fn check_out(world: &mut World) -> Request {
    let user = world.customer();
    let token = world.users[user].token.clone();
    let request = Request::new(Method::POST, "/orders").by(&token);
    let shown = world.users[user].cart.1;
    let request = match world.dice.below(20) {
        0 => request.json("{}"),
        1..=4 => request.json(object(&[("expectedTotal", shown.to_string())])),
        5 => request.json(object(&[("expectedTotal", (shown + 1).to_string())])),
        6 => {
            let number = world.dice.pick(NUMBERS).to_owned();
            request.json(object(&[("expectedTotal", number)]))
        }
        7 => request.json("[]"),
        8 => request.body("{}"),
        _ => request,
    };
    with_key(world, request)
}

/// The path of an order below `base`, and a token: its customer's, as often as not.
fn one_order(world: &mut World, base: &str) -> (String, String) {
    // Mostly one of late, which may still be moved.
    let recent = &world.orders[world.orders.len().saturating_sub(8)..];
    let among = if world.dice.once_in(3) {
        &world.orders
    } else {
        recent
    };
    let Some(order) = world.dice.any(among) else {
        let token = world.users[0].token.clone();
        return (format!("{base}/{}", world.strange_id()), token);
    };
    let id = if world.dice.once_in(25) {
        world.strange_id()
    } else {
        order["id"].as_str().unwrap().to_owned()
    };
    let owner = world
        .users
        .iter()
        .find(|user| order["userId"] == user.id.as_str());
    let owner = owner.map(|user| user.token.clone()).unwrap_or_default();
    let token = if world.dice.once_in(12) {
        let user = world.customer();
        world.users[user].token.clone()
    } else {
        owner
    };
    (format!("{base}/{id}"), token)
}

pub(super) fn orders(world: &mut World) -> Request {
    let (path, token) = one_order(world, "/orders");
    match world.dice.below(9) {
        0..=2 => Request::get(&path).by(&token),
        3..=5 => {
            let mut query = Vec::new();
            narrow(world, &mut query);
            paged(world, &mut query);
            let query = written(world, &query);
            Request::get(&format!("/orders{query}")).by(&token)
        }
        6 => Request::new(Method::POST, &format!("{path}/pay")).by(&token),
        _ => Request::new(Method::POST, &format!("{path}/cancel")).by(&token),
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

fn narrow(world: &mut World, query: &mut Vec<(&str, String)>) {
    if world.dice.once_in(2) {
        let status = match world.dice.below(12) {
            0 => percent(&world.dice.text()),
            _ => world.dice.pick(&STATUSES).to_owned(),
        };
        query.push(("status", status));
    }
}

/// Moments around those of the test, and some of other ages.
const MOMENTS: [&str; 12] = [
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

pub(super) fn all_orders(world: &mut World) -> Request {
    let token = world.admin();
    let (path, _) = one_order(world, "/admin/orders");
    match world.dice.below(14) {
        0 | 1 => Request::get(&path).by(&token),
        10..=13 => refund(world, &format!("{path}/refund"), &token),
        2..=4 => {
            let mut query = Vec::new();
            narrow(world, &mut query);
            if world.dice.once_in(4) {
                let user = if world.dice.once_in(4) {
                    world.strange_id()
                } else {
                    let user = world.customer();
                    world.users[user].id.clone()
                };
                query.push(("userId", user));
            }
            for name in ["from", "to"] {
                if world.dice.once_in(4) {
                    query.push((name, world.dice.pick(&MOMENTS).to_owned()));
                }
            }
            paged(world, &mut query);
            let query = written(world, &query);
            Request::get(&format!("/admin/orders{query}")).by(&token)
        }
        _ => {
            let status = match world.dice.below(16) {
                0 => world.dice.pick(NUMBERS).to_owned(),
                1..=5 => format!("\"{}\"", world.dice.pick(&STATUSES)),
                index => format!("\"{}\"", ["SHIPPED", "DELIVERED"][index % 2]),
            };
            let body = object(&[("status", status)]);
            Request::new(Method::PATCH, &path).by(&token).json(body)
        }
    }
}

fn refund(world: &mut World, path: &str, token: &str) -> Request {
    let mut members = Vec::new();
    match world.dice.below(12) {
        0 => members.push(("amount", world.dice.pick(NUMBERS).to_owned())),
        1..=5 => members.push(("amount", world.dice.from(1, 2000).to_string())),
        _ => {}
    }
    match world.dice.below(12) {
        0 => members.push(("restock", world.dice.pick(NUMBERS).to_owned())),
        1..=5 => members.push(("restock", "true".to_owned())),
        _ => {}
    }
    let request = Request::new(Method::POST, path).by(token);
    let request = if members.is_empty() {
        request
    } else {
        request.json(object(&members))
    };
    with_key(world, request)
}

pub(super) fn payments(world: &mut World) -> Request {
    let token = world.admin();
    if world.dice.once_in(3) {
        let known = world.dice.any(&world.payments);
        let id = known.unwrap_or_else(|| world.strange_id());
        let note = world.dice.pick(&["paid out", "a test", "", "\\u0000"]);
        let body = object(&[("note", format!("\"{note}\""))]);
        let path = format!("/admin/payments/{id}/resolve");
        return Request::new(Method::POST, &path).by(&token).json(body);
    }
    let mut query = Vec::new();
    if !world.dice.once_in(4) {
        let status = match world.dice.below(12) {
            0 => percent(&world.dice.text()),
            _ => world
                .dice
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
    paged(world, &mut query);
    let query = written(world, &query);
    Request::get(&format!("/admin/payments{query}")).by(&token)
}

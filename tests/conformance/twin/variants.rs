//! Requests to variants and options.

use http::Method;

use super::{
    catalog::{fields, random_etag, with_idempotency_key},
    state::{Request, State},
};
use crate::conformance::rng::{NUMBERS, json_object};

const SIZES: [&str; 4] = ["S", "M", "L", "XL"];

/// Returns the options of a variant, usually those that most products with options have.
fn selection(state: &mut State) -> String {
    let size = format!("\"{}\"", state.rng.pick(&SIZES));
    match state.rng.below(12) {
        0 => "{}".to_owned(),
        1 => json_object(&[("Size", size), ("Colour", "\"Red\"".to_owned())]),
        2 => json_object(&[("size", size)]),
        3 => json_object(&[("Size", state.rng.pick(NUMBERS).to_owned())]),
        _ => json_object(&[("Size", size)]),
    }
}

/// Returns the members of a new variant.
fn new_variant(state: &mut State) -> String {
    let mut members = vec![("options", selection(state))];
    if !state.rng.one_in(20) {
        members.push(("price", (1000 + state.rng.below(9) * 500).to_string()));
    }
    if state.rng.one_in(2) {
        members.push(("stockQuantity", state.rng.below(9).to_string()));
    }
    add_codes(state, &mut members);
    json_object(&members)
}

pub(super) fn create_product(state: &mut State) -> Request {
    let count = state.rng.between(1, 3);
    let variants: Vec<String> = (0..count).map(|_| new_variant(state)).collect();
    let sizes = SIZES.map(|size| format!("\"{size}\"")).join(",");
    let options = match state.rng.below(8) {
        0 => "[]".to_owned(),
        _ => format!("[{{\"name\":\"Size\",\"values\":[{sizes}]}}]"),
    };
    let body = json_object(&[
        (
            "name",
            format!("\"{}\"", state.rng.pick(&["T-shirt", "Jeans", "Sock"])),
        ),
        ("options", options),
        ("variants", format!("[{}]", variants.join(","))),
    ]);
    let token = state.admin();
    Request::new(Method::POST, "/products")
        .bearer(&token)
        .json(body)
}

pub(super) fn set_options(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.product_id());
    let count = if state.rng.one_in(5) { 2 } else { 4 };
    let values: Vec<String> = SIZES[..count]
        .iter()
        .map(|size| json_object(&[("value", format!("\"{size}\""))]))
        .collect();
    let name = state.rng.pick(&["Size", "Size", "Size", "SIZE", "Colour"]);
    let option = json_object(&[
        ("name", format!("\"{name}\"")),
        ("values", format!("[{}]", values.join(","))),
    ]);
    let mut members = vec![("options", format!("[{option}]"))];
    if !state.rng.one_in(4) {
        members.push(("assign", selection(state)));
    }
    Request::new(Method::PUT, &format!("/products/{id}/options"))
        .bearer(&token)
        .json(json_object(&members))
}

pub(super) fn create(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.product_id());
    let body = new_variant(state);
    let request = Request::new(Method::POST, &format!("/products/{id}/variants")).bearer(&token);
    with_idempotency_key(state, request.json(body))
}

pub(super) fn delete(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.variant_id());
    let mut request = Request::new(Method::DELETE, &format!("/variants/{id}")).bearer(&token);
    if state.rng.one_in(3) {
        let tag = random_etag(state, &etags(state, &id));
        request = request.header("if-match", tag);
    }
    request
}

pub(super) fn change_stock(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.variant_id());
    let delta = match state.rng.below(6) {
        0 => state.rng.pick(NUMBERS).to_owned(),
        1 => "-3".to_owned(),
        _ => state.rng.between(1, 5).to_string(),
    };
    let body = json_object(&[("delta", delta), ("reason", "\"count\"".to_owned())]);
    let request = Request::new(Method::POST, &format!("/admin/variants/{id}/stock")).bearer(&token);
    with_idempotency_key(state, request.json(body))
}

pub(super) fn show(state: &mut State) -> Request {
    let id = state.variant_id();
    let request = Request::get(&format!("/variants/{id}"));
    if state.rng.one_in(2) {
        let tag = random_etag(state, &etags(state, &id));
        return request.header("if-none-match", tag);
    }
    request
}

pub(super) fn update(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.variant_id());
    let mut request = Request::new(Method::PATCH, &format!("/variants/{id}")).bearer(&token);
    if !state.rng.one_in(3) {
        let tag = random_etag(state, &etags(state, &id));
        request = request.header("if-match", tag);
    }
    let mut members = fields(state, false);
    members.retain(|(name, _)| ["price", "stockQuantity"].contains(name));
    add_codes(state, &mut members);
    if state.rng.one_in(6) {
        let image = an_image(state, &id);
        members.push((
            "imageId",
            image.map_or("null".to_owned(), |id| format!("\"{id}\"")),
        ));
    }
    if state.rng.one_in(8) {
        members.push(("options", selection(state)));
    }
    if state.rng.one_in(8) {
        members.push(("position", state.rng.below(4).to_string()));
    }
    request.json(json_object(&members))
}

/// Adds codes and numbers that every variant can have.
fn add_codes(state: &mut State, members: &mut Vec<(&'static str, String)>) {
    for name in ["sku", "barcode"] {
        let code = match state.rng.below(6) {
            0 => "null".to_owned(),
            1 => {
                let text = state.rng.text();
                state.rng.json_text(&text)
            }
            // Few, so that some are taken.
            2 => format!(
                "\"{}-{}\"",
                state.rng.pick(&["sku", "SKU", "ſku"]),
                state.rng.below(9)
            ),
            _ => continue,
        };
        members.push((name, code));
    }
    for name in ["compareAtPrice", "weightGrams"] {
        match state.rng.below(8) {
            0 => members.push((name, "null".to_owned())),
            1 => members.push((name, state.rng.pick(NUMBERS).to_owned())),
            2 => members.push((name, state.rng.below(5_000).to_string())),
            _ => {}
        }
    }
}

/// Returns the id of an image, usually of the variant's product.
fn an_image(state: &mut State, id: &str) -> Option<String> {
    let is_own = !state.rng.one_in(4);
    let products = state
        .products
        .iter()
        .filter(|product| product.variants.iter().any(|it| it == id) == is_own);
    let images = products.flat_map(|product| product.images.iter());
    let ids: Vec<String> = images.map(|(id, _)| id.clone()).collect();
    state.rng.choose(&ids)
}

/// Returns the `ETag`s of a variant, oldest first.
fn etags(state: &State, id: &str) -> Vec<String> {
    state.variant_etags.get(id).cloned().unwrap_or_default()
}

//! Requests to categories, products, stock and images.

use http::Method;

use super::state::{Request, State};
use crate::{
    conformance::rng::{NUMBERS, json_object, percent_encode},
    support::{Form, images},
};

pub(super) fn list_products(state: &mut State) -> Request {
    if state.rng.one_in(6)
        && let Some(request) = state.next_page()
    {
        return request;
    }
    let mut query: Vec<(&str, String)> = Vec::new();
    if state.rng.one_in(3) {
        let words = match state.rng.below(8) {
            0 => state.rng.text(),
            1..=3 => format!("{} {}", state.search_word(), state.search_word()),
            _ => state.search_word(),
        };
        query.push(("q", percent_encode(&words)));
    }
    if state.rng.one_in(2) {
        let sort = match state.rng.below(16) {
            0 => percent_encode(&state.rng.text()),
            index => [
                "price",
                "-price",
                "name",
                "-name",
                "createdAt",
                "-createdAt",
                "relevance",
                "position",
            ][index % 8]
                .to_owned(),
        };
        query.push(("sort", sort));
    }
    if state.rng.one_in(3) {
        let slugs: Vec<_> = state
            .categories
            .iter()
            .map(|category| category.slug.clone())
            .collect();
        let category = match state.rng.below(4) {
            0 => percent_encode(&state.rng.text()),
            1 => state.category_id(),
            _ => percent_encode(&state.rng.choose(&slugs).unwrap_or_default()),
        };
        query.push(("category", category));
    }
    if state.rng.one_in(4) {
        let slugs = state.collections.iter().map(|it| it.slug.clone());
        let slugs: Vec<_> = slugs.collect();
        let collection = match state.rng.below(4) {
            0 => percent_encode(&state.rng.text()),
            1 => state.collection_id(),
            _ => percent_encode(&state.rng.choose(&slugs).unwrap_or_default()),
        };
        query.push(("collection", collection));
    }
    for name in ["minPrice", "maxPrice"] {
        if state.rng.one_in(5) {
            query.push((name, random_price(state)));
        }
    }
    if state.rng.one_in(6) {
        let value = state
            .rng
            .pick(&["true", "false", "true", "false", "1", "", "TRUE", "%00"]);
        query.push(("inStock", value.to_owned()));
    }
    add_pagination(state, &mut query);
    let mut request = Request::get(&format!("/products{}", query_string(state, &query)));
    if state.rng.one_in(8) {
        request = request.bearer(&state.admin());
    }
    request
}

fn random_price(state: &mut State) -> String {
    if state.rng.one_in(5) {
        return percent_encode(state.rng.pick(NUMBERS));
    }
    (state.rng.below(12) * 1000).to_string()
}

/// Adds `limit`, and `page` or `cursor`, usually with valid values.
pub(super) fn add_pagination(state: &mut State, query: &mut Vec<(&str, String)>) {
    if state.rng.one_in(2) {
        let limit = match state.rng.below(12) {
            0 => percent_encode(state.rng.pick(NUMBERS)),
            1 => state.rng.pick(&["100", "101", "0"]).to_owned(),
            _ => state.rng.between(1, 9).to_string(),
        };
        query.push(("limit", limit));
    }
    if state.rng.one_in(5) {
        query.push(("cursor", String::new()));
    } else if state.rng.one_in(3) {
        let page = match state.rng.below(12) {
            0 => percent_encode(state.rng.pick(NUMBERS)),
            1 => state
                .rng
                .pick(&["1000000000", "1000000001", "99999"])
                .to_owned(),
            _ => state.rng.between(1, 7).to_string(),
        };
        query.push(("page", page));
    }
}

/// Returns the query string of encoded values, sometimes with an invalid parameter.
pub(super) fn query_string(state: &mut State, query: &[(&str, String)]) -> String {
    let mut pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match state.rng.below(50) {
        0 => pairs.push("unknown=1".to_owned()),
        1 => pairs.push(percent_encode(&state.rng.text())),
        2 => pairs.extend(pairs.first().cloned()),
        3 => pairs.push("page=%ff".to_owned()),
        _ => {}
    }
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

pub(super) fn show_product(state: &mut State) -> Request {
    let id = state.product_id();
    let request = Request::get(&format!("/products/{id}"));
    if state.rng.one_in(2) {
        let tag = random_etag(state, &etags(state, &id));
        return request.header("if-none-match", tag);
    }
    request
}

pub(super) fn inventory_changes(state: &mut State) -> Request {
    let mut query = Vec::new();
    if !state.rng.one_in(5) {
        let after = match state.rng.below(6) {
            0 => percent_encode(state.rng.pick(NUMBERS)),
            1 => String::new(),
            _ => state.rng.between(0, 400).to_string(),
        };
        query.push(("after", after));
    }
    if state.rng.one_in(2) {
        query.push(("limit", state.rng.between(0, 101).to_string()));
    }
    let query = query_string(state, &query);
    Request::get(&format!("/inventory/changes{query}"))
}

/// Returns the product's `ETag`s, oldest first.
fn etags(state: &State, id: &str) -> Vec<String> {
    let product = state.products.iter().find(|product| product.id == id);
    product.map_or_else(Vec::new, |product| product.etags.clone())
}

/// Returns a value for `If-Match` or `If-None-Match`, usually the last of these `ETag`s.
pub(super) fn random_etag(state: &mut State, etags: &[String]) -> Vec<u8> {
    let newest = etags
        .last()
        .cloned()
        .unwrap_or_else(|| "\"none\"".to_owned());
    let text = match state.rng.below(14) {
        0 => state.rng.choose(etags).unwrap_or_default(),
        1 => "*".to_owned(),
        2 => format!("W/{newest}"),
        3 => format!("\"other\", {newest}"),
        4 => "\"other\"".to_owned(),
        5 => newest.trim_matches('"').to_owned(),
        6 => ", ,".to_owned(),
        7 => return vec![b'"', 0xff, 0xe9, b'"'],
        _ => newest,
    };
    text.into_bytes()
}

/// Returns the JSON members of a product. For a `new` product, the required ones are usually there.
pub(super) fn fields(state: &mut State, is_new: bool) -> Vec<(&'static str, String)> {
    let mut members = Vec::new();
    let includes = |state: &mut State, is_required: bool| {
        if is_new && is_required {
            !state.rng.one_in(40)
        } else {
            state.rng.one_in(if is_new { 2 } else { 3 })
        }
    };
    if includes(state, true) {
        let name = state.rng.text();
        members.push(("name", state.rng.json_text(&name)));
    }
    if includes(state, true) {
        let price = match state.rng.below(20) {
            0 => state.rng.pick(NUMBERS).to_owned(),
            1 => "100000000000".to_owned(),
            _ => (state.rng.between(1, 12) * 1000).to_string(),
        };
        members.push(("price", price));
    }
    if includes(state, false) {
        let text = state.rng.long_text();
        members.push(("description", state.rng.json_text(&text)));
    }
    if includes(state, false) {
        let stock = match state.rng.below(20) {
            0 => state.rng.pick(NUMBERS).to_owned(),
            1 => "1000000000".to_owned(),
            _ => state.rng.below(40).to_string(),
        };
        members.push(("stockQuantity", stock));
    }
    if includes(state, false) {
        let category = match state.rng.below(8) {
            0 => "null".to_owned(),
            1 => {
                let text = state.rng.text();
                state.rng.json_text(&text)
            }
            _ => format!("\"{}\"", state.category_id()),
        };
        members.push(("categoryId", category));
    }
    members
}

pub(super) fn create_product(state: &mut State) -> Request {
    let token = state.admin();
    let request = Request::new(Method::POST, "/products").bearer(&token);
    let fields = fields(state, true);
    if state.rng.one_in(6) {
        form(state, request, &fields)
    } else {
        request.json(json_object(&fields))
    }
}

/// Sends the same members as a form, sometimes with an image.
fn form(state: &mut State, request: Request, fields: &[(&str, String)]) -> Request {
    let mut form = Form::default();
    for (name, value) in fields {
        let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.clone());
        form = form.text(name, &text);
    }
    if state.rng.one_in(3) {
        let file = match state.rng.below(5) {
            0 => b"GIF89a, or so it says".to_vec(),
            1 => b"not an image".to_vec(),
            _ => images::png(),
        };
        form = form.image(&file);
    }
    request
        .header("content-type", Form::CONTENT_TYPE)
        .body(form.body())
}

pub(super) fn update_product(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.product_id());
    let mut request = Request::new(Method::PATCH, &format!("/products/{id}")).bearer(&token);
    if !state.rng.one_in(3) {
        let tag = random_etag(state, &etags(state, &id));
        request = request.header("if-match", tag);
    }
    let fields = fields(state, false);
    if state.rng.one_in(12) {
        form(state, request, &fields)
    } else {
        request.json(json_object(&fields))
    }
}

pub(super) fn delete_product(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.product_id());
    let request = Request::new(Method::DELETE, &format!("/products/{id}")).bearer(&token);
    if state.rng.one_in(2) {
        let tag = random_etag(state, &etags(state, &id));
        return request.header("if-match", tag);
    }
    request
}

pub(super) fn change_stock(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.product_id());
    let delta = match state.rng.below(12) {
        0 => state.rng.pick(NUMBERS).to_owned(),
        1 => "1000000000".to_owned(),
        2 => "-1000".to_owned(),
        _ => format!("{}", i64::try_from(state.rng.below(30)).unwrap() - 8),
    };
    let reason = state.rng.text();
    let members = [("delta", delta), ("reason", state.rng.json_text(&reason))];
    let path = format!("/admin/products/{id}/stock");
    let request = Request::new(Method::POST, &path)
        .bearer(&token)
        .json(json_object(&members));
    with_idempotency_key(state, request)
}

pub(super) fn stock_movements(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.product_id());
    let query = match state.rng.below(3) {
        0 => String::new(),
        1 => format!("?productId={id}"),
        _ => format!("?limit={}", state.rng.between(1, 9)),
    };
    Request::get(&format!("/admin/stock-movements{query}")).bearer(&token)
}

/// Imports a file with one line, which may be wrong.
pub(super) fn import(state: &mut State) -> Request {
    let (token, id) = (state.admin(), state.product_id());
    let price = state.rng.pick(&["100", "149900", "-1", "much"]).to_owned();
    Request::new(Method::POST, "/admin/products/import")
        .bearer(&token)
        .header("content-type", "text/csv")
        .body(format!("id,name,price\n{id},Imported,{price}\n"))
}

/// Adds an `Idempotency-Key` to half of the requests. There are few keys, so that some are repeated.
pub(super) fn with_idempotency_key(state: &mut State, request: Request) -> Request {
    match state.rng.below(40) {
        0..=11 => {
            let number = state.rng.below(6);
            request.header("idempotency-key", format!("key-{number}"))
        }
        12 => request.header("idempotency-key", "\"key-1\""),
        13 => request.header("idempotency-key", "k".repeat(255)),
        14 => request.header("idempotency-key", "k".repeat(256)),
        15 => request.header("idempotency-key", "two words"),
        16 => request.header("idempotency-key", ""),
        17 => request.header("idempotency-key", vec![b'k', 0xe9]),
        18 => request
            .header("idempotency-key", "a")
            .header("idempotency-key", "a"),
        19 => request.header("idempotency-key", "'--%00\\u0000"),
        _ => request,
    }
}

pub(super) fn categories(state: &mut State) -> Request {
    let token = state.admin();
    let name = state.rng.text();
    let body = json_object(&[("name", state.rng.json_text(&name))]);
    match state.rng.below(12) {
        0..=3 => Request::get("/categories"),
        4..=7 => Request::new(Method::POST, "/categories")
            .bearer(&token)
            .json(body),
        8 | 9 => {
            let path = format!("/categories/{}", state.category_id());
            Request::new(Method::PATCH, &path).bearer(&token).json(body)
        }
        _ => {
            let path = format!("/categories/{}", state.category_id());
            Request::new(Method::DELETE, &path).bearer(&token)
        }
    }
}

pub(super) fn collections(state: &mut State) -> Request {
    let token = state.admin();
    let mut members = Vec::new();
    if !state.rng.one_in(4) {
        let name = state.rng.text();
        members.push(("name", state.rng.json_text(&name)));
    }
    if state.rng.one_in(2) {
        let count = state.rng.below(6);
        let ids: Vec<_> = (0..count)
            .map(|_| format!("\"{}\"", state.product_id()))
            .collect();
        members.push(("productIds", format!("[{}]", ids.join(","))));
    }
    let body = json_object(&members);
    let path = format!("/collections/{}", state.collection_id());
    match state.rng.below(12) {
        0 => Request::get("/collections"),
        1 | 2 => Request::get(&path),
        3..=7 => Request::new(Method::POST, "/collections")
            .bearer(&token)
            .json(body),
        8..=10 => Request::new(Method::PATCH, &path).bearer(&token).json(body),
        _ => Request::new(Method::DELETE, &path).bearer(&token),
    }
}

pub(super) fn images(state: &mut State) -> Request {
    let (token, product) = (state.admin(), state.product_id());
    let known = state
        .products
        .iter()
        .filter(|product| !product.images.is_empty());
    let known: Vec<_> = known
        .flat_map(|product| {
            let images = product.images.iter();
            images.map(|image| (product.id.clone(), image.clone()))
        })
        .collect();
    match (state.rng.below(4), state.rng.choose(&known)) {
        (0, Some((product, (image, _)))) => {
            let path = format!("/products/{product}/images/{image}");
            Request::new(Method::DELETE, &path).bearer(&token)
        }
        (1 | 2, Some((_, (_, url)))) => {
            Request::at_root(url.trim_start_matches("http://shop.test"))
        }
        _ => {
            let path = format!("/products/{product}/images");
            let request = Request::new(Method::POST, &path).bearer(&token);
            let form = Form::default().image(&images::png());
            request
                .header("content-type", Form::CONTENT_TYPE)
                .body(form.body())
        }
    }
}

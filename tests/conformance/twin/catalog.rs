//! Categories, products, lists, stock, pictures.

use http::Method;

use super::state::{Request, World};
use crate::{
    conformance::rng::{NUMBERS, object, percent},
    support::{Form, pictures},
};

pub(super) fn list_products(world: &mut World) -> Request {
    if world.dice.once_in(6)
        && let Some(request) = world.walk_on()
    {
        return request;
    }
    let mut query: Vec<(&str, String)> = Vec::new();
    if world.dice.once_in(3) {
        let words = match world.dice.below(8) {
            0 => world.dice.text(),
            1..=3 => format!("{} {}", world.word(), world.word()),
            _ => world.word(),
        };
        query.push(("q", percent(&words)));
    }
    if world.dice.once_in(2) {
        let sort = match world.dice.below(16) {
            0 => percent(&world.dice.text()),
            index => [
                "price",
                "-price",
                "name",
                "-name",
                "createdAt",
                "-createdAt",
                "relevance",
            ][index % 7]
                .to_owned(),
        };
        query.push(("sort", sort));
    }
    if world.dice.once_in(3) {
        let slugs: Vec<_> = world.categories.iter().map(|it| it.slug.clone()).collect();
        let category = match world.dice.below(4) {
            0 => percent(&world.dice.text()),
            1 => world.category_id(),
            _ => percent(&world.dice.any(&slugs).unwrap_or_default()),
        };
        query.push(("category", category));
    }
    for name in ["minPrice", "maxPrice"] {
        if world.dice.once_in(5) {
            query.push((name, some_price(world)));
        }
    }
    if world.dice.once_in(6) {
        let value = world
            .dice
            .pick(&["true", "false", "true", "false", "1", "", "TRUE", "%00"]);
        query.push(("inStock", value.to_owned()));
    }
    paged(world, &mut query);
    let mut request = Request::get(&format!("/products{}", written(world, &query)));
    if world.dice.once_in(8) {
        request = request.by(&world.admin());
    }
    request
}

fn some_price(world: &mut World) -> String {
    if world.dice.once_in(5) {
        return percent(world.dice.pick(NUMBERS));
    }
    (world.dice.below(12) * 1000).to_string()
}

/// `page` and `limit`, mostly ones that make sense.
pub(super) fn paged(world: &mut World, query: &mut Vec<(&str, String)>) {
    if world.dice.once_in(2) {
        let limit = match world.dice.below(12) {
            0 => percent(world.dice.pick(NUMBERS)),
            1 => world.dice.pick(&["100", "101", "0"]).to_owned(),
            _ => world.dice.from(1, 9).to_string(),
        };
        query.push(("limit", limit));
    }
    if world.dice.once_in(5) {
        query.push(("cursor", String::new()));
    } else if world.dice.once_in(3) {
        let page = match world.dice.below(12) {
            0 => percent(world.dice.pick(NUMBERS)),
            1 => world
                .dice
                .pick(&["1000000000", "1000000001", "99999"])
                .to_owned(),
            _ => world.dice.from(1, 7).to_string(),
        };
        query.push(("page", page));
    }
}

/// A query string of values that are encoded already; seldom with something strange in it.
pub(super) fn written(world: &mut World, query: &[(&str, String)]) -> String {
    let mut pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match world.dice.below(50) {
        0 => pairs.push("unknown=1".to_owned()),
        1 => pairs.push(percent(&world.dice.text())),
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

pub(super) fn show_product(world: &mut World) -> Request {
    let id = world.product_id();
    let request = Request::get(&format!("/products/{id}"));
    if world.dice.once_in(2) {
        let tag = some_tag(world, &id);
        return request.with("if-none-match", tag);
    }
    request
}

/// What goes into `If-Match` and its like, mostly what was seen last.
fn some_tag(world: &mut World, id: &str) -> Vec<u8> {
    let product = world.products.iter().find(|product| product.id == id);
    let tags = product
        .map(|product| product.tags.clone())
        .unwrap_or_default();
    let last = tags
        .last()
        .cloned()
        .unwrap_or_else(|| "\"none\"".to_owned());
    let text = match world.dice.below(14) {
        0 => world.dice.any(&tags).unwrap_or_default(),
        1 => "*".to_owned(),
        2 => format!("W/{last}"),
        3 => format!("\"other\", {last}"),
        4 => "\"other\"".to_owned(),
        5 => last.trim_matches('"').to_owned(),
        6 => ", ,".to_owned(),
        7 => return vec![b'"', 0xff, 0xe9, b'"'],
        _ => last,
    };
    text.into_bytes()
}

/// The members of a product's body; with `all`, those that are needed are mostly there.
fn fields(world: &mut World, all: bool) -> Vec<(&'static str, String)> {
    let mut members = Vec::new();
    let wanted = |world: &mut World, needed: bool| {
        if all && needed {
            !world.dice.once_in(40)
        } else {
            world.dice.once_in(if all { 2 } else { 3 })
        }
    };
    if wanted(world, true) {
        let name = world.dice.text();
        members.push(("name", world.dice.json_text(&name)));
    }
    if wanted(world, true) {
        let price = match world.dice.below(20) {
            0 => world.dice.pick(NUMBERS).to_owned(),
            1 => "100000000000".to_owned(),
            _ => (world.dice.from(1, 12) * 1000).to_string(),
        };
        members.push(("price", price));
    }
    if wanted(world, false) {
        let text = world.dice.long_text();
        members.push(("description", world.dice.json_text(&text)));
    }
    if wanted(world, false) {
        let stock = match world.dice.below(20) {
            0 => world.dice.pick(NUMBERS).to_owned(),
            1 => "1000000000".to_owned(),
            _ => world.dice.below(40).to_string(),
        };
        members.push(("stockQuantity", stock));
    }
    if wanted(world, false) {
        let category = match world.dice.below(8) {
            0 => "null".to_owned(),
            1 => {
                let text = world.dice.text();
                world.dice.json_text(&text)
            }
            _ => format!("\"{}\"", world.category_id()),
        };
        members.push(("categoryId", category));
    }
    members
}

pub(super) fn create_product(world: &mut World) -> Request {
    let token = world.admin();
    let request = Request::new(Method::POST, "/products").by(&token);
    let fields = fields(world, true);
    if world.dice.once_in(6) {
        form(world, request, &fields)
    } else {
        request.json(object(&fields))
    }
}

/// The same members as a form, at times with a picture.
fn form(world: &mut World, request: Request, fields: &[(&str, String)]) -> Request {
    let mut form = Form::default();
    for (name, value) in fields {
        let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.clone());
        form = form.text(name, &text);
    }
    if world.dice.once_in(3) {
        let file = match world.dice.below(5) {
            0 => b"GIF89a, or so it says".to_vec(),
            1 => b"no picture".to_vec(),
            _ => pictures::png(),
        };
        form = form.image(&file);
    }
    request
        .with("content-type", Form::CONTENT_TYPE)
        .body(form.body())
}

pub(super) fn update_product(world: &mut World) -> Request {
    let (token, id) = (world.admin(), world.product_id());
    let mut request = Request::new(Method::PATCH, &format!("/products/{id}")).by(&token);
    if !world.dice.once_in(3) {
        let tag = some_tag(world, &id);
        request = request.with("if-match", tag);
    }
    let fields = fields(world, false);
    if world.dice.once_in(12) {
        form(world, request, &fields)
    } else {
        request.json(object(&fields))
    }
}

pub(super) fn delete_product(world: &mut World) -> Request {
    let (token, id) = (world.admin(), world.product_id());
    let request = Request::new(Method::DELETE, &format!("/products/{id}")).by(&token);
    if world.dice.once_in(2) {
        let tag = some_tag(world, &id);
        return request.with("if-match", tag);
    }
    request
}

pub(super) fn change_stock(world: &mut World) -> Request {
    let (token, id) = (world.admin(), world.product_id());
    let delta = match world.dice.below(12) {
        0 => world.dice.pick(NUMBERS).to_owned(),
        1 => "1000000000".to_owned(),
        2 => "-1000".to_owned(),
        _ => format!("{}", i64::try_from(world.dice.below(30)).unwrap() - 8),
    };
    let reason = world.dice.text();
    let members = [("delta", delta), ("reason", world.dice.json_text(&reason))];
    let path = format!("/admin/products/{id}/stock");
    let request = Request::new(Method::POST, &path)
        .by(&token)
        .json(object(&members));
    with_key(world, request)
}

/// Every second one under an `Idempotency-Key`: of few, so that they are met again.
pub(super) fn with_key(world: &mut World, request: Request) -> Request {
    match world.dice.below(40) {
        0..=11 => {
            let number = world.dice.below(6);
            request.with("idempotency-key", format!("key-{number}"))
        }
        12 => request.with("idempotency-key", "\"key-1\""),
        13 => request.with("idempotency-key", "k".repeat(255)),
        14 => request.with("idempotency-key", "k".repeat(256)),
        15 => request.with("idempotency-key", "two words"),
        16 => request.with("idempotency-key", ""),
        17 => request.with("idempotency-key", vec![b'k', 0xe9]),
        18 => request
            .with("idempotency-key", "a")
            .with("idempotency-key", "a"),
        19 => request.with("idempotency-key", "'--%00\\u0000"),
        _ => request,
    }
}

pub(super) fn categories(world: &mut World) -> Request {
    let token = world.admin();
    let name = world.dice.text();
    let body = object(&[("name", world.dice.json_text(&name))]);
    match world.dice.below(12) {
        0..=3 => Request::get("/categories"),
        4..=7 => Request::new(Method::POST, "/categories")
            .by(&token)
            .json(body),
        8 | 9 => {
            let path = format!("/categories/{}", world.category_id());
            Request::new(Method::PATCH, &path).by(&token).json(body)
        }
        _ => {
            let path = format!("/categories/{}", world.category_id());
            Request::new(Method::DELETE, &path).by(&token)
        }
    }
}

pub(super) fn images(world: &mut World) -> Request {
    let (token, product) = (world.admin(), world.product_id());
    let known = world.products.iter().filter(|it| !it.images.is_empty());
    let known: Vec<_> = known
        .flat_map(|it| it.images.iter().map(|image| (it.id.clone(), image.clone())))
        .collect();
    match (world.dice.below(4), world.dice.any(&known)) {
        (0, Some((product, (image, _)))) => {
            let path = format!("/products/{product}/images/{image}");
            Request::new(Method::DELETE, &path).by(&token)
        }
        (1 | 2, Some((_, (_, url)))) => {
            Request::outside(url.trim_start_matches("http://shop.test"))
        }
        _ => {
            let path = format!("/products/{product}/images");
            let request = Request::new(Method::POST, &path).by(&token);
            let form = Form::default().image(&pictures::png());
            request
                .with("content-type", Form::CONTENT_TYPE)
                .body(form.body())
        }
    }
}

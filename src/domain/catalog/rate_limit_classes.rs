//! The rate limit of product searches.

use crate::infra::web::rate_limits::RouteClass;

pub const SEARCHES: RouteClass = RouteClass {
    name: "searches",
    what: "product searches: by text, price or stock, and pages from 100",
    quota: 300,
    covers: |target| {
        let query = target.uri.query().unwrap_or_default();
        target.is_read() && target.api_path() == Some("products") && is_search(query)
    },
};

/// Returns whether a product list is expensive: it counts or skips rows one by one.
fn is_search(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| match &*name {
        "q" | "minPrice" | "maxPrice" | "inStock" => true,
        "page" => value.len() > 2,
        _ => false,
    })
}

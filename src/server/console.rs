//! The console: a page for customers and admins that uses the public API. Its files are in `assets/console`.

use std::sync::Arc;

use axum::{Router, response::Redirect, routing::get};
use http::{HeaderValue, header};

use super::pages::{asset, html};
use crate::app::App;

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/console/", $name)))),+]
    };
}

const PAGE: &str = include_str!("../../assets/console/index.html");

/// The files of the page: name and text.
const FILES: &[(&str, &str)] = embedded![
    "account.js",
    "api.js",
    "calls.js",
    "cart-state.js",
    "cart.js",
    "catalog.js",
    "console.css",
    "dom.js",
    "live.js",
    "main.js",
    "orders.js",
    "product.js",
    "simulator.js",
    "ui.js",
    "admin/import.js",
    "admin/mailbox.js",
    "admin/orders.js",
    "admin/payments.js",
    "admin/products.js",
    "admin/stock.js",
    "admin/system.js",
    "admin/users.js",
    "admin/variants.js",
];

/// Only the page's own files run. Emails are shown in a frame without scripts, which inherits this policy.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the page at this path.
pub(super) fn routes(path: &str) -> Router<Arc<App>> {
    let mut page = Router::new().route(path, get(|| async { html(PAGE, POLICY) }));
    if path != "/" {
        let without_slash = format!("..{path}");
        let redirect = || async move { Redirect::permanent(&without_slash) };
        page = page.route(&format!("{path}/"), get(redirect));
    }
    FILES.iter().fold(page, |router, (name, text)| {
        let content_type = match name.rsplit_once('.') {
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        };
        // After an upgrade, files of two versions must not be mixed.
        let revalidate = [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        let file = move || async move { (revalidate, asset(text, content_type)) };
        router.route(&format!("/console/{name}"), get(file))
    })
}

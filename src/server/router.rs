//! All routes.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, routing::get};
use http::{HeaderName, HeaderValue, Method, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{console, demo, docs, health, middleware, pages, simulator};
use crate::{
    app::{App, Routes},
    domain::{
        accounts, audit, cart, catalog, media, notifications, orders, payments, realtime,
        settlement, sign_in,
    },
    infra::web::openapi,
};

/// Returns the routes that the `OpenAPI` document describes.
pub(super) fn documented() -> Routes {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .merge(media::http::routes())
        .nest(
            "/api/v1",
            accounts::http::routes()
                .merge(sign_in::http::routes())
                .merge(audit::http::routes())
                .merge(catalog::http::routes())
                .merge(cart::http::routes())
                .merge(orders::http::routes())
                .merge(payments::http::routes())
                .merge(notifications::http::routes())
                .merge(settlement::http::routes())
                .merge(realtime::http::routes()),
        )
}

/// Returns the service: all routes, with rate limits and CORS as configured.
pub fn router(app: &Arc<App>) -> Router {
    let (documented, _) = documented().split_for_parts();
    let mut router = documented
        .route("/openapi.json", get(pages::openapi))
        .route("/shop-live.js", get(pages::live_stock_client))
        .merge(docs::routes())
        .merge(pages::links())
        .route("/problems/page.css", get(pages::problem_style))
        .route("/problems/{code}", get(pages::problem));
    if app.demo {
        router = router.merge(console::routes("/")).merge(demo::routes());
        if app.gateway.name() == "mock" {
            router = router.merge(simulator::routes());
        }
    } else {
        router = router.route("/", get(pages::home));
        if app.config.console {
            router = router.merge(console::routes("/console"));
        }
    }
    let mut router = router
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(app))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(app),
            middleware::limit,
        ));
    if app.demo || !app.config.cors_origins.is_empty() {
        router = router.layer(cors(app));
    }
    router
}

/// Lets browsers call the API from the allowed origins.
fn cors(app: &Arc<App>) -> CorsLayer {
    let app = Arc::clone(app);
    let is_allowed = move |origin: &HeaderValue, _: &Parts| {
        let origin = origin.to_str();
        origin.is_ok_and(|origin| app.allows_origin(origin))
    };
    let named = |names: &[&'static str]| -> Vec<HeaderName> {
        names
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect()
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(named(&[
            "authorization",
            "cart-token",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "last-event-id",
            "x-request-id",
        ]))
        .expose_headers(
            [
                header::ETAG,
                header::LOCATION,
                header::LINK,
                header::RETRY_AFTER,
            ]
            .into_iter()
            .chain(named(&[
                "ratelimit",
                "ratelimit-policy",
                "x-request-id",
                "idempotent-replayed",
                "x-inventory-seq",
            ]))
            .collect::<Vec<_>>(),
        )
        .max_age(Duration::from_hours(1))
}

//! Pages and files outside `/api/v1`: the home page, the `OpenAPI` document, the client of the live inventory, problem
//! pages, and the pages that links open.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::problems;
use crate::{
    app::App,
    core::error::{Error, Result},
    domain::accounts,
    infra::web::{
        extract::{Condition, NoQuery, Path},
        respond,
    },
};

/// The OpenAPI document.
pub(super) async fn openapi(State(app): State<Arc<App>>, _: NoQuery) -> Result<Response> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(super::document);
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| DOCUMENT.to_string().into());
    if app.base_path.is_empty() {
        return Ok(respond::json_bytes(StatusCode::OK, TEXT.clone()));
    }
    let mut document = DOCUMENT.clone();
    document["servers"][0]["url"] = json!(app.base_path);
    respond::ok(&document)
}

/// The client of the live inventory, which storefronts import.
///
/// Browsers use a stored copy only while its tag is current, so that an upgrade reaches every page.
pub(super) async fn live_stock_client(_: NoQuery, headers: HeaderMap) -> Result<Response> {
    const SCRIPT: &str = include_str!("../../assets/shop-live.js");
    static TAG: LazyLock<String> = LazyLock::new(|| respond::etag(SCRIPT.as_bytes()));
    let condition = Condition::from_headers(&headers, &header::IF_NONE_MATCH)?;
    let response = if condition.is_some_and(|condition| condition.matches(&TAG)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset(SCRIPT, "text/javascript; charset=utf-8")
    };
    let response = respond::with_header(response, header::ETAG, &TAG)?;
    respond::with_header(response, header::CACHE_CONTROL, "no-cache")
}

const PROBLEM_PAGE: &str = include_str!("../../assets/problems/page.html");
const PROBLEM_STYLE: &str = include_str!("../../assets/problems/page.css");

/// The page that explains a problem code.
pub(super) async fn problem(
    State(app): State<Arc<App>>,
    Path(code): Path<String>,
) -> Result<Response> {
    let problem = problems::by_code(&code).ok_or_else(|| Error::not_found("problem code"))?;
    let page = PROBLEM_PAGE
        .replace("{{base}}", &escape(&app.base_path))
        .replace("{{code}}", problem.code())
        .replace("{{status}}", respond::status(problem.kind).as_str())
        .replace("{{statuses}}", &statuses(&code))
        .replace("{{title}}", &escape(problem.title))
        .replace("{{remedy}}", &escape(problem.remedy));
    Ok(html(
        page,
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    ))
}

/// Returns the statuses that a code comes with, e.g. `400 or 401`.
fn statuses(code: &str) -> String {
    let all = problems::ALL
        .iter()
        .filter(|problem| problem.code() == code);
    let all: Vec<_> = all
        .map(|problem| respond::status(problem.kind).as_str().to_owned())
        .collect();
    all.join(" or ")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

pub(super) async fn problem_style() -> Response {
    asset(PROBLEM_STYLE, "text/css; charset=utf-8")
}

/// The pages that links with a token open: those in emails, so that they work without a storefront, and the one that the
/// server prints.
pub(super) fn links() -> Router<Arc<App>> {
    const STYLE: &str = include_str!("../../assets/pages/page.css");
    const SCRIPT: &str = include_str!("../../assets/pages/page.js");
    Router::new()
        .route("/verify-email", get(verify_email))
        .route("/reset-password", get(reset_password))
        .route(
            accounts::FIRST_ADMIN_PATH,
            get(first_admin).post(accounts::http::create_first_admin),
        )
        .route(
            "/pages/page.css",
            get(|| async { asset(STYLE, "text/css; charset=utf-8") }),
        )
        .route(
            "/pages/page.js",
            get(|| async { asset(SCRIPT, "text/javascript; charset=utf-8") }),
        )
}

async fn verify_email(State(app): State<Arc<App>>) -> Response {
    link_page(&app, include_str!("../../assets/pages/verify-email.html"))
}

async fn reset_password(State(app): State<Arc<App>>) -> Response {
    link_page(&app, include_str!("../../assets/pages/reset-password.html"))
}

async fn first_admin(State(app): State<Arc<App>>) -> Response {
    let next = if app.config.console {
        r#"Go on in the <a href="console">console</a>."#
    } else {
        r#"To go on in the browser, restart the server with <code>SHOP_CONSOLE=on</code> and open <code>/console</code>.
        Otherwise use <code>shop admin</code> on the server, or the <a href="docs">API</a>."#
    };
    let page = include_str!("../../assets/pages/first-admin.html").replace("{{next}}", next);
    link_page(&app, &page)
}

fn link_page(app: &App, page: &str) -> Response {
    let page = page.replace("{{shop}}", &escape(&app.settings().name));
    html(
        page,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    )
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The part of the home page of a shop without an admin.
const FIRST_ADMIN: &str = include_str!("../../assets/pages/home-first-admin.html");

/// The part of the home page of a shop with the console.
const CONSOLE: &str =
    "      <li><a href=\"console\">Console</a> <span>where admins manage the shop</span></li>\n";

/// What a program reads at `/`.
#[derive(Serialize)]
struct Home<'a> {
    name: &'a str,
    version: &'static str,
    api: String,
    documentation: String,
    openapi: String,
    health: String,
    readiness: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    console: Option<String>,
}

/// The home page of a shop that is not a demo: JSON, or HTML for a browser.
pub(super) async fn home(
    State(app): State<Arc<App>>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let name = &app.settings().name;
    let mut response = if prefers_html(&headers) {
        let has_admin = app
            .db
            .read("accounts.has_admin", accounts::has_admin)
            .await?;
        let first_admin = if has_admin { "" } else { FIRST_ADMIN };
        let console = if app.config.console { CONSOLE } else { "" };
        let page = include_str!("../../assets/pages/home.html")
            .replace("{{console}}", console)
            .replace("{{first-admin}}", first_admin)
            .replace("{{version}}", VERSION)
            .replace("{{shop}}", &escape(name));
        let policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
        html(page, policy)
    } else {
        let path = |path: &str| format!("{}{path}", app.base_path);
        respond::ok(&Home {
            name,
            version: VERSION,
            api: path("/api/v1"),
            documentation: path("/docs"),
            openapi: path("/openapi.json"),
            health: path("/healthz"),
            readiness: path("/readyz"),
            console: app.config.console.then(|| path("/console")),
        })?
    };
    let accept = HeaderValue::from_static("accept");
    response.headers_mut().append(header::VARY, accept);
    Ok(response)
}

/// Returns whether the client is a browser: those accept HTML and do not name JSON.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let accepted: Vec<_> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let accepts = |name: &str| accepted.iter().any(|value| value.contains(name));
    accepts("text/html") && !accepts("json")
}

pub(super) fn html(page: impl Into<axum::body::Body>, policy: &'static str) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(policy),
        ),
    ];
    (headers, page.into()).into_response()
}

pub(super) fn asset(text: &'static str, content_type: &'static str) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))],
        text,
    )
        .into_response()
}

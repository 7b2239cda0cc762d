//! Throughput of the catalog, as a ratio to a minimal axum handler.
//!
//! 32 connections send requests to a shop of 10,000 products: lists of 20 with their total, single products, filters,
//! searches and cursor pagination. The baseline, in a process of its own, serialises 20 products, or one, from memory.
//! The two are measured alternating.
//!
//! With `-- --large` the same requests are also sent to a shop of 1,000,000 products, as a ratio to the smaller one, and
//! then the matrix of all combinations of filters, sort orders and pagination. `BENCH_LARGE=100000` sets the size. Words
//! select scenarios by name: `-- --large search filter`, `-- --large matrix`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

mod matrix;
#[expect(dead_code, reason = "the other benchmarks use the rest")]
#[path = "../support/mod.rs"]
mod support;

use std::{path::Path as FilePath, process::Command, sync::Arc, time::Duration};

use axum::{Json, Router, extract::Path, routing::get};
use serde::{Deserialize, Serialize};
use support::{Connection, Measurement, Server, block_on, median, request, run_requests, run_shop};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 3;
const DURATION: Duration = Duration::from_secs(3);

/// If this variable is set, the process is the baseline server for the products in this file.
const BASELINE_VARIABLE: &str = "BENCH_BASELINE_PRODUCTS";

fn main() {
    if let Ok(file) = std::env::var(BASELINE_VARIABLE) {
        return serve_baseline(&file);
    }
    let (options, selected): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let with_large = options.iter().any(|option| option == "--large");
    block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let small = Catalog::create(&directory.path().join("small"), 10_000).await;
        let file = directory.path().join("products.json");
        std::fs::write(&file, &small.first_page).expect("a file");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(BASELINE_VARIABLE, &file);
        let baseline = Server::start(command);
        let large = if with_large {
            let size = std::env::var("BENCH_LARGE").map_or(1_000_000, |size| {
                size.parse().expect("`BENCH_LARGE` must be a number")
            });
            Some(Catalog::create(&directory.path().join("large"), size).await)
        } else {
            None
        };
        let is_selected = |name: &str| {
            selected.is_empty() || selected.iter().any(|word| name.contains(word.as_str()))
        };
        for (index, scenario) in small.scenarios.iter().enumerate() {
            if !is_selected(scenario.name) {
                continue;
            }
            compare_to_baseline(scenario, &small.server, &baseline).await;
            if let Some(large) = &large {
                let in_large = &large.scenarios[index];
                compare_sizes(&small.server, scenario, &large.server, in_large).await;
            }
        }
        if let Some(large) = large.filter(|_| is_selected("matrix")) {
            matrix::compare(&small.server.address, &large.server.address).await;
        }
    });
}

/// Requests of one kind.
struct Scenario {
    name: &'static str,
    requests: Arc<Vec<Vec<u8>>>,
}

/// A shop with the scenarios for its products.
struct Catalog {
    server: Server,
    first_page: Vec<u8>,
    scenarios: Vec<Scenario>,
}

impl Catalog {
    /// Seeds a shop and starts its server.
    async fn create(home: &FilePath, size: usize) -> Catalog {
        let count = size.to_string();
        let seed = ["admin", "seed", "--products", &count, "--customers", "0"];
        run_shop(home, &seed, &[]);
        let server = Server::shop(home);
        let mut connection = Connection::open(&server.address).await;
        let first_request = get_request("/api/v1/products?limit=20");
        let (status, body) = connection.send(&first_request).await;
        assert_eq!(status, 200);
        let first_page = body.to_vec();
        let page: ProductPage = serde_json::from_slice(&first_page).expect("a page");
        let slug = page
            .data
            .iter()
            .find_map(|product| product.category.as_ref())
            .map(|category| category.slug.clone())
            .expect("a category");
        let mut cursor = String::new();
        let mut cursor_paths = Vec::new();
        for _ in 0..20 {
            let path = format!("/api/v1/products?sort=price&limit=20&cursor={cursor}");
            let (status, body) = connection.send(&get_request(&path)).await;
            assert_eq!(status, 200);
            let answer: serde_json::Value = serde_json::from_slice(body).expect("JSON");
            answer["nextCursor"]
                .as_str()
                .expect("a cursor")
                .clone_into(&mut cursor);
            cursor_paths.push(path);
        }
        let lists = (1..=5).map(|page| format!("/api/v1/products?page={page}&limit=20"));
        let singles = page
            .data
            .iter()
            .map(|product| format!("/api/v1/products/{}", product.id));
        let filters = (1..=5).map(|page| {
            format!(
                "/api/v1/products?category={slug}&minPrice=1000&sort=price&page={page}&limit=20"
            )
        });
        // The last pages of the small shop, in both shops.
        let deep_pages =
            (490..=499).map(|page| format!("/api/v1/products?sort=name&page={page}&limit=20"));
        let queries = [
            "cotton",
            "steel%20lamp",
            "notebook",
            "bright%20rug",
            "oak",
            "kettel",
        ];
        let searches = queries
            .iter()
            .map(|query| format!("/api/v1/products?q={query}&limit=20"));
        let filtered_queries = [
            format!("cotton&category={slug}"),
            format!("steel%20lamp&category={slug}&inStock=true"),
            "cotton&minPrice=1000".to_owned(),
            "oak&inStock=true".to_owned(),
            "notebook&maxPrice=50000&inStock=true".to_owned(),
        ];
        let filtered_searches = filtered_queries
            .iter()
            .map(|query| format!("/api/v1/products?q={query}&limit=20"));
        let scenario = |name, paths: Vec<String>| Scenario {
            name,
            requests: Arc::new(paths.iter().map(|path| get_request(path)).collect()),
        };
        let scenarios = vec![
            scenario("list of 20 with total", lists.collect()),
            scenario("one product", singles.collect()),
            scenario("filter, sort and total", filters.collect()),
            scenario("deep page", deep_pages.collect()),
            scenario("cursor pagination", cursor_paths),
            scenario("search", searches.collect()),
            scenario("search with filters", filtered_searches.collect()),
        ];
        Catalog {
            server,
            first_page,
            scenarios,
        }
    }
}

fn get_request(path: &str) -> Vec<u8> {
    request("GET", path, &[], "")
}

/// Prints the time of the larger shop as a ratio to the smaller one.
async fn compare_sizes(small: &Server, in_small: &Scenario, large: &Server, in_large: &Scenario) {
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let small = measure(&small.address, in_small).await;
        let large = measure(&large.address, in_large).await;
        ratios.push(small.per_second / large.per_second);
    }
    println!(
        "{}: the large catalog takes {:.2} × the time (median of {ROUNDS})",
        in_small.name,
        median(ratios)
    );
}

/// Prints the throughput of the shop as a ratio to the baseline.
async fn compare_to_baseline(scenario: &Scenario, shop: &Server, baseline: &Server) {
    let name = scenario.name;
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let baseline = measure(&baseline.address, scenario).await;
        let shop = measure(&shop.address, scenario).await;
        let ratio = shop.per_second / baseline.per_second;
        ratios.push(ratio);
        println!(
            "{name}, round {round}: shop {:.0}/s (p50 {} µs, p99 {} µs), bare axum {:.0}/s \
             (p50 {} µs, p99 {} µs), ratio {ratio:.2}",
            shop.per_second,
            shop.p50_micros,
            shop.p99_micros,
            baseline.per_second,
            baseline.p50_micros,
            baseline.p99_micros,
        );
    }
    println!(
        "{name}: {:.2} × bare axum (median of {ROUNDS})",
        median(ratios)
    );
}

async fn measure(address: &str, scenario: &Scenario) -> Measurement {
    run_requests(address, CONNECTIONS, DURATION, &scenario.requests).await
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProductPage {
    data: Vec<Product>,
    page: i64,
    limit: i64,
    total: i64,
    total_pages: i64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    id: String,
    name: String,
    slug: String,
    description: String,
    price: i64,
    currency: String,
    stock_quantity: i64,
    images: Vec<serde_json::Value>,
    category_id: Option<String>,
    category: Option<Category>,
    created_at: String,
    updated_at: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Category {
    id: String,
    name: String,
    slug: String,
}

/// Runs the baseline server.
fn serve_baseline(file: &str) {
    let text = std::fs::read(file).expect("the products");
    let page: &'static ProductPage = Box::leak(serde_json::from_slice(&text).expect("a page"));
    let router = Router::new()
        .route("/api/v1/products", get(move || async move { Json(page) }))
        .route(
            "/api/v1/products/{id}",
            get(move |Path(id): Path<String>| async move {
                let found = page.data.iter().find(|product| product.id == id);
                Json(found.expect("a product of the page"))
            }),
        );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!(
            "listening on http://{}",
            listener.local_addr().expect("an address")
        );
        axum::serve(listener, router)
            .await
            .expect("the server runs");
    });
}

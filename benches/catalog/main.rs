//! Throughput of the catalog, as a ratio to a minimal axum handler.
//!
//! 32 connections send requests to a shop of 10,000 products: lists of 20 with their total, single products, filters,
//! searches and cursor pagination; some of them also while 200 orders per second are placed. The baseline, in a process
//! of its own, serialises 20 products, or one, from memory. The two are measured alternating.
//!
//! `-- --large` sends all combinations of filters, sort orders and pagination to this shop and to one of 1,000,000
//! products. `BENCH_LARGE=100000` sets the size. Words select parts by name: `-- list product`, `-- --large matrix`.

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
use support::{
    Connection, Measurement, Server, block_on,
    checkout::{Customers, fill_stock, seed},
    median, request,
    results::Row,
    run_requests,
};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 3;
const DURATION: Duration = Duration::from_secs(3);

/// The customers who order meanwhile, and how often they do.
const CUSTOMERS: usize = 16;
const ORDERS_PER_SECOND: u32 = 200;

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
    let is_selected = |name: &str| {
        selected.is_empty() || selected.iter().any(|word| name.contains(word.as_str()))
    };
    block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let mut small = Catalog::create(&directory.path().join("small"), 10_000, CUSTOMERS).await;
        let file = directory.path().join("products.json");
        std::fs::write(&file, &small.first_page).expect("a file");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(BASELINE_VARIABLE, &file);
        let baseline = Server::start(command);
        for scenario in &small.scenarios {
            if !is_selected(scenario.name) {
                continue;
            }
            let alone = compare_to_baseline(scenario, &small.server, &baseline).await;
            if scenario.goal.is_some() {
                measure_with_orders(scenario, &small.server, &mut small.customers, &alone).await;
            }
        }
        if with_large && is_selected("matrix") {
            let size = std::env::var("BENCH_LARGE").map_or(1_000_000, |size| {
                size.parse().expect("`BENCH_LARGE` must be a number")
            });
            let large = Catalog::create(&directory.path().join("large"), size, 1).await;
            matrix::compare(&small.server.address, &large.server.address).await;
        }
    });
}

/// Requests of one kind.
struct Scenario {
    name: &'static str,
    /// The ratio to the baseline that is the goal. Scenarios with a goal are also measured beside orders.
    goal: Option<f64>,
    requests: Arc<Vec<Vec<u8>>>,
}

/// A shop with the scenarios for its products.
struct Catalog {
    server: Server,
    customers: Customers,
    first_page: Vec<u8>,
    scenarios: Vec<Scenario>,
}

impl Catalog {
    /// Seeds a shop and starts its server.
    async fn create(home: &FilePath, size: usize, customers: usize) -> Catalog {
        let password = seed(home, size, customers, 0, &[]);
        fill_stock(&home.join("shop.db"));
        let server = Server::shop(home);
        let customers = Customers::sign_in(&server.address, customers, &password).await;
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
        let scenario = |name, goal, paths: Vec<String>| Scenario {
            name,
            goal,
            requests: Arc::new(paths.iter().map(|path| get_request(path)).collect()),
        };
        let scenarios = vec![
            scenario("list of 20 with total", Some(0.8), lists.collect()),
            scenario("one product", Some(0.9), singles.collect()),
            scenario("filter, sort and total", Some(0.45), filters.collect()),
            scenario("deep page", None, deep_pages.collect()),
            scenario("cursor pagination", None, cursor_paths),
            scenario("search", None, searches.collect()),
            scenario("search with filters", None, filtered_searches.collect()),
        ];
        Catalog {
            server,
            customers,
            first_page,
            scenarios,
        }
    }
}

fn get_request(path: &str) -> Vec<u8> {
    request("GET", path, &[], "")
}

/// Prints and records the throughput of the shop as a ratio to the baseline. Returns the shop's.
async fn compare_to_baseline(scenario: &Scenario, shop: &Server, baseline: &Server) -> Measurement {
    let name = scenario.name;
    let (mut shops, mut baselines, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let baseline = measure(&baseline.address, scenario).await;
        let shop = measure(&shop.address, scenario).await;
        let ratio = shop.per_second / baseline.per_second;
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
        ratios.push(ratio);
        shops.push(shop);
        baselines.push(baseline);
    }
    let (shop, baseline) = (Measurement::median(&shops), Measurement::median(&baselines));
    let ratio = median(ratios);
    println!("{name}: {ratio:.2} × bare axum (median of {ROUNDS})");
    let limit = format!("{:.0}/s", baseline.per_second);
    Row::ratio(format!("{name} × bare axum"), ratio, limit)
        .with(&shop)
        .at_least(scenario.goal)
        .record();
    shop
}

/// Measures the scenario while customers order. `alone` is its throughput without.
async fn measure_with_orders(
    scenario: &Scenario,
    shop: &Server,
    customers: &mut Customers,
    alone: &Measurement,
) {
    let name = scenario.name;
    let interval =
        Duration::from_secs(1) * u32::try_from(CUSTOMERS).expect("few") / ORDERS_PER_SECOND;
    let reads = measure(&shop.address, scenario);
    let (reads, orders) = customers.check_out_every(interval, reads).await;
    let ratio = reads.per_second / alone.per_second;
    println!(
        "{name}: {:.0}/s while {:.0} orders/s are placed, {ratio:.2} × the rate without",
        reads.per_second, orders.per_second
    );
    let work = format!("{name} with {ORDERS_PER_SECOND} orders/s × without");
    Row::ratio(work, ratio, format!("{:.0}/s without", alone.per_second))
        .with(&reads)
        .at_least(0.6)
        .record();
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

//! How fast the catalog answers, against the limit of a bare handler.
//!
//! The shop lists 20 of its 10,000 products with their total, and shows single ones, over 32
//! connections; the limit is a bare axum handler, in a process of its own too, that serialises the
//! same products from memory. Both are measured in turn, and the ratio is what counts.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where anything is amiss"
)]

mod support;

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::Path, routing::get};
use serde::{Deserialize, Serialize};
use support::{Connection, Dice, Server, load, median, request, run, shop};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);

/// Names the file from which the bare server takes its products; set, this program is that server.
const BARE: &str = "BENCH_BARE_PRODUCTS";

fn main() {
    if let Ok(file) = std::env::var(BARE) {
        return serve_bare(&file);
    }
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("shop");
        shop(
            &home,
            &["admin", "seed", "--products", "10000", "--customers", "0"],
            &[],
        );
        let server = Server::shop(&home);
        let mut first = Connection::open(&server.address).await;
        let call = request("GET", "/api/v1/products?limit=20", None, "");
        let (status, body) = first.call(&call).await;
        assert_eq!(status, 200);
        let file = directory.path().join("products.json");
        std::fs::write(&file, body).expect("a file");
        let page: Listed = serde_json::from_slice(body).expect("a page");
        let ids: Vec<String> = page.data.into_iter().map(|product| product.id).collect();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(BARE, &file);
        let bare = Server::start(command);

        // Different pages of the shop; the bare server gives the same twenty.
        let lists: Vec<Vec<u8>> = (1..=5)
            .map(|page| format!("/api/v1/products?page={page}&limit=20"))
            .map(|path| request("GET", &path, None, ""))
            .collect();
        let singles: Vec<Vec<u8>> = ids
            .iter()
            .map(|id| request("GET", &format!("/api/v1/products/{id}"), None, ""))
            .collect();
        compare("list of 20 with total", &server, &bare, lists).await;
        compare("one product", &server, &bare, singles).await;
    });
}

async fn compare(what: &str, shop: &Server, bare: &Server, calls: Vec<Vec<u8>>) {
    let calls = Arc::new(calls);
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let limit = measure(&bare.address, &calls).await;
        let own = measure(&shop.address, &calls).await;
        ratios.push(own.0 / limit.0);
        println!(
            "{what}, round {round}: shop {:.0}/s (p50 {} µs, p99 {} µs), bare axum {:.0}/s \
             (p50 {} µs, p99 {} µs), ratio {:.2}",
            own.0,
            own.1,
            own.2,
            limit.0,
            limit.1,
            limit.2,
            own.0 / limit.0
        );
    }
    println!(
        "{what}: {:.2} × bare axum (median of {ROUNDS})",
        median(ratios)
    );
}

async fn measure(address: &str, calls: &Arc<Vec<Vec<u8>>>) -> (f64, u32, u32) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await);
    }
    let (_, rate) = load(connections, SPAN, |index, mut connection, until, tally| {
        let calls = Arc::clone(calls);
        let mut dice = Dice(index as u64 * 7919 + 1);
        async move {
            while Instant::now() < until {
                let started = Instant::now();
                let (status, _) = connection.call(&calls[dice.below(calls.len())]).await;
                assert_eq!(status, 200);
                tally.count(started.elapsed());
            }
            connection
        }
    })
    .await;
    rate
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
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

/// The limit: axum, the same products, nothing else.
fn serve_bare(file: &str) {
    let text = std::fs::read(file).expect("the products");
    let page: &'static Listed = Box::leak(serde_json::from_slice(&text).expect("a page"));
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
        axum::serve(listener, router).await.expect("it serves");
    });
}

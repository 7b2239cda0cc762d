//! How fast the catalog answers, against the limit of a bare handler.
//!
//! The shop lists 20 of its 10,000 products with their total, shows single ones, filters, searches and
//! walks, over 32 connections; the limit is a bare axum handler, in a process of its own too, that
//! serialises twenty products, or one, from memory. Both are measured in turn, and the ratio is what
//! counts. With `-- --large` a second shop of 1,000,000 products is asked the same, beside the first, and
//! the ratio of the two is what counts there. (`BENCH_LARGE=100000` makes it smaller; words, as in
//! `-- --large search filter`, leave out the questions whose names hold none of them.)

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where anything is amiss"
)]

mod support;

use std::{
    path::Path as FilePath,
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
    let (options, only): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let is_large = options.iter().any(|option| option == "--large");
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let small = Catalog::open(&directory.path().join("small"), 10_000).await;
        let file = directory.path().join("products.json");
        std::fs::write(&file, &small.first_page).expect("a file");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(BARE, &file);
        let bare = Server::start(command);
        let large = if is_large {
            let size = std::env::var("BENCH_LARGE").map_or(1_000_000, |size| {
                size.parse().expect("`BENCH_LARGE` must be a number")
            });
            Some(Catalog::open(&directory.path().join("large"), size).await)
        } else {
            None
        };
        for (index, (what, calls)) in small.questions.iter().enumerate() {
            if !only.is_empty() && !only.iter().any(|word| what.contains(word)) {
                continue;
            }
            compare(what, &small.server, &bare, calls).await;
            if let Some(large) = &large {
                against_the_small(what, &small, &large.questions[index].1, large).await;
            }
        }
    });
}

/// A shop with its catalog, and what it is asked.
struct Catalog {
    server: Server,
    first_page: Vec<u8>,
    questions: Vec<(&'static str, Arc<Vec<Vec<u8>>>)>,
}

impl Catalog {
    async fn open(home: &FilePath, size: usize) -> Catalog {
        let count = size.to_string();
        let seed = ["admin", "seed", "--products", &count, "--customers", "0"];
        shop(home, &seed, &[]);
        let server = Server::shop(home);
        let mut first = Connection::open(&server.address).await;
        let call = request("GET", "/api/v1/products?limit=20", None, "");
        let (status, body) = first.call(&call).await;
        assert_eq!(status, 200);
        let first_page = body.to_vec();
        let page: Listed = serde_json::from_slice(&first_page).expect("a page");
        let slug = page
            .data
            .iter()
            .find_map(|product| product.category.as_ref())
            .map(|category| category.slug.clone())
            .expect("a category");
        let mut cursor = String::new();
        let mut cursors = Vec::new();
        for _ in 0..20 {
            let path = format!("/api/v1/products?sort=price&limit=20&cursor={cursor}");
            let (status, body) = first.call(&request("GET", &path, None, "")).await;
            assert_eq!(status, 200);
            let answer: serde_json::Value = serde_json::from_slice(body).expect("JSON");
            answer["nextCursor"]
                .as_str()
                .expect("a cursor")
                .clone_into(&mut cursor);
            cursors.push(path);
        }
        let lists = (1..=5).map(|page| format!("/api/v1/products?page={page}&limit=20"));
        let singles = page
            .data
            .iter()
            .map(|product| format!("/api/v1/products/{}", product.id));
        let narrow = (1..=5).map(|page| {
            format!(
                "/api/v1/products?category={slug}&minPrice=1000&sort=price&page={page}&limit=20"
            )
        });
        // The last pages of the smaller one, whatever the size.
        let deep =
            (490..=499).map(|page| format!("/api/v1/products?sort=name&page={page}&limit=20"));
        let words = [
            "cotton",
            "steel%20lamp",
            "notebook",
            "bright%20rug",
            "oak",
            "kettel",
        ];
        let searches = words
            .iter()
            .map(|words| format!("/api/v1/products?q={words}&limit=20"));
        let filters = [
            format!("cotton&category={slug}"),
            format!("steel%20lamp&category={slug}&inStock=true"),
            "cotton&minPrice=1000".to_owned(),
            "oak&inStock=true".to_owned(),
            "notebook&maxPrice=50000&inStock=true".to_owned(),
        ];
        let narrowed = filters
            .iter()
            .map(|asked| format!("/api/v1/products?q={asked}&limit=20"));
        let asked = |paths: Vec<String>| {
            let calls = paths.iter().map(|path| request("GET", path, None, ""));
            Arc::new(calls.collect())
        };
        let questions = vec![
            ("list of 20 with total", asked(lists.collect())),
            ("one product", asked(singles.collect())),
            ("filter, sort and total", asked(narrow.collect())),
            ("deep page", asked(deep.collect())),
            ("walk by cursor", asked(cursors)),
            ("search", asked(searches.collect())),
            ("search, narrowed", asked(narrowed.collect())),
        ];
        Catalog {
            server,
            first_page,
            questions,
        }
    }
}

/// How much longer the larger catalog takes for the same.
async fn against_the_small(
    what: &str,
    small: &Catalog,
    calls: &Arc<Vec<Vec<u8>>>,
    large: &Catalog,
) {
    let own = &small
        .questions
        .iter()
        .find(|(name, _)| *name == what)
        .expect("the same")
        .1;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let one = measure(&small.server.address, own).await;
        let other = measure(&large.server.address, calls).await;
        ratios.push(one.0 / other.0);
    }
    println!(
        "{what}: the large catalog takes {:.2} × as long (median of {ROUNDS})",
        median(ratios)
    );
}

async fn compare(what: &str, shop: &Server, bare: &Server, calls: &Arc<Vec<Vec<u8>>>) {
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let limit = measure(&bare.address, calls).await;
        let own = measure(&shop.address, calls).await;
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

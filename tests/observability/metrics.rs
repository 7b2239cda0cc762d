//! `/metrics`, as Prometheus reads it.

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use serde_json::json;
use shop::server::metrics::all;

use crate::support::{Engine, Process, Remote, Site, sqlite_test, storage_test};

/// A server with metrics, and the address of these.
pub(super) struct Monitored {
    pub(super) process: Process,
    url: String,
}

impl Monitored {
    fn start(site: &Site) -> Monitored {
        Monitored::start_with(site, &[])
    }

    /// Starts a server with these environment variables.
    pub(super) fn start_with(site: &Site, variables: &[(&str, &str)]) -> Monitored {
        let mut variables = variables.to_vec();
        variables.extend([("SHOP_METRICS_LISTEN", "127.0.0.1:0"), ("SHOP_LOG", "info")]);
        let mut process = site.start_with(&variables);
        let mut lines = process.stderr_lines();
        let line = lines.find(|line| line.contains("metrics are at ")).unwrap();
        let (_, url) = line.split_once("metrics are at ").unwrap();
        let url = url.to_owned();
        // Nobody may stop reading the log.
        std::thread::spawn(move || lines.count());
        Monitored { process, url }
    }

    pub(super) fn stop(self) {
        self.process.terminate();
        assert!(self.process.wait().success());
    }

    pub(super) async fn scrape(&self) -> String {
        let response = reqwest::get(&self.url).await.unwrap();
        assert_eq!(response.status(), 200);
        let content_type = response.headers()["content-type"].to_str().unwrap();
        assert!(content_type.starts_with("text/plain; version=0.0.4"));
        response.text().await.unwrap()
    }
}

/// Returns the value of the sample with this name and these labels, in any order.
pub(crate) fn sample(metrics: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |line: &&str| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with(['{', ' '])
            && labels
                .iter()
                .all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
    };
    let line = metrics.lines().find(has)?;
    line.rsplit_once(' ').unwrap().1.parse().ok()
}

/// Returns the names of the metrics in a scrape.
fn names(metrics: &str) -> BTreeSet<&str> {
    let types = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap()).collect()
}

storage_test! {
    async fn requests_and_the_state_of_the_shop_are_counted(site: Site) {
        let server = Monitored::start(&site);
        let visitor = Remote::new(&server.process);
        let ada = visitor.registered("ada").await;
        for _ in 0..3 {
            ada.get("/me").await;
        }
        let metrics = server.scrape().await;
        let me = [("method", "GET"), ("route", "/api/v1/me"), ("status", "200")];
        assert_eq!(sample(&metrics, "shop_http_requests_total", &me), Some(3.0), "{metrics}");
        let count = sample(&metrics, "shop_http_request_duration_seconds_count", &me[..2]);
        assert_eq!(count, Some(3.0));
        assert!(sample(&metrics, "shop_commit_duration_seconds_count", &[]).unwrap() >= 2.0);
        assert_eq!(sample(&metrics, "shop_orders", &[("status", "PAID")]), Some(0.0));
        assert_eq!(sample(&metrics, "shop_payments_unmatched", &[]), Some(0.0));
        assert_eq!(sample(&metrics, "shop_scrape_failed", &[]), Some(0.0));
        assert!(sample(&metrics, "shop_http_connections", &[]).unwrap() >= 1.0);
        assert!(sample(&metrics, "shop_disk_free_bytes", &[]).unwrap() > 0.0);
        let engine = match site.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        };
        let build = [("engine", engine), ("version", env!("CARGO_PKG_VERSION"))];
        assert_eq!(sample(&metrics, "shop_build_info", &build), Some(1.0));
        if site.engine == Engine::Sqlite {
            assert!(sample(&metrics, "shop_write_group_size_count", &[]).unwrap() >= 2.0);
            assert!(sample(&metrics, "shop_wal_size_bytes", &[]).unwrap() > 0.0);
        }
        if cfg!(target_os = "linux") {
            assert!(sample(&metrics, "process_resident_memory_bytes", &[]).unwrap() > 1e6);
        }
    }

    async fn every_exported_metric_is_declared(site: Site) {
        let server = Monitored::start(&site);
        Remote::new(&server.process).registered("ada").await;
        let metrics = server.scrape().await;
        let declared: BTreeSet<&str> = all().map(|metric| metric.name).collect();
        let exported = names(&metrics);
        let undeclared: Vec<_> = exported.difference(&declared).collect();
        assert!(undeclared.is_empty(), "{undeclared:?}");
        // Those that need a job, scheduled backups, TLS, another engine or another system.
        let optional = |name: &str| {
            ["shop_job", "shop_backup_", "shop_tls_", "shop_wal_archive_", "process_"].iter().any(|prefix| name.starts_with(prefix))
                || ["shop_wal_size_bytes", "shop_write_group_size", "shop_checkpoint_duration_seconds"].contains(&name)
        };
        let missing: Vec<_> = declared.difference(&exported).filter(|name| !optional(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    async fn a_client_cannot_make_up_labels(site: Site) {
        let server = Monitored::start(&site);
        let visitor = Remote::new(&server.process);
        for number in 0..40 {
            let method = Method::from_bytes(format!("CANARY{number}").as_bytes()).unwrap();
            visitor.call(method, "/products", &[], "").await.unwrap();
            visitor.get(&format!("/canary/{number}")).await;
            visitor.get(&format!("/products/{number}?canary={number}")).await;
        }
        let metrics = server.scrape().await;
        assert!(!metrics.to_lowercase().contains("canary"));
        let series = metrics.lines().filter(|line| line.starts_with("shop_http_requests_total{"));
        assert!(series.count() < 6, "{metrics}");
        let other = [("method", "OTHER"), ("route", "/api/v1/products"), ("status", "405")];
        assert_eq!(sample(&metrics, "shop_http_requests_total", &other), Some(40.0));
    }

    async fn only_metrics_are_served(site: Site) {
        let server = Monitored::start(&site);
        let base = server.url.strip_suffix("/metrics").unwrap();
        let http = reqwest::Client::new();
        for path in ["/", "/healthz", "/api/v1/products"] {
            assert_eq!(http.get(format!("{base}{path}")).send().await.unwrap().status(), 404);
        }
        assert_eq!(http.post(&server.url).send().await.unwrap().status(), 405);
        // The shop's own address has none.
        let shop = format!("{}/metrics", server.process.url);
        assert_eq!(http.get(shop).send().await.unwrap().status(), 404);
        // A connection that sends nothing keeps no other from being served.
        let address = base.strip_prefix("http://").unwrap();
        let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
        let scraped = tokio::time::timeout(Duration::from_secs(5), server.scrape()).await;
        assert!(scraped.is_ok());
    }
}

/// Returns how many reads were answered from the response cache.
async fn cache_hits(server: &Monitored) -> f64 {
    let metrics = server.scrape().await;
    let hits = sample(
        &metrics,
        "shop_response_cache_requests_total",
        &[("result", "hit")],
    );
    hits.unwrap()
}

sqlite_test! {
    async fn a_sale_leaves_cached_responses_about_other_products_valid(site: Site) {
        site.run(&["admin", "seed", "--products", "30", "--customers", "0"]);
        let server = Monitored::start(&site);
        let visitor = Remote::new(&server.process);
        let ada = visitor.registered("ada").await;
        let products = visitor.get("/products").await.json()["data"].clone();
        let id = |index: usize| products[index]["id"].as_str().unwrap().to_owned();
        let paths = [format!("/products/{}", id(0)), "/products?limit=1".to_owned()];
        for path in &paths {
            visitor.get(path).await;
        }
        let before = cache_hits(&server).await;
        ada.post("/cart", &json!({ "productId": id(7), "quantity": 1 })).await;
        assert_eq!(ada.check_out_once("order-1").await.unwrap().status, 201);
        for path in &paths {
            visitor.get(path).await;
        }
        assert!(cache_hits(&server).await > before + 1.5, "both were cached");
    }

    async fn the_response_cache_has_a_maximum_size(site: Site) {
        site.run(&["admin", "seed", "--products", "400", "--customers", "0"]);
        let server = Monitored::start_with(&site, &[("SHOP_CACHE_MEMORY", "1MiB"), ("SHOP_RATE_LIMIT", "off")]);
        let visitor = Remote::new(&server.process);
        let mut sent = 0;
        for page in 1..=20 {
            for sort in ["price", "-price", "name", "-name", "createdAt", "-createdAt"] {
                let list = visitor.get(&format!("/products?page={page}&limit=20&sort={sort}")).await;
                sent += list.body.len();
            }
        }
        let metrics = server.scrape().await;
        let cached = sample(&metrics, "shop_response_cache_bytes", &[]).unwrap();
        assert!(sent > 1 << 20 && cached > 0.0 && cached <= f64::from(1 << 20), "{cached} of {sent}");
    }
}

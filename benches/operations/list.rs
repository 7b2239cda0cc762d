//! Lists of products: with metrics that are read every few seconds, and with a log of requests.

use std::{convert::Infallible, net::TcpListener, path::Path, sync::Arc, time::Duration};

use crate::{
    comparison::{Goals, compare},
    server,
    support::{Connection, Measurement, Server, checkout::seed, request, run_requests},
};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 7;
const DURATION: Duration = Duration::from_secs(10);

/// How often Prometheus reads the metrics.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) async fn measure_metrics(root: &Path) {
    let metrics_address = free_address();
    let metrics = [("SHOP_METRICS_LISTEN", metrics_address.clone())];
    let shops = Shops::start(root, &metrics, &[]);
    let requests = list_requests();
    let goals = Goals {
        rate: Some(0.97),
        ..Goals::default()
    };
    compare("metrics: list", &goals, ROUNDS, async |is_on| {
        let measured = run_lists(shops.server(is_on), &requests);
        if !is_on {
            return measured.await;
        }
        tokio::select! {
            measurement = measured => measurement,
            never = scrape(&metrics_address) => match never {},
        }
    })
    .await;
}

pub(crate) async fn measure_log(root: &Path) {
    let level = |level: &str| [("SHOP_LOG", level.to_owned())];
    let shops = Shops::start(root, &level("info"), &level("warn"));
    let requests = list_requests();
    compare("log: list", &Goals::default(), ROUNDS, async |is_on| {
        run_lists(shops.server(is_on), &requests).await
    })
    .await;
}

/// Two servers on the same products, with different settings.
struct Shops {
    with: Server,
    without: Server,
}

impl Shops {
    fn start(root: &Path, with: &[(&str, String)], without: &[(&str, String)]) -> Shops {
        std::fs::create_dir_all(root).expect("a directory");
        let start = |name: &str, environment| {
            let home = root.join(name);
            seed(&home, 10_000, 1, 0, &[]);
            server::start(&home, environment)
        };
        Shops {
            with: start("with", with),
            without: start("without", without),
        }
    }

    fn server(&self, with: bool) -> &Server {
        if with { &self.with } else { &self.without }
    }
}

/// Returns requests for the first pages.
fn list_requests() -> Arc<Vec<Vec<u8>>> {
    let page = |number| {
        let path = format!("/api/v1/products?page={number}&limit=20");
        request("GET", &path, &[], "")
    };
    Arc::new((1..=5).map(page).collect())
}

async fn run_lists(server: &Server, requests: &Arc<Vec<Vec<u8>>>) -> Measurement {
    run_requests(&server.address, CONNECTIONS, DURATION, requests).await
}

/// Returns an address on which nothing listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// Reads the metrics again and again.
async fn scrape(address: &str) -> Infallible {
    loop {
        let mut connection = Connection::open(address).await;
        let (status, body) = connection.send(&request("GET", "/metrics", &[], "")).await;
        assert_eq!(status, 200);
        let body = String::from_utf8_lossy(body);
        assert!(body.contains("shop_"), "there are no metrics: {body}");
        tokio::time::sleep(SCRAPE_INTERVAL).await;
    }
}

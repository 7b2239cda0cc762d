//! `shop admin pay`: simulated payments whose webhooks arrive, or are late, repeated, reordered or lost.

use std::time::{Duration, Instant};

use axum::{extract::State, http::StatusCode, routing::post};
use http::HeaderMap;
use shop::server::DataDir;
use tokio::sync::mpsc;

use super::*;
use crate::support::{Site, storage_test};

/// How long the test waits for a command before it fails.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Starts a server. Returns it with a customer and the customer's pending orders.
async fn pending_orders<const N: usize>(site: &Site) -> (Process, Remote, [TestResponse; N]) {
    let kettle = site.product("Kettle", 129_900, 9);
    let server = site.start();
    let ada = Remote::new(&server).registered("ada").await;
    let mut orders = Vec::new();
    for _ in 0..N {
        ada.post("/cart", &json!({ "productId": kettle })).await;
        orders.push(ada.post("/orders", &json!({})).await);
    }
    (server, ada, orders.try_into().unwrap())
}

/// Runs the command. Returns the summary after `order … is `.
#[track_caller]
fn pay(site: &Site, order: &TestResponse, more: &[&str]) -> String {
    let number = order.text("/number");
    let summary = stdout_of(&site.run(&[&["admin", "pay", &number], more].concat()));
    let rest = summary.strip_prefix(&format!("order {number} is "));
    rest.unwrap_or_else(|| panic!("{summary}"))
        .trim_end()
        .to_owned()
}

/// Returns the webhooks that the server received, each as `event outcome`, sorted.
fn received(site: &Site) -> Vec<String> {
    let rows = site
        .raw_db()
        .rows("SELECT event, outcome FROM payment_events ORDER BY event, outcome");
    let rows = rows.into_iter();
    rows.map(|cells| cells.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Returns the statuses of the payments at the provider.
fn provider_payments(site: &Site) -> Vec<String> {
    let rows = site
        .raw_db()
        .rows("SELECT status FROM mock_payments ORDER BY status");
    rows.concat().into_iter().flatten().collect()
}

storage_test! {
    async fn pay_delivers_webhooks_to_the_running_server(site: Site) {
        let (server, ada, orders) = pending_orders::<3>(&site).await;
        let (id, number) = (orders[0].text("/id"), orders[1].text("/number"));

        let paid = stdout_of(&site.run(&["admin", "pay", &id, "--json"]));
        let paid: Value = serde_json::from_str(&paid).unwrap();
        assert_eq!((&paid["id"], &paid["status"]), (&json!(id), &json!("PAID")));
        assert_eq!(paid["payment"]["status"], "CAPTURED");
        assert_eq!(received(&site), ["order.paid repeated", "payment.captured captured"]);
        assert_eq!(pay(&site, &orders[1], &["--fail"]), "PENDING, payment FAILED");
        let small = number.to_lowercase().replace('-', "");
        let paid = stdout_of(&site.run(&["admin", "pay", &small]));
        assert_eq!(paid, format!("order {number} is PAID, payment CAPTURED\n"));
        assert_eq!(provider_payments(&site), ["captured", "captured", "failed"]);

        for (order, status) in orders.iter().zip(["PAID", "PAID", "PENDING"]) {
            let shown = ada.get(&format!("/orders/{}", order.text("/id"))).await;
            assert_eq!(shown.text("/status"), status);
        }
        let error = failure_of(&site.run(&["admin", "pay", "0000-0000"]));
        assert!(error.contains("order"), "{error}");
        drop(server);
        let error = failure_of(&site.run(&["admin", "pay", &orders[2].text("/id")]));
        assert!(error.contains("shop serve"), "{error}");
        assert_eq!(provider_payments(&site).len(), 3, "no payment was made");
    }

    async fn repeated_webhooks_change_nothing(site: Site) {
        let (_server, _, [order]) = pending_orders(&site).await;
        let paid = pay(&site, &order, &["--duplicate", "3"]);
        assert_eq!(paid, "PAID, payment CAPTURED");
        assert_eq!(received(&site), ["order.paid repeated", "payment.captured captured"]);
        assert_eq!(provider_payments(&site), ["captured"]);
    }

    async fn webhooks_may_arrive_in_reverse_order(site: Site) {
        let (_server, _, [order]) = pending_orders(&site).await;
        let paid = pay(&site, &order, &["--reorder", "--duplicate", "1"]);
        assert_eq!(paid, "PAID, payment CAPTURED");
        assert_eq!(
            received(&site),
            ["order.paid captured", "payment.captured repeated", "payment.failed ignored"]
        );
        assert_eq!(provider_payments(&site), ["captured", "failed"]);
    }

    async fn reconcile_finds_a_payment_whose_webhook_was_lost(site: Site) {
        let (server, _, [order, other]) = pending_orders(&site).await;
        let lost = pay(&site, &order, &["--lose"]);
        assert!(lost.starts_with("PENDING, payment CREATED; "), "{lost}");
        assert!(lost.contains("`shop admin payments reconcile` finds pay_"), "{lost}");
        // No server is needed if no webhook is sent.
        drop(server);
        pay(&site, &other, &["--lose", "--fail"]);
        assert_eq!(received(&site), <[&str; 0]>::default());
        assert_eq!(provider_payments(&site), ["captured", "failed"]);

        let found = site.run(&["admin", "payments", "reconcile"]);
        assert!(found.status.success(), "{found:?}");
        assert_eq!(received(&site), ["payment.captured captured", "payment.failed failed"]);
        let paid = "SELECT number FROM orders WHERE status = 'PAID'";
        assert_eq!(site.raw_db().text(paid), order.text("/number").replace('-', ""));
    }

    async fn late_and_duplicate_payments_are_reported(site: Site) {
        let (_server, ada, [paid, cancelled]) = pending_orders(&site).await;
        assert_eq!(pay(&site, &paid, &[]), "PAID, payment CAPTURED");
        let again = pay(&site, &paid, &[]);
        assert!(again.starts_with("PAID, payment CAPTURED; pay_"), "{again}");
        assert!(again.ends_with(" is a duplicate payment and is refunded automatically"), "{again}");
        let duplicate = "payment.captured duplicate".to_owned();
        assert!(received(&site).contains(&duplicate), "{:?}", received(&site));
        let failed = pay(&site, &paid, &["--fail"]);
        assert!(failed.starts_with("PAID, payment CAPTURED; pay_"), "{failed}");
        assert!(failed.ends_with(" failed too late to change that"), "{failed}");

        let path = format!("/orders/{}/cancel", cancelled.text("/id"));
        assert_eq!(ada.post(&path, &json!({})).await.status, 200);
        let late = pay(&site, &cancelled, &[]);
        assert_eq!(late, "CANCELLED, payment REFUNDED");
        site.raw_db().assert_invariants();
    }

    async fn a_delayed_webhook_follows_its_payment(site: Site) {
        let (_server, _, [order]) = pending_orders(&site).await;
        std::thread::scope(|scope| {
            let paid = scope.spawn(|| pay(&site, &order, &["--delay", "1"]));
            let deadline = Instant::now() + TIMEOUT;
            while provider_payments(&site).is_empty() {
                assert!(Instant::now() < deadline, "no payment was made");
            }
            assert_eq!(received(&site), <[&str; 0]>::default());
            assert_eq!(paid.join().unwrap(), "PAID, payment CAPTURED");
        });
    }
}

/// The state of a fake server: where it reports requests, and its status for the nth one.
type FakeServer = (mpsc::UnboundedSender<HeaderMap>, fn(usize) -> StatusCode);

/// Starts a fake server. Returns its URL and the headers of each webhook.
async fn fake_server(
    answer: fn(usize) -> StatusCode,
) -> (String, mpsc::UnboundedReceiver<HeaderMap>) {
    let (sender, received) = mpsc::unbounded_channel();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let handler = move |State((sender, answer)): State<FakeServer>, headers: HeaderMap| async move {
        sender.send(headers).unwrap();
        answer(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    };
    let webhook = "/api/v1/payments/razorpay/webhook";
    let router = axum::Router::new()
        .route(webhook, post(handler))
        .with_state((sender, answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

/// Runs the command against a fake server. Returns its output and the event ids of the webhooks.
async fn pay_at_fake_server(answer: fn(usize) -> StatusCode) -> (Output, Vec<String>) {
    let site = Site::on(crate::support::Engine::Sqlite).await.unwrap();
    let (server, _, [order]) = pending_orders(&site).await;
    drop(server);
    let (url, mut received) = fake_server(answer).await;
    let mut lock = DataDir::at(site.path()).lock().unwrap();
    lock.announce(&url, &url).unwrap();
    let id = order.text("/id");
    let output = tokio::task::spawn_blocking(move || site.run(&["admin", "pay", &id, "--fail"]));
    let output = output.await.unwrap();
    received.close();
    let mut ids = Vec::new();
    while let Some(headers) = received.recv().await {
        assert_eq!(headers["x-razorpay-signature"].len(), 64);
        ids.push(headers["x-razorpay-event-id"].to_str().unwrap().to_owned());
    }
    (output, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pay_retries_while_the_server_is_busy() {
    let busy_at_first = |count| match count {
        0 | 1 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    let (output, ids) = pay_at_fake_server(busy_at_first).await;
    stdout_of(&output);
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "one event: {ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pay_does_not_retry_a_refused_webhook() {
    let (output, ids) = pay_at_fake_server(|_| StatusCode::UNAUTHORIZED).await;
    let error = failure_of(&output);
    assert!(
        error.contains("401") && error.contains("SHOP_RAZORPAY_WEBHOOK_SECRET"),
        "{error}"
    );
    assert_eq!(ids.len(), 1);
}

#[test]
fn pay_is_refused_with_real_razorpay_keys() {
    let directory = new_shop();
    let settings = directory.path().join("settings.toml");
    let keys = "razorpay_key_id = \"rzp_test_1\"\nrazorpay_key_secret = \"secret\"\n\
                razorpay_webhook_secret = \"whsec_of_the_test\"\n";
    fs::write(&settings, keys).unwrap();
    let pay = ["admin", "pay", "7K3M-9QXD", "--config"];
    let pay = [&pay[..], &[settings.to_str().unwrap()]].concat();
    let error = run_failing(directory.path(), &pay);
    assert!(error.contains("real Razorpay keys are set"), "{error}");
}

#[test]
fn pay_refuses_invalid_arguments() {
    let directory = tempfile::tempdir().unwrap();
    for more in [
        &["--fail", "--reorder"][..],
        &["--lose", "--duplicate", "1"],
        &["--lose", "--delay", "1s"],
        &["--lose", "--reorder"],
        &["--delay", "5 minutes"],
        &["--delay", "-1"],
        &["--duplicate", "-1"],
        &["--duplicate", "1001"],
    ] {
        let pay = [&["admin", "pay", "7K3M-9QXD"], more].concat();
        let output = run(directory.path(), &pay);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {output:?}");
    }
}

//! `shop admin pay`, which plays Razorpay: in its good manners and in its bad ones.

use std::time::{Duration, Instant};

use axum::{extract::State, http::StatusCode, routing::post};
use http::HeaderMap;
use shop::server::Home;
use tokio::sync::mpsc;

use super::*;
use crate::support::{Site, storage_test};

/// How long a command may take to get on; past it the test has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server, and orders of one customer that wait for their money.
async fn waiting<const N: usize>(site: &Site) -> (Process, Remote, [Answer; N]) {
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

/// What the command says of an order that it plays for.
#[track_caller]
fn pays(site: &Site, order: &Answer, more: &[&str]) -> String {
    let number = order.text("/number");
    let said = said(&site.run(&[&["admin", "pay", &number], more].concat()));
    let rest = said.strip_prefix(&format!("order {number} is "));
    rest.unwrap_or_else(|| panic!("{said}"))
        .trim_end()
        .to_owned()
}

/// What the server was told, and what it made of that: `event outcome`, in the order of the letters.
fn heard(site: &Site) -> Vec<String> {
    let rows = site
        .raw_db()
        .rows("SELECT event, outcome FROM payment_events ORDER BY event, outcome");
    let rows = rows.into_iter();
    rows.map(|cells| cells.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The states of the payments in the provider's own books.
fn books(site: &Site) -> Vec<String> {
    let rows = site
        .raw_db()
        .rows("SELECT status FROM mock_payments ORDER BY status");
    rows.concat().into_iter().flatten().collect()
}

storage_test! {
    async fn pay_plays_the_provider_to_the_running_server(site: Site) {
        let (server, ada, orders) = waiting::<3>(&site).await;
        let (id, number) = (orders[0].text("/id"), orders[1].text("/number"));

        let paid = said(&site.run(&["admin", "pay", &id, "--json"]));
        let paid: Value = serde_json::from_str(&paid).unwrap();
        assert_eq!((&paid["id"], &paid["status"]), (&json!(id), &json!("PAID")));
        assert_eq!(paid["payment"]["status"], "CAPTURED");
        assert_eq!(heard(&site), ["order.paid repeated", "payment.captured captured"]);
        assert_eq!(pays(&site, &orders[1], &["--fail"]), "PENDING, its payment FAILED");
        let small = number.to_lowercase().replace('-', "");
        let paid = said(&site.run(&["admin", "pay", &small]));
        assert_eq!(paid, format!("order {number} is PAID, its payment CAPTURED\n"));
        assert_eq!(books(&site), ["captured", "captured", "failed"]);

        for (order, status) in orders.iter().zip(["PAID", "PAID", "PENDING"]) {
            let shown = ada.get(&format!("/orders/{}", order.text("/id"))).await;
            assert_eq!(shown.text("/status"), status);
        }
        let why = why_failed(&site.run(&["admin", "pay", "0000-0000"]));
        assert!(why.contains("order"), "{why}");
        drop(server);
        let why = why_failed(&site.run(&["admin", "pay", &orders[2].text("/id")]));
        assert!(why.contains("shop serve"), "{why}");
        assert_eq!(books(&site).len(), 3, "nobody has paid");
    }

    async fn what_pay_repeats_changes_nothing(site: Site) {
        let (_server, _, [order]) = waiting(&site).await;
        let paid = pays(&site, &order, &["--duplicate", "3"]);
        assert_eq!(paid, "PAID, its payment CAPTURED");
        assert_eq!(heard(&site), ["order.paid repeated", "payment.captured captured"]);
        assert_eq!(books(&site), ["captured"]);
    }

    async fn what_pay_sends_last_may_come_first(site: Site) {
        let (_server, _, [order]) = waiting(&site).await;
        let paid = pays(&site, &order, &["--reorder", "--duplicate", "1"]);
        assert_eq!(paid, "PAID, its payment CAPTURED");
        assert_eq!(
            heard(&site),
            ["order.paid captured", "payment.captured repeated", "payment.failed ignored"]
        );
        assert_eq!(books(&site), ["captured", "failed"]);
    }

    async fn only_the_providers_books_tell_of_a_lost_webhook(site: Site) {
        let (server, _, [order, other]) = waiting(&site).await;
        let lost = pays(&site, &order, &["--lose"]);
        assert!(lost.starts_with("PENDING, its payment CREATED; "), "{lost}");
        assert!(lost.contains("`shop admin payments reconcile` finds pay_"), "{lost}");
        // What nobody hears of needs no server.
        drop(server);
        pays(&site, &other, &["--lose", "--fail"]);
        assert_eq!(heard(&site), <[&str; 0]>::default());
        assert_eq!(books(&site), ["captured", "failed"]);

        let found = site.run(&["admin", "payments", "reconcile"]);
        assert!(found.status.success(), "{found:?}");
        assert_eq!(heard(&site), ["payment.captured captured", "payment.failed failed"]);
        let paid = "SELECT number FROM orders WHERE status = 'PAID'";
        assert_eq!(site.raw_db().text(paid), order.text("/number").replace('-', ""));
    }

    async fn who_pays_too_late_is_told_so(site: Site) {
        let (_server, ada, [paid, cancelled]) = waiting(&site).await;
        assert_eq!(pays(&site, &paid, &[]), "PAID, its payment CAPTURED");
        let again = pays(&site, &paid, &[]);
        assert!(again.starts_with("PAID, its payment CAPTURED; pay_"), "{again}");
        assert!(again.ends_with(" paid a second time and is refunded automatically"), "{again}");
        let duplicate = "payment.captured duplicate".to_owned();
        assert!(heard(&site).contains(&duplicate), "{:?}", heard(&site));
        let failed = pays(&site, &paid, &["--fail"]);
        assert!(failed.starts_with("PAID, its payment CAPTURED; pay_"), "{failed}");
        assert!(failed.ends_with(" failed too late to change that"), "{failed}");

        let path = format!("/orders/{}/cancel", cancelled.text("/id"));
        assert_eq!(ada.post(&path, &json!({})).await.status, 200);
        let late = pays(&site, &cancelled, &[]);
        assert_eq!(late, "CANCELLED, its payment REFUNDED");
        site.raw_db().assert_sound();
    }

    async fn what_pay_delays_is_paid_before_it_is_told(site: Site) {
        let (_server, _, [order]) = waiting(&site).await;
        std::thread::scope(|scope| {
            let paid = scope.spawn(|| pays(&site, &order, &["--delay", "1"]));
            let deadline = Instant::now() + PATIENCE;
            while books(&site).is_empty() {
                assert!(Instant::now() < deadline, "nobody pays");
            }
            assert_eq!(heard(&site), <[&str; 0]>::default());
            assert_eq!(paid.join().unwrap(), "PAID, its payment CAPTURED");
        });
    }
}

/// A server that is not well: what it answers, and who hears what it is sent.
type Unwell = (mpsc::UnboundedSender<HeaderMap>, fn(usize) -> StatusCode);

/// Stands in for the shop's server: tells where, and each webhook's headers.
async fn stands_in(
    answer: fn(usize) -> StatusCode,
) -> (String, mpsc::UnboundedReceiver<HeaderMap>) {
    let (sender, heard) = mpsc::unbounded_channel();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let handler = move |State((sender, answer)): State<Unwell>, headers: HeaderMap| async move {
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
    (url, heard)
}

/// A directory with an order, whose server is another one.
async fn led_astray(answer: fn(usize) -> StatusCode) -> (Output, Vec<String>) {
    let site = Site::on(crate::support::Engine::Sqlite).await.unwrap();
    let (server, _, [order]) = waiting(&site).await;
    drop(server);
    let (url, mut heard) = stands_in(answer).await;
    let mut lock = Home::at(site.path()).lock().unwrap();
    lock.announce(&url, &url).unwrap();
    let id = order.text("/id");
    let output = tokio::task::spawn_blocking(move || site.run(&["admin", "pay", &id, "--fail"]));
    let output = output.await.unwrap();
    heard.close();
    let mut ids = Vec::new();
    while let Some(headers) = heard.recv().await {
        assert_eq!(headers["x-razorpay-signature"].len(), 64);
        ids.push(headers["x-razorpay-event-id"].to_str().unwrap().to_owned());
    }
    (output, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pay_tries_again_where_the_server_is_busy() {
    let busy_at_first = |count| match count {
        0 | 1 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    let (output, ids) = led_astray(busy_at_first).await;
    said(&output);
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "one event: {ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pay_gives_up_where_the_server_refuses() {
    let (output, ids) = led_astray(|_| StatusCode::UNAUTHORIZED).await;
    let why = why_failed(&output);
    assert!(
        why.contains("401") && why.contains("SHOP_RAZORPAY_WEBHOOK_SECRET"),
        "{why}"
    );
    assert_eq!(ids.len(), 1);
}

#[test]
fn pay_refuses_to_play_beside_the_real_razorpay() {
    let directory = new_shop();
    let settings = directory.path().join("settings.toml");
    let keys = "razorpay_key_id = \"rzp_test_1\"\nrazorpay_key_secret = \"secret\"\n\
                razorpay_webhook_secret = \"whsec_of_the_test\"\n";
    fs::write(&settings, keys).unwrap();
    let pay = ["admin", "pay", "7K3M-9QXD", "--config"];
    let pay = [&pay[..], &[settings.to_str().unwrap()]].concat();
    let why = fails(directory.path(), &pay);
    assert!(why.contains("real Razorpay keys are set"), "{why}");
}

#[test]
fn pay_refuses_what_makes_no_sense() {
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

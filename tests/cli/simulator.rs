//! The payment simulator of `shop serve --demo`.

use std::time::Duration;

use reqwest::StatusCode;

use super::*;

/// How long the test waits for a webhook before it fails.
const TIMEOUT: Duration = Duration::from_mins(1);

struct Demo {
    server: Process,
    ada: Remote,
    directory: tempfile::TempDir,
}

impl Demo {
    async fn start() -> Demo {
        let directory = tempfile::tempdir().unwrap();
        let server = Process::start_demo(directory.path());
        let ada = Remote::new(&server).registered("ada").await;
        Demo {
            server,
            ada,
            directory,
        }
    }

    /// Places an order. Returns its id.
    async fn order(&self) -> String {
        let products = self.ada.get("/products?inStock=true&limit=1").await;
        let product = products.text("/data/0/id");
        self.ada
            .post("/cart", &json!({ "productId": product }))
            .await;
        let order = self.ada.post("/orders", &json!({})).await;
        assert_eq!(order.status, 201, "{order:?}");
        order.text("/id")
    }

    async fn pay(&self, who: &Remote, order: &str, simulation: Value) -> (StatusCode, Value) {
        let request = reqwest::Client::new()
            .post(format!("{}/demo/orders/{order}/pay", self.server.url))
            .header("content-type", "application/json")
            .bearer_auth(who.token.as_deref().unwrap_or_default())
            .body(simulation.to_string());
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Waits until an order has this status and its payment that one.
    async fn reaches(&self, order: &str, status: &str, payment: &str) -> TestResponse {
        let reached = async {
            loop {
                let shown = self.ada.get(&format!("/orders/{order}")).await;
                if shown.text("/status") == status && shown.text("/payment/status") == payment {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let reached = tokio::time::timeout(TIMEOUT, reached).await;
        reached.unwrap_or_else(|_| panic!("order {order} is not {status}, {payment}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_simulates_payments() {
    let demo = Demo::start().await;
    let ada = demo.ada.clone();

    let order = demo.order().await;
    let (status, body) = demo.pay(&ada, &order, json!({ "fail": true })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    demo.reaches(&order, "PENDING", "FAILED").await;
    let (status, body) = demo.pay(&ada, &order, json!({ "duplicates": 1 })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let paid = demo.reaches(&order, "PAID", "CAPTURED").await;
    assert_eq!(paid.text("/payment/transactionId"), body["paymentId"]);

    // Late: the order is cancelled already, and the money goes back.
    let late = demo.order().await;
    let cancelled = ada
        .post(&format!("/orders/{late}/cancel"), &json!({}))
        .await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let (status, _) = demo.pay(&ada, &late, json!({ "delaySeconds": 1 })).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    demo.reaches(&late, "CANCELLED", "REFUNDED").await;

    // Lost: the payment exists at the provider only.
    let lost = demo.order().await;
    let (status, _) = demo.pay(&ada, &lost, json!({ "lose": true })).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    stdout_of(&run(
        demo.directory.path(),
        &["admin", "payments", "reconcile"],
    ));
    demo.reaches(&lost, "PAID", "CAPTURED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulator_pays_only_for_own_orders() {
    let demo = Demo::start().await;
    let order = demo.order().await;
    let bob = Remote::new(&demo.server).registered("bob").await;
    let anonymous = Remote::new(&demo.server);
    let ada = demo.ada.clone();
    for (who, simulation, expected) in [
        (&bob, json!({}), StatusCode::NOT_FOUND),
        (&anonymous, json!({}), StatusCode::UNAUTHORIZED),
        (
            &ada,
            json!({ "duplicates": 11 }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            &ada,
            json!({ "delaySeconds": 601 }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            &ada,
            json!({ "later": true }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let (status, body) = demo.pay(who, &order, simulation).await;
        assert_eq!(status, expected, "{body}");
    }
    let shown = demo.ada.get(&format!("/orders/{order}")).await;
    assert_eq!(shown.text("/payment/status"), "CREATED");
}

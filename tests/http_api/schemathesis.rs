//! Schemathesis tests the running shop against its OpenAPI document.

use crate::support::{Client, Prepared, Schemathesis, TestShop, live::Served, storage_test};

/// Creates what Schemathesis cannot reach on its own: a product in the client's cart, two orders, one of them
/// paid, and an account whose role may change.
async fn prepare(shop: &TestShop, client: &Client<'_>) -> Prepared {
    let product = shop.product("Kettle", 2_000, 9).await;
    let order = client.place_order(&product, 1).await;
    let paid = client.place_order(&product, 1).await;
    shop.capture(&paid).await;
    client.add_to_cart(&product, 1).await;
    let account = shop.customer("bob").await.get("/me").await.text("/id");
    let id = |order: &serde_json::Value| order["id"].as_str().unwrap().to_owned();
    [
        ("PRODUCT", product),
        ("ORDER", id(&order)),
        ("PAID_ORDER", id(&paid)),
        ("ACCOUNT", account),
    ]
}

/// Runs all checks and phases, with this token if there is one.
async fn run(shop: &TestShop, client: &Client<'_>, token: Option<&str>) {
    let Some(schemathesis) = Schemathesis::installed() else {
        return;
    };
    let prepared = prepare(shop, client).await;
    let role = client.get("/me").await.text("/role");
    let served = Served::start(shop).await;
    schemathesis.finds_nothing(&served, token, prepared).await;
    let me = client.get("/me").await;
    assert_eq!(me.status, 200, "the session has ended: {me:?}");
    assert_eq!(me.text("/role"), role);
}

storage_test! {
    async fn schemathesis_finds_nothing_as_anonymous(shop: TestShop) {
        run(&shop, &shop.customer("ada").await, None).await;
    }

    async fn schemathesis_finds_nothing_as_a_customer(shop: TestShop) {
        let ada = shop.customer("ada").await;
        run(&shop, &ada, ada.token.as_deref()).await;
    }

    async fn schemathesis_finds_nothing_as_an_admin(shop: TestShop) {
        let admin = shop.admin().await;
        run(&shop, &admin, admin.token.as_deref()).await;
    }
}

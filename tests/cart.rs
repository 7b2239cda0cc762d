//! Carts.

use serde_json::json;

use crate::support::storage_test;

storage_test! {
    async fn a_cart_is_kept_and_priced(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;

        let cart = ada.post("/cart", json!({ "productId": kettle, "quantity": 2 })).await;
        assert_eq!(cart.status, 200);
        assert_eq!(cart.number("/totalAmount"), 259_800);

        let shop_again = ada.get("/cart").await;
        assert_eq!(shop_again.json(), cart.json());
    }
}

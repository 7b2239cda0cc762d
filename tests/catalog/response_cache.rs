//! Cached lists and products: the next read after a change returns it, whoever made the change.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Method;
use serde_json::{Value, json};

use super::category;
use crate::support::{Form, TestResponse, TestShop, images::png, shopping, storage_test};

/// Lists whose filters, sort orders and totals depend on everything that changes.
const LISTS: [&str; 13] = [
    "limit=20",
    "limit=1",
    "page=2&limit=2",
    "sort=price",
    "sort=-name&cursor=&limit=2",
    "inStock=true",
    "inStock=false&sort=name",
    "minPrice=2000&maxPrice=40000&sort=-price",
    "q=kettle",
    "q=ketle",
    "q=red&inStock=true",
    "category=kitchen",
    "category=garden",
];

/// A shop whose cached responses are compared with responses that are read from the database.
struct Cached<'a> {
    shop: &'a TestShop,
    products: Vec<String>,
    /// The number of empty parameters, which are ignored, in the URI of the last list that was certainly not cached.
    empty: usize,
}

impl Cached<'_> {
    /// Makes sure that everything is cached.
    async fn fill(&self) {
        let products = self.products.iter().map(|id| format!("/products/{id}"));
        let lists = LISTS.iter().map(|query| format!("/products?{query}"));
        for path in products.chain(lists) {
            self.shop.anonymous().get(&path).await;
        }
    }

    /// Compares everything with the database. `change` is what was changed since [`Cached::fill`].
    async fn compare(&mut self, change: &str) {
        let anyone = self.shop.anonymous();
        for query in LISTS {
            let path = format!("/products?{query}");
            let (cached, read) = (anyone.get(&path).await, self.read(query).await);
            assert_eq!(cached.json(), read, "`{query}` after {change}");
        }
        let all = self.read("limit=100").await;
        for id in &self.products {
            let shown = anyone.get(&format!("/products/{id}")).await;
            let mut listed = all["data"].as_array().unwrap().iter();
            match listed.find(|product| product["id"] == json!(id)) {
                Some(listed) => assert_eq!(shown.json(), *listed, "a product after {change}"),
                None => assert_eq!(shown.status, 404, "a product after {change}"),
            }
        }
    }

    /// Reads a list from the database.
    async fn read(&mut self, query: &str) -> Value {
        self.empty += 1;
        let path = format!("/products?{query}{}", "&".repeat(self.empty));
        self.shop.anonymous().get(&path).await.json()
    }
}

storage_test! {
    async fn the_next_read_returns_every_change(shop: TestShop) {
        let kitchen = category(&shop, "Kitchen").await;
        let kettle = shop.product("Red kettle", 129_900, 5).await;
        let mug = shop.product("Red mug", 3_000, 1).await;
        let pan = shop.product("Pan", 30_000, 0).await;
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let products = vec![kettle.clone(), mug.clone(), pan.clone()];
        let mut cached = Cached { shop: &shop, products, empty: 0 };
        let path = |id: &str| format!("/products/{id}");
        let done = |answer: TestResponse| assert!(answer.status < 300, "{answer:?}");
        let run = |arguments: &[&str]| {
            let output = shop.run(&[&["admin", "product"], arguments].concat());
            assert!(output.status.success(), "{output:?}");
        };
        let order;

        macro_rules! compare_after {
            ($($change:literal => $made:expr;)*) => {$(
                cached.fill().await;
                $made;
                cached.compare($change).await;
            )*};
        }
        compare_after! {
            "a product was moved" => {
                done(admin.patch(&path(&kettle), json!({ "categoryId": kitchen })).await)
            };
            "a category was renamed" => {
                done(admin.patch(&format!("/categories/{kitchen}"), json!({ "name": "Cuisine" })).await)
            };
            "a category was created" => category(&shop, "Garden").await;
            "a price was changed" => done(admin.patch(&path(&pan), json!({ "price": 2_500 })).await);
            "a name was changed" => done(admin.patch(&path(&mug), json!({ "name": "Kettle, red" })).await);
            "the last unit was sold" => order = ada.place_order(&mug, 1).await;
            "a unit was sold" => ada.place_order(&kettle, 1).await;
            "an order was cancelled" => {
                done(ada.post(&format!("{}/cancel", shopping::path(&order)), Value::Null).await)
            };
            "stock was added" => {
                let stock = json!({ "delta": 7, "reason": "delivery" });
                done(admin.post(&format!("/admin/products/{pan}/stock"), stock).await)
            };
            "an image was added" => {
                let images = format!("/products/{pan}/images");
                done(admin.upload(Method::POST, &images, &[], Form::default().image(&png())).await)
            };
            "a product was created" => {
                done(admin.post("/products", json!({ "name": "Red rug", "price": 9 })).await)
            };
            "products were imported" => {
                let table = format!("id,name,price,stockQuantity\n{kettle},Blue kettle,77,0\n,Red lamp,2100,4\n");
                let csv = [("content-type", "text/csv")];
                done(admin.raw(Method::POST, "/admin/products/import", &csv, table).await)
            };
            "a command changed the stock" => run(&["stock", &kettle, "9", "--reason", "found"]);
            "a command renamed a product" => run(&["edit", &pan, "--name", "Red pan"]);
            "a product was deleted" => done(admin.delete(&path(&mug)).await);
        }
    }

    async fn a_reader_beside_a_writer_never_sees_less_than_was_acknowledged(shop: TestShop) {
        let shop = Arc::new(shop);
        let kettle = shop.product("Kettle", 129_900, 0).await;
        let is_over = Arc::new(AtomicBool::new(false));
        // These readers fill the cache at any moment of a write.
        let readers = [(); 2].map(|()| {
            let (shop, kettle, is_over) = (Arc::clone(&shop), kettle.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut newest = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let shown = shop.anonymous().get(&format!("/products/{kettle}")).await;
                    let stock = shown.number("/stockQuantity");
                    assert!(stock >= newest, "{stock} after {newest}");
                    newest = stock;
                    tokio::task::yield_now().await;
                }
            })
        });
        let admin = shop.admin().await;
        for stock in 1..=200 {
            let body = json!({ "delta": 1, "reason": "count" });
            let changed = admin.post(&format!("/admin/products/{kettle}/stock"), body).await;
            assert_eq!(changed.number("/stockQuantity"), stock);
            let shown = shop.anonymous().get(&format!("/products/{kettle}")).await;
            assert_eq!(shown.json(), changed.json());
            assert_eq!(shown.header("etag"), changed.header("etag"));
            let listed = shop.anonymous().get("/products?inStock=true").await;
            assert_eq!(listed.json()["data"], json!([changed.json()]));
        }
        is_over.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.unwrap();
        }
    }

    async fn an_unchanged_list_is_not_sent_again(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        shop.product("Mug", 3_000, 5).await;
        let list = async |tag: &str| {
            let known = [("if-none-match", tag)];
            shop.anonymous().call(Method::GET, "/products?limit=1", &known, Value::Null).await
        };
        let first = list("\"unknown\"").await;
        assert_eq!(first.status, 200);
        let tag = first.header("etag").unwrap().to_owned();
        let unchanged = list(&tag).await;
        assert_eq!(unchanged.status, 304);
        assert!(unchanged.body.is_empty());
        for name in ["etag", "link"] {
            assert_eq!(unchanged.header(name), first.header(name), "{name}");
        }
        assert!(unchanged.header("x-inventory-seq").is_some());
        shop.admin().await.delete(&format!("/products/{kettle}")).await;
        let changed = list(&tag).await;
        assert_eq!(changed.status, 200, "the total has changed");
        assert_ne!(changed.header("etag"), Some(&*tag));
    }
}

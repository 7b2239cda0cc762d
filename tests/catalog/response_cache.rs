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
        let products = self
            .products
            .iter()
            .flat_map(|id| [format!("/products/{id}"), format!("/variants/{id}")]);
        let lists = LISTS.iter().map(|query| format!("/products?{query}"));
        for path in products.chain(lists) {
            self.shop.anonymous().get(&path).await;
        }
    }

    /// Makes a change while everything is cached, and compares everything with the database.
    async fn after<T>(&mut self, change: &str, made: impl Future<Output = T>) -> T {
        self.fill().await;
        let made = made.await;
        self.compare(change).await;
        made
    }

    /// Like [`Cached::after`], for a request that must succeed.
    async fn after_request(&mut self, change: &str, made: impl Future<Output = TestResponse>) {
        let answer = self.after(change, made).await;
        assert!(answer.status < 300, "{change}: {answer:?}");
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
            let variant = anyone.get(&format!("/variants/{id}")).await;
            assert_eq!(variant.status, shown.status, "a variant after {change}");
            let mut listed = all["data"].as_array().unwrap().iter();
            match listed.find(|product| product["id"] == json!(id)) {
                Some(listed) => {
                    assert_eq!(shown.as_listed(), *listed, "a product after {change}");
                    let mut variant = variant.json();
                    let product = variant.as_object_mut().unwrap().remove("product").unwrap();
                    for field in ["id", "name", "slug", "images"] {
                        assert_eq!(
                            product[field],
                            shown.json()[field],
                            "{field} of a variant after {change}"
                        );
                    }
                    assert_eq!(
                        shown.json()["variants"],
                        json!([variant]),
                        "a variant after {change}"
                    );
                }
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
        let [kettle_path, mug_path, pan_path] = [&kettle, &mug, &pan].map(|id| format!("/products/{id}"));
        let category_path = format!("/categories/{kitchen}");
        let stock_path = format!("/admin/products/{pan}/stock");
        let variant_path = format!("/variants/{pan}");
        let images_path = format!("/products/{pan}/images");
        let run = async |arguments: &[&str]| {
            let output = shop.run(&[&["admin", "product"], arguments].concat());
            assert!(output.status.success(), "{output:?}");
        };

        let moved = json!({ "categoryId": kitchen });
        cached.after_request("a product was moved", admin.patch(&kettle_path, moved)).await;
        let renamed = admin.patch(&category_path, json!({ "name": "Cuisine" }));
        cached.after_request("a category was renamed", renamed).await;
        cached.after("a category was created", category(&shop, "Garden")).await;
        cached.after_request("a price was changed", admin.patch(&pan_path, json!({ "price": 2_500 }))).await;
        let renamed = admin.patch(&mug_path, json!({ "name": "Kettle, red" }));
        cached.after_request("a product was renamed", renamed).await;
        let order = cached.after("the last unit was sold", ada.place_order(&mug, 1)).await;
        cached.after("a unit was sold", ada.place_order(&kettle, 1)).await;
        let cancel_path = format!("{}/cancel", shopping::path(&order));
        let cancelled = ada.post(&cancel_path, Value::Null);
        cached.after_request("an order was cancelled", cancelled).await;
        let delivery = json!({ "delta": 7, "reason": "delivery" });
        let added = admin.post(&stock_path, delivery);
        cached.after_request("stock was added", added).await;
        let image = Form::default().image(&png());
        let added = admin.upload(Method::POST, &images_path, &[], image);
        cached.after_request("an image was added", added).await;
        let created = admin.post("/products", json!({ "name": "Red rug", "price": 9 }));
        cached.after_request("a product was created", created).await;
        let table = format!("id,name,price,stockQuantity\n{kettle},Blue kettle,77,0\n,Red lamp,2100,4\n");
        let csv = [("content-type", "text/csv")];
        let imported = admin.raw(Method::POST, "/admin/products/import", &csv, table);
        cached.after_request("products were imported", imported).await;
        let found = ["stock", &kettle, "9", "--reason", "found"];
        cached.after("a command changed the stock", run(&found)).await;
        cached.after("a command renamed a product", run(&["edit", &pan, "--name", "Red pan"])).await;
        let sku = admin.patch(&variant_path, json!({ "sku": "PAN" }));
        cached.after_request("a variant was changed", sku).await;
        cached.after_request("a product was deleted", admin.delete(&mug_path)).await;
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
            assert_eq!(listed.json()["data"], json!([changed.as_listed()]));
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

//! Images without a row are deleted from the image store: with retries, and after crashes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use image::ImageFormat;
use serde_json::Value;
use shop::{
    core::error::{Error, Result},
    infra::ports::{ImageStore, Objects, StoreLocation, images::Found},
};

use super::{admin_of, files, path, product};
use tokio::{
    sync::{Notify, RwLock, mpsc},
    task::JoinHandle,
};

use crate::support::{
    Cloudinary, CloudinaryBehavior, Form, Process, TestShop,
    images::{png, test_image},
    storage_test,
};

/// A local image store that can be created to fail.
struct FailingStore {
    folder: Objects,
    puts_fail: AtomicBool,
    deletions_fail: AtomicBool,
    /// Delays the responses to `put` while write-locked.
    responses: RwLock<()>,
    /// Notified of each image that was put.
    put: Notify,
    /// The key of the last image that was put although `put` failed.
    lost: Mutex<Option<String>>,
}

impl FailingStore {
    fn new(directory: &tempfile::TempDir) -> Arc<FailingStore> {
        Arc::new(FailingStore {
            folder: Objects::local(directory.path()).unwrap(),
            puts_fail: AtomicBool::default(),
            deletions_fail: AtomicBool::default(),
            responses: RwLock::default(),
            put: Notify::new(),
            lost: Mutex::default(),
        })
    }
}

fn down<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    std::future::ready(Err(Error::unavailable("it is down"))).boxed()
}

impl ImageStore for FailingStore {
    /// Fails after it has stored the image, as if the response were lost.
    fn put<'a>(&'a self, name: &'a str, file: Bytes) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            self.folder.put(name, file).await?;
            self.put.notify_one();
            drop(self.responses.read().await);
            if self.puts_fail.load(Ordering::SeqCst) {
                *self.lost.lock().unwrap() = Some(name.to_owned());
                return down().await;
            }
            Ok(None)
        }
        .boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Found>> {
        self.folder.get(name)
    }

    fn remove<'a>(&'a self, stem: &'a str) -> BoxFuture<'a, Result<()>> {
        if self.deletions_fail.load(Ordering::SeqCst) {
            return down();
        }
        self.folder.remove(stem)
    }

    fn stems(&self) -> BoxStream<'_, Result<String>> {
        self.folder.stems().boxed()
    }

    fn location(&self) -> StoreLocation {
        StoreLocation::Remote("failing".to_owned())
    }
}

fn count(directory: &tempfile::TempDir) -> usize {
    std::fs::read_dir(directory.path()).unwrap().count()
}

storage_test! {
    async fn the_images_of_a_deleted_product_are_deleted(shop: TestShop) {
        let admin = shop.admin().await;
        let other = product(&admin, &[&png()]).await;
        let created = product(&admin, &[&test_image(700, 9, ImageFormat::Jpeg), &png()]).await;
        for width in [320, 640] {
            let thumbnail = shop.anonymous().get(&format!("{}?w={width}", path(&created, 0))).await;
            assert_eq!(thumbnail.status, 200);
        }
        assert_eq!(files(&shop).len(), 5);
        let deleted = admin.delete(&format!("/products/{}", created.text("/id"))).await;
        assert_eq!(deleted.status, 204);
        assert_eq!(shop.delete_due_images().await, 2);
        assert_eq!(files(&shop).len(), 1, "all thumbnails are deleted");
        for index in [0, 1] {
            shop.anonymous().get(&path(&created, index)).await.assert_problem(404, "not-found");
        }
        assert_eq!(shop.anonymous().get(&path(&other, 0)).await.status, 200);
        assert_eq!(shop.delete_due_images().await, 0);
    }

    async fn a_deletion_is_retried_until_it_succeeds(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let store = FailingStore::new(&directory);
        let shop = TestShop::with_image_store(shop.engine, Arc::clone(&store) as _).await;
        let admin = shop.admin().await;
        let created = product(&admin, &[&png()]).await;
        store.deletions_fail.store(true, Ordering::SeqCst);
        let image = format!("/products/{}/images/{}", created.text("/id"), created.text("/images/0/id"));
        assert_eq!(admin.delete(&image).await.status, 200, "the image store is not involved yet");
        // The backoff is 1, 2, 4 … seconds, up to ten minutes.
        assert_eq!((shop.delete_due_images().await, shop.delete_due_images().await), (1, 0));
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            shop.advance_clock(Duration::from_millis(pause * 1000 - 1));
            assert_eq!(shop.delete_due_images().await, 0, "{pause} s have not passed");
            shop.advance_clock(Duration::from_millis(1));
            assert_eq!(shop.delete_due_images().await, 1, "{pause} s have passed");
        }
        assert_eq!(count(&directory), 1);
        store.deletions_fail.store(false, Ordering::SeqCst);
        let shop = shop.restarted().await;
        shop.advance_clock(Duration::from_hours(1));
        assert_eq!((shop.delete_due_images().await, count(&directory)), (1, 0));
        shop.advance_clock(Duration::from_hours(1));
        assert_eq!(shop.delete_due_images().await, 0);
    }

    async fn an_upload_whose_response_was_lost_is_deleted(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let store = FailingStore::new(&directory);
        let shop = TestShop::with_image_store(shop.engine, Arc::clone(&store) as _).await;
        let admin = shop.admin().await;
        store.puts_fail.store(true, Ordering::SeqCst);
        product(&admin, &[&png(), &png()]).await.assert_problem(503, "unavailable");
        assert_eq!(count(&directory), 0, "deleted immediately");
        // It is deleted once more later, because the upload may arrive after the first deletion.
        let lost = store.lost.lock().unwrap().take().unwrap();
        store.folder.put(&lost, png().into()).await.unwrap();
        shop.advance_clock(Duration::from_mins(10));
        assert_eq!((shop.delete_due_images().await, count(&directory)), (2, 0));
        assert_eq!(shop.delete_due_images().await, 0);
        store.deletions_fail.store(true, Ordering::SeqCst);
        product(&admin, &[&png(), &png()]).await.assert_problem(503, "unavailable");
        assert_eq!(count(&directory), 1);
        store.deletions_fail.store(false, Ordering::SeqCst);
        shop.advance_clock(Duration::from_secs(1));
        // The second image was never sent, but its deletion is retried, too.
        shop.delete_due_images().await;
        assert_eq!(count(&directory), 0);
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
    }

    async fn orphaned_files_are_deleted(shop: TestShop) {
        let admin = shop.admin().await;
        let named = product(&admin, &[&png()]).await;
        let id = "019c13d8-b0b0-7000-8000-00000000000";
        // The first 48 bits of an id are its creation time in milliseconds.
        let images = shop.directory.path().join("images");
        let orphans = [format!("{id}1.png"), format!("{id}2.jpg"), format!("{id}3-320")];
        for name in &orphans {
            std::fs::write(images.join(name), png()).unwrap();
        }
        std::fs::write(images.join(format!("{id}2.jpg#1")), "half of it").unwrap();
        std::fs::write(images.join("notes.txt"), "the operator's").unwrap();
        let is_orphan = |name: &str| name.starts_with(id);
        assert_eq!(shop.delete_orphaned_images().await, 0, "the upload may be in progress");
        shop.advance_clock(Duration::from_hours(24 * 365));
        assert_eq!(shop.delete_orphaned_images().await, 3);
        assert_eq!(shop.delete_orphaned_images().await, 0, "their deletion is queued");
        assert_eq!(shop.delete_due_images().await, 3);
        assert!(!files(&shop).iter().any(|name| is_orphan(name)), "{:?}", files(&shop));
        assert!(files(&shop).contains("notes.txt"));
        assert_eq!(shop.anonymous().get(&path(&named, 0)).await.status, 200);
        assert_eq!(shop.delete_orphaned_images().await, 0);
    }

    async fn an_image_cannot_be_attached_once_its_deletion_has_started(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let store = FailingStore::new(&directory);
        let shop = TestShop::with_image_store(shop.engine, Arc::clone(&store) as _).await;
        let admin = shop.admin().await;
        let held = store.responses.write().await;
        let image = png();
        let images = [&image[..]];
        let upload = product(&admin, &images);
        let deletion = async {
            store.put.notified().await;
            shop.advance_clock(Duration::from_mins(59));
            assert_eq!(shop.delete_due_images().await, 0, "the upload is in progress");
            shop.advance_clock(Duration::from_mins(1));
            assert_eq!((shop.delete_due_images().await, count(&directory)), (1, 0));
            drop(held);
        };
        let (answer, ()) = tokio::join!(upload, deletion);
        answer.assert_problem(503, "unavailable");
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
    }

    async fn a_killed_upload_has_a_scheduled_deletion(shop: TestShop) {
        // The image host never responds, and the server is killed while it waits.
        let host = Cloudinary::start().await;
        host.set_behavior(CloudinaryBehavior::Hang);
        let settings = host.settings();
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &settings)]).await;
        let server = Process::of_with(&shop, &[("CLOUDINARY_URL", &settings)]);
        let token = admin_of(&shop, &server).await;
        let upload = remote_upload(&server.url, &token);
        tokio::time::timeout(Duration::from_mins(1), host.requested()).await.unwrap();
        server.kill();
        assert!(upload.await.unwrap().is_err(), "the upload has no response");
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM jobs WHERE kind = 'delete-image'"), 1);
        host.set_behavior(CloudinaryBehavior::Normal);
        // The server process used the system clock, which is ahead of the test's clock.
        shop.advance_clock(Duration::from_hours(24 * 3650));
        assert_eq!((shop.delete_due_images().await, shop.delete_due_images().await), (1, 0));
    }

    async fn an_acknowledged_upload_survives_sigkill(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "off")]).await;
        let server = Process::of(&shop);
        let token = admin_of(&shop, &server).await;
        let (sender, mut responses) = mpsc::unbounded_channel();
        for _ in 0..4 {
            let (url, token, sender) = (server.url.clone(), token.clone(), sender.clone());
            tokio::spawn(async move {
                while let Ok(Ok(answer)) = remote_upload(&url, &token).await {
                    let Ok(text) = answer.text().await else { return };
                    sender.send(text).unwrap();
                }
            });
        }
        drop(sender);
        let mut acknowledged = Vec::new();
        while let Some(text) = responses.recv().await {
            acknowledged.push(text);
            if acknowledged.len() == 12 {
                break;
            }
        }
        server.kill();
        // Responses may have been sent before the server died.
        while let Some(text) = responses.recv().await {
            acknowledged.push(text);
        }
        let anonymous = shop.anonymous();
        let listed = anonymous.get("/products?limit=100").await.json();
        let listed = listed["data"].as_array().unwrap();
        assert!(listed.len() >= acknowledged.len());
        for text in &acknowledged {
            let product: Value = serde_json::from_str(text).unwrap();
            let saved = listed.iter().find(|other| other["id"] == product["id"]);
            assert_eq!(saved.map(file_of), Some(file_of(&product)), "{text}");
        }
        for product in listed {
            let shown = anonymous.get(&format!("/images/{}", file_of(product))).await;
            assert_eq!(shown.status, 200, "{product}");
            assert_eq!(image::load_from_memory(&shown.body).unwrap().width(), 6);
        }
        shop.advance_clock(Duration::from_hours(24 * 3650));
        shop.delete_orphaned_images().await;
        shop.delete_due_images().await;
        let rows: BTreeSet<String> = listed.iter().map(file_of).collect();
        assert_eq!(files(&shop), rows, "files without a row are deleted");
    }
}

/// Returns the file name of a product's only image.
fn file_of(product: &Value) -> String {
    let url = product["images"][0]["url"].as_str().unwrap();
    url.rsplit_once('/').unwrap().1.to_owned()
}

/// Sends a product with an image to a server process.
fn remote_upload(url: &str, token: &str) -> JoinHandle<reqwest::Result<reqwest::Response>> {
    let form = Form::default()
        .text("name", "Kettle")
        .text("price", "5")
        .image(&png());
    let request = reqwest::Client::new()
        .post(format!("{url}/api/v1/products"))
        .bearer_auth(token)
        .header("content-type", Form::CONTENT_TYPE)
        .body(form.body());
    tokio::spawn(request.send())
}

//! What no row names leaves the store: later, again and again until it works, and whatever happened.

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
    infra::ports::{ImageStore, Objects, Place, images::Found},
};

use super::{admin_of, files, path, product};
use tokio::{
    sync::{Notify, RwLock, mpsc},
    task::JoinHandle,
};

use crate::support::{
    Cloudinary, Form, Manner, Process, TestShop,
    pictures::{picture, png},
    storage_test,
};

/// A folder that can be made to fail.
struct Frail {
    folder: Objects,
    puts_fail: AtomicBool,
    removals_fail: AtomicBool,
    /// Whoever writes it keeps what is put from being answered.
    answers: RwLock<()>,
    /// Told of each picture that was put.
    put: Notify,
    /// What the last one was called whose answer was lost.
    late: Mutex<Option<String>>,
}

impl Frail {
    fn new(directory: &tempfile::TempDir) -> Arc<Frail> {
        Arc::new(Frail {
            folder: Objects::local(directory.path()).unwrap(),
            puts_fail: AtomicBool::default(),
            removals_fail: AtomicBool::default(),
            answers: RwLock::default(),
            put: Notify::new(),
            late: Mutex::default(),
        })
    }
}

fn down<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    std::future::ready(Err(Error::unavailable("it is down"))).boxed()
}

impl ImageStore for Frail {
    /// It fails only after it has taken the picture, as where an answer is lost.
    fn put<'a>(&'a self, name: &'a str, file: Bytes) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            self.folder.put(name, file).await?;
            self.put.notify_one();
            drop(self.answers.read().await);
            if self.puts_fail.load(Ordering::SeqCst) {
                *self.late.lock().unwrap() = Some(name.to_owned());
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
        if self.removals_fail.load(Ordering::SeqCst) {
            return down();
        }
        self.folder.remove(stem)
    }

    fn stems(&self) -> BoxStream<'_, Result<String>> {
        self.folder.stems().boxed()
    }

    fn place(&self) -> Place {
        Place::Everywhere("frail".to_owned())
    }
}

fn count(directory: &tempfile::TempDir) -> usize {
    std::fs::read_dir(directory.path()).unwrap().count()
}

storage_test! {
    async fn a_deleted_product_takes_its_pictures_away_later(shop: TestShop) {
        let admin = shop.admin().await;
        let kept = product(&admin, &[&png()]).await;
        let made = product(&admin, &[&picture(700, 9, ImageFormat::Jpeg), &png()]).await;
        for width in [320, 640] {
            let narrow = shop.anonymous().get(&format!("{}?w={width}", path(&made, 0))).await;
            assert_eq!(narrow.status, 200);
        }
        assert_eq!(files(&shop).len(), 5);
        let gone = admin.delete(&format!("/products/{}", made.text("/id"))).await;
        assert_eq!(gone.status, 204);
        assert_eq!(shop.removals().await, 2);
        assert_eq!(files(&shop).len(), 1, "in all widths");
        for index in [0, 1] {
            shop.anonymous().get(&path(&made, index)).await.is_problem(404, "not-found");
        }
        assert_eq!(shop.anonymous().get(&path(&kept, 0)).await.status, 200);
        assert_eq!(shop.removals().await, 0);
    }

    async fn a_removal_is_tried_until_it_works(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let frail = Frail::new(&directory);
        let shop = TestShop::keeping(shop.engine, Arc::clone(&frail) as _).await;
        let admin = shop.admin().await;
        let made = product(&admin, &[&png()]).await;
        frail.removals_fail.store(true, Ordering::SeqCst);
        let image = format!("/products/{}/images/{}", made.text("/id"), made.text("/images/0/id"));
        assert_eq!(admin.delete(&image).await.status, 200, "the host is asked later");
        // After 1, 2, 4 … seconds, and at most ten minutes.
        assert_eq!((shop.removals().await, shop.removals().await), (1, 0));
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            shop.advance_clock(Duration::from_millis(pause * 1000 - 1));
            assert_eq!(shop.removals().await, 0, "{pause} s have not passed");
            shop.advance_clock(Duration::from_millis(1));
            assert_eq!(shop.removals().await, 1, "{pause} s have passed");
        }
        assert_eq!(count(&directory), 1);
        frail.removals_fail.store(false, Ordering::SeqCst);
        let shop = shop.restarted().await;
        shop.advance_clock(Duration::from_hours(1));
        assert_eq!((shop.removals().await, count(&directory)), (1, 0));
        shop.advance_clock(Duration::from_hours(1));
        assert_eq!(shop.removals().await, 0);
    }

    async fn an_upload_whose_answer_was_lost_is_removed(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let frail = Frail::new(&directory);
        let shop = TestShop::keeping(shop.engine, Arc::clone(&frail) as _).await;
        let admin = shop.admin().await;
        frail.puts_fail.store(true, Ordering::SeqCst);
        product(&admin, &[&png(), &png()]).await.is_problem(503, "unavailable");
        assert_eq!(count(&directory), 0, "at once, where the store lets it");
        // And once more: what was still on its way has arrived by then.
        let late = frail.late.lock().unwrap().take().unwrap();
        frail.folder.put(&late, png().into()).await.unwrap();
        shop.advance_clock(Duration::from_mins(10));
        assert_eq!((shop.removals().await, count(&directory)), (2, 0));
        assert_eq!(shop.removals().await, 0);
        frail.removals_fail.store(true, Ordering::SeqCst);
        product(&admin, &[&png(), &png()]).await.is_problem(503, "unavailable");
        assert_eq!(count(&directory), 1);
        frail.removals_fail.store(false, Ordering::SeqCst);
        shop.advance_clock(Duration::from_secs(1));
        // The second was never sent, which nobody can know; removing it twice does no harm.
        shop.removals().await;
        assert_eq!(count(&directory), 0);
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
    }

    async fn what_was_put_and_never_named_is_swept(shop: TestShop) {
        let admin = shop.admin().await;
        let named = product(&admin, &[&png()]).await;
        let id = "019c13d8-b0b0-7000-8000-00000000000";
        // Made at that moment, as ids tell: the first 48 bits are milliseconds.
        let images = shop.directory.path().join("images");
        let stray = [format!("{id}1.png"), format!("{id}2.jpg"), format!("{id}3-320")];
        for name in &stray {
            std::fs::write(images.join(name), png()).unwrap();
        }
        std::fs::write(images.join(format!("{id}2.jpg#1")), "half of it").unwrap();
        std::fs::write(images.join("notes.txt"), "the operator's").unwrap();
        let orphan = |kept: &str| kept.starts_with(id);
        assert_eq!(shop.swept().await, 0, "it may be on its way");
        shop.advance_clock(Duration::from_hours(24 * 365));
        assert_eq!(shop.swept().await, 3);
        assert_eq!(shop.swept().await, 0, "they wait to be removed");
        assert_eq!(shop.removals().await, 3);
        assert!(!files(&shop).iter().any(|kept| orphan(kept)), "{:?}", files(&shop));
        assert!(files(&shop).contains("notes.txt"));
        assert_eq!(shop.anonymous().get(&path(&named, 0)).await.status, 200);
        assert_eq!(shop.swept().await, 0);
    }

    async fn a_row_never_comes_after_its_removal_has_begun(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let frail = Frail::new(&directory);
        let shop = TestShop::keeping(shop.engine, Arc::clone(&frail) as _).await;
        let admin = shop.admin().await;
        let held = frail.answers.write().await;
        let picture = png();
        let pictures = [&picture[..]];
        let upload = product(&admin, &pictures);
        let meanwhile = async {
            frail.put.notified().await;
            shop.advance_clock(Duration::from_mins(59));
            assert_eq!(shop.removals().await, 0, "it is on its way");
            shop.advance_clock(Duration::from_mins(1));
            assert_eq!((shop.removals().await, count(&directory)), (1, 0));
            drop(held);
        };
        let (answer, ()) = tokio::join!(upload, meanwhile);
        answer.is_problem(503, "unavailable");
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
    }

    async fn an_upload_that_was_killed_leaves_a_note(shop: TestShop) {
        // A host that never answers: the program is killed while it waits.
        let host = Cloudinary::start().await;
        host.be(Manner::Silent);
        let settings = host.settings();
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &settings)]).await;
        let server = Process::of_with(&shop, &[("CLOUDINARY_URL", &settings)]);
        let token = admin_of(&shop, &server).await;
        let upload = remote_upload(&server.url, &token);
        tokio::time::timeout(Duration::from_mins(1), host.met()).await.unwrap();
        server.kill();
        assert!(upload.await.unwrap().is_err(), "nothing was acknowledged");
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM image_removals"), 1);
        host.be(Manner::Honest);
        // The program went by the machine's clock, far ahead of the one in here.
        shop.advance_clock(Duration::from_hours(24 * 3650));
        assert_eq!((shop.removals().await, shop.removals().await), (1, 0));
    }

    async fn an_acknowledged_upload_outlives_kill_nine(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "off")]).await;
        let server = Process::of(&shop);
        let token = admin_of(&shop, &server).await;
        let (told, mut hears) = mpsc::unbounded_channel();
        for _ in 0..4 {
            let (url, token, told) = (server.url.clone(), token.clone(), told.clone());
            tokio::spawn(async move {
                while let Ok(Ok(answer)) = remote_upload(&url, &token).await {
                    let Ok(text) = answer.text().await else { return };
                    told.send(text).unwrap();
                }
            });
        }
        drop(told);
        let mut acknowledged = Vec::new();
        while let Some(text) = hears.recv().await {
            acknowledged.push(text);
            if acknowledged.len() == 12 {
                break;
            }
        }
        server.kill();
        // What was on its way then may have been answered.
        while let Some(text) = hears.recv().await {
            acknowledged.push(text);
        }
        let visitor = shop.anonymous();
        let listed = visitor.get("/products?limit=100").await.json();
        let listed = listed["data"].as_array().unwrap();
        assert!(listed.len() >= acknowledged.len());
        for text in &acknowledged {
            let product: Value = serde_json::from_str(text).unwrap();
            let kept = listed.iter().find(|other| other["id"] == product["id"]);
            assert_eq!(kept.map(file_of), Some(file_of(&product)), "{text}");
        }
        for product in listed {
            let shown = visitor.get(&format!("/images/{}", file_of(product))).await;
            assert_eq!(shown.status, 200, "{product}");
            assert_eq!(image::load_from_memory(&shown.body).unwrap().width(), 6);
        }
        shop.advance_clock(Duration::from_hours(24 * 3650));
        shop.swept().await;
        shop.removals().await;
        let rows: BTreeSet<String> = listed.iter().map(file_of).collect();
        assert_eq!(files(&shop), rows, "what no row names is swept");
    }
}

/// The name under which a product's only picture is kept.
fn file_of(product: &Value) -> String {
    let url = product["images"][0]["url"].as_str().unwrap();
    url.rsplit_once('/').unwrap().1.to_owned()
}

/// Sends a product with a picture to a server in a process of its own.
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

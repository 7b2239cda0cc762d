//! Sample data: the same for the same seed, without secrets that depend on it.

use std::time::Duration;

use super::*;
use crate::support::{Cloudinary, CloudinaryBehavior, RawDb, program_on, storage_test};

/// Seeds a new shop. Returns its directory and the report.
fn seeded(arguments: &[&str]) -> (tempfile::TempDir, Value) {
    let directory = tempfile::tempdir().unwrap();
    let seeded = json_of(directory.path(), &[&["admin", "seed"], arguments].concat());
    (directory, seeded)
}

#[test]
fn the_same_seed_creates_the_same_data() {
    let size = ["--products", "30", "--customers", "3", "--orders", "10"];
    let (one, two) = (
        seeded(&size).0,
        seeded(&[&size[..], &["--random-seed", "1"]].concat()).0,
    );
    let other = seeded(&[&size[..], &["--random-seed", "2"]].concat()).0;
    let products = |shop: &tempfile::TempDir| json_of(shop.path(), &["admin", "product", "list"]);
    let users = |shop: &tempfile::TempDir| json_of(shop.path(), &["admin", "user", "list"]);
    assert_eq!(products(&one), products(&two));
    assert_eq!(users(&one), users(&two));
    let tables = |shop: &tempfile::TempDir| {
        let mut dump = RawDb::open(shop.path(), None).dump();
        // These contain password hashes and the times of the migrations.
        dump.remove("users");
        dump.remove("refinery_schema_history");
        dump
    };
    assert_eq!(tables(&one), tables(&two));
    assert_ne!(
        strings(&products(&one), "name"),
        strings(&products(&other), "name")
    );
    assert_eq!(image_files(&one), image_files(&two), "the images are equal");
    for shop in [&one, &two, &other] {
        RawDb::open(shop.path(), None).assert_invariants();
    }
}

/// Returns the image files of a shop, sorted by name.
fn image_files(shop: &tempfile::TempDir) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(shop.path().join("images")).unwrap();
    let mut files: Vec<_> = files
        .map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            (name, fs::read(file.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn sample_products_are_plausible_and_distinct() {
    let shop = seeded(&["--products", "5000", "--customers", "0"]).0;
    let raw = RawDb::open(shop.path(), None);
    raw.assert_invariants();
    assert_eq!(raw.number("SELECT count(*) FROM products"), 5000);
    let names = raw.number("SELECT count(DISTINCT name) FROM products");
    assert!(names > 4990, "{names} names");
    let categories = raw.number("SELECT count(*) FROM categories WHERE product_count > 50");
    assert!((30..=50).contains(&categories), "{categories} categories");
    let implausible = "SELECT count(*) FROM products WHERE price NOT BETWEEN 2900 AND 9000000";
    assert_eq!(raw.number(implausible), 0);
    let sold_out = raw.number("SELECT count(*) FROM products WHERE stock = 0");
    assert!((100..500).contains(&sold_out), "{sold_out} are sold out");

    let with_options = "SELECT count(*) FROM products WHERE variant_count = 6 AND price_max > price AND options <> '[]'";
    assert_eq!(raw.number(with_options), 3);
    assert_eq!(
        raw.number("SELECT count(*) FROM variants WHERE sku IS NOT NULL"),
        18
    );

    let images = image_files(&shop);
    let rows = raw.number("SELECT count(*) FROM product_images");
    assert_eq!(rows, i64::try_from(images.len()).unwrap());
    assert!((12..=24).contains(&rows), "{rows} images");
    let listed = "SELECT count(*) FROM products WHERE images <> '[]'";
    assert_eq!(raw.number(listed), 12);
    for (_, image) in &images {
        let image = image::load_from_memory(image).unwrap();
        assert_eq!((image.width(), image.height()), (480, 480));
    }
    let distinct: std::collections::BTreeSet<_> = images.iter().map(|(_, file)| file).collect();
    assert_eq!(distinct.len(), images.len(), "all images differ");
}

storage_test! {
    async fn a_seeded_shop_is_consistent(site: Site) {
        let size = ["admin", "seed", "--products", "1500", "--customers", "2", "--orders", "5"];
        stdout_of(&site.run(&size));
        let raw = site.raw_db();
        raw.assert_invariants();
        assert_eq!(raw.number("SELECT count(*) FROM products"), 1500);
        assert_eq!(raw.number("SELECT count(*) FROM orders WHERE status <> 'PAID'"), 0);
        assert_eq!(raw.number("SELECT count(*) FROM outbox"), 0);
    }
}

#[test]
fn secrets_do_not_depend_on_the_seed() {
    let size = ["--products", "1", "--customers", "1"];
    let ((one, first), (two, second)) = (seeded(&size), seeded(&size));
    for password in ["adminPassword", "customerPassword"] {
        assert_ne!(first[password], second[password], "{password}");
    }
    for key in ["jwt_secret", "razorpay_webhook_secret"] {
        let read = |shop: &tempfile::TempDir| fs::read(shop.path().join("keys").join(key)).unwrap();
        assert_ne!(read(&one), read(&two), "{key}");
    }
    let hashes = "SELECT group_concat(password_hash) FROM users";
    let read = |shop: &tempfile::TempDir| RawDb::open(shop.path(), None).text(hashes);
    assert_ne!(read(&one), read(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeded_shop_can_be_used() {
    let (directory, seeded) = seeded(&["--orders", "25"]);
    assert_eq!(seeded["products"], 200);
    assert_eq!(seeded["customers"], 20);
    let orders = seeded["orders"].as_i64().unwrap();
    assert!((20..=25).contains(&orders), "{orders}");
    let raw = RawDb::open(directory.path(), None);
    raw.assert_invariants();
    assert_eq!(raw.number("SELECT count(*) FROM orders"), orders);
    let paid = "SELECT count(*) FROM orders o JOIN payments p ON p.order_id = o.id
                WHERE o.status = 'PAID' AND p.status = 'CAPTURED'";
    assert_eq!(raw.number(paid), orders);
    let elsewhere = "SELECT count(*) FROM users WHERE email NOT LIKE '%@example.com'";
    assert_eq!(raw.number(elsewhere), 0);

    let server = Process::start(directory.path());
    let client = Remote::new(&server);
    assert_eq!(client.get("/products").await.number("/total"), 200);
    let password = |name: &str| seeded[name].as_str().unwrap();
    assert_eq!(
        sign_in_status(&client, "admin@example.com", password("adminPassword")).await,
        200
    );
    for customer in ["customer1@example.com", "customer20@example.com"] {
        assert_eq!(
            sign_in_status(&client, customer, password("customerPassword")).await,
            200
        );
    }
}

#[test]
fn seed_prints_a_summary() {
    let directory = tempfile::tempdir().unwrap();
    let size = ["admin", "seed", "--products", "3", "--customers", "2"];
    let summary = stdout_of(&run(directory.path(), &size));
    let lines: Vec<_> = summary.lines().collect();
    assert_eq!(lines.len(), 3, "{summary}");
    assert_eq!(lines[0], "created 3 products, 2 customers and 0 orders");
    assert!(lines[1].starts_with("  admin@example.com  "), "{summary}");
    assert!(
        lines[2].starts_with("  customer1@example.com … customer2@example.com  "),
        "{summary}"
    );
    let summary = stdout_of(&run(directory.path(), &size));
    assert!(
        !summary.contains("admin@"),
        "the shop has an admin already: {summary}"
    );
    assert!(
        summary.contains("  customer3@example.com … customer4@example.com  "),
        "{summary}"
    );
}

storage_test! {
    async fn seed_can_run_again(site: Site) {
        let size = ["admin", "seed", "--products", "20", "--customers", "3", "--orders", "5", "--json"];
        let seed = || -> Value { serde_json::from_str(&stdout_of(&site.run(&size))).unwrap() };
        for round in 1..=3 {
            let seeded = seed();
            assert_eq!(seeded["adminEmail"], Value::Null, "only a new shop gets an admin");
            assert_eq!(seeded["firstCustomerEmail"], format!("customer{}@example.com", 3 * round - 2));
            assert_eq!(seeded["lastCustomerEmail"], format!("customer{}@example.com", 3 * round));
        }
        let raw = site.raw_db();
        raw.assert_invariants();
        assert_eq!(raw.number("SELECT count(*) FROM products"), 60);
        assert_eq!(raw.number("SELECT count(*) FROM users"), 9);
        assert_eq!(raw.number("SELECT count(*) FROM users WHERE role = 'ADMIN'"), 0);
        assert_eq!(raw.number("SELECT count(*) FROM orders WHERE status <> 'PAID'"), 0);
        assert!(raw.number("SELECT count(*) FROM orders") >= 12);
        let names = raw.number("SELECT count(DISTINCT name) FROM products");
        assert!(names > 55, "{names} names");
    }

    // The clock of the sample data is months behind that of the server, which deletes images that no product gets in
    // an hour.
    async fn a_running_server_keeps_the_images_of_sample_products(site: Site) {
        let host = Cloudinary::start().await;
        let settings = host.settings();
        let server = site.start_with(&[("CLOUDINARY_URL", &settings)]);
        // Several times as long as the server waits between two looks for images to delete.
        host.set_behavior(CloudinaryBehavior::Delay(Duration::from_secs(4)));
        let mut seed = program_on(site.database.as_deref());
        seed.env("CLOUDINARY_URL", &settings).args(["admin", "seed", "--products", "1", "--customers", "0"]);
        seed.arg("--data-dir").arg(site.path()).stdin(Stdio::null());
        let seeded = tokio::task::spawn_blocking(move || seed.output().unwrap()).await.unwrap();
        stdout_of(&seeded);
        let images = site.raw_db().number("SELECT count(*) FROM product_images");
        assert!(images > 0);
        let stored = host.stored().len();
        assert!(i64::try_from(stored).unwrap() >= images, "{stored} of {images}");
        drop(server);
    }
}

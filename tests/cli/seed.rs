//! Plausible data: the same for one seed, and nothing secret made from it.

use super::*;
use crate::support::Behind;

/// A fresh directory, filled.
fn seeded(arguments: &[&str]) -> (tempfile::TempDir, Value) {
    let directory = tempfile::tempdir().unwrap();
    let seeded = told(directory.path(), &[&["admin", "seed"], arguments].concat());
    (directory, seeded)
}

#[test]
fn one_seed_makes_one_shop() {
    let size = ["--products", "30", "--customers", "3", "--orders", "10"];
    let (one, two) = (
        seeded(&size).0,
        seeded(&[&size[..], &["--random-seed", "1"]].concat()).0,
    );
    let other = seeded(&[&size[..], &["--random-seed", "2"]].concat()).0;
    let products = |shop: &tempfile::TempDir| told(shop.path(), &["admin", "product", "list"]);
    let users = |shop: &tempfile::TempDir| told(shop.path(), &["admin", "user", "list"]);
    assert_eq!(products(&one), products(&two));
    assert_eq!(users(&one), users(&two));
    let tables = |shop: &tempfile::TempDir| {
        let mut dump = Behind::of(shop.path(), None).dump();
        // These hold when and how it was made.
        dump.remove("users");
        dump.remove("refinery_schema_history");
        dump
    };
    assert_eq!(tables(&one), tables(&two));
    assert_ne!(
        texts_of(&products(&one), "name"),
        texts_of(&products(&other), "name")
    );
    for shop in [&one, &two, &other] {
        Behind::of(shop.path(), None).assert_sound();
    }
}

#[test]
fn no_secret_comes_from_the_seed() {
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
    let read = |shop: &tempfile::TempDir| Behind::of(shop.path(), None).text(hashes);
    assert_ne!(read(&one), read(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeded_shop_can_be_used_at_once() {
    let (directory, seeded) = seeded(&["--orders", "25"]);
    assert_eq!(seeded["products"], 200);
    assert_eq!(seeded["customers"], 20);
    let orders = seeded["orders"].as_i64().unwrap();
    assert!((20..=25).contains(&orders), "{orders}");
    let behind = Behind::of(directory.path(), None);
    behind.assert_sound();
    assert_eq!(behind.number("SELECT count(*) FROM orders"), orders);
    let paid = "SELECT count(*) FROM orders o JOIN payments p ON p.order_id = o.id
                WHERE o.status = 'PAID' AND p.status = 'CAPTURED'";
    assert_eq!(behind.number(paid), orders);
    let elsewhere = "SELECT count(*) FROM users WHERE email NOT LIKE '%@example.com'";
    assert_eq!(behind.number(elsewhere), 0);

    let server = Process::start(directory.path());
    let visitor = Remote::new(&server);
    assert_eq!(visitor.get("/products").await.number("/total"), 200);
    let password = |name: &str| seeded[name].as_str().unwrap();
    assert_eq!(
        signs_in(&visitor, "admin@example.com", password("adminPassword")).await,
        200
    );
    for customer in ["customer1@example.com", "customer20@example.com"] {
        assert_eq!(
            signs_in(&visitor, customer, password("customerPassword")).await,
            200
        );
    }
}

#[test]
fn a_seed_says_what_it_made() {
    let directory = tempfile::tempdir().unwrap();
    let size = ["admin", "seed", "--products", "3", "--customers", "2"];
    let words = said(&run(directory.path(), &size));
    assert!(
        words.starts_with("made 3 products, 2 customers and 0 orders\n"),
        "{words}"
    );
    assert!(words.contains("admin@example.com"), "{words}");
    let why = fails(directory.path(), &size);
    assert!(!why.is_empty(), "a second seed finds its people there");
    Behind::of(directory.path(), None).assert_sound();
}

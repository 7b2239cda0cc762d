//! `shop transfer`: a shop is copied between SQLite and Postgres completely, and clients notice no
//! difference.

use std::{collections::BTreeMap, fs, path::Path, process::Output, sync::Arc};

use http::Method;
use serde_json::{Value, json};
use shop::infra::bus;

use crate::support::{
    Client, Database, Engine, Form, Process, RawDb, TestShop, images, live::Served, program_on,
    run, sqlite_test, storage_test,
};

/// The responses of a shop by user and path: status, headers, body.
pub(crate) type Answers = BTreeMap<String, (u16, String, bytes::Bytes)>;

/// Runs `shop transfer` from a data directory and database. The target's URL may contain a password, so it is
/// passed in the environment.
fn transfer(directory: &Path, database: Option<&Database>, target: &str) -> Output {
    transfer_with(directory, database, target, &[])
}

/// Like [`transfer`], with additional environment variables.
fn transfer_with(
    directory: &Path,
    database: Option<&Database>,
    target: &str,
    variables: &[(&str, &str)],
) -> Output {
    let mut command = program_on(database);
    command.args(["transfer", "--data-dir"]).arg(directory);
    command.env("SHOP_TRANSFER_TO", target);
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Access tokens, which stay valid after a transfer.
pub(crate) struct Tokens {
    pub(crate) ada: String,
    pub(crate) admin: String,
}

impl TestShop {
    /// Fills the shop: products, images, and orders in every status.
    pub(crate) async fn fill(&self) -> Tokens {
        let admin = self.admin().await;
        let made = admin
            .post("/categories", json!({ "name": "Küche & Bad" }))
            .await;
        let category = made.text("/id");
        let form = Form::default()
            .text("name", "Käsemesser")
            .text("price", "45000")
            .text("stockQuantity", "10")
            .text("categoryId", &category)
            .image(&images::png());
        assert_eq!(
            admin
                .upload(Method::POST, "/products", &[], form)
                .await
                .status,
            201
        );
        let kettle = self.product("Kettle", 129_900, 50).await;
        let gone = self.product("Gone", 100, 5).await;
        let ada = self.customer("ada").await;
        let paid = ada.place_order(&kettle, 2).await;
        self.capture(&paid).await;
        let cancelled = ada.place_order(&gone, 1).await;
        let cancel = format!("/orders/{}/cancel", cancelled["id"].as_str().unwrap());
        assert_eq!(ada.post(&cancel, Value::Null).await.status, 200);
        assert_eq!(admin.delete(&format!("/products/{gone}")).await.status, 204);
        ada.add_to_cart(&kettle, 3).await;
        assert_eq!(ada.checkout_with_key("the-key").await.status, 201);
        ada.add_to_cart(&kettle, 1).await;
        let token = |client: &Client<'_>| client.token.clone().unwrap();
        Tokens {
            ada: token(&ada),
            admin: token(&admin),
        }
    }

    /// Returns the responses to all GET requests.
    pub(crate) async fn all_responses(&self, tokens: &Tokens) -> Answers {
        let mut answers = Answers::new();
        let users = [
            ("anonymous", self.anonymous()),
            ("ada", self.bearer(&tokens.ada)),
            ("admin", self.bearer(&tokens.admin)),
        ];
        for (name, user) in &users {
            let mut paths: Vec<String> = [
                "/products",
                "/products?sort=name",
                "/products?limit=1&page=2",
                "/categories",
                "/cart",
                "/orders",
                "/me",
                "/admin/orders",
                "/admin/payments",
                "/admin/audit",
                "/products?category=kuche-bad",
                "/products?inStock=true&minPrice=1",
                "/products?q=kas",
                "/products?q=kettel",
            ]
            .map(str::to_owned)
            .into();
            for list in ["/products", "/orders", "/admin/orders"] {
                let listed = user.get(list).await;
                if listed.status == 200 {
                    let items = listed.json()["data"].as_array().unwrap().clone();
                    let ids = items
                        .iter()
                        .map(|item| item["id"].as_str().unwrap().to_owned());
                    paths.extend(ids.map(|id| format!("{list}/{id}")));
                    let pictures = items.iter().filter_map(|item| item["images"].as_array());
                    let urls = pictures
                        .flatten()
                        .map(|image| image["url"].as_str().unwrap());
                    paths.extend(
                        urls.map(|url| url.strip_prefix("http://shop.test").unwrap().to_owned()),
                    );
                }
            }
            for path in paths {
                let answer = user.get(&path).await;
                let tag = answer.header("etag").unwrap_or_default().to_owned();
                let position = answer
                    .header("x-inventory-seq")
                    .unwrap_or_default()
                    .to_owned();
                // A problem contains the request id.
                let body = if answer.status < 400 {
                    answer.body
                } else {
                    answer.code().into()
                };
                let response = (answer.status, format!("{tag} {position}"), body);
                answers.insert(format!("{name} {path}"), response);
            }
        }
        answers
    }

    fn transferred_to(&self, target: &str) -> Output {
        transfer(self.directory.path(), self.database.as_deref(), target)
    }

    /// Transfers the shop and opens the target.
    async fn move_to(self, to: Option<Arc<Database>>) -> TestShop {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let file = format!("sqlite:{}", directory.path().join("shop.db").display());
        let target = to
            .as_ref()
            .map_or(file, |database| database.url().to_owned());
        self.app.stopping.cancel();
        self.app.db.close().await;
        let done = self.transferred_to(&target);
        assert!(done.status.success(), "{done:?}");
        let directory = if to.is_some() {
            Arc::clone(&self.directory)
        } else {
            directory
        };
        TestShop::transferred(&self, directory, to).await
    }
}

pub(crate) fn assert_same(after: &Answers, before: &Answers) {
    for (path, response) in before {
        assert_eq!(after.get(path), Some(response), "{path}");
    }
    assert_eq!(after.len(), before.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_moved_to_postgres_and_back_responds_the_same() {
    let Some(database) = Database::empty() else {
        return;
    };
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    let tokens = shop.fill().await;
    let before = shop.all_responses(&tokens).await;
    assert!(
        before
            .values()
            .filter(|(status, ..)| *status == 200)
            .count()
            > 30
    );

    let shop = shop.move_to(Some(Arc::new(database))).await;
    assert_same(&shop.all_responses(&tokens).await, &before);
    shop.raw_db().assert_invariants();
    let shop = shop.move_to(None).await;
    assert_same(&shop.all_responses(&tokens).await, &before);
    shop.raw_db().assert_invariants();

    // Idempotency keys, sequence numbers and listeners continue.
    let ada = shop.bearer(&tokens.ada);
    let again = ada.checkout_with_key("the-key").await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (201, Some("true"))
    );
    let head = shop.app.db.read("test.head", bus::head).await.unwrap();
    let served = Served::start(&shop).await;
    let (mut listener, _) = served.listen(&format!("?since={}", head - 1)).await;
    assert_eq!(listener.receive().await["seq"], head);
    assert_eq!(ada.checkout().await.status, 201);
    assert_eq!(listener.receive().await["seq"], head + 1);

    // So does the chain of the audit log.
    let admin = shop.bearer(&tokens.admin);
    let added = admin.post("/categories", json!({ "name": "New" })).await;
    assert_eq!(added.status, 201, "{added:?}");
    let verified = shop.run(&["admin", "audit", "--verify"]);
    assert!(verified.status.success(), "{verified:?}");
    served.stopped().await;
}

storage_test! {
    async fn a_transfer_is_rejected_while_a_server_runs(shop: TestShop) {
        let empty = tempfile::tempdir().unwrap();
        let target = format!("sqlite:{}", empty.path().join("shop.db").display());
        let before = shop.raw_db().dump();
        shop.app.db.close().await;
        let server = Process::of(&shop);
        let refused = shop.transferred_to(&target);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{why}");
        assert!(why.contains("stop"), "{why}");
        server.terminate();
        server.wait();
        assert!(shop.transferred_to(&target).status.success());
        let mut after = RawDb::open(empty.path(), None).dump();
        for (table, rows) in before {
            // Where secrets are stored differs between the engines.
            if !["settings", "timers", "refinery_schema_history"].contains(&table.as_str()) {
                assert_eq!(after.remove(&table).map(|rows| rows.len()), Some(rows.len()), "{table}");
            }
        }
    }

    async fn a_target_with_data_is_rejected(shop: TestShop) {
        let tokens = shop.fill().await;
        let before = shop.raw_db().dump();
        let other = tempfile::tempdir().unwrap();
        let seeded = run(other.path(), &["admin", "seed", "--products", "3", "--customers", "1"]);
        assert!(seeded.status.success(), "{seeded:?}");
        shop.app.db.close().await;
        let target = match &shop.database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", shop.directory.path().join("shop.db").display()),
        };
        let refused = transfer(other.path(), None, &target);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{why}");
        assert!(why.contains("not empty"), "{why}");
        assert_eq!(shop.raw_db().dump(), before);
        let shop = shop.restarted().await;
        assert_eq!(shop.bearer(&tokens.ada).get("/cart").await.status, 200);
    }
}

storage_test! {
    async fn a_transfer_migrates_no_existing_shop(earlier: EarlierShop) {
        earlier.migrate_to(24);
        let empty = tempfile::tempdir().unwrap();
        let target = format!("sqlite:{}", empty.path().join("shop.db").display());
        let from_earlier = transfer(earlier.path(), earlier.database(), &target);
        let why = String::from_utf8_lossy(&from_earlier.stderr).into_owned();
        assert_eq!(from_earlier.status.code(), Some(1), "{why}");
        assert!(why.contains("`shop migrate`"), "{why}");
        assert!(entries(empty.path()).is_empty());

        let current = crate::support::new_shop();
        let target = match earlier.database() {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", earlier.path().join("shop.db").display()),
        };
        let to_earlier = transfer(current.path(), None, &target);
        let why = String::from_utf8_lossy(&to_earlier.stderr).into_owned();
        assert_eq!(to_earlier.status.code(), Some(1), "{why}");
        assert!(why.contains("not empty"), "{why}");
        assert_eq!(earlier.version(), 24);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_transfer_leaves_the_target_empty() {
    let Some(database) = Database::migrated() else {
        return;
    };
    let database = Arc::new(database);
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    shop.fill().await;
    shop.app.stopping.cancel();
    shop.app.db.close().await;
    let target = RawDb::open(shop.directory.path(), Some(&database));
    target.break_table("payments");
    let failed = shop.transferred_to(database.url());
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    target.repair_table("payments");
    for table in [
        "users",
        "products",
        "orders",
        "order_lines",
        "settings",
        "events",
    ] {
        assert_eq!(
            target.number(&format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
    let done = shop.transferred_to(database.url());
    assert!(done.status.success(), "{done:?}");
    target.assert_invariants();
}

sqlite_test! {
    async fn a_missing_source_is_reported(shop: TestShop) {
        let nowhere = "sqlite:/nowhere/shop.db";
        let target = format!("sqlite:{}", shop.directory.path().join("new/shop.db").display());
        for (arguments, code, word) in [
            (["transfer", "--from", nowhere, "--to", &target], 1, "/nowhere/shop.db"),
            (["transfer", "--from", "sqlite:/tmp/other.db", "--to", &target], 2, "shop.db"),
            (["transfer", "--from", nowhere, "--to", "mysql://x"], 2, "postgres://"),
        ] {
            let refused = shop.run(&arguments);
            let why = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(code), "{why}");
            assert!(why.contains(word), "{why}");
        }
    }
}

/// Returns the sorted names of a directory's entries.
fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

storage_test! {
    async fn missing_images_are_reported_before_the_transfer_starts(shop: TestShop) {
        shop.fill().await;
        shop.app.stopping.cancel();
        shop.app.db.close().await;
        let images = shop.directory.path().join("images");
        let renamed = shop.directory.path().join("renamed");
        fs::rename(&images, &renamed).unwrap();
        let target_dir = tempfile::tempdir().unwrap();
        let target = format!("sqlite:{}/new/shop.db", target_dir.path().display());
        let refused = shop.transferred_to(&target);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{why}");
        let words = ["1 of 1 images", images.to_str().unwrap(), "--data-dir", "SHOP_IMAGES_URL"];
        for word in words {
            assert!(why.contains(word), "{word}: {why}");
        }
        assert_eq!(entries(target_dir.path()), [""; 0], "nothing was created");

        // Images in object storage are not copied.
        let bucket = [
            ("SHOP_IMAGES_URL", "s3://bucket/shop"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ];
        let database = shop.database.as_deref();
        let elsewhere = format!("sqlite:{}/bucket/shop.db", target_dir.path().display());
        let done = transfer_with(shop.directory.path(), database, &elsewhere, &bucket);
        assert!(done.status.success(), "{done:?}");

        fs::rename(&renamed, &images).unwrap();
        let done = shop.transferred_to(&target);
        assert!(done.status.success(), "{done:?}");
        let moved = entries(&target_dir.path().join("new/images"));
        let names = entries(&images);
        assert!(!names.is_empty());
        for name in names.iter().filter(|name| !name.starts_with('.')) {
            assert!(moved.contains(name), "{name}: {moved:?}");
        }
    }

    async fn a_failed_transfer_leaves_no_directories(shop: TestShop) {
        shop.fill().await;
        shop.app.stopping.cancel();
        shop.app.db.close().await;
        let target_dir = tempfile::tempdir().unwrap();
        // A file in place of the image directory.
        let target = format!("sqlite:{}/new/shop.db", target_dir.path().display());
        fs::create_dir(target_dir.path().join("new")).unwrap();
        fs::write(target_dir.path().join("new/images"), "").unwrap();
        let failed = shop.transferred_to(&target);
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
        assert_eq!(entries(&target_dir.path().join("new")), ["images"]);
    }

    async fn a_password_in_the_arguments_is_rejected(shop: TestShop) {
        let url = "postgres://ada:sw0rdfish@127.0.0.1/shop";
        for (flag, variable) in [("--to", "SHOP_TRANSFER_TO"), ("--from", "SHOP_TRANSFER_FROM")] {
            let refused = shop.run(&["transfer", flag, url]);
            let why = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(2), "{why}");
            for word in [flag, variable, &format!("{variable}_FILE")] {
                assert!(why.contains(word), "{word}: {why}");
            }
            assert!(!why.contains("sw0rdfish"), "{why}");
        }
        let refused = shop.run(&["transfer"]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{why}");
        assert!(why.contains("--to") && why.contains("SHOP_TRANSFER_TO"), "{why}");
        // A file with the URL is accepted, as for every secret.
        shop.app.db.close().await;
        let target_dir = tempfile::tempdir().unwrap();
        let file = target_dir.path().join("target");
        fs::write(&file, format!("sqlite:{}/new/shop.db\n", target_dir.path().display())).unwrap();
        let mut command = program_on(shop.database.as_deref());
        command.args(["transfer", "--data-dir"]).arg(shop.directory.path());
        let done = command.env("SHOP_TRANSFER_TO_FILE", &file).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        assert!(target_dir.path().join("new/shop.db").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_rejected_as_a_source() {
    let Some(database) = Database::empty() else {
        return;
    };
    let target_dir = tempfile::tempdir().unwrap();
    let target = format!("sqlite:{}/new/shop.db", target_dir.path().display());
    let refused = transfer(&target_dir.path().join("data"), Some(&database), &target);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{why}");
    assert!(why.starts_with("error: shop not found: "), "{why}");
    assert_eq!(entries(target_dir.path()), [""; 0], "nothing was created");
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = 'public'";
    let tables: i64 = crate::support::on_a_thread(|| {
        let mut client = database.admin();
        client.query_one(tables, &[]).unwrap().get(0)
    });
    assert_eq!(tables, 0);
}

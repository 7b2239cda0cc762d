//! Restores over an existing shop.

use shop::core::rng::Rng;

use super::*;
use crate::support::{Process, program_on, serve, sqlite_test};

/// Returns the directory with the files that a restore has replaced.
fn old_files(shop: &Closed) -> PathBuf {
    let directory = shop.path();
    let mut names = entries(directory);
    names.retain(|name| name.starts_with("before-restore-"));
    assert_eq!(names.len(), 1, "{names:?}");
    directory.join(&names[0])
}

storage_test! {
    async fn an_existing_shop_is_replaced_only_by_force_and_its_data_is_kept(shop: TestShop) {
        let tokens = shop.fill().await;
        let backup = Backup::of(&shop);
        let mug = shop.product("Mug", 500, 3).await;
        let head = shop.raw_db().number("SELECT max(seq) FROM events").max(1);
        let shop = Closed::of(shop).await;
        let before = shop.raw_db().dump();

        let refused = fails(&shop.run(&["restore", &backup.file()]));
        for word in ["holds a shop", "--force"] {
            assert!(refused.contains(word), "{word}: {refused}");
        }
        assert_eq!(shop.raw_db().dump(), before, "nothing was changed");

        let said = succeeds(&shop.run(&["restore", &backup.file(), "--force"]));
        assert!(said.contains("old "), "{said}");
        assert!(!said.contains("generates a new"), "the keys are kept: {said}");
        let named_mug = "SELECT count(*) FROM products WHERE name = 'Mug'";
        assert_eq!(shop.raw_db().number(named_mug), 0);
        assert!(shop.raw_db().number("SELECT max(seq) FROM events") >= head + SEQUENCE_JUMP);
        let old = old_files(&shop);
        assert!(!entries(&old.join("images")).is_empty());
        if shop.database.is_none() {
            let kept = RawDb::open(&old, None);
            assert_eq!(kept.dump(), before);
        } else {
            let schema = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '%restore_%'";
            let schemas = shop.raw_db().rows(schema);
            assert_eq!(schemas.len(), 1, "{schemas:?}");
            let name = schemas[0][0].clone().unwrap();
            assert!(name.starts_with("before_restore_"), "{name}");
            let kept = format!("SELECT count(*) FROM {name}.products WHERE name = 'Mug'");
            assert_eq!(shop.raw_db().number(&kept), 1);
        }
        assert!(temporary(shop.path()).is_empty());
        succeeds(&shop.run(&["verify"]));

        // The keys were kept, so sessions go on.
        let shop = shop.open().await;
        assert_eq!(shop.bearer(&tokens.ada).get("/cart").await.status, 200);
        assert_eq!(shop.anonymous().get(&format!("/products/{mug}")).await.status, 404);
    }

    async fn a_restore_beside_a_running_server_is_refused(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        let shop = Closed::of(shop).await;
        let before = shop.raw_db().dump();
        let server = program_on(shop.database.as_deref());
        let server = Process::listening(serve(server, shop.path(), &[]));
        let refused = fails(&shop.run(&["restore", &backup.file(), "--force"]));
        assert!(refused.contains("running") || refused.contains("in use"), "{refused}");
        server.terminate();
        server.wait();
        let after = shop.raw_db().dump();
        // The server has expired the orders.
        for table in ["categories", "product_images", "users"] {
            assert_eq!(after[table], before[table], "{table}");
        }
        assert!(temporary(shop.path()).is_empty());
    }

    async fn a_killed_restore_leaves_the_old_or_the_new_shop(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        shop.product("Mug", 500, 3).await;
        let shop = Closed::of(shop).await;
        let rng = Rng::seeded(5);
        let names = "SELECT name FROM products WHERE deleted_at IS NULL ORDER BY name";
        let (old, restored) = (shop.raw_db().rows(names), {
            let directory = tempfile::tempdir().unwrap();
            succeeds(&run(directory.path(), &["restore", &backup.file()]));
            RawDb::open(directory.path(), None).rows(names)
        });
        assert_ne!(old, restored);
        for _ in 0..8 {
            let mut command = program_on(shop.database.as_deref());
            command.args(["restore", &backup.file(), "--force", "--data-dir"]);
            let mut child = command.arg(shop.path()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(rng.below(300)));
            child.kill().unwrap();
            child.wait().unwrap();
            let now = shop.raw_db().rows(names);
            assert!(now == old || now == restored, "{now:?}");
            succeeds(&shop.run(&["verify"]));
        }
        succeeds(&shop.run(&["restore", &backup.file(), "--force"]));
        assert_eq!(shop.raw_db().rows(names), restored);
        assert!(temporary(shop.path()).is_empty(), "leftovers are removed");
    }
}

sqlite_test! {
    async fn a_damaged_database_is_replaced_by_force(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        let shop = Closed::of(shop).await;
        let file = shop.path().join("shop.db");
        fs::write(&file, "this is no database").unwrap();
        fails(&shop.run(&["restore", &backup.file()]));
        succeeds(&shop.run(&["restore", &backup.file(), "--force"]));
        let kept = fs::read(old_files(&shop).join("shop.db")).unwrap();
        assert_eq!(kept, b"this is no database");
        succeeds(&shop.run(&["verify"]));
    }

    async fn a_stale_wal_is_not_applied_to_the_restored_database(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        let directory = tempfile::tempdir().unwrap();
        // The WAL of a shop whose database file was lost.
        let wal = fs::read(shop.directory.path().join("shop.db-wal")).unwrap();
        assert!(!wal.is_empty());
        fs::write(directory.path().join("shop.db-wal"), wal).unwrap();
        succeeds(&run(directory.path(), &["restore", &backup.file()]));
        succeeds(&run(directory.path(), &["verify"]));
    }

    async fn a_restore_is_refused_while_a_command_has_the_database_open(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        let before = shop.raw_db().dump();
        // This process has the database open, without the lock of a server.
        let refused = fails(&shop.run(&["restore", &backup.file(), "--force"]));
        assert!(refused.contains("another command uses"), "{refused}");
        assert_eq!(shop.raw_db().dump(), before);
        succeeds(&Closed::of(shop).await.run(&["restore", &backup.file(), "--force"]));
    }
}

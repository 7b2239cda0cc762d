//! A transaction that the server breaks off: run again where nothing of it can have stayed, told to
//! the customer where that is not known, and refused where it is of no use.

use shop::{
    core::error::{Kind, Result},
    infra::db::{self, Tx, params},
};

use crate::support::{Answer, Engine, RawDb, TestShop, TestStore};

/// What a customer has in the cart, before the server is set up to fail.
struct Scene {
    shop: TestShop,
    raw: RawDb,
    kettle: String,
}

impl Scene {
    /// None where the test is skipped.
    async fn open() -> Option<Scene> {
        let shop = TestShop::on(Engine::Postgres).await?;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let raw = shop.raw_db();
        raw.run("CREATE SEQUENCE tries; GRANT ALL ON SEQUENCE tries TO PUBLIC");
        let scene = Scene { shop, raw, kettle };
        scene
            .shop
            .customer("ada")
            .await
            .add_to_cart(&scene.kettle, 2)
            .await;
        Some(scene)
    }

    /// From now on `fault` (in PL/pgSQL) is done at the first `times` tries at an order: at its
    /// row, or at the COMMIT.
    fn fails(&self, times: u32, fault: &str, at_commit: bool) {
        let (constraint, when) = if at_commit {
            ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED")
        } else {
            ("", "")
        };
        self.raw.run(&format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('tries') <= {times} THEN {fault}; END IF; RETURN NEW;
             END $$;
             DROP TRIGGER IF EXISTS fail ON orders; ALTER SEQUENCE tries RESTART;
             CREATE {constraint} TRIGGER fail AFTER INSERT ON orders {when}
                 FOR EACH ROW EXECUTE FUNCTION fail()"
        ));
    }

    async fn checkout(&self) -> Answer {
        self.shop
            .customer("ada")
            .await
            .checks_out_once("key-1")
            .await
    }

    /// How often an order was tried since the last [`Scene::fails`].
    fn tries(&self) -> i64 {
        self.raw
            .number("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tries")
    }

    /// Fails the test unless there are so many orders, each of two kettles, and nothing by half.
    async fn has_orders(&self, count: i64) {
        assert_eq!(self.raw.number("SELECT count(*) FROM orders"), count);
        assert_eq!(self.shop.stock(&self.kettle).await, 5 - 2 * count);
        self.raw.assert_sound();
    }
}

/// Ends the session that does this; the server notices at the next statement.
const DIE: &str = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60)";

/// Ends all sessions but this one, and waits until they have ended.
const END_ALL: &str = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// What the server says to two that have waited for each other, or have read what the other wrote.
const CONTENDED: [&str; 2] = ["40P01", "40001"];

fn raise(code: &str) -> String {
    format!("RAISE 'SELECT a thing that nobody is to read' USING ERRCODE = '{code}'")
}

fn is_unavailable(refused: &Answer) {
    refused.is_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_dies_before_the_commit_is_not_noticed() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.fails(2, DIE, false);
    let placed = scene.checkout().await;
    assert_eq!((placed.status, scene.tries()), (201, 3), "{placed:?}");
    scene.has_orders(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_dies_in_the_commit_leaves_it_to_the_customer() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.fails(1, DIE, true);
    let uncertain = scene.checkout().await;
    is_unavailable(&uncertain);
    assert!(uncertain.text("/detail").contains("`Idempotency-Key`"));
    assert_eq!(scene.tries(), 1, "nobody knows what became of it");
    scene.has_orders(0).await;

    let placed = scene.checkout().await;
    assert_eq!((placed.status, scene.tries()), (201, 2), "{placed:?}");
    let again = scene.checkout().await;
    assert_eq!((again.status, &again.body), (201, &placed.body));
    scene.has_orders(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_met_others_is_run_again_five_times_at_most() {
    for code in CONTENDED {
        for at_commit in [false, true] {
            let Some(scene) = Scene::open().await else {
                return;
            };
            scene.fails(6, &raise(code), at_commit);
            is_unavailable(&scene.checkout().await);
            assert_eq!(scene.tries(), 6);
            scene.has_orders(0).await;

            scene.fails(5, &raise(code), at_commit);
            let placed = scene.checkout().await;
            assert_eq!((placed.status, scene.tries()), (201, 6), "{placed:?}");
            scene.has_orders(1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_cannot_do_is_not_tried_again_nor_told_of() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    for (code, status, told) in [
        ("53100", 507, "storage-full"),
        ("53200", 503, "unavailable"),
        ("57014", 503, "unavailable"),
        ("25006", 503, "unavailable"),
        ("XX000", 500, "internal"),
    ] {
        for at_commit in [false, true] {
            scene.fails(1, &raise(code), at_commit);
            let refused = scene.checkout().await;
            refused.is_problem(status, told);
            assert_eq!(scene.tries(), 1, "{code}");
            scene.has_orders(0).await;
        }
    }
    let placed = scene.checkout().await;
    assert_eq!(placed.status, 201, "{placed:?}");
    scene.has_orders(1).await;
}

/// Adds a row by a statement that is its whole transaction.
async fn adds_alone(store: &TestStore, name: &'static str) -> Result<usize> {
    let work = move |tx: &mut Tx<'_>| {
        let sql = "INSERT INTO kept_counts (name, value) VALUES (?1, 1) RETURNING name";
        let rows = tx.at_once(sql, params![name], false, |_| Ok(()))?;
        Ok(rows.map_or(0, |rows| rows.len()))
    };
    store.db.write("test.alone", work).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_alone_is_its_own_commit() {
    let Some(store) = TestStore::on(Engine::Postgres).await else {
        return;
    };
    let raw = store.raw_db();
    let rows = || raw.number("SELECT count(*) FROM kept_counts WHERE value = 1");
    assert_eq!(adds_alone(&store, "one").await.unwrap(), 1);
    assert_eq!(rows(), 1);

    let contended = raise("40001");
    raw.run(&format!(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             CASE NEW.name || nextval('tries')
                 WHEN 'two1' THEN {DIE}; WHEN 'three1' THEN {contended}; ELSE NULL;
             END CASE; RETURN NEW;
         END $$;
         CREATE TRIGGER fail AFTER INSERT ON kept_counts FOR EACH ROW EXECUTE FUNCTION fail()"
    ));
    // It may have been kept.
    let uncertain = adds_alone(&store, "two").await.unwrap_err();
    assert_eq!(uncertain.kind(), Kind::Unavailable);
    assert_eq!((rows(), raw.number("SELECT last_value FROM tries")), (1, 1));

    // It met others, and so was not.
    raw.run("ALTER SEQUENCE tries RESTART");
    assert_eq!(adds_alone(&store, "three").await.unwrap(), 1);
    assert_eq!((rows(), raw.number("SELECT last_value FROM tries")), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_was_never_sent_is_sent_on_another_connection() {
    let Some(store) = TestStore::on(Engine::Postgres).await else {
        return;
    };
    let probes = (0..32).map(|_| store.db.read("test.probe", db::ping));
    assert!(
        futures_util::future::join_all(probes)
            .await
            .iter()
            .all(Result::is_ok)
    );
    store.raw_db().run(END_ALL);
    for name in ["one", "two", "three"] {
        assert_eq!(adds_alone(&store, name).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_ended_while_nobody_used_them_are_not_missed() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    let ada = scene.shop.customer("ada").await;
    for _ in 0..3 {
        scene.raw.run(END_ALL);
        assert_eq!(ada.get("/cart").await.status, 200);
        scene.raw.run(END_ALL);
        assert_eq!(ada.checks_out_once("key-1").await.status, 201);
    }
    scene.has_orders(1).await;
}

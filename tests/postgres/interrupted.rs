//! Transactions that the server aborts: retried if they were certainly rolled back, reported to the client if
//! the outcome is unknown, and failed if a retry cannot help.

use shop::{
    core::error::{Error, Result},
    infra::db::{self, Tx, params},
};

use crate::support::{Engine, RawDb, TestResponse, TestShop, TestStore};

/// A shop with a customer whose cart is filled, for injecting faults into the checkout.
struct Scene {
    shop: TestShop,
    raw: RawDb,
    kettle: String,
}

impl Scene {
    /// Returns `None` if the test is skipped.
    async fn open() -> Option<Scene> {
        let shop = TestShop::on(Engine::Postgres).await?;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let raw = shop.raw_db();
        raw.run("CREATE SEQUENCE attempts; GRANT ALL ON SEQUENCE attempts TO PUBLIC");
        let scene = Scene { shop, raw, kettle };
        scene
            .shop
            .customer("ada")
            .await
            .add_to_cart(&scene.kettle, 2)
            .await;
        Some(scene)
    }

    /// Injects `fault` (PL/pgSQL) into the first `times` attempts to insert an order, at the INSERT or at the
    /// COMMIT.
    fn inject(&self, times: u32, fault: &str, at_commit: bool) {
        let (constraint, when) = if at_commit {
            ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED")
        } else {
            ("", "")
        };
        self.raw.run(&format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('attempts') <= {times} THEN {fault}; END IF; RETURN NEW;
             END $$;
             DROP TRIGGER IF EXISTS fail ON orders; ALTER SEQUENCE attempts RESTART;
             CREATE {constraint} TRIGGER fail AFTER INSERT ON orders {when}
                 FOR EACH ROW EXECUTE FUNCTION fail()"
        ));
    }

    async fn checkout(&self) -> TestResponse {
        self.shop
            .customer("ada")
            .await
            .checkout_with_key("key-1")
            .await
    }

    /// Returns the number of attempts since the last [`Scene::inject`].
    fn attempts(&self) -> i64 {
        self.raw
            .number("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM attempts")
    }

    /// Asserts that there are `count` complete orders of two kettles each, and no partial one.
    async fn has_orders(&self, count: i64) {
        assert_eq!(self.raw.number("SELECT count(*) FROM orders"), count);
        assert_eq!(self.shop.stock(&self.kettle).await, 5 - 2 * count);
        self.raw.assert_invariants();
    }
}

/// Terminates its own backend; takes effect at the next statement.
const TERMINATE_SELF: &str = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60)";

/// Terminates all other backends and waits for their end.
const TERMINATE_OTHERS: &str = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// The SQLSTATEs of a deadlock and of a serialization failure.
const CONFLICTS: [&str; 2] = ["40P01", "40001"];

fn raise(code: &str) -> String {
    format!("RAISE 'SELECT an internal message' USING ERRCODE = '{code}'")
}

fn is_unavailable(refused: &TestResponse) {
    refused.assert_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_lost_before_the_commit_is_retried() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.inject(2, TERMINATE_SELF, false);
    let placed = scene.checkout().await;
    assert_eq!((placed.status, scene.attempts()), (201, 3), "{placed:?}");
    scene.has_orders(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_lost_during_the_commit_is_reported_to_the_client() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.inject(1, TERMINATE_SELF, true);
    let uncertain = scene.checkout().await;
    is_unavailable(&uncertain);
    assert!(uncertain.text("/detail").contains("`Idempotency-Key`"));
    assert_eq!(scene.attempts(), 1, "an unknown outcome is not retried");
    scene.has_orders(0).await;

    let placed = scene.checkout().await;
    assert_eq!((placed.status, scene.attempts()), (201, 2), "{placed:?}");
    let again = scene.checkout().await;
    assert_eq!((again.status, &again.body), (201, &placed.body));
    scene.has_orders(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_are_retried_up_to_five_times() {
    for code in CONFLICTS {
        for at_commit in [false, true] {
            let Some(scene) = Scene::open().await else {
                return;
            };
            scene.inject(6, &raise(code), at_commit);
            is_unavailable(&scene.checkout().await);
            assert_eq!(scene.attempts(), 6);
            scene.has_orders(0).await;

            scene.inject(5, &raise(code), at_commit);
            let placed = scene.checkout().await;
            assert_eq!((placed.status, scene.attempts()), (201, 6), "{placed:?}");
            scene.has_orders(1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permanent_errors_are_not_retried_and_not_exposed() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    for (code, status, problem) in [
        ("53100", 507, "storage-full"),
        ("53200", 503, "unavailable"),
        ("57014", 503, "unavailable"),
        ("25006", 503, "unavailable"),
        ("XX000", 500, "internal"),
    ] {
        for at_commit in [false, true] {
            scene.inject(1, &raise(code), at_commit);
            let refused = scene.checkout().await;
            refused.assert_problem(status, problem);
            assert_eq!(scene.attempts(), 1, "{code}");
            scene.has_orders(0).await;
        }
    }
    let placed = scene.checkout().await;
    assert_eq!(placed.status, 201, "{placed:?}");
    scene.has_orders(1).await;
}

/// Inserts a row with a pipelined statement.
async fn insert_pipelined(store: &TestStore, name: &'static str) -> Result<()> {
    let work = move |tx: &mut Tx<'_>| {
        let sql = "INSERT INTO kept_counts (name, value) VALUES (?1, 1)";
        tx.expect(sql, params![name], 1, || Error::internal("no row"))
    };
    store.db.write("test.pipelined", work).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_statements_are_retried_after_a_conflict_or_a_lost_connection() {
    let Some(store) = TestStore::on(Engine::Postgres).await else {
        return;
    };
    let raw = store.raw_db();
    let conflict = raise("40001");
    raw.run(&format!(
        "CREATE SEQUENCE attempts;
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             CASE NEW.name || nextval('attempts')
                 WHEN 'one1' THEN {TERMINATE_SELF}; WHEN 'two1' THEN {conflict}; ELSE NULL;
             END CASE; RETURN NEW;
         END $$;
         CREATE TRIGGER fail AFTER INSERT ON kept_counts FOR EACH ROW EXECUTE FUNCTION fail()"
    ));
    for name in ["one", "two"] {
        raw.run("ALTER SEQUENCE attempts RESTART");
        insert_pipelined(&store, name).await.unwrap();
        assert_eq!(raw.number("SELECT last_value FROM attempts"), 2, "{name}");
    }
    let rows = raw.number("SELECT count(*) FROM kept_counts WHERE value = 1");
    assert_eq!(rows, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_statements_that_were_not_sent_are_retried_on_a_new_connection() {
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
    store.raw_db().run(TERMINATE_OTHERS);
    for name in ["one", "two", "three"] {
        insert_pipelined(&store, name).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_that_were_terminated_are_replaced() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    let ada = scene.shop.customer("ada").await;
    for _ in 0..3 {
        scene.raw.run(TERMINATE_OTHERS);
        assert_eq!(ada.get("/cart").await.status, 200);
        scene.raw.run(TERMINATE_OTHERS);
        assert_eq!(ada.checkout_with_key("key-1").await.status, 201);
    }
    scene.has_orders(1).await;
}

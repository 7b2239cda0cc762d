//! A database without the shop, and helpers to control which writes run concurrently or in one batch.

use std::{
    future::{Future, poll_fn},
    path::Path,
    pin::Pin,
    sync::{Arc, mpsc},
    task::Poll,
    time::Duration,
};

use shop::{
    core::{clock::Clock, error::Result, money::Currency, rng::Rng, shop_settings::ShopSettings},
    infra::db::{self, Db, Location, Tx},
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    Database, Engine, RawDb,
    shop::{BEGINNING, options},
};

/// An empty database with the shop's schema.
pub(crate) struct TestStore {
    pub(crate) db: Db,
    pub(crate) directory: Arc<tempfile::TempDir>,
    pub(crate) database: Option<Arc<Database>>,
    pub(crate) engine: Engine,
}

impl TestStore {
    /// Returns `None` if the engine is not available.
    pub(crate) async fn on(engine: Engine) -> Option<TestStore> {
        Self::with(engine, options()).await
    }

    pub(crate) async fn with(engine: Engine, options: db::Options) -> Option<TestStore> {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let database = engine.database().ok()?;
        Some(TestStore {
            db: open(directory.path(), database.as_deref(), options).await,
            directory,
            database,
            engine,
        })
    }

    /// Returns another empty store on the same engine, with these options.
    pub(crate) async fn with_settings(&self, options: db::Options) -> TestStore {
        Self::with(self.engine, options).await.unwrap()
    }

    /// Returns another instance on the same database, with its own clock.
    pub(crate) async fn another_instance(&self) -> TestStore {
        let (directory, database) = (Arc::clone(&self.directory), self.database.clone());
        TestStore {
            db: open(directory.path(), database.as_deref(), options()).await,
            directory,
            database,
            engine: self.engine,
        }
    }

    pub(crate) fn raw_db(&self) -> RawDb {
        RawDb::open(self.directory.path(), self.database.as_deref())
    }

    /// Closes the database and opens it again.
    pub(crate) async fn reopened(self) -> TestStore {
        self.db.close().await;
        TestStore {
            db: open(self.directory.path(), self.database.as_deref(), options()).await,
            ..self
        }
    }
}

async fn open(directory: &Path, database: Option<&Database>, options: db::Options) -> Db {
    let location = match database {
        None => Location::Sqlite(directory.join("shop.db")),
        Some(database) => Location::parse(database.url()).unwrap(),
    };
    let db = Db::open(
        location,
        options,
        context(Clock::fixed(BEGINNING), Rng::seeded(7)),
    )
    .await;
    db.unwrap()
}

/// Returns the context of a database without the shop.
pub(crate) fn context(clock: Clock, rng: Rng) -> db::Context {
    let settings = ShopSettings {
        name: "Kettles".to_owned(),
        currency: Currency::INR,
        public_url: "http://localhost".to_owned(),
        refresh_token_ttl: Duration::from_hours(1),
        guest_cart_ttl: Duration::from_hours(1),
        rate_limit: false,
    };
    db::Context::new(clock, rng, settings)
}

/// A write that has not been polled, or is in progress.
pub(crate) type PendingWrite<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Returns a write that is queued when first polled.
pub(crate) fn pending_write<T, F>(db: &Db, work: F) -> PendingWrite<T>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    let db = db.clone();
    Box::pin(async move { db.write("test.write", work).await })
}

/// Keeps the writer busy with an operation until released. Writes queued in the meantime form one batch.
pub(crate) struct HeldWriter {
    gate: mpsc::Sender<()>,
    operation: JoinHandle<Result<()>>,
}

impl HeldWriter {
    pub(crate) async fn of(db: &Db) -> HeldWriter {
        let (gate, opened) = mpsc::channel();
        let (enter, entered) = oneshot::channel();
        let mut enter = Some(enter);
        let operation = tokio::spawn(pending_write(db, move |_| {
            if let Some(enter) = enter.take() {
                enter.send(()).unwrap();
            }
            opened.recv().unwrap();
            Ok(())
        }));
        entered.await.unwrap();
        HeldWriter { gate, operation }
    }

    pub(crate) async fn release(self) {
        self.gate.send(()).unwrap();
        self.operation.await.unwrap().unwrap();
    }
}

/// Runs the writes in one batch and in this order. Returns their results.
pub(crate) async fn as_one_batch<T>(db: &Db, mut writes: Vec<PendingWrite<T>>) -> Vec<Result<T>> {
    let held = HeldWriter::of(db).await;
    for write in &mut writes {
        assert!(begin(write).await.is_none(), "answered before it could run");
    }
    held.release().await;
    futures_util::future::join_all(writes).await
}

/// Queues a write by polling it once. Returns its result if it is ready immediately.
pub(crate) async fn begin<T>(write: &mut PendingWrite<T>) -> Option<Result<T>> {
    poll_fn(|context| match write.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

//! A storage engine on its own, and the means to say what its writer does at once.

use std::{
    future::{Future, poll_fn},
    path::Path,
    pin::Pin,
    sync::{Arc, mpsc},
    task::Poll,
};

use shop::{
    core::{clock::Clock, error::Result, rng::Rng},
    infra::db::{self, Db, Location, Tx},
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    Database, Engine, RawDb,
    shop::{BEGINNING, options},
};

/// A fresh database with the shop's schema and nothing in it.
pub(crate) struct TestStore {
    pub(crate) db: Db,
    pub(crate) directory: Arc<tempfile::TempDir>,
    pub(crate) database: Option<Arc<Database>>,
    pub(crate) engine: Engine,
}

impl TestStore {
    /// None where the engine is not to be had.
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

    /// Another store of the same kind, set up like this.
    pub(crate) async fn with_settings(&self, options: db::Options) -> TestStore {
        Self::with(self.engine, options).await.unwrap()
    }

    /// Another program on the same database, with a clock of its own.
    pub(crate) async fn another(&self) -> TestStore {
        let (directory, database) = (Arc::clone(&self.directory), self.database.clone());
        TestStore {
            db: open(directory.path(), database.as_deref(), options()).await,
            directory,
            database,
            engine: self.engine,
        }
    }

    pub(crate) fn raw_db(&self) -> RawDb {
        RawDb::of(self.directory.path(), self.database.as_deref())
    }

    /// The same data after everything was closed.
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
    let db = Db::open(location, options, Clock::fixed(BEGINNING), Rng::seeded(7)).await;
    db.unwrap()
}

/// A write that is on its way.
pub(crate) type Job<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A write that begins when it is first polled.
pub(crate) fn job<T, F>(db: &Db, work: F) -> Job<T>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    let db = db.clone();
    Box::pin(async move { db.write("test.job", work).await })
}

/// The writer, busy with a job that ends when the test says so. What is queued meanwhile waits
/// together, and so becomes one group.
pub(crate) struct HeldWriter {
    gate: mpsc::Sender<()>,
    job: JoinHandle<Result<()>>,
}

impl HeldWriter {
    pub(crate) async fn of(db: &Db) -> HeldWriter {
        let (gate, opened) = mpsc::channel();
        let (enter, entered) = oneshot::channel();
        let mut enter = Some(enter);
        let job = tokio::spawn(job(db, move |_| {
            if let Some(enter) = enter.take() {
                enter.send(()).unwrap();
            }
            opened.recv().unwrap();
            Ok(())
        }));
        entered.await.unwrap();
        HeldWriter { gate, job }
    }

    pub(crate) async fn release(self) {
        self.gate.send(()).unwrap();
        self.job.await.unwrap().unwrap();
    }
}

/// Runs the jobs in one group and in this order; tells each one's answer.
pub(crate) async fn as_one_group<T>(db: &Db, mut jobs: Vec<Job<T>>) -> Vec<Result<T>> {
    let held = HeldWriter::of(db).await;
    for job in &mut jobs {
        assert!(begin(job).await.is_none(), "answered before it could run");
    }
    held.release().await;
    futures_util::future::join_all(jobs).await
}

/// Puts a job into the queue; tells the answer if there is one at once.
pub(crate) async fn begin<T>(job: &mut Job<T>) -> Option<Result<T>> {
    poll_fn(|context| match job.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

//! A storage engine on its own, and the means to say what its writer does at once.

use std::{
    future::{Future, Ready, poll_fn, ready},
    pin::Pin,
    sync::mpsc,
    task::Poll,
};

use shop::{
    clock::{Chance, Clock},
    db::{Db, Sqlite, Tx, migrate, sqlite},
    error::Result,
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Behind, Engine, shop::BEGINNING};

/// A fresh database with the shop's schema and nothing in it.
pub(crate) struct TestStore {
    pub(crate) db: Db,
    pub(crate) directory: tempfile::TempDir,
    engine: Engine,
}

impl TestStore {
    pub(crate) fn on(engine: Engine) -> Ready<TestStore> {
        ready(Self::with(engine, sqlite::Options::default()))
    }

    pub(crate) fn with(engine: Engine, options: sqlite::Options) -> TestStore {
        let directory = tempfile::tempdir().unwrap();
        let Engine::Sqlite = engine;
        let path = directory.path().join("shop.db");
        migrate::sqlite(&path).unwrap();
        TestStore {
            db: open(&path, options),
            directory,
            engine,
        }
    }

    /// Another store of the same kind, set up like this.
    pub(crate) fn but(&self, options: sqlite::Options) -> TestStore {
        Self::with(self.engine, options)
    }

    pub(crate) fn behind(&self) -> Behind {
        Behind::of(self.directory.path())
    }

    /// The same data after everything was closed.
    pub(crate) async fn reopened(self) -> TestStore {
        self.db.close().await;
        let path = self.directory.path().join("shop.db");
        TestStore {
            db: open(&path, sqlite::Options::default()),
            ..self
        }
    }
}

fn open(path: &std::path::Path, options: sqlite::Options) -> Db {
    let sqlite = Sqlite::open(path, options).unwrap();
    Db::new(sqlite, Clock::fixed(BEGINNING), Chance::seeded(7))
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

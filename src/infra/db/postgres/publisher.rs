//! Numbers committed events, and wakes those who wait for them.
//!
//! Transactions write their events without a number, so that no checkout waits for another to get
//! one. Whoever holds the publishers' lock moves all that is committed to `events`, in the order in
//! which it was written, and gives it the next numbers. An event that commits late is simply moved
//! later: nothing is sought behind a position, so nothing can be skipped. A product's own events
//! keep their order, since each is written under the lock of the product's row.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use futures_util::future::poll_fn;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;

use super::Target;
use crate::core::error::{Error, Result};

/// How often events are looked for that nobody told of.
const POLL: Duration = Duration::from_millis(250);

/// Between two passes, so that many commits share one.
const PAUSE: Duration = Duration::from_millis(5);

/// How long after a lost connection the next is tried.
const RETRY: Duration = Duration::from_secs(1);

/// Tells the others that a program of the mark `$1` is here: an advisory lock that many can hold, for
/// as long as the connection lasts.
const JOIN: &str = "SELECT pg_advisory_lock_shared(x'53484f50'::int, $1)";

/// Finds a program that is on this database under a mark that is none of `$1`.
pub(super) const FIND_OTHER: &str = "SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND classid = x'53484f50'::int::oid AND objsubid = 2
        AND objid <> ALL ($1)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    LIMIT 1";

/// One journey. The lock is taken by a statement of its own, so that the next one sees all that was
/// committed before it was had; it ends with the transaction, on every path.
pub(in crate::infra::db) const NUMBER: &str = "BEGIN;
    SELECT pg_advisory_xact_lock(91575571546114);
    WITH fresh AS (DELETE FROM fresh_events RETURNING id, at, changes),
         numbered AS (
             INSERT INTO events (seq, at, changes)
             SELECT (SELECT coalesce(max(seq), 0) FROM events)
                        + row_number() OVER (ORDER BY id), at, changes
             FROM fresh RETURNING seq)
    SELECT pg_notify('shop_events', '') WHERE EXISTS (SELECT 1 FROM numbered);
    COMMIT";

pub(super) struct Publisher {
    fresh: Arc<Notify>,
    waiting: Arc<Waiting>,
    stop: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Publisher {
    /// Starts the thread; an error if the database cannot be reached now.
    pub(super) fn start(
        target: Arc<Target>,
        folder: Option<i32>,
        committed: Arc<Notify>,
    ) -> Result<Publisher> {
        let fresh = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        let waiting = Arc::<Waiting>::default();
        let round = Round {
            target,
            folder,
            waiting: Arc::clone(&waiting),
            fresh: Arc::clone(&fresh),
            committed,
            stop: stop.clone(),
        };
        let line = runtime.block_on(round.connect())?;
        let thread = std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || runtime.block_on(round.follow(line)))
            .map_err(Error::internal)?;
        Ok(Publisher {
            fresh,
            waiting,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// What is woken after a commit that left fresh events.
    pub(super) fn fresh(&self) -> Arc<Notify> {
        Arc::clone(&self.fresh)
    }

    /// Answers once everything that is committed now has its number; fails where the database is
    /// not to be had, or nobody numbers any more.
    pub(super) fn flush_events(&self) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.stop.is_cancelled() {
            waiting.push(done);
        }
        drop(waiting);
        self.fresh.notify_one();
        is_done
    }

    /// Numbers what is committed and ends; who still waits is told that it is over.
    pub(super) fn close(&self) {
        self.stop.cancel();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        super::crew::part_from(thread);
        forget(&self.waiting);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close();
    }
}

/// Who wants to know that a pass is done which began after they asked.
type Waiting = Mutex<Vec<oneshot::Sender<()>>>;

/// Tells all who wait that nothing comes.
fn forget(waiting: &Waiting) {
    waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
}

struct Round {
    target: Arc<Target>,
    folder: Option<i32>,
    waiting: Arc<Waiting>,
    fresh: Arc<Notify>,
    committed: Arc<Notify>,
    stop: CancellationToken,
}

impl Round {
    /// Numbers until told to stop, on one connection after the other.
    async fn follow(self, first: Line) {
        let mut connected = Ok(first);
        loop {
            let begun = match connected {
                Ok(line) => self.pass(&line).await.map(|()| line),
                Err(error) => Err(error),
            };
            let ended = match begun {
                Ok(mut line) => self.serve(&mut line).await,
                Err(error) => {
                    // It was tried anew already: nobody knows how long it will take.
                    forget(&self.waiting);
                    Err(error)
                }
            };
            let Err(error) = ended else { return };
            tracing::warn!(?error, "events wait for the database; trying again");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
            connected = self.connect().await;
        }
    }

    async fn connect(&self) -> Result<Line> {
        let (client, mut connection) = self.target.connect_async().await?;
        let (tell, hears) = mpsc::channel(1);
        let (over, is_over) = oneshot::channel();
        tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => {
                        // One that waits stands for all.
                        let _ = tell.try_send(());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                }
            }
            let _ = over.send(());
        });
        let set = client.batch_execute(super::session::TRUSTWORTHY).await;
        set.map_err(|error| super::session::failure(&error))?;
        if let Err(error) = client.batch_execute("LISTEN shop_events").await {
            // Some who speak the protocol do not have it; looking from time to time does.
            tracing::warn!(%error, "the database cannot notify; live updates come by polling");
        }
        let line = Line {
            client,
            hears,
            is_over,
        };
        line.join(self.folder).await?;
        Ok(line)
    }

    /// Numbers until told to stop, or until the connection is lost.
    async fn serve(&self, line: &mut Line) -> Result<()> {
        loop {
            let told = tokio::select! {
                () = self.stop.cancelled() => {
                    return self.pass(line).await;
                }
                _ = &mut line.is_over => {
                    return Err(Error::unavailable("the connection was lost"));
                }
                Some(()) = line.hears.recv() => {
                    self.committed.notify_one();
                    continue;
                }
                () = self.fresh.notified() => true,
                () = tokio::time::sleep(POLL) => false,
            };
            if told || line.has_fresh().await? {
                self.pass(line).await?;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Numbers what is committed and tells those who wait. If it fails they wait on, for the next
    /// connection.
    async fn pass(&self, line: &Line) -> Result<()> {
        let held = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut *held());
        if let Err(error) = line.number().await {
            held().extend(waiting);
            return Err(error);
        }
        self.committed.notify_one();
        for done in waiting {
            // Who asked may have left.
            let _ = done.send(());
        }
        Ok(())
    }
}

/// The publisher's own connection.
struct Line {
    client: Client,
    hears: mpsc::Receiver<()>,
    is_over: oneshot::Receiver<()>,
}

impl Line {
    /// Makes this program known to the others on the database, for as long as the connection lasts.
    async fn join(&self, folder: Option<i32>) -> Result<()> {
        let failed = |error: tokio_postgres::Error| super::session::failure(&error);
        let mark = folder.unwrap_or(0);
        self.client.execute(JOIN, &[&mark]).await.map_err(failed)?;
        if folder.is_none() {
            return Ok(());
        }
        let others = self
            .client
            .query_opt(FIND_OTHER, &[&[0, mark.cast_unsigned()].as_slice()])
            .await
            .map_err(failed)?;
        match others {
            None => Ok(()),
            Some(_) => Err(Error::unavailable(
                "another instance on this database keeps its pictures in a folder of its own; give \
                 all of them the same `images/` (a shared volume), or the same `CLOUDINARY_URL` or \
                 `SHOP_IMAGES_URL`",
            )),
        }
    }

    async fn has_fresh(&self) -> Result<bool> {
        let found = self
            .client
            .query_opt("SELECT 1 FROM fresh_events LIMIT 1", &[])
            .await
            .map_err(|error| super::session::failure(&error))?;
        Ok(found.is_some())
    }

    async fn number(&self) -> Result<()> {
        let numbered = self.client.batch_execute(NUMBER).await;
        numbered.map_err(|error| super::session::failure(&error))
    }
}

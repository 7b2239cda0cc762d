//! The publisher: assigns sequence numbers to committed events and notifies all instances.
//!
//! A transaction inserts its events into `fresh_events` without a number. A number from a sequence would be
//! taken before the commit: a later number could become visible first, and a listener that has read it would
//! skip the earlier one. A number from a locked counter would serialize all checkouts.
//!
//! Instead each instance runs a publisher. Under an advisory lock, one at a time, it moves all committed
//! events to `events` in insertion order, assigns the next numbers, and sends a NOTIFY. A transaction that
//! commits late gets a later number, so listeners never miss an event. Events of one product keep their
//! order, because each is inserted while its transaction holds the lock of the product's row.
//!
//! The instances LISTEN for the notification. Polling is the fallback if a notification is lost.
//!
//! In the same pass the entries of the audit log get their numbers and hashes, in a function of the database
//! (`migrations/V25__audit.postgres.sql`). It is cheap while there are none.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use futures_util::future::poll_fn;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;

use super::{
    Target, connection_settings::REQUIRED_SETTINGS, errors::failure, worker_pool::join_with_timeout,
};
use crate::core::error::{Error, Result, chain};

/// The polling interval, for events of an instance that could not sequence them itself.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The pause between two passes, so that one pass handles many commits.
const BATCH_PAUSE: Duration = Duration::from_millis(5);

/// The pause before reconnecting.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Registers this instance with its image folder id `$1`, by a shared advisory lock that lasts as long as the
/// connection.
const REGISTER: &str = "SELECT pg_advisory_lock_shared(x'53484f50'::int, $1)";

/// Finds an instance on this database that is registered with an image folder id not in `$1`.
pub(super) const FIND_OTHER: &str = "SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND classid = x'53484f50'::int::oid AND objsubid = 2
        AND objid <> ALL ($1)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    LIMIT 1";

/// Assigns sequence numbers to all committed events and audit entries, in one round trip.
///
/// The advisory lock is taken by a separate statement: in READ COMMITTED the next statement gets a new
/// snapshot, which contains everything committed before the lock was granted. The lock is released with the
/// transaction.
pub(in crate::infra::db) const SEQUENCE_EVENTS: &str = "BEGIN;
    SELECT pg_advisory_xact_lock(91575571546114);
    SELECT sequence_audit();
    WITH fresh AS (DELETE FROM fresh_events RETURNING id, at, changes),
         numbered AS (
             INSERT INTO events (seq, at, changes)
             SELECT (SELECT coalesce(max(seq), 0) FROM events)
                        + row_number() OVER (ORDER BY id), at, changes
             FROM fresh RETURNING seq)
    SELECT pg_notify('shop_events', '') WHERE EXISTS (SELECT 1 FROM numbered);
    COMMIT";

pub(super) struct Publisher {
    unsequenced: Arc<Notify>,
    waiting: Arc<FlushRequests>,
    stop: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Publisher {
    /// Connects and starts the thread.
    ///
    /// Errors: `unavailable` if the database cannot be reached, or another instance uses another image
    /// folder.
    pub(super) fn start(
        target: Arc<Target>,
        image_folder: Option<i32>,
        committed: Arc<Notify>,
    ) -> Result<Publisher> {
        let unsequenced = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        let waiting = Arc::<FlushRequests>::default();
        let publish_loop = PublishLoop {
            target,
            image_folder,
            waiting: Arc::clone(&waiting),
            unsequenced: Arc::clone(&unsequenced),
            committed,
            stop: stop.clone(),
        };
        let connection = runtime.block_on(publish_loop.connect())?;
        let thread = std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || runtime.block_on(publish_loop.run(connection)))
            .map_err(Error::internal)?;
        Ok(Publisher {
            unsequenced,
            waiting,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Returns the signal that a commit has left unsequenced events.
    pub(super) fn unsequenced(&self) -> Arc<Notify> {
        Arc::clone(&self.unsequenced)
    }

    /// Signals when every event committed so far has its number. The channel closes without a signal if the
    /// database cannot be reached or the publisher has stopped.
    pub(super) fn flush_events(&self) -> oneshot::Receiver<()> {
        let (done, flushed) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.stop.is_cancelled() {
            waiting.push(done);
        }
        drop(waiting);
        self.unsequenced.notify_one();
        flushed
    }

    /// Sequences the committed events a last time, ends the thread, and fails the open flush requests.
    pub(super) fn close(&self) {
        self.stop.cancel();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        join_with_timeout(thread);
        fail_all(&self.waiting);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close();
    }
}

/// Flush requests that wait for the end of the next pass.
type FlushRequests = Mutex<Vec<oneshot::Sender<()>>>;

/// Closes the channels of all flush requests.
fn fail_all(waiting: &FlushRequests) {
    waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
}

/// The state of the publisher's thread.
struct PublishLoop {
    target: Arc<Target>,
    image_folder: Option<i32>,
    waiting: Arc<FlushRequests>,
    unsequenced: Arc<Notify>,
    committed: Arc<Notify>,
    stop: CancellationToken,
}

impl PublishLoop {
    /// Sequences events until stopped. Reconnects when the connection is lost.
    async fn run(self, first: PublisherConnection) {
        let mut connected = Ok(first);
        loop {
            let first_pass = match connected {
                Ok(connection) => self.sequence(&connection).await.map(|()| connection),
                Err(error) => Err(error),
            };
            let ended = match first_pass {
                Ok(mut connection) => self.serve(&mut connection).await,
                Err(error) => {
                    // The requests have survived one reconnect; a longer wait would block their callers.
                    fail_all(&self.waiting);
                    Err(error)
                }
            };
            let Err(error) = ended else { return };
            tracing::warn!(error = %chain(&error), "publishing events failed; reconnecting");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RECONNECT_PAUSE) => {}
            }
            connected = self.connect().await;
        }
    }

    async fn connect(&self) -> Result<PublisherConnection> {
        let (client, mut connection) = self.target.connect_async().await?;
        let (notify, notifications) = mpsc::channel(1);
        let (close, closed) = oneshot::channel();
        tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => {
                        // If the channel is full, a notification is already pending.
                        let _ = notify.try_send(());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                }
            }
            let _ = close.send(());
        });
        let set = client.batch_execute(REQUIRED_SETTINGS).await;
        set.map_err(|error| failure(&error))?;
        if let Err(error) = client.batch_execute("LISTEN shop_events").await {
            // Some Postgres-compatible servers and poolers do not support it. Polling is sufficient.
            tracing::warn!(%error, "LISTEN is not supported; falling back to polling for live updates");
        }
        let connection = PublisherConnection {
            client,
            notifications,
            closed,
        };
        connection.register(self.image_folder).await?;
        Ok(connection)
    }

    /// Sequences events until stopped or until the connection is lost.
    async fn serve(&self, connection: &mut PublisherConnection) -> Result<()> {
        loop {
            let is_signalled = tokio::select! {
                () = self.stop.cancelled() => {
                    return self.sequence(connection).await;
                }
                _ = &mut connection.closed => {
                    return Err(Error::unavailable("the connection was lost"));
                }
                Some(()) = connection.notifications.recv() => {
                    self.committed.notify_one();
                    continue;
                }
                () = self.unsequenced.notified() => true,
                () = tokio::time::sleep(POLL_INTERVAL) => false,
            };
            if is_signalled || connection.has_unsequenced().await? {
                self.sequence(connection).await?;
                tokio::time::sleep(BATCH_PAUSE).await;
            }
        }
    }

    /// Sequences all committed events and answers the flush requests. On failure the requests wait for the
    /// next connection.
    async fn sequence(&self, connection: &PublisherConnection) -> Result<()> {
        let requests = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut *requests());
        if let Err(error) = connection.sequence_events().await {
            requests().extend(waiting);
            return Err(error);
        }
        self.committed.notify_one();
        for done in waiting {
            // The caller may be gone.
            let _ = done.send(());
        }
        Ok(())
    }
}

/// The publisher's connection, with the channels that its driver task feeds.
struct PublisherConnection {
    client: Client,
    notifications: mpsc::Receiver<()>,
    closed: oneshot::Receiver<()>,
}

impl PublisherConnection {
    /// Registers this instance for the lifetime of the connection. The id 0 means that it uses no image
    /// folder.
    ///
    /// Errors: `unavailable` if another instance is registered with another folder.
    async fn register(&self, image_folder: Option<i32>) -> Result<()> {
        let failed = |error: tokio_postgres::Error| failure(&error);
        let id = image_folder.unwrap_or(0);
        self.client
            .execute(REGISTER, &[&id])
            .await
            .map_err(failed)?;
        if image_folder.is_none() {
            return Ok(());
        }
        let other = self
            .client
            .query_opt(FIND_OTHER, &[&[0, id.cast_unsigned()].as_slice()])
            .await
            .map_err(failed)?;
        match other {
            None => Ok(()),
            Some(_) => Err(Error::unavailable(
                "another instance on this database uses a different image folder; all instances need the \
                 same `images/` (a shared volume), or the same `CLOUDINARY_URL` or `SHOP_IMAGES_URL`",
            )),
        }
    }

    async fn has_unsequenced(&self) -> Result<bool> {
        let found = self
            .client
            .query_opt(
                "SELECT 1 WHERE EXISTS (SELECT 1 FROM fresh_events)
                     OR EXISTS (SELECT 1 FROM unsequenced_audit)",
                &[],
            )
            .await
            .map_err(|error| failure(&error))?;
        Ok(found.is_some())
    }

    async fn sequence_events(&self) -> Result<()> {
        let done = self.client.batch_execute(SEQUENCE_EVENTS).await;
        done.map_err(|error| failure(&error))
    }
}

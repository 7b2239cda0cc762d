//! The event bus: delivers committed events to live clients in commit order.
//!
//! The `events` table is the source of truth. One task reads new rows: commits of this process wake it, and
//! polling finds those of other instances. It keeps the newest events in memory and publishes the newest
//! sequence number, the *head*. Each listener keeps its own position and fetches the events after it in
//! batches, so there are no per-listener queues. An event is delivered only once its commit is durable.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result, chain},
        event::{Committed, EventRange},
        finding::{FINDINGS_QUERY_LIMIT, Finding, Findings},
    },
    infra::db::{Db, Row, Tx, params},
};

/// The maximum number of events, and of stock changes in them, kept in memory.
const RECENT_EVENTS: usize = 4096;
const RECENT_CHANGES: usize = 50_000;

/// The polling interval for commits of other processes.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The size of a batch: it ends with the event that reaches this number of changes. An event has up to 200.
const BATCH_CHANGES: usize = 1000;

/// The size of a batch that listeners share. Under load a listener reads four in a second and merges each, so this bounds
/// how many changes it can follow, and the memory of its batch: a change takes 75 bytes.
const SHARED_BATCH_CHANGES: usize = 4000;

/// The maximum number of listeners that read from the database concurrently.
const MAX_REPLAYS: usize = 2;

/// How long a batch is returned to other listeners at the same position. Listeners that wait end their waits at common
/// times, so this only has to cover the differences between them.
const SHARED_FOR: Duration = Duration::from_millis(8);

/// The maximum number of shared batches.
const MAX_SHARED: usize = 32;

#[derive(Clone)]
pub struct Bus {
    recent: Arc<RwLock<Recent>>,
    shared: Arc<Mutex<VecDeque<Shared>>>,
    head: watch::Receiver<i64>,
    replays: Arc<Semaphore>,
}

/// A batch that listeners have read lately.
struct Shared {
    created: Instant,
    range: Arc<EventRange>,
}

/// The newest events, oldest first, without gaps.
#[derive(Default)]
struct Recent {
    events: VecDeque<Arc<Committed>>,
    changes: usize,
}

impl Recent {
    fn extend(&mut self, new: Vec<Arc<Committed>>) {
        self.changes += changes(&new);
        self.events.extend(new);
        while self.events.len() > RECENT_EVENTS || self.changes > RECENT_CHANGES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.changes -= oldest.changes.len();
        }
    }

    /// Returns a batch of the events after `seq`, or `None` if some of them are no longer in memory.
    fn after(&self, seq: i64, max_changes: usize) -> Option<Vec<Arc<Committed>>> {
        if self.events.front()?.seq > seq + 1 {
            return None;
        }
        let skip = self.events.partition_point(|event| event.seq <= seq);
        Some(batch(self.events.iter().skip(skip).cloned(), max_changes))
    }
}

/// Returns the first events, up to the one that reaches this number of changes.
fn batch(events: impl Iterator<Item = Arc<Committed>>, max_changes: usize) -> Vec<Arc<Committed>> {
    let mut changes = 0;
    events
        .take_while(|event| {
            let has_room = changes < max_changes;
            changes += event.changes.len();
            has_room
        })
        .collect()
}

fn changes(events: &[Arc<Committed>]) -> usize {
    events.iter().map(|event| event.changes.len()).sum()
}

impl Bus {
    /// Starts the task that reads new events from `db`. It ends with `stop`.
    pub async fn start(db: Db, stop: CancellationToken) -> Result<Bus> {
        let first = db.read_durable("bus.head", head).await?;
        let (sender, receiver) = watch::channel(first);
        let bus = Bus {
            recent: Arc::default(),
            shared: Arc::default(),
            head: receiver,
            replays: Arc::new(Semaphore::new(MAX_REPLAYS)),
        };
        tokio::spawn(Self::run(bus.clone(), db, sender, stop));
        Ok(bus)
    }

    async fn run(self, db: Db, head: watch::Sender<i64>, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = db.committed() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            match self.advance(&db, &head).await {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing && !stop.is_cancelled() => {
                    tracing::error!(error = %chain(&error), "reading events failed; retrying");
                    is_failing = true;
                }
                Err(_) => {}
            }
        }
        // Deliver what was committed before the shutdown.
        if let Err(error) = self.advance(&db, &head).await {
            tracing::debug!(error = %chain(&error), "the last events were not delivered");
        }
    }

    /// Reads all new events and moves the head.
    async fn advance(&self, db: &Db, head: &watch::Sender<i64>) -> Result<()> {
        loop {
            let after = *head.borrow();
            let new = db
                .read_durable("bus.advance", move |tx| events_after(tx, after))
                .await?;
            let Some(last) = new.last().map(|event| event.seq) else {
                return Ok(());
            };
            self.recent
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(new);
            head.send_replace(last);
        }
    }

    /// Returns the newest published sequence number. A read that starts later sees at least its state.
    pub fn head(&self) -> i64 {
        *self.head.borrow()
    }

    /// Returns a receiver that changes whenever the head moves, and closes when the bus stops.
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.head.clone()
    }

    /// Returns a batch of the events after `seq`, oldest first; empty if `seq` is the head. Events no longer
    /// in memory are read from the database, by few listeners at a time.
    pub async fn after(&self, db: &Db, seq: i64) -> Result<Vec<Arc<Committed>>> {
        self.read(db, seq, BATCH_CHANGES).await
    }

    async fn read(&self, db: &Db, seq: i64, max_changes: usize) -> Result<Vec<Arc<Committed>>> {
        if seq >= self.head() {
            return Ok(Vec::new());
        }
        let recent = self
            .recent
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .after(seq, max_changes);
        if let Some(events) = recent {
            return Ok(events);
        }
        let _replay = self.replays.acquire().await.map_err(Error::internal)?;
        db.read_durable("bus.replay", move |tx| events_after(tx, seq))
            .await
    }

    /// Like [`Bus::after`], but returns a larger batch of events in memory, or the batch that another listener at the same
    /// position has just read. That one may lack the newest events; they come with the next one.
    pub async fn shared_after(&self, db: &Db, seq: i64) -> Result<Arc<EventRange>> {
        if let Some(range) = self.shared(seq) {
            return Ok(range);
        }
        let range = Arc::new(EventRange::new(
            self.read(db, seq, SHARED_BATCH_CHANGES).await?,
        ));
        let created = Instant::now();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.truncate(MAX_SHARED - 1);
        let shared_range = Arc::clone(&range);
        shared.push_front(Shared { created, range });
        Ok(shared_range)
    }

    /// Returns the newest shared batch after `seq`, and drops those that are too old.
    fn shared(&self, seq: i64) -> Option<Arc<EventRange>> {
        let now = Instant::now();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |batch: &Shared| now.duration_since(batch.created) > SHARED_FOR;
        while shared.back().is_some_and(is_old) {
            shared.pop_back();
        }
        let batch = shared.iter().find(|batch| batch.range.starts_after(seq))?;
        Some(Arc::clone(&batch.range))
    }
}

/// Returns the sequence number of the newest event; 0 if there is none.
pub fn head(tx: &mut Tx<'_>) -> Result<i64> {
    let newest = tx.one("SELECT max(seq) AS newest FROM events", &[], |row| {
        row.get::<Option<i64>>("newest")
    })?;
    Ok(newest.flatten().unwrap_or_default())
}

/// Returns the oldest position whose following events are all stored.
pub fn tail(tx: &mut Tx<'_>) -> Result<i64> {
    let oldest = tx.one("SELECT min(seq) AS oldest FROM events", &[], |row| {
        row.get::<Option<i64>>("oldest")
    })?;
    Ok(oldest.flatten().map_or(0, |seq| seq - 1))
}

/// Returns a batch of the events after `seq`, oldest first. The size of an event is not known before it is
/// read, so the first queries read only a few.
pub fn events_after(tx: &mut Tx<'_>, seq: i64) -> Result<Vec<Arc<Committed>>> {
    let mut events: Vec<Arc<Committed>> = Vec::new();
    for rows in [8, 64, BATCH_CHANGES] {
        let after = events.last().map_or(seq, |event| event.seq);
        let limit = i64::try_from(rows).map_err(Error::internal)?;
        let more = tx.all(
            "SELECT seq, at, changes FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            params![after, limit],
            |row| committed(row).map(Arc::new),
        )?;
        let is_end = more.len() < rows;
        events.extend(more);
        if is_end || changes(&events) >= BATCH_CHANGES {
            break;
        }
    }
    Ok(batch(events.into_iter(), BATCH_CHANGES))
}

/// How many events can be replayed: those that are within both limits.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    pub age: Duration,
    pub count: i64,
}

/// The maximum number of events deleted in one transaction, so that it delays no other write.
const DELETE_BATCH: i64 = 1000;

/// Deletes a batch of the events that are not retained. The newest event always stays, so that sequence numbers never
/// restart. Returns the number of deleted events; 0 if there are no more.
pub fn delete_old(tx: &mut Tx<'_>, retention: Retention) -> Result<u64> {
    let age = i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
    let before = tx.now().0.saturating_sub(age);
    let beyond = head(tx)?.saturating_sub(retention.count);
    tx.execute(
        // Deletes a prefix only, even if the clock was set back: listeners would have to read the stock again.
        "DELETE FROM events WHERE seq < (
             SELECT coalesce(min(CASE WHEN at >= ?1 AND seq > ?2 THEN seq END), max(seq))
             FROM (SELECT seq, at FROM events ORDER BY seq LIMIT ?3) oldest)",
        params![before, beyond, DELETE_BATCH + 1],
    )
}

/// Returns the time of the last event.
pub fn last_event_at(tx: &mut Tx<'_>) -> Result<Option<Timestamp>> {
    tx.one(
        "SELECT at FROM events ORDER BY seq DESC LIMIT 1",
        &[],
        |row| row.get("at"),
    )
}

/// Checks that the sequence numbers of events have no gaps.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let gaps: Vec<(i64, i64)> = tx.all(
        "SELECT seq, before FROM (
             SELECT seq, lag(seq) OVER (ORDER BY seq) AS before FROM events
         ) numbered WHERE seq <> before + 1 ORDER BY seq LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("seq")?, row.get("before")?)),
    )?;
    let gaps = gaps.into_iter().map(|(seq, before)| {
        let remedy = "clients that followed the stock since before it should reload the products";
        let message = format!("the previous event is {before}, not {}; {remedy}", seq - 1);
        Finding::new(format!("event {seq}"), message)
    });
    findings.record("event-sequence", gaps);
    Ok(())
}

fn committed(row: &Row<'_>) -> Result<Committed> {
    let changes = serde_json::from_str(row.get("changes")?).map_err(Error::internal)?;
    Ok(Committed::new(row.get("seq")?, row.get("at")?, changes))
}

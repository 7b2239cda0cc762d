//! Carries committed events to live listeners, in the order of commits.
//!
//! The events' rows are the only source: one task reads what is new, woken by this process's
//! commits and looking by itself for those of others. Listeners keep a position and take what comes
//! after it in batches, so that none of them holds a queue. Batches are bounded by the changes they hold:
//! one event has up to 200. An event that is not committed is never sent.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    core::{
        error::{Error, Result},
        event::Committed,
        finding::{ASKED, Finding, Findings},
    },
    infra::db::{Db, Row, Tx, params},
};

/// How many events, and how many changes of stock in them, stay in memory.
const RECENT_EVENTS: usize = 4096;
const RECENT_CHANGES: usize = 50_000;

/// How often commits of other processes are looked for.
const POLL: Duration = Duration::from_millis(250);

/// How many events a batch holds, and how many changes, the last event whole.
const BATCH_EVENTS: usize = 1000;
const BATCH_CHANGES: usize = 1000;

/// How many listeners read a batch from the database at a time.
const REPLAYS: usize = 2;

#[derive(Clone)]
pub struct Bus {
    recent: Arc<RwLock<Recent>>,
    head: watch::Receiver<i64>,
    replays: Arc<Semaphore>,
}

/// The newest events, oldest first, without a gap.
#[derive(Default)]
struct Recent {
    events: VecDeque<Arc<Committed>>,
    changes: usize,
}

impl Recent {
    fn extend(&mut self, fresh: Vec<Arc<Committed>>) {
        self.changes += changes(&fresh);
        self.events.extend(fresh);
        while self.events.len() > RECENT_EVENTS || self.changes > RECENT_CHANGES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.changes -= oldest.changes.len();
        }
    }

    /// A batch of the events after `seq`; `None` if some of them are no longer here.
    fn after(&self, seq: i64) -> Option<Vec<Arc<Committed>>> {
        if self.events.front()?.seq > seq + 1 {
            return None;
        }
        let skip = self.events.partition_point(|event| event.seq <= seq);
        Some(batch(self.events.iter().skip(skip).cloned()))
    }
}

/// As many of the first events as a batch holds.
fn batch(events: impl Iterator<Item = Arc<Committed>>) -> Vec<Arc<Committed>> {
    let mut changes = 0;
    events
        .take(BATCH_EVENTS)
        .take_while(|event| {
            let has_room = changes < BATCH_CHANGES;
            changes += event.changes.len();
            has_room
        })
        .collect()
}

fn changes(events: &[Arc<Committed>]) -> usize {
    events.iter().map(|event| event.changes.len()).sum()
}

impl Bus {
    /// Starts the task that listens to `db`, until `stop`.
    pub async fn start(db: Db, stop: CancellationToken) -> Result<Bus> {
        let first = db.read("bus.head", head).await?;
        let (sender, receiver) = watch::channel(first);
        let bus = Bus {
            recent: Arc::default(),
            head: receiver,
            replays: Arc::new(Semaphore::new(REPLAYS)),
        };
        tokio::spawn(Self::follow(bus.clone(), db, sender, stop));
        Ok(bus)
    }

    async fn follow(self, db: Db, head: watch::Sender<i64>, stop: CancellationToken) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = db.committed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            match self.advance(&db, &head).await {
                Ok(()) => failing = false,
                Err(error) if !failing && !stop.is_cancelled() => {
                    tracing::error!(?error, "committed events cannot be read; trying on");
                    failing = true;
                }
                Err(_) => {}
            }
        }
        // What was committed before the stop is still told.
        if let Err(error) = self.advance(&db, &head).await {
            tracing::debug!(?error, "the last events were not told to live listeners");
        }
    }

    async fn advance(&self, db: &Db, head: &watch::Sender<i64>) -> Result<()> {
        loop {
            let after = *head.borrow();
            let fresh = db
                .read("bus.advance", move |tx| events_after(tx, after))
                .await?;
            let Some(last) = fresh.last().map(|event| event.seq) else {
                return Ok(());
            };
            self.recent
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(fresh);
            head.send_replace(last);
        }
    }

    /// The newest position that listeners may know of. What a read begun later sees is at least
    /// as new.
    pub fn head(&self) -> i64 {
        *self.head.borrow()
    }

    /// Wakes a listener whenever the head moves; closed when the shop stops.
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.head.clone()
    }

    /// A batch of the events after `seq`, oldest first: from memory, else from the database, where few
    /// listeners read at a time. Empty at the head.
    pub async fn after(&self, db: &Db, seq: i64) -> Result<Vec<Arc<Committed>>> {
        if seq >= self.head() {
            return Ok(Vec::new());
        }
        let recent = self
            .recent
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .after(seq);
        if let Some(events) = recent {
            return Ok(events);
        }
        let _replay = self.replays.acquire().await.map_err(Error::internal)?;
        db.read("bus.replay", move |tx| events_after(tx, seq)).await
    }
}

/// The position of the newest committed event; 0 before the first.
pub fn head(tx: &mut Tx<'_>) -> Result<i64> {
    let newest = tx.one("SELECT max(seq) FROM events", &[], |row| {
        row.get::<Option<i64>>(0)
    })?;
    Ok(newest.flatten().unwrap_or_default())
}

/// The oldest position from which nothing has been cleaned away.
pub fn tail(tx: &mut Tx<'_>) -> Result<i64> {
    let oldest = tx.one("SELECT min(seq) FROM events", &[], |row| {
        row.get::<Option<i64>>(0)
    })?;
    Ok(oldest.flatten().map_or(0, |seq| seq - 1))
}

/// A batch of the events after `seq`, oldest first. Nothing tells how large events are before they are
/// read: the first few are read alone.
pub fn events_after(tx: &mut Tx<'_>, seq: i64) -> Result<Vec<Arc<Committed>>> {
    let mut events: Vec<Arc<Committed>> = Vec::new();
    for rows in [8, 64, BATCH_EVENTS] {
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
    Ok(batch(events.into_iter()))
}

/// Forgets events older than `span`, the newest aside, so that positions never fall back.
pub fn forget_before(tx: &mut Tx<'_>, span: Duration) -> Result<u64> {
    let before = tx.now().0 - i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    tx.execute(
        // From the front only, whatever the clock said: a gap would pass for something heard.
        "DELETE FROM events WHERE seq < coalesce(
             (SELECT seq FROM events WHERE at >= ?1 ORDER BY seq LIMIT 1),
             (SELECT max(seq) FROM events))",
        params![before],
    )
}

/// Tells where the numbers of events, which listeners rely on, have a gap.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let gaps: Vec<(i64, i64)> = tx.all(
        "SELECT seq, before FROM (
             SELECT seq, lag(seq) OVER (ORDER BY seq) AS before FROM events
         ) numbered WHERE seq <> before + 1 ORDER BY seq LIMIT ?1",
        params![ASKED],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let gaps = gaps.into_iter().map(|(seq, before)| {
        let remedy = "who followed the stock from before it should read the products again";
        let says = format!("the event before it is {before}, not {}; {remedy}", seq - 1);
        Finding::about(format!("event {seq}"), says)
    });
    findings.enter("event-sequence", gaps);
    Ok(())
}

fn committed(row: &Row<'_>) -> Result<Committed> {
    Ok(Committed {
        seq: row.get(0)?,
        at: row.get(1)?,
        changes: serde_json::from_str(row.get(2)?).map_err(Error::internal)?,
    })
}

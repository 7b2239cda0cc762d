//! All open connections: how many there may be, and which one to close when there are too many.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    infra::web::{
        client::Network,
        shares::{Share, Shares},
    },
    server::middleware::ResponseShares,
};

/// How often a full server looks for a connection to close.
const RETRY: Duration = Duration::from_millis(50);

/// How long a connection of a small network must have waited for its client before it may be closed for
/// another, in milliseconds.
const MIN_IDLE: u64 = 1000;

/// The open connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Arc<Semaphore>,
    shares: Shares,
    open: Arc<Mutex<HashMap<u64, Entry>>>,
    next_id: AtomicU64,
    started: Instant,
}

impl Connections {
    /// At most `total` connections; with `by_network`, a quarter of them for one client network.
    pub(super) fn new(total: usize, by_network: bool) -> Connections {
        Connections {
            slots: Arc::new(Semaphore::new(total)),
            // One more than there are slots: a connection that waits for its slot has its share already.
            shares: Shares::new(by_network.then(|| total.div_ceil(4)), total + 1),
            open: Arc::default(),
            next_id: AtomicU64::default(),
            started: Instant::now(),
        }
    }

    /// Registers a connection that was just accepted. Where all slots are taken, closes a connection that
    /// waits for its client, and waits for a slot. `None`: the client's network has its share already. A
    /// trusted proxy (no `client`) has no share.
    pub(super) async fn register(&self, client: Option<IpAddr>) -> Option<Slot> {
        let mut share = self.shares.empty(client);
        share.try_grow(1).ok()?;
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
                break permit;
            }
            self.evict();
            let freed = Arc::clone(&self.slots).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(RETRY, freed).await {
                break permit.ok()?;
            }
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::new(self.started));
        let entry = Entry {
            network: client.map(Network::of),
            activity: Arc::clone(&activity),
        };
        self.lock().insert(id, entry);
        Some(Slot {
            id,
            activity,
            open: Arc::clone(&self.open),
            _share: share,
            _permit: permit,
        })
    }

    /// Closes one connection that waits for its client, if there is one to choose: of the network that
    /// holds the most connections, the one that has waited longest. A network with no more than the
    /// average loses only connections that have been idle for [`MIN_IDLE`].
    fn evict(&self) {
        let open = self.lock();
        let mut held: HashMap<Option<Network>, usize> = HashMap::new();
        for entry in open.values() {
            *held.entry(entry.network).or_default() += 1;
        }
        let average = open.len() / held.len().max(1);
        let now = millis_since(self.started);
        let waiting = open.values().filter_map(|entry| {
            let since = entry.activity.waiting_since()?;
            // A proxy's connections count for nobody.
            let held = entry.network.map_or(0, |_| held[&entry.network]);
            let may_close = held > average || now.saturating_sub(since) >= MIN_IDLE;
            may_close.then_some((Reverse(held), since, &entry.activity))
        });
        if let Some((_, _, longest)) = waiting.min_by_key(|(held, since, _)| (*held, *since)) {
            longest.evict();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection.
#[derive(Debug)]
struct Entry {
    /// `None` for a trusted proxy.
    network: Option<Network>,
    activity: Arc<Activity>,
}

/// The place of one open connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    id: u64,
    activity: Arc<Activity>,
    open: Arc<Mutex<HashMap<u64, Entry>>>,
    // Dropped first: whoever gets the permit finds room for a share.
    _share: Share,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.id);
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It is idle, or reads the head of a request.
    Head = 0,
    /// It reads the body of a request, works on it or writes the response.
    Request = 1,
    /// It became a WebSocket.
    Upgraded = 2,
}

/// What one connection is doing, and since when it waits for its client.
#[derive(Debug)]
pub(super) struct Activity {
    started: Instant,
    phase: AtomicU8,
    /// How many requests have begun.
    requests: AtomicU64,
    /// Milliseconds since `started`; 0 while it does not wait for the client.
    waiting_since: AtomicU64,
    has_ambiguous_length: AtomicBool,
    has_unread_body: AtomicBool,
    /// What the last response holds until it is written.
    shares: Mutex<Option<ResponseShares>>,
    is_evicted: AtomicBool,
    waker: AtomicWaker,
}

impl Activity {
    fn new(started: Instant) -> Activity {
        let activity = Activity {
            started,
            phase: AtomicU8::new(Phase::Head as u8),
            requests: AtomicU64::new(0),
            waiting_since: AtomicU64::new(0),
            has_ambiguous_length: AtomicBool::new(false),
            has_unread_body: AtomicBool::new(false),
            shares: Mutex::default(),
            is_evicted: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        activity.begin_waiting();
        activity
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Head,
            1 => Phase::Request,
            _ => Phase::Upgraded,
        }
    }

    /// Enters a phase. The connection waits for its client in [`Phase::Head`].
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.waiting_since.store(0, Ordering::Relaxed);
        match phase {
            Phase::Head => self.begin_waiting(),
            Phase::Request => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                self.has_unread_body.store(false, Ordering::Relaxed);
            }
            Phase::Upgraded => {}
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The connection can only go on when the client sends or takes bytes.
    pub(super) fn begin_waiting(&self) {
        let now = millis_since(self.started);
        // If it waits already, the earlier beginning stays.
        let _ = self
            .waiting_since
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The client sent or took bytes.
    pub(super) fn end_waiting(&self) {
        if self.phase() != Phase::Head {
            self.waiting_since.store(0, Ordering::Relaxed);
        }
    }

    /// Keeps what a response holds, until [`Activity::flushed`].
    pub(super) fn hold(&self, shares: Option<ResponseShares>) {
        *self.shares.lock().unwrap_or_else(PoisonError::into_inner) = shares;
    }

    /// All bytes that hyper had are written. Behind the end of a response its shares are free.
    pub(super) fn flushed(&self) {
        if self.phase() != Phase::Request {
            self.hold(None);
        }
    }

    /// The handler left bytes of the request's body.
    pub(super) fn note_unread_body(&self) {
        self.has_unread_body.store(true, Ordering::Relaxed);
    }

    /// They were read after all.
    pub(super) fn forget_unread_body(&self) {
        self.has_unread_body.store(false, Ordering::Relaxed);
    }

    pub(super) fn has_unread_body(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed)
    }

    pub(super) fn note_ambiguous_length(&self) {
        self.has_ambiguous_length.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ambiguous_length(&self) -> bool {
        self.has_ambiguous_length.load(Ordering::Relaxed)
    }

    /// Since when the connection waits for its client; `None` while it does not, or is closed already.
    fn waiting_since(&self) -> Option<u64> {
        let since = self.waiting_since.load(Ordering::Relaxed);
        (since > 0 && !self.is_evicted()).then_some(since)
    }

    fn evict(&self) {
        self.is_evicted.store(true, Ordering::Release);
        self.waker.wake();
    }

    fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Acquire)
    }

    /// Waits until the connection must close.
    pub(super) async fn evicted(&self) {
        std::future::poll_fn(|cx| {
            if self.poll_evicted(cx.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Whether the connection must close; else the task is woken when it must.
    pub(super) fn poll_evicted(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.is_evicted()
    }
}

/// At least 1, since 0 means that a connection does not wait.
fn millis_since(started: Instant) -> u64 {
    let millis = started.elapsed().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX).max(1)
}

//! The open connections: limits their number, and chooses the one to close when there are too many.

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
use metrics::Gauge;
use tokio::sync::Notify;

use crate::{
    infra::web::{
        client::Network,
        client_quota::{ClientQuota, QuotaExceeded, Reservation},
    },
    server::{metrics::HTTP_CONNECTIONS, middleware::ResponseReservations},
};

/// How often a full server tries to close another connection.
const EVICT_INTERVAL: Duration = Duration::from_millis(50);

/// How long a connection of a network below the average must have been idle before it may be closed, in
/// milliseconds.
const MIN_IDLE_MS: u64 = 1000;

/// The open connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    quota: ClientQuota,
    /// Notified when a connection ends.
    freed: Arc<Notify>,
    open: Arc<Mutex<HashMap<u64, Entry>>>,
    next_id: AtomicU64,
    started: Instant,
    gauge: Gauge,
}

impl Connections {
    /// Allows `total` connections; with `by_network`, at most a quarter of them from one client network.
    pub(super) fn new(total: usize, by_network: bool) -> Connections {
        Connections {
            quota: ClientQuota::quarter_per_network(total, by_network),
            freed: Arc::default(),
            open: Arc::default(),
            next_id: AtomicU64::default(),
            started: Instant::now(),
            gauge: HTTP_CONNECTIONS.gauge([]),
        }
    }

    /// Registers a connection that was just accepted. If all slots are taken, closes an idle connection and waits
    /// for its slot. Returns `None` if the client's network has too many connections; trusted proxies (no
    /// `client`) are not limited.
    pub(super) async fn register(&self, client: Option<IpAddr>) -> Option<Slot> {
        let mut reservation = self.quota.reservation(client);
        loop {
            // Created before the check, so that no connection that ends in between is missed.
            let freed = self.freed.notified();
            match reservation.try_grow(1) {
                Ok(()) => break,
                Err(QuotaExceeded::Network) => return None,
                Err(QuotaExceeded::Total) => self.evict(),
            }
            // After the timeout, another connection is evicted.
            let _ = tokio::time::timeout(EVICT_INTERVAL, freed).await;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::new(self.started));
        let entry = Entry {
            network: client.map(Network::of),
            activity: Arc::clone(&activity),
        };
        self.lock().insert(id, entry);
        self.gauge.increment(1);
        Some(Slot {
            id,
            activity,
            open: Arc::clone(&self.open),
            reservation: Some(reservation),
            freed: Arc::clone(&self.freed),
            gauge: self.gauge.clone(),
        })
    }

    /// Closes one connection that waits for its client, if there is any: of the network with the most
    /// connections, the one that has waited longest. A network with no more than the average loses only
    /// connections that have been idle for [`MIN_IDLE_MS`].
    fn evict(&self) {
        let open = self.lock();
        let mut counts: HashMap<Option<Network>, usize> = HashMap::new();
        for entry in open.values() {
            *counts.entry(entry.network).or_default() += 1;
        }
        let average = open.len() / counts.len().max(1);
        let now = millis_since(self.started);
        let waiting = open.values().filter_map(|entry| {
            let since = entry.activity.waiting_since()?;
            // A proxy's connections do not count for any network.
            let count = entry.network.map_or(0, |_| counts[&entry.network]);
            let may_close = count > average || now.saturating_sub(since) >= MIN_IDLE_MS;
            may_close.then_some((Reverse(count), since, &entry.activity))
        });
        if let Some((_, _, activity)) = waiting.min_by_key(|(count, since, _)| (*count, *since)) {
            activity.evict();
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

/// The slot of one open connection. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Slot {
    id: u64,
    activity: Arc<Activity>,
    open: Arc<Mutex<HashMap<u64, Entry>>>,
    /// `None` while it is being dropped.
    reservation: Option<Reservation>,
    freed: Arc<Notify>,
    gauge: Gauge,
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
        drop(open);
        self.reservation.take();
        self.gauge.decrement(1);
        self.freed.notify_waiters();
    }
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Idle, or reading the head of a request.
    Head = 0,
    /// Reading the body of a request, handling it, or writing the response.
    Request = 1,
    /// Upgraded to a WebSocket.
    Upgraded = 2,
}

/// The state of one connection, which its tasks share with the eviction.
#[derive(Debug)]
pub(super) struct Activity {
    started: Instant,
    phase: AtomicU8,
    /// The number of requests so far.
    requests: AtomicU64,
    /// When the connection began to wait for its client, in milliseconds since `started`; 0 if it does not wait.
    waiting_since: AtomicU64,
    has_ambiguous_length: AtomicBool,
    has_unread_body: AtomicBool,
    /// The reservations of the last response, until it is written.
    reservations: Mutex<Option<ResponseReservations>>,
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
            reservations: Mutex::default(),
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

    /// Records that the connection can proceed only when the client sends or receives bytes.
    pub(super) fn begin_waiting(&self) {
        let now = millis_since(self.started);
        // If it waits already, the earlier time remains.
        let _ = self
            .waiting_since
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Records that the client sent or received bytes.
    pub(super) fn end_waiting(&self) {
        if self.phase() != Phase::Head {
            self.waiting_since.store(0, Ordering::Relaxed);
        }
    }

    /// Holds the reservations of a response until [`Activity::flushed`].
    pub(super) fn hold(&self, reservations: Option<ResponseReservations>) {
        *self
            .reservations
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = reservations;
    }

    /// Records that hyper's write buffer is empty. After the end of a response, releases its reservations.
    pub(super) fn flushed(&self) {
        if self.phase() != Phase::Request {
            self.hold(None);
        }
    }

    /// Records that the handler did not read the whole request body.
    pub(super) fn set_unread_body(&self) {
        self.has_unread_body.store(true, Ordering::Relaxed);
    }

    /// Records that the rest of the body was discarded.
    pub(super) fn clear_unread_body(&self) {
        self.has_unread_body.store(false, Ordering::Relaxed);
    }

    pub(super) fn has_unread_body(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed)
    }

    pub(super) fn set_ambiguous_length(&self) {
        self.has_ambiguous_length.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ambiguous_length(&self) -> bool {
        self.has_ambiguous_length.load(Ordering::Relaxed)
    }

    /// Returns when the connection began to wait for its client, or `None` if it does not wait or is evicted.
    fn waiting_since(&self) -> Option<u64> {
        let since = self.waiting_since.load(Ordering::Relaxed);
        (since > 0 && !self.is_evicted()).then_some(since)
    }

    fn evict(&self) {
        self.is_evicted.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Wakes the connection's task.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Acquire)
    }

    /// Waits until the connection is evicted.
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

    /// Returns whether the connection is evicted. If not, wakes the task when it is.
    pub(super) fn poll_evicted(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.is_evicted()
    }
}

/// Returns at least 1, since 0 means that a connection does not wait.
fn millis_since(started: Instant) -> u64 {
    let millis = started.elapsed().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX).max(1)
}

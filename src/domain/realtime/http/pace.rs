//! Limits the messages to subscribers, so that they leave the processors to requests: selling comes before
//! broadcasting. A subscriber gets each update at once while there is room. Otherwise the updates of an interval, which
//! grows with the number of subscribers, are merged.

use std::{sync::LazyLock, thread::available_parallelism, time::Duration};

use tokio::time::Instant;

/// How many messages all subscribers together get per second and core.
const MESSAGES_PER_CORE: u32 = 10_000;

/// How many messages one subscriber may get at once. One that lags behind by more gets merged updates.
const BURST: f64 = 64.0;

/// The longest interval. It takes precedence over the limit.
const MAX_INTERVAL: Duration = Duration::from_millis(250);

/// Subscribers stop waiting together, at multiples of this from a common start: those at the same position share their
/// messages.
const SLOT: Duration = Duration::from_millis(10);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

static MESSAGES_PER_SECOND: LazyLock<f64> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    f64::from(cores.saturating_mul(MESSAGES_PER_CORE))
});

/// The messages that one subscriber may get: a token bucket.
pub(super) struct Pace {
    allowance: f64,
    updated: Instant,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace {
            allowance: BURST,
            updated: Instant::now(),
        }
    }

    /// Waits about as long as it takes until the subscriber may get a message, if there are this many subscribers.
    pub(super) async fn wait(&mut self, subscribers: usize) {
        let subscribers = u32::try_from(subscribers).unwrap_or(u32::MAX).max(1);
        let per_second = *MESSAGES_PER_SECOND / f64::from(subscribers);
        let now = Instant::now();
        let elapsed = now.duration_since(self.updated).as_secs_f64();
        // However many messages a batch had, the next one is at most an interval away.
        let least = 1.0 - MAX_INTERVAL.as_secs_f64() * per_second;
        self.allowance = (self.allowance.max(least) + elapsed * per_second).min(BURST);
        self.updated = now;
        if self.allowance < 1.0 {
            let pause = Duration::from_secs_f64((1.0 - self.allowance) / per_second);
            let until = slot(now, now + pause);
            tokio::time::sleep_until(until).await;
            self.allowance += until.duration_since(now).as_secs_f64() * per_second;
            self.updated = until;
        }
    }

    /// Returns whether the subscriber may get this many messages now.
    pub(super) fn allows(&self, messages: usize) -> bool {
        u32::try_from(messages).is_ok_and(|messages| f64::from(messages) <= self.allowance)
    }

    pub(super) fn count(&mut self) {
        self.allowance -= 1.0;
    }
}

/// Returns the last start of a slot up to `until`; if there is none after `now`, the first one after it.
fn slot(now: Instant, until: Instant) -> Instant {
    let start = *START;
    let slots = |time: Instant| time.duration_since(start).div_duration_f64(SLOT).floor();
    let number = slots(until).max(slots(now) + 1.0);
    start + SLOT.mul_f64(number)
}

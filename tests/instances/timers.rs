//! A timer fires on one instance per interval.

use std::time::Duration;

use shop::infra::db;

use crate::support::{TestStore, storage_test};

const INTERVAL: Duration = Duration::from_hours(1);
const TICK: Duration = Duration::from_millis(1);
const JUST_BEFORE: Duration = Duration::from_millis(3_599_999);

impl TestStore {
    /// Returns whether this instance claims the timer.
    async fn claims(&self, timer: &'static str) -> bool {
        let claimed = self.db.write("test.timer", move |tx| {
            db::try_claim_timer(tx, timer, INTERVAL)
        });
        claimed.await.unwrap()
    }

    fn advance_clock(&self, span: Duration) {
        self.db.clock().advance(span);
    }
}

/// Returns how many of the instances claim the timer when all try concurrently.
async fn claim_count(stores: &[&TestStore], timer: &'static str) -> usize {
    let claims = stores.iter().map(|store| store.claims(timer));
    let answers = futures_util::future::join_all(claims).await;
    answers.into_iter().filter(|claimed| *claimed).count()
}

storage_test! {
    async fn one_of_several_instances_claims_a_timer(store: TestStore) {
        let other = store.another_instance().await;
        for _ in 0..10 {
            assert_eq!(claim_count(&[&store, &other, &store, &other], "timer").await, 1);
            assert_eq!(claim_count(&[&store, &other], "timer").await, 0, "not again within the interval");
            for store in [&store, &other] {
                store.advance_clock(JUST_BEFORE);
                assert!(!store.claims("timer").await, "not due yet");
            }
            for store in [&store, &other] {
                store.advance_clock(TICK);
            }
        }
        assert_eq!(claim_count(&[&store, &other], "another timer").await, 1, "timers are independent");
    }

    async fn clocks_that_differ_do_not_fire_a_timer_twice(store: TestStore) {
        let other = store.another_instance().await;
        // The clocks of two machines differ, or two transactions of one machine overtake each other.
        for ahead in [TICK, Duration::from_secs(1), Duration::from_mins(10)] {
            store.advance_clock(ahead);
            assert!(store.claims("timer").await);
            assert!(!other.claims("timer").await, "{ahead:?} slower");
            assert!(!store.claims("timer").await);
            for store in [&store, &other] {
                store.advance_clock(INTERVAL * 2);
            }
        }
    }

    async fn a_clock_that_was_set_back_does_not_stop_a_timer(store: TestStore) {
        let other = store.another_instance().await;
        store.advance_clock(Duration::from_hours(24 * 365));
        assert!(store.claims("timer").await, "with a clock a year ahead");
        assert!(other.claims("timer").await, "with a correct clock");
        assert!(!other.claims("timer").await);
        other.advance_clock(INTERVAL);
        assert!(other.claims("timer").await);
    }

    async fn a_claim_that_was_rolled_back_can_be_claimed_again(store: TestStore) {
        let other = store.another_instance().await;
        let failed = store.db.write("test.timer", |tx| {
            assert!(db::try_claim_timer(tx, "timer", INTERVAL)?);
            Err::<(), _>(shop::core::error::Error::unavailable("the task failed"))
        });
        failed.await.unwrap_err();
        assert!(other.claims("timer").await);
    }
}

//! Timers ring once for all instances.

use std::time::Duration;

use shop::infra::db;

use crate::support::{TestStore, storage_test};

const SPAN: Duration = Duration::from_hours(1);
const MOMENT: Duration = Duration::from_millis(1);
const NEARLY: Duration = Duration::from_millis(3_599_999);

impl TestStore {
    /// Whether this program is told to do what is due.
    async fn is_told(&self, timer: &'static str) -> bool {
        let told = self
            .db
            .write("test.timer", move |tx| db::try_claim_timer(tx, timer, SPAN));
        told.await.unwrap()
    }

    fn advance_clock(&self, span: Duration) {
        self.db.clock().advance(span);
    }
}

/// How many of these are told, all at once.
async fn told(stores: &[&TestStore], timer: &'static str) -> usize {
    let asked = stores.iter().map(|store| store.is_told(timer));
    let answers = futures_util::future::join_all(asked).await;
    answers.into_iter().filter(|told| *told).count()
}

storage_test! {
    async fn a_timer_rings_for_one_of_several(store: TestStore) {
        let other = store.another().await;
        for _ in 0..10 {
            assert_eq!(told(&[&store, &other, &store, &other], "timer").await, 1);
            assert_eq!(told(&[&store, &other], "timer").await, 0, "not again within the span");
            for store in [&store, &other] {
                store.advance_clock(NEARLY);
                assert!(!store.is_told("timer").await, "it is not time");
            }
            for store in [&store, &other] {
                store.advance_clock(MOMENT);
            }
        }
        assert_eq!(told(&[&store, &other], "another timer").await, 1, "each by itself");
    }

    async fn a_timer_does_not_ring_twice_for_clocks_that_differ(store: TestStore) {
        let other = store.another().await;
        // As the clocks of two machines do, or two transactions of one that overtake each other.
        for ahead in [MOMENT, Duration::from_secs(1), Duration::from_mins(10)] {
            store.advance_clock(ahead);
            assert!(store.is_told("timer").await);
            assert!(!other.is_told("timer").await, "{ahead:?} behind");
            assert!(!store.is_told("timer").await);
            for store in [&store, &other] {
                store.advance_clock(SPAN * 2);
            }
        }
    }

    async fn a_clock_that_was_set_back_silences_no_timer(store: TestStore) {
        let other = store.another().await;
        store.advance_clock(Duration::from_hours(24 * 365));
        assert!(store.is_told("timer").await, "by a clock that is a year ahead");
        assert!(other.is_told("timer").await, "by one that was set right");
        assert!(!other.is_told("timer").await);
        other.advance_clock(SPAN);
        assert!(other.is_told("timer").await);
    }

    async fn a_ring_that_was_undone_is_not_lost(store: TestStore) {
        let other = store.another().await;
        let failed = store.db.write("test.timer", |tx| {
            assert!(db::try_claim_timer(tx, "timer", SPAN)?);
            Err::<(), _>(shop::core::error::Error::unavailable("what is due cannot be done"))
        });
        failed.await.unwrap_err();
        assert!(other.is_told("timer").await);
    }
}

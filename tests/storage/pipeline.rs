//! Pipelined statements: on Postgres they share a round trip, on SQLite they run immediately; what an operation
//! sees is the same.

use shop::{
    core::error::{Error, Kind, Result},
    infra::db::{Tx, params},
};

use super::{insert, value_of};
use crate::support::storage_test;

const INSERT: &str = "INSERT INTO kept_counts (name, value) VALUES (?1, ?2)";
const ADD: &str = "UPDATE kept_counts SET value = value + ?2 WHERE name = ?1";

fn wrong_count() -> Error {
    Error::new(Kind::Conflict("insufficient-stock"), "a row did not change")
}

/// Pipelines a change of a row that must exist.
fn expect_add(tx: &mut Tx<'_>, name: &str, more: i64) -> Result<()> {
    tx.expect(ADD, params![name, more], 1, wrong_count)
}

storage_test! {
    async fn pipelined_statements_are_committed_in_their_order(store: TestStore) {
        store
            .db
            .write("test.pipeline", |tx| {
                tx.expect(INSERT, params!["row", 1], 1, wrong_count)?;
                expect_add(tx, "row", 10)?;
                tx.execute_pipelined("DELETE FROM kept_counts WHERE name = ?1", params!["no such row"])
            })
            .await
            .unwrap();
        assert_eq!(store.value("row").await, Some(11));
    }

    async fn a_wrong_count_is_never_committed(store: TestStore) {
        store.db.write("test.insert", |tx| insert(tx, "row", 1)).await.unwrap();
        let refused = store
            .db
            .write("test.pipeline", |tx| {
                expect_add(tx, "row", 1)?;
                expect_add(tx, "no such row", 1)?;
                expect_add(tx, "row", 1)
            })
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict("insufficient-stock"));
        assert_eq!(store.value("row").await, Some(1));
        // The connection serves the next transaction.
        store.db.write("test.add", |tx| expect_add(tx, "row", 1)).await.unwrap();
        assert_eq!(store.value("row").await, Some(2));
    }

    async fn a_read_sees_what_was_pipelined_before_it(store: TestStore) {
        let seen = store
            .db
            .write("test.pipeline", |tx| {
                tx.expect(INSERT, params!["row", 1], 1, wrong_count)?;
                let before = tx.prefetch_one(
                    "SELECT value FROM kept_counts WHERE name = ?1",
                    params!["row"],
                    |row| row.get::<i64>("value"),
                )?;
                expect_add(tx, "row", 1)?;
                let after = value_of(tx, "row")?;
                Ok((tx.result(before)?, after))
            })
            .await
            .unwrap();
        assert_eq!(seen, (Some(1), Some(2)));
    }

    async fn a_read_after_a_wrong_count_fails_with_its_error(store: TestStore) {
        let refused = store
            .db
            .write("test.pipeline", |tx| {
                tx.expect(INSERT, params!["row", 1], 1, wrong_count)?;
                expect_add(tx, "no such row", 1)?;
                value_of(tx, "row").map(drop)
            })
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict("insufficient-stock"));
        assert_eq!(store.value("row").await, None);
    }

    async fn the_first_of_several_failures_is_reported(store: TestStore) {
        let refused = store
            .db
            .write("test.pipeline", |tx| {
                expect_add(tx, "no such row", 1)?;
                tx.execute_pipelined("INSERT INTO kept_counts (name, value) VALUES (?1, NULL)", params!["row"])
            })
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict("insufficient-stock"));
    }

    async fn an_operation_that_fails_drops_what_it_pipelined(store: TestStore) {
        let refused = store
            .db
            .write("test.pipeline", |tx| -> Result<()> {
                tx.expect(INSERT, params!["row", 1], 1, wrong_count)?;
                Err(wrong_count())
            })
            .await;
        assert!(refused.is_err());
        assert_eq!(store.value("row").await, None);
        store.db.write("test.insert", |tx| insert(tx, "row", 2)).await.unwrap();
        assert_eq!(store.value("row").await, Some(2));
    }

    async fn a_prefetched_query_without_a_row_returns_none(store: TestStore) {
        let found = store
            .db
            .read("test.pipeline", |tx| {
                let prefetched = tx.prefetch_one(
                    "SELECT value FROM kept_counts WHERE name = ?1",
                    params!["no such row"],
                    |row| row.get::<i64>("value"),
                )?;
                tx.result(prefetched)
            })
            .await
            .unwrap();
        assert_eq!(found, None);
    }
}

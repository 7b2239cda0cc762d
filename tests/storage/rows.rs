//! Columns are read by name.

use shop::{domain::orders::Status, infra::db::Column};

use super::insert;
use crate::support::{TestStore, storage_test};

/// Reads the column `value` of a query as a type that it does not have. Returns the error for the log.
async fn error_of<T>(store: &TestStore, sql: &'static str) -> String
where
    T: for<'a> Column<'a> + std::fmt::Debug + Send + 'static,
{
    let read = store.db.read("test.read", move |tx| {
        tx.one(sql, &[], |row| row.get::<T>("value"))
    });
    format!("{:?}", read.await.unwrap_err())
}

storage_test! {
    async fn columns_are_read_by_name_in_any_order_and_repeatedly(store: TestStore) {
        let rows = store
            .db
            .write("test.rows", |tx| {
                insert(tx, "one", 1)?;
                insert(tx, "two", 2)?;
                let sql = "SELECT name, value, value + 10 AS more FROM kept_counts
                           WHERE name IN ('one', 'two') ORDER BY name";
                tx.all(sql, &[], |row| {
                    let more: i64 = row.get("more")?;
                    let (name, value): (String, i64) = (row.get("name")?, row.get("value")?);
                    Ok((name, value, more, row.get::<i64>("more")?))
                })
            })
            .await
            .unwrap();
        assert_eq!(rows, [("one".to_owned(), 1, 11, 11), ("two".to_owned(), 2, 12, 12)]);
    }

    async fn a_missing_column_is_an_error_with_its_name(store: TestStore) {
        let error = error_of::<i64>(&store, "SELECT 1 AS other").await;
        assert!(error.contains("the query has no column `value`"), "{error}");
    }

    async fn a_value_of_another_type_is_an_error_with_the_name_of_the_column(store: TestStore) {
        let error = error_of::<i64>(&store, "SELECT CAST('text' AS TEXT) AS value").await;
        assert!(error.contains("column `value` has the value Text"), "{error}");
        let error = error_of::<i64>(&store, "SELECT CAST(NULL AS BIGINT) AS value").await;
        assert!(error.contains("column `value` has the value Null"), "{error}");
    }

    async fn an_unknown_status_is_an_error_with_the_name_of_the_column(store: TestStore) {
        let known = store.db.read("test.read", |tx| {
            let sql = "SELECT CAST('SHIPPED' AS TEXT) AS status";
            tx.one(sql, &[], |row| row.get::<Status>("status"))
        });
        assert_eq!(known.await.unwrap(), Some(Status::Shipped));
        let error = error_of::<Status>(&store, "SELECT CAST('LOST' AS TEXT) AS value").await;
        assert!(error.contains("column `value` has the value Text"), "{error}");
    }

    async fn two_columns_with_the_same_name_are_an_error(store: TestStore) {
        let error = error_of::<i64>(&store, "SELECT 1 AS value, 2 AS value").await;
        assert!(error.contains("several columns `value`"), "{error}");
    }
}

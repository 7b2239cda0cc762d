//! The counts of products by price, which triggers maintain on `SQLite`.
//!
//! There are counts for each price in use and for each price rounded down to two digits; of each category and, with an
//! empty id, of the whole catalog. So the products in a price range are the sum of few rows: the rounded prices inside,
//! and the prices at both ends.

use std::ops::RangeInclusive;

use crate::{
    core::{error::Result, id::CategoryId, money::Price},
    domain::catalog::cache_tags,
    infra::db::{Tx, Value},
};

/// Returns how many products have a price in the range; of a category or of all, available or sold out or both.
/// Returns `None` if the engine has no such counts.
pub(in crate::domain::catalog) fn count_by_price(
    tx: &mut Tx<'_>,
    category: Option<CategoryId>,
    prices: Option<&RangeInclusive<i64>>,
    in_stock: Option<bool>,
) -> Result<Option<i64>> {
    if !tx.is_single_writer() {
        return Ok(None);
    }
    let (min, max) = prices.map_or((0, Price::MAX), |prices| (*prices.start(), *prices.end()));
    let end = max.min(Price::MAX) + 1;
    // The rounded prices from `inner` to `inner_end` have only prices in the range.
    let (inner, inner_end) = (rounded_up(min.min(end)), rounded_down(end));
    let has_inner = inner < inner_end;
    let (inner, inner_end) = if has_inner {
        (inner, inner_end)
    } else {
        (end, end)
    };
    let category = category.as_ref().map_or(&[][..], |id| id.0.as_bytes());
    let products = match in_stock {
        None => "products",
        Some(true) => "products - sold_out",
        Some(false) => "sold_out",
    };
    let range = |is_rounded: i64, from: usize, to: usize| {
        format!(
            "SELECT {products} AS products FROM price_counts
             WHERE category_id = ?1 AND is_rounded = {is_rounded} AND price >= ?{from} AND price < ?{to}"
        )
    };
    let sql = format!(
        "SELECT coalesce(sum(products), 0) AS count FROM ({} UNION ALL {} UNION ALL {})",
        range(0, 2, 3),
        range(1, 3, 4),
        range(0, 4, 5)
    );
    let values = [
        Value::Blob(category),
        Value::Int(min),
        Value::Int(inner),
        Value::Int(inner_end),
        Value::Int(end),
    ];
    tx.one(&sql, &values, |row| row.get("count"))
}

/// The counts as they should be. The rounding is that of the triggers.
const COUNTED: &str = "WITH by_category AS (
         SELECT category_id, price, count(*) AS products, sum(stock = 0) AS sold_out
         FROM products WHERE deleted_at IS NULL GROUP BY category_id, price
     ), counted AS (
         SELECT category_id, price, products, sold_out FROM by_category WHERE category_id IS NOT NULL
         UNION ALL SELECT x'', price, sum(products), sum(sold_out) FROM by_category GROUP BY price
     ), expected AS (
         SELECT category_id, 0 AS is_rounded, price, products, sold_out FROM counted
         UNION ALL SELECT category_id, 1, rounded, sum(products), sum(sold_out) FROM (
             SELECT *, CAST(substr(price, 1, 2) || substr('0000000000', 1, length(price) - 2) AS INTEGER) AS rounded
             FROM counted
         ) GROUP BY category_id, rounded
     )";

/// Returns how many counts are wrong or missing.
pub(in crate::domain::catalog) fn wrong_price_counts(tx: &mut Tx<'_>) -> Result<i64> {
    if !tx.is_single_writer() {
        return Ok(0);
    }
    let sql = format!(
        "{COUNTED}, stored AS (SELECT category_id, is_rounded, price, products, sold_out FROM price_counts)
         SELECT count(*) AS count FROM (
             SELECT category_id, is_rounded, price FROM (SELECT * FROM stored EXCEPT SELECT * FROM expected)
             UNION
             SELECT category_id, is_rounded, price FROM (SELECT * FROM expected EXCEPT SELECT * FROM stored)
         )"
    );
    let wrong = tx.one(&sql, &[], |row| row.get("count"))?;
    Ok(wrong.unwrap_or_default())
}

/// Recomputes all counts.
pub(in crate::domain::catalog) fn recount_by_price(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute("DELETE FROM price_counts", &[])?;
    let sql = format!(
        "{COUNTED} INSERT INTO price_counts (category_id, is_rounded, price, products, sold_out)
         SELECT category_id, is_rounded, price, products, sold_out FROM expected"
    );
    tx.execute(&sql, &[])?;
    cache_tags::invalidate_lists(tx);
    Ok(())
}

/// Returns the factor that separates the first two digits of a price from the others.
fn unit(price: i64) -> i64 {
    10_i64.pow(price.checked_ilog10().unwrap_or_default().saturating_sub(1))
}

fn rounded_down(price: i64) -> i64 {
    price - price % unit(price)
}

fn rounded_up(price: i64) -> i64 {
    let down = rounded_down(price);
    if down == price {
        price
    } else {
        down + unit(price)
    }
}
